// SPDX-License-Identifier: GPL-2.0-only
/* Values of scenarios' parameters: see param.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "param.h"
#include "scenario.h"

bool parse_u64(const char *text, bool suffix, uint64_t *value)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	/* strtoull() takes signs, spaces and octal numbers; nobody means those here. */
	if (!isdigit((unsigned char)text[hex ? 2 : 0]) &&
	    !(hex && isxdigit((unsigned char)text[2])))
		return false;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (errno)
		return false;
	if (suffix && *end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return false;
		for (; unit >= units; unit--) {
			if (n > UINT64_MAX / 1024)
				return false;
			n *= 1024;
		}
		end++;
	}
	if (*end)
		return false;
	*value = n;
	return true;
}

const char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "\0KMGT";
	unsigned int u = 0;

	while (bytes && !(bytes % 1024) && u < 4) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, size, units[u] ? "%" PRIu64 "%c" : "%" PRIu64, bytes, units[u]);
	return buf;
}

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
