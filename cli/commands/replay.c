// SPDX-License-Identifier: GPL-2.0-only
/* tagscope replay */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/batch.h"
#include "commands/counter_lines.h"
#include "record/recording.h"
#include "ui/replay.h"
#include "ui/ui.h"

static const char help[] =
	"Usage: tagscope replay [options] FILE\n\n"
	"Shows a recording (tagscope record): on a terminal in the UI, else what the format makes\n"
	"of it, as the run did. Needs neither a kernel nor root, on any computer.\n\n"
	"  --plain           no UI, also on a terminal: the results, or, if nothing was run, a\n"
	"                    line of counters for each change\n"
	"  --info            only say what it is: when, where and what was recorded\n"
	"  --speed N         so many times as fast, 0.1 to 100 (1)\n"
	"  --format FORMAT   pretty, ktap, json or junit: what the run would have written\n"
	"  --output FILE     write there instead of to the terminal\n"
	"  --color WHEN      auto, always or never; NO_COLOR in the environment is heeded\n"
	LOOK_HELP
	"  --help            this text\n\n"
	"In the UI: SPACE takes a step, p pauses, ( and ) go to the step before and after, < and >\n"
	"change the speed, g goes to a step, a result or a time; ? tells all keys.\n"
	"Exit status: that of the run; 3 if the recording is not whole.\n\n"
	"Examples:\n"
	"  tagscope replay mmap.rec\n"
	"  tagscope replay --plain mmap.rec\n"
	"  tagscope replay --format junit --output results.xml mmap.rec\n";

static void print_info(const struct recording *rec)
{
	size_t runs = 0;

	for (size_t i = 0; i < rec->nr; i++)
		runs += rec->entry[i].type == REC_EVENT &&
			rec->entry[i].event->type == EVENT_START;
	printf("command    %s\n", *rec->command ? rec->command : "?");
	printf("started    %s\n", *rec->started ? rec->started : "?");
	printf("kernel     %s (%s)\n", *rec->kernel ? rec->kernel : "?",
	       *rec->machine ? rec->machine : "?");
	printf("tagscope   %s\n", *rec->tagscope ? rec->tagscope : "?");
	printf("seconds    %.3f\n", (double)rec->end / 1e9);
	printf("runs       %zu\n", runs);
	printf("state      %s\n", rec->has_state ? "yes" : "none: there was no tag storage to see");
	if (rec->complete)
		printf("status     %d\n", rec->status);
	else
		printf("status     not known: it has no end\n");
}

/* Nothing was run in it: as "watch --plain" has it. */
static void print_counters(const struct recording *rec)
{
	struct counter_lines lines = { .f = stdout };
	struct playhead p;

	playhead_init(&p, rec);
	for (size_t i = 0; i < rec->nr; i++) {
		playhead_go_to(&p, i + 1);
		if (rec->entry[i].type == REC_SUMMARY || rec->entry[i].type == REC_COUNTERS)
			counter_line(&lines, rec->entry[i].at, &p.summary);
	}
	playhead_free(&p);
}

static int print_results(struct batch *ex, const struct command *cmd, const struct recording *rec)
{
	struct report rep;
	int status = batch_begin(ex, cmd, &rep);

	if (status)
		return status;
	for (size_t i = 0; i < rec->nr; i++)
		if (rec->entry[i].type == REC_EVENT)
			report_event(&rep, rec->entry[i].event);
	return batch_end(ex, cmd, &rep);
}

/* As report_status() has it, of what ran; EXIT_OK if nothing did. */
static int status_of(const struct recording *rec)
{
	bool seen[VERDICT_SKIP + 1] = { false };

	if (!rec->has_events)
		return EXIT_OK;
	for (size_t i = 0; i < rec->nr; i++)
		if (rec->entry[i].type == REC_EVENT && rec->entry[i].event->type == EVENT_END)
			seen[rec->entry[i].event->end->verdict] = true;
	return verdict_of_all(seen);
}

static int show(struct batch *ex, const struct recording *rec, double speed)
{
	struct replay *replay = replay_new(rec, speed);
	struct ui_options ui = { .interval_ms = 100, .color = batch_color(ex, stdout),
				 .replay = replay };
	int status;

	if (!replay) {
		fprintf(stderr, "tagscope: out of memory\n");
		return EXIT_NOT_HERE;
	}
	ui.runs = replay_runs(replay, &ui.nr_runs);
	status = ui_main(&ui);
	replay_free(replay);
	/* How far somebody looked makes no difference; a signal, or no UI at all, does. */
	return status > VERDICT_SKIP || status == EXIT_NOT_HERE ? status : status_of(rec);
}

static int replay_file(struct batch *ex, const struct command *cmd, const char *path, bool plain,
		       bool info, double speed)
{
	struct recording *rec;
	char why[300];
	int status, err = recording_read(path, &rec, why, sizeof(why));

	if (!rec)
		return problem(cmd, EXIT_NOT_HERE, "%s: %s", path, why);
	if (err)
		problem(cmd, 0, "%s: %s; what comes before it is shown", path, why);
	if (info) {
		print_info(rec);
		status = flushed(cmd, EXIT_OK);
	} else if (!plain && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		status = show(ex, rec, speed);
	} else if (rec->has_events) {
		status = print_results(ex, cmd, rec);
	} else {
		print_counters(rec);
		status = flushed(cmd, EXIT_OK);
	}
	recording_free(rec);
	return err ? EXIT_NOT_HERE : status;
}

static int replay_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "plain", no_argument, NULL, 'p' },
		{ "info", no_argument, NULL, 'i' },
		{ "speed", required_argument, NULL, 'S' },
		{ "format", required_argument, NULL, 'f' },
		{ "output", required_argument, NULL, 'o' },
		{ "color", required_argument, NULL, 'c' },
		LOOK_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	/* Nothing is run, so there is nothing to choose. */
	struct batch ex = { .have_seed = true };
	bool plain = false, info = false;
	double speed = 1;
	char *end;
	int opt, status;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			plain = true;
			break;
		case 'i':
			info = true;
			break;
		case 'S':
			speed = strtod(optarg, &end);
			if (end == optarg || *end || !(speed >= 0.1 && speed <= 100))
				return usage_error(cmd, "--speed wants 0.1 to 100, not '%s'",
						   optarg);
			break;
		default:
			status = batch_option(&ex, cmd, opt, optarg);
			if (status < 0)
				return bad_option(cmd, opt, argv);
			if (status)
				return status;
		}
	}
	if (optind + 1 != argc)
		return usage_error(cmd, optind == argc ? "which recording?" :
							 "one recording at a time");
	return replay_file(&ex, cmd, argv[optind], plain || ex.format || ex.output, info, speed);
}

const struct command cmd_replay = {
	.name = "replay",
	.summary = "show a recording",
	.help = help,
	.run = replay_run,
};
