// SPDX-License-Identifier: GPL-2.0-only
/* Numbers as users and the kernel write them: see number.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

bool parse_u64(const char *text, bool suffix, uint64_t *value)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	/* strtoull() takes signs, spaces and octal numbers; nobody means those here. */
	if (!isdigit((unsigned char)text[hex ? 2 : 0]) &&
	    !(hex && isxdigit((unsigned char)text[2])))
		return false;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (errno)
		return false;
	if (suffix && *end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return false;
		for (; unit >= units; unit--) {
			if (n > UINT64_MAX / 1024)
				return false;
			n *= 1024;
		}
		end++;
	}
	if (*end)
		return false;
	*value = n;
	return true;
}

const char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "\0KMGT";
	unsigned int u = 0;

	while (bytes && !(bytes % 1024) && u < 4) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, size, units[u] ? "%" PRIu64 "%c" : "%" PRIu64, bytes, units[u]);
	return buf;
}
