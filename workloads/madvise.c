// SPDX-License-Identifier: GPL-2.0-only
/* workloads/madvise.c: mremap(), mlock(), MAP_POPULATE and madvise() on tagged memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static void advise(struct run *r, const struct area *a, int advice, const char *name)
{
	if (madvise(a->base, area_len(a), advice))
		bail_errno(r, "%s", name);
}

/* Entries of the area that are inaccessible for want of storage. */
static size_t waiting(struct run *r, const struct area *a)
{
	struct state_page page;
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += page_present(r, 0, area_page(a, i), &page) && page.foa;
	return n;
}

/* waits: whether its pages wait for storage, which takes a shortage. */
static struct area pending_area(struct run *r, size_t n, bool *waits)
{
	struct area a = area_map(r, n, false);

	area_write_data(r, &a);
	*waits = mprotect_storage_full(r, a.base, area_len(&a));
	a.tags = 0;
	return a;
}

static void gone(struct run *r, struct area *a, uint64_t start, const char *what)
{
	area_unmap(r, a);
	expect(r, reserved_pages_wait(r, start), "%s: unmapped, none has tag storage", what);
}

/* ---- mremap ----------------------------------------------------------------------- */

#define REMAP_TRIES 5

/* To another address; how many of its n pages are the same ones then. */
static size_t remap(struct run *r, struct area *a)
{
	uint64_t *was = area_locations(r, 0, a), *is;
	size_t same = 0;
	void *to;

	/* A place that is surely another one. */
	to = mmap(NULL, area_len(a), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		bail_errno(r, "mmap");
	to = mremap(a->base, area_len(a), area_len(a), MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED)
		bail_errno(r, "mremap");
	a->base = to;
	is = area_locations(r, 0, a);
	for (size_t i = 0; i < a->n; i++)
		same += was[i] == is[i];
	free(was);
	free(is);
	return same;
}

static void remapped(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area a = area_map(r, n, true), old, grown;
	size_t same = 0;
	bool waits;
	void *to;

	step(r,
	     "Tagged memory is moved to another address with mremap(). The pages are the same, and with them their tags and their storage.");
	area_write(r, &a);
	/* Compaction may move some just then. */
	for (unsigned int i = 0; i < REMAP_TRIES && same != n; i++)
		same = remap(r, &a);
	expect_eq_u64(r, same, n, "mremap: the pages are the same");
	area_expect(r, &a, "moved by mremap");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "mremap: the tags are in tag storage");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, n, "mremap: nothing more is reserved");

	step(r,
	     "It is moved again, and the old mapping stays (MREMAP_DONTUNMAP): what is touched there are new pages, with tags of 0.");
	old = a;
	to = mremap(a.base, area_len(&a), area_len(&a), MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (to == MAP_FAILED)
		bail_errno(r, "mremap(MREMAP_DONTUNMAP)");
	a.base = to;
	area_expect(r, &a, "moved, with the old mapping left");
	area_write_data(r, &old);
	old.tags = 0;
	area_expect(r, &old, "in the old mapping");
	expect_eq_u64(r, area_bad_storage(r, 0, &old), 0,
		      "mremap: new pages of the old mapping have storage");
	area_expect(r, &a, "after the old mapping was written to");
	area_unmap(r, &old);

	step(r, "It grows to twice its size, and shrinks to half of it.");
	to = mremap(a.base, area_len(&a), 2 * area_len(&a), MREMAP_MAYMOVE);
	if (to == MAP_FAILED)
		bail_errno(r, "mremap to grow");
	a.base = to;
	grown = area_at(r, a.base + area_len(&a), n);
	area_write(r, &grown);
	area_expect(r, &a, "in the old part of what has grown");
	area_expect(r, &grown, "in the new part");
	if (mremap(a.base, 2 * area_len(&a), n / 2 * page_size(), 0) == MAP_FAILED)
		bail_errno(r, "mremap to shrink");
	a.n = n / 2;
	expect(r, reserved_pages_wait(r, start + a.n), "mremap: what was cut off has no storage");
	area_expect(r, &a, "shrunk");
	gone(r, &a, start, "mremap");

	step(r, "Entries that are inaccessible for want of storage move, too, and stay so.");
	a = pending_area(r, n, &waits);
	to = mmap(NULL, area_len(&a), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		bail_errno(r, "mmap");
	if (waits)
		/* A block may have users: what others have left in the swap cache. */
		expect_range(r, waiting(r, &a), n / 2, n,
			     "before they are moved, they wait for storage");
	to = mremap(a.base, area_len(&a), area_len(&a), MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED)
		bail_errno(r, "mremap");
	a.base = to;
	expect_range(r, summary_now(r).reserved_pages - start + waiting(r, &a), n, 2 * n,
		     "moved, each still waits or has storage");
	area_expect(r, &a, "moved while it waited for storage");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "moved and read, all have storage");
	gone(r, &a, start, "mremap of what waits");
}

