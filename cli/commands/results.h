/* SPDX-License-Identifier: GPL-2.0-only */
/* What came out of many runs, for "compare". */
#ifndef TAGSCOPE_RESULTS_H
#define TAGSCOPE_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

enum side { SIDE_OLD, SIDE_NEW };

/* A run; key names the scenario, its parameters and the machine, but no seed. */
struct result_run {
	char *key;
	enum side side;
	/* bad: another outcome than was expected; excused: the same, in quarantine */
	bool bad, excused, skipped;
	bool missing;		/* it was to run, and has not */
	char *why;		/* one line; "" if there is nothing to say */
	char **failures;	/* NULL at the end; of a bad one */
};

struct result_sample {
	char *key, *scenario, *name, *unit;
	enum side side;
	double value;
	bool exact;		/* its time was counted in instructions */
};

struct results {
	struct result_run *runs;
	size_t nr_runs;
	struct result_sample *samples;
	size_t nr_samples;
};

/*
 * Add what is at path: a folder that scripts/suite has made, the results.jsonl of one, or a
 * file of events, as --format json writes it. 0, or -errno with the reason, and the line, in
 * why (size bytes).
 */
int results_read(struct results *r, const char *path, enum side side, char *why, size_t size);
void results_free(struct results *r);

#endif
