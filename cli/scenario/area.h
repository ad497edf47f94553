/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: memory of a known content, page by page, data and tags, and whether
 * the kernel keeps those tags where it says. As in scenario.h, what cannot be done ends
 * the scenario with a clear result.
 */
#ifndef TAGSCOPE_AREA_H
#define TAGSCOPE_AREA_H

#include "scenario/scenario.h"

#define AREA_RW 3	/* PROT_READ | PROT_WRITE */

struct area {
	char *base;
	size_t n;		/* pages */
	size_t stride;		/* every so many pages lies one of them; 0 is 1, all */
	uint64_t data, tags;	/* seeds of the patterns; tags 0: all tags are 0 */
};

/* Private anonymous memory of n small pages that nobody has touched yet. */
struct area area_map(struct run *r, size_t n, bool tagged);
/* The same, with n pages of which each is stride pages from the next, and nothing between. */
struct area area_map_sparse(struct run *r, size_t n, size_t stride, bool tagged);
/* A view of n pages at base, of which somebody else takes care, with seeds of its own. */
struct area area_at(struct run *r, void *base, size_t n);
void area_unmap(struct run *r, struct area *a);
/* mprotect() it all, with PROT_MTE or without. */
void area_protect(struct run *r, const struct area *a, bool tagged);

char *area_page(const struct area *a, size_t i);
size_t area_len(const struct area *a);	/* bytes, with what is between its pages */

/* Write to one page what it shall hold: data, and tags unless they are all 0. */
void area_fill(const struct area *a, size_t i);
/* Write new patterns to all pages, and remember them. */
void area_write_data(struct run *r, struct area *a);
void area_write_tags(struct run *r, struct area *a);
/* Data came from elsewhere, or is new: what is to be expected now. Tags of 0: seed 0. */
void area_write(struct run *r, struct area *a);

/* Each page has the data, and the tags, that the seeds say. */
struct mismatch area_check_data(const struct area *a);
struct mismatch area_check_tags(const struct area *a);
/* Two results, for data and tags; when: "after fork" or the like. */
void area_expect(struct run *r, const struct area *a, const char *when);

/*
 * Of the pages of pid (0: the caller) in this range, those whose tags are not kept where
 * they should be: tags_not_stored() of page.h.
 */
size_t area_bad_storage(struct run *r, pid_t pid, const struct area *a);

/* Where each page is: page frames, 0 if it is not present. The caller frees it. */
uint64_t *area_locations(struct run *r, pid_t pid, const struct area *a);

#endif
