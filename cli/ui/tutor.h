/* SPDX-License-Identifier: GPL-2.0-only */
/* Leading through a lesson: from stop to stop of a run, then to the question. */
#ifndef TAGSCOPE_UI_TUTOR_H
#define TAGSCOPE_UI_TUTOR_H

#include <stdbool.h>
#include <stddef.h>

struct ui;

/* Where it is: before the first stop of the run, at a stop, or at the question. */
enum tutor_at { TUTOR_BEFORE, TUTOR_STOP, TUTOR_QUESTION };

struct tutor {
	enum tutor_at at;
	size_t stop;			/* of the lesson, if it is at one */
	size_t wanted;			/* the stop that a live run is on its way to */
	char *was;			/* the map at the stop before */
	bool shows_place;		/* at the question: the state is what it asks about */
};

/* At the beginning: the lesson's text is shown. */
void tutor_begin(struct ui *ui);
void tutor_end(struct ui *ui);
/* On to the next stop, to the question, to its answer. */
void tutor_next(struct ui *ui);
/* Back by a stop, or on; only a replay can. */
void tutor_move(struct ui *ui, int by);
/* A step began, or the run ended: stay, or let it go on. */
void tutor_event(struct ui *ui);
/* What was typed as the answer; "": the block under the cursor. */
void tutor_answer(struct ui *ui, const char *text);
/* Of the stop: "After step 3", in buf; and what the bottom line says. */
const char *tutor_title(const struct ui *ui, char *buf, size_t size);
const char *tutor_keys(const struct ui *ui);
/* What stands beside or below the map. */
const char *tutor_text(const struct ui *ui);

#endif
