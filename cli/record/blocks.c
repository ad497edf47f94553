// SPDX-License-Identifier: GPL-2.0-only
/* See blocks.h. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "record/blocks.h"

static uint16_t at_most_16_bits(unsigned int n)
{
	return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

struct rec_block rec_block_of(const struct state_block *b)
{
	return (struct rec_block){
		.letter = b->letter,
		.tagged = at_most_16_bits(b->tagged),
		.free = at_most_16_bits(b->free),
	};
}

static bool same(const struct rec_block *a, const struct rec_block *b)
{
	return a->letter == b->letter && a->tagged == b->tagged && a->free == b->free;
}

bool rec_blocks_print(FILE *f, const struct rec_block *was, const struct rec_block *now, size_t n)
{
	bool any = false;
	size_t skip = 0, run;

	for (size_t i = 0; i < n; i += run) {
		run = 1;
		if (same(&was[i], &now[i])) {
			skip++;
			continue;
		}
		while (i + run < n && same(&now[i], &now[i + run]) &&
		       !same(&was[i + run], &now[i + run]))
			run++;
		if (any)
			fputc(' ', f);
		if (skip)
			fprintf(f, "+%zu ", skip);
		if (run > 1)
			fprintf(f, "%zu*", run);
		fputc(now[i].letter, f);
		if (now[i].tagged)
			fprintf(f, "%u", now[i].tagged);
		if (now[i].free)
			fprintf(f, "/%u", now[i].free);
		any = true;
		skip = 0;
	}
	return any;
}

/* The number at *p, which moves on; false: there is none, or it is more than max. */
static bool number(const char **p, uint64_t max, uint64_t *value)
{
	*value = 0;
	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		*value = *value * 10 + (uint64_t)(**p - '0');
		if (*value > max)
			return false;
	}
	return true;
}

/* "3*r32/1" at *p, which moves on. */
static bool run(const char **p, const char *letters, size_t max, size_t *count,
		struct rec_block *b)
{
	uint64_t v = 1;

	if (isdigit((unsigned char)**p) && (!number(p, max, &v) || *(*p)++ != '*'))
		return false;
	*count = (size_t)v;
	*b = (struct rec_block){ .letter = **p };
	if (!v || !**p || !strchr(letters, **p))
		return false;
	++*p;
	if (isdigit((unsigned char)**p)) {
		if (!number(p, UINT16_MAX, &v))
			return false;
		b->tagged = (uint16_t)v;
	}
	if (**p == '/') {
		++*p;
		if (!number(p, UINT16_MAX, &v))
			return false;
		b->free = (uint16_t)v;
	}
	return true;
}

bool rec_blocks_apply(const char *text, const char *letters, struct rec_block *b,
		      uint64_t *generation, size_t n, uint64_t now, char *why, size_t size)
{
	const char *p = text;
	size_t at = 0, count;
	struct rec_block to;
	uint64_t skip;

	while (*p) {
		const char *word = p;
		bool good;

		if (*p == '+') {
			p++;
			good = number(&p, n - at, &skip);
			at += good ? (size_t)skip : 0;
		} else {
			good = run(&p, letters, n - at, &count, &to) && count <= n - at;
			for (size_t i = 0; good && i < count; i++, at++) {
				if (generation && b[at].letter != to.letter)
					generation[at] = now;
				b[at] = to;
			}
		}
		if (!good || (*p && *p != ' ')) {
			snprintf(why, size, "'%.*s' is no change of blocks, or goes beyond the last",
				 (int)strcspn(word, " ") > 20 ? 20 : (int)strcspn(word, " "), word);
			return false;
		}
		p += *p == ' ';
	}
	return true;
}
