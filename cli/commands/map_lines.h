/* SPDX-License-Identifier: GPL-2.0-only */
/* The map of tag storage as lines of letters. */
#ifndef TAGSCOPE_MAP_LINES_H
#define TAGSCOPE_MAP_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/state.h"

/* How many blocks a letter has to stand for, so that there are so many rows at most. */
uint64_t map_per_cell(uint64_t blocks, unsigned int rows);
/* Blocks first to first + n - 1 to stdout, per a letter: states, or owners. 0 or -errno. */
int map_print(struct state *st, uint64_t first, uint64_t n, uint64_t per, bool owners);
/* The cells of them, called for in order. 0 or -errno. */
int map_cells(struct state *st, uint64_t first, uint64_t n, uint64_t per,
	      void (*cell)(void *ctx, char letter), void *ctx);

#endif
