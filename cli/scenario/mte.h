/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation tags from user space, and patterns that show when memory or tags
 * changed. All of it compiles everywhere; off arm64 mte_supported() is false and
 * the functions that touch tags must not be called (they abort).
 *
 * The functions that read or write memory or tags here switch tag checking off for
 * themselves (PSTATE.TCO), so they take pointers with any tag, in any mode.
 */
#ifndef TAGSCOPE_MTE_H
#define TAGSCOPE_MTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTE_GRANULE 16		/* bytes that share one tag */

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#define SEGV_MTESERR 9
#endif

enum mte_mode {
	MTE_OFF,	/* no tag checks */
	MTE_SYNC,	/* SIGSEGV, SEGV_MTESERR, at the access */
	MTE_ASYNC,	/* SIGSEGV, SEGV_MTEAERR, some time later */
};

size_t page_size(void);

/* Whether this processor and kernel let programs use MTE (HWCAP2_MTE). */
bool mte_supported(void);

/*
 * Set the calling thread's tag check mode, and allow tagged addresses in system
 * calls. A new process starts with MTE_OFF. Returns 0 or -errno.
 */
int mte_set_mode(enum mte_mode mode);

/*
 * Map len bytes of private anonymous memory, readable and writable, with or without
 * PROT_MTE. NULL, with errno, if it fails. The caller unmaps it.
 */
void *mte_map(size_t len, bool tagged);

/* Pointer arithmetic on tags; no memory is touched. */
void *ptr_with_tag(const volatile void *p, unsigned int tag);	/* tag 0 to 15 */
unsigned int ptr_tag(const volatile void *p);
void *ptr_plain(const volatile void *p);			/* with tag 0 */

/* The tag in memory of the granule at p (LDG), and setting it (STG). */
unsigned int tag_load(const volatile void *p);
void tag_store(volatile void *p, unsigned int tag);
/* All granules of [p, p + len); p and len multiples of MTE_GRANULE. */
void tag_store_range(volatile void *p, size_t len, unsigned int tag);

/* What a check found. count is 0 if all was as it should be. */
struct mismatch {
	uint64_t count;		/* wrong words or tags */
	size_t offset;		/* of the first, in bytes from the start */
	uint64_t got, want;	/* of the first */
	bool is_tag;		/* tags, not data, were checked */
};

/*
 * Fill memory with a pattern, and check it. Each 8-byte word depends on seed, on id
 * and on its offset, so that a page in another's place, an old page, or a wrong bit
 * is seen. id is any number the caller can give again when it checks, like the
 * page's number or first address. p and len are multiples of 8.
 */
void pattern_fill(void *p, size_t len, uint64_t seed, uint64_t id);
struct mismatch pattern_check(const void *p, size_t len, uint64_t seed, uint64_t id);
/*
 * Are the 16 bytes at p, of any alignment, of the pattern of a page with this seed and an id
 * from 1 to max? Returns the id, 0 if not. For reports: it tries all of them.
 */
uint64_t pattern_find(const void *p, uint64_t seed, uint64_t max);

/* The same for tags, p and len multiples of MTE_GRANULE. Tags vary by granule. */
void tags_fill(void *p, size_t len, uint64_t seed, uint64_t id);
struct mismatch tags_check(const void *p, size_t len, uint64_t seed, uint64_t id);
/* All granules have this one tag. */
struct mismatch tags_check_same(const void *p, size_t len, unsigned int tag);
/* The tag that tags_fill() gives the granule at this offset (in bytes). */
unsigned int tags_pattern_at(uint64_t seed, uint64_t id, size_t offset);

/* The bijection of 64-bit numbers that the patterns and random numbers are made of. */
uint64_t mix64(uint64_t x);

#endif
