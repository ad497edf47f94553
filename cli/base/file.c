// SPDX-License-Identifier: GPL-2.0-only
/* See file.h. */
#include <errno.h>
#include <unistd.h>

#include "base/file.h"

int write_all(int fd, const void *p, size_t size)
{
	const char *at = p;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}
