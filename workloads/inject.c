// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/inject.c: each way to find storage for tags fails at random, and programs
 * notice nothing but that it takes longer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define AREAS 24
#define PAGES 32
#define EXTRA_NS 60000000000
#define MIN_ROUNDS 50	/* on a slow machine, too */

static void fail_all(struct run *r, uint64_t percent)
{
	for (enum failure f = 0; f < NR_FAILURES; f++)
		fail_attempts(r, f, percent, 0);
}

static bool bad_area(const struct area *a)
{
	return area_check_data(a).count || area_check_tags(a).count;
}

/* Something that programs do with tagged memory; the area is as its seeds say, after it. */
static void act(struct run *r, struct area *a, bool swap)
{
	pid_t pid;
	int status;

	switch (rnd_below(r, swap ? 6 : 5)) {
	case 0:		/* new pages */
		area_unmap(r, a);
		*a = area_map(r, PAGES, true);
		area_write(r, a);
		break;
	case 1:		/* tagged only later: they wait for storage */
		area_unmap(r, a);
		*a = area_map(r, PAGES, false);
		area_write_data(r, a);
		area_protect(r, a, true);
		a->tags = 0;
		area_write_tags(r, a);
		break;
	case 2:		/* new tags */
		area_write_tags(r, a);
		break;
	case 3:		/* copies: the child writes, then the parent */
		pid = fork();
		if (pid < 0)
			bail_errno(r, "fork");
		if (!pid) {
			bool good = !bad_area(a);

			for (size_t i = 0; i < a->n; i++)
				*(volatile char *)area_page(a, i) += 1;
			_exit(good ? 0 : 1);
		}
		area_write_data(r, a);
		if (waitpid(pid, &status, 0) != pid)
			bail_errno(r, "waitpid");
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			expect(r, false, "a child of fork() finds data and tags as they were");
		break;
	case 4:		/* less of it, and again all */
		if (madvise(a->base, area_len(a) / 2, MADV_DONTNEED))
			bail_errno(r, "madvise(MADV_DONTNEED)");
		area_write(r, a);
		break;
	case 5:
		if (madvise(a->base, area_len(a), MADV_PAGEOUT))
			bail_errno(r, "madvise(MADV_PAGEOUT)");
		break;
	}
}

static uint64_t failed_since(struct run *r, const struct state_summary *start)
{
	return summary_now(r).reserve_busy - start->reserve_busy;
}

static void inject_run(struct run *r)
{
	uint64_t seconds = param_u64(r, "seconds"), percent = param_u64(r, "percent");
	struct state_summary start = summary_now(r), s;
	struct area area[AREAS];
	struct ballast *b = ballast_new(r);
	uint64_t rounds = 0, bad = 0, misplaced = 0, end;
	char *none[1];
	bool swap = memory_now(r).swap_free > 64 << 20;

	if (!failures_known(r, "memory is intact while storage cannot be found"))
		return;

	step(r,
	     "Memory is filled, so that data lies in tag storage and has to be moved for each new tag block. Then %llu of 100 attempts fail: to take a free block, to empty a block, to move a page.",
	     (unsigned long long)percent);
	/* Tagged memory cannot use what is free in tag storage, nor be swapped out here. */
	ballast_into_tag_storage(r, b, 256, swap ? 48 << 20 : 128 << 20, none, 0);
	fail_all(r, percent);

	for (size_t i = 0; i < AREAS; i++) {
		area[i] = area_map(r, PAGES, true);
		area_write(r, &area[i]);
	}
	end = now_ns() + seconds * 1000000000;
	/* Longer, if pages were found all the time whose blocks are reserved already. */
	for (; now_ns() < end || rounds < MIN_ROUNDS ||
	       (!failed_since(r, &start) && now_ns() < end + EXTRA_NS); rounds++) {
		struct area *a = &area[rnd_below(r, AREAS)];

		act(r, a, swap);
		/* It moves what is in memory: copies of tags. */
		if (!(rounds % 16) && kernel_write(r, "/proc/sys/vm/compact_memory", "1"))
			bail_errno(r, "compact_memory");
		if (rounds % 4)
			continue;
		for (size_t i = 0; i < AREAS; i++)
			bad += bad_area(&area[i]);
	}
	s = summary_now(r);
	measure(r, "rounds", "1", (double)rounds);
	measure(r, "reserve_busy", "1", (double)(s.reserve_busy - start.reserve_busy));
	measure(r, "foa_replaced", "pages", (double)(s.foa_replaced - start.foa_replaced));
	measure(r, "foa_replayed", "1", (double)(s.foa_replayed - start.foa_replayed));
	measure(r, "alloc_other_page", "pages",
		(double)(s.alloc_other_page - start.alloc_other_page));
	measure(r, "copy_refused", "pages", (double)(s.copy_refused - start.copy_refused));
	expect_range(r, s.reserve_busy - start.reserve_busy, 1, UINT64_MAX,
		     "reservations did fail");
	expect_eq_u64(r, bad, 0, "meanwhile all data and all tags were as the program left them");
	expect_eq_u64(r, s.foa_sigbus - start.foa_sigbus, 0, "no access ended in SIGBUS");

	step(r, "The failures are switched off. All is read once more.");
	fail_all(r, 0);
	for (size_t i = 0; i < AREAS; i++) {
		bad += bad_area(&area[i]);
		misplaced += area_bad_storage(r, 0, &area[i]);
		area_unmap(r, &area[i]);
	}
	expect_eq_u64(r, bad, 0, "at the end, too");
	expect_eq_u64(r, misplaced, 0, "the tags are in tag storage");
	expect_intact(r, ballast_check(b), "and so is the memory that was in the way");
	ballast_free(b);
	expect(r, reserved_pages_wait(r, start.reserved_pages), "unmapped, none has tag storage");
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "and nothing is left reserved");
}

static const struct scenario inject_scenario = {
	.name = "inject",
	.kind = SCENARIO_WORKLOAD,
	.summary = "finding storage for tags fails at random, at every step",
	.explanation =
		"Whether storage for tags can be found depends on who holds which page at the moment. So that every way out of a failure is taken, the kernel's fault injection makes the steps fail at random: a free block is not had, a block is not emptied, data is not moved. "
		"A program must not notice: the kernel takes another page, or tries again. No data, no tag and no block may be lost.",
	.groups = "stress",
	.params = PARAMS(
		P_UINT("seconds", "5", 1, 86400, "how long"),
		P_UINT("percent", "30", 1, 60, "how many of 100 attempts fail")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 900,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.run = inject_run,
};
SCENARIO(inject_scenario);
