// SPDX-License-Identifier: GPL-2.0-only
/* Which pages the victim is to tag: see choose.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "attack/choose.h"
#include "scenario/page.h"

/* By so many pages the victim's memory grows. */
#define GROW_PAGES 8192

/* The way that has fewest pages of the victim's memory; VICTIM_WAYS: none wants any. */
static enum victim_way fewest(const struct victim *v)
{
	int best = VICTIM_WAYS;

	for (int way = 0; way < VICTIM_WAYS; way++)
		if (v->wants[way] && victim_kinds[way].source == FROM_MEMORY &&
		    (best == VICTIM_WAYS || v->n[way] < v->n[best]))
			best = way;
	return (enum victim_way)best;
}

static bool enough(const struct victim *v, unsigned int per_way)
{
	enum victim_way way = fewest(v);

	return way == VICTIM_WAYS || v->n[way] >= per_way;
}

/* Pages move, and so may be found once more. */
static bool taken(const struct victim *v, uint64_t addr)
{
	for (int way = 0; way < VICTIM_WAYS; way++)
		for (unsigned int i = 0; i < v->n[way]; i++)
			if (v->page[way][i].old == addr)
				return true;
	return false;
}

static void take(struct victim *v, enum victim_way way, uint64_t addr)
{
	v->page[way][v->n[way]++] = (struct victim_page){ .old = addr, .addr = addr, .value = 1 };
}

/*
 * Of these n pages from addr, those whose block is in a set, or is not (in), and which are
 * not tag storage themselves: their numbers go to found[], and how many they are is
 * returned.
 */
static size_t find(struct run *r, const struct blocks *set, bool in, pid_t pid, uint64_t addr,
		   size_t n, uint32_t *found)
{
	struct page_location *where = calloc(n + 1, sizeof(*where));
	size_t nr = 0;

	if (!where)
		bail(r, "out of memory");
	page_locations(r, pid, page_at(addr), n, where);
	for (size_t i = 0; i < n; i++) {
		int64_t block = where[i].present ? pfn_block(r, where[i].pfn) : -1;

		if (block >= 0 && blocks_have(set, block) == in &&
		    !pfn_in_tag_storage(r, where[i].pfn))
			found[nr++] = (uint32_t)i;
	}
	free(where);
	return nr;
}

/* The same, of the victim's memory from page first on, until there are enough. */
static void choose(struct run *r, struct victim *v, const struct blocks *set, bool in, pid_t pid,
		   uint64_t first, unsigned int per_way)
{
	uint64_t total = v->memory_pages - first, memory = v->memory + first * page_size();
	uint32_t *found = calloc(total + 1, sizeof(*found));
	size_t n;

	if (!found)
		bail(r, "out of memory");
	n = find(r, set, in, pid, memory, total, found);
	/* In any order, so that many blocks get their turn. */
	for (; n && !enough(v, per_way); n--) {
		size_t pick = rnd_below(r, n);
		uint64_t addr = memory + found[pick] * page_size();
		struct state_page page;

		found[pick] = found[n - 1];
		/* It may have moved meanwhile. */
		if (page_present(r, pid, page_at(addr), &page) && page.block >= 0 &&
		    blocks_have(set, page.block) == in && !page.in_tag_storage && !taken(v, addr))
			take(v, fewest(v), addr);
	}
	free(found);
}

/* Whether this page of that huge page has its tags in one of these blocks. */
static bool huge_needs(struct run *r, const struct blocks *set, const struct page_location *where)
{
	for (size_t i = 0; i < VICTIM_HUGE_SIZE / page_size(); i++)
		if (where[i].present && blocks_have(set, pfn_block(r, where[i].pfn)))
			return true;
	return false;
}

/* Of the victim's huge pages, those some of whose tags belong into blocks of a set. */
static void choose_huge(struct run *r, struct victim *v, const struct blocks *set, pid_t pid)
{
	size_t pages = VICTIM_HUGE_SIZE / page_size();
	struct page_location *where = calloc(pages, sizeof(*where));
	struct state_page page;

	if (!where)
		bail(r, "out of memory");
	for (uint64_t i = 0; i < v->huge_pages && v->n[VICTIM_HUGE] < VICTIM_MAX_HUGE; i++) {
		uint64_t addr = v->huge + i * VICTIM_HUGE_SIZE;

		page_locations(r, pid, page_at(addr), pages, where);
		if (huge_needs(r, set, where) && page_present(r, pid, page_at(addr), &page) &&
		    page.order && !taken(v, addr))
			take(v, VICTIM_HUGE, addr);
	}
	free(where);
}

