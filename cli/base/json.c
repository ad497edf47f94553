// SPDX-License-Identifier: GPL-2.0-only
/* See json.h. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"

#define EXACT_DIGITS 15		/* every whole number of so many is a double */

bool json_add_u64(cJSON *o, const char *key, uint64_t value)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	return cJSON_AddRawToObject(o, key, digits);
}

/* Where the token ends that begins there: a string, a number or word, a character. */
static const char *token_end(const char *s, const char *end)
{
	const char *p = s + 1;

	if (*s == '"') {
		for (; p < end && *p != '"'; p++)
			if (*p == '\\' && p + 1 < end)
				p++;
		return p < end ? p + 1 : end;
	}
	if (isalnum((unsigned char)*s) || *s == '-')
		while (p < end && (isalnum((unsigned char)*p) || strchr("+-.", *p)))
			p++;
	return p;
}

static bool is_long(const char *s, const char *end)
{
	if (end - s <= EXACT_DIGITS)
		return false;
	for (; s < end; s++)
		if (!isdigit((unsigned char)*s))
			return false;
	return true;
}

cJSON *json_parse(const char *text, size_t len)
{
	/* Two more for each long number, of which each has more than two. */
	char *quoted = malloc(2 * len + 1), *out = quoted;
	const char *end = text + len, *next, *rest;
	cJSON *o;

	if (!quoted)
		return NULL;
	for (const char *s = text; s < end; s = next) {
		bool quote;

		next = token_end(s, end);
		quote = is_long(s, next);
		if (quote)
			*out++ = '"';
		out = mempcpy(out, s, (size_t)(next - s));
		if (quote)
			*out++ = '"';
	}
	o = cJSON_ParseWithLengthOpts(quoted, (size_t)(out - quoted), &rest, false);
	for (; o && rest < out; rest++) {
		if (!isspace((unsigned char)*rest)) {
			cJSON_Delete(o);
			o = NULL;
		}
	}
	free(quoted);
	return o;
}

bool json_get_u64(const cJSON *item, uint64_t *value)
{
	double d;

	if (cJSON_IsString(item))
		return parse_u64(item->valuestring, false, value);
	if (!cJSON_IsNumber(item))
		return false;
	d = item->valuedouble;
	if (!(d >= 0 && d < 1e18) || d != (double)(uint64_t)d)
		return false;
	*value = (uint64_t)d;
	return true;
}

bool json_get_double(const cJSON *item, double *value)
{
	char *end;

	if (cJSON_IsNumber(item)) {
		*value = item->valuedouble;
		return true;
	}
	if (!cJSON_IsString(item) || !isdigit((unsigned char)*item->valuestring))
		return false;
	*value = strtod(item->valuestring, &end);
	return !*end;
}

const char *json_string(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}
