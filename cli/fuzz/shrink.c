// SPDX-License-Identifier: GPL-2.0-only
/* Leave out operations for as long as what is left still shows the finding. */
#include <string.h>

#include "fuzz/fuzz.h"

/* Without n operations from first of group g. NULL: no memory. */
static struct fuzz_sequence *without(const struct fuzz_sequence *s, unsigned int g, size_t first,
				     size_t n)
{
	struct fuzz_sequence *less = fuzz_copy(s);

	if (!less)
		return NULL;
	less->group[g].nr -= n;
	memmove(&less->group[g].op[first], &less->group[g].op[first + n],
		(less->group[g].nr - first) * sizeof(struct fuzz_op));
	return less;
}

/* Without parts of this size, each tried once. true: something went. */
static bool pass(struct fuzz_sequence *s, unsigned int g, size_t size, fuzz_shows_fn shows,
		 void *ctx)
{
	bool went = false;
	size_t end = s->group[g].nr;

	/* From the end: what comes last depends on what was before. */
	while (end) {
		size_t n = size < end ? size : end;
		struct fuzz_sequence *less = without(s, g, end - n, n);

		end -= n;
		if (less && shows(ctx, less)) {
			memcpy(s->group[g].op, less->group[g].op,
			       less->group[g].nr * sizeof(struct fuzz_op));
			s->group[g].nr = less->group[g].nr;
			went = true;
		}
		fuzz_free(less);
	}
	return went;
}

void fuzz_shrink(struct fuzz_sequence *s, fuzz_shows_fn shows, void *ctx)
{
	bool went;

	do {
		went = false;
		for (unsigned int g = 0; g < s->groups; g++)
			for (size_t size = s->group[g].nr; size; size /= 2)
				went |= pass(s, g, size, shows, ctx);
	} while (went);
}
