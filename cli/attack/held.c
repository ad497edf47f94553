// SPDX-License-Identifier: GPL-2.0-only
/* Looking at what an attacker holds: see held.h. */
#include <stdlib.h>

#include "attack/held.h"
#include "scenario/page.h"

#define WINDOW 512	/* blocks read at once */

static void add(struct held *h, const struct state_page *page)
{
	if (!page->in_tag_storage || page->own_block < 0 ||
	    (uint64_t)page->own_block >= h->nr_blocks)
		return;
	h->pages++;
	if (h->map[page->own_block]++)
		return;
	h->blocks++;
	h->shown += page->own_state == BLOCK_PINNED;
}

static void look_at_memory(struct run *r, const struct attacker *a, pid_t pid, struct held *h)
{
	struct page_location *where = calloc(a->pages + 1, sizeof(*where));
	struct state_page page;

	if (!where)
		bail(r, "out of memory");
	page_locations(r, pid, a->memory, a->pages, where);
	for (size_t i = 0; i < a->pages; i++)
		if (where[i].present && pfn_in_tag_storage(r, where[i].pfn) &&
		    page_present(r, pid, a->memory + i * page_size(), &page))
			add(h, &page);
	free(where);
}

/* Only blocks that hold data need a look at their pages. */
static void look_at_storage(struct run *r, bool (*is_held)(const struct state_page *page),
			    struct held *h)
{
	struct state_region *regions;
	struct state_block b[WINDOW];
	struct state *st;
	size_t n, got;

	if (state_open(&st) || state_read_regions(st, &regions, &n))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++) {
		struct state_region *reg = &regions[i];
		uint64_t pages = reg->block_size / page_size();

		for (uint64_t k = 0; k < reg->blocks; k++) {
			uint64_t pfn = reg->tag_base / page_size() + k * pages;

			if (k % WINDOW == 0 &&
			    state_read_blocks(st, reg->first_block + k, WINDOW, b, &got))
				bail(r, "%s", state_error(st));
			if (b[k % WINDOW].letter != BLOCK_DATA &&
			    b[k % WINDOW].letter != BLOCK_PINNED)
				continue;
			for (uint64_t p = 0; p < pages; p++) {
				struct state_page page = pfn_now(r, pfn + p);

				if (is_held(&page))
					add(h, &page);
			}
		}
	}
	free(regions);
	state_close(st);
}

struct held held_now(struct run *r, const struct technique *t, const struct attacker *a, pid_t pid)
{
	struct held h = { .nr_blocks = summary_now(r).blocks };

	h.map = calloc(h.nr_blocks + 1, 1);
	if (!h.map)
		bail(r, "out of memory");
	if (t->is_held)
		look_at_storage(r, t->is_held, &h);
	else
		look_at_memory(r, a, pid, &h);
	return h;
}

void held_free(struct held *held)
{
	free(held->map);
	held->map = NULL;
}

bool held_block(const struct held *held, int64_t block)
{
	return block >= 0 && (uint64_t)block < held->nr_blocks && held->map[block];
}
