// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets whose peer never reads: what is sent without a copy stays in their queues, with a
 * reference to each page. sendfile() sends page cache over TCP, or to a local socket;
 * MSG_ZEROCOPY, over TCP or vsock, and io_uring's SEND_ZC send memory, which
 * get_user_pages() is asked for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack/attack.h"

#define MAX_SOCKETS 128		/* two for a connection */

static int sockets[MAX_SOCKETS];
static unsigned int nr_sockets;

static int add_socket(struct run *r, int fd)
{
	if (fd < 0)
		bail_errno(r, "a socket");
	sockets[nr_sockets++] = fd;
	return fd;
}

/*
 * A connection of the address's family from here to a port that is bound there; returns the end
 * that does not block.
 */
static int connect_to(struct run *r, struct sockaddr *addr, socklen_t len)
{
	int listener = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	if (listener < 0 && errno == EAFNOSUPPORT)
		skip(r, "this kernel has no such sockets: family %d", addr->sa_family);
	if (listener < 0 || bind(listener, addr, len) || listen(listener, 1) ||
	    getsockname(listener, addr, &len))
		bail_errno(r, "a socket to listen on");
	fd = add_socket(r, socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (connect(fd, addr, len))
		bail_errno(r, "connect");
	add_socket(r, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		bail_errno(r, "O_NONBLOCK");
	return fd;
}

static int connect_to_self(struct run *r)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return connect_to(r, (struct sockaddr *)&to, sizeof(to));
}

/* As from a virtual machine to its host, but with both ends here. */
static int connect_by_vsock(struct run *r)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = VMADDR_PORT_ANY,
	};

	return connect_to(r, (struct sockaddr *)&to, sizeof(to));
}

/* ---- Page cache ------------------------------------------------------------------ */

/* Returns how many bytes from here on were sent; not all: the queues are full. */
static size_t send_file(struct run *r, int fd, const struct attacker *a, size_t done)
{
	off_t offset = (off_t)done;
	size_t size = a->pages * page_size();
	ssize_t n;

	do
		n = sendfile(fd, a->fd, &offset, size - (size_t)offset);
	while (n > 0 && (size_t)offset < size);
	if (n < 0 && errno != EAGAIN)
		bail_errno(r, "sendfile");
	return (size_t)offset - done;
}

static size_t hold_file(struct run *r, struct attacker *a, int (*open_socket)(struct run *r))
{
	size_t size = a->pages * page_size(), done = 0, n = 1;

	while (done < size && n && nr_sockets < MAX_SOCKETS) {
		n = send_file(r, open_socket(r), a, done);
		done += n;
	}
	return done / page_size();
}

static size_t hold_tcp(struct run *r, struct attacker *a)
{
	return hold_file(r, a, connect_to_self);
}

static int local_socket(struct run *r)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd))
		bail_errno(r, "socketpair");
	add_socket(r, fd[1]);
	return add_socket(r, fd[0]);
}

static size_t hold_unix(struct run *r, struct attacker *a)
{
	return hold_file(r, a, local_socket);
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	while (nr_sockets)
		close(sockets[--nr_sockets]);
}

/* ---- Memory ----------------------------------------------------------------------- */

/* Sends what it can of so many bytes; 0: no more. */
typedef size_t (*send_fn)(struct run *r, int fd, char *p, size_t size);

/* What fits into the peer's window is copied for it; the rest waits, as it is, to be sent. */
static size_t hold_memory(struct run *r, struct attacker *a, int (*open_socket)(struct run *r),
			  send_fn send_some)
{
	size_t size = a->pages * page_size(), done = 0;

	while (done < size && nr_sockets < MAX_SOCKETS) {
		size_t before = done, n;
		int fd = open_socket(r);

		do {
			n = send_some(r, fd, a->memory + done, size - done);
			done += n;
		} while (n && done < size);
		/* A new connection has room; else the user may not pin more. */
		if (done == before)
			break;
	}
	note(r, "has sent %zu of %zu pages", done / page_size(), a->pages);
	return done / page_size();
}

