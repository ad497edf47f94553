// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/memory-short.c: data becomes taggable while memory is full. Room has to be made as
 * for any allocation, and at the worst the OOM killer makes it: nobody gets SIGBUS.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)
/* What is looked at together when memory is nearly full. */
#define MIN_FREE "/proc/sys/vm/min_free_kbytes"
#define MIN_FREE_KIB 4096
#define SMALL_STEP (16 * KIB)
#define FULL_MS 120000

static const struct role hog_role = {
	.name = "hog",
	.summary = "fills memory to the brim, and would be killed first",
	.user = ROLE_ROOT,
};

#define FILL_TRIES 4

struct filling {
	struct gate *full;
	size_t max;
	uint64_t keep;
};

/* Free memory that everybody can use; tag storage is for movable data only. */
static uint64_t free_for_all(struct run *r)
{
	struct memory m = memory_now(r);

	return m.free - m.cma_free;
}

/* Ends only by being killed, by the scenario or for want of memory. */
static void fill(struct run *r, void *arg)
{
	struct filling *f = arg;
	size_t done = 0;
	uint64_t free;
	char *p;

	if (kernel_write(r, "/proc/self/oom_score_adj", "1000"))
		bail_errno(r, "oom_score_adj");
	p = mmap(NULL, f->max, AREA_RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || madvise(p, f->max, MADV_NOHUGEPAGE))
		bail_errno(r, "memory of %zu bytes", f->max);
	while ((free = free_for_all(r)) > f->keep && done < f->max) {
		size_t step = free > f->keep + 16 * MIB ? MIB : SMALL_STEP;

		memset(p + done, 1, step);
		done += step;
	}
	gate_open(f->full);
	for (;;)
		pause();
}

/* ---- Room for tagged pages ----------------------------------------------------------- */

struct mixed {
	size_t untagged, tagged;	/* bytes; so many at most of the latter */
	uint64_t done;			/* tagged bytes in use */
	uint64_t lowest;		/* bytes of free tag storage, as the program saw it */
};

static const struct role mixed_role = {
	.name = "mixed",
	.summary = "has untagged memory, and takes tagged memory until it is killed",
	.user = ROLE_ROOT,
};

