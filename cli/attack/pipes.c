// SPDX-License-Identifier: GPL-2.0-only
/* Pipes that nobody reads: see pipes.h. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "attack/pipes.h"

static int pipes[MAX_PIPES][2];
static unsigned int nr_pipes;

const int *pipes_add(struct run *r)
{
	int *fd;

	if (nr_pipes == MAX_PIPES)
		return NULL;
	fd = pipes[nr_pipes];
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		bail_errno(r, "pipe");
	/* EPERM: the user has as much as it may; it stays as small as it is. */
	if (fcntl(fd[1], F_SETPIPE_SZ, PIPE_PAGES * (int)page_size()) < 0 && errno != EPERM)
		bail_errno(r, "F_SETPIPE_SZ");
	nr_pipes++;
	return fd;
}

const int *pipes_last(void)
{
	return nr_pipes ? pipes[nr_pipes - 1] : NULL;
}

void pipes_drop(void)
{
	nr_pipes--;
	close(pipes[nr_pipes][0]);
	close(pipes[nr_pipes][1]);
}

size_t pipes_fill(struct run *r, size_t pages)
{
	static char data[65536];
	const int *p = pipes_last();
	size_t done = 0;

	while (done < pages && room_pages(r)) {
		ssize_t n = p ? write(p[1], data, sizeof(data)) : -1;

		if (p && n < 0 && errno != EAGAIN)
			bail_errno(r, "writing to a pipe");
		if (n > 0) {
			done += (size_t)n / page_size();
			continue;
		}
		p = pipes_add(r);
		if (!p)
			break;
	}
	return done;
}

void pipes_release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	while (nr_pipes)
		pipes_drop();
}
