// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/gather.c: how much tag storage is usable for data when some memory is tagged.
 * One tagged page takes a whole block, which serves 32 or more; so it matters where tagged
 * pages lie, and the kernel gathers them in the background.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define HUGE_SIZE ((size_t)2 << 20)
/* Of what the tags of tagged pages could leave, so much is to be usable, in percent. */
#define BAR 97
/* Converging has come to its end when nothing has changed for so long. */
#define STANDSTILL_MS 150000
/* Longer than the kernel waits before it looks at what has changed. */
#define REST_MS 3000
#define MAX_REST_MS 48000
/* What was begun when it was switched off comes to its end. */
#define SETTLE_MS 500
#define PINS 64

/* Memory whose units, of one page or of a huge page, come and go by themselves. */
struct tract {
	struct area a;
	bool tagged;
	size_t unit, units;	/* pages; how many */
	bool *there;
	size_t held;		/* units that are there */
	size_t *order, at;	/* in which order they come and go, and the next one */
	size_t goal;
};

static size_t huge_pages(void)
{
	return HUGE_SIZE / page_size();
}

static struct area huge_area(struct run *r, size_t n)
{
	char *p = mte_map(n * page_size() + HUGE_SIZE, true);

	if (!p)
		bail_errno(r, "mmap of %zu pages", n);
	p += -(uintptr_t)p & (HUGE_SIZE - 1);
	if (madvise(p, n * page_size(), MADV_HUGEPAGE))
		skip(r, "this kernel has no transparent huge pages (MADV_HUGEPAGE: %s)",
		     strerror(errno));
	return area_at(r, p, n);
}

static struct tract tract_new(struct run *r, size_t pages, size_t unit, bool tagged)
{
	struct tract t = { .tagged = tagged, .unit = unit, .units = pages / unit };

	pages = t.units * unit;
	t.a = unit == 1 ? area_map(r, pages, tagged) : huge_area(r, pages);
	if (!tagged)
		t.a.tags = 0;
	t.there = calloc(t.units, sizeof(*t.there));
	t.order = calloc(t.units, sizeof(*t.order));
	if (!t.there || !t.order)
		bail(r, "out of memory");
	for (size_t i = 0; i < t.units; i++)
		t.order[i] = i;
	return t;
}

static void tract_shuffle(struct run *r, struct tract *t)
{
	for (size_t i = t->units; i > 1; i--) {
		size_t k = rnd_below(r, i), swap = t->order[k];

		t->order[k] = t->order[i - 1];
		t->order[i - 1] = swap;
	}
	t->at = 0;
}

