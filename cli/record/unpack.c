// SPDX-License-Identifier: GPL-2.0-only
/* See unpack.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <zstd.h>

#include "record/unpack.h"

#define FIRST_SIZE 65536
#define WINDOW_LOG 27		/* what it may keep in memory: 128 MiB */

static int fail(int err, char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s", what);
	return err;
}

/* Room for more; at most max bytes and a NUL. */
static int grow(char **out, size_t *room, uint64_t max)
{
	size_t more = *room ? *room * 2 : FIRST_SIZE;
	char *p;

	if (*room >= max)
		return -EFBIG;
	if (more > max)
		more = (size_t)max;
	p = realloc(*out, more + 1);
	if (!p)
		return -ENOMEM;
	*out = p;
	*room = more;
	return 0;
}

int rec_unpack(const void *data, size_t len, uint64_t max, char **out, size_t *out_len, char *why,
	       size_t size)
{
	ZSTD_inBuffer in = { .src = data, .size = len };
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	size_t room = 0, left = 0;
	int err = 0;

	*out = NULL;
	*out_len = 0;
	if (!zstd || grow(out, &room, max)) {
		ZSTD_freeDCtx(zstd);
		return fail(-ENOMEM, why, size, "out of memory");
	}
	ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG);
	for (;;) {
		ZSTD_outBuffer to = { .dst = *out, .size = room, .pos = *out_len };

		left = ZSTD_decompressStream(zstd, &to, &in);
		*out_len = to.pos;
		if (ZSTD_isError(left)) {
			err = fail(-EPROTO, why, size, ZSTD_getErrorName(left));
			break;
		}
		/* Neither more to come of what it took, nor more to take. */
		if (to.pos < to.size && in.pos == in.size)
			break;
		if (to.pos == to.size) {
			err = grow(out, &room, max);
			if (err) {
				fail(err, why, size, err == -EFBIG ?
				     "it is larger than any recording" : "out of memory");
				break;
			}
		}
	}
	if (!err && left)
		err = fail(-EPROTO, why, size, "it is cut short");
	ZSTD_freeDCtx(zstd);
	(*out)[*out_len] = '\0';
	return err;
}
