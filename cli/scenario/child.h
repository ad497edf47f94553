/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of a scenario's process: what it and the runner agree on. */
#ifndef TAGSCOPE_CHILD_H
#define TAGSCOPE_CHILD_H

#include <stdint.h>

#include "scenario/param.h"
#include "scenario/scenario.h"

/* File descriptors in the scenario's process. */
#define RUN_FD_SAY 3		/* SOCK_SEQPACKET to the runner, one event a packet */
#define RUN_FD_GO 4		/* a byte from the runner for each step that waited */

#define RUN_MAX_PACKET 16384

/* Exit statuses of roles that ended the scenario, in a range that nothing else uses. */
#define RUN_EXIT_ENDED 121

/* Shared with the runner: it may change its mind about waiting at steps. */
struct run_control {
	volatile int step_mode;
};

/*
 * The life of the scenario's process, from after the fork: never returns. The two
 * descriptors above are in place, stdin is empty, stdout and stderr are captured.
 */
void run_child(const struct run_params *params, uint64_t seed, struct run_control *control)
	__attribute__((noreturn));

#endif
