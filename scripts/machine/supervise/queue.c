// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes that wait to be written.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "supervise.h"

void queue_add(struct queue *q, const void *data, size_t len)
{
	if (q->start + q->len + len > q->size && q->start) {
		memmove(q->data, q->data + q->start, q->len);
		q->start = 0;
	}
	if (q->len + len > q->size) {
		q->size = (q->len + len) * 2;
		q->data = must_realloc(q->data, q->size);
	}
	memcpy(q->data + q->start + q->len, data, len);
	q->len += len;
}

int queue_write(struct queue *q)
{
	/*
	 * Our output may be a blocking descriptor that others share: what poll()
	 * promises is room for a page.
	 */
	size_t n = q->len < 4096 ? q->len : 4096;
	ssize_t w;

	if (!n)
		return 0;
	w = write(q->fd, q->data + q->start, n);
	if (w < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : errno;
	q->start += (size_t)w;
	q->len -= (size_t)w;
	if (!q->len)
		q->start = 0;
	return 0;
}
