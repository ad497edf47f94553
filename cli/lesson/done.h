/* SPDX-License-Identifier: GPL-2.0-only */
/* Which lessons the user has done: names in XDG_STATE_HOME/tagscope/lessons, a line each. */
#ifndef TAGSCOPE_LESSON_DONE_H
#define TAGSCOPE_LESSON_DONE_H

#include <stdbool.h>
#include <stddef.h>

/* The file, in buf; "": there is no home to keep it in. */
const char *done_path(char *buf, size_t size);
bool done_has(const char *name);
/* 0 or -errno. */
int done_add(const char *name);

#endif
