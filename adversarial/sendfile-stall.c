// SPDX-License-Identifier: GPL-2.0-only
/*
 * sendfile-stall: sendfile() puts pages of the page cache into the queues of a TCP
 * connection, with a reference each, until the peer has read them. It never does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack/attack.h"

#define MAX_CONNECTIONS 64

static int sockets[2 * MAX_CONNECTIONS], listener = -1;
static unsigned int nr_sockets;
static struct sockaddr_in address = { .sin_family = AF_INET };

static int keep(struct run *r, int fd, const char *what)
{
	if (fd < 0)
		bail_errno(r, "%s", what);
	sockets[nr_sockets++] = fd;
	return fd;
}

static void listen_to_nobody(struct run *r)
{
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &len))
		bail_errno(r, "a TCP socket");
}

/* Returns how many pages from this offset are in a connection of their own. */
static size_t send_pages(struct run *r, const struct attacker *a, off_t offset, size_t pages)
{
	size_t size = pages * page_size(), done = 0;
	ssize_t n = 0;
	int fd;

	if (nr_sockets + 2 > 2 * MAX_CONNECTIONS)
		return 0;
	fd = keep(r, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		bail_errno(r, "connect");
	keep(r, accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		bail_errno(r, "O_NONBLOCK");
	do {
		n = sendfile(fd, a->fd, &offset, size - done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < size);
	if (n < 0 && errno != EAGAIN)
		bail_errno(r, "sendfile");
	return done / page_size();
}
