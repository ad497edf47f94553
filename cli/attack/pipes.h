/* SPDX-License-Identifier: GPL-2.0-only */
/* Pipes that nobody reads. All functions are for the attacker. */
#ifndef TAGSCOPE_ATTACK_PIPES_H
#define TAGSCOPE_ATTACK_PIPES_H

#include "attack/attack.h"

#define PIPE_PAGES 256		/* buffers of a pipe of 1 MiB, the most a user may have */
#define MAX_PIPES 72		/* fs.pipe-user-pages-soft lets a user have 64 of them */

/* A new one, as large as the user may have it: [0] to read, [1] to write; NULL: no more. */
const int *pipes_add(struct run *r);
/* The last one; NULL: there is none. */
const int *pipes_last(void);
/* Close the last one. */
void pipes_drop(void);
/*
 * Take so many pages, or what there is room for, in pipes: memory that tag storage is not
 * for. When memory is full the page allocator then serves about as many movable pages from
 * tag storage. Returns how many it took.
 */
size_t pipes_fill(struct run *r, size_t pages);
/* The release of a technique: close all. */
void pipes_release(struct run *r, struct attacker *a);

/* What they need, for .syscalls of the role. */
#define PIPES_SYSCALLS "pipe2", "fcntl"

#endif
