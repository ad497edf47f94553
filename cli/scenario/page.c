// SPDX-License-Identifier: GPL-2.0-only
/* Where pages are, and their tags: see page.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/run_private.h"

/* /proc/PID/pagemap: one 64-bit word a page. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_PFN ((1ULL << 55) - 1)
/* How long a page that is migrated is not mapped, at most; a busy computer included. */
#define MOVE_MS 50
#define PAGEMAP_BATCH 512

/* They do not change while the machine runs; a fork may inherit the copy. */
static struct state_region *regions;
static size_t nr_regions;

static void read_regions(struct run *r)
{
	struct state *st;
	char why[512] = "";
	int err;

	if (regions)
		return;
	err = state_open(&st);
	if (!err)
		err = state_read_regions(st, &regions, &nr_regions);
	if (err)
		snprintf(why, sizeof(why), "%s", state_error(st));
	state_close(st);
	if (err)
		bail(r, "%s", why);
}

bool pfn_in_tag_storage(struct run *r, uint64_t pfn)
{
	read_regions(r);
	for (size_t i = 0; i < nr_regions; i++)
		if (pfn * page_size() - regions[i].tag_base < regions[i].tag_size)
			return true;
	return false;
}

void page_flags(struct run *r, uint64_t pfn, size_t n, uint64_t *flags)
{
	static const char path[] = "/proc/kpageflags";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bail_errno(r, path);
	for (size_t i = 0; i < n;) {
		ssize_t got = pread(fd, flags + i, (n - i) * 8, (off_t)((pfn + i) * 8));

		if (got < 8)
			bail(r, "%s: page 0x%" PRIx64 ": %s", path, pfn + i,
			     got < 0 ? strerror(errno) : "it ends before");
		i += (size_t)got / 8;
	}
	close(fd);
}

int64_t pfn_block(struct run *r, uint64_t pfn)
{
	read_regions(r);
	return state_block_of(regions, nr_regions, pfn * page_size());
}

uint64_t pfn_middle(struct run *r)
{
	uint64_t first = UINT64_MAX, end = 0;

	read_regions(r);
	for (size_t i = 0; i < nr_regions; i++) {
		if (regions[i].mem_base < first)
			first = regions[i].mem_base;
		if (regions[i].mem_base + regions[i].mem_size > end)
			end = regions[i].mem_base + regions[i].mem_size;
	}
	return (first + (end - first) / 2) / page_size();
}

size_t pages_per_block(struct run *r)
{
	return (size_t)summary_now(r).block_pages * STATE_DATA_PER_TAG;
}

/*
 * The caller's own, kept open: when memory is full, opening a file asks for memory
 * that cannot come from tag storage, and that may be one page too many.
 */
static int own_pagemap(struct run *r)
{
	static pid_t owner;
	static int fd = -1;

	if (owner != getpid()) {
		if (fd >= 0)
			close(fd);
		owner = getpid();
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			bail_errno(r, "/proc/self/pagemap");
	}
	return fd;
}

void page_locations_each(struct run *r, pid_t pid, const void *p, size_t n, page_location_fn fn,
			 void *arg)
{
	uint64_t words[PAGEMAP_BATCH], page = (uintptr_t)ptr_plain(p) / page_size();
	char path[64];
	int fd = pid ? -1 : own_pagemap(r);

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid ? pid : getpid());
	if (pid)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bail_errno(r, "%s", path);
	for (size_t i = 0; i < n;) {
		size_t batch = n - i < PAGEMAP_BATCH ? n - i : PAGEMAP_BATCH;
		ssize_t got = pread(fd, words, batch * 8, (off_t)((page + i) * 8));

		if (got < 8)
			bail_errno(r, "reading %s", path);
		for (size_t k = 0; k < (size_t)got / 8; k++, i++) {
			struct page_location w = {
				.present = words[k] & PAGEMAP_PRESENT,
				.swapped = words[k] & PAGEMAP_SWAPPED,
			};

			if (w.present)
				w.pfn = words[k] & PAGEMAP_PFN;
			if (w.present && !w.pfn)
				bail(r, "%s tells no page frames: this must be run as root", path);
			fn(r, i, &w, arg);
		}
	}
	if (pid)
		close(fd);
}

