// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins by get_user_pages() that last as long as a file system of the attacker's own does not
 * answer: what direct I/O reads into, by read(), libaio or io_uring, and what
 * process_vm_readv() copies to memory that is never read in.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define MAX_PAGES 8192
/* The kernel pins no more at once for process_vm_readv(): two pages of pointers. */
#define CALL_PAGES 1024
#define MAX_CALLS (MAX_PAGES / STALL_REQUEST + 32)	/* and some for shared pages */

static struct call {
	struct iovec from, to;
} calls[MAX_CALLS];
static unsigned int nr_calls;
static int fd;

/* Pins so many bytes, which are one request of the file system's; set by hold(). */
typedef void (*pin_fn)(struct run *r, struct call *c);
static pin_fn pin_by;

static void pin(struct run *r, char *p, size_t size)
{
	struct call *c = &calls[nr_calls];

	if (nr_calls == MAX_CALLS)
		bail(r, "too many calls");
	nr_calls++;
	c->from = c->to = (struct iovec){ p, size };
	pin_by(r, c);
}

static size_t pin_all(struct run *r, struct attacker *a, size_t pages, pin_fn fn)
{
	pin_by = fn;
	for (size_t done = 0; done < a->pages; done += pages) {
		size_t n = a->pages - done < pages ? a->pages - done : pages;

		pin(r, a->memory + done * page_size(), n * page_size());
	}
	return a->pages;
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	(void)a;
	pin(r, page, page_size());
}

/* ---- Direct I/O ---------------------------------------------------------------------- */

static void place_direct_io(struct run *r, struct attacker *a)
{
	stall_fs_mount(r);
	fd = stall_fs_open(r, 0, O_RDONLY | O_DIRECT);
	place_anonymous(r, a);
}

static void *read_into(void *arg)
{
	struct call *c = arg;

	/* Fails when the file system is aborted. */
	if (pread(fd, c->to.iov_base, c->to.iov_len, 0) > 0)
		abort();
	return NULL;
}

static void pin_direct_io(struct run *r, struct call *c)
{
	stall_fs_start(r, read_into, c);
}

static size_t hold_direct_io(struct run *r, struct attacker *a)
{
	return pin_all(r, a, STALL_REQUEST, pin_direct_io);
}

/* ---- The same without a thread that waits ---------------------------------------------- */

static aio_context_t aio;

static void pin_libaio(struct run *r, struct call *c)
{
	unsigned int before = stall_fs_requests();
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)fd,
		.aio_buf = (uintptr_t)c->to.iov_base, .aio_nbytes = c->to.iov_len,
	};
	struct iocb *list = &iocb;

	if (!aio && syscall(SYS_io_setup, MAX_CALLS, &aio))
		bail_errno(r, "io_setup");
	if (syscall(SYS_io_submit, aio, 1, &list) != 1)
		bail_errno(r, "io_submit");
	stall_fs_await(r, before + 1);
}

static size_t hold_libaio(struct run *r, struct attacker *a)
{
	return pin_all(r, a, STALL_REQUEST, pin_libaio);
}

static struct io_uring ring;

static void pin_io_uring(struct run *r, struct call *c)
{
	unsigned int before = stall_fs_requests();
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		bail(r, "no submission queue entry");
	io_uring_prep_read(sqe, fd, c->to.iov_base, (unsigned int)c->to.iov_len, 0);
	bail_if_error(r, io_uring_submit(&ring), "io_uring_submit");
	stall_fs_await(r, before + 1);
}

static size_t hold_io_uring(struct run *r, struct attacker *a)
{
	bail_if_error(r, io_uring_queue_init(MAX_CALLS, &ring, 0), "io_uring_queue_init");
	return pin_all(r, a, STALL_REQUEST, pin_io_uring);
}

/* ---- process_vm_readv() ------------------------------------------------------------------ */

static void place_process_vm(struct run *r, struct attacker *a)
{
	stall_fs_mount(r);
	place_anonymous(r, a);
}

static void *read_memory(void *arg)
{
	struct call *c = arg;

	/* Fails when the file system is aborted. */
	if (process_vm_readv(getpid(), &c->to, 1, &c->from, 1, 0) > 0)
		abort();
	return NULL;
}

/* Each call has a file of its own to stall on. */
static void pin_process_vm(struct run *r, struct call *c)
{
	int file = stall_fs_open(r, nr_calls, O_RDONLY);

	c->to.iov_base = mmap(NULL, c->to.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (c->to.iov_base == MAP_FAILED)
		bail_errno(r, "mmap of a file");
	close(file);
	stall_fs_start(r, read_memory, c);
}

static size_t hold_process_vm(struct run *r, struct attacker *a)
{
	return pin_all(r, a, CALL_PAGES, pin_process_vm);
}

/* ---- The techniques ------------------------------------------------------------------------ */

static const struct technique direct_io_stall = {
	.role = {
		.name = "attacker",
		.summary = "reads with O_DIRECT from its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "pread64"),
	},
	.max_pages = MAX_PAGES,
	.place = place_direct_io,
	.hold = hold_direct_io,
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
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);

static const struct technique process_vm_stall = {
	.role = {
		.name = "attacker",
		.summary = "reads its own memory by process_vm_readv into a file that never is read in",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "process_vm_readv"),
	},
	.max_pages = MAX_PAGES,
	.place = place_process_vm,
	.hold = hold_process_vm,
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
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);

static const struct technique libaio_stall = {
	.role = {
		.name = "attacker",
		.summary = "reads by libaio from its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "io_setup", "io_submit"),
	},
	.max_pages = MAX_PAGES,
	.place = place_direct_io,
	.hold = hold_libaio,
	.hold_shared = hold_shared,
	.release = stall_fs_release,
	.mode = MODES_PIN,
};

ADVERSARY(libaio_stall,
	  .name = "libaio-stall",
	  .summary = "pins tag storage by asynchronous direct I/O without an answer",
	  .explanation =
		"io_submit() starts direct I/O and returns; the pages stay pinned until it is complete. No task "
		"waits anywhere, so there is none that one could find, or kill.",
	  .params = ATTACK_PARAMS("1024", 256, 4000),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);

static const struct technique uring_stall = {
	.role = {
		.name = "attacker",
		.summary = "reads by io_uring from its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "io_uring_setup",
				     "io_uring_enter"),
	},
	.max_pages = MAX_PAGES,
	.place = place_direct_io,
	.hold = hold_io_uring,
	.hold_shared = hold_shared,
	.release = stall_fs_release,
	.mode = MODES_PIN,
};

ADVERSARY(uring_stall,
	  .name = "uring-stall",
	  .summary = "pins tag storage by io_uring's direct I/O without an answer",
	  .explanation =
		"A buffer that is not registered is pinned for one read only, and so not with FOLL_LONGTERM. When "
		"the read does not end, that lasts as long as a registered one.",
	  .params = ATTACK_PARAMS("1024", 256, 4000),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE | NEED_IO_URING);
