/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: failures that the kernel injects while it looks for storage for tags, see
 * its Documentation/fault-injection, and CONFIG_ARM64_MTE_TAG_STORAGE_FAIL. Whether a path
 * has found storage before it may no longer sleep shows only where storage is not simply
 * there. Only this process meets them, and the children and threads it makes then; nothing
 * is left behind when it ends. Root only.
 */
#ifndef TAGSCOPE_FAILURES_H
#define TAGSCOPE_FAILURES_H

#include "scenario/scenario.h"

enum failure {
	FAIL_RESERVE,	/* a free block is not had */
	FAIL_ISOLATE,	/* a block that holds data is not emptied */
	FAIL_MIGRATE,	/* a page is not moved out of a block */
	NR_FAILURES,
};

/* Whoever uses them declares this in SETTINGS(...). */
#define FAILURE_SETTINGS { "/sys/kernel/debug/fail_mts_*/*", SETTING_OPTIONAL }

/*
 * Whether this kernel can, and its policy lets storage be short; if not, "what" is a skipped
 * result, and is to be left out.
 */
bool failures_known(struct run *r, const char *what);

/* From now on, after so many attempts that are left alone, percent of 100 fail: 0 for none. */
void fail_attempts(struct run *r, enum failure f, uint64_t percent, uint64_t left_alone);

enum shortage {
	STORAGE_NORMAL,	/* as it is */
	STORAGE_FULL,	/* a block that stores no tags has to be emptied first, which may sleep */
	STORAGE_HELD,	/* none can be taken; what is reserved already can be shared */
	STORAGE_MISS,	/* the next block that is asked for cannot be taken; others can */
};

/*
 * Have tag storage be short from now on. Where that cannot be nothing changes, which
 * is a skipped result of its own the first time: what follows is no test of shortage then.
 */
void storage_shortage(struct run *r, enum shortage how);

/*
 * mprotect() len bytes at p with PROT_MTE while storage is full: the entries of pages without
 * storage fault on access then. False where storage cannot be made short: then the kernel
 * has reserved what is free.
 */
bool mprotect_storage_full(struct run *r, void *p, size_t len);

#endif
