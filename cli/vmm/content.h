/* SPDX-License-Identifier: GPL-2.0-only */
/* What a guest should have in its memory: data and tags by the patterns of mte.h. */
#ifndef TAGSCOPE_VMM_CONTENT_H
#define TAGSCOPE_VMM_CONTENT_H

#include "vmm/vmm.h"

/* Of up to VMM_MAX_PAGES pages, tags a byte a granule: what they should be, and what they are. */
struct content {
	uint8_t *tags, *got_tags;
	char *data, *got_data;
};

struct content content_new(struct run *r);
void content_free(struct content *c);
/* What n pages should have: page i the pattern of page first + i. */
void content_want_data(struct content *c, size_t first, size_t n, uint64_t seed);
void content_want_tags(struct content *c, size_t first, size_t n, uint64_t seed);

#endif
