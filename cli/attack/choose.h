/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pages the victim is to tag. Root only. */
#ifndef TAGSCOPE_ATTACK_CHOOSE_H
#define TAGSCOPE_ATTACK_CHOOSE_H

#include "attack/attack.h"
#include "attack/blocks.h"

/* Pages shared with the attacker: as many are tagged, and more are tried to find them. */
#define SHARED_PAGES 2
#define SHARED_TRY 32

/*
 * Of the memory that the victim has, per_way pages for each way that it wants: any, but
 * first those whose block is used for data. And a few of its huge pages.
 */
void choose_any(struct run *r, struct victim *v, pid_t pid, unsigned int per_way);
/* Those whose block is held. If the victim has not enough of them it may be to fill more. */
void choose_held(struct run *r, struct victim *v, const struct blocks *held, struct child *c,
		 unsigned int per_way, bool grow);
/* When the victim has prepared: keep only those pages that are swapped out now. */
void choose_swapped(struct run *r, struct victim *v, pid_t pid);
/*
 * Shared pages whose block is held, for the attacker to hold as well. Then, when it
 * holds them, keep those of which it is still true, and give them content.
 */
void choose_shared(struct run *r, struct victim *v, const struct attacker *a,
		   const struct blocks *held);
void choose_shared_again(struct run *r, struct victim *v, const struct blocks *held);

#endif
