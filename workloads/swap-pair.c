// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/swap-pair.c: two processes touch the same swapped out, tagged pages at the same
 * time, while a part of tag storage is held. There is enough for all: nobody gets an error.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"

#define OUT_MS 60000
#define TWIN_MS 300000
/* After as many rounds the pair has not met often enough to prove anything. */
#define CHECK_EVERY 8

static const struct role twin_role = {
	.name = "twin",
	.summary = "touches each page of a round, as the other process does at the same time",
	.user = ROLE_ROOT,
};

struct pair {
	struct area a;
	struct gate *go;
	uint64_t failed[2];	/* accesses that raised a signal */
	struct mismatch bad[2];
};

static void touch(struct pair *p, unsigned int me)
{
	for (size_t i = 0; i < p->a.n; i++) {
		const char *page = area_page(&p->a, i);
		struct mismatch bad;

		if (probe_load(page).signal) {
			p->failed[me]++;
			continue;
		}
		if (i % CHECK_EVERY)
			continue;
		bad = pattern_check(page, page_size(), p->a.data, i);
		if (!bad.count)
			bad = tags_check(page, page_size(), p->a.tags, i);
		if (bad.count && !p->bad[me].count)
			p->bad[me] = bad;
	}
}

static void twin(struct run *r, void *arg)
{
	struct pair *p = arg;

	if (!gate_wait(p->go, TWIN_MS))
		bail(r, "the other process does not begin");
	touch(p, 1);
}

/* Memory of the caller's that both then have, and that is in swap. */
static struct area swapped_memory(struct run *r, size_t n, bool shared)
{
	struct area a;
	char *p;

	if (shared) {
		p = mmap(NULL, n * page_size(), AREA_RW | PROT_MTE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
		if (p == MAP_FAILED)
			bail_errno(r, "mmap of %zu shared pages", n);
		a = area_at(r, p, n);
	} else {
		a = area_map(r, n, true);
	}
	area_write(r, &a);
	require(r, swap_out(r, a.base, n, OUT_MS), "%s memory: it is swapped out",
		shared ? "shared" : "private");
	return a;
}

static void together(struct run *r, size_t n, unsigned int rounds, bool shared)
{
	const char *kind = shared ? "shared" : "private";
	struct state_summary before = summary_now(r);
	uint64_t failed = 0;
	struct pair *p;

	step(r,
	     "%u times, %zu tagged pages of %s memory go to swap, and two processes want them back, each page at the same time.",
	     rounds, n, kind);
	for (unsigned int i = 0; i < rounds; i++) {
		struct child *c;

		p = shared_alloc(r, sizeof(*p));
		p->a = swapped_memory(r, n, shared);
		p->go = gate_new(r);
		c = role_spawn(r, &twin_role, twin, p);
		gate_open(p->go);
		touch(p, 0);
		expect_role_done(r, c, TWIN_MS);
		for (unsigned int me = 0; me < 2; me++) {
			failed += p->failed[me];
			expect_intact(r, p->bad[me], "%s memory: data and tags are those from before",
				      kind);
		}
		area_unmap(r, &p->a);
	}
	expect_eq_u64(r, failed, 0, "%s memory: no access raises a signal", kind);
	expect_eq_u64(r, summary_now(r).foa_sigbus, before.foa_sigbus,
		      "%s memory: nor is one counted", kind);
}

static void swap_pair_run(struct run *r)
{
	struct state_summary s = summary_now(r);
	size_t held = s.blocks * s.block_pages * param_u64(r, "held") / 100;
	char **pages = calloc(held + 1, sizeof(*pages));
	unsigned int rounds = (unsigned int)param_u64(r, "rounds");
	struct ballast *b = ballast_new(r);
	struct pins *pins;

	if (!pages)
		bail(r, "out of memory");
	step(r,
	     "Data of this program comes to lie in tag storage, and %zu pages of it are held there: their blocks cannot be used for tags. The rest can.",
	     held);
	switch_set(r, "move_before_pin", 0);
	require(r, ballast_into_tag_storage(r, b, held, 128 << 20, pages, held) == held,
		"enough data lies in tag storage");
	pins = pin_pages(r, pages, held);
	together(r, param_u64(r, "pages"), rounds, false);
	together(r, param_u64(r, "pages"), rounds, true);
	unpin_pages(pins);
	switch_set(r, "move_before_pin", 1);
	expect_intact(r, ballast_check(b), "data that was in the way is as it was");
	ballast_free(b);
	free(pages);
}

static const struct scenario swap_pair_scenario = {
	.name = "swap-pair",
	.kind = SCENARIO_WORKLOAD,
	.summary = "two processes swap in the same tagged pages while a part of tag storage is held",
	.explanation =
		"A page that comes from swap with tags needs storage for them before it is mapped. Here the page that was read in often lies where the storage is held, "
		"and it has more users than one, so that it cannot move: each of them gets a copy elsewhere. "
		"Storage is there, and nobody holds these pages for longer than it takes to map them, so no access may fail.",
	.groups = "swap stress",
	.params = PARAMS(P_UINT("pages", "1024", 8, 65536, "that both processes touch"),
			 P_UINT("rounds", "4", 1, 1000,
				"how often, for private and for shared memory"),
			 P_UINT("held", "25", 0, 60, "percent of tag storage")),
	.needs = NEED_POLICY_CMA | NEED_SWAP | NEED_SMP,
	.min_memory = 512 << 20,
	.time_limit_s = 900,
	.roles = ROLES(&twin_role),
	.run = swap_pair_run,
};
SCENARIO(swap_pair_scenario);
