/* SPDX-License-Identifier: GPL-2.0-only */
/* The outcome of a scenario; as a program's exit status too. */
#ifndef TAGSCOPE_VERDICT_H
#define TAGSCOPE_VERDICT_H

#include <stdbool.h>

enum verdict {
	VERDICT_PASS = 0,
	VERDICT_FAIL = 1,
	VERDICT_ERROR = 3,	/* could not run here, or its environment broke it */
	VERDICT_SKIP = 4,
};

const char *verdict_name(enum verdict v);	/* "pass", "fail", "error", "skip" */
/*
 * Of several, seen[] by verdict: a failure if one failed; else an error if there was one;
 * else a pass if one passed; else a skip.
 */
enum verdict verdict_of_all(const bool seen[VERDICT_SKIP + 1]);
/* false: there is none of that name. */
bool verdict_find(const char *name, enum verdict *v);

#endif
