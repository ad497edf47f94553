// SPDX-License-Identifier: GPL-2.0-only
/*
 * uffd-copy-stall: UFFDIO_COPY allocates a page, and copies to it from memory of the caller's.
 * When that is a mapping of a file that is never read in, the copy does not get on, and the
 * page, which is nobody's yet and on no list, cannot be moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define MAX_COPIES 128

static struct copy {
	char *from, *to;
} copies[MAX_COPIES];
static int uffd;

static void *copy_it(void *arg)
{
	const struct copy *c = arg;
	struct uffdio_copy copy = {
		.dst = (uintptr_t)c->to, .src = (uintptr_t)c->from, .len = page_size(),
	};

	/* Fails when the file system is aborted. */
	if (!ioctl(uffd, UFFDIO_COPY, &copy))
		abort();
	return NULL;
}

/* Each copy from a file of its own. */
static void place(struct run *r, struct attacker *a)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	size_t ps = page_size();
	char *to = map_memory(r, MAX_COPIES * ps, MADV_NOHUGEPAGE, -1);
	struct parked *threads[MAX_COPIES];

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	reg.range = (struct uffdio_range){ (uintptr_t)to, MAX_COPIES * ps };
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		bail_errno(r, "userfaultfd");
	stall_fs_mount(r);
	stall_fs_one_processor(r);
	for (unsigned int i = 0; i < MAX_COPIES; i++) {
		copies[i].to = to + i * ps;
		copies[i].from = stall_fs_map_page(r, i);
		threads[i] = stall_fs_park(r, copy_it, &copies[i]);
	}
	note(r, "has %zu copies that do not get on",
	     stall_fs_unpark_at_edge(r, a, threads, MAX_COPIES));
}

/*
 * Not page cache that is being read, which is locked; nor what zram keeps, which can be moved
 * and has no references that are not accounted for.
 */
static bool is_held(const struct state_page *page)
{
	return page->kind[0] == 'k' && page->pinned && !page->mapcount && !page->lru &&
	       !page->locked;
}

static const struct technique uffd_copy_stall = {
	.role = {
		.name = "attacker",
		.summary = "copies by userfaultfd from its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, FILL_EDGE_SYSCALLS, "userfaultfd",
				     "ioctl"),
	},
	.place = place,
	.release = stall_fs_release,
	.is_held = is_held,
	.mode = MODES_PIN,
};

ADVERSARY(uffd_copy_stall,
	  .name = "uffd-copy-stall",
	  .summary = "holds tag storage by UFFDIO_COPY from what is never read in",
	  .explanation =
		"UFFDIO_COPY fills a missing page of its caller with a copy. The page is allocated first, and while "
		"the source of the copy is read in it belongs to nobody: nothing maps it, and no list has it. A "
		"source in a file system of the same user need not ever come. It is one page for each thread.",
	  .params = ATTACK_PARAMS("96", 16, MAX_COPIES),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE | NEED_UFFD);