/* ---- Populating --------------------------------------------------------------------- */

static void populated(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, faults, left;
	struct area a;
	bool waits;
	void *p;

	step(r,
	     "Tagged memory is mapped with MAP_POPULATE: all pages come at once, without a fault, each with storage.");
	p = mmap(NULL, n * page_size(), AREA_RW | PROT_MTE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		bail_errno(r, "mmap(MAP_POPULATE)");
	a = area_at(r, p, n);
	expect_eq_u64(r, pages_present(r, 0, a.base, n), n, "MAP_POPULATE: all pages are there");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "MAP_POPULATE: all have storage");
	expect_intact(r, tags_check_same(a.base, area_len(&a), 0), "MAP_POPULATE: the tags are 0");
	area_write(r, &a);
	area_expect(r, &a, "in memory that was populated");
	gone(r, &a, start, "MAP_POPULATE");

	step(r,
	     "mlock() and MADV_POPULATE_* bring in pages on behalf of the program, too: here such as wait for storage. MADV_POPULATE_* gets it, and the accesses that follow take no fault; mlock() may leave that to them.");
	for (int how = 0; how < 3; how++) {
		static const char *const names[] = { "mlock", "MADV_POPULATE_READ",
						     "MADV_POPULATE_WRITE" };

		a = pending_area(r, n, &waits);
		if (waits)
			expect_range(r, waiting(r, &a), n / 2, n, "%s: before, pages wait",
				     names[how]);
		if (how ? madvise(a.base, area_len(&a), how == 1 ? MADV_POPULATE_READ :
							MADV_POPULATE_WRITE) :
			  mlock(a.base, area_len(&a)))
			bail_errno(r, "%s", names[how]);
		left = waiting(r, &a);
		if (how)
			expect_eq_u64(r, left, 0, "%s: after it, none waits", names[how]);
		else
			measure(r, "mlock_waiting", "pages", (double)left);
		faults = summary_now(r).foa_fault;
		area_expect(r, &a, names[how]);
		expect_range(r, summary_now(r).foa_fault - faults, 0, left,
			     "%s: only what waits faults, once", names[how]);
		expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "%s: all have storage", names[how]);
		area_write_tags(r, &a);
		area_expect(r, &a, "with tags of its own");
		gone(r, &a, start, names[how]);
	}

	step(r,
	     "Locked memory that holds data becomes taggable. That it is locked does not keep it from being moved where there is storage.");
	a = area_map(r, n, false);
	area_write_data(r, &a);
	if (mlock(a.base, area_len(&a)))
		bail_errno(r, "mlock");
	mprotect_storage_full(r, a.base, area_len(&a));
	a.tags = 0;
	area_expect(r, &a, "locked, then made taggable");
	area_write_tags(r, &a);
	area_expect(r, &a, "locked, with tags");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "locked: the tags are in tag storage");
	if (munlock(a.base, area_len(&a)))
		bail_errno(r, "munlock");
	gone(r, &a, start, "locked memory");
}

#define MAX_LOCKED 64

/* Tag storage has no tags: what lies there has to move when it is tagged, locked or not. */
static void locked_in_tag_storage(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct ballast *b = ballast_new(r);
	size_t n, failed = 0, bad_data = 0, bad_tags = 0, bad = 0;
	char *page[MAX_LOCKED];

	step(r,
	     "Memory is filled until data lies in tag storage. The program locks some of that, and makes it taggable.");
	n = ballast_into_tag_storage(r, b, 4 * MAX_LOCKED, memory_reserve(r) + (32 << 20), page,
				     MAX_LOCKED);
	expect_range(r, n, MAX_LOCKED / 2, MAX_LOCKED, "locked memory: some lies in tag storage");
	for (size_t i = 0; i < n; i++)
		if (mlock(page[i], page_size()) ||
		    mprotect(page[i], page_size(), AREA_RW | PROT_MTE))
			bail_errno(r, "mlock and mprotect");
	for (size_t i = 0; i < n; i++) {
		struct area one = { .base = page[i], .n = 1 };

		if (probe_load(page[i]).signal) {
			failed++;
			continue;
		}
		/* The first word is all that is not 0 there. */
		bad_data += *(uint64_t *)(void *)page[i] != (uintptr_t)page[i];
		bad_tags += tags_check_same(page[i], page_size(), 0).count != 0;
		bad += area_bad_storage(r, 0, &one);
	}
	expect_eq_u64(r, failed, 0, "locked memory: all can be accessed");
	expect_eq_u64(r, bad_data, 0, "locked memory: its data has moved with it");
	expect_eq_u64(r, bad_tags, 0, "locked memory: its tags begin as 0");
	expect_eq_u64(r, bad, 0, "locked memory: its tags are in tag storage, and the data is not");
	ballast_free(b);
	expect(r, reserved_pages_wait(r, start), "locked memory: unmapped, none has tag storage");
}

