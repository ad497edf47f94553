/* SPDX-License-Identifier: GPL-2.0-only */
/* Text from elsewhere, before it is shown. */
#ifndef TAGSCOPE_TEXT_H
#define TAGSCOPE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TEXT_REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD: something that is no text */

/*
 * How many bytes the character at text, which is not its end, has; fit: whether every
 * format can have it. A byte that is not UTF-8 is a character that is not.
 */
size_t text_char(const char *text, bool *fit);
/* All of it, with U+FFFD for what is not fit. */
void text_write(FILE *f, const char *text);
/* That, for XML and HTML: between tags, or in an attribute in double quotes. */
void text_write_markup(FILE *f, const char *text);

/* Text for people, in lines of 80 columns at most, each indented; ended by a newline. */
void text_wrap(FILE *f, const char *text, unsigned int indent);

/*
 * Make it one line that is fit for any terminal and any format, in place: white space
 * becomes a space; other control characters, and bytes that are not UTF-8, '?'.
 */
void text_clean(char *text);

#endif