void choose_any(struct run *r, struct victim *v, pid_t pid, unsigned int per_way)
{
	struct blocks data = blocks_with_data(r);

	choose(r, v, &data, true, pid, 0, per_way);
	choose(r, v, &data, false, pid, 0, per_way);
	/* There, all blocks fit. */
	memset(data.map, 1, data.nr_blocks);
	choose_huge(r, v, &data, pid);
	blocks_free(&data);
}

/* Let the victim fill so many pages more; false if it cannot have any. */
static bool grow_victim(struct run *r, struct victim *v, struct child *c, uint64_t pages)
{
	uint64_t had = v->memory_pages, until = now_ns() + PATIENCE_MS * 1000000ULL;

	pages = pages < v->memory_max - had ? pages : v->memory_max - had;
	__atomic_store_n(&v->memory_wanted, had + pages, __ATOMIC_RELEASE);
	while (__atomic_load_n(&v->memory_pages, __ATOMIC_ACQUIRE) < had + pages &&
	       !__atomic_load_n(&v->memory_full, __ATOMIC_ACQUIRE)) {
		struct role_end end = role_wait(r, c, 0);

		if (!end.timed_out)
			bail(r, "the victim ended while it filled memory, signal %d, status %d",
			     end.signal, end.status);
		if (now_ns() > until) {
			note_stuck(r, "victim", role_pid(c));
			bail(r, "the victim has not filled more memory in time");
		}
		sleep_ms(2);
	}
	return v->memory_pages > had;
}

void choose_held(struct run *r, struct victim *v, const struct blocks *held, struct child *c,
		 unsigned int per_way, bool grow)
{
	uint64_t looked = 0, first;

	choose_huge(r, v, held, role_pid(c));
	/* Up to all there is: the pages of the held blocks are somewhere. */
	do {
		first = looked;
		looked = v->memory_pages;
		choose(r, v, held, true, role_pid(c), first, per_way);
	} while (grow && !enough(v, per_way) && grow_victim(r, v, c, GROW_PAGES));
}

void choose_swapped(struct run *r, struct victim *v, pid_t pid)
{
	struct victim_page *page = v->page[VICTIM_SWAPIN];
	unsigned int kept = 0;

	for (unsigned int i = 0; i < v->n[VICTIM_SWAPIN]; i++)
		if (pages_swapped(r, pid, page_at(page[i].addr), 1))
			page[kept++] = page[i];
	v->n[VICTIM_SWAPIN] = kept;
}

void choose_shared(struct run *r, struct victim *v, const struct attacker *a,
		   const struct blocks *held)
{
	struct victim_page *page = v->page[VICTIM_SHARED];
	size_t ps = page_size(), step = 512, done = 0;
	uint32_t found[512];
	unsigned int n = 0;

	/* Memory is put there until some fit, and what else came is given back. */
	while (n < SHARED_TRY && done + step <= v->memory_max && room_pages(r)) {
		char *p = a->shared + done * ps;
		size_t nr;

		populate(r, p, step * ps);
		nr = find(r, held, true, 0, (uintptr_t)p, step, found);
		for (size_t i = 0; i < nr && n < SHARED_TRY; i++) {
			page[n].old = page[n].addr = (uintptr_t)p + found[i] * ps;
			n++;
		}
		done += step;
	}
	for (size_t i = 0, k = 0; i < done; i++) {
		char *p = a->shared + i * ps;

		if (k < n && page[k].addr == (uintptr_t)p)
			k++;
		else if (madvise(p, ps, MADV_REMOVE))
			bail_errno(r, "MADV_REMOVE");
	}
	v->n[VICTIM_SHARED] = n;
}

void choose_shared_again(struct run *r, struct victim *v, const struct blocks *held)
{
	struct victim_page *page = v->page[VICTIM_SHARED];
	unsigned int kept = 0;

	for (unsigned int i = 0; i < v->n[VICTIM_SHARED] && kept < SHARED_PAGES; i++) {
		void *addr = page_at(page[i].addr);
		struct state_page now;

		if (!page_present(r, 0, addr, &now) || now.in_tag_storage ||
		    !blocks_have(held, now.block))
			continue;
		pattern_fill(addr, page_size(), v->seed, victim_pattern(VICTIM_SHARED, kept));
		page[kept++] = page[i];
	}
	v->n[VICTIM_SHARED] = kept;
}
