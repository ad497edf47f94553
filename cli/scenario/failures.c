// SPDX-License-Identifier: GPL-2.0-only
/* Failures that the kernel injects: see failures.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "scenario/failures.h"

static const char *const names[NR_FAILURES] = {
	[FAIL_RESERVE] = "fail_mts_reserve",
	[FAIL_ISOLATE] = "fail_mts_isolate",
	[FAIL_MIGRATE] = "fail_mts_migrate",
};

static void path_of(char *path, size_t size, enum failure f, const char *setting)
{
	snprintf(path, size, "/sys/kernel/debug/%s/%s", names[f], setting);
}

/* Whether they can be injected, and do what they are for; if not, why. */
static bool known(struct run *r, char *why, size_t size)
{
	struct state_summary now = summary_now(r);
	char path[96];
	struct stat st;

	if (strcmp(now.policy, "cma")) {
		snprintf(why, size, "with policy %s storage for tags is never short", now.policy);
		return false;
	}
	for (enum failure f = 0; f < NR_FAILURES; f++) {
		path_of(path, sizeof(path), f, "");
		if (stat(path, &st)) {
			snprintf(why, size,
				 "the kernel cannot inject failures (%s: %s): CONFIG_ARM64_MTE_TAG_STORAGE_FAIL",
				 path, strerror(errno));
			return false;
		}
	}
	return true;
}

bool failures_known(struct run *r, const char *what)
{
	char why[256];

	if (known(r, why, sizeof(why)))
		return true;
	skip_result(r, why, "%s", what);
	return false;
}

static void set(struct run *r, enum failure f, const char *setting, int64_t value)
{
	char path[96];

	path_of(path, sizeof(path), f, setting);
	if (kernel_write(r, path, "%" PRId64, value))
		bail_errno(r, "%s: cannot write %" PRId64, path, value);
}

/* At most so many times; -1: always. */
static void fail(struct run *r, enum failure f, uint64_t percent, uint64_t left_alone,
		 int64_t times)
{
	/* For processes that ask for it only, and without a line in the log for each. */
	set(r, f, "task-filter", 1);
	set(r, f, "verbose", 0);
	set(r, f, "interval", 1);
	/* Is used up by 1 an attempt; from 1 on they fail. */
	set(r, f, "space", left_alone ? (int64_t)left_alone + 1 : 0);
	set(r, f, "times", times);
	set(r, f, "probability", (int64_t)percent);
	/* Where none fails this does no harm. */
	if (kernel_write(r, "/proc/self/make-it-fail", "1"))
		bail_errno(r, "/proc/self/make-it-fail");
}

void fail_attempts(struct run *r, enum failure f, uint64_t percent, uint64_t left_alone)
{
	fail(r, f, percent, left_alone, -1);
}

void storage_shortage(struct run *r, enum shortage how)
{
	static bool told;
	char why[256];
	/* Taking a block is tried without sleeping, again under its lock, then by emptying. */
	static const struct { int64_t reserve, isolate; } times[] = {
		[STORAGE_NORMAL] = { 0, 0 },
		[STORAGE_FULL] = { -1, 0 },
		[STORAGE_HELD] = { -1, -1 },
		[STORAGE_MISS] = { 2, 1 },
	};

	if (!known(r, why, sizeof(why))) {
		if (!told)
			skip_result(r, why, "tag storage is short where the scenario wants it");
		told = true;
		return;
	}
	fail(r, FAIL_RESERVE, 100, 0, times[how].reserve);
	fail(r, FAIL_ISOLATE, 100, 0, times[how].isolate);
}

bool mprotect_storage_full(struct run *r, void *p, size_t len)
{
	char why[256];

	storage_shortage(r, STORAGE_FULL);
	if (mprotect(p, len, PROT_READ | PROT_WRITE | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	storage_shortage(r, STORAGE_NORMAL);
	return known(r, why, sizeof(why));
}
