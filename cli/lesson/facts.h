/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of the runs of a lesson: from events as they come, of a live run or of a
 * recording. The answer to a lesson's question is computed of it.
 */
#ifndef TAGSCOPE_LESSON_FACTS_H
#define TAGSCOPE_LESSON_FACTS_H

#include "event/event.h"
#include "lesson/lesson.h"
#include "record/recording.h"

struct facts;

/* NULL: out of memory. The lesson must outlive it. */
struct facts *facts_new(const struct lesson *l);
void facts_free(struct facts *f);

/*
 * An event of a run, and the state as it is now (NULL: cannot be read). It is asked only for
 * what the lesson needs.
 */
void facts_event(struct facts *f, size_t run, const struct event *ev, struct state *st);
/* All of a recording. false: out of memory. */
bool facts_recording(struct facts *f, size_t run, const struct recording *rec);

/*
 * Call fn at each event of a recording, with the state as it was: of a step, and of the end,
 * as it was read for it. false: out of memory.
 */
bool each_event(const struct recording *rec,
		void (*fn)(void *ctx, const struct event *ev, struct state *st), void *ctx);

/*
 * A block that the stop points at, -1: there is none, or the stop points at something else.
 * was and now are the maps at the stop before, and here, see facts_map().
 */
int64_t stop_block(const struct lesson_stop *stop, struct state *st, const char *was,
		   const char *now);
/* Letters of all blocks, *n of them, ended by 0; to be freed. NULL: it cannot be read. */
char *facts_map(struct state *st, uint64_t *n);

enum answer { ANSWER_RIGHT, ANSWER_WRONG, ANSWER_NONE };
/*
 * Whether what somebody typed is right. ANSWER_NONE: that is no answer to this question, or
 * it cannot be told; why (size bytes) says so. Of a wrong one it says nothing.
 */
enum answer answer_check(const struct facts *f, const char *text, char *why, size_t size);
/* A right answer, to be typed, in buf; false: there is none, and why says why. */
bool answer_right(const struct facts *f, char *buf, size_t size, char *why, size_t why_size);
/* "a number", "1, 2 or 3", "a block" */
const char *answer_kind(const struct lesson *l);

/*
 * Whether the lesson fits what happened: each stop's step is there, and what it points at; and
 * the question has one answer, which is in why then. Of run 0 and on, all recorded. false: why
 * says what does not fit.
 */
bool lesson_fits(const struct lesson *l, const struct recording *const *rec, char *why,
		 size_t size);

#endif
