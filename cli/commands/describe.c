// SPDX-License-Identifier: GPL-2.0-only
/* tagscope describe */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "commands/command.h"
#include "run/registry.h"
#include "scenario/needs.h"
#include "scenario/param.h"

static const char help[] =
	"Usage: tagscope describe SCENARIO...\n\n"
	"Tells what a scenario does, its parameters, what it needs, its roles and the system\n"
	"calls each may make, and whether it can run here.\n\n"
	"  --help  this text\n\n"
	"Examples:\n"
	"  tagscope describe mmap\n"
	"  tagscope describe vmsplice-pin io-uring-pin\n";

static void names(const char *const *list, unsigned int indent)
{
	char line[2048] = "";
	size_t len = 0;

	for (; list && *list && len < sizeof(line); list++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", len ? " " : "",
					*list);
	text_wrap(stdout, len ? line : "(none)", indent);
}

static void describe(const struct scenario *s)
{
	char range[128], why[1024];
	enum verdict v;

	printf("%s: %s\n\n", s->name, s->summary);
	text_wrap(stdout, s->explanation, 2);
	printf("\nKind: %s. Time limit: %u s.", scenario_kind_name(s->kind), s->time_limit_s);
	if (s->groups)
		printf(" Groups: %s.", s->groups);
	printf("\n\nParameters (parameter=value):\n");
	if (!s->params || !s->params->name)
		puts("  (none)");
	for (const struct param *p = s->params; p && p->name; p++)
		printf("  %-14s %s\n  %-14s %s, default %s: %s\n", p->name, p->help, "",
		       param_type_name(p), p->def, param_range(p, range, sizeof(range)));
	printf("\nNeeds:\n");
	for (unsigned int bit = 1; bit && bit <= s->needs; bit <<= 1)
		if (s->needs & bit)
			printf("  %s\n", need_text((enum need)bit));
	if (s->min_memory)
		printf("  %" PRIu64 " MiB of memory\n", s->min_memory >> 20);
	if (!s->needs && !s->min_memory)
		puts("  (nothing)");
	if (s->save_restore)
		printf("\nChanges, while it runs:\n");
	for (const struct setting *c = s->save_restore; c && c->path; c++)
		printf("  %s%s\n", c->path, c->flags & SETTING_LASTING ? ", for good" : "");
	if (s->syscalls) {
		printf("\nSystem calls of the scenario itself, besides what all need:\n");
		names(s->syscalls, 2);
	}
	for (size_t i = 0; s->roles && s->roles[i]; i++) {
		const struct role *r = s->roles[i];

		printf("\nRole %s (%s): %s\n", r->name,
		       r->user == ROLE_ROOT ? "root" : "an ordinary user", r->summary);
		if (r->syscalls)
			names(r->syscalls, 2);
		else
			puts("  not confined");
	}
	if (needs_met(s, &v, why, sizeof(why)))
		printf("\nIt can run here: tagscope run %s\n", s->name);
	else
		printf("\nIt cannot run here: %s\n", why);
}

static int describe_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt = getopt_long(argc, argv, ":h", options, NULL);

	if (opt != -1)
		return bad_option(cmd, opt, argv);
	if (optind == argc)
		return usage_error(cmd, "which scenario?");
	for (int i = optind; i < argc; i++)
		if (!find_scenario(cmd, argv[i]))
			return EXIT_USAGE;
	for (int i = optind; i < argc; i++) {
		describe(find_scenario(cmd, argv[i]));
		if (i + 1 < argc)
			putchar('\n');
	}
	return flushed(cmd, EXIT_OK);
}

const struct command cmd_describe = {
	.name = "describe",
	.summary = "tell all about a scenario",
	.help = help,
	.run = describe_run,
};
