// SPDX-License-Identifier: GPL-2.0-only
/* tagscope run */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/batch.h"
#include "run/registry.h"
#include "ui/live.h"
#include "ui/ui.h"

static const char help[] =
	"Usage: tagscope run [options] SCENARIO [PARAMETER=VALUE]... [SCENARIO ...]\n\n"
	"Runs scenarios, each in a process of its own.\n\n"
	"  --step            wait for a key at each step (needs a terminal)\n"
	"  --ui              in the terminal UI, beside the map of tag storage; --output gets the\n"
	"                    results besides\n"
	BATCH_HELP
	LOOK_HELP
	"  --help            this text\n\n"
	"Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 error, 4 it was skipped.\n\n"
	"Examples:\n"
	"  tagscope run --step mmap\n"
	"  tagscope run mmap pages=512 layout=dense\n"
	"  tagscope run --format json --output mmap.json --seed 7 mmap\n";

static bool told_all(const struct report *rep)
{
	unsigned int told = 0;

	for (size_t v = 0; v <= VERDICT_SKIP; v++)
		told += rep->verdicts[v];
	return told == rep->planned;
}

static void hear(void *ctx, const struct event *ev)
{
	batch_event(ctx, ev);
}

/*
 * The terminal is the UI's; what the format makes of the runs goes to the file, if there is
 * one, and then is what counts: the first run of each scenario.
 */
static int run_in_ui(const struct command *cmd, struct batch *ex)
{
	struct ui_options ui = { .interval_ms = 200, .color = batch_color(ex, stdout) };
	struct report rep;
	int status, told;

	if (ex->format && !ex->output)
		return usage_error(cmd, "with --ui, --format is for --output: the terminal is the UI's");
	status = batch_begin(ex, cmd, &rep);
	if (status)
		return status;
	if (!ex->output)
		rep.out = NULL;
	ui.tee = (struct session_tee){ hear, &rep };
	batch_plan(&rep, (unsigned int)ex->nr_runs);
	ui.runs = calloc(ex->nr_runs, sizeof(*ui.runs));
	for (; ui.runs && ui.nr_runs < ex->nr_runs; ui.nr_runs++) {
		struct run_options opt = batch_options(ex, ui.nr_runs);

		ui.runs[ui.nr_runs] = live_new(&opt);
		if (!ui.runs[ui.nr_runs])
			break;
	}
	status = ui.nr_runs == ex->nr_runs ? ui_main(&ui) :
					     problem(cmd, EXIT_NOT_HERE, "out of memory");
	if (ex->output) {
		told = batch_end(ex, cmd, &rep);
		/* A signal is not in the file, and a UI that did not start neither. */
		if (status <= VERDICT_SKIP && told_all(&rep))
			status = told;
	}
	for (size_t i = 0; i < ui.nr_runs; i++)
		live_free(ui.runs[i]);
	free(ui.runs);
	return status;
}

static int run_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		BATCH_OPTIONS,
		{ "step", no_argument, NULL, 'S' },
		{ "ui", no_argument, NULL, 'U' },
		LOOK_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct batch ex = { .format = NULL };
	struct run_params *current = NULL;
	bool ui = false;
	char why[1024];
	int opt, status;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'S') {
			ex.step_mode = true;
		} else if (opt == 'U') {
			ui = true;
		} else {
			status = batch_option(&ex, cmd, opt, optarg);
			if (status < 0)
				return bad_option(cmd, opt, argv);
			if (status)
				return status;
		}
	}
	if (optind == argc)
		return usage_error(cmd, "which scenario? ('tagscope list' names them)");
	for (int i = optind; i < argc; i++) {
		const struct scenario *s;

		if (strchr(argv[i], '=')) {
			if (!current)
				status =
					usage_error(cmd, "'%s' comes before any scenario", argv[i]);
			else if (run_params_set(current, argv[i], why, sizeof(why)))
				continue;
			else
				status = usage_error(cmd, "%s", why);
			batch_free(&ex);
			return status;
		}
		s = find_scenario(cmd, argv[i]);
		current = s ? batch_add(&ex, cmd, s) : NULL;
		if (!current) {
			batch_free(&ex);
			return s ? EXIT_NOT_HERE : EXIT_USAGE;
		}
	}
	if (ui && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		status = run_in_ui(cmd, &ex);
		batch_free(&ex);
		return status;
	}
	if (ui)
		problem(cmd, 0, "not a terminal: going on as plain text");
	return batch_run(&ex, cmd);
}

const struct command cmd_run = {
	.name = "run",
	.summary = "run scenarios",
	.help = help,
	.run = run_run,
};
