// SPDX-License-Identifier: GPL-2.0-only
/*
 * slow-writeback: pages of a file are written to a slow disk, and cannot be moved until that is
 * done: ext4 has the device read from the page itself.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "attack/attack.h"

/* What a disk has saved up while it was idle goes at once. */
#define FIRST ((size_t)1 << 20)

/* Returns when all of it is on its way; the disk takes longer. */
static size_t hold(struct run *r, struct attacker *a)
{
	off_t behind = (off_t)(a->max_pages * page_size());
	char *first = calloc(1, FIRST);

	if (!first || pwrite(a->fd, first, FIRST, behind) != (ssize_t)FIRST ||
	    sync_file_range(a->fd, behind, FIRST, SYNC_FILE_RANGE_WRITE))
		bail_errno(r, "write");
	free(first);
	if (sync_file_range(a->fd, 0, 0, SYNC_FILE_RANGE_WRITE))
		bail_errno(r, "sync_file_range");
	return a->pages;
}

/* It cannot let go before the disk has done. */
static void release(struct run *r, struct attacker *a)
{
	uint64_t begin = now_ns();

	if (fdatasync(a->fd))
		bail_errno(r, "fdatasync");
	note(r, "all is written after %llu ms more",
	     (unsigned long long)(now_ns() - begin) / 1000000);
}

static bool is_held(const struct state_page *page)
{
	return page->kind[0] == 'f' && page->writeback;
}

static const struct technique slow_writeback = {
	.role = {
		.name = "attacker",
		.summary = "writes a file to a slow disk",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "pwrite64", "sync_file_range",
				     "fdatasync"),
	},
	.max_pages = 2500,
	.disk_file = true,
	.place = place_own_file,
	.hold = hold,
	.release = release,
	.is_held = is_held,
	.looks_movable = true,
	.passes = true,
	.mode = MODES_REFERENCE,
};

ADVERSARY(slow_writeback,
	  .name = "slow-writeback",
	  .summary = "holds tag storage by pages on their way to a slow disk",
	  .explanation =
		"Whoever may write to a disk has pages under write-back, for as long as the disk takes. The kernel "
		"does not wait for that when it needs the block. It is not the attacker's choice how much is held, and "
		"for how long: that is up to the disk, and it ends by itself.",
	  .params = ATTACK_PARAMS("256", 64, 1000),
	  .needs = NEED_TAG_STORAGE | NEED_DISK);
