/* SPDX-License-Identifier: GPL-2.0-only */
/* Tag blocks: those in which an attacker holds pages, or that hold data. Root only. */
#ifndef TAGSCOPE_ATTACK_BLOCKS_H
#define TAGSCOPE_ATTACK_BLOCKS_H

#include "attack/attack.h"

/* Some of the tag blocks, and what made them belong here. */
struct blocks {
	uint64_t pages;		/* pages of tag storage in ... */
	uint64_t blocks;	/* ... so many blocks ... */
	uint64_t shown;		/* ... which the block map shows as pinned */
	unsigned char *map;	/* nonzero for each such block */
	uint64_t nr_blocks;	/* that there are in all */
};

/* None yet. blocks_free() frees. */
struct blocks blocks_new(struct run *r);
/* Add those where an attacker has pages of its memory, held or not, ... */
void blocks_add_memory(struct run *r, const struct attacker *a, pid_t pid, struct blocks *h);
/* ... or pages that it holds. With is_held(), those of all attackers. */
void blocks_add_held(struct run *r, const struct technique *t, const struct attacker *a, pid_t pid,
		     struct blocks *h);
/* Those that hold data; only .map and .blocks are set. */
struct blocks blocks_with_data(struct run *r);
/* Of these blocks, those that the block map shows as pinned now. */
uint64_t blocks_pinned(struct run *r, const struct blocks *set);
void blocks_free(struct blocks *b);
/* Whether this block is one of them; block -1: no. */
bool blocks_have(const struct blocks *b, int64_t block);

#endif
