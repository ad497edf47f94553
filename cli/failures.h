/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures that the kernel injects while it looks for storage for tags: see
 * Documentation/fault-injection, and CONFIG_ARM64_MTE_TAG_STORAGE_FAIL. Only this
 * process and its children meet them, so nothing has to be put back if it is killed.
 */
#ifndef TAGSCOPE_FAILURES_H
#define TAGSCOPE_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "scenario.h"

enum failure {
	FAIL_RESERVE,	/* a free block is not had */
	FAIL_ISOLATE,	/* a block that holds data is not emptied */
	FAIL_MIGRATE,	/* a page is not moved out of a block */
	NR_FAILURES,
};

/* Whether this kernel can; if not, a note says why. */
bool failures_known(struct run *r);

/* From now on, after so many attempts that are left alone, percent of 100 fail: 0 for none. */
void fail_attempts(struct run *r, enum failure f, uint64_t percent, uint64_t left_alone);

#endif
