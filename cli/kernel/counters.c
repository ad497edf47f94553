// SPDX-License-Identifier: GPL-2.0-only
/* The counters of a summary, by name: see state.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernel/state.h"

const struct state_counter state_counters[] = {
#define X(field, text_) { #field, text_, offsetof(struct state_summary, field) },
	STATE_COUNTERS(X)
#undef X
};
const size_t nr_state_counters = sizeof(state_counters) / sizeof(state_counters[0]);

_Static_assert(sizeof(state_counters) / sizeof(state_counters[0]) <= 64, "one bit a counter");

size_t state_counters_of(const struct state_summary *s)
{
	return nr_state_counters + s->nr_extra;
}

const char *state_counter_name(const struct state_summary *s, size_t i)
{
	return i < nr_state_counters ? state_counters[i].name :
				       s->extra[i - nr_state_counters].name;
}

const char *state_counter_text(const struct state_summary *s, size_t i)
{
	uint64_t value;

	if (i >= nr_state_counters)
		return "(not known to this tagscope)";
	return state_counter_get(s, i, &value) ? state_counters[i].text :
						 "(not offered by this kernel)";
}

bool state_counter_get(const struct state_summary *s, size_t i, uint64_t *value)
{
	if (i >= nr_state_counters) {
		*value = s->extra[i - nr_state_counters].value;
		return true;
	}
	*value = *(const uint64_t *)((const char *)s + state_counters[i].offset);
	return s->present & 1ULL << i;
}

const char *state_counter_value(const struct state_summary *s, size_t i, char *buf, size_t size)
{
	uint64_t value;

	if (state_counter_get(s, i, &value))
		snprintf(buf, size, "%" PRIu64, value);
	else
		snprintf(buf, size, "-");
	return buf;
}

const char *state_counter_named(const struct state_summary *s, const char *name, char *buf,
				size_t size)
{
	return state_counter_value(s, (size_t)state_counter_find(s, name), buf, size);
}

ssize_t state_counter_find(const struct state_summary *s, const char *name)
{
	for (size_t i = 0; i < state_counters_of(s); i++)
		if (!strcmp(state_counter_name(s, i), name))
			return (ssize_t)i;
	return -1;
}

bool state_counter_set(struct state_summary *s, const char *name, uint64_t value)
{
	ssize_t i = state_counter_find(s, name);
	size_t len = strlen(name);

	if (i >= 0 && (size_t)i < nr_state_counters) {
		*(uint64_t *)((char *)s + state_counters[i].offset) = value;
		s->present |= 1ULL << i;
		return true;
	}
	if (i < 0) {
		if (!len || len >= sizeof(s->extra[0].name) || s->nr_extra == STATE_MAX_EXTRA ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
			return false;
		i = (ssize_t)(nr_state_counters + s->nr_extra++);
		memcpy(s->extra[s->nr_extra - 1].name, name, len + 1);
	}
	s->extra[(size_t)i - nr_state_counters].value = value;
	return true;
}

const char *state_counter_missing(const struct state_summary *s)
{
	for (size_t i = 0; i < nr_state_counters; i++)
		if (!(s->present & 1ULL << i))
			return state_counters[i].name;
	return NULL;
}

const char *state_changes(const struct state_summary *from, const struct state_summary *to,
			  char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; i < state_counters_of(to) && len < size; i++) {
		const char *name = state_counter_name(to, i);
		ssize_t before = state_counter_find(from, name);
		uint64_t a, b;

		/* The generation moves with any of the others. */
		if (before < 0 || !state_counter_get(from, (size_t)before, &a) ||
		    !state_counter_get(to, i, &b) || a == b || !strcmp(name, "generation"))
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s %" PRIu64 "->%" PRIu64,
					len ? ", " : "", name, a, b);
	}
	return buf;
}
