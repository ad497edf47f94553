/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bystander: an ordinary user that never tags anything. It frees and touches pages of
 * its own all the time, and keeps account of how long a touch takes.
 */
#ifndef TAGSCOPE_ATTACK_BYSTANDER_H
#define TAGSCOPE_ATTACK_BYSTANDER_H

#include "attack/latency.h"
#include "scenario/scenario.h"

#define BYSTANDER_SAMPLES 16384

/* In memory that all processes of the scenario share. */
struct bystander {
	struct gate *stop;
	int counts;		/* touches are recorded */
	uint32_t n;
	uint64_t ns[BYSTANDER_SAMPLES];		/* the first so many */
};

extern const struct role bystander_role;

/* Start it; touches are recorded from bystander_count() to bystander_end(). */
struct child *bystander_start(struct run *r, struct bystander *b);
void bystander_count(struct bystander *b);
struct latency bystander_end(struct run *r, struct bystander *b, struct child *c);

#endif
