/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mistyped word may have been meant to be. */
#ifndef TAGSCOPE_SUGGEST_H
#define TAGSCOPE_SUGGEST_H

#include <stddef.h>

/* How many letters have to be changed, added, left out or swapped. */
unsigned int edit_distance(const char *a, const char *b);

/*
 * "; did you mean 'x'?", or else "; there are: x, y, z", or "" if there are none, in
 * buf. name_at(list, i) gives the names, NULL after the last.
 */
const char *suggest_text(const char *word, const char *(*name_at)(void *list, size_t i), void *list,
		      char *buf, size_t size);

#endif
