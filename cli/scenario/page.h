/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: where pages are in physical memory, and whether their tags are stored
 * where they should be. Root only. As in scenario.h, what cannot be done ends the
 * scenario with a clear result.
 */
#ifndef TAGSCOPE_PAGE_H
#define TAGSCOPE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scenario/scenario.h"

/* What /proc/PID/pagemap says of one page. */
struct page_location {
	bool present, swapped;
	uint64_t pfn;		/* if present */
};

/*
 * Fill where[] for n pages from address p (with or without a tag) of a process; pid
 * 0 is the caller.
 */
void page_locations(struct run *r, pid_t pid, const void *p, size_t n,
		    struct page_location *where);
/* The same, one by one: fn(r, 0 to n - 1, where, arg). */
typedef void (*page_location_fn)(struct run *r, size_t i, const struct page_location *where,
				 void *arg);
void page_locations_each(struct run *r, pid_t pid, const void *p, size_t n, page_location_fn fn,
			 void *arg);

/* Of these n pages, how many are present, are swapped out, or lie in tag storage. */
size_t pages_present(struct run *r, pid_t pid, const void *p, size_t n);
size_t pages_swapped(struct run *r, pid_t pid, const void *p, size_t n);
size_t pages_in_tag_storage(struct run *r, pid_t pid, const void *p, size_t n);

/* /proc/kpageflags of n page frames: bits of the kernel's <linux/kernel-page-flags.h>. */
#define PAGE_FLAG_MAPPED (1ULL << 11)
#define PAGE_FLAG_SWAP_CACHE (1ULL << 13)
#define PAGE_FLAG_HWPOISON (1ULL << 19)
void page_flags(struct run *r, uint64_t pfn, size_t n, uint64_t *flags);

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
 * Reservations on behalf of the kernel's own pages since boot; 0: it does not tag its memory.
 */
uint64_t kernel_reservations(struct run *r);

/*
 * Pages of nobody that have tag storage still: free_swap_cache() leaves those in the swap cache
 * that another has locked just then, until reclaim meets them.
 */
uint64_t pages_left_in_swap_cache(struct run *r);
/*
 * Wait until so many pages have tag storage; true if that comes true. A page that was
 * freed may be held back by a CPU for a while, in a batch to be put on the LRU, so the
 * kernel is asked to empty these; what is left in the swap cache is not counted. If it does
 * not come true, notes tell which pages have storage.
 */
bool reserved_pages_wait(struct run *r, uint64_t want);
/* The same, until so many blocks are reserved. */
bool reserved_blocks_wait(struct run *r, uint64_t want);
/*
 * Free pages that CPUs keep at hand, in the order they were freed, go back to where
 * others find them, and where they are joined with their neighbours. Root only. Whoever
 * calls it declares FREE_LIST_SETTINGS in SETTINGS(...).
 */
#define FREE_LISTS "/proc/sys/vm/percpu_pagelist_high_fraction"
#define FREE_LIST_SETTINGS { FREE_LISTS, 0 }
void drain_free_lists(struct run *r);

#endif
