// SPDX-License-Identifier: GPL-2.0-only
/* The map of tag storage as lines of letters: see map_lines.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands/map_lines.h"

#define MAP_WIDTH 64

struct cells {
	uint64_t first, end, per;
	const char *owner;		/* NULL: the states are shown */
	char best;
	void (*cell)(void *ctx, char letter);
	void *ctx;
};

static void add_block(void *ctx, uint64_t block, const struct state_block *b)
{
	struct cells *c = ctx;

	c->best = c->owner ? owner_more_telling(c->best, owner_shown(b->letter, c->owner[block])) :
			     state_more_telling(c->best, b->letter);
	if ((block - c->first + 1) % c->per == 0 || block + 1 == c->end) {
		c->cell(c->ctx, c->best);
		c->best = 0;
	}
}

static int each_cell(struct state *st, uint64_t first, uint64_t n, uint64_t per,
		     const char *owner, void (*cell)(void *ctx, char letter), void *ctx)
{
	struct cells c = { .first = first, .end = first + n, .per = per, .owner = owner,
			   .cell = cell, .ctx = ctx };

	return state_each_block(st, first, n, add_block, &c);
}

int map_cells(struct state *st, uint64_t first, uint64_t n, uint64_t per,
	      void (*cell)(void *ctx, char letter), void *ctx)
{
	return each_cell(st, first, n, per, NULL, cell, ctx);
}

struct map_line {
	unsigned int column;
	uint64_t block, per;
};

static void print_cell(void *ctx, char letter)
{
	struct map_line *l = ctx;

	if (!l->column)
		printf("  %8" PRIu64 " ", l->block);
	/* A recording may not know it. */
	putchar(letter ? letter : '?');
	l->block += l->per;
	if (++l->column == MAP_WIDTH) {
		putchar('\n');
		l->column = 0;
	}
}

uint64_t map_per_cell(uint64_t blocks, unsigned int rows)
{
	uint64_t cells = (uint64_t)MAP_WIDTH * rows, per = (blocks + cells - 1) / cells;

	return per ? per : 1;
}

int map_print(struct state *st, uint64_t first, uint64_t n, uint64_t per, bool owners)
{
	struct map_line line = { .block = first, .per = per };
	char *owner = owners ? calloc(first + n + 1, 1) : NULL;
	int err = owners && !owner ? -ENOMEM : 0;

	if (owner)
		err = state_read_owners(st, NULL, owner, first + n);
	if (!err)
		err = each_cell(st, first, n, per, owner, print_cell, &line);
	if (line.column)
		putchar('\n');
	free(owner);
	return err;
}
