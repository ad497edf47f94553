// SPDX-License-Identifier: GPL-2.0-only
/* Making sequences of operations, and their form as text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "fuzz/fuzz.h"
#include "scenario/mte.h"

#define HEADER "fuzz-sequence 1"
#define FIRST_MAPS 5		/* of the first kind, mmap */

_Static_assert(sizeof(((struct fuzz_choice *)0)->weight) / sizeof(unsigned int) >= 44,
	       "room for all kinds");

static int find_kind(const char *name, size_t len)
{
	for (size_t i = 0; i < fuzz_nr_kinds(); i++)
		if (strlen(fuzz_kinds[i].name) == len && !memcmp(fuzz_kinds[i].name, name, len))
			return (int)i;
	return -1;
}

static const char *kind_at(void *list, size_t i)
{
	(void)list;
	return i < fuzz_nr_kinds() ? fuzz_kinds[i].name : NULL;
}

bool fuzz_choose(struct fuzz_choice *c, const char *list, bool tags, char *why, size_t size)
{
	char word[64], near[1024];
	bool only = list && *list && *list != '-';

	for (size_t i = 0; i < fuzz_nr_kinds(); i++)
		c->weight[i] = only ? 0 : fuzz_kinds[i].weight;
	while (list && *list) {
		bool no = *list == '-';
		size_t len = strcspn(list += no, ",");
		int kind = find_kind(list, len);

		if (kind < 0) {
			snprintf(word, sizeof(word), "%.*s", (int)len, list);
			snprintf(why, size, "there is no call '%s'%s", word,
				 suggest_text(word, kind_at, NULL, near, sizeof(near)));
			return false;
		}
		if (no)
			c->weight[kind] = 0;
		else if (!c->weight[kind])
			c->weight[kind] = fuzz_kinds[kind].weight ? fuzz_kinds[kind].weight : 3;
		list += len + (list[len] == ',');
	}
	c->sum = 0;
	for (size_t i = 0; i < fuzz_nr_kinds(); i++) {
		if (fuzz_kinds[i].tags && !tags)
			c->weight[i] = 0;
		c->sum += c->weight[i];
	}
	if (!c->sum)
		snprintf(why, size, "no call is left");
	return c->sum;
}

static struct fuzz_sequence *sequence_new(unsigned int groups, size_t ops)
{
	struct fuzz_sequence *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->groups = groups;
	for (unsigned int g = 0; g < groups; g++) {
		s->group[g].op = calloc(ops + 1, sizeof(*s->group[g].op));
		if (!s->group[g].op) {
			fuzz_free(s);
			return NULL;
		}
	}
	return s;
}

struct fuzz_sequence *fuzz_generate(const struct fuzz_choice *c, uint64_t seed, unsigned int groups,
				    size_t ops, bool tags)
{
	struct fuzz_sequence *s = sequence_new(groups, ops);

	if (!s)
		return NULL;
	s->seed = seed;
	s->tags = tags;
	for (unsigned int g = 0; g < groups; g++) {
		uint64_t state = mix64(mix64(seed) + g);

		s->group[g].nr = ops;
		for (size_t i = 0; i < ops; i++) {
			struct fuzz_op *op = &s->group[g].op[i];
			uint64_t at = mix64(state++) % c->sum, who = mix64(state++);

			while (at >= c->weight[op->kind])
				at -= c->weight[op->kind++];
			/* Half of all by the first process, which the others come from. */
			op->who = who & 4 ? 0 : who & 3;
			for (int n = 0; n < FUZZ_NUMBERS; n++)
				op->n[n] = (uint32_t)(mix64(state++) >> 16);
			/* Without memory most operations mean nothing. */
			if (i < FIRST_MAPS && c->weight[0]) {
				op->kind = 0;
				op->who = 0;
				op->n[0] = (uint32_t)i;
			}
			op->id = (uint32_t)(g * 1000000 + i);
		}
	}
	return s;
}

struct fuzz_sequence *fuzz_copy(const struct fuzz_sequence *s)
{
	struct fuzz_sequence *copy;
	size_t most = 0;

