// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/migrate.c: tagged pages that are moved to other places, one by one, by
 * compaction, and while mprotect() makes them taggable.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mman.h>	/* MADV_SOFT_OFFLINE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define WAIT_MS 300000
#define MAX_MOVERS 8

static const struct role compactor_role = {
	.name = "compactor",
	.summary = "has all memory compacted, again and again",
	.user = ROLE_ROOT,
};

static const struct role mover_role = {
	.name = "mover",
	.summary = "makes its memory taggable and not, tags it, and checks it",
	.user = ROLE_ROOT,
};

/* False: there is no compaction here. */
static bool compact(struct run *r)
{
	return !kernel_write(r, "/proc/sys/vm/compact_memory", "1");
}

static size_t moved_since(struct run *r, const struct area *a, const uint64_t *was)
{
	uint64_t *is = area_locations(r, 0, a);
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += was[i] && is[i] && was[i] != is[i];
	free(is);
	return n;
}

/* Of the places where pages were, how many still are somebody's with storage for tags. */
static size_t stale_storage(struct run *r, const struct area *a, const uint64_t *was)
{
	uint64_t *is = area_locations(r, 0, a);
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		bool used = false;

		for (size_t k = 0; k < a->n && !used; k++)
			used = is[k] == was[i];
		n += !used && pfn_now(r, was[i]).has_storage;
	}
	free(is);
	return n;
}

/* ---- Compaction -------------------------------------------------------------------- */

/*
 * Compaction moves pages up, into what is free of areas that are in use already. So
 * memory is taken until n pages lie low, and many more high; of these every 16th is kept,
 * and of the rest nothing. What is returned is the area; low[] has its low pages.
 */
static struct area low_pages(struct run *r, size_t n, char **low)
{
	const size_t step_ = 4096;
	uint64_t middle = pfn_middle(r), reserve = memory_reserve(r);
	struct area a = area_map(r, (size_t)(memory_now(r).total / page_size()), false);
	struct page_location *where = calloc(step_, sizeof(*where));
	bool *keep = calloc(a.n, sizeof(*keep));
	size_t found = 0, high = 0, done = 0;

