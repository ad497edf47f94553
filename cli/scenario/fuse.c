// SPDX-License-Identifier: GPL-2.0-only
/* Serving a FUSE file system: see fuse.h. */
#include <errno.h>
#include <linux/fuse.h>
#include <sys/uio.h>

#include "scenario/fuse.h"

void fuse_reply(struct run *r, int dev, uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + size), .error = -error, .unique = unique,
	};
	struct iovec iov[2] = {
		{ .iov_base = &out, .iov_len = sizeof(out) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = size },
	};

	/* ENOENT: interrupted meanwhile. ENODEV: the connection was aborted. */
	if (writev(dev, iov, size ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV)
		bail_errno(r, "/dev/fuse");
}
