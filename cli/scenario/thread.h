/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: threads, and which CPU they run on. As in scenario.h, what cannot be done
 * ends the scenario with a clear result.
 */
#ifndef TAGSCOPE_THREAD_H
#define TAGSCOPE_THREAD_H

#include <pthread.h>

#include "scenario/scenario.h"

/* The caller joins or detaches it. */
pthread_t thread_start(struct run *r, void *(*fn)(void *arg), void *arg);
/* The calling thread runs on this CPU only, from now on. */
void thread_run_on(struct run *r, unsigned int cpu);

#endif
