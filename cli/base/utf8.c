// SPDX-License-Identifier: GPL-2.0-only
/* See utf8.h. */
#include <stdbool.h>

#include "base/utf8.h"

uint32_t utf8_next(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	/* The least that needs so many bytes: less would be a second way to write it. */
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned int more = p[0] < 0x80 ? 0 : p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
	uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];
	bool good = p[0] < 0x80 || (p[0] >= 0xc2 && p[0] <= 0xf4);

	if (!c && !more)
		return 0;
	for (unsigned int i = 1; i <= more && good; i++) {
		/* The 0 at the end is none of these, so nothing behind it is read. */
		good = (p[i] & 0xc0) == 0x80;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (!good || c < least[more]) {
		++*s;
		return UTF8_REPLACEMENT;
	}
	*s += more + 1;
	if ((c < ' ' && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0) ||
	    (c >= 0xd800 && c < 0xe000) || (c & 0xfffe) == 0xfffe || c > 0x10ffff)
		return UTF8_REPLACEMENT;
	return c;
}

void utf8_put(FILE *f, uint32_t c)
{
	if (c < 0x80) {
		fputc((int)c, f);
		return;
	}
	if (c < 0x800) {
		fputc((int)(0xc0 | c >> 6), f);
	} else {
		if (c < 0x10000) {
			fputc((int)(0xe0 | c >> 12), f);
		} else {
			fputc((int)(0xf0 | c >> 18), f);
			fputc((int)(0x80 | (c >> 12 & 0x3f)), f);
		}
		fputc((int)(0x80 | (c >> 6 & 0x3f)), f);
	}
	fputc((int)(0x80 | (c & 0x3f)), f);
}

void utf8_puts(FILE *f, const char *s)
{
	uint32_t c;

	while ((c = utf8_next(&s)))
		utf8_put(f, c);
}
