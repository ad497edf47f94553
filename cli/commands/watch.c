// SPDX-License-Identifier: GPL-2.0-only
/* tagscope watch */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "commands/batch.h"
#include "commands/counter_lines.h"
#include "kernel/state.h"
#include "output/format.h"
#include "scenario/scenario.h"
#include "ui/ui.h"

static const char help[] =
	"Usage: tagscope watch [options]\n\n"
	"Shows tag storage as it changes: on a terminal the UI with the map of blocks, else\n"
	"a line of counters at each interval. Needs root.\n\n"
	"  --plain          lines, also on a terminal\n"
	"  --interval MS    between two readings, 20 to 60000 (200 in the UI, else 1000)\n"
	"  --count N        end after N lines\n"
	"  --color WHEN     auto, always or never\n"
	LOOK_HELP
	"  --help           this text\n\n"
	"Examples:\n"
	"  tagscope watch\n"
	"  tagscope watch --plain --interval 500 --count 10\n";

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = sig;
}

static int plain(const struct command *cmd, unsigned int interval, uint64_t count)
{
	const struct timespec pause = { interval / 1000, interval % 1000 * 1000000L };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t blocked, unblocked;
	struct state_summary s;
	struct state *st;
	struct counter_lines lines = { .f = stdout };
	int status = EXIT_OK, err = state_open(&st);
	uint64_t start = now_ns();

	/* Let in only during the pause, which they end: none can come just before it. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &unblocked);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	for (uint64_t i = 0; !err && !stop && (!count || i < count); i++) {
		if (i)
			ppoll(NULL, 0, &pause, &unblocked);
		if (stop)
			break;
		err = state_read_summary(st, &s);
		if (err)
			break;
		counter_line(&lines, now_ns() - start, &s);
		status = flushed(cmd, EXIT_OK);
		if (status)
			break;
	}
	if (err)
		status = problem(cmd, EXIT_NOT_HERE, "%s", state_error(st));
	state_close(st);
	return status;
}

static int watch_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "plain", no_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		{ "color", required_argument, NULL, 'c' },
		LOOK_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *color = "auto";
	uint64_t interval = 0, count = 0;
	bool lines = false;
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			lines = true;
			break;
		case 'i':
			if (!parse_u64(optarg, false, &interval) || interval < 20 ||
			    interval > 60000)
				return usage_error(cmd, "--interval wants 20 to 60000 ms, not '%s'",
						   optarg);
			break;
		case 'n':
			if (!parse_u64(optarg, false, &count) || !count)
				return usage_error(cmd, "--count wants a number, not '%s'", optarg);
			lines = true;
			break;
		case 'c':
			color = optarg;
			if (strcmp(color, "auto") && strcmp(color, "always") &&
			    strcmp(color, "never"))
				return usage_error(cmd, "--color is auto, always or never, not '%s'",
						   color);
			break;
		case 'B':
		case 'T':
			if (look_option(cmd, opt, optarg) != EXIT_OK)
				return EXIT_USAGE;
			break;
		default:
			return bad_option(cmd, opt, argv);
		}
	}
	if (optind < argc)
		return usage_error(cmd, "unknown argument '%s'", argv[optind]);
	if (!lines && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		struct ui_options ui = {
			.interval_ms = interval ? (unsigned int)interval : 200,
			.color = strcmp(color, "auto") ? !strcmp(color, "always") :
							 color_wanted(stdout),
		};

		return ui_main(&ui);
	}
	return plain(cmd, interval ? (unsigned int)interval : 1000, count);
}

const struct command cmd_watch = {
	.name = "watch",
	.summary = "show tag storage as it changes",
	.help = help,
	.run = watch_run,
};
