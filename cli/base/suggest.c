// SPDX-License-Identifier: GPL-2.0-only
/* What a mistyped word may have been meant to be: see suggest.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

#define MAX_WORD 40

unsigned int edit_distance(const char *a, const char *b)
{
	/* Three rows of the table: row i holds the distances of a[0..i) to b[0..j). */
	unsigned int row[3][MAX_WORD + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > MAX_WORD || m > MAX_WORD)
		return 2 * MAX_WORD;
	for (size_t i = 0; i <= n; i++) {
		unsigned int *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		for (size_t j = 0; j <= m; j++) {
			unsigned int best;

			if (!i || !j) {
				cur[j] = (unsigned int)(i + j);
				continue;
			}
			best = up[j - 1] + (a[i - 1] != b[j - 1]);
			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (cur[j - 1] + 1 < best)
				best = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			cur[j] = best;
		}
	}
	return row[n % 3][m];
}

const char *suggest_text(const char *word, const char *(*name_at)(void *list, size_t i), void *list,
		      char *buf, size_t size)
{
	unsigned int best = strlen(word) < 4 ? 2 : 3;
	const char *name, *meant = NULL;
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; (name = name_at(list, i)); i++) {
		unsigned int d = edit_distance(word, name);

		/* The beginning of a name is near to it, however long the rest is. */
		if (strlen(word) > 2 && !strncmp(name, word, strlen(word)))
			d = 1;
		if (d < best) {
			best = d;
			meant = name;
		}
	}
	if (meant) {
		snprintf(buf, size, "; did you mean '%s'?", meant);
		return buf;
	}
	for (size_t i = 0; (name = name_at(list, i)) && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "; there are: ",
					name);
	return buf;
}
