/* SPDX-License-Identifier: GPL-2.0-only */
/* How results are shown. Each format is one file with one ops struct. */
#ifndef TAGSCOPE_FORMAT_H
#define TAGSCOPE_FORMAT_H

#include <stdio.h>

#include "event/event.h"

struct report {
	const struct format *format;
	FILE *out;
	bool color, verbose;
	unsigned int planned;		/* scenarios that will be run */
	int err;			/* 0, or -errno of begin: nothing comes out */
	unsigned int verdicts[VERDICT_SKIP + 1];
	void *priv;			/* the format's, made in begin, freed in end */
};

struct format {
	const char *name;
	const char *summary;
	bool whole;		/* of no use to anybody before its end */
	/* Before the first and after the last scenario; 0 or -ENOMEM. May be NULL. */
	int (*begin)(struct report *rep);
	/* From EVENT_START to EVENT_END of each. */
	void (*event)(struct report *rep, const struct event *ev);
	int (*end)(struct report *rep);
};

extern const struct format format_pretty, format_ktap, format_json, format_junit;

/* All of them, NULL at the end. */
extern const struct format *const formats[];
const struct format *format_find(const char *name);
/* pretty on a terminal, KTAP otherwise. */
const struct format *format_default(FILE *out);
/* Whether colours should be used there: a terminal, and no NO_COLOR. */
bool color_wanted(FILE *out);

/*
 * An event_fn; ctx is the report. Formats know nothing but events, so it makes no difference
 * whether they come from a run or from a file. The first is the plan.
 */
void report_event(void *ctx, const struct event *ev);
/* Also flushes: a full disk is an error, with a message. 0 or -errno. */
int report_end(struct report *rep);
/*
 * The exit status for all that was run: 1 if something failed; else 3 if something
 * had an error; else 0 if something passed; else 4.
 */
int report_status(const struct report *rep);

/* A figure as people write it: no trailing zeros, up to 15 digits; in buf. */
const char *format_value(double value, char *buf, size_t size);

#endif
