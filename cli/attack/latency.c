// SPDX-License-Identifier: GPL-2.0-only
/* Of many times, what is shown: see latency.h. */
#include <stdlib.h>

#include "attack/latency.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct latency latency_of(uint64_t *ns, size_t n)
{
	struct latency l = { 0 };

	if (!n)
		return l;
	qsort(ns, n, sizeof(*ns), by_value);
	l.p50 = ns[(n - 1) / 2];
	l.p99 = ns[(n - 1) * 99 / 100 + !!((n - 1) * 99 % 100)];
	l.max = ns[n - 1];
	return l;
}