static void keep_location(struct run *r, size_t i, const struct page_location *w, void *arg)
{
	(void)r;
	((struct page_location *)arg)[i] = *w;
}

void page_locations(struct run *r, pid_t pid, const void *p, size_t n, struct page_location *where)
{
	page_locations_each(r, pid, p, n, keep_location, where);
}

struct tally {
	size_t present, swapped, in_tag_storage;
};

static void tally_location(struct run *r, size_t i, const struct page_location *w, void *arg)
{
	struct tally *t = arg;

	(void)r;
	(void)i;
	t->present += w->present;
	t->swapped += w->swapped;
}

static void tally_storage(struct run *r, size_t i, const struct page_location *w, void *arg)
{
	struct tally *t = arg;

	(void)i;
	t->in_tag_storage += w->present && pfn_in_tag_storage(r, w->pfn);
}

size_t pages_present(struct run *r, pid_t pid, const void *p, size_t n)
{
	struct tally t = { 0 };

	page_locations_each(r, pid, p, n, tally_location, &t);
	return t.present;
}

size_t pages_swapped(struct run *r, pid_t pid, const void *p, size_t n)
{
	struct tally t = { 0 };

	page_locations_each(r, pid, p, n, tally_location, &t);
	return t.swapped;
}

size_t pages_in_tag_storage(struct run *r, pid_t pid, const void *p, size_t n)
{
	struct tally t = { 0 };

	page_locations_each(r, pid, p, n, tally_storage, &t);
	return t.in_tag_storage;
}

/* ---- What has tag storage ----------------------------------------------------- */

#define DRAIN_MS 5000
#define MAX_NOTES 4

/* What is wrong with how the tags of a page are stored; NULL: nothing. */
static const char *not_stored(const struct state_page *page, const struct state_tags *tags,
			      unsigned int may)
{
	if (!page->has_storage)
		return "it has no tag storage";
	if (!page->tagged)
		return "it is not tagged";
	if (page->in_tag_storage)
		return "it lies in tag storage itself";
	if (page->foa && !(may & STORED_FOA))
		return "it faults on access";
	if (page->block_state != BLOCK_RESERVED &&
	    !(page->block_state == BLOCK_PERMANENT && may & STORED_PERMANENT))
		return "its block is not reserved";
	if (!tags->valid || !tags->has_raw)
		return "the kernel does not tell its tags";
	return state_tags_agree(tags) ? NULL : "the bytes in tag storage are not its tags";
}

/* The same of a page that may not be there; the kernel may also be moving it. */
static const char *why_not_stored(struct run *r, pid_t pid, const void *p, unsigned int may,
				  struct state_tags *tags)
{
	struct state_page page;

	if (!eventually(MOVE_MS, page_present(r, pid, p, &page)))
		return "it is not there";
	*tags = tags_now(r, pid, p);
	return not_stored(&page, tags, may);
}

bool tags_stored(struct run *r, pid_t pid, const void *p, unsigned int may,
		 struct state_tags *tags)
{
	struct state_tags own;

	return !why_not_stored(r, pid, p, may, tags ? tags : &own);
}

size_t tags_not_stored(struct run *r, pid_t pid, const void *p, size_t n, unsigned int may)
{
	struct state_tags tags;
	size_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		const char *why = why_not_stored(r, pid, (const char *)p + i * page_size(), may,
						 &tags);

		if (why && !bad++)
			note(r, "page %zu of %zu: %s", i, n, why);
	}
	return bad;
}

static void note_pages_of_block(struct run *r, uint64_t block, unsigned int *left)
{
	for (size_t i = 0; i < nr_regions; i++) {
		const struct state_region *reg = &regions[i];
		uint64_t n = reg->block_size / page_size() * STATE_DATA_PER_TAG, pfn;

		if (block - reg->first_block >= reg->blocks)
			continue;
		pfn = reg->mem_base / page_size() + (block - reg->first_block) * n;
		for (; n && *left; n--, pfn++) {
			struct state_page page = pfn_now(r, pfn);

			if (!page.has_storage)
				continue;
			(*left)--;
			note(r,
			     "has tag storage: page 0x%" PRIx64 " of kind %s, %" PRId64
			     " references, mapped %" PRId64 " times, %son the LRU",
			     pfn, page.kind, page.refcount, page.mapcount, page.lru ? "" : "not ");
		}
	}
}

