/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Running a scenario in a process of its own, and hearing what it says. The runner
 * never blocks: whoever embeds it (the command line, the terminal UI) polls its file
 * descriptor and calls runner_dispatch(), and is called back for each event.
 */
#ifndef TAGSCOPE_RUNNER_H
#define TAGSCOPE_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/verdict.h"
#include "kernel/state.h"
#include "scenario/param.h"
#include "scenario/scenario.h"

enum event_type {
	EVENT_START,	/* .run */
	EVENT_STEP,	/* .text, .number, .waiting, .state */
	EVENT_RESULT,	/* .text, .number, .ok, .detail if it is not ok; or .skipped, .detail */
	EVENT_MEASURE,	/* .text is the name, .unit, .value */
	EVENT_NOTE,	/* .text */
	EVENT_OUTPUT,	/* .text: a line it wrote to stdout or stderr */
	EVENT_END,	/* .end, .state */
};

struct run_info {
	const struct scenario *scenario;
	const struct run_params *params;
	uint64_t seed;
	unsigned int time_limit_s;
};

struct run_end {
	enum verdict verdict;
	const char *reason;	/* one line: why it is not a pass; "" if it is */
	unsigned int steps, passed, failed, skipped;	/* the latter three: results */
	uint64_t ns;		/* how long it ran, without waiting for keys */
};

/* What an event has besides is NULL or 0. All of it is the runner's, valid during the call. */
struct event {
	enum event_type type;
	uint64_t t_ns;		/* since the start */
	const char *role;	/* who said it: a role's name, or "" for the scenario */
	const char *text;
	unsigned int number;	/* steps and results each count from 1 */
	bool waiting;		/* a step, in step mode: runner_continue() lets it go on */
	bool ok;
	bool skipped;		/* a result that could not be had here; .ok is true, too */
	const char *detail;	/* "got 0, wanted 1 (page.has_storage, workloads/mmap.c:40)", or a reason */
	const char *unit;
	double value;
	const struct state_summary *state;	/* as it was at that moment; NULL: not known */
	const struct run_info *run;
	const struct run_end *end;
};

typedef void (*event_fn)(void *ctx, const struct event *ev);

struct run_options {
	const struct run_params *params;	/* says the scenario; must outlive the runner */
	uint64_t seed;
	bool step_mode;
	unsigned int time_limit_s;		/* 0: the scenario's own */
};

struct runner;

/*
 * Check what the scenario needs and start it. EVENT_START is delivered from here; so
 * is EVENT_END if it cannot run here. The runner is returned in any case, NULL only
 * when out of memory. One at a time in a process: the scenario's orphans become
 * children of the caller (PR_SET_CHILD_SUBREAPER), and are killed.
 */
struct runner *runner_start(const struct run_options *opt, event_fn fn, void *ctx);

/* Becomes readable when runner_dispatch() has something to do; also for time limits. */
int runner_fd(const struct runner *rn);

/* Deliver what there is. false: the scenario ended (EVENT_END was delivered). */
bool runner_dispatch(struct runner *rn);

/* It waits at a step; let it go on. */
bool runner_waiting(const struct runner *rn);
void runner_continue(struct runner *rn);
/* From now on it waits at steps, or no more. */
void runner_set_step_mode(struct runner *rn, bool step_mode);

/* End it now; EVENT_END comes with this reason, as a failure. */
void runner_abort(struct runner *rn, const char *reason);

/* Kill what is left, put back switches, free. */
void runner_free(struct runner *rn);

/* The PID of the scenario's process, 0 when it is gone. */
pid_t runner_pid(const struct runner *rn);

/* All of the above: run to the end. With step mode, wait(ctx) is called at each step. */
enum verdict run_to_end(const struct run_options *opt, event_fn fn, void (*wait)(void *ctx),
			void *ctx);

#endif
