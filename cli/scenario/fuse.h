/* SPDX-License-Identifier: GPL-2.0-only */
/* For scenarios that serve a FUSE file system. The protocol is in linux/fuse.h. */
#ifndef TAGSCOPE_FUSE_H
#define TAGSCOPE_FUSE_H

#include <stddef.h>
#include <stdint.h>

#include "scenario/scenario.h"

/* Answer a request that was read from dev (/dev/fuse): error is an errno or 0. */
void fuse_reply(struct run *r, int dev, uint64_t unique, int error, const void *data,
		size_t size);

#endif