static void note_pages_with_storage(struct run *r)
{
	uint64_t blocks = summary_now(r).blocks;
	unsigned int left = MAX_NOTES;

	read_regions(r);
	for (uint64_t b = 0; b < blocks && left; b++)
		if (block_now(r, b).letter == BLOCK_RESERVED)
			note_pages_of_block(r, b, &left);
}

uint64_t kernel_reservations(struct run *r)
{
	struct state_latency *lat;
	struct state *st;
	uint64_t sum = 0;
	size_t n;

	if (state_open(&st) || state_read_latency(st, STATE_RESERVE_LATENCY, &lat, &n))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(lat[i].cause, "kernel"))
			sum += lat[i].count;
	free(lat);
	state_close(st);
	return sum;
}

static uint64_t left_in_region(struct run *r, const struct state_region *reg)
{
	uint64_t first = reg->mem_base / page_size(), n = reg->mem_size / page_size(), sum = 0;
	uint64_t flags[1024];

	for (uint64_t i = 0; i < n; i += 1024) {
		uint64_t some = n - i < 1024 ? n - i : 1024;

		page_flags(r, first + i, some, flags);
		for (uint64_t k = 0; k < some; k++)
			if ((flags[k] & (PAGE_FLAG_SWAP_CACHE | PAGE_FLAG_MAPPED)) ==
			    PAGE_FLAG_SWAP_CACHE) {
				struct state_page page = pfn_now(r, first + i + k);

				/* No references but the swap cache's own. */
				sum += page.has_storage && page.refcount == 1L << page.order;
			}
	}
	return sum;
}

uint64_t pages_left_in_swap_cache(struct run *r)
{
	uint64_t sum = 0;

	if (!memory_now(r).swap_cached)
		return 0;
	read_regions(r);
	for (size_t i = 0; i < nr_regions; i++)
		sum += left_in_region(r, &regions[i]);
	return sum;
}

static uint64_t reserved_now(struct run *r, bool blocks)
{
	struct state_summary now = summary_now(r);

	return blocks ? now.blocks_reserved : now.reserved_pages;
}

/* Those that were there before may be in want, and have been reclaimed meanwhile. */
static bool left_are_the_rest(struct run *r, uint64_t want, bool blocks)
{
	uint64_t left = pages_left_in_swap_cache(r), now = reserved_now(r, blocks);

	if (now > want + left || now + r->swap_cache_left < want)
		return false;
	note(r, "%" PRIu64 " pages of nobody are left in the swap cache, with tag storage", left);
	if (left > r->swap_cache_left)
		r->swap_cache_left = left;
	return true;
}

static bool reserved_wait(struct run *r, uint64_t want, bool blocks)
{
	if (eventually(100, reserved_now(r, blocks) == want))
		return true;
	drain_lru(r);
	if (eventually(DRAIN_MS, reserved_now(r, blocks) == want))
		return true;
	/* Who moves one just now has a reference, too. */
	if (eventually(DRAIN_MS, left_are_the_rest(r, want, blocks)))
		return true;
	note(r, "%" PRIu64 " %s, and should be %" PRIu64, reserved_now(r, blocks),
	     blocks ? "blocks are reserved" : "pages have tag storage", want);
	note_pages_with_storage(r);
	return false;
}

bool reserved_pages_wait(struct run *r, uint64_t want)
{
	return reserved_wait(r, want, false);
}

bool reserved_blocks_wait(struct run *r, uint64_t want)
{
	return reserved_wait(r, want, true);
}

/* Nothing drains these lists on demand: shorten them, and have each CPU look at its own. */
void drain_free_lists(struct run *r)
{
	unsigned int was = 0;
	FILE *f = fopen(FREE_LISTS, "re");

	if (!f || fscanf(f, "%u", &was) != 1)
		bail_errno(r, FREE_LISTS);
	fclose(f);
	drain_lru(r);
	if (kernel_write(r, FREE_LISTS, "100000"))
		bail_errno(r, FREE_LISTS);
	for (unsigned int i = 0; i < 64; i++)
		if (kernel_write(r, "/proc/sys/vm/stat_refresh", "1"))
			bail_errno(r, "/proc/sys/vm/stat_refresh");
	if (kernel_write(r, FREE_LISTS, "%u", was))
		bail_errno(r, FREE_LISTS);
}
