// SPDX-License-Identifier: GPL-2.0-only
/* tagscope run */
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "commands/batch.h"
#include "run/registry.h"
#include "ui/ui.h"

static const char help[] =
	"Usage: tagscope run [options] SCENARIO [PARAMETER=VALUE]... [SCENARIO ...]\n\n"
	"Runs scenarios, each in a process of its own.\n\n"
	"  --step            wait for a key at each step (needs a terminal)\n"
	"  --ui              in the terminal UI, beside the map of tag storage\n"
	BATCH_HELP
	"  --help            this text\n\n"
	"Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 error, 4 it was skipped.\n\n"
	"Examples:\n"
	"  tagscope run --step mmap\n"
	"  tagscope run mmap pages=512 layout=dense\n"
	"  tagscope run --format json --output mmap.json --seed 7 mmap\n";

static int run_in_ui(const struct command *cmd, struct batch *ex)
{
	struct run_options run = { .params = ex->runs, .seed = ex->seed,
				   .step_mode = true, .time_limit_s = ex->time_limit_s };
	struct ui_options ui = { .run = &run, .interval_ms = 200,
				 .color = color_wanted(stdout) };
	int status;

	if (ex->nr_runs != 1)
		return usage_error(cmd, "--ui shows one scenario at a time");
	if (!ex->have_seed)
		run.seed = now_ns() & UINT32_MAX;
	if (ex->color && strcmp(ex->color, "auto"))
		ui.color = !strcmp(ex->color, "always");
	status = ui_main(&ui);
	batch_free(ex);
	return status;
}

static int run_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		BATCH_OPTIONS,
		{ "step", no_argument, NULL, 'S' },
		{ "ui", no_argument, NULL, 'U' },
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
	if (ui && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return run_in_ui(cmd, &ex);
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
