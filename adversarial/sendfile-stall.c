// SPDX-License-Identifier: GPL-2.0-only
/*
 * sendfile-stall: sendfile() puts pages of the page cache into the queues of a TCP
 * connection, with a reference each, until the peer has read them. It never does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
		bail_errno(r, "a TCP socket");
	sockets[nr_sockets++] = fd;
	return fd;
}

/* A connection to ourselves; returns the end that does not block. */
static int connect_to_self(struct run *r)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr *addr = (struct sockaddr *)&to;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	socklen_t len = sizeof(to);

	if (listener < 0 || bind(listener, addr, len) || listen(listener, 1) ||
	    getsockname(listener, addr, &len))
		bail_errno(r, "a TCP socket");
	fd = add_socket(r, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (connect(fd, addr, len))
		bail_errno(r, "connect");
	add_socket(r, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		bail_errno(r, "O_NONBLOCK");
	return fd;
}

static size_t hold(struct run *r, struct attacker *a)
{
	size_t size = a->pages * page_size();
	off_t offset = 0;

	while ((size_t)offset < size && nr_sockets < MAX_SOCKETS) {
		int fd = connect_to_self(r);
		ssize_t n;

		do
			n = sendfile(fd, a->fd, &offset, size - (size_t)offset);
		while (n > 0 && (size_t)offset < size);
		if (n < 0 && errno != EAGAIN)
			bail_errno(r, "sendfile");
	}
	return (size_t)offset / page_size();
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	while (nr_sockets)
		close(sockets[--nr_sockets]);
}

static const struct technique sendfile_stall = {
	.role = {
		.name = "attacker",
		.summary = "sends its page cache to a peer that never reads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "socket", "bind", "listen", "getsockname",
				     "connect", "accept4", "fcntl", "sendfile"),
	},
	.max_pages = 6000,
	.place = place_memfd,
	.hold = hold,
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
	  .needs = NEED_POLICY_CMA);
