/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps of blocks in a recording, as text: see docs/recording-format.md, "blocks". */
#ifndef TAGSCOPE_RECORD_BLOCKS_H
#define TAGSCOPE_RECORD_BLOCKS_H

#include <stdbool.h>
#include <stdio.h>

#include "kernel/state.h"

/* What is kept of a block; its generation is not. letter 0: not known yet. */
struct rec_block {
	char letter;
	uint16_t tagged, free;
};

struct rec_block rec_block_of(const struct state_block *b);

/* Write what changed from was to now, n blocks; false: nothing did, and nothing was written. */
bool rec_blocks_print(FILE *f, const struct rec_block *was, const struct rec_block *now, size_t n);

/*
 * Make these changes to n blocks, of which the text's first is b[0]; the letters are of
 * those given. generation[i] becomes now where a letter changes (NULL: there is none).
 * false: it is no such text, or goes beyond the end; the reason is in why (size bytes), and
 * what is good before it was done.
 */
bool rec_blocks_apply(const char *text, const char *letters, struct rec_block *b,
		      uint64_t *generation, size_t n, uint64_t now, char *why, size_t size);

#endif