static size_t send_zerocopy(struct run *r, int fd, char *p, size_t size)
{
	int on = 1;
	ssize_t n;

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)))
		bail_errno(r, "SO_ZEROCOPY");
	n = send(fd, p, size, MSG_ZEROCOPY | MSG_DONTWAIT);
	/* No memory: more than RLIMIT_MEMLOCK, or than a socket may have in notifications. */
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		bail_errno(r, "MSG_ZEROCOPY");
	return n < 0 ? 0 : (size_t)n;
}

static size_t hold_zerocopy(struct run *r, struct attacker *a)
{
	return hold_memory(r, a, connect_to_self, send_zerocopy);
}

#define VSOCK_SEND ((size_t)64 << 10)

/* More than there is room for is copied, without notice; it is a multiple of this. */
static size_t send_by_vsock(struct run *r, int fd, char *p, size_t size)
{
	return send_zerocopy(r, fd, p, size < VSOCK_SEND ? size : VSOCK_SEND);
}

/* Nothing is copied at the other end either: all of it is held. */
static size_t hold_vsock(struct run *r, struct attacker *a)
{
	return hold_memory(r, a, connect_by_vsock, send_by_vsock);
}

/* What nobody has read when both ends are closed is held for some seconds more. */
static void release_vsock(struct run *r, struct attacker *a)
{
	static char data[VSOCK_SEND];

	for (unsigned int i = 1; i < nr_sockets; i += 2)
		while (recv(sockets[i], data, sizeof(data), MSG_DONTWAIT) > 0)
			;
	release(r, a);
}

static struct io_uring ring;

static size_t send_by_ring(struct run *r, int fd, char *p, size_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;
	bool notification;
	int n, err;

	if (!sqe)
		bail(r, "no submission queue entry");
	io_uring_prep_send_zc(sqe, fd, p, size, MSG_DONTWAIT, 0);
	err = io_uring_submit(&ring);
	/* Notifications of what has been sent before come in between. */
	do {
		if (err >= 0)
			err = io_uring_wait_cqe(&ring, &cqe);
		bail_if_error(r, err, "io_uring");
		n = cqe->res;
		notification = cqe->flags & IORING_CQE_F_NOTIF;
		io_uring_cqe_seen(&ring, cqe);
	} while (notification);
	if (n != -EAGAIN && n != -ENOBUFS && n != -ENOMEM)
		bail_if_error(r, n, "SEND_ZC");
	return n < 0 ? 0 : (size_t)n;
}

