/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers as users and the kernel write them. */
#ifndef TAGSCOPE_NUMBER_H
#define TAGSCOPE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal or 0x; with suffixes K, M, G, T (1024) if size. false: not a number or too large. */
bool parse_u64(const char *text, bool suffix, uint64_t *value);

/* A size as a user writes it: 64, 4K, 2M; in buf. */
const char *format_size(uint64_t bytes, char *buf, size_t size);

#endif
