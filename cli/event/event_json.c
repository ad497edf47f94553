// SPDX-License-Identifier: GPL-2.0-only
/* Events as JSON and back: the one codec, for all that passes or keeps events. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "event/event.h"
#include "kernel/state_json.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_PARAMS 64		/* and roles */

static const char *const type_names[] = {
	[EVENT_PLAN] = "plan",	     [EVENT_START] = "start", [EVENT_STEP] = "step",
	[EVENT_RESULT] = "result",   [EVENT_MEASURE] = "measure", [EVENT_NOTE] = "note",
	[EVENT_OUTPUT] = "output",   [EVENT_END] = "end",     [EVENT_EXIT] = "exit",
};

static const char *const exit_names[] = {
	[EVENT_EXIT_DONE] = "done",	[EVENT_EXIT_SKIP] = "skip",
	[EVENT_EXIT_BAIL] = "bail",	[EVENT_EXIT_STOP] = "stop",
	[EVENT_EXIT_DENIED] = "denied", [EVENT_EXIT_CRASH] = "crash",
};

/* ---- To JSON ---------------------------------------------------------------- */

static bool is_number(const char *type)
{
	return !strcmp(type, "uint") || !strcmp(type, "size");
}

/* "params" has the values, for programs; "parameters" how they were declared and written. */
static void print_start(cJSON *o, const struct event_start *s)
{
	cJSON *params, *declared, *roles;

	cJSON_AddStringToObject(o, "kind", s->kind);
	cJSON_AddStringToObject(o, "summary", s->summary);
	cJSON_AddStringToObject(o, "explanation", s->explanation);
	json_add_u64(o, "seed", s->seed);
	json_add_u64(o, "time_limit_s", s->time_limit_s);
	params = cJSON_AddObjectToObject(o, "params");
	declared = cJSON_AddArrayToObject(o, "parameters");
	for (size_t i = 0; i < s->nr_params; i++) {
		const struct event_param *p = &s->params[i];
		cJSON *d = cJSON_CreateObject();

		if (is_number(p->type))
			json_add_u64(params, p->name, p->value);
		else if (!strcmp(p->type, "bool"))
			cJSON_AddBoolToObject(params, p->name, p->value != 0);
		else
			cJSON_AddStringToObject(params, p->name, p->text);
		cJSON_AddStringToObject(d, "name", p->name);
		cJSON_AddStringToObject(d, "type", p->type);
		cJSON_AddStringToObject(d, "text", p->text);
		cJSON_AddStringToObject(d, "help", p->help);
		cJSON_AddItemToArray(declared, d);
	}
	roles = cJSON_AddArrayToObject(o, "roles");
	for (size_t i = 0; i < s->nr_roles; i++) {
		cJSON *r = cJSON_CreateObject();

		cJSON_AddStringToObject(r, "name", s->roles[i].name);
		cJSON_AddStringToObject(r, "summary", s->roles[i].summary);
		cJSON_AddItemToArray(roles, r);
	}
}

static void print_end(cJSON *o, const struct event_end *end)
{
	cJSON_AddStringToObject(o, "verdict", verdict_name(end->verdict));
	cJSON_AddStringToObject(o, "reason", end->reason);
	json_add_u64(o, "steps", end->steps);
	json_add_u64(o, "passed", end->passed);
	json_add_u64(o, "failed", end->failed);
	json_add_u64(o, "skipped", end->skipped);
	json_add_u64(o, "ns", end->ns);
}

