// SPDX-License-Identifier: GPL-2.0-only
/* JSON: one object a line for each event, as it happens, and one for the totals. */
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "output/format.h"

static void put(struct report *rep, char *text)
{
	if (text) {
		/* A parameter may be anything. */
		text_write(rep->out, text);
		fputc('\n', rep->out);
	} else {
		rep->err = -ENOMEM;
	}
	free(text);
}

static int json_begin(struct report *rep)
{
	struct event plan = { .type = EVENT_PLAN, .number = rep->planned };

	put(rep, event_print(&plan));
	return rep->err;
}

static void json_event(struct report *rep, const struct event *ev)
{
	put(rep, event_print(ev));
}

static int json_end(struct report *rep)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "event", "totals");
	for (int v = VERDICT_PASS; v <= VERDICT_SKIP; v++)
		if (v != 2)
			json_add_u64(o, verdict_name((enum verdict)v), rep->verdicts[v]);
	put(rep, cJSON_PrintUnformatted(o));
	cJSON_Delete(o);
	return rep->err;
}

const struct format format_json = {
	.name = "json",
	.summary = "one JSON object a line for each event, with the state of tag storage at each step",
	.begin = json_begin,
	.event = json_event,
	.end = json_end,
};
