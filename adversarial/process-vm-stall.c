// SPDX-License-Identifier: GPL-2.0-only
/*
 * process-vm-stall: process_vm_readv() pins the pages it reads from, and then copies them.
 * When the memory it copies to is a mapping of a file that is never read in, the copy does
 * not get on, and the pages stay pinned.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define CALL_PAGES 1024	/* the kernel pins no more at once: two pages of pointers */
#define MAX_PAGES 8192
#define MAX_CALLS (MAX_PAGES / CALL_PAGES + 32)	/* and some for shared pages */

struct call {
	struct iovec from, to;
};

static struct call calls[MAX_CALLS];
static unsigned int nr_calls;

static void *read_memory(void *arg)
{
	struct call *c = arg;

	/* Fails when the file system is aborted. */
	if (process_vm_readv(getpid(), &c->to, 1, &c->from, 1, 0) > 0)
		abort();
	return NULL;
}

/* Each call has a file of its own to stall on. */
static void pin(struct run *r, char *p, size_t size)
{
	struct call *c = &calls[nr_calls];
	int fd;

	if (nr_calls == MAX_CALLS)
		bail(r, "too many calls");
	fd = stall_fs_open(r, nr_calls++, O_RDONLY);
	c->from = (struct iovec){ p, size };
	c->to.iov_base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	c->to.iov_len = size;
	if (c->to.iov_base == MAP_FAILED)
		bail_errno(r, "mmap of a file");
	close(fd);
	stall_fs_start(r, read_memory, c);
}

static void place(struct run *r, struct attacker *a)
{
	stall_fs_mount(r);
	place_anonymous(r, a);
}

static size_t hold(struct run *r, struct attacker *a)
{
	for (size_t done = 0; done < a->pages; done += CALL_PAGES) {
		size_t n = a->pages - done < CALL_PAGES ? a->pages - done : CALL_PAGES;

		pin(r, a->memory + done * page_size(), n * page_size());
	}
	return a->pages;
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	(void)a;
	pin(r, page, page_size());
}

static const struct technique process_vm_stall = {
	.role = {
		.name = "attacker",
		.summary = "reads its own memory by process_vm_readv into a file that never is read in",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "process_vm_readv"),
	},
	.max_pages = MAX_PAGES,
	.place = place,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = stall_fs_release,
	.mode = {
		[ATTACK_ON] = {
			MOVED_FIRST,
			"The attacker fills memory until its data lies in tag storage, and copies it by process_vm_readv to a mapping of a file that its own file system never delivers. The kernel moves each page out of tag storage before it pins it for the copy.",
		},
		[ATTACK_PINS_ALLOWED] = {
			HOLDS_STORAGE,
			"With move_before_pin off the pins hold tag storage for as long as the copy stalls. The victim's pages are taken, or moved to, where tag storage is available; a page that the attacker can copy as well, because they share it, gets SIGBUS.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With replace_data_page and choose_other_page off as well, the victim fails where it needs held tag storage.",
		},
	},
};

ADVERSARY(process_vm_stall,
	  .name = "process-vm-stall",
	  .summary = "pins tag storage by process_vm_readv to memory that never is read in",
	  .explanation =
		"process_vm_readv() pins up to 1024 pages and copies them while they are pinned. The copy goes to "
		"memory of the caller, which may be a mapping of a file of its own file system (FUSE); if that "
		"does not answer, the page fault of the copy does not end, and the pages stay pinned. It is a "
		"short-term pin (FOLL_PIN without FOLL_LONGTERM), which can last as long as the attacker wants.",
	  .params = ATTACK_PARAMS("1024", 256, 4000),
	  .needs = NEED_POLICY_CMA | NEED_FUSE);
