// SPDX-License-Identifier: GPL-2.0-only
/* Failures that the kernel injects: see failures.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "failures.h"

static const char *const names[NR_FAILURES] = {
	[FAIL_RESERVE] = "fail_mts_reserve",
	[FAIL_ISOLATE] = "fail_mts_isolate",
	[FAIL_MIGRATE] = "fail_mts_migrate",
};

static void path_of(char *path, size_t size, enum failure f, const char *setting)
{
	snprintf(path, size, "/sys/kernel/debug/%s/%s", names[f], setting);
}

bool failures_known(struct run *r)
{
	char path[96];
	struct stat st;

	for (enum failure f = 0; f < NR_FAILURES; f++) {
		path_of(path, sizeof(path), f, "");
		if (stat(path, &st)) {
			note(r,
			     "the kernel cannot inject failures (%s: %s): CONFIG_ARM64_MTE_TAG_STORAGE_FAIL",
			     path, strerror(errno));
			return false;
		}
	}
	return true;
}

static void set(struct run *r, const char *path, uint64_t value)
{
	if (kernel_write(path, "%" PRIu64, value))
		bail_errno(r, "%s: cannot write %" PRIu64, path, value);
}

void fail_attempts(struct run *r, enum failure f, uint64_t percent, uint64_t left_alone)
{
	const struct {
		const char *name;
		uint64_t value;
	} settings[] = {
		{ "task-filter", 1 }, { "verbose", 0 },
		/* Is used up by 1 an attempt; from 1 on they fail. */
		{ "space", left_alone ? left_alone + 1 : 0 },
		{ "probability", percent },
	};
	char path[96];

	path_of(path, sizeof(path), f, "times");
	if (kernel_write(path, "-1"))
		bail_errno(r, "%s: cannot write -1", path);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		path_of(path, sizeof(path), f, settings[i].name);
		set(r, path, settings[i].value);
	}
	/* Where none fails this does no harm. */
	set(r, "/proc/self/make-it-fail", 1);
}
