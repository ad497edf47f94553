/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that do something with parts of the attacker's memory all the time. */
#ifndef TAGSCOPE_ATTACK_STORM_H
#define TAGSCOPE_ATTACK_STORM_H

#include "attack/attack.h"

#define STORM_THREADS 2
#define STORM_PAGES 64		/* at once, at most */

/* What a thread, 0 on, does with pages from p on. It must not end the process otherwise. */
typedef void (*storm_fn)(unsigned int thread, char *p, size_t pages);

/*
 * Begin: each thread has its part of a->memory, and goes through it over and over again.
 * Returns when all have gone through it once.
 */
void storm_begin(struct run *r, const struct attacker *a, storm_fn fn);
void storm_end(void);

#define STORM_SYSCALLS "clone", "clone3", "mprotect"

#endif