	if (!where || !keep)
		bail(r, "out of memory");
	for (; (found < n || high < 8 * n) && done + step_ <= a.n; done += step_) {
		if (memory_now(r).free < 2 * reserve + step_ * page_size())
			break;
		for (size_t i = done; i < done + step_; i++)
			*(volatile char *)area_page(&a, i) = 1;
		page_locations(r, 0, area_page(&a, done), step_, where);
		/* Not neighbours: what is between them becomes a hole. */
		for (size_t i = 0; i < step_; i += 2) {
			if (!where[i].present || pfn_in_tag_storage(r, where[i].pfn))
				continue;
			if (where[i].pfn >= middle) {
				keep[done + i] = !(i % 16);
				high++;
			} else if (found < n) {
				keep[done + i] = true;
				low[found++] = area_page(&a, done + i);
			}
		}
	}
	for (size_t i = 0; i < done; i++)
		if (!keep[i] && madvise(area_page(&a, i), page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	free(where);
	free(keep);
	require(r, found == n, "there are pages in the lower half of memory");
	return a;
}

/* Lay out the pages, and have memory compacted: how many of them have moved. */
static size_t lay_out_and_compact(struct run *r, struct area *a, char **page, uint64_t *was,
				  size_t n, uint64_t data, uint64_t tags)
{
	size_t moved = 0;

	*a = low_pages(r, n, page);
	for (size_t i = 0; i < n; i++) {
		/* Not the others: they would have storage when they have moved. */
		area_protect(r, &(struct area){ .base = page[i], .n = 1 }, true);
		pattern_fill(page[i], page_size(), data, i);
		tags_fill(page[i], page_size(), tags, i);
	}
	for (size_t i = 0; i < n; i++)
		was[i] = page_now(r, 0, page[i]).pfn;
	for (unsigned int k = 0; k < 8 && !moved; k++) {
		drain_lru(r);
		if (!compact(r))
			skip(r, "this kernel has no compaction");
		for (size_t i = 0; i < n; i++)
			moved += page_now(r, 0, page[i]).pfn != was[i];
	}
	return moved;
}

static void compacted(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, data = rnd(r), tags = rnd(r);
	size_t moved = 0, bad_data = 0, bad_tags = 0, bad = 0;
	struct state_summary before = summary_now(r);
	char **page = calloc(n, sizeof(*page));
	uint64_t *was = calloc(n, sizeof(*was));
	struct area a;

	if (!page || !was)
		bail(r, "out of memory");
	step(r,
	     "The program has %zu pages with tags, with holes between them. The kernel is told to compact memory: it moves pages. Each copy needs storage for the tags before they can be copied, and that of the old place is given back.",
	     n);
	/* What else lies about may be moved first, into all the room there is. */
	for (unsigned int tries = 0; !moved && tries < 6; tries++) {
		if (tries)
			area_unmap(r, &a);
		moved = lay_out_and_compact(r, &a, page, was, n, data, tags);
	}
	expect(r, reserved_pages_wait(r, start + n), "each of them has tag storage");
	measure(r, "moved_by_compaction", "pages", (double)moved);
	measure(r, "copies_refused", "1",
		(double)(summary_now(r).copy_refused - before.copy_refused));
	expect_range(r, moved, 1, n, "compaction moves tagged pages");
	for (size_t i = 0; i < n; i++) {
		struct area one = { .base = page[i], .n = 1 };

		bad_data += !!pattern_check(one.base, page_size(), data, i).count;
		bad_tags += !!tags_check(one.base, page_size(), tags, i).count;
		bad += area_bad_storage(r, 0, &one);
	}
	expect_eq_u64(r, bad_data, 0, "compaction: no page's data has changed");
	expect_eq_u64(r, bad_tags, 0, "compaction: no page's tags have changed");
	expect_eq_u64(r, bad, 0, "compaction: the tags are in tag storage");
	expect(r, reserved_pages_wait(r, start + n), "compaction: nothing is left at the old places");
	free(page);
	free(was);
	area_unmap(r, &a);
	expect(r, reserved_pages_wait(r, start), "compaction: unmapped, none has tag storage");
}

/* ---- One by one ---------------------------------------------------------------------- */

/* Pages that were taken out of use come back: there is no loss in the end. */
static void unpoison(struct run *r, uint64_t pfn)
{
	static const char path[] = "/sys/kernel/debug/hwpoison/unpoison-pfn";

	if (kernel_write(r, path, "0x%" PRIx64, pfn) && errno != ENOENT)
		note(r, "page frame 0x%" PRIx64 " stays out of use: %s", pfn, strerror(errno));
}

static void offlined(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, *was;
	struct area a;
	size_t failed = 0;

	if (!machine_is_disposable()) {
		skip_result(r, "the machine is not disposable, and some might stay out of use",
			    "soft offline: all pages can be taken out of use");
		return;
	}
	a = area_map(r, n, true);
	step(r,
	     "The kernel is asked to take the pages out of use, one by one, as if memory had begun to fail there (MADV_SOFT_OFFLINE). It moves each to another place, and the program must not notice.");
	area_write(r, &a);
	was = area_locations(r, 0, &a);
	for (size_t i = 0; i < n; i++) {
		if (!madvise(area_page(&a, i), page_size(), MADV_SOFT_OFFLINE))
			continue;
		if (errno == EINVAL && !i) {
			skip_result(r, "this kernel cannot (CONFIG_MEMORY_FAILURE)",
				    "soft offline: all pages can be taken out of use");
			free(was);
			area_unmap(r, &a);
			return;
		}
		failed++;
	}
	expect_eq_u64(r, failed, 0, "soft offline: all pages can be taken out of use");
	expect_eq_u64(r, moved_since(r, &a, was), n, "soft offline: all have moved");
	area_expect(r, &a, "after soft offline");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "soft offline: the tags are in tag storage");
	expect_eq_u64(r, stale_storage(r, &a, was), 0,
		      "soft offline: the old places have no storage any more");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, n,
		      "soft offline: as many pages have storage as before");
	for (size_t i = 0; i < n; i++)
		unpoison(r, was[i]);
	free(was);
	area_unmap(r, &a);
	expect(r, reserved_pages_wait(r, start), "soft offline: unmapped, none has tag storage");
}

/* ---- Against mprotect ------------------------------------------------------------------ */

struct race {
	volatile int stop;
	unsigned int movers;
	size_t pages;
	uint64_t rounds[MAX_MOVERS], tagged[MAX_MOVERS];
	uint64_t bad_data, bad_tags;
	uint64_t compactions;
	volatile unsigned int started;
};

static void compact_on(struct run *r, void *arg)
{
	struct race *c = arg;

	while (!c->stop) {
		compact(r);
		c->compactions++;
	}
}

/*
 * The destination of a migration is allocated while the source is not tagged; then
 * mprotect() makes it so, and tags are set, before it is copied.
 */
