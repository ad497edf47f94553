// SPDX-License-Identifier: GPL-2.0-only
/* tagscope: the command line. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "cmd.h"
#include "near.h"
#include "registry.h"

#define VERSION "0.1"

const struct command *const commands[] = {
	&cmd_list,  &cmd_describe, &cmd_run,	    &cmd_suite, &cmd_watch,
	&cmd_state, &cmd_doctor,   &cmd_completion, NULL,
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
	if (optopt && !strchr(argv[optind - 1], '='))
		return usage_error(cmd, "unknown option '%s'", argv[optind - 1]);
	return usage_error(cmd, "unknown option, or one that takes no value: '%s'",
			   argv[optind - 1]);
}

static const char *scenario_name_at(void *list, size_t i)
{
	const struct scenario *const *s = list;

	return s[i] ? s[i]->name : NULL;
}

const struct scenario *find_scenario(const struct command *cmd, const char *name)
{
	const struct scenario *s = scenario_find(name);
	char near[512];

	if (!s)
		usage_error(cmd, "there is no scenario '%s'%s", name,
			    near_text(name, scenario_name_at, (void *)(uintptr_t)scenarios(), near,
				      sizeof(near)));
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

static void help(FILE *f)
{
	fputs("Usage: tagscope COMMAND [options]\n\n"
	      "Runs programs that use, or attack, MTE tag storage, and shows what each does to it.\n\n"
	      "Commands:\n", f);
	for (const struct command *const *c = commands; *c; c++)
		fprintf(f, "  %-11s %s\n", (*c)->name, (*c)->summary);
	fputs("\n\"tagscope COMMAND --help\" tells more. To begin with:\n"
	      "  tagscope doctor              what works here, and what to do about what does not\n"
	      "  tagscope list                the scenarios there are\n"
	      "  tagscope run --step mmap     go through one, a key a step\n\n"
	      "Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 it could not run\n"
	      "here, 4 it was skipped.\n", f);
}

static const char *command_name_at(void *list, size_t i)
{
	const struct command *const *c = list;

	return c[i] ? c[i]->name : NULL;
}

int main(int argc, char **argv)
{
	char near[256];

	setlocale(LC_CTYPE, "");
	/* A reader that goes away ("| head") is seen as a write error. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("tagscope %s\n", VERSION);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "help") && argc > 2) {
		argv[1] = argv[2];
		argv[2] = (char[]){ "--help" };
	} else if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
		   !strcmp(argv[1], "-h")) {
		help(stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
	}
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, argv[1]))
			return (*c)->run(*c, argc - 1, argv + 1);
	fprintf(stderr, "tagscope: there is no command '%s'%s (try: tagscope --help)\n", argv[1],
		near_text(argv[1], command_name_at, (void *)(uintptr_t)commands, near,
			  sizeof(near)));
	return EXIT_USAGE;
}
