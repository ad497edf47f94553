/* SPDX-License-Identifier: GPL-2.0-only */
/* The scenario that runs in the UI: what it said so far. It knows nothing of the screen. */
#ifndef TAGSCOPE_UI_SESSION_H
#define TAGSCOPE_UI_SESSION_H

#include "ui/log.h"
#include "run/runner.h"

enum session_phase {
	SESSION_NONE,		/* only watching */
	SESSION_READY,		/* waits for the user to begin */
	SESSION_RUNNING,
	SESSION_ENDED,
};

struct session_result {
	unsigned int step;
	bool ok, skipped;	/* both: it could not be had here */
	char *text, *detail;	/* detail: NULL if ok, but the reason if skipped */
};

struct session_measure {
	char *name, *unit;
	double value;
};

struct session {
	const struct run_options *opt;
	struct run_options run;		/* with the step mode as it is now */
	struct runner *rn;
	enum session_phase phase;
	struct log *log;

	unsigned int step;
	bool step_mode, waiting;
	bool new_step;			/* set when a step began; the UI clears it */
	char *narration;
	char changes[900];		/* in tag storage, by the step before */
	struct state_summary last;
	bool have_last;

	struct session_result *results;
	size_t nr_results;
	unsigned int passed, failed, skipped;
	struct session_measure *measures;
	size_t nr_measures;

	enum verdict verdict;
	char reason[512];
	uint64_t ns;
};

/* opt NULL: there is none. */
void session_init(struct session *s, const struct run_options *opt, struct log *log);
void session_free(struct session *s);

/* Begin, also once more after the end. */
void session_start(struct session *s);
/* Let the step go on that waits. */
void session_continue(struct session *s);
void session_set_step_mode(struct session *s, bool on);
/* End it now. */
void session_abort(struct session *s, const char *reason);
/* What to poll for reading, -1: nothing; then call session_dispatch(). */
int session_fd(const struct session *s);
void session_dispatch(struct session *s);

/* As an exit status: 0 if nothing was run. */
int session_status(const struct session *s);

const struct scenario *session_scenario(const struct session *s);

/*
 * Commands that go on from here, one a line, each followed by what it would show: line i
 * in buf; false: there is no such line.
 */
bool session_next(const struct session *s, unsigned int i, char *buf, size_t size);

#endif