static size_t hold_send_zc(struct run *r, struct attacker *a)
{
	bail_if_error(r, io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	return hold_memory(r, a, connect_to_self, send_by_ring);
}

static void release_send_zc(struct run *r, struct attacker *a)
{
	release(r, a);
	io_uring_queue_exit(&ring);
}

/* ---- The techniques ------------------------------------------------------------------ */

#define SOCKET_SYSCALLS ATTACK_SYSCALLS, "socket", "bind", "listen", "getsockname", "connect", \
	"accept4", "fcntl"

static const struct technique sendfile_stall = {
	.role = {
		.name = "attacker",
		.summary = "sends its page cache to a peer that never reads",
		.syscalls = SYSCALLS(SOCKET_SYSCALLS, "sendfile"),
	},
	.max_pages = 6000,
	.place = place_memfd,
	.hold = hold_tcp,
	.release = release,
	.mode = {
		[ATTACK_ON] = {
			HOLDS_STORAGE,
			"The attacker fills memory until pages of its memfd lie in tag storage, and sends them by sendfile over TCP to a peer that never reads. They stay in the queues of the connection. The victim gets its tagged memory elsewhere.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With replace_data_page and choose_other_page off the victim fails where its tags are to be stored in a page that is queued.",
		},
	},
};

ADVERSARY(sendfile_stall,
	  .name = "sendfile-stall",
	  .summary = "holds tag storage by sendfile to a peer that never reads",
	  .explanation =
		"sendfile() does not copy: the network has references to the pages of the page cache until the "
		"peer has acknowledged and read what is in them. Over the loopback device the peer is a program "
		"of the same ordinary user, and need not ever read. As with splice() no get_user_pages() is "
		"involved.",
	  .params = ATTACK_PARAMS("1024", 256, 2500),
	  .needs = NEED_TAG_STORAGE);

static const struct technique unix_stall = {
	.role = {
		.name = "attacker",
		.summary = "sends its page cache to a local socket that nobody reads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "socketpair", "sendfile"),
	},
	.max_pages = 2600,
	.place = place_memfd,
	.hold = hold_unix,
	.release = release,
	.mode = MODES_REFERENCE,
};

ADVERSARY(unix_stall,
	  .name = "unix-stall",
	  .summary = "holds tag storage by sendfile to a local socket",
	  .explanation =
		"A local socket takes pages of the page cache as they are, too. One takes few, but a user may have "
		"many of them.",
	  .params = ATTACK_PARAMS("1024", 256, 2500),
	  .needs = NEED_TAG_STORAGE);

static const struct technique zerocopy_stall = {
	.role = {
		.name = "attacker",
		.summary = "sends its memory without a copy to a peer that never reads",
		.syscalls = SYSCALLS(SOCKET_SYSCALLS, "setsockopt", "sendto"),
	},
	.max_pages = 2000,
	.place = place_anonymous,
	.hold = hold_zerocopy,
	.release = release,
	.partly = true,
	.mode = MODES_PIN,
};

ADVERSARY(zerocopy_stall,
	  .name = "zerocopy-stall",
	  .summary = "pins tag storage by MSG_ZEROCOPY to a peer that never reads",
	  .explanation =
		"With MSG_ZEROCOPY the network sends from the memory of the program itself, which is pinned until "
		"the peer has acknowledged it. What the peer's window takes is copied over the loopback device; the "
		"rest waits for ever. RLIMIT_MEMLOCK limits how much a user may have pinned like that.",
	  .params = ATTACK_PARAMS("768", 256, 1000),
	  .needs = NEED_TAG_STORAGE);

static const struct technique vsock_stall = {
	.role = {
		.name = "attacker",
		.summary = "sends its memory without a copy to a vsock peer that never reads",
		.syscalls = SYSCALLS(SOCKET_SYSCALLS, "setsockopt", "sendto", "recvfrom"),
	},
	.max_pages = 1800,
	.place = place_anonymous,
	.hold = hold_vsock,
	.release = release_vsock,
	.mode = MODES_PIN,
};

ADVERSARY(vsock_stall,
	  .name = "vsock-stall",
	  .summary = "pins tag storage by MSG_ZEROCOPY over vsock",
	  .explanation =
		"vsock is for virtual machines and their host, and has a loopback that any user may use. What is "
		"sent with MSG_ZEROCOPY goes to the peer's queue as it is, without a copy, so that every page "
		"stays pinned until the peer reads it. One connection takes 64 pages; a user may have many.",
	  .params = ATTACK_PARAMS("768", 256, 900),
	  .needs = NEED_TAG_STORAGE);

static const struct technique send_zc_stall = {
	.role = {
		.name = "attacker",
		.summary = "sends its memory by io_uring to a peer that never reads",
		.syscalls = SYSCALLS(SOCKET_SYSCALLS, "io_uring_setup", "io_uring_enter"),
	},
	.max_pages = 2000,
	.place = place_anonymous,
	.hold = hold_send_zc,
	.release = release_send_zc,
	.partly = true,
	.mode = MODES_PIN,
};

ADVERSARY(send_zc_stall,
	  .name = "send-zc-stall",
	  .summary = "pins tag storage by io_uring's SEND_ZC to a peer that never reads",
	  .explanation =
		"The same as zerocopy-stall by way of io_uring: a buffer that is not registered is pinned for as "
		"long as what it holds waits to be sent.",
	  .params = ATTACK_PARAMS("768", 256, 1000),
	  .needs = NEED_TAG_STORAGE | NEED_IO_URING);
