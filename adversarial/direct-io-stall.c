// SPDX-License-Identifier: GPL-2.0-only
/*
 * direct-io-stall: direct I/O pins the pages that it reads into until the read has come
 * to an end. When an ordinary user's own file system serves the read, it never does.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define MAX_PAGES 8192
#define MAX_READS (MAX_PAGES / STALL_REQUEST + 32)	/* and some for shared pages */

static struct iovec reads[MAX_READS];
static unsigned int nr_reads;
static int fd;

static void *read_into(void *arg)
{
	struct iovec *to = arg;

	/* Fails when the file system is aborted. */
	if (pread(fd, to->iov_base, to->iov_len, 0) > 0)
		abort();
	return NULL;
}

static void pin(struct run *r, char *p, size_t size)
{
	if (nr_reads == MAX_READS)
		bail(r, "too many reads");
	reads[nr_reads] = (struct iovec){ p, size };
	stall_fs_start(r, read_into, &reads[nr_reads++]);
}

static void place(struct run *r, struct attacker *a)
{
	stall_fs_mount(r);
	fd = stall_fs_open(r, 0, O_RDONLY | O_DIRECT);
	place_anonymous(r, a);
}

/* Each read is one request of the file system's. */
static size_t hold(struct run *r, struct attacker *a)
{
	for (size_t done = 0; done < a->pages; done += STALL_REQUEST) {
		size_t n = a->pages - done < STALL_REQUEST ? a->pages - done : STALL_REQUEST;

		pin(r, a->memory + done * page_size(), n * page_size());
	}
	return a->pages;
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	(void)a;
	pin(r, page, page_size());
}

static const struct technique direct_io_stall = {
	.role = {
		.name = "attacker",
		.summary = "reads with O_DIRECT from its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "pread64"),
	},
	.max_pages = MAX_PAGES,
	.place = place,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = stall_fs_release,
	.mode = {
		[ATTACK_ON] = {
			MOVED_FIRST,
			"The attacker fills memory until its data lies in tag storage, and has data read into it with O_DIRECT from its own file system, which never answers. The kernel moves each page out of tag storage before it pins it for the read.",
		},
		[ATTACK_PINS_ALLOWED] = {
			HOLDS_STORAGE,
			"With move_before_pin off the pins hold tag storage until the reads end. The victim's pages are taken, or moved to, where tag storage is available; a page that the attacker can read into as well, because they share it, gets SIGBUS.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With replace_data_page and choose_other_page off as well, the victim fails where it needs held tag storage.",
		},
	},
};

ADVERSARY(direct_io_stall,
	  .name = "direct-io-stall",
	  .summary = "pins tag storage by direct I/O that its own file system never answers",
	  .explanation =
		"A read with O_DIRECT has the data put into the pages of the program itself, which are pinned "
		"until all of it has arrived. That is short with a disk, and as long as an ordinary user wants "
		"with a FUSE file system of its own. The process that reads cannot even be killed before the "
		"server answers.",
	  .params = ATTACK_PARAMS("1024", 256, 4000),
	  .needs = NEED_POLICY_CMA | NEED_FUSE);
