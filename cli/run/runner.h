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

#include "event/event.h"
#include "scenario/param.h"
#include "scenario/scenario.h"

struct run_options {
	const struct run_params *params;	/* says the scenario; must outlive the runner */
	uint64_t seed;
	bool step_mode;
	unsigned int time_limit_s;		/* 0: the scenario's own */
};

/* What EVENT_START says of such a run, to be freed; NULL: out of memory. */
struct event_start *run_about(const struct run_options *opt);
void run_about_free(struct event_start *about);

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
