/* SPDX-License-Identifier: GPL-2.0-only */
/* What cJSON leaves open: exact numbers of 64 bits, what is missing or of another type. */
#ifndef TAGSCOPE_JSON_H
#define TAGSCOPE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool json_add_u64(struct cJSON *o, const char *key, uint64_t value);

/*
 * Parse all of len bytes. cJSON keeps numbers as doubles, which have no room for every
 * whole number; so the long ones come out as strings, which the functions below take,
 * too. NULL: it is no JSON, not all of it, or there is more behind it; or out of memory.
 */
struct cJSON *json_parse(const char *text, size_t len);

/* false: it is none, or item is NULL. */
bool json_get_u64(const struct cJSON *item, uint64_t *value);
bool json_get_double(const struct cJSON *item, double *value);

/* The string of that name; NULL: there is none. */
const char *json_string(const struct cJSON *o, const char *key);

#endif