/* ---- madvise ------------------------------------------------------------------------ */

static void advised(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area a = area_map(r, n, true);
	size_t lost = 0, bad = 0;

	step(r,
	     "The program says that its memory is cold, and that it can be paged out. With no need, and perhaps no swap, that changes nothing; tags least of all.");
	area_write(r, &a);
	advise(r, &a, MADV_COLD, "MADV_COLD");
	area_expect(r, &a, "after MADV_COLD");
	advise(r, &a, MADV_PAGEOUT, "MADV_PAGEOUT");
	area_expect(r, &a, "after MADV_PAGEOUT");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "after MADV_PAGEOUT, the tags are in tag storage");

	step(r,
	     "It says that it needs half of it no more (MADV_FREE), then writes to a quarter, and the kernel reclaims what it may. Each page is either what it was, tags and all, or new, with tags of 0.");
	if (madvise(a.base, n / 2 * page_size(), MADV_FREE))
		bail_errno(r, "MADV_FREE");
	for (size_t i = 0; i < n / 4; i++)
		pattern_fill(area_page(&a, i), page_size(), a.data, i);
	drain_lru(r);
	/* Reclaims what is clean; what is in use goes to swap if there is some. */
	advise(r, &a, MADV_PAGEOUT, "MADV_PAGEOUT");
	for (size_t i = 0; i < n; i++) {
		char *p = area_page(&a, i);
		bool data = !pattern_check(p, page_size(), a.data, i).count;
		bool tags = !tags_check(p, page_size(), a.tags, i).count;
		bool empty = !tags_check_same(p, page_size(), 0).count && !*(uint64_t *)(void *)p;

		if (i >= n / 4 && i < n / 2 && empty)
			lost++;
		else
			bad += !data || !tags;
	}
	measure(r, "freed_lazily", "pages", (double)lost);
	expect_eq_u64(r, bad, 0, "MADV_FREE: each page is what it was, or new");
	expect_range(r, lost, 1, n / 2 - n / 4, "MADV_FREE: some pages were reclaimed");

	step(r,
	     "MADV_DONTNEED drops all of it at once, and the storage of the tags; what is touched then is new.");
	advise(r, &a, MADV_DONTNEED, "MADV_DONTNEED");
	expect(r, reserved_pages_wait(r, start), "MADV_DONTNEED: no page has storage");
	area_write_data(r, &a);
	a.tags = 0;
	area_expect(r, &a, "touched after MADV_DONTNEED");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "MADV_DONTNEED: new pages have storage");
	gone(r, &a, start, "madvise");
}

static void madvise_run(struct run *r)
{
	uint64_t sigbus = summary_now(r).foa_sigbus;
	size_t n = param_u64(r, "pages") / 4 * 4;

	/* A page that is being moved counts twice. */
	gather_nothing(r);
	remapped(r, n);
	populated(r, n);
	if (storage_takes_data(r, "locked memory that lies in tag storage is made taggable"))
		locked_in_tag_storage(r);
	advised(r, n);
	expect_eq_u64(r, summary_now(r).foa_sigbus, sigbus, "no access ended in SIGBUS");
}

static const struct scenario madvise_scenario = {
	.name = "madvise",
	.kind = SCENARIO_WORKLOAD,
	.summary = "mremap, mlock, MAP_POPULATE and madvise on tagged memory",
	.explanation =
		"Programs tell the kernel what to do with their memory in many ways that are no accesses: they move it, have it populated or locked, say that it is cold, or that it can be freed when memory gets scarce. "
		"Each of these walks page tables by itself, and meets pages that have tags, and pages that still wait for storage.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "64", 8, 65536, "pages that are treated in each way")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.run = madvise_run,
};
SCENARIO(madvise_scenario);
