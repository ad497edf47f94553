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

/* Events: those of tag storage, and of pages with copies that were taken for tags. */
#define TRACE_TAG_STORAGE "mte_tag_storage"
#define TRACE_RECALLS "cleancache/cleancache_recall"

/*
 * Make the instance and switch these events on, below $TAGSCOPE_TRACEFS or the usual
 * places. 0, or -errno with the reason in why (size bytes). trace_close() it: else the
 * instance stays, until another trace_open() finds that its process is gone.
 */
int trace_open(struct trace **t, const char *events, char *why, size_t size);
/* NULL is allowed. */
void trace_close(struct trace *t);

/*
 * The next event there is, as one line: "COMM-PID mts_reserve: pfn=...", without its
 * newline, valid until the next call. NULL: none now. Never blocks.
 */
const char *trace_next(struct trace *t);

/* In what the kernel was at the last event that trace_next() gave. */
enum trace_context { TRACE_TASK, TRACE_SOFTIRQ, TRACE_HARDIRQ };
enum trace_context trace_context(const struct trace *t);

#endif
