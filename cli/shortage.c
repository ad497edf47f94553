// SPDX-License-Identifier: GPL-2.0-only
/* Tag storage that is short, by fault injection: see shortage.h. */
#include <stdio.h>
#include <sys/stat.h>

#include "shortage.h"

#define DEBUGFS "/sys/kernel/debug/"

/* For its fault injection see the kernel's Documentation/fault-injection. */
static void set(struct run *r, const char *dir, const char *file, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "%s%s", dir, file);
	if (kernel_write(path, "%s", value))
		bail_errno(r, "%s: cannot write '%s'", path, value);
}

/* The first so many times from now on; -1: always. */
static void fail(struct run *r, const char *dir, const char *times)
{
	/* For processes that ask for it only, and without a line in the log for each. */
	set(r, dir, "task-filter", "Y");
	set(r, dir, "verbose", "0");
	set(r, dir, "interval", "1");
	set(r, dir, "space", "0");
	set(r, dir, "times", times);
	set(r, dir, "probability", "100");
}

bool storage_shortage(struct run *r, enum shortage how)
{
	struct stat st;

	if (stat(DEBUGFS "fail_mts_reserve", &st)) {
		note(r, "the kernel cannot inject failures: what happens when storage is short is left out");
		return false;
	}
	/* Taking a block is tried without sleeping, again under its lock, then by emptying. */
	fail(r, DEBUGFS "fail_mts_reserve/",
	     how == STORAGE_NORMAL ? "0" : how == STORAGE_MISS ? "2" : "-1");
	fail(r, DEBUGFS "fail_mts_isolate/",
	     how == STORAGE_HELD ? "-1" : how == STORAGE_MISS ? "1" : "0");
	set(r, "/proc/self/", "make-it-fail", how == STORAGE_NORMAL ? "0" : "1");
	return true;
}
