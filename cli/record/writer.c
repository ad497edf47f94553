// SPDX-License-Identifier: GPL-2.0-only
/* See writer.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <zstd.h>

#include "base/file.h"
#include "record/writer.h"

#define MUCH (4u << 20)

struct rec_writer {
	int fd, err;
	uint64_t written;	/* whole frames in the file */
	FILE *lines;		/* what is not in the file yet ... */
	char *text;		/* ... and where it is */
	size_t len;
	ZSTD_CCtx *zstd;
	char *frame;
	size_t frame_size;
};

int rec_create(const char *path, struct rec_writer **out)
{
	struct rec_writer *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	*out = NULL;
	if (!w)
		return err;
	w->fd = -1;
	w->zstd = ZSTD_createCCtx();
	w->lines = open_memstream(&w->text, &w->len);
	if (!w->zstd || !w->lines)
		goto fail;
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (w->fd < 0) {
		err = -errno;
		goto fail;
	}
	*out = w;
	return 0;
fail:
	ZSTD_freeCCtx(w->zstd);
	if (w->lines)
		fclose(w->lines);
	free(w->text);
	free(w);
	return err;
}

FILE *rec_lines(struct rec_writer *w)
{
	return w->lines;
}

static int write_frame(struct rec_writer *w)
{
	size_t most = ZSTD_compressBound(w->len), n;
	char *more;
	int err;

	if (most > w->frame_size) {
		more = realloc(w->frame, most);
		if (!more)
			return -ENOMEM;
		w->frame = more;
		w->frame_size = most;
	}
	n = ZSTD_compress2(w->zstd, w->frame, w->frame_size, w->text, w->len);
	if (ZSTD_isError(n))
		return -ENOMEM;
	err = write_all(w->fd, w->frame, n);
	/* What cannot be synchronized, like a pipe, needs no more than that. */
	if (!err && fdatasync(w->fd) && errno != EINVAL && errno != EROFS)
		err = -errno;
	if (err) {
		/* The part of a frame would only be in the way of who reads the rest. */
		if (ftruncate(w->fd, (off_t)w->written))
			return err;
		return err;
	}
	w->written += n;
	return 0;
}

int rec_flush(struct rec_writer *w)
{
	if (!w->err && fflush(w->lines))
		w->err = -ENOMEM;
	if (!w->err && w->len)
		w->err = write_frame(w);
	/* The stream goes on over what it had. */
	rewind(w->lines);
	fflush(w->lines);
	return w->err;
}

int rec_flush_much(struct rec_writer *w)
{
	return ftell(w->lines) >= (long)MUCH ? rec_flush(w) : w->err;
}

uint64_t rec_written(const struct rec_writer *w)
{
	return w->written;
}

int rec_close(struct rec_writer *w)
{
	int err = rec_flush(w);

	if (close(w->fd) && !err)
		err = -errno;
	fclose(w->lines);
	free(w->text);
	free(w->frame);
	ZSTD_freeCCtx(w->zstd);
	free(w);
	return err;
}
