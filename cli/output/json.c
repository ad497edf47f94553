// SPDX-License-Identifier: GPL-2.0-only
/* JSON: one object a line for each event, as it happens, and one for the totals. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "output/format.h"

static void put(struct report *rep, cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	cJSON_Delete(o);
	if (text) {
		/* JSON is UTF-8; what a scenario says may be anything. */
		utf8_puts(rep->out, text);
		fputc('\n', rep->out);
	} else {
		errno = ENOMEM;
	}
	free(text);
}

/* Numbers of 64 bits as they are; a double would lose the last ones. */
static void add_u64(cJSON *o, const char *key, uint64_t value)
{
	char number[32];

	snprintf(number, sizeof(number), "%" PRIu64, value);
	cJSON_AddRawToObject(o, key, number);
}

static void add_start(cJSON *o, const struct run_info *run)
{
	cJSON *params = cJSON_AddObjectToObject(o, "params");

	cJSON_AddStringToObject(o, "kind",
				run->scenario->kind == SCENARIO_ADVERSARY ? "adversary" :
									    "workload");
	cJSON_AddStringToObject(o, "summary", run->scenario->summary);
	add_u64(o, "seed", run->seed);
	add_u64(o, "time_limit_s", run->time_limit_s);
	for (size_t i = 0; i < run->params->n; i++) {
		const struct run_param *p = &run->params->values[i];

		if (p->decl->type == PARAM_BOOL)
			cJSON_AddBoolToObject(params, p->decl->name, p->value != 0);
		else if (p->decl->type == PARAM_UINT || p->decl->type == PARAM_SIZE)
			add_u64(params, p->decl->name, p->value);
		else
			cJSON_AddStringToObject(params, p->decl->name, p->text);
	}
}

static void add_end(cJSON *o, const struct run_end *end)
{
	cJSON_AddStringToObject(o, "verdict", verdict_name(end->verdict));
	cJSON_AddStringToObject(o, "reason", end->reason);
	add_u64(o, "steps", end->steps);
	add_u64(o, "passed", end->passed);
	add_u64(o, "failed", end->failed);
	add_u64(o, "skipped", end->skipped);
	add_u64(o, "ns", end->ns);
}

static void json_event(struct report *rep, const struct event *ev)
{
	static const char *const types[] = {
		[EVENT_START] = "start",   [EVENT_STEP] = "step",
		[EVENT_RESULT] = "result", [EVENT_MEASURE] = "measure",
		[EVENT_NOTE] = "note",	   [EVENT_OUTPUT] = "output",
		[EVENT_END] = "end",
	};
	cJSON *o = cJSON_CreateObject(), *state;

	cJSON_AddStringToObject(o, "event", types[ev->type]);
	cJSON_AddStringToObject(o, "scenario", ev->run->scenario->name);
	add_u64(o, "t_ns", ev->t_ns);
	if (*ev->role)
		cJSON_AddStringToObject(o, "role", ev->role);
	if (ev->number)
		add_u64(o, "number", ev->number);
	if (ev->text)
		cJSON_AddStringToObject(o, ev->type == EVENT_MEASURE ? "name" : "text", ev->text);
	switch (ev->type) {
	case EVENT_START:
		add_start(o, ev->run);
		break;
	case EVENT_RESULT:
		cJSON_AddBoolToObject(o, "ok", ev->ok);
		if (ev->skipped)
			cJSON_AddBoolToObject(o, "skipped", true);
		if (ev->detail)
			cJSON_AddStringToObject(o, "detail", ev->detail);
		break;
	case EVENT_MEASURE:
		cJSON_AddNumberToObject(o, "value", ev->value);
		cJSON_AddStringToObject(o, "unit", ev->unit);
		break;
	case EVENT_END:
		add_end(o, ev->end);
		break;
	default:
		break;
	}
	if (ev->state) {
		state = cJSON_AddObjectToObject(o, "state");
		cJSON_AddStringToObject(state, "policy", ev->state->policy);
		for (size_t i = 0; i < nr_state_counters; i++)
			add_u64(state, state_counters[i].name,
				state_counter_value(ev->state, &state_counters[i]));
	}
	put(rep, o);
}

static int json_end(struct report *rep)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "event", "totals");
	for (int v = VERDICT_PASS; v <= VERDICT_SKIP; v++)
		if (v != 2)
			add_u64(o, verdict_name((enum verdict)v), rep->verdicts[v]);
	put(rep, o);
	return 0;
}

const struct format format_json = {
	.name = "json",
	.summary = "one JSON object a line for each event, with the state of tag storage at each step",
	.event = json_event,
	.end = json_end,
};
