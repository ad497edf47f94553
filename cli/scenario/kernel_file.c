// SPDX-License-Identifier: GPL-2.0-only
/* Files of the kernel's that scenarios write to: /proc, /sys, debugfs. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scenario/run_private.h"

/* What is written here is done, and nothing of it is left. */
static const char *const triggers[] = {
	DROP_CACHES,
	"/proc/sys/vm/compact_memory",
	"/proc/sys/vm/stat_refresh",
	"/sys/kernel/debug/split_huge_pages",
	/* Only puts back what soft offline, or a failure, has taken away. */
	"/sys/kernel/debug/hwpoison/unpoison-pfn",
	"/sys/fs/cgroup/memory.reclaim",
};

void must_be_declared(struct run *r, const char *path)
{
	for (size_t i = 0; i < sizeof(triggers) / sizeof(triggers[0]); i++)
		if (!strcmp(path, triggers[i]))
			return;
	for (const struct setting *s = r->params->scenario->save_restore; s && s->path; s++)
		if (!fnmatch(s->path, path, FNM_PATHNAME))
			return;
	bail(r, "it changes %s, which it did not declare (.save_restore)", path);
}

static bool is_setting(const char *path)
{
	return !strncmp(path, "/proc/sys/", 10) || !strncmp(path, "/sys/", 5);
}

int kernel_write(struct run *r, const char *path, const char *fmt, ...)
{
	char text[256];
	int fd, err = 0;
	va_list args;
	ssize_t n;
	size_t len;

	if (is_setting(path))
		must_be_declared(r, path);
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
	if (kernel_write(r, DROP_CACHES, "1"))
		bail_errno(r, "%s", DROP_CACHES);
}
