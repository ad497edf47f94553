/* SPDX-License-Identifier: GPL-2.0-only */
/* Looking at what an attacker holds. Root only. */
#ifndef TAGSCOPE_ATTACK_HELD_H
#define TAGSCOPE_ATTACK_HELD_H

#include "attack/attack.h"

struct held {
	uint64_t pages;		/* pages of tag storage that it has ... */
	uint64_t blocks;	/* ... in so many blocks ... */
	uint64_t shown;		/* ... which the block map shows as pinned */
	unsigned char *map;	/* nonzero for each such block */
	uint64_t nr_blocks;
};

/* held_free() frees. */
struct held held_now(struct run *r, const struct technique *t, const struct attacker *a, pid_t pid);
void held_free(struct held *held);
/* Whether the attacker has a page in this block; block -1: no. */
bool held_block(const struct held *held, int64_t block);

#endif
