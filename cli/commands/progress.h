/* SPDX-License-Identifier: GPL-2.0-only */
/* How far a run is, on stderr, for who does not see its results as they come. */
#ifndef TAGSCOPE_PROGRESS_H
#define TAGSCOPE_PROGRESS_H

#include "run/runner.h"

struct progress {
	bool on, tty;
	unsigned int planned, ended, failed;
	char name[64];		/* the scenario that runs; "" between two */
	unsigned int step;
	uint64_t start;		/* of that scenario */
	uint64_t last;		/* when something was shown */
};

/*
 * Nothing is shown unless "wanted". On a terminal it is one line that is written anew each
 * second; elsewhere a line every 10 s.
 */
void progress_begin(struct progress *p, bool wanted, unsigned int planned);
void progress_event(struct progress *p, const struct event *ev);
/* Show it, if it is time to. Returns in how many ms it will be again; -1: never. */
int progress_tick(struct progress *p);
/* Take the line away, before something else is written to stderr, or at the end. */
void progress_clear(struct progress *p);

#endif
