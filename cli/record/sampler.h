/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of tag storage as it changes, as lines of a recording. */
#ifndef TAGSCOPE_RECORD_SAMPLER_H
#define TAGSCOPE_RECORD_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct rec_sampler;

/*
 * Open the state, and with trace the kernel's tracepoints. NULL: out of memory. What is not
 * there is not recorded; why (size bytes) says what, or is "".
 */
struct rec_sampler *rec_sampler_open(bool trace, char *why, size_t size);
void rec_sampler_close(struct rec_sampler *s);

/*
 * Write what changed since the last call as lines with the time at_ns. Between steps the map
 * takes a 25th of the time at most and owners a 100th, whatever one reading of them takes: the
 * map is then read less often than the counters. Reading the map of
 * blocks takes budget_ns at most, if there is more than a piece of it; what is left over
 * comes first the next time. UINT64_MAX: all of it, and the histograms, whatever it takes.
 * anew: also blocks that are data, pinned or cached since a moment ago, which the kernel does
 * not count as changes; else these are read once in a while.
 */
void rec_sample(struct rec_sampler *s, FILE *f, uint64_t at_ns, uint64_t budget_ns, bool anew);

#endif
