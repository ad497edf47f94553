/* SPDX-License-Identifier: GPL-2.0-only */
/* Values of scenarios' parameters, as users write them. */
#ifndef TAGSCOPE_PARAM_H
#define TAGSCOPE_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct param;

/*
 * Whether text is a value for p. Numbers and booleans are stored in *value (may be
 * NULL). If not, why (size bytes) says what is wrong and what is wanted.
 */
bool param_check(const struct param *p, const char *text, uint64_t *value, char *why, size_t size);

/* "uint", "size", ... */
const char *param_type_name(const struct param *p);

/* What may be given, for help: "1 to 64", "sparse|dense", "yes|no"; in buf. */
const char *param_range(const struct param *p, char *buf, size_t size);

/* Decimal or 0x; with suffixes K, M, G, T (1024) if size. false: not a number or too large. */
bool parse_u64(const char *text, bool suffix, uint64_t *value);

/* A size as a user writes it: 64, 4K, 2M; in buf. */
const char *format_size(uint64_t bytes, char *buf, size_t size);

#endif
