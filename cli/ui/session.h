/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A run in the UI: what it said so far. It knows nothing of the screen, and takes what
 * happens from a source of events: a live run (live.h) is one, a replay may be another.
 */
#ifndef TAGSCOPE_UI_SESSION_H
#define TAGSCOPE_UI_SESSION_H

#include "event/event.h"
#include "ui/log.h"

enum session_phase {
	SESSION_NONE,		/* only watching */
	SESSION_READY,		/* waits for the user to begin */
	SESSION_RUNNING,
	SESSION_ENDED,
};

struct session_result {
	unsigned int step;
	bool ok, skipped;	/* both: it was not possible here */
	char *text, *detail;	/* detail: NULL if ok, but the reason if skipped */
};

struct session_measure {
	char *name, *unit;
	double value;
};

struct session_source {
	const struct session_ops *ops;
};

struct session_ops {
	/* EVENT_START, as it will come: what it is, before it begins. The source's. */
	const struct event *(*about)(const struct session_source *src);
	/*
	 * Begin, also once more after the end. Events come, from here on, in this call and
	 * in dispatch(). false: out of memory.
	 */
	bool (*start)(struct session_source *src, bool step_mode, event_fn fn, void *ctx);
	/* The step that waits goes on. */
	void (*go_on)(struct session_source *src);
	void (*set_step_mode)(struct session_source *src, bool on);
	/* End it; EVENT_END comes soon. */
	void (*abort)(struct session_source *src, const char *reason);
	/* Readable when there is something to dispatch. */
	int (*fd)(const struct session_source *src);
	/* Deliver what there is. false: it has ended. */
	bool (*dispatch)(struct session_source *src);
	/* After the end: give back what it holds but for about(). */
	void (*finish)(struct session_source *src);
	/*
	 * What to try next: line i, a command and after a newline what it would show, in buf;
	 * false: there is no such line. NULL: nothing.
	 */
	bool (*next)(const struct session_source *src, unsigned int i, char *buf, size_t size);
};

/* Who else hears what a session hears, the first time that it runs. fn NULL: nobody. */
struct session_tee {
	event_fn fn;
	void *ctx;
};

struct session {
	struct session_source *src;	/* NULL: there is no run, only watching */
	const struct event *about;	/* NULL likewise */
	enum session_phase phase;
	struct log *log;
	struct session_tee tee;
	bool told;			/* the tee has heard it to its end */

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

/* src NULL: there is none. */
void session_init(struct session *s, struct session_source *src, bool step_mode, struct log *log,
		  struct session_tee tee);
void session_free(struct session *s);

/* Begin, also once more after the end. */
void session_start(struct session *s);
/* Back to before it began; of what runs, only a replay may be asked for it. */
void session_rewind(struct session *s);
/* Let the step go on that waits. */
void session_continue(struct session *s);
void session_set_step_mode(struct session *s, bool on);
/* End it now. */
void session_abort(struct session *s, const char *reason);
/* What to poll for reading, -1: nothing; then call session_dispatch(). */
int session_fd(const struct session *s);
void session_dispatch(struct session *s);

/* What was never begun is a skip, for whoever listens too. */
void session_leave(struct session *s);
/* The exit status of n sessions: as report_status() has it; 0 if there is no run. */
int sessions_status(const struct session *s, size_t n);

#endif
