// SPDX-License-Identifier: GPL-2.0-only
/* What the commands share: see cmd.h. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "base/suggest.h"
#include "commands/command.h"
#include "run/registry.h"

const struct command *const commands[] = {
	&cmd_list,   &cmd_describe, &cmd_run,	  &cmd_suite,  &cmd_watch, &cmd_record,
	&cmd_replay, &cmd_report,   &cmd_lesson, &cmd_compare, &cmd_attack, &cmd_fuzz,
	&cmd_state,  &cmd_doctor,   &cmd_completion, NULL,
};

static void message(const struct command *cmd, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "tagscope %s: ", cmd->name);
	vfprintf(stderr, fmt, ap);
}

int usage_error(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(cmd, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (try: tagscope %s --help)\n", cmd->name);
	return EXIT_USAGE;
}

int problem(const struct command *cmd, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(cmd, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int bad_option(const struct command *cmd, int opt, char **argv)
{
	if (opt == 'h') {
		fputs(cmd->help, stdout);
		return flushed(cmd, EXIT_OK);
	}
	if (opt == ':')
		return usage_error(cmd, "option '%s' wants a value", argv[optind - 1]);
	/* getopt_long() sets optopt for an option it knows, and for a short one. */
	if (optopt && !strncmp(argv[optind - 1], "--", 2))
		return usage_error(cmd, "this option takes no value: '%s'", argv[optind - 1]);
	if (optopt)
		return usage_error(cmd, "unknown option '-%c'", optopt);
	return usage_error(cmd, "unknown option '%s'", argv[optind - 1]);
}

static const char *scenario_name_at(void *list, size_t i)
{
	const struct scenario *const *s = list;

	return s[i] ? s[i]->name : NULL;
}

const struct scenario *find_scenario(const struct command *cmd, const char *name)
{
	const struct scenario *s = scenario_find(name);
	char hint[512];

	if (!s)
		usage_error(cmd, "there is no scenario '%s'%s", name,
			    suggest_text(name, scenario_name_at, (void *)(uintptr_t)scenarios(),
					 hint, sizeof(hint)));
	return s;
}

int flushed(const struct command *cmd, int status)
{
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return problem(cmd, EXIT_FAILED, "cannot write the output: %s",
			       strerror(errno ? errno : EIO));
	return status;
}
