// SPDX-License-Identifier: GPL-2.0-only
/* Values of scenarios' parameters: see param.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/suggest.h"
#include "scenario/param.h"
#include "scenario/scenario.h"

static bool parse_bool(const char *text, uint64_t *value)
{
	static const char *const yes[] = { "yes", "on", "true", "1" };
	static const char *const no[] = { "no", "off", "false", "0" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!strcasecmp(text, yes[i]) || !strcasecmp(text, no[i])) {
			*value = !strcasecmp(text, yes[i]);
			return true;
		}
	}
	return false;
}

/* Whether word is one of "one|two|three". */
static bool is_choice(const char *choices, const char *word)
{
	size_t n = strlen(word);

	while (*choices) {
		size_t len = strcspn(choices, "|");

		if (len == n && !strncmp(choices, word, n))
			return true;
		choices += len;
		if (*choices)
			choices++;
	}
	return false;
}

const char *param_type_name(const struct param *p)
{
	switch (p->type) {
	case PARAM_UINT:
		return "uint";
	case PARAM_SIZE:
		return "size";
	case PARAM_BOOL:
		return "bool";
	case PARAM_ENUM:
		return "enum";
	case PARAM_STRING:
		return "string";
	}
	return "?";
}

const char *param_range(const struct param *p, char *buf, size_t size)
{
	char lo[32], hi[32];

	switch (p->type) {
	case PARAM_UINT:
		snprintf(buf, size, "%" PRIu64 " to %" PRIu64, p->min, p->max);
		break;
	case PARAM_SIZE:
		snprintf(buf, size, "%s to %s", format_size(p->min, lo, sizeof(lo)),
			 format_size(p->max, hi, sizeof(hi)));
		break;
	case PARAM_BOOL:
		snprintf(buf, size, "yes|no");
		break;
	case PARAM_ENUM:
		snprintf(buf, size, "%s", p->choices);
		break;
	case PARAM_STRING:
		snprintf(buf, size, "any text");
		break;
	}
	return buf;
}

bool param_check(const struct param *p, const char *text, uint64_t *value, char *why, size_t size)
{
	uint64_t v = 0;
	char range[128];
	bool ok = true;

	switch (p->type) {
	case PARAM_UINT:
	case PARAM_SIZE:
		ok = parse_u64(text, p->type == PARAM_SIZE, &v);
		if (ok && (v < p->min || v > p->max)) {
			snprintf(why, size, "'%s' is out of range, wanted: %s", text,
				 param_range(p, range, sizeof(range)));
			return false;
		}
		break;
	case PARAM_BOOL:
		ok = parse_bool(text, &v);
		break;
	case PARAM_ENUM:
		ok = is_choice(p->choices ? p->choices : "", text);
		break;
	case PARAM_STRING:
		break;
	}
	if (!ok) {
		snprintf(why, size, "'%s' is not a value for it, wanted: %s", text,
			 param_range(p, range, sizeof(range)));
		return false;
	}
	if (value)
		*value = v;
	return true;
}

/* ---- All of one run ---------------------------------------------------------- */

bool run_params_init(struct run_params *p, const struct scenario *s)
{
	size_t n = 0;
	char why[160];

	while (s->params && s->params[n].name)
		n++;
	p->scenario = s;
	p->n = 0;
	p->values = calloc(n + 1, sizeof(*p->values));
	if (!p->values)
		return false;
	for (; p->n < n; p->n++) {
		struct run_param *v = &p->values[p->n];

		v->decl = &s->params[p->n];
		v->text = strdup(v->decl->def);
		if (!v->text) {
			run_params_free(p);
			return false;
		}
		/* The registry has checked the defaults. */
		param_check(v->decl, v->text, &v->value, why, sizeof(why));
	}
	return true;
}

void run_params_free(struct run_params *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->values[i].text);
	free(p->values);
	p->values = NULL;
	p->n = 0;
}

static const char *param_name_at(void *list, size_t i)
{
	const struct run_params *p = list;

	return i < p->n ? p->values[i].decl->name : NULL;
}

bool run_params_set(struct run_params *p, const char *assignment, char *why, size_t size)
{
	size_t len = strcspn(assignment, "=");
	char reason[256], name[64], *text;

	snprintf(name, sizeof(name), "%.*s", (int)len, assignment);
	if (!assignment[len]) {
		snprintf(why, size, "'%s' is not of the form parameter=value", assignment);
		return false;
	}
	for (size_t i = 0; i < p->n; i++) {
		struct run_param *v = &p->values[i];

		if (strcmp(v->decl->name, name))
			continue;
		if (!param_check(v->decl, assignment + len + 1, &v->value, reason,
				 sizeof(reason))) {
			snprintf(why, size, "parameter %s of scenario %s: %s", name,
				 p->scenario->name, reason);
			return false;
		}
		text = strdup(assignment + len + 1);
		if (!text) {
			snprintf(why, size, "out of memory");
			return false;
		}
		free(v->text);
		v->text = text;
		return true;
	}
	snprintf(why, size, "scenario %s has no parameter '%s'%s", p->scenario->name, name,
		 suggest_text(name, param_name_at, p, reason, sizeof(reason)));
	return false;
}
