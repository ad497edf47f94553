/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters as lines, of a watch or a recording of one. */
#ifndef TAGSCOPE_COUNTER_LINES_H
#define TAGSCOPE_COUNTER_LINES_H

#include <stdint.h>
#include <stdio.h>

#include "kernel/state.h"

struct counter_lines {
	FILE *f;
	uint64_t nr;	/* that were printed */
};

/* At so many ns: a line, and again each screenful the names of its columns. */
void counter_line(struct counter_lines *l, uint64_t at_ns, const struct state_summary *s);

#endif
