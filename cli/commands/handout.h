/* SPDX-License-Identifier: GPL-2.0-only */
/* Lessons as Markdown, for what makes pages of them (scripts/site). */
#ifndef TAGSCOPE_HANDOUT_H
#define TAGSCOPE_HANDOUT_H

#include <stdio.h>

#include "kernel/state.h"
#include "lesson/facts.h"

enum handout_part {
	HANDOUT_LESSON,		/* what a student gets, with maps from the recordings */
	HANDOUT_ANSWER,		/* the answer, from the recordings too, and why */
	HANDOUT_NOTES,		/* for the instructor */
	NR_HANDOUT_PARTS,
};
/* As the option has them. */
extern const char *const handout_parts[NR_HANDOUT_PARTS];

/* The part to stdout. false: a recording cannot be used, and why (size bytes) says so. */
bool handout_print(const struct lesson *l, const char *folder, enum handout_part part, char *why,
		   size_t size);

/* ---- What text and Markdown have in common -------------------------------------------------- */

/* "After step 3", with the run if there are several; in buf. */
const char *stop_title(const struct lesson *l, const struct lesson_stop *s, char *buf, size_t size);
/*
 * The map at a stop, and what the stop points at: now is the map as facts_map() gives it, was
 * that of the stop before or NULL. fence is printed before and after the map's lines.
 */
void stop_map(const struct lesson_stop *s, const struct state_summary *sum, struct state *st,
	      const char *was, const char *now, const char *fence);

#endif
