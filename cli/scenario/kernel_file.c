// SPDX-License-Identifier: GPL-2.0-only
/* Files of the kernel's that scenarios write to: /proc, /sys, debugfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "scenario/run_private.h"

int kernel_write(const char *path, const char *fmt, ...)
{
	char text[256];
	int fd, err = 0;
	va_list args;
	ssize_t n;
	size_t len;

	va_start(args, fmt);
	len = (size_t)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= sizeof(text)) {
		errno = E2BIG;
		return -errno;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		err = n < 0 ? errno : EIO;
	close(fd);
	if (err)
		errno = err;
	return -err;
}

void drain_lru(struct run *r)
{
	/* Of all that drains the batches of all CPUs this has the least side effects. */
	if (kernel_write(DROP_CACHES, "1"))
		bail_errno(r, "%s", DROP_CACHES);
}
