// SPDX-License-Identifier: GPL-2.0-only
/* Threads that do something all the time: see storm.h. */
#include "attack/fill.h"
#include "attack/storm.h"
#include "scenario/thread.h"

static struct part {
	pthread_t thread;
	unsigned int number;
	char *memory;
	size_t pages;
	int rounds;		/* how often it has gone through all of it */
} parts[STORM_THREADS];
static storm_fn what;
static int ends;

static void *storm(void *arg)
{
	struct part *s = arg;

	for (size_t at = 0, n; !__atomic_load_n(&ends, __ATOMIC_RELAXED);
	     at = at + n < s->pages ? at + n : 0) {
		n = s->pages - at < STORM_PAGES ? s->pages - at : STORM_PAGES;
		what(s->number, s->memory + at * page_size(), n);
		if (at + n == s->pages)
			__atomic_add_fetch(&s->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

void storm_begin(struct run *r, const struct attacker *a, storm_fn fn)
{
	what = fn;
	for (unsigned int i = 0; i < STORM_THREADS; i++) {
		struct part *s = &parts[i];

		s->number = i;
		s->pages = a->pages / STORM_THREADS;
		s->memory = a->memory + i * s->pages * page_size();
		/* The last one has the rest. */
		if (i == STORM_THREADS - 1)
			s->pages = a->pages - i * s->pages;
		s->thread = thread_start(r, storm, s);
	}
	for (unsigned int i = 0; i < STORM_THREADS; i++)
		if (!eventually(PATIENCE_MS, __atomic_load_n(&parts[i].rounds, __ATOMIC_ACQUIRE)))
			bail(r, "the storm does not get on");
}

void storm_end(void)
{
	__atomic_store_n(&ends, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < STORM_THREADS; i++)
		pthread_join(parts[i].thread, NULL);
}
