// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/gather.c: how full the blocks are that hold tags. One tagged page takes a
 * whole block, which serves 32 or more; so it matters where tagged pages lie.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "area.h"
#include "place.h"
#include "scenario.h"

#define MAX_CHUNK 64	/* pages that come and go together */

struct chunk {
	struct area a;
	bool tagged;
};

static void chunk_new(struct run *r, struct chunk *c, bool tagged)
{
	c->tagged = tagged;
	c->a = area_map(r, 1 + rnd_below(r, MAX_CHUNK), tagged);
	area_write_data(r, &c->a);
	if (tagged)
		area_write_tags(r, &c->a);
}

struct totals {
	uint64_t tagged, bad;
};

static void chunk_check(struct chunk *c, struct totals *t)
{
	t->bad += !!area_check_data(&c->a).count;
	if (c->tagged)
		t->bad += !!area_check_tags(&c->a).count;
}

static void chunk_drop(struct run *r, struct chunk *c, struct totals *t)
{
	chunk_check(c, t);
	area_unmap(r, &c->a);
}

/* Tagged pages, and how many fit into the blocks that are reserved for them. */
static double fullness(const struct state_summary *s)
{
	double room = (double)s->blocks_reserved * (double)s->block_pages * STATE_DATA_PER_TAG;

	return room > 0 ? 100.0 * (double)s->reserved_pages / room : 0;
}

/* The block map says the same as the counters. */
static void expect_map(struct run *r, const char *when)
{
	struct state_summary s = summary_now(r);
	uint64_t pages = 0, blocks = 0;

	for (uint64_t b = 0; b < s.blocks; b++) {
		struct state_block block = block_now(r, b);

		blocks += block.letter == BLOCK_RESERVED;
		/* The zero page is one of the tagged pages. */
		if (block.letter == BLOCK_RESERVED || block.letter == BLOCK_PERMANENT)
			pages += block.tagged;
	}
	expect_eq_u64(r, blocks, s.blocks_reserved, "%s: the map shows as many reserved blocks",
		      when);
	expect_eq_u64(r, pages, s.reserved_pages, "%s: the blocks count as many pages", when);
}

static void gather_run(struct run *r)
{
	struct state_summary start = summary_now(r), s;
	uint64_t steps = param_u64(r, "steps");
	size_t nr = param_u64(r, "chunks"), held = 0;
	struct chunk *chunk = calloc(nr, sizeof(*chunk));
	struct totals t = { 0 };
	double least = 100, most = 0, sum = 0;
	unsigned int looks = 0;

	if (!chunk)
		bail(r, "out of memory");
	step(r,
	     "A program lives a long life in short: %llu times it allocates or frees some pages, half of them tagged, in random order. Memory gets mixed.",
	     (unsigned long long)steps);
	for (uint64_t i = 0; i < steps; i++) {
		struct chunk *c = &chunk[rnd_below(r, nr)];

		if (c->a.base)
			chunk_drop(r, c, &t);
		else
			chunk_new(r, c, rnd_below(r, 2));
		if (i < steps / 2 || i % 16)
			continue;
		s = summary_now(r);
		sum += fullness(&s);
		least = fullness(&s) < least ? fullness(&s) : least;
		most = fullness(&s) > most ? fullness(&s) : most;
		looks++;
	}
	for (size_t i = 0; i < nr; i++) {
		if (!chunk[i].a.base)
			continue;
		chunk_check(&chunk[i], &t);
		held += chunk[i].tagged ? chunk[i].a.n : 0;
	}
	s = summary_now(r);
	measure(r, "tagged_pages", "pages", (double)s.reserved_pages);
	measure(r, "reserved_blocks", "blocks", (double)s.blocks_reserved);
	measure(r, "fullness_mean", "%", looks ? sum / looks : 0);
	measure(r, "fullness_min", "%", least);
	measure(r, "fullness_max", "%", most);
	measure(r, "fullness_end", "%", fullness(&s));
	expect_eq_u64(r, t.bad, 0, "all data and all tags are intact");
	expect(r, reserved_pages_settle(r, start.reserved_pages + held),
	       "what has tag storage is what the program has");
	s = summary_now(r);
	expect_range(r, s.reserved_pages, 1,
		     s.blocks_reserved * s.block_pages * STATE_DATA_PER_TAG,
		     "no block has more pages than it can serve");
	expect_map(r, "in use");

	step(r, "It frees three quarters of it. Blocks stay reserved for the pages that are left.");
	for (size_t i = 0; i < nr; i++) {
		if (!chunk[i].a.base || !(i % 4))
			continue;
		held -= chunk[i].tagged ? chunk[i].a.n : 0;
		chunk_drop(r, &chunk[i], &t);
	}
	expect(r, reserved_pages_settle(r, start.reserved_pages + held),
	       "what is left of it has tag storage");
	s = summary_now(r);
	measure(r, "fullness_after_free", "%", fullness(&s));
	expect_map(r, "mostly freed");

	step(r, "It frees the rest.");
	for (size_t i = 0; i < nr; i++)
		if (chunk[i].a.base)
			chunk_drop(r, &chunk[i], &t);
	free(chunk);
	expect_eq_u64(r, t.bad, 0, "all data and all tags were intact to the end");
	expect(r, reserved_pages_settle(r, start.reserved_pages), "freed, none has tag storage");
	expect(r, eventually(5000, summary_now(r).blocks_reserved == start.blocks_reserved),
	       "and no more blocks are reserved than at the start");
}

static const struct scenario gather_scenario = {
	.name = "gather",
	.kind = SCENARIO_WORKLOAD,
	.summary = "how full the reserved blocks are after a long mixed life",
	.explanation =
		"A block of tag storage serves at least 32 pages, and is lost for data as soon as one of them is tagged. If tagged pages lie scattered, few of them can hold all of tag storage. "
		"This measures, after many random allocations and frees of tagged and untagged memory, how many tagged pages there are in proportion to those that the reserved blocks could serve. "
		"The same seed gives the same sequence.",
	.groups = "quick",
	.params = PARAMS(
		P_UINT("chunks", "256", 4, 100000, "of up to 64 pages, half of which are in use"),
		P_UINT("steps", "2000", 16, 100000000, "allocations and frees")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 900,
	.run = gather_run,
};
SCENARIO(gather_scenario);