char *event_print(const struct event *ev)
{
	cJSON *o = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(o, "event", type_names[ev->type]);
	if (ev->type == EVENT_PLAN)
		json_add_u64(o, "version", EVENT_VERSION);
	else
		cJSON_AddStringToObject(o, "scenario", ev->scenario);
	json_add_u64(o, "t_ns", ev->t_ns);
	if (ev->role && *ev->role)
		cJSON_AddStringToObject(o, "role", ev->role);
	if (ev->number)
		json_add_u64(o, "number", ev->number);
	if (ev->text)
		cJSON_AddStringToObject(o, ev->type == EVENT_MEASURE ? "name" : "text", ev->text);
	switch (ev->type) {
	case EVENT_START:
		print_start(o, ev->start);
		break;
	case EVENT_STEP:
		if (ev->waiting)
			cJSON_AddTrueToObject(o, "waiting");
		break;
	case EVENT_RESULT:
		cJSON_AddBoolToObject(o, "ok", ev->ok);
		if (ev->skipped)
			cJSON_AddTrueToObject(o, "skipped");
		if (ev->detail)
			cJSON_AddStringToObject(o, "detail", ev->detail);
		break;
	case EVENT_MEASURE:
		/* What is not finite becomes null. */
		cJSON_AddNumberToObject(o, "value", ev->value);
		cJSON_AddStringToObject(o, "unit", ev->unit);
		break;
	case EVENT_END:
		print_end(o, ev->end);
		break;
	case EVENT_EXIT:
		cJSON_AddStringToObject(o, "how", exit_names[ev->how]);
		break;
	default:
		break;
	}
	if (ev->state)
		state_to_json(ev->state, cJSON_AddObjectToObject(o, "state"));
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

/* ---- And back ---------------------------------------------------------------- */

/* An event and all it points to. */
struct parsed {
	struct event ev;	/* first, for event_free() */
	struct event_start start;
	struct event_end end;
	struct state_summary state;
	struct event_param params[MAX_PARAMS];
	struct event_role roles[MAX_PARAMS];
	cJSON *json;		/* its strings are the event's */
};

static bool bad(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool bad(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return false;
}

static void clean(cJSON *item)
{
	for (; item; item = item->next) {
		if (cJSON_IsString(item))
			text_clean(item->valuestring);
		clean(item->child);
	}
}

static bool must_string(const cJSON *o, const char *key, const char **text, char *why, size_t size)
{
	*text = json_string(o, key);
	return *text || bad(why, size, "'%s' is missing, or no string", key);
}

static bool must_u64(const cJSON *o, const char *key, uint64_t max, uint64_t *value, char *why,
		     size_t size)
{
	if (json_get_u64(cJSON_GetObjectItemCaseSensitive(o, key), value) && *value <= max)
		return true;
	return bad(why, size, "'%s' is missing, or no number in its range", key);
}

static bool must_uint(const cJSON *o, const char *key, unsigned int *value, char *why, size_t size)
{
	uint64_t v;

	if (!must_u64(o, key, UINT32_MAX, &v, why, size))
		return false;
	*value = (unsigned int)v;
	return true;
}

static bool parse_params(const cJSON *o, struct parsed *p, char *why, size_t size)
{
	const cJSON *declared = cJSON_GetObjectItemCaseSensitive(o, "parameters"), *d;
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(o, "params"), *value;
	const cJSON *roles = cJSON_GetObjectItemCaseSensitive(o, "roles");

	cJSON_ArrayForEach(d, declared) {
		struct event_param *e = &p->params[p->start.nr_params++];

		if (p->start.nr_params > MAX_PARAMS)
			return bad(why, size, "more than %d parameters", MAX_PARAMS);
		if (!must_string(d, "name", &e->name, why, size) ||
		    !must_string(d, "type", &e->type, why, size) ||
		    !must_string(d, "text", &e->text, why, size) ||
		    !must_string(d, "help", &e->help, why, size))
			return false;
		value = cJSON_GetObjectItemCaseSensitive(values, e->name);
		if (!strcmp(e->type, "bool"))
			e->value = cJSON_IsTrue(value);
		else if (is_number(e->type) && !json_get_u64(value, &e->value))
			return bad(why, size, "parameter '%s' has no value", e->name);
	}
	cJSON_ArrayForEach(d, roles) {
		struct event_role *r = &p->roles[p->start.nr_roles++];

		if (p->start.nr_roles > MAX_PARAMS)
			return bad(why, size, "more than %d roles", MAX_PARAMS);
		if (!must_string(d, "name", &r->name, why, size) ||
		    !must_string(d, "summary", &r->summary, why, size))
			return false;
	}
	p->start.params = p->params;
	p->start.roles = p->roles;
	return true;
}

static bool parse_start(const cJSON *o, struct parsed *p, char *why, size_t size)
{
	struct event_start *s = &p->start;

	p->ev.start = s;
	return must_string(o, "kind", &s->kind, why, size) &&
	       must_string(o, "summary", &s->summary, why, size) &&
	       must_string(o, "explanation", &s->explanation, why, size) &&
	       must_u64(o, "seed", UINT64_MAX, &s->seed, why, size) &&
	       must_uint(o, "time_limit_s", &s->time_limit_s, why, size) &&
	       parse_params(o, p, why, size);
}

static bool parse_end(const cJSON *o, struct parsed *p, char *why, size_t size)
{
	struct event_end *e = &p->end;
	const char *verdict;

	p->ev.end = e;
	if (!must_string(o, "verdict", &verdict, why, size))
		return false;
	if (!verdict_find(verdict, &e->verdict))
		return bad(why, size, "there is no verdict '%.40s'", verdict);
	return must_string(o, "reason", &e->reason, why, size) &&
	       must_uint(o, "steps", &e->steps, why, size) &&
	       must_uint(o, "passed", &e->passed, why, size) &&
	       must_uint(o, "failed", &e->failed, why, size) &&
	       /* Older ones have none. */
	       (!cJSON_HasObjectItem(o, "skipped") ||
		must_uint(o, "skipped", &e->skipped, why, size)) &&
	       must_u64(o, "ns", UINT64_MAX, &e->ns, why, size);
}

static bool parse_measure(const cJSON *o, struct event *ev, char *why, size_t size)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(o, "value");

	if (!must_string(o, "name", &ev->text, why, size) ||
	    !must_string(o, "unit", &ev->unit, why, size))
		return false;
	ev->value = (double)NAN;
	return cJSON_IsNull(value) || json_get_double(value, &ev->value) ||
	       bad(why, size, "'value' is missing, or no number");
}

static bool parse_exit(const cJSON *o, struct event *ev, char *why, size_t size)
{
	const char *how;

	if (!must_string(o, "how", &how, why, size) ||
	    !must_string(o, "text", &ev->text, why, size))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(exit_names); i++) {
		if (!strcmp(exit_names[i], how)) {
			ev->how = (enum event_exit)i;
			return true;
		}
	}
	return bad(why, size, "there is no exit '%.40s'", how);
}

