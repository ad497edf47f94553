// SPDX-License-Identifier: GPL-2.0-only
/* tagscope attack */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "commands/attack_matrix.h"
#include "commands/command.h"
#include "output/format.h"
#include "run/registry.h"
#include "run/runner.h"

static const char help[] =
	"Usage: tagscope attack [options] [TECHNIQUE...]\n\n"
	"Attacks with each technique (the adversaries that 'tagscope list' names; all of them if\n"
	"none is given), and prints as a table what became of each victim.\n\n"
	"  --matrix            with all mitigations, with none, and, where that holds anything,\n"
	"                      with each by itself switched off\n"
	"  --mitigations MODE  on (default), pins-allowed, choose-off, replace-off or off: what\n"
	"                      is switched off; all: on, and those that the technique tells of\n"
	"  --victims LIST      ways to get tagged memory: mprotect, shared, mmap, memfd, cow,\n"
	"                      swapin, huge, kvm, kvm-plain; all (default)\n"
	"  --explain           tell who holds what a victim fails for\n"
	"  --json              for programs\n"
	"  --markdown          tables for documents\n"
	"  --seed N            repeat: random choices come from this number\n"
	"  --help              this text\n\n"
	"blocks: tag blocks with the attacker's data, and of them those it holds. p50, p99, max:\n"
	"of the victim's accesses. replays: faults sent back, by cause. rec: after the attack all\n"
	"works. The bystander tags nothing. Without an attack: the median of all runs.\n\n"
	"Exit status: 1 if anything failed, else 3 if there was an error, else 0 if anything\n"
	"passed, else 4: all was skipped.\n\n"
	"Examples:\n"
	"  tagscope attack splice-pin\n"
	"  tagscope attack --explain --mitigations off --victims mmap,cow vmsplice-pin\n"
	"  tagscope attack --matrix --json splice-pin\n";

struct attack_options {
	const char *mitigations, *victims;
	bool explain, json, markdown;
	uint64_t seed;
};

struct listening {
	const struct attack_options *opt;
	struct matrix_row *row;
	struct report rep;	/* only its verdicts */
};

static void listen(void *ctx, const struct event *ev)
{
	struct listening *l = ctx;

	matrix_event(l->row, ev);
	if (ev->type == EVENT_RESULT && !ev->ok)
		fprintf(stderr, "%s: not ok: %s (%s)\n", ev->scenario, ev->text,
			ev->detail ? ev->detail : "");
	if (ev->type == EVENT_NOTE && l->opt->explain && !strncmp(ev->text, "why: ", 5))
		fprintf(stderr, "%s: %s\n", ev->scenario, ev->text + 5);
	if (ev->type == EVENT_END)
		l->rep.verdicts[ev->end->verdict]++;
}

static bool set(struct run_params *p, const char *name, const char *value, char *why, size_t size)
{
	char text[300];

	snprintf(text, sizeof(text), "%s=%s", name, value);
	return run_params_set(p, text, why, size);
}

/* One technique. EXIT_OK: it was run, whatever came of it. */
static int attack_with(const struct command *cmd, const struct attack_options *o,
		       const struct scenario *s, struct listening *l)
{
	struct run_params params;
	struct run_options opt = { .params = &params, .seed = o->seed };
	char why[1024];

	if (!run_params_init(&params, s))
		return problem(cmd, EXIT_NOT_HERE, "out of memory");
	if (!set(&params, "mitigations", o->mitigations, why, sizeof(why)) ||
	    !set(&params, "victims", o->victims, why, sizeof(why)) ||
	    !set(&params, "explain", o->explain ? "yes" : "no", why, sizeof(why))) {
		run_params_free(&params);
		return usage_error(cmd, "%s: %s", s->name, why);
	}
	l->row->name = s->name;
	run_to_end(&opt, listen, NULL, l);
	run_params_free(&params);
	fprintf(stderr, "%-16s %s, %.1f s%s%s\n", s->name, verdict_name(l->row->verdict),
		l->row->seconds, *l->row->reason ? ": " : "", l->row->reason);
	return EXIT_OK;
}

static bool wanted(const struct scenario *s, char *const *names)
{
	if (s->kind != SCENARIO_ADVERSARY)
		return false;
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, s->name))
			return true;
	return false;
}

static int attack_all(const struct command *cmd, const struct attack_options *o,
		      char *const *names)
{
	struct listening l = { .opt = o };
	struct matrix_row *rows = NULL;
	size_t n = 0, all = 0;
	int status = EXIT_OK;

	for (const struct scenario *const *s = scenarios(); *s; s++)
		all++;
	rows = calloc(all + 1, sizeof(*rows));
	if (!rows)
		return problem(cmd, EXIT_NOT_HERE, "out of memory");
	for (const struct scenario *const *s = scenarios(); *s && !status; s++) {
		if (!wanted(*s, names))
			continue;
		l.row = &rows[n++];
		status = attack_with(cmd, o, *s, &l);
	}
	if (!status) {
		if (o->markdown)
			matrix_markdown(rows, n);
		else if (!o->json)
			matrix_table(rows, n);
		else if (!matrix_json(rows, n))
			status = problem(cmd, EXIT_NOT_HERE, "out of memory");
	}
	free(rows);
	return status ? status : flushed(cmd, report_status(&l.rep));
}

static int attack_main(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "matrix", no_argument, NULL, 'x' },
		{ "mitigations", required_argument, NULL, 'm' },
		{ "victims", required_argument, NULL, 'v' },
		{ "explain", no_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "markdown", no_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct attack_options o = { .mitigations = "on", .victims = "all", .seed = 1 };
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'x':
			o.mitigations = "needed";
			break;
		case 'm':
			o.mitigations = optarg;
			break;
		case 'v':
			o.victims = optarg;
			break;
		case 'e':
			o.explain = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'd':
			o.markdown = true;
			break;
		case 's':
			if (!parse_u64(optarg, false, &o.seed))
				return usage_error(cmd, "--seed wants a number, not '%s'", optarg);
			break;
		default:
			return bad_option(cmd, opt, argv);
		}
	}
	if (o.json && o.markdown)
		return usage_error(cmd, "--json or --markdown, not both");
	for (int i = optind; i < argc; i++) {
		const struct scenario *s = find_scenario(cmd, argv[i]);

		if (!s)
			return EXIT_USAGE;
		if (s->kind != SCENARIO_ADVERSARY)
			return usage_error(cmd, "%s is no adversary", s->name);
	}
	return attack_all(cmd, &o, argv + optind);
}

const struct command cmd_attack = {
	.name = "attack",
	.summary = "attack tag storage in many ways, and print what came of it",
	.help = help,
	.run = attack_main,
};