static void move_on(struct run *r, void *arg)
{
	struct race *c = arg;
	unsigned int me = __atomic_fetch_add(&c->started, 1, __ATOMIC_ACQ_REL);
	struct area a = area_map(r, c->pages, false);

	area_write_data(r, &a);
	while (!c->stop) {
		size_t first = rnd_below(r, a.n), len = 1 + rnd_below(r, a.n - first);
		struct area part = { .base = area_page(&a, first), .n = len,
				     .data = rnd(r) | 1, .tags = rnd(r) | 1 };

		/* New pages, untagged, at whatever places; then all at once tagged. */
		if (madvise(part.base, area_len(&part), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
		area_protect(r, &part, false);
		for (size_t i = 0; i < len; i++)
			pattern_fill(area_page(&part, i), page_size(), part.data, i);
		area_protect(r, &part, true);
		for (size_t i = 0; i < len; i++)
			tags_fill(area_page(&part, i), page_size(), part.tags, i);
		for (unsigned int k = 0; k < 3; k++) {
			if (area_check_data(&part).count)
				__atomic_add_fetch(&c->bad_data, 1, __ATOMIC_RELAXED);
			if (area_check_tags(&part).count)
				__atomic_add_fetch(&c->bad_tags, 1, __ATOMIC_RELAXED);
		}
		/* Holes that compaction will want to fill. */
		for (size_t i = 0; i < a.n; i += 2)
			if (!rnd_below(r, 4) &&
			    madvise(area_page(&a, i), page_size(), MADV_DONTNEED))
				bail_errno(r, "MADV_DONTNEED");
		c->rounds[me % MAX_MOVERS]++;
		c->tagged[me % MAX_MOVERS] += len;
	}
}

static uint64_t sum(const uint64_t *v)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < MAX_MOVERS; i++)
		n += __atomic_load_n(&v[i], __ATOMIC_RELAXED);
	return n;
}

/* Pages that were migrated, for whatever reason. */
static uint64_t migrated_so_far(struct run *r)
{
	return vmstat_now(r, "pgmigrate_success");
}

static void raced(struct run *r, size_t n, unsigned int seconds, unsigned int movers)
{
	struct state_summary start = summary_now(r), end;
	uint64_t migrated = migrated_so_far(r), until;
	struct race *c = shared_alloc(r, sizeof(*c));
	struct child *child[MAX_MOVERS + 1];

	step(r,
	     "%u processes make memory taggable with mprotect(), tag it, check it and give it back, all the time, while another has memory compacted. A page can become tagged while it is being moved to a place that was chosen for a page without tags.",
	     movers);
	c->pages = n;
	c->movers = movers;
	for (unsigned int i = 0; i < movers; i++)
		child[i] = role_spawn(r, &mover_role, move_on, c);
	child[movers] = role_spawn(r, &compactor_role, compact_on, c);
	until = now_ns() + seconds * 1000000000ULL;
	/* On a slow machine it takes longer until something has happened. */
	while (now_ns() < until ||
	       ((sum(c->rounds) < 10 * movers || migrated_so_far(r) - migrated < n) &&
		now_ns() < until + WAIT_MS * 1000000ULL))
		sleep_ms(50);
	c->stop = 1;
	for (unsigned int i = 0; i <= movers; i++)
		expect_role_done(r, child[i], WAIT_MS);
	end = summary_now(r);
	measure(r, "compactions", "1", (double)c->compactions);
	measure(r, "pages_migrated", "pages", (double)(migrated_so_far(r) - migrated));
	measure(r, "pages_tagged", "pages", (double)sum(c->tagged));
	measure(r, "race_copies_refused", "1", (double)(end.copy_refused - start.copy_refused));
	expect_range(r, migrated_so_far(r) - migrated, n, UINT64_MAX, "race: pages have moved");
	expect_eq_u64(r, c->bad_data, 0, "race: no data has changed");
	expect_eq_u64(r, c->bad_tags, 0, "race: no tag has changed");
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "race: at its end none has tag storage");
}

static void migrate_run(struct run *r)
{
	struct state_summary start = summary_now(r);
	size_t n = param_u64(r, "pages");

	/* A page that is being moved counts twice. */
	gather_nothing(r);
	compacted(r, n);
	offlined(r, n < 64 ? n : 64);
	raced(r, n / 4, (unsigned int)param_u64(r, "seconds"),
	      (unsigned int)param_u64(r, "workers"));
	expect(r, eventually(5000, summary_now(r).blocks_isolating == 0),
	       "no block stays half emptied");
	expect_eq_u64(r, summary_now(r).foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
}

static const struct scenario migrate_scenario = {
	.name = "migrate",
	.kind = SCENARIO_WORKLOAD,
	.summary = "tagged pages moved by compaction and soft offline, and against mprotect",
	.explanation =
		"The kernel moves pages: to make room for large ones, or because memory is failing. The copy of a tagged page needs storage for its tags at the new place, found before anything is copied, since a copy may neither sleep nor allocate. "
		"It is hard when the page becomes tagged only after the new place was chosen: then the copy has to fail, and to be tried again.",
	.groups = "stress",
	.params = PARAMS(
		P_UINT("pages", "512", 64, 65536, "pages of each kind"),
		P_UINT("workers", "2", 1, MAX_MOVERS, "processes in the race"),
		P_UINT("seconds", "5", 1, 86400, "how long the race goes on, at least")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 900,
	.roles = ROLES(&compactor_role, &mover_role),
	.run = migrate_run,
};
SCENARIO(migrate_scenario);
