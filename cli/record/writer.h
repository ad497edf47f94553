/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recording as it is written: lines, kept until they are flushed, and then a zstd frame of
 * their own. So whatever ends this, what was flushed is a whole file.
 */
#ifndef TAGSCOPE_RECORD_WRITER_H
#define TAGSCOPE_RECORD_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct rec_writer;

/* The file is made anew. 0, or -errno with *w NULL. */
int rec_create(const char *path, struct rec_writer **w);

/*
 * Where to write lines to, each with its end. What is written after an error is lost, and
 * the file stays as it was before it.
 */
FILE *rec_lines(struct rec_writer *w);
/* Into the file with what there is. 0 or -errno, also of an earlier call. */
int rec_flush(struct rec_writer *w);
/* Flush if there is much, lest it use up the memory. */
int rec_flush_much(struct rec_writer *w);
/* Bytes in the file. */
uint64_t rec_written(const struct rec_writer *w);
/* Flush and free. 0 or -errno. */
int rec_close(struct rec_writer *w);

#endif
