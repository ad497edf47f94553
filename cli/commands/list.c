// SPDX-License-Identifier: GPL-2.0-only
/* tagscope list */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"
#include "run/registry.h"

static const char help[] =
	"Usage: tagscope list [--kind workload|adversary] [--names] [--json]\n\n"
	"Lists the scenarios.\n\n"
	"  --kind KIND  only workloads, or only adversaries\n"
	"  --names      only the names, one a line\n"
	"  --json       as a JSON array\n"
	"  --help       this text\n\n"
	"Examples:\n"
	"  tagscope list\n"
	"  for s in $(tagscope list --names --kind workload); do tagscope run \"$s\"; done\n";

static int list_json(const struct command *cmd, const char *kind)
{
	cJSON *all = cJSON_CreateArray();
	char *text;

	for (const struct scenario *const *s = scenarios(); *s; s++) {
		cJSON *o, *changes;

		if (kind && strcmp(kind, scenario_kind_name((*s)->kind)))
			continue;
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "name", (*s)->name);
		cJSON_AddStringToObject(o, "kind", scenario_kind_name((*s)->kind));
		cJSON_AddStringToObject(o, "summary", (*s)->summary);
		cJSON_AddNumberToObject(o, "time_limit_s", (*s)->time_limit_s);
		changes = cJSON_AddArrayToObject(o, "changes");
		for (const struct setting *c = (*s)->save_restore; c && c->path; c++)
			if (!(c->flags & SETTING_LASTING))
				cJSON_AddItemToArray(changes, cJSON_CreateString(c->path));
		cJSON_AddItemToArray(all, o);
	}
	text = cJSON_Print(all);
	cJSON_Delete(all);
	if (!text)
		return problem(cmd, EXIT_NOT_HERE, "out of memory");
	puts(text);
	free(text);
	return flushed(cmd, EXIT_OK);
}

static int list_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "kind", required_argument, NULL, 'k' }, { "names", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },	  { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *kind = NULL, *heading = NULL;
	bool names = false, json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'k')
			kind = optarg;
		else if (opt == 'n')
			names = true;
		else if (opt == 'j')
			json = true;
		else
			return bad_option(cmd, opt, argv);
	}
	if (optind < argc)
		return usage_error(cmd, "unknown argument '%s'", argv[optind]);
	if (kind && strcmp(kind, "workload") && strcmp(kind, "adversary"))
		return usage_error(cmd, "--kind is workload or adversary, not '%s'", kind);
	if (json)
		return list_json(cmd, kind);
	for (const struct scenario *const *s = scenarios(); *s; s++) {
		const char *its = scenario_kind_name((*s)->kind);

		if (kind && strcmp(kind, its))
			continue;
		if (names) {
			puts((*s)->name);
			continue;
		}
		if (!heading || strcmp(heading, its))
			printf("%s%s:\n", heading ? "\n" : "",
			       (*s)->kind == SCENARIO_ADVERSARY ? "Adversaries" : "Workloads");
		heading = its;
		printf("  %-16s %s\n", (*s)->name, (*s)->summary);
	}
	return flushed(cmd, EXIT_OK);
}

const struct command cmd_list = {
	.name = "list",
	.summary = "list the scenarios",
	.help = help,
	.run = list_run,
};
