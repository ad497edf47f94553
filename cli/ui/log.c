// SPDX-License-Identifier: GPL-2.0-only
/* The log: see log.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/log.h"
#include "scenario/scenario.h"

void log_init(struct log *log)
{
	memset(log, 0, sizeof(*log));
	log->start_ns = now_ns();
}

void log_clear(struct log *log)
{
	for (size_t i = 0; i < LOG_LINES; i++) {
		free(log->line[i].text);
		log->line[i].text = NULL;
	}
	log->total = 0;
}

void log_free(struct log *log)
{
	log_clear(log);
}

void log_add(struct log *log, enum log_kind kind, const char *fmt, ...)
{
	struct log_line *l = &log->line[log->total % LOG_LINES];
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	free(l->text);
	l->text = text;
	l->kind = kind;
	l->t_ms = (log->clock ? log->clock(log->ctx) : now_ns() - log->start_ns) / 1000000;
	log->total++;
}

size_t log_count(const struct log *log)
{
	return log->total < LOG_LINES ? (size_t)log->total : LOG_LINES;
}

const struct log_line *log_get(const struct log *log, size_t i)
{
	return &log->line[(log->total - log_count(log) + i) % LOG_LINES];
}
