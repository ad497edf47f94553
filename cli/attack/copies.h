/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * With policy cleancache nothing of an attacker's, or of anybody's, lies in tag storage, but
 * copies of page cache: here of a file on a disk, if there is one. Root only.
 */
#ifndef TAGSCOPE_ATTACK_COPIES_H
#define TAGSCOPE_ATTACK_COPIES_H

#include "attack/judge.h"

struct copies;

/* NULL, and a skipped result: there is no disk, or it is too small. */
struct copies *copies_new(struct run *r);
/* Tag storage is full of copies, from now on, until somebody needs it. NULL: nothing. */
void copies_fill(struct run *r, struct copies *c);
/*
 * How many were taken since, some at least if they were needed, that nothing was in the way,
 * and what became of the file.
 */
void copies_judge(struct run *r, struct copies *c, const struct mode *m, bool needed);
void copies_free(struct run *r, struct copies *c);

#endif
