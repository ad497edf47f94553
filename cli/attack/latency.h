/* SPDX-License-Identifier: GPL-2.0-only */
/* Of many times, what is shown. */
#ifndef TAGSCOPE_ATTACK_LATENCY_H
#define TAGSCOPE_ATTACK_LATENCY_H

#include <stddef.h>
#include <stdint.h>

struct latency {
	uint64_t p50, p99, max;		/* ns; of few values p99 is the largest */
};

/* Sorts ns[]. Without any values all are 0. */
struct latency latency_of(uint64_t *ns, size_t n);

#endif
