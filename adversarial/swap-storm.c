// SPDX-License-Identifier: GPL-2.0-only
/*
 * swap-storm: the attacker has its pages swapped out and touches them again, all the time. A
 * page on its way is locked, under write-back, or in the swap cache.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "attack/attack.h"
#include "attack/storm.h"

static void swap_out_and_in(unsigned int thread, char *p, size_t pages)
{
	(void)thread;
	if (madvise(p, pages * page_size(), MADV_PAGEOUT))
		abort();
	for (size_t i = 0; i < pages; i++)
		(void)*(volatile char *)(p + i * page_size());
}

static size_t hold(struct run *r, struct attacker *a)
{
	storm_begin(r, a, swap_out_and_in);
	return a->pages;
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	storm_end();
}

static const struct technique swap_storm = {
	.role = {
		.name = "attacker",
		.summary = "has its pages swapped out and in again, in two threads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STORM_SYSCALLS),
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
	  .needs = NEED_TAG_STORAGE | NEED_SWAP);
