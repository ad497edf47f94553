/* SPDX-License-Identifier: GPL-2.0-only */
/* What zstd packed, back. */
#ifndef TAGSCOPE_RECORD_UNPACK_H
#define TAGSCOPE_RECORD_UNPACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Unpack len bytes into *out, which is to be freed, *out_len bytes and a NUL. 0; or -errno
 * with the reason in why (size bytes), and what could be unpacked: at most max bytes.
 */
int rec_unpack(const void *data, size_t len, uint64_t max, char **out, size_t *out_len, char *why,
	       size_t size);

#endif
