// SPDX-License-Identifier: GPL-2.0-only
/* Threads of scenarios: see thread.h. */
#include <errno.h>
#include <sched.h>

#include "scenario/thread.h"

pthread_t thread_start(struct run *r, void *(*fn)(void *arg), void *arg)
{
	pthread_t t;

	bail_if_error(r, -pthread_create(&t, NULL, fn, arg), "pthread_create");
	return t;
}

void thread_run_on(struct run *r, unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bail_errno(r, "sched_setaffinity");
}
