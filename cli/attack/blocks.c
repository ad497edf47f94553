// SPDX-License-Identifier: GPL-2.0-only
/* Which blocks an attacker holds: see blocks.h. */
#include <stdlib.h>

#include "attack/blocks.h"
#include "scenario/page.h"

#define WINDOW 512	/* blocks read at once */

static void add(struct blocks *h, const struct state_page *page)
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

static void look_at_memory(struct run *r, const struct attacker *a, pid_t pid, bool pinned_only,
			   struct blocks *h)
{
	struct page_location *where = calloc(a->pages + 1, sizeof(*where));
	struct state_page page;

	if (!where)
		bail(r, "out of memory");
	page_locations(r, pid, a->memory, a->pages, where);
	for (size_t i = 0; i < a->pages; i++)
		if (where[i].present && pfn_in_tag_storage(r, where[i].pfn) &&
		    page_present(r, pid, a->memory + i * page_size(), &page) &&
		    (page.pinned || !pinned_only))
			add(h, &page);
	free(where);
}

struct blocks blocks_new(struct run *r)
{
	struct blocks h = { .nr_blocks = summary_now(r).blocks };

	h.map = calloc(h.nr_blocks + 1, 1);
	if (!h.map)
		bail(r, "out of memory");
	return h;
}

struct blocks blocks_with_data(struct run *r)
{
	struct blocks h = blocks_new(r);
	struct state_block b[WINDOW];
	struct state *st;
	size_t got;

	if (state_open(&st))
		bail(r, "%s", state_error(st));
	for (uint64_t first = 0; first < h.nr_blocks; first += got) {
		if (state_read_blocks(st, first, WINDOW, b, &got))
			bail(r, "%s", state_error(st));
		if (!got)
			break;
		for (size_t i = 0; i < got; i++) {
			h.map[first + i] = b[i].letter == BLOCK_DATA || b[i].letter == BLOCK_PINNED;
			h.blocks += h.map[first + i];
		}
	}
	state_close(st);
	return h;
}

uint64_t blocks_pinned(struct run *r, const struct blocks *set)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < set->nr_blocks; i++)
		n += set->map[i] && block_now(r, i).letter == BLOCK_PINNED;
	return n;
}

/* Only blocks that hold data need a look at their pages. */
static void look_at_storage(struct run *r, bool (*is_held)(const struct state_page *page),
			    struct blocks *h)
{
	struct blocks data = blocks_with_data(r);
	struct state_region *regions;
	struct state *st;
	size_t n;

	if (state_open(&st) || state_read_regions(st, &regions, &n))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++) {
		uint64_t pages = regions[i].block_size / page_size();

		for (uint64_t p = 0; p < regions[i].blocks * pages; p++) {
			struct state_page page;

			if (!data.map[regions[i].first_block + p / pages])
				continue;
			page = pfn_now(r, regions[i].tag_base / page_size() + p);
			if (is_held(&page))
				add(h, &page);
		}
	}
	free(regions);
	state_close(st);
	blocks_free(&data);
}

void blocks_add_memory(struct run *r, const struct attacker *a, pid_t pid, struct blocks *h)
{
	look_at_memory(r, a, pid, false, h);
}

void blocks_add_held(struct run *r, const struct technique *t, const struct attacker *a, pid_t pid,
		     struct blocks *h)
{
	if (!t->is_held)
		look_at_memory(r, a, pid, t->partly, h);
	else if (!a->number)
		look_at_storage(r, t->is_held, h);
}

void blocks_free(struct blocks *b)
{
	free(b->map);
	b->map = NULL;
}

bool blocks_have(const struct blocks *b, int64_t block)
{
	return block >= 0 && (uint64_t)block < b->nr_blocks && b->map[block];
}
