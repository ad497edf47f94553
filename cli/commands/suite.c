// SPDX-License-Identifier: GPL-2.0-only
/* tagscope suite */
#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "commands/batch.h"
#include "run/registry.h"

#define MAX_AXES 8
#define MAX_RUNS 10000

static const char help[] =
	"Usage: tagscope suite [options] [PATTERN...]\n\n"
	"Runs all scenarios whose name fits one of the shell patterns, or all there are,\n"
	"each in a process of its own, and goes on after failures.\n\n"
	"  --kind KIND       only workloads, or only adversaries\n"
	"  --group WORD      only scenarios of this group ('tagscope describe' names them)\n"
	"  --matrix P=V,V... run scenarios that have parameter P once with each value; given\n"
	"                    more than once, all combinations\n"
	"  --repeat N        run all N times, the seed going up by one each time\n"
	"  --list            only say what would be run\n"
	BATCH_HELP
	"  --help            this text\n\n"
	"Exit status: 1 if anything failed, else 3 if there was an error, else 0 if\n"
	"anything passed, else 4: all was skipped.\n\n"
	"Examples:\n"
	"  tagscope suite --format junit --output results.xml\n"
	"  tagscope suite --kind adversary\n"
	"  tagscope suite --matrix pages=8,32,1024 --matrix layout=sparse,dense mmap\n";

struct axis {
	char *param, *values;	/* values: "a,b,c" */
};

static bool has_param(const struct scenario *s, const char *name)
{
	for (const struct param *p = s->params; p && p->name; p++)
		if (!strcmp(p->name, name))
			return true;
	return false;
}

static bool in_group(const struct scenario *s, const char *group)
{
	const char *g = s->groups;
	size_t len = strlen(group);

	while (g && *g) {
		size_t word = strcspn(g, " ");

		if (word == len && !strncmp(g, group, len))
			return true;
		g += word;
		g += strspn(g, " ");
	}
	return false;
}

/* Value number i of "a,b,c" as "param=b", in buf; false: there are fewer. */
static bool axis_value(const struct axis *a, size_t i, char *buf, size_t size)
{
	const char *v = a->values;

	for (; i; i--) {
		v = strchr(v, ',');
		if (!v)
			return false;
		v++;
	}
	return (size_t)snprintf(buf, size, "%s=%.*s", a->param, (int)strcspn(v, ","), v) < size;
}

/* Add s with all combinations of the axes it has from number n on; text: those before. */
static int add_all(struct batch *ex, const struct command *cmd, const struct scenario *s,
		   const struct axis *axes, size_t nr, size_t n, const char **set, size_t nr_set)
{
	char one[256], why[1024];
	struct run_params *p;

	while (n < nr && !has_param(s, axes[n].param))
		n++;
	if (n < nr) {
		int err = EXIT_OK;

		for (size_t i = 0; axis_value(&axes[n], i, one, sizeof(one)); i++) {
			/* cppcheck-suppress autoVariables ; only what this calls looks at it */
			set[nr_set] = one;
			err = add_all(ex, cmd, s, axes, nr, n + 1, set, nr_set + 1);
			if (err)
				break;
		}
		/* "one" ends here, and so does what points to it. */
		set[nr_set] = NULL;
		return err;
	}
	if (ex->nr_runs == MAX_RUNS)
		return usage_error(cmd, "that makes more than %d runs", MAX_RUNS);
	p = batch_add(ex, cmd, s);
	if (!p)
		return EXIT_NOT_HERE;
	for (size_t i = 0; i < nr_set; i++)
		if (!run_params_set(p, set[i], why, sizeof(why)))
			return usage_error(cmd, "%s", why);
	return EXIT_OK;
}

static bool chosen(const struct scenario *s, const char *kind, const char *group, char **patterns)
{
	if (kind && strcmp(kind, scenario_kind_name(s->kind)))
		return false;
	if (group && !in_group(s, group))
		return false;
	if (!*patterns)
		return true;
	for (; *patterns; patterns++)
		if (!fnmatch(*patterns, s->name, 0))
			return true;
	return false;
}

static int suite_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		BATCH_OPTIONS,
		{ "kind", required_argument, NULL, 'k' },
		{ "group", required_argument, NULL, 'g' },
		{ "matrix", required_argument, NULL, 'm' },
		{ "repeat", required_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct batch ex = { .format = NULL };
	struct axis axes[MAX_AXES];
	const char *set[MAX_AXES], *kind = NULL, *group = NULL;
	uint64_t repeat = 1;
	size_t nr_axes = 0;
	bool list = false;
	int opt, status = EXIT_OK;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'k':
			kind = optarg;
			break;
		case 'g':
			group = optarg;
			break;
		case 'm':
			if (nr_axes == MAX_AXES)
				return usage_error(cmd, "more than %d --matrix", MAX_AXES);
			axes[nr_axes].param = optarg;
			axes[nr_axes].values = strchr(optarg, '=');
			if (!axes[nr_axes].values)
				return usage_error(cmd, "--matrix wants parameter=value,value...; not '%s'",
						   optarg);
			*axes[nr_axes++].values++ = '\0';
			break;
		case 'r':
			if (!parse_u64(optarg, false, &repeat) || !repeat || repeat > MAX_RUNS)
				return usage_error(cmd, "--repeat wants 1 to %d, not '%s'",
						   MAX_RUNS, optarg);
			break;
		case 'l':
			list = true;
			break;
		default:
			status = batch_option(&ex, cmd, opt, optarg);
			if (status < 0)
				return bad_option(cmd, opt, argv);
			if (status)
				return status;
		}
	}
	if (kind && strcmp(kind, "workload") && strcmp(kind, "adversary"))
		return usage_error(cmd, "--kind is workload or adversary, not '%s'", kind);
	for (size_t i = 0; i < nr_axes; i++) {
		bool any = false;

		for (const struct scenario *const *s = scenarios(); *s; s++)
			any |= has_param(*s, axes[i].param);
		if (!any)
			return usage_error(cmd, "no scenario has a parameter '%s'", axes[i].param);
	}
	for (char **p = argv + optind; *p; p++) {
		bool any = false;

		for (const struct scenario *const *s = scenarios(); *s; s++)
			any |= !fnmatch(*p, (*s)->name, 0);
		if (!any)
			return usage_error(cmd, "no scenario fits '%s'", *p);
	}
	for (uint64_t n = 0; n < repeat && !status; n++)
		for (const struct scenario *const *s = scenarios(); *s && !status; s++)
			if (chosen(*s, kind, group, argv + optind))
				status = add_all(&ex, cmd, *s, axes, nr_axes, 0, set, 0);
	ex.per_round = ex.nr_runs / repeat;
	if (!status && !ex.nr_runs)
		status = usage_error(cmd, "no scenario is left to run");
	if (!status && list) {
		for (size_t i = 0; i < ex.nr_runs; i++) {
			printf("%s", ex.runs[i].scenario->name);
			for (size_t k = 0; k < ex.runs[i].n; k++)
				printf(" %s=%s", ex.runs[i].values[k].decl->name,
				       ex.runs[i].values[k].text);
			putchar('\n');
		}
		status = flushed(cmd, EXIT_OK);
	} else if (!status) {
		return batch_run(&ex, cmd);
	}
	batch_free(&ex);
	return status;
}

const struct command cmd_suite = {
	.name = "suite",
	.summary = "run many scenarios, over a matrix of parameters",
	.help = help,
	.run = suite_run,
};
