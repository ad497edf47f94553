/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: how full memory is, and filling it until data lies in tag storage. As in
 * scenario.h, what cannot be done ends the scenario with a clear result.
 */
#ifndef TAGSCOPE_MEMORY_H
#define TAGSCOPE_MEMORY_H

#include "scenario/scenario.h"

/* Bytes, from /proc/meminfo; 0 for what the kernel does not have. For any user. */
struct memory {
	uint64_t total, free, cma_total, cma_free, swap_total, swap_free, swap_cached;
};
struct memory memory_now(struct run *r);

/* What the kernel keeps for itself, in bytes (vm.min_free_kbytes). For any user. */
uint64_t memory_min_free(struct run *r);
/*
 * How much memory must stay free for the kernel to work without reclaim: what it
 * keeps for itself (vm.min_free_kbytes), and something for others. For any user.
 */
uint64_t memory_reserve(struct run *r);

/*
 * Whether the kernel makes huge pages, if only for who asks for them. It switches them off by
 * itself where there are less than 512 MiB of memory. For any user.
 */
bool huge_pages_here(void);

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

/*
 * Have pipes hold n pages of the caller, wherever they are, until unpin_pages(). What lies in
 * tag storage stays there only if the switch move_before_pin is off.
 */
struct pins;
struct pins *pin_pages(struct run *r, char *const *pages, size_t n);
void unpin_pages(struct pins *p);

/* A counter of /proc/vmstat. */
uint64_t vmstat_now(struct run *r, const char *name);

#endif
