/* SPDX-License-Identifier: GPL-2.0-only */
/* Text from elsewhere, which may be anything, as text that every reader takes. */
#ifndef TAGSCOPE_UTF8_H
#define TAGSCOPE_UTF8_H

#include <stdint.h>
#include <stdio.h>

/* U+FFFD stands for what is no text: "replacement character". */
#define UTF8_REPLACEMENT 0xfffdu

/*
 * The character at *s, and *s behind it; 0 at the end, where *s stays. Of bytes that are
 * not UTF-8 each is one U+FFFD; so is a control character but for tab and newline, and
 * what is no character by Unicode, which XML has no way to write.
 */
uint32_t utf8_next(const char **s);
void utf8_put(FILE *f, uint32_t c);
/* All of s. */
void utf8_puts(FILE *f, const char *s);

#endif
