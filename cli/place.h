/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: where pages are in physical memory, and how to fill memory until
 * data lies in tag storage. Root only, if not said otherwise. As in scenario.h, what
 * cannot be done ends the scenario with a clear result.
 */
#ifndef TAGSCOPE_PLACE_H
#define TAGSCOPE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scenario.h"

/* What /proc/PID/pagemap says of one page. */
struct place {
	bool present, swapped;
	uint64_t pfn;		/* if present */
};

/*
 * Fill where[] for n pages from address p (with or without a tag) of a process; pid
 * 0 is the caller.
 */
void places_now(struct run *r, pid_t pid, const void *p, size_t n, struct place *where);

/* Of these n pages, how many are present, are swapped out, or lie in tag storage. */
size_t pages_present(struct run *r, pid_t pid, const void *p, size_t n);
size_t pages_swapped(struct run *r, pid_t pid, const void *p, size_t n);
size_t pages_in_tag_storage(struct run *r, pid_t pid, const void *p, size_t n);

/*
 * Have n pages from p of the caller, private or shared, swapped out; true once none of them
 * is in memory any more, in the swap cache neither, within ms milliseconds. Others that
 * map shared pages keep them in memory.
 */
bool swap_out(struct run *r, void *p, size_t n, unsigned int ms);

/* Swap that is on: the first so many of /proc/swaps; returns how many there are. */
struct swap_device {
	char path[256];
	int priority;
};
size_t swap_devices(struct run *r, struct swap_device *d, size_t max);
/* Each returns for how many of these it worked. Nothing else comes between them. */
size_t swap_devices_off(const struct swap_device *d, size_t n);
size_t swap_devices_on(const struct swap_device *d, size_t n);

/* Whether this page frame is part of a tag storage region (a copy of "regions" is kept). */
bool pfn_in_tag_storage(struct run *r, uint64_t pfn);
/* The page frame in the middle of the memory that has tag storage. */
uint64_t pfn_middle(struct run *r);
/* The block that has this page frame's tags; -1 if there is none. */
int64_t pfn_block(struct run *r, uint64_t pfn);
/* Data pages whose tags share a block: 32 for each page of a block. */
size_t pages_per_block(struct run *r);

/*
 * Whether the tags of this page of pid (0: the caller) are kept where they should be: it is
 * there, tagged, in no tag storage itself, and not waiting for a fault on access; its
 * block is reserved, on its behalf, too; and the bytes in DRAM are the tags as the kernel
 * reads them, which go to *tags unless that is NULL. "may" lets through what can be right.
 */
#define STORED_PERMANENT 1u	/* the block is one that is never given back */
#define STORED_FOA 2u		/* pid itself has no access yet; others use the page */
bool tags_stored(struct run *r, pid_t pid, const void *p, unsigned int may,
		 struct state_tags *tags);
/* Of n pages, those of which that is not true; a note tells of the first. */
size_t tags_not_stored(struct run *r, pid_t pid, const void *p, size_t n, unsigned int may);

/*
 * Wait until so many pages have tag storage; true if that comes true. A page that was
 * freed may be held back by a CPU for a while, in a batch to be put on the LRU, so the
 * kernel is asked to empty these. If it does not come true, notes tell which pages
 * have storage.
 */
bool reserved_pages_settle(struct run *r, uint64_t want);
/*
 * Free pages that CPUs keep at hand, in the order they were freed, go back to where
 * others find them, and where they are joined with their neighbours. Root only.
 */
void drain_free_lists(struct run *r);

/* Bytes, from /proc/meminfo; 0 for what the kernel does not have. For any user. */
struct memory {
	uint64_t total, free, cma_total, cma_free, swap_total, swap_free;
};
struct memory memory_now(struct run *r);

/*
 * How much memory must stay free for the kernel to work without reclaim: what it
 * keeps for itself (vm.min_free_kbytes), and something for others. For any user.
 */
uint64_t memory_reserve(struct run *r);

/*
 * Memory that is there to be in the way: private, untagged, its pages populated one
 * by one, oldest first. The kernel puts data into tag storage when other memory
 * gets scarce, so the newest pages of a large ballast lie there.
 */
struct ballast;
struct ballast *ballast_new(struct run *r);
/* All of it; it goes with the process, too. */
void ballast_free(struct ballast *b);
/* Populate up to this many more bytes, and stop where free memory would fall below keep. */
uint64_t ballast_grow(struct run *r, struct ballast *b, uint64_t bytes, uint64_t keep);
/* Give back the oldest pages until so many bytes of memory are free. */
void ballast_shrink(struct run *r, struct ballast *b, uint64_t want_free);

/* Each page holds its address in its first word, and zeroes else: is it so? */
struct mismatch ballast_check(const struct ballast *b);
/* How many pages of it are populated, and where each is, the oldest being number 0. */
size_t ballast_pages(const struct ballast *b);
char *ballast_page(const struct ballast *b, size_t i);
/* How many of them lie in tag storage. */
size_t ballast_in_tag_storage(struct run *r, const struct ballast *b);

/*
 * Grow the ballast until at least want of its pages lie in tag storage, or memory is
 * full; then give the oldest back until free bytes are free. The addresses of up to
 * max such pages go to pages[], and their number is returned. The scenario may do
 * with these pages what it wants but unmap them.
 */
size_t ballast_into_tag_storage(struct run *r, struct ballast *b, size_t want, uint64_t free,
				char **pages, size_t max);

#endif
