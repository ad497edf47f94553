// SPDX-License-Identifier: GPL-2.0-only
/*
 * swap-storm: the attacker has its pages swapped out and touches them again, all the time. A
 * page on its way is locked, under write-back, or in the swap cache.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "attack/attack.h"
#include "scenario/thread.h"

#define THREADS 2
#define STEP 64

static struct storm {
	pthread_t thread;
	char *memory;
	size_t pages;
} storms[THREADS];
static int ends;

static void *storm(void *arg)
{
	struct storm *s = arg;

	for (size_t at = 0; !__atomic_load_n(&ends, __ATOMIC_RELAXED);
	     at = at + STEP < s->pages ? at + STEP : 0) {
		size_t n = s->pages - at < STEP ? s->pages - at : STEP;
		char *p = s->memory + at * page_size();

		if (madvise(p, n * page_size(), MADV_PAGEOUT))
			abort();
		for (size_t i = 0; i < n; i++)
			(void)*(volatile char *)(p + i * page_size());
	}
	return NULL;
}

static size_t hold(struct run *r, struct attacker *a)
{
	for (size_t i = 0; i < THREADS; i++) {
		struct storm *s = &storms[i];

		s->pages = a->pages / THREADS;
		s->memory = a->memory + i * s->pages * page_size();
		s->thread = thread_start(r, storm, s);
	}
	return a->pages;
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	__atomic_store_n(&ends, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(storms[i].thread, NULL);
}

static const struct technique swap_storm = {
	.role = {
		.name = "attacker",
		.summary = "has its pages swapped out and in again, in two threads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "clone", "clone3", "mprotect"),
	},
	.max_pages = 16000,
	.place = place_anonymous,
	.hold = hold,
	.release = release,
	.mode = MODES_TRANSIENT,
};

ADVERSARY(swap_storm,
	  .name = "swap-storm",
	  .summary = "swaps pages of tag storage out and in all the time",
	  .explanation =
		"madvise(MADV_PAGEOUT) is for anybody. A page on its way to swap is locked, then in the swap cache, "
		"and under write-back with a disk; none of that lasts, but it is often enough the wrong moment. It "
		"costs others attempts; nobody may fail for it with the mitigations on.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_POLICY_CMA | NEED_SWAP);
