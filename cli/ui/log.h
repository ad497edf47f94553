/* SPDX-License-Identifier: GPL-2.0-only */
/* The log: the last lines of what happened, from the state, the scenario and the kernel. */
#ifndef TAGSCOPE_UI_LOG_H
#define TAGSCOPE_UI_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_kind {
	LOG_STATE,	/* counters that moved */
	LOG_TRACE,	/* a tracepoint */
	LOG_STEP,
	LOG_GOOD,
	LOG_BAD,
	LOG_NOTE,
};

#define LOG_LINES 4096

struct log_line {
	uint64_t t_ms;		/* since the UI started */
	enum log_kind kind;
	char *text;
};

struct log {
	struct log_line line[LOG_LINES];
	uint64_t total;		/* ever added; the last LOG_LINES are kept */
	uint64_t start_ns;
	/* What time it is, in ns since the start; NULL: as it passes. */
	uint64_t (*clock)(void *ctx);
	void *ctx;
};

void log_init(struct log *log);
void log_free(struct log *log);
/* Forget all lines. */
void log_clear(struct log *log);
void log_add(struct log *log, enum log_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t log_count(const struct log *log);
/* Line i of log_count(), the oldest first. */
const struct log_line *log_get(const struct log *log, size_t i);

#endif
