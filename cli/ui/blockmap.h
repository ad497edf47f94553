/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block map as far as it is known, kept up to date a piece at a time. A map has up
 * to millions of blocks; so a refresh reads only what the window shows, only what may
 * have changed, and only as long as its time budget lasts. What the window shows is
 * sampled first, so that there is something in each cell soon.
 */
#ifndef TAGSCOPE_UI_BLOCKMAP_H
#define TAGSCOPE_UI_BLOCKMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/state.h"

#define NR_LETTERS 8		/* in the order of STATE_LETTERS */
#define MAP_CHUNK 64		/* blocks that are read together */
#define MAP_MAX_BLOCKS (1ULL << 27)

struct map_chunk {
	uint64_t generation;	/* when it was read, plus 1; 0: never */
	uint64_t read_ms;
	uint32_t tagged;
	uint8_t count[NR_LETTERS];
	uint8_t changed;
};

struct blockmap {
	uint64_t blocks, nr_chunks;
	uint8_t *letter;	/* of each block: number, and MAP_CHANGED */
	uint16_t *tagged;
	struct map_chunk *chunk;
	uint64_t next;		/* chunk where the sweep goes on */
	uint64_t reads;		/* blocks ever read, for tests */
};

/* The part that is looked at. */
struct map_window {
	uint64_t first, count;	/* blocks; first is a multiple of cell */
	uint64_t cell;		/* blocks in a cell */
};

/* Some blocks together. */
struct map_cell {
	uint64_t blocks, known;
	uint64_t count[NR_LETTERS];
	uint64_t tagged;	/* pages, in all of them */
	uint64_t changed;	/* blocks whose state changed since the last map_mark() */
};

/* All unknown. 0, or -errno with *map unusable (blocks is 0). */
int map_init(struct blockmap *map, uint64_t blocks);
void map_free(struct blockmap *map);

/*
 * Bring the window up to date, for at most budget_ns (one piece is always read).
 * generation is that of the summary read before. 0 or -errno (state_error()).
 */
int map_refresh(struct blockmap *map, struct state *st, const struct map_window *win,
		uint64_t generation, uint64_t budget_ns);
/* How much of the window is as of this generation: 0 to 100. */
unsigned int map_progress(const struct blockmap *map, const struct map_window *win,
			  uint64_t generation);

void map_cell(const struct blockmap *map, uint64_t first, uint64_t n, struct map_cell *cell);
/* Which state the cell is shown as, -1: nothing known. See state_more_telling(). */
int map_cell_state(const struct map_cell *cell);
/* The state of one block as a letter number, -1: not known. */
int map_letter(const struct blockmap *map, uint64_t block);
/* The first block from there on that changed since the last map_mark(), -1: none. */
int64_t map_next_changed(const struct blockmap *map, uint64_t from);
/* Forget what changed. */
void map_mark(struct blockmap *map);

#endif