static void fill_mixed(struct run *r, void *arg)
{
	struct mixed *x = arg;
	char *p, *q;

	if (kernel_write(r, "/proc/self/oom_score_adj", "1000"))
		bail_errno(r, "oom_score_adj");
	p = mmap(NULL, x->untagged, AREA_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = mmap(NULL, x->tagged, AREA_RW | PROT_MTE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || q == MAP_FAILED || madvise(p, x->untagged, MADV_NOHUGEPAGE) ||
	    madvise(q, x->tagged, MADV_NOHUGEPAGE))
		bail_errno(r, "memory");
	memset(p, 1, x->untagged);
	for (; x->done < x->tagged; x->done += page_size()) {
		/* Here, not by who waits: that one may not run for a while before the kill. */
		if (x->done % (64 * page_size()) == 0) {
			uint64_t now = memory_now(r).cma_free;

			if (now < x->lowest)
				x->lowest = now;
		}
		q[x->done] = 1;
	}
}

/*
 * Tagged pages cannot lie in tag storage. What can has to go there before the OOM killer
 * comes, or the storage of tags that nobody has is of no use just when memory is short.
 */
static void room_for_tags(struct run *r)
{
	struct mixed *x = shared_alloc(r, sizeof(*x));
	struct swap_device swap[8];
	struct role_end end;
	struct memory m;
	struct child *c;

	step(r,
	     "Without swap, a program whose memory is untagged for a part takes tagged memory until there is none. Its untagged data has to make room, by moving to where no tags are stored.");
	swap_devices_off(r, swap, swap_devices(r, swap, 8));
	/* With page cache that could be reclaimed, the kernel tries for longer. */
	drain_lru(r);
	m = memory_now(r);
	x->untagged = m.free / 100 * 45 / page_size() * page_size();
	x->tagged = m.total;
	x->lowest = UINT64_MAX;
	c = role_spawn(r, &mixed_role, fill_mixed, x);
	end = role_wait(r, c, FULL_MS);
	if (end.timed_out)
		role_kill(r, c);
	measure(r, "tagged_memory", "MiB", (double)(x->done / MIB));
	measure(r, "least_free_tag_storage", "KiB", (double)(x->lowest / KIB));
	expect_eq_u64(r, (uint64_t)end.signal, SIGKILL, "room for tags: in the end memory is full");
	expect_range(r, x->lowest, 0, 2 * MIB,
		     "room for tags: nobody is killed while tag storage is free");
}

static void memory_short_run(struct run *r)
{
	size_t stride = pages_per_block(r), n = param_u64(r, "size") / page_size() / stride;
	struct state_summary before = summary_now(r), after;
	struct memory m = memory_now(r);
	struct filling *f = shared_alloc(r, sizeof(*f));
	struct area all;
	uint64_t failed = 0;
	struct role_end end;
	struct child *hog = NULL;

	if (param_u64(r, "size") > m.free / 2)
		skip(r, "%zu MiB of free memory are too few", (size_t)(m.free / MIB));
	step(r, "Data of this program comes first, so that it lies in ordinary memory. Then another process fills what is left, tag storage too, but for a few hundred KiB.");
	all = area_map(r, n * stride, false);
	area_write_data(r, &all);
	if (madvise(all.base, area_len(&all), MADV_DONTFORK))
		bail_errno(r, "MADV_DONTFORK");
	/* Huge pages make the kernel keep more than this is about. */
	if (kernel_write(r, MIN_FREE, "%u", MIN_FREE_KIB))
		bail_errno(r, MIN_FREE);
	f->max = m.total;
	f->keep = memory_min_free(r) + param_u64(r, "margin");
	/* It may be killed before memory is as full as that. */
	for (int i = 0; i < FILL_TRIES; i++, f->keep += param_u64(r, "margin")) {
		f->full = gate_new(r);
		hog = role_spawn(r, &hog_role, fill, f);
		while (!gate_wait(f->full, 100) && role_wait(r, hog, 0).timed_out)
			;
		if (gate_wait(f->full, 0))
			break;
	}
	require(r, gate_wait(f->full, 0), "memory is full");
	m = memory_now(r);
	measure(r, "free", "KiB", (double)((m.free - m.cma_free) / KIB));
	measure(r, "free_tag_storage", "KiB", (double)(m.cma_free / KIB));

	step(r,
	     "The data becomes taggable, and a page of it for each block is touched. Data has to leave tag storage for that, and there is hardly any memory to move it to.");
	area_protect(r, &all, true);
	for (size_t i = 0; i < n; i++)
		failed += probe_load(area_page(&all, i * stride)).signal != 0;
	after = summary_now(r);
	end = role_wait(r, hog, 2000);
	measure(r, "blocks_emptied", "blocks",
		(double)(after.reserve_migrated - before.reserve_migrated));
	measure(r, "hog_killed", "1", (double)(end.signal != 0));
	expect_eq_u64(r, failed, 0, "want of memory is no SIGBUS: nobody holds anything");
	expect_eq_u64(r, after.foa_sigbus, before.foa_sigbus, "nor is one counted");
	expect_range(r, after.reserve_migrated - before.reserve_migrated, 1, UINT64_MAX,
		     "data had to leave tag storage");
	if (!end.signal)
		role_kill(r, hog);

	step(r, "The other process is gone, and all of the data is as it was.");
	expect_intact(r, area_check_data(&all), "the data that became taggable is as it was");
	area_unmap(r, &all);
	room_for_tags(r);
}

static const struct scenario memory_short_scenario = {
	.name = "memory-short",
	.kind = SCENARIO_WORKLOAD,
	.summary = "data becomes taggable while memory is full: reclaim or the OOM killer, never SIGBUS",
	.explanation =
		"To make a page taggable, data may have to leave the storage for its tags, which takes a free page elsewhere. "
		"When there is none it is as with any memory that a program needs: something is reclaimed, or swapped out, or the OOM killer chooses a victim. "
		"That the data could not move for want of memory does not mean that somebody holds it, so the program that touches the page must not get SIGBUS.",
	.groups = "stress",
	.params = PARAMS(P_SIZE("size", "400M", 1 << 20, (uint64_t)1 << 40,
				"data that becomes taggable"),
			 P_SIZE("margin", "2M", 0, 1 << 30,
				"memory that stays free, beyond what the kernel keeps")),
	.needs = NEED_POLICY_CMA,
	.min_memory = 900 << 20,
	.time_limit_s = 900,
	.save_restore = SETTINGS({ MIN_FREE }, { SETTING_SWAP }),
	.roles = ROLES(&hog_role, &mixed_role),
	.run = memory_short_run,
};
SCENARIO(memory_short_scenario);