static bool parse_type(const cJSON *o, struct parsed *p, char *why, size_t size)
{
	struct event *ev = &p->ev;
	const cJSON *ok = cJSON_GetObjectItemCaseSensitive(o, "ok");
	uint64_t version;

	switch (ev->type) {
	case EVENT_PLAN:
		ev->scenario = "";
		if (!must_u64(o, "version", UINT64_MAX, &version, why, size))
			return false;
		return version == EVENT_VERSION ||
		       bad(why, size, "version %llu of events; this tagscope knows version %d",
			   (unsigned long long)version, EVENT_VERSION);
	case EVENT_START:
		return parse_start(o, p, why, size);
	case EVENT_RESULT:
		ev->ok = cJSON_IsTrue(ok);
		ev->skipped = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "skipped"));
		ev->detail = ev->ok && !ev->skipped ? NULL : json_string(o, "detail");
		return must_string(o, "text", &ev->text, why, size) &&
		       (!ev->skipped || must_string(o, "detail", &ev->detail, why, size)) &&
		       (cJSON_IsBool(ok) || bad(why, size, "'ok' is missing, or no boolean"));
	case EVENT_MEASURE:
		return parse_measure(o, ev, why, size);
	case EVENT_STEP:
		ev->waiting = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "waiting"));
		return must_string(o, "text", &ev->text, why, size);
	case EVENT_NOTE:
	case EVENT_OUTPUT:
		return must_string(o, "text", &ev->text, why, size);
	case EVENT_END:
		return parse_end(o, p, why, size);
	case EVENT_EXIT:
		return parse_exit(o, ev, why, size);
	}
	return false;
}

static bool find_type(const char *name, enum event_type *type)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (!strcmp(type_names[i], name)) {
			*type = (enum event_type)i;
			return true;
		}
	}
	return false;
}

static int parse(struct parsed *p, char *why, size_t size)
{
	const cJSON *o = p->json, *item;
	struct event *ev = &p->ev;
	const char *name;

	if (!cJSON_IsObject(o) || !must_string(o, "event", &name, why, size)) {
		if (!cJSON_IsObject(o))
			bad(why, size, "not one whole object of JSON");
		return -EPROTO;
	}
	if (!find_type(name, &ev->type)) {
		bad(why, size, "there is no event '%.40s'", name);
		return -ENOMSG;
	}
	if (ev->type != EVENT_PLAN && !must_string(o, "scenario", &ev->scenario, why, size))
		return -EPROTO;
	ev->role = json_string(o, "role");
	if (!ev->role)
		ev->role = "";
	item = cJSON_GetObjectItemCaseSensitive(o, "t_ns");
	if (item && !must_u64(o, "t_ns", UINT64_MAX, &ev->t_ns, why, size))
		return -EPROTO;
	item = cJSON_GetObjectItemCaseSensitive(o, "number");
	if (item && !must_uint(o, "number", &ev->number, why, size))
		return -EPROTO;
	item = cJSON_GetObjectItemCaseSensitive(o, "state");
	if (cJSON_IsObject(item) && state_from_json(item, &p->state))
		ev->state = &p->state;
	return parse_type(o, p, why, size) ? 0 : -EPROTO;
}

int event_parse(const char *text, size_t len, struct event **ev, char *why, size_t size)
{
	struct parsed *p = calloc(1, sizeof(*p));
	int err;

	*ev = NULL;
	if (!p)
		return -ENOMEM;
	p->json = json_parse(text, len);
	clean(p->json);
	err = parse(p, why, size);
	if (err) {
		cJSON_Delete(p->json);
		free(p);
		return err;
	}
	*ev = &p->ev;
	return 0;
}

void event_free(struct event *ev)
{
	struct parsed *p = (struct parsed *)ev;

	if (!p)
		return;
	cJSON_Delete(p->json);
	free(p);
}
