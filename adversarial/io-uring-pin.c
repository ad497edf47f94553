// SPDX-License-Identifier: GPL-2.0-only
/*
 * io-uring-pin: memory registered with io_uring as fixed buffers is pinned for as long
 * as the ring lives. But such a pin is long-term by declaration, and the kernel moves
 * pages out of CMA, and so out of tag storage, before it grants one. To be shown, not
 * believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "attack/attack.h"

#define BUFFERS 16
#define MAX_PAGES 2032	/* RLIMIT_MEMLOCK lets a user have 2048, the rings' included */

static struct io_uring ring;
static int pipe_fd[2];

static void must(struct run *r, int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	bail_errno(r, "%s", what);
}

static void register_all(struct run *r, char *p, size_t pages)
{
	struct iovec iov[BUFFERS];
	size_t each = pages / BUFFERS * page_size();

	for (size_t i = 0; i < BUFFERS; i++)
		iov[i] = (struct iovec){ p + i * each, each };
	iov[BUFFERS - 1].iov_len = pages * page_size() - (BUFFERS - 1) * each;
	must(r, io_uring_register_buffers(&ring, iov, BUFFERS), "io_uring_register_buffers");
}

/* An operation on a registered buffer that never completes: nobody writes to the pipe. */
static void read_for_ever(struct run *r, char *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		bail(r, "no submission queue entry");
	io_uring_prep_read_fixed(sqe, pipe_fd[0], p, (unsigned int)page_size(), 0, 0);
	must(r, io_uring_submit(&ring), "io_uring_submit");
}

/* The same again, and again, in another ring: more than RLIMIT_MEMLOCK lets a user have. */
static void register_too_much(struct run *r, const struct attacker *a)
{
	struct iovec all[BUFFERS];
	struct io_uring other;
	int ret;

	for (size_t i = 0; i < BUFFERS; i++)
		all[i] = (struct iovec){ a->memory, a->pages * page_size() };
	must(r, io_uring_queue_init(8, &other, 0), "io_uring_queue_init");
	ret = io_uring_register_buffers(&other, all, BUFFERS);
	expect_eq_u64(r, (uint64_t)-ret, ENOMEM,
		      "more than RLIMIT_MEMLOCK cannot be registered");
	io_uring_queue_exit(&other);
}

static size_t hold(struct run *r, struct attacker *a)
{
	must(r, io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	if (pipe2(pipe_fd, O_CLOEXEC))
		bail_errno(r, "pipe");
	register_all(r, a->memory, a->pages);
	read_for_ever(r, a->memory);
	register_too_much(r, a);
	return a->pages;
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	io_uring_queue_exit(&ring);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static const struct technique io_uring_pin = {
	.role = {
		.name = "attacker",
		.summary = "registers its memory with io_uring as fixed buffers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "io_uring_setup", "io_uring_enter",
				     "io_uring_register", "pipe2"),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold,
	.release = release,
	.mode = {
		[ATTACK_ON] = {
			HOLDS_NOTHING,
			"The attacker fills memory until its data lies in tag storage, and registers it with io_uring, with a read that never completes. A long-term pin moves pages out of tag storage first.",
		},
		[ATTACK_OFF] = {
			HOLDS_NOTHING,
			"The same with every mitigation of tag storage off: for this kind of pin they are not needed.",
		},
	},
};

ADVERSARY(io_uring_pin,
	  .name = "io-uring-pin",
	  .summary = "pins memory for ever as io_uring's registered buffers",
	  .explanation =
		"Buffers registered with io_uring stay pinned until the ring goes away, which is up to their "
		"owner. Such pins are made with FOLL_LONGTERM, and those who ask for that get pages outside of "
		"memory that somebody may need back: pages in tag storage are moved first. So this attack is "
		"expected to fail with all switches of tag storage on, and also with all of them off.",
	  .params = ATTACK_PARAMS("1536", 256, MAX_PAGES),
	  .needs = NEED_POLICY_CMA | NEED_IO_URING);
