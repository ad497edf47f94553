/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's tracepoints of tag storage (docs/debugfs-abi.md), as they fire. They are
 * read from a trace instance of our own, so that nobody else's tracing is disturbed.
 */
#ifndef TAGSCOPE_TRACE_H
#define TAGSCOPE_TRACE_H

#include <stdbool.h>
#include <stddef.h>

struct trace;

/*
 * Make the instance and switch the events on, below $TAGSCOPE_TRACEFS or the usual
 * places. 0, or -errno with the reason in why (size bytes). trace_close() it: else the
 * instance stays, until another trace_open() finds that its process is gone.
 */
int trace_open(struct trace **t, char *why, size_t size);
/* NULL is allowed. */
void trace_close(struct trace *t);

/*
 * The next event there is, as one line: "COMM-PID mts_reserve: pfn=...", without its
 * newline, valid until the next call. NULL: none now. Never blocks.
 */
const char *trace_next(struct trace *t);

#endif
