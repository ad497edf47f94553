// SPDX-License-Identifier: GPL-2.0-only
/* The names of verdicts: see verdict.h. */
#include <stddef.h>
#include <string.h>

#include "base/verdict.h"

static const char *const names[] = {
	[VERDICT_PASS] = "pass",
	[VERDICT_FAIL] = "fail",
	[VERDICT_ERROR] = "error",
	[VERDICT_SKIP] = "skip",
};

const char *verdict_name(enum verdict v)
{
	return names[v];
}

enum verdict verdict_of_all(const bool seen[VERDICT_SKIP + 1])
{
	static const enum verdict order[] = { VERDICT_FAIL, VERDICT_ERROR, VERDICT_PASS };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (seen[order[i]])
			return order[i];
	return VERDICT_SKIP;
}

bool verdict_find(const char *name, enum verdict *v)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i] && !strcmp(names[i], name)) {
			*v = (enum verdict)i;
			return true;
		}
	}
	return false;
}