	for (unsigned int g = 0; g < s->groups; g++)
		if (s->group[g].nr > most)
			most = s->group[g].nr;
	copy = sequence_new(s->groups, most);
	if (!copy)
		return NULL;
	copy->seed = s->seed;
	copy->tags = s->tags;
	for (unsigned int g = 0; g < s->groups; g++) {
		copy->group[g].nr = s->group[g].nr;
		memcpy(copy->group[g].op, s->group[g].op, s->group[g].nr * sizeof(struct fuzz_op));
	}
	return copy;
}

void fuzz_free(struct fuzz_sequence *s)
{
	if (!s)
		return;
	for (unsigned int g = 0; g < FUZZ_GROUPS; g++)
		free(s->group[g].op);
	free(s);
}

size_t fuzz_ops(const struct fuzz_sequence *s)
{
	size_t sum = 0;

	for (unsigned int g = 0; g < s->groups; g++)
		sum += s->group[g].nr;
	return sum;
}

void fuzz_write(FILE *f, const struct fuzz_sequence *s, const char *prefix)
{
	fprintf(f, "%s%s seed %" PRIu64 " processes %u tags %d\n", prefix, HEADER, s->seed,
		s->groups, s->tags);
	for (unsigned int g = 0; g < s->groups; g++) {
		for (size_t i = 0; i < s->group[g].nr; i++) {
			const struct fuzz_op *op = &s->group[g].op[i];

			fprintf(f, "%sop %u %u %u %s %u %u %u %u\n", prefix, g, op->id, op->who,
				fuzz_kinds[op->kind].name, op->n[0], op->n[1], op->n[2], op->n[3]);
		}
	}
	fprintf(f, "%send %zu\n", prefix, fuzz_ops(s));
}

static bool read_op(struct fuzz_sequence *s, const char *line, size_t *room)
{
	unsigned int g, who;
	struct fuzz_op op = { 0 };
	char name[32];
	int kind;

	if (sscanf(line, "op %u %u %u %31s %u %u %u %u", &g, &op.id, &who, name, &op.n[0], &op.n[1],
		   &op.n[2], &op.n[3]) != 8)
		return false;
	kind = find_kind(name, strlen(name));
	if (kind < 0 || g >= s->groups || who >= FUZZ_PROCESSES)
		return false;
	op.kind = (uint8_t)kind;
	op.who = (uint8_t)who;
	if (s->group[g].nr == room[g] || !s->group[g].op) {
		struct fuzz_op *more;

		room[g] = room[g] ? 2 * room[g] : 256;
		more = realloc(s->group[g].op, room[g] * sizeof(*more));
		if (!more)
			return false;
		s->group[g].op = more;
	}
	s->group[g].op[s->group[g].nr++] = op;
	return true;
}

struct fuzz_sequence *fuzz_read(FILE *f, char *why, size_t size)
{
	size_t room[FUZZ_GROUPS] = { 0 }, number = 0, end;
	struct fuzz_sequence *s = NULL;
	char line[512], *at;
	unsigned int groups;
	uint64_t seed;
	int tags;

	snprintf(why, size, "it holds no sequence: no line with '%s'", HEADER);
	while (fgets(line, sizeof(line), f)) {
		number++;
		at = line + strspn(line, " *\t");
		if (!s) {
			if (strncmp(at, HEADER, strlen(HEADER)))
				continue;
			if (sscanf(at + strlen(HEADER), " seed %" SCNu64 " processes %u tags %d",
				   &seed, &groups, &tags) != 3 || !groups || groups > FUZZ_GROUPS) {
				snprintf(why, size, "line %zu is not understood", number);
				return NULL;
			}
			s = sequence_new(groups, 0);
			if (!s) {
				snprintf(why, size, "out of memory");
				return NULL;
			}
			s->seed = seed;
			s->tags = tags;
			snprintf(why, size, "it is not complete: no line 'end'");
		} else if (sscanf(at, "end %zu", &end) == 1) {
			if (end == fuzz_ops(s))
				return s;
			snprintf(why, size, "it has %zu operations, not %zu", fuzz_ops(s), end);
			break;
		} else if (!read_op(s, at, room)) {
			snprintf(why, size, "line %zu is no operation", number);
			break;
		}
	}
	fuzz_free(s);
	return NULL;
}
