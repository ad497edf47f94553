/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: a disk with a file system, and files on it whose every page is known.
 * As in scenario.h, what cannot be done ends the scenario with a clear result.
 */
#ifndef TAGSCOPE_DISK_H
#define TAGSCOPE_DISK_H

#include "scenario/scenario.h"

/* The disk that scripts/vm --disk gives: its device, in buf. false: there is none. */
bool disk_find(char *buf, size_t size);
/* The file system on it: "ext4" or "xfs". */
const char *disk_fs(struct run *r);

/* Whether it is slow (scripts/vm --disk-rate). */
bool disk_is_slow(struct run *r);

#define DISK_DIR "/mnt/disk"

/* Mount it on DISK_DIR, for this scenario only; and the other way round. options: or NULL. */
void disk_mount(struct run *r, const char *options);
void disk_umount(struct run *r);
/* The same with another device that has what is on the disk. */
void disk_mount_device(struct run *r, const char *dev, const char *options);
/* Requests to read that the disk has completed since boot. */
uint64_t disk_reads(struct run *r);
/* Bytes that files on it may still take. */
uint64_t disk_free(struct run *r);

/* A file of n pages; page i holds pattern ids[i] of seed, or zeroes where that is 0. */
struct disk_file {
	char path[64];
	int fd, direct;		/* the same file, without and with O_DIRECT */
	size_t n;
	uint64_t seed, *ids;
	char *page;		/* for what is read and written, a page; for O_DIRECT, too */
};

/* A new file with data on the disk, none of it in the page cache. */
struct disk_file *disk_file_new(struct run *r, const char *name, size_t n);
/* Close and remove it. */
void disk_file_free(struct run *r, struct disk_file *f);
/*
 * Another content of page i, in ids[i] and in what is returned (f->page); to be written by
 * the caller.
 */
const char *disk_file_change(struct disk_file *f, size_t i);
/* Pages whose content is another than it should be, read from the page cache or not. */
size_t disk_file_wrong(struct run *r, struct disk_file *f, bool direct);
/*
 * Have all of it reclaimed, after it has been read and is clean, so that policy cleancache
 * stores it; returns how many copies were stored meanwhile, others' among them.
 */
uint64_t disk_file_store(struct run *r, struct disk_file *f, const char *when);
/* So many pages of a file fill tag storage with copies; 0: the disk has no room for them. */
size_t disk_pages_for_copies(struct run *r);
/* The same of what can be reclaimed. */
void disk_file_drop(struct run *r, struct disk_file *f);
/* The same of a file that cannot always be read and written. */
void disk_file_try_drop(struct run *r, struct disk_file *f);
/* So long the kernel keeps no copies in a page that was taken for tags. */
#define REFILL_MS 1100
/* Where the kernel is told that, in milliseconds. For SETTINGS(). */
#define REFILL_DELAY "/sys/module/cleancache/parameters/refill_delay_ms"
/* From now on there is no such time. Whoever calls it declares { REFILL_DELAY }. */
void disk_refill_at_once(struct run *r);

#endif
