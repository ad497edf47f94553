// SPDX-License-Identifier: GPL-2.0-only
/* See text.h. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

/* The bytes of the character there, and what it is; 0: it is none. */
static size_t decode(const unsigned char *s, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;

	if (n <= 1) {
		*c = *s;
		return n;
	}
	*c = *s & (0xff >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	/* Not longer than it need be, no half of a pair, not beyond the last. */
	return *c >= least[n] && *c >> 11 != 0x1b && *c <= 0x10ffff ? n : 0;
}

size_t text_char(const char *text, bool *fit)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t c;
	size_t n = decode(s, &c);

	/* Controls, also those that turn the direction of writing; and what is no character. */
	*fit = n && !((c < ' ' && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c < 0xa0) ||
		      c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
		      (c & 0xfffe) == 0xfffe);
	return n ? n : 1;
}

void text_clean(char *text)
{
	while (*text) {
		bool fit;
		size_t n = text_char(text, &fit);

		if (*text == '\t' || *text == '\n' || *text == '\r')
			*text = ' ';
		for (; n; n--, text++)
			if (!fit)
				*text = '?';
	}
}

void text_write(FILE *f, const char *text)
{
	while (*text) {
		bool fit;
		size_t n = text_char(text, &fit);

		if (fit)
			fwrite(text, 1, n, f);
		else
			fputs(TEXT_REPLACEMENT, f);
		text += n;
	}
}

void text_write_markup(FILE *f, const char *text)
{
	while (*text) {
		bool fit;
		size_t n = text_char(text, &fit);

		if (!fit)
			fputs(TEXT_REPLACEMENT, f);
		else if (*text == '<')
			fputs("&lt;", f);
		else if (*text == '>')
			fputs("&gt;", f);
		else if (*text == '&')
			fputs("&amp;", f);
		else if (*text == '"')
			fputs("&quot;", f);
		else
			fwrite(text, 1, n, f);
		text += n;
	}
}

void text_wrap(FILE *f, const char *text, unsigned int indent)
{
	unsigned int column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (column && column + word + 1 > 80) {
			fputc('\n', f);
			column = 0;
		}
		column += (unsigned int)(column ? fprintf(f, " %.*s", (int)word, text) :
					 fprintf(f, "%*s%.*s", (int)indent, "", (int)word, text));
		text += word;
		while (*text == ' ' || *text == '\n')
			text++;
	}
	fputc('\n', f);
}
