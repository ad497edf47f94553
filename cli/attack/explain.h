/* SPDX-License-Identifier: GPL-2.0-only */
/* Why an access has failed. Root only. */
#ifndef TAGSCOPE_ATTACK_EXPLAIN_H
#define TAGSCOPE_ATTACK_EXPLAIN_H

#include "scenario/scenario.h"

/*
 * A note, "why: WHO: ...", about a page of pid that has no tag storage: what the page is and
 * who maps it, the same of what is in its storage, and what tasks have that could hold
 * these. As it is now: whoever holds them must still do so.
 */
void explain_failure(struct run *r, const char *who, pid_t pid, const void *addr);

#endif
