// SPDX-License-Identifier: GPL-2.0-only
/* What a guest should have in its memory: see content.h. */
#include <stdlib.h>

#include "vmm/content.h"

struct content content_new(struct run *r)
{
	size_t tags = (size_t)VMM_MAX_PAGES * STATE_TAGS_PER_PAGE,
	data = VMM_MAX_PAGES * page_size();
	struct content c = {
		.tags = malloc(tags), .got_tags = malloc(tags),
		.data = malloc(data), .got_data = malloc(data),
	};

	if (!c.tags || !c.got_tags || !c.data || !c.got_data)
		bail_errno(r, "memory");
	return c;
}

void content_free(struct content *c)
{
	free(c->tags);
	free(c->got_tags);
	free(c->data);
	free(c->got_data);
}

void content_want_data(struct content *c, size_t first, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		pattern_fill(c->data + i * page_size(), page_size(), seed, first + i);
}

void content_want_tags(struct content *c, size_t first, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		for (size_t g = 0; g < STATE_TAGS_PER_PAGE; g++)
			c->tags[i * STATE_TAGS_PER_PAGE + g] =
				(uint8_t)tags_pattern_at(seed, first + i, g * MTE_GRANULE);
}
