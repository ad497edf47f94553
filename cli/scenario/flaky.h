/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: the disk of disk.h with I/O errors. Requests to it pass through a process
 * of the scenario, a file system of one file (FUSE) that a loop device is made of, and this
 * fails some of them. As in scenario.h, what cannot be done ends the scenario.
 */
#ifndef TAGSCOPE_FLAKY_H
#define TAGSCOPE_FLAKY_H

#include "scenario/disk.h"

struct flaky;

/* For .roles of the scenario. */
extern const struct role flaky_role;

/* Mount the disk on DISK_DIR, as disk_mount() does, through such a device; and end that. */
struct flaky *flaky_mount(struct run *r);
void flaky_umount(struct run *r, struct flaky *f);
/*
 * From now on so many of a hundred requests to read or write the data of this file, where it
 * lies now, fail with EIO; others never.
 */
void flaky_fail(struct run *r, struct flaky *f, const struct disk_file *file, unsigned int reads,
		unsigned int writes);
/* No more. */
void flaky_heal(struct flaky *f);
/* Requests that have failed. */
uint64_t flaky_failed_reads(const struct flaky *f);
uint64_t flaky_failed_writes(const struct flaky *f);

#endif
