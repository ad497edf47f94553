// SPDX-License-Identifier: GPL-2.0-only
/* See state_json.h. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "kernel/state_json.h"

void state_to_json(const struct state_summary *s, cJSON *o)
{
	uint64_t value;

	cJSON_AddStringToObject(o, "policy", s->policy);
	cJSON_AddStringToObject(o, "reason", s->reason);
	for (size_t i = 0; i < state_counters_of(s); i++) {
		const char *name = state_counter_name(s, i);

		if (state_counter_get(s, i, &value))
			json_add_u64(o, name, value);
		else
			cJSON_AddNullToObject(o, name);
	}
}

/* A word of at most size - 1 characters, or none. */
static void word(const cJSON *o, const char *key, char *buf, size_t size)
{
	const char *text = json_string(o, key);

	if (!text || strlen(text) >= size)
		text = "-";
	snprintf(buf, size, "%s", text);
	text_clean(buf);
}

bool state_from_json(const cJSON *o, struct state_summary *s)
{
	const cJSON *item;
	uint64_t value;

	memset(s, 0, sizeof(*s));
	s->version = STATE_VERSION;
	if (!json_string(o, "policy"))
		return false;
	word(o, "policy", s->policy, sizeof(s->policy));
	word(o, "reason", s->reason, sizeof(s->reason));
	cJSON_ArrayForEach(item, o)
		if (item->string && json_get_u64(item, &value) && strcmp(item->string, "policy") &&
		    strcmp(item->string, "reason"))
			state_counter_set(s, item->string, value);
	return true;
}
