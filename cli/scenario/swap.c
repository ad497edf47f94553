// SPDX-License-Identifier: GPL-2.0-only
/* Swapping out, and swap devices: see swap.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "scenario/run_private.h"
#include "scenario/swap.h"

size_t pages_in_memory(struct run *r, void *p, size_t n)
{
	unsigned char *in = malloc(n);
	size_t sum = 0;

	if (!in)
		bail(r, "out of memory");
	if (mincore(ptr_plain(p), n * page_size(), in))
		bail_errno(r, "mincore");
	for (size_t i = 0; i < n; i++)
		sum += in[i] & 1;
	free(in);
	return sum;
}

/*
 * What was written to a disk stays in the swap cache until somebody reclaims it, and
 * madvise() does not see it there any more. Takes other memory along.
 */
static void reclaim(size_t bytes)
{
	int fd = open("/sys/fs/cgroup/memory.reclaim", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* EAGAIN: it was less than that. The caller looks what is left. */
	if (dprintf(fd, "%zu", bytes) < 0 && errno != EAGAIN)
		perror("memory.reclaim");
	close(fd);
}

bool swap_out(struct run *r, void *p, size_t n, unsigned int ms)
{
	uint64_t until = now_ns() + (uint64_t)ms * 1000000;

	do {
		if (madvise(p, n * page_size(), MADV_PAGEOUT))
			bail_errno(r, "MADV_PAGEOUT");
		if (!pages_in_memory(r, p, n))
			return true;
		/* Some may wait in a CPU's batch to be put on the LRU. */
		drain_lru(r);
		if (pages_in_memory(r, p, n))
			reclaim(n * page_size());
	} while (now_ns() < until);
	note(r, "%zu of %zu pages are not swapped out", pages_in_memory(r, p, n), n);
	return false;
}

int swap_devices_list(struct swap_device *d, size_t max)
{
	FILE *f = fopen(SETTING_SWAP, "re");
	char line[512];
	int n = 0;

	if (!f)
		return -errno;
	while ((size_t)n < max && fgets(line, sizeof(line), f))
		if (sscanf(line, "/%254s %*s %*s %*s %d", d[n].path + 1, &d[n].priority) == 2)
			d[n++].path[0] = '/';
	fclose(f);
	return n;
}

size_t swap_devices(struct run *r, struct swap_device *d, size_t max)
{
	int n = swap_devices_list(d, max);

	if (n < 0)
		bail_errno(r, SETTING_SWAP);
	return (size_t)n;
}

size_t swap_devices_off(struct run *r, const struct swap_device *d, size_t n)
{
	size_t off = 0;

	must_be_declared(r, SETTING_SWAP);
	for (size_t i = 0; i < n; i++)
		off += !swapoff(d[i].path);
	return off;
}

int swap_device_on(const struct swap_device *d)
{
	int flags = d->priority < 0 ? 0 :
		    SWAP_FLAG_PREFER | (d->priority & SWAP_FLAG_PRIO_MASK);

	return swapon(d->path, flags) ? -errno : 0;
}

size_t swap_devices_on(const struct swap_device *d, size_t n)
{
	size_t on = 0;

	for (size_t i = 0; i < n; i++)
		on += !swap_device_on(&d[i]);
	return on;
}
