// SPDX-License-Identifier: GPL-2.0-only
/* The map of tag storage as lines of letters: see map_lines.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands/map_lines.h"

#define MAP_WIDTH 64
#define MAP_CHUNK 4096		/* blocks read at once */

int map_cells(struct state *st, uint64_t first, uint64_t n, uint64_t per,
	      void (*cell)(void *ctx, char letter), void *ctx)
{
	struct state_block *b = calloc(MAP_CHUNK, sizeof(*b));
	uint64_t done = 0;
	char best = 0;
	int err = b ? 0 : -ENOMEM;

	while (!err && done < n) {
		size_t want = n - done < MAP_CHUNK ? (size_t)(n - done) : MAP_CHUNK, got;

		err = state_read_blocks(st, first + done, want, b, &got);
		if (err || !got)
			break;
		for (size_t i = 0; i < got; i++, done++) {
			best = state_more_telling(best, b[i].letter);
			if ((done + 1) % per == 0 || done + 1 == n) {
				cell(ctx, best);
				best = 0;
			}
		}
	}
	free(b);
	return err;
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

int map_print(struct state *st, uint64_t first, uint64_t n, uint64_t per)
{
	struct map_line line = { .block = first, .per = per };
	int err = map_cells(st, first, n, per, print_cell, &line);

	if (line.column)
		putchar('\n');
	return err;
}
