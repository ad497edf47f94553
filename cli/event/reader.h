/* SPDX-License-Identifier: GPL-2.0-only */
/* Events from a file of lines, as --format json writes them. */
#ifndef TAGSCOPE_EVENT_READER_H
#define TAGSCOPE_EVENT_READER_H

#include <stdio.h>

#include "event/event.h"

/*
 * Deliver all events of f, the plan first, each scenario from its start to its end, as
 * the run delivered them. Kinds of events that are not known are passed over. 0, or -errno
 * with the reason and the line in why (size bytes); what is good before it was delivered.
 * A scenario that was begun is ended in any case, as an error if the file does not say how
 * it ended.
 */
int events_read(FILE *f, event_fn fn, void *ctx, char *why, size_t size);

/*
 * The same a line at a time, for what has lines of other kinds too. events_take() delivers
 * what the line is: 0, or -errno with the reason in why, and then nothing more is to be
 * taken. events_end() ends what was begun, tells whether it all was whole, and frees.
 */
struct events;
struct events *events_begin(event_fn fn, void *ctx);
int events_take(struct events *r, const char *line, size_t len, char *why, size_t size);
int events_end(struct events *r, char *why, size_t size);
/* The longest line there can be, without its end. */
#define EVENTS_MAX_LINE (1u << 20)

#endif
