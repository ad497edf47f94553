// SPDX-License-Identifier: GPL-2.0-only
/* See text.h. */
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

void text_clean(char *text)
{
	const char *s = text;
	uint32_t c;

	for (char *at = text; (c = utf8_next(&s)); at = text + (s - text)) {
		if (c == '\t' || c == '\n' || *at == '\r')
			*at = ' ';
		/* U+FFFD as it was written may stay. */
		else if ((c == UTF8_REPLACEMENT && memcmp(at, "\xef\xbf\xbd", 3)) ||
			 c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e))
			/* Also what turns the direction of writing. */
			memset(at, '?', (size_t)(s - at));
	}
}
