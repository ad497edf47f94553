// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is registered with the kernel, with io_uring as fixed buffers or as rings of
 * buffers, as the memory of an AF_XDP socket, or as a DMA buffer made of a memfd, is pinned
 * until that is undone. But such a pin is long-term by declaration, and the kernel moves pages
 * out of CMA, and so out of tag storage, before it grants one. To be shown, not believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/if_xdp.h>
#include <linux/udmabuf.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/userns.h"

#define BUFFERS 16
#define MAX_PAGES 2032	/* RLIMIT_MEMLOCK lets a user have 2048, the rings' included */

static struct io_uring ring;
static int pipe_fd[2];

/* ---- Registered buffers ----------------------------------------------------------------- */

static void register_all(struct run *r, char *p, size_t pages)
{
	struct iovec iov[BUFFERS];
	size_t each = pages / BUFFERS * page_size();

	for (size_t i = 0; i < BUFFERS; i++)
		iov[i] = (struct iovec){ p + i * each, each };
	iov[BUFFERS - 1].iov_len = pages * page_size() - (BUFFERS - 1) * each;
	bail_if_error(r, io_uring_register_buffers(&ring, iov, BUFFERS), "io_uring_register_buffers");
}

/* An operation on a registered buffer that never completes: nobody writes to the pipe. */
static void read_for_ever(struct run *r, char *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		bail(r, "no submission queue entry");
	io_uring_prep_read_fixed(sqe, pipe_fd[0], p, (unsigned int)page_size(), 0, 0);
	bail_if_error(r, io_uring_submit(&ring), "io_uring_submit");
}

/* The same again, and again, in another ring: more than RLIMIT_MEMLOCK lets a user have. */
static void register_too_much(struct run *r, const struct attacker *a)
{
	struct iovec all[BUFFERS];
	struct io_uring other;
	int ret;

	for (size_t i = 0; i < BUFFERS; i++)
		all[i] = (struct iovec){ a->memory, a->pages * page_size() };
	bail_if_error(r, io_uring_queue_init(8, &other, 0), "io_uring_queue_init");
	ret = io_uring_register_buffers(&other, all, BUFFERS);
	expect_eq_u64(r, (uint64_t)-ret, ENOMEM,
		      "more than RLIMIT_MEMLOCK cannot be registered");
	io_uring_queue_exit(&other);
}

static size_t hold(struct run *r, struct attacker *a)
{
	bail_if_error(r, io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
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

/* ---- Rings of buffers ------------------------------------------------------------------- */

/* A ring may have so many entries. It stays empty, so that the kernel writes nothing there. */
#define RING_ENTRIES 32768

static size_t hold_buf_rings(struct run *r, struct attacker *a)
{
	size_t per_page = page_size() / sizeof(struct io_uring_buf), done = 0, n;

	bail_if_error(r, io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	for (uint16_t group = 0; done < a->pages; group++, done += n) {
		struct io_uring_buf_reg reg = {
			.ring_addr = (uintptr_t)a->memory + done * page_size(), .bgid = group,
		};

		/* The number of entries is a power of two. */
		for (n = RING_ENTRIES / per_page; n > a->pages - done;)
			n /= 2;
		reg.ring_entries = (uint32_t)(n * per_page);
		bail_if_error(r, io_uring_register_buf_ring(&ring, &reg, 0),
			      "io_uring_register_buf_ring");
	}
	return done;
}

static void release_buf_rings(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	io_uring_queue_exit(&ring);
}

/* ---- The memory of an AF_XDP socket --------------------------------------------------- */

static int holder = -1;		/* what has the pages registered */

/* In a network of its own, as CAP_NET_RAW is for there. */
static size_t hold_xdp(struct run *r, struct attacker *a)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)a->memory, .len = a->pages * page_size(),
		.chunk_size = (uint32_t)page_size(),
	};

	userns_enter(r, CLONE_NEWNET);
	holder = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (holder < 0 && errno == EAFNOSUPPORT)
		skip(r, "this kernel has no AF_XDP sockets (CONFIG_XDP_SOCKETS)");
	if (holder < 0 || setsockopt(holder, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		bail_errno(r, "AF_XDP");
	return a->pages;
}

/* ---- A DMA buffer made of a memfd ------------------------------------------------------- */

static size_t hold_udmabuf(struct run *r, struct attacker *a)
{
	struct udmabuf_create create = {
		.memfd = (uint32_t)a->fd, .flags = UDMABUF_FLAGS_CLOEXEC,
		.size = a->pages * page_size(),
	};

	if (fcntl(a->fd, F_ADD_SEALS, F_SEAL_SHRINK))
		bail_errno(r, "F_SEAL_SHRINK");
	holder = ioctl(a->device, UDMABUF_CREATE, &create);
	if (holder < 0)
		bail_errno(r, "UDMABUF_CREATE");
	return a->pages;
}

static void release_holder(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	close(holder);
}

/* ---- The techniques ------------------------------------------------------------------------ */

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
	  .needs = NEED_TAG_STORAGE | NEED_IO_URING);

static const struct technique buf_ring_pin = {
	.role = {
		.name = "attacker",
		.summary = "registers its memory with io_uring as rings of buffers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "io_uring_setup", "io_uring_register"),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold_buf_rings,
	.release = release_buf_rings,
	.mode = MODES_LONGTERM,
};

ADVERSARY(buf_ring_pin,
	  .name = "buf-ring-pin",
	  .summary = "pins memory for ever as io_uring's rings of buffers",
	  .explanation =
		"A program gives buffers to io_uring in a ring in memory of its own, which the kernel reads, and so "
		"pins for as long as it is registered: up to 128 pages each, and there may be many. RLIMIT_MEMLOCK "
		"does not count them. The pin is made with FOLL_LONGTERM.",
	  .params = ATTACK_PARAMS("1024", 256, MAX_PAGES),
	  .needs = NEED_TAG_STORAGE | NEED_IO_URING);

static const struct technique xdp_pin = {
	.role = {
		.name = "attacker",
		.summary = "registers its memory with an AF_XDP socket",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "unshare", "socket", "setsockopt"),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold_xdp,
	.release = release_holder,
	.mode = MODES_LONGTERM,
};

ADVERSARY(xdp_pin,
	  .name = "xdp-pin",
	  .summary = "pins memory for ever as that of an AF_XDP socket",
	  .explanation =
		"An AF_XDP socket takes and gives packets in memory of the program's, which is pinned for that. It "
		"takes CAP_NET_RAW, which an ordinary user has in a network namespace of its own. The pin is made "
		"with FOLL_LONGTERM.",
	  .params = ATTACK_PARAMS("1024", 256, MAX_PAGES),
	  .needs = NEED_TAG_STORAGE);

static const struct technique udmabuf_pin = {
	.role = {
		.name = "attacker",
		.summary = "makes a DMA buffer of its memfd",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "fcntl", "ioctl"),
	},
	.max_pages = MAX_PAGES,
	.device = "/dev/udmabuf",
	.place = place_memfd,
	.hold = hold_udmabuf,
	.release = release_holder,
	.mode = MODES_LONGTERM,
};

ADVERSARY(udmabuf_pin,
	  .name = "udmabuf-pin",
	  .summary = "pins page cache for ever as a DMA buffer",
	  .explanation =
		"/dev/udmabuf makes a DMA buffer of pages of a memfd, which are pinned for as long as it lives. "
		"Systems give it to who works at the machine; so does this scenario. The pages are moved out of "
		"CMA first.",
	  .params = ATTACK_PARAMS("1024", 256, MAX_PAGES),
	  .needs = NEED_TAG_STORAGE);
