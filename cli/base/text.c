// SPDX-License-Identifier: GPL-2.0-only
/* See text.h. */
#include <stddef.h>
#include <stdint.h>

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

void text_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		uint32_t c;
		size_t n = decode(s, &c);

		if (c == '\t' || c == '\n' || c == '\r') {
			*s++ = ' ';
		} else if (!n) {
			*s++ = '?';
		} else if (c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
			   (c >= 0x202a && c <= 0x202e) || c == 0xfffe || c == 0xffff) {
			/* Controls, also those that turn the direction of writing. */
			while (n--)
				*s++ = '?';
		} else {
			s += n;
		}
	}
}
