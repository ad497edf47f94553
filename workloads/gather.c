// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/gather.c: how full the blocks are that hold tags. One tagged page takes a
 * whole block, which serves 32 or more; so it matters where tagged pages lie.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "scenario/area.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define MAX_CHUNK 64	/* pages that come and go together */

struct chunk {
	struct area a;
	bool tagged;
};

/* What happens in a step of a life: this chunk is freed, or comes if it is not there. */
struct event {
	size_t chunk, pages;
	bool tagged;
};

static void chunk_new(struct run *r, struct chunk *c, const struct event *e)
{
	c->tagged = e->tagged;
	c->a = area_map(r, e->pages, e->tagged);
	area_write_data(r, &c->a);
	if (e->tagged)
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

/* What one life, with gathering or without, came to. */
struct life {
	double mean, after_free, refilled;	/* fullness, in % */
	uint64_t gathered;
	size_t freed;				/* pages, before they were filled again */
};

static size_t held_pages(const struct chunk *chunk, size_t nr)
{
	size_t held = 0;

	for (size_t i = 0; i < nr; i++)
		held += chunk[i].a.base && chunk[i].tagged ? chunk[i].a.n : 0;
	return held;
}

static void expect_held(struct run *r, const char *how, const char *when,
			const struct state_summary *start, size_t held)
{
	struct state_summary s;

	expect(r, reserved_pages_wait(r, start->reserved_pages + held),
	       "%s, %s: what has tag storage is what the program has", how, when);
	s = summary_now(r);
	expect_range(r, s.reserved_pages, 1, s.blocks_reserved * s.block_pages * STATE_DATA_PER_TAG,
		     "%s, %s: no block has more pages than it can serve", how, when);
}

static void live(struct run *r, bool gather, const struct event *events, struct life *l)
{
	const char *how = gather ? "gathering" : "without";
	struct state_summary start = summary_now(r), s;
	uint64_t steps = param_u64(r, "steps");
	size_t nr = param_u64(r, "chunks"), freed = 0, misplaced = 0;
	struct chunk *chunk = calloc(nr, sizeof(*chunk)), *one;
	struct totals t = { 0 };
	double sum = 0;
	unsigned int looks = 0;

	if (!chunk)
		bail(r, "out of memory");
	/* Not to begin with what the life before has left in disorder. */
	drain_free_lists(r);
	for (uint64_t i = 0; i < steps; i++) {
		struct chunk *c = &chunk[events[i].chunk];

		if (c->a.base)
			chunk_drop(r, c, &t);
		else
			chunk_new(r, c, &events[i]);
		if (i < steps / 2 || i % 16)
			continue;
		s = summary_now(r);
		sum += fullness(&s);
		looks++;
	}
	l->mean = looks ? sum / looks : 0;
	for (size_t i = 0; i < nr; i++)
		if (chunk[i].a.base)
			chunk_check(&chunk[i], &t);
	expect_held(r, how, "after a long life", &start, held_pages(chunk, nr));
	expect_map(r, how);

	/* Holes all over: three of four chunks go, and nothing comes for them. */
	for (size_t i = 0; i < nr; i++) {
		if (!chunk[i].a.base || !(i % 4))
			continue;
		freed += chunk[i].tagged ? chunk[i].a.n : 0;
		chunk_drop(r, &chunk[i], &t);
	}
	drain_free_lists(r);
	expect_held(r, how, "three quarters freed", &start, held_pages(chunk, nr));
	s = summary_now(r);
	l->after_free = fullness(&s);
	for (size_t i = 0; i < nr; i++)
		if (chunk[i].a.base && chunk[i].tagged)
			misplaced += area_bad_storage(r, 0, &chunk[i].a);
	expect_eq_u64(r, misplaced, 0, "%s: the tags are in tag storage", how);
	expect_map(r, how);

	/* And tagged pages come back one by one. */
	l->freed = freed;
	one = calloc(freed, sizeof(*one));
	if (freed && !one)
		bail(r, "out of memory");
	for (size_t i = 0; i < freed; i++) {
		one[i].tagged = true;
		one[i].a = area_map(r, 1, true);
		area_write_data(r, &one[i].a);
		area_write_tags(r, &one[i].a);
	}
	expect_held(r, how, "as many tagged again", &start, held_pages(chunk, nr) + freed);
	s = summary_now(r);
	l->refilled = fullness(&s);
	expect_map(r, how);

	for (size_t i = 0; i < freed; i++)
		chunk_drop(r, &one[i], &t);
	for (size_t i = 0; i < nr; i++)
		if (chunk[i].a.base)
			chunk_drop(r, &chunk[i], &t);
	free(one);
	free(chunk);
	expect_eq_u64(r, t.bad, 0, "%s: all data and all tags were intact to the end", how);
	expect(r, reserved_pages_wait(r, start.reserved_pages), "%s: freed, none has tag storage",
	       how);
	expect(r, eventually(5000, summary_now(r).blocks_reserved == start.blocks_reserved),
	       "%s: and no more blocks are reserved than at the start", how);
	s = summary_now(r);
	l->gathered = s.alloc_gathered - start.alloc_gathered;
}

static void report(struct run *r, const char *how, const struct life *l)
{
	char name[64];

	snprintf(name, sizeof(name), "fullness_mean_%s", how);
	measure(r, name, "%", l->mean);
	snprintf(name, sizeof(name), "fullness_after_free_%s", how);
	measure(r, name, "%", l->after_free);
	snprintf(name, sizeof(name), "fullness_refilled_%s", how);
	measure(r, name, "%", l->refilled);
	snprintf(name, sizeof(name), "pages_gathered_%s", how);
	measure(r, name, "pages", (double)l->gathered);
}

static void gather_run(struct run *r)
{
	uint64_t steps = param_u64(r, "steps"), chunks = param_u64(r, "chunks");
	struct event *events = calloc(steps, sizeof(*events));
	struct life on, off;

	if (!events)
		bail(r, "out of memory");
	for (uint64_t i = 0; i < steps; i++)
		events[i] = (struct event){
			.chunk = rnd_below(r, chunks),
			.pages = 1 + rnd_below(r, MAX_CHUNK),
			.tagged = rnd_below(r, 2),
		};

	step(r,
	     "A program lives a long life in short: %llu times it allocates or frees some pages, half of them tagged, in random order. Then it frees three quarters of them, and allocates as many tagged pages one by one. The kernel takes them from anywhere.",
	     (unsigned long long)steps);
	switch_set(r, "gather", 0);
	live(r, false, events, &off);
	report(r, "off", &off);
	expect_eq_u64(r, off.gathered, 0, "without: no page was gathered");

	step(r,
	     "The same life again, with gathering: for a page whose block holds no tags yet, the kernel looks for another one whose block does.");
	switch_set(r, "gather", 1);
	live(r, true, events, &on);
	report(r, "on", &on);
	/* How many depends on where free pages lie; but of many holes some are found. */
	if (on.freed >= 1000)
		expect(r, on.gathered > 0, "gathering: pages were gathered");
	free(events);
}

static const struct scenario gather_scenario = {
	.name = "gather",
	.kind = SCENARIO_WORKLOAD,
	.summary = "how full the reserved blocks are after a long mixed life",
	.explanation =
		"A block of tag storage serves at least 32 pages, and is lost for data as soon as one of them is tagged. If tagged pages lie scattered, few of them can hold all of tag storage. "
		"This measures, after many random allocations and frees of tagged and untagged memory, how many tagged pages there are in proportion to those that the reserved blocks could serve; without gathering, and with it. "
		"The same seed gives the same sequence.",
	.groups = "quick",
	.params = PARAMS(
		P_UINT("chunks", "256", 4, 100000, "of up to 64 pages, half of which are in use"),
		P_UINT("steps", "2000", 16, 100000000, "allocations and frees")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 900,
	.save_restore = SETTINGS(FREE_LIST_SETTINGS),
	.run = gather_run,
};
SCENARIO(gather_scenario);
