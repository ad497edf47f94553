/* SPDX-License-Identifier: GPL-2.0-only */
/* How the scenario has its roles do one thing after the other. */
#ifndef TAGSCOPE_ATTACK_PHASE_H
#define TAGSCOPE_ATTACK_PHASE_H

#include "scenario/scenario.h"

struct phase {
	struct gate *begin, *done;
};

void phases_new(struct run *r, struct phase *p, size_t n);

/* The role: wait until it is to begin. */
void phase_wait(struct run *r, const struct phase *p);

/*
 * The scenario: wait until the role has done it. If the role ends before, or makes no end
 * of it, the scenario ends: "the ROLE has not WHAT".
 */
void phase_await(struct run *r, const struct phase *p, struct child *c, const struct role *role,
		 const char *what);
/* Begin it, and await that. */
void phase_do(struct run *r, const struct phase *p, struct child *c, const struct role *role,
	      const char *what);

/* Say what a process that makes no progress is doing. */
void note_stuck(struct run *r, const char *who, pid_t pid);

#endif
