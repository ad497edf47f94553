// SPDX-License-Identifier: GPL-2.0-only
/* tagscope report */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"
#include "output/results_file.h"
#include "record/recording.h"
#include "report/report.h"

#define MAX_FILES 8

static const char help[] =
	"Usage: tagscope report [options] FILE...\n\n"
	"Makes one page of HTML of recordings (tagscope record): what ran, with which results, the\n"
	"map of tag storage with a slider, plots of counters and latencies, and each failed result\n"
	"with what came before it. Of two, what differs. The page needs no network and no other\n"
	"file; it can be printed. Plots are gnuplot's, if it is installed.\n\n"
	"  --output FILE, -o FILE  the page (report.html)\n"
	"  --help                  this text\n\n"
	"Exit status: 0; 3 if a recording cannot be read, or is not whole.\n\n"
	"Examples:\n"
	"  tagscope report --output mmap.html mmap.rec\n"
	"  tagscope report --output differs.html mmap.rec mprotect.rec\n";

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int write_page(const struct command *cmd, const char *path, const struct report_input *in,
		      size_t n)
{
	struct results_file out;
	int err = results_open(&out, path, true), end;

	if (!err) {
		err = report_page(out.f, in, n);
		end = results_close(&out, path, !err);
		err = err ? err : end;
	}
	return err ? problem(cmd, EXIT_FAILED, "cannot write to %s: %s", path, strerror(-err)) :
		     EXIT_OK;
}

static int report_files(const struct command *cmd, const char *path, char **files, size_t n)
{
	struct report_input in[MAX_FILES] = { { .name = NULL } };
	struct recording *rec[MAX_FILES] = { NULL };
	char why[MAX_FILES][300];
	int status = EXIT_OK, written = EXIT_OK;

	for (size_t i = 0; i < n; i++) {
		int err = recording_read(files[i], &rec[i], why[i], sizeof(why[i]));

		in[i] = (struct report_input){ .name = base_name(files[i]), .rec = rec[i],
					       .trouble = err ? why[i] : NULL };
		if (err)
			status = problem(cmd, EXIT_NOT_HERE, "%s: %s", files[i], why[i]);
		if (!rec[i])
			written = EXIT_NOT_HERE;
	}
	if (!written)
		written = write_page(cmd, path, in, n);
	for (size_t i = 0; i < n; i++)
		recording_free(rec[i]);
	return written ? written : status;
}

static int report_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = "report.html";
	int opt;

	while ((opt = getopt_long(argc, argv, ":ho:", options, NULL)) != -1) {
		if (opt != 'o')
			return bad_option(cmd, opt, argv);
		path = optarg;
	}
	if (optind == argc)
		return usage_error(cmd, "which recording?");
	if (argc - optind > MAX_FILES)
		return usage_error(cmd, "more than %d recordings", MAX_FILES);
	return report_files(cmd, path, argv + optind, (size_t)(argc - optind));
}

const struct command cmd_report = {
	.name = "report",
	.summary = "make a page of HTML of recordings",
	.help = help,
	.run = report_run,
};
