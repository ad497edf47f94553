/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside of a scenario's process and its roles: what the files that implement
 * scenario.h share.
 */
#ifndef TAGSCOPE_RUN_PRIVATE_H
#define TAGSCOPE_RUN_PRIVATE_H

#include "event/event.h"
#include "scenario/child.h"

struct run {
	const struct run_params *params;
	struct run_control *control;
	uint64_t seed, rnd;
	const struct role *role;	/* NULL: the scenario's own process */
	pid_t pid;
	struct state *state;
	struct child *children;
	unsigned int roles;
	uint64_t swap_cache_left;	/* of pages_left_in_swap_cache(), the most so far */
};

/* ---- say.c ----------------------------------------------------------------- */

/* Say that the scenario came to its end. */
void say_end(struct run *r);
/* Say how this process ends. Safe enough for a handler of a fatal signal. */
void say_exit(struct run *r, enum event_exit how, const char *text);
/* End this process, and with it the scenario: the runner kills the rest. */
void end_with(struct run *r, enum event_exit how, const char *text) __attribute__((noreturn));
/* One result; returns ok. What and where are shown if it is not. */
bool say_result(struct run *r, bool ok, const char *text, const char *detail, const char *what,
		const char *file, int line);

/* ---- read_state.c ---------------------------------------------------------- */

/* This process's reader of the state; NULL: it cannot be read here, unless it must. */
struct state *run_reader(struct run *r, bool must);

/* ---- kernel_file.c --------------------------------------------------------- */

#define DROP_CACHES "/proc/sys/vm/drop_caches"
/* End the scenario with an error unless it may change this. */
void must_be_declared(struct run *r, const char *path);

/* ---- last_words.c ---------------------------------------------------------- */

/* From now on this process says what fatal signal it dies of. */
void catch_crashes(struct run *r);
/* For confine(): says which system call was denied, and ends the scenario. */
void say_denied(const char *name) __attribute__((noreturn));

/* ---- role.c ---------------------------------------------------------------- */

/* Give this process the name by which the map of owners knows it. */
void process_name(const char *role);
/* At the end: a result for each role that crashed unnoticed, then none is left. */
void finish_roles(struct run *r);

#endif
