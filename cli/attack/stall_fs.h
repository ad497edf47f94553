/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system of the attacker's own, served by a child of its own over /dev/fuse, that
 * never answers a read or a write. It is mounted in a mount namespace of its own, for
 * which an ordinary user needs a user namespace. All functions are for the attacker.
 *
 * There are numbered files; and numbered directories, for a core dump in each.
 */
#ifndef TAGSCOPE_ATTACK_STALL_FS_H
#define TAGSCOPE_ATTACK_STALL_FS_H

#include "attack/attack.h"
#include "attack/pipes.h"

#define STALL_FILE_SIZE ((uint64_t)4 << 30)
/* Most pages in one request: of those that read ahead, and of the others. */
#define STALL_READ_AHEAD 32
#define STALL_REQUEST 256

/* Mount it and serve it; the scenario is skipped where an ordinary user cannot. */
void stall_fs_mount(struct run *r);
/* Its files are numbered; flags as for open(). */
int stall_fs_open(struct run *r, unsigned int file, int flags);
/* Map the first page of one, for reading. Who touches it waits. */
char *stall_fs_map_page(struct run *r, unsigned int file);
#define STALL_PATH_MAX 32
void stall_fs_path(unsigned int file, char path[STALL_PATH_MAX]);
/* Make a directory the current one of this process, and of those that it starts next. */
#define STALL_DIRECTORIES 64
void stall_fs_enter(struct run *r, unsigned int directory);
/*
 * Who dumps core there comes to the first write, and waits: that many do. It goes on when it is
 * let, to the first write of a whole page, which is never answered.
 */
unsigned int stall_fs_dumps(void);
void stall_fs_let_dump(struct run *r, unsigned int directory);
/*
 * After stall_fs_mount(): a second one. Returns its /dev/fuse, to which the caller, too, may
 * write what the kernel has not asked for. The end of the server does not end it, so nobody
 * may wait for one of its files.
 */
int stall_fs_mount_second(struct run *r);
/* The number by which the kernel knows this file of it, for as long as the caller lives. */
uint64_t stall_fs_second_node(struct run *r, unsigned int file);
/* How many reads and writes it has been asked for; none of them is answered. */
unsigned int stall_fs_requests(void);
/* Wait until it has been asked for n. */
void stall_fs_await(struct run *r, unsigned int n);
/* How many may be in the queue before whoever asks for one more has to wait. */
unsigned int stall_fs_max_requests(struct run *r);
/*
 * Run fn(arg) in a thread, which asks for one more read or write, and wait until the file
 * system has got that request.
 */
void stall_fs_start(struct run *r, void *(*fn)(void *arg), void *arg);
/*
 * The same in two steps, for when memory is full: threads that are there already, as each
 * takes memory of its own that tag storage is not for.
 */
struct parked;
/* Have this process, and threads that it starts later, run on one processor only. */
void stall_fs_one_processor(struct run *r);
struct parked *stall_fs_park(struct run *r, void *(*fn)(void *arg), void *arg);
/*
 * Fill memory, and let go the first a->want of these n threads, as long as there is room, one
 * after the other: each allocates a page or two, which come from tag storage. Returns how
 * many were let go. On one processor; FILL_EDGE_SYSCALLS.
 */
size_t stall_fs_unpark_at_edge(struct run *r, struct attacker *a, struct parked *const *parked,
			       size_t n);
/* The release of a technique: end all requests with an error, and the file system. */
void stall_fs_release(struct run *r, struct attacker *a);

/* What it needs, for .syscalls of the role. */
#define STALL_FS_SYSCALLS "unshare", "mount", "umount2", "clone", "clone3", "mprotect"

#endif