/* One unit comes or goes, towards the goal; false if that is reached. */
static bool tract_step(struct run *r, struct tract *t)
{
	bool comes = t->held < t->goal;
	size_t i;

	if (t->held == t->goal)
		return false;
	do
		i = t->order[t->at++ % t->units];
	while (t->there[i] == comes);

	if (!comes && madvise(area_page(&t->a, i * t->unit), t->unit * page_size(),
			      MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	for (size_t k = 0; comes && k < t->unit; k++) {
		size_t nr = i * t->unit + k;

		pattern_fill(area_page(&t->a, nr), page_size(), t->a.data, nr);
		if (t->tagged)
			tags_fill(area_page(&t->a, nr), page_size(), t->a.tags, nr);
	}
	t->there[i] = comes;
	t->held += comes ? 1 : -1;
	return true;
}

static bool page_intact(const struct tract *t, size_t nr)
{
	const char *p = area_page(&t->a, nr);

	return !pattern_check(p, page_size(), t->a.data, nr).count &&
	       (!t->tagged || !tags_check(p, page_size(), t->a.tags, nr).count);
}

/* Pages with data or tags that are not what was written there. */
static size_t tract_damaged(const struct tract *t)
{
	size_t bad = 0;

	for (size_t nr = 0; nr < t->a.n; nr++)
		bad += t->there[nr / t->unit] && !page_intact(t, nr);
	return bad;
}

static size_t tract_misplaced(struct run *r, const struct tract *t)
{
	size_t bad = 0;

	for (size_t i = 0; i < t->units; i++)
		if (t->there[i])
			bad += tags_not_stored(r, 0, area_page(&t->a, i * t->unit), t->unit,
					       STORED_PERMANENT);
	return bad;
}

/* What goes on in memory: small pages, tagged and not, and perhaps huge ones. */
struct life {
	struct tract small, huge, plain;
	size_t memory;		/* pages of the machine that have tag storage */
};

static size_t tagged_pages(const struct life *l)
{
	return l->small.held + l->huge.held * l->huge.unit;
}

static void live(struct run *r, struct life *l, unsigned int percent, uint64_t rounds)
{
	struct tract *t[] = { &l->small, &l->plain, &l->huge };
	size_t target = l->memory * percent / 100, n = l->huge.units ? 3 : 2;

	for (uint64_t i = 0; i < 2 * rounds; i++) {
		bool grow = i % 2 == 0, more = true;

		for (size_t k = 0; k < n; k++) {
			t[k]->goal = grow ? t[k]->units : t[k]->units / 2;
			tract_shuffle(r, t[k]);
		}
		if (!grow) {
			l->huge.goal = n > 2 ? target / 2 / l->huge.unit : 0;
			l->small.goal = target - l->huge.goal * huge_pages();
		}
		while (more) {
			more = false;
			/* Small pages come and go more often than huge ones. */
			for (size_t k = 0; k < n; k++)
				if (k < 2 || !rnd_below(r, huge_pages()) || !more)
					more |= tract_step(r, t[k]);
		}
	}
}

/* Blocks that these pages take at least, and those that should be usable then. */
static uint64_t usable_at_best(const struct state_summary *s)
{
	uint64_t room = s->block_pages * STATE_DATA_PER_TAG;

	return s->blocks - (s->reserved_pages + room - 1) / room;
}

static double usable_share(const struct state_summary *s)
{
	return 100.0 * (double)(s->blocks_available + s->blocks_isolating) /
	       (double)usable_at_best(s);
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

/*
 * Does nobody look for what to gather, once what happened before has been looked at? On a busy
 * host the pauses between two looks may be long.
 */
static void expect_rest(struct run *r, const char *when)
{
	struct state_summary s, before;

	for (unsigned int ms = REST_MS; ms <= MAX_REST_MS; ms *= 2) {
		sleep_ms(ms);
		before = summary_now(r);
		sleep_ms(ms);
		s = summary_now(r);
		if (s.gather_runs == before.gather_runs)
			break;
	}
	expect_eq_u64(r, s.gather_runs, before.gather_runs, "%s: nobody looks for what to gather",
		      when);
	expect_eq_u64(r, s.gather_ns, before.gather_ns, "%s: and it takes no time", when);
}

/* Pages that nobody can move, and where they are. */
struct pinned {
	struct pins *pins;
	char *page[PINS];
	uint64_t pfn[PINS];
};

static uint64_t pfn_of(struct run *r, const char *page)
{
	struct page_location where;

	page_locations(r, 0, page, 1, &where);
	return where.pfn;
}

static void pin_some(struct run *r, const struct tract *t, struct pinned *p)
{
	for (size_t n = 0; n < PINS;) {
		size_t nr = rnd_below(r, t->units);

		if (t->there[nr])
			p->page[n++] = area_page(&t->a, nr);
	}
	p->pins = pin_pages(r, p->page, PINS);
	for (size_t i = 0; i < PINS; i++)
		p->pfn[i] = pfn_of(r, p->page[i]);
}

static size_t pinned_moved(struct run *r, const struct pinned *p)
{
	size_t moved = 0;

	for (size_t i = 0; i < PINS; i++)
		moved += pfn_of(r, p->page[i]) != p->pfn[i];
	return moved;
}

/*
 * Wait until the kernel has done what it can, while the program reads and writes its
 * memory. Returns how many pages were not what they should be.
 */
static size_t converge(struct run *r, struct life *l)
{
	struct state_summary s = summary_now(r), last = s;
	uint64_t changed = now_ns(), rest = changed, pause = REST_MS * 1000000ULL;
	size_t bad = 0;

	while (now_ns() - changed < STANDSTILL_MS * 1000000ULL) {
		for (unsigned int i = 0; i < 32; i++) {
			size_t nr = rnd_below(r, l->small.units);

			if (!l->small.there[nr])
				continue;
			bad += !page_intact(&l->small, nr);
			area_fill(&l->small.a, nr);
		}
		sleep_ms(100);
		s = summary_now(r);
		if (s.gather_runs != last.gather_runs) {
			/* On a busy host work takes long, and so do the pauses after it. */
			if (2 * (now_ns() - rest) > pause)
				pause = 2 * (now_ns() - rest);
			rest = now_ns();
		}
		/* At rest, it has done what it wanted. */
		if (now_ns() - rest > pause && usable_share(&s) >= BAR)
			break;
		if (s.gather_moved != last.gather_moved ||
		    s.gather_evicted != last.gather_evicted ||
		    s.gather_blocks != last.gather_blocks)
			changed = now_ns();
		last = s;
	}
	return bad;
}

static void gather_run(struct run *r)
{
	unsigned int percent = (unsigned int)param_u64(r, "tagged");
	uint64_t cpu = param_u64(r, "cpu"), from;
	bool thp = param_bool(r, "thp");
	struct state_summary start = summary_now(r), s, before;
	struct life l = { .memory = start.blocks * start.block_pages * STATE_DATA_PER_TAG };
	struct pinned pinned;
	size_t peak = l.memory * percent * 5 / 2 / 100, bad;

	step(r, "Nothing is tagged. Nothing can be gathered, and the kernel does not look for it.");
	expect_rest(r, "nothing is tagged");

	step(r,
	     "A program lives a long life in short: %llu times tagged and untagged pages come and go one by one, in random order, until %u%% of memory is tagged. Meanwhile nothing is gathered. Tagged pages are anywhere then, and many blocks are reserved.",
	     (unsigned long long)param_u64(r, "rounds"), percent);
	switch_set(r, "gather", 0);
	/* What is being done just now ends soon. */
	sleep_ms(SETTLE_MS);
	before = summary_now(r);
	l.plain = tract_new(r, l.memory * param_u64(r, "untagged") / 100, 1,
			    false);
	if (thp)
		l.huge = tract_new(r, peak / 2, huge_pages(), true);
	l.small = tract_new(r, peak - l.huge.units * l.huge.unit, 1, true);
	live(r, &l, percent, param_u64(r, "rounds"));
	drain_lru(r);
	expect(r, reserved_pages_wait(r, start.reserved_pages + tagged_pages(&l)),
	       "after a long life: what has tag storage is what the program has");
	s = summary_now(r);
	measure(r, "usable_before", "%", usable_share(&s));
	measure(r, "blocks_reserved_before", "blocks", (double)s.blocks_reserved);
	expect_eq_u64(r, s.gather_runs, before.gather_runs, "switched off: nobody looks");
	expect_eq_u64(r, s.gather_moved, before.gather_moved, "switched off: nothing moves");
	expect_map(r, "after a long life");

	step(r,
	     "Some of the tagged pages are pinned. Then the kernel may gather, with %llu%% of a CPU, and the program goes on reading and writing.",
	     (unsigned long long)cpu);
	pin_some(r, &l.small, &pinned);
	before = s;
	from = now_ns();
	switch_set(r, "gather", cpu);
	bad = converge(r, &l);
	s = summary_now(r);
	from = now_ns() - from;
	measure(r, "usable", "%", usable_share(&s));
	measure(r, "blocks_reserved", "blocks", (double)s.blocks_reserved);
	measure(r, "gather_seconds", "s", (double)from / 1e9);
	measure(r, "gather_cpu", "%",
		100.0 * (double)(s.gather_ns - before.gather_ns) / (double)from);
	measure(r, "pages_moved", "pages", (double)(s.gather_moved - before.gather_moved));
	measure(r, "pages_evicted", "pages", (double)(s.gather_evicted - before.gather_evicted));
	measure(r, "pages_failed", "pages", (double)(s.gather_failed - before.gather_failed));
	measure(r, "blocks_held", "blocks", (double)(s.gather_held - before.gather_held));
	expect(r, usable_share(&s) >= BAR,
	       "gathering: 97%% of what can be usable of tag storage is");
	expect(r, s.gather_blocks > before.gather_blocks, "gathering: blocks were released by it");
	/* A slice is cut off at each end. */
	expect_range(r, s.gather_ns - before.gather_ns, 1, from / 100 * cpu + from / 500,
		     "gathering: it takes no more of a CPU than allowed");
	expect_eq_u64(r, bad, 0, "gathering: what the program read meanwhile is what it wrote");
	expect_eq_u64(r, pinned_moved(r, &pinned), 0, "gathering: pinned pages stay where they are");
	/* Pages may be in use in the very moment, but those that are pinned are not tried. */
	expect_range(r, s.gather_failed - before.gather_failed, 0, PINS / 4,
		     "gathering: pinned pages are left alone");
	expect(r, reserved_pages_wait(r, start.reserved_pages + tagged_pages(&l)),
	       "gathering: what has tag storage is what the program has");
	expect_eq_u64(r, tract_damaged(&l.small) + tract_damaged(&l.huge) +
			 tract_damaged(&l.plain),
		      0, "gathering: all data and all tags are intact");
	expect_eq_u64(r, tract_misplaced(r, &l.small) + tract_misplaced(r, &l.huge), 0,
		      "gathering: the tags are in tag storage");
	/* On a slow host it may still be at it: not while the map is read. */
	gather_nothing(r);
	sleep_ms(SETTLE_MS);
	expect_map(r, "gathered");
	switch_set(r, "gather", cpu);

	step(r, "There is nothing left to gain, and the kernel rests.");
	expect_rest(r, "gathered");

	step(r, "All of it is freed.");
	unpin_pages(pinned.pins);
	area_unmap(r, &l.small.a);
	area_unmap(r, &l.plain.a);
	if (thp)
		area_unmap(r, &l.huge.a);
	expect(r, reserved_pages_wait(r, start.reserved_pages), "freed: none has tag storage");
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "freed: no more blocks are reserved than at the start");
	expect_rest(r, "freed");
}

static const struct scenario gather_scenario = {
	.name = "gather",
	.kind = SCENARIO_WORKLOAD,
	.summary = "how much of tag storage is usable after a long mixed life",
	.explanation =
		"A block of tag storage serves at least 32 pages, and is lost for data as soon as one of them is tagged. If tagged pages lie scattered, few of them can hold all of tag storage. "
		"So the kernel moves tagged pages out of nearly empty blocks in the background, slowly, and not at all if nothing is to be gained. "
		"This scatters tagged pages, and measures how much of tag storage becomes usable, and what that costs.",
	.params = PARAMS(
		P_UINT("tagged", "10", 1, 20, "percent of memory that is tagged in the end"),
		P_UINT("untagged", "25", 1, 40,
		       "percent of memory in use for other things, at most"),
		P_UINT("rounds", "2", 1, 1000, "how often pages come and go"),
		P_UINT("cpu", "1", 1, 99,
		       "percent of a CPU that gathering may take, as the kernel has it by default"),
		P_BOOL("thp", "no", "half of what is tagged are huge pages")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 1800,
	.run = gather_run,
};
SCENARIO(gather_scenario);
