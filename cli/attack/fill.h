/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How an ordinary user gets its pages into tag storage. The page allocator serves movable
 * pages from CMA memory, of which tag storage is a part, when that is over half of what
 * is free. /proc/meminfo tells that to everybody.
 */
#ifndef TAGSCOPE_ATTACK_FILL_H
#define TAGSCOPE_ATTACK_FILL_H

#include "scenario/scenario.h"

struct attacker;

/* Longer than this takes only a machine that hangs; a busy one may take long. */
#define PATIENCE_MS 300000

/*
 * Take memory until the allocator begins to serve movable pages from tag storage. About
 * every other page that is allocated next lies there.
 */
struct fill {
	char *bulk, *late;
	size_t bulk_size, late_size, late_done;
	uint64_t cma_before;
	uint64_t free_then, cma_then;	/* when it was last seen what serves it */
	bool served;			/* tag storage did, at least in part */
	bool at_edge;			/* fill_to_edge() was called */
};
struct fill fill_memory(struct run *r);
/* Take more, if the allocator does not serve from tag storage any more. */
void fill_more(struct run *r, struct fill *f);
void fill_free(struct run *r, struct fill *f);
/*
 * For who then allocates only some dozens of pages, one by one: they all come from tag storage,
 * as the allocator is made to prefer it by far, and no others are left on this processor's
 * list. To be asked for before each page: others free memory meanwhile. The caller, and
 * threads of its, are to run on one processor. Takes pipes (pipes.h); FILL_EDGE_SYSCALLS.
 */
void fill_to_edge(struct run *r, struct fill *f);
#define FILL_EDGE_SYSCALLS PIPES_SYSCALLS, "sched_setaffinity", "getcpu"

/*
 * Fill memory, populate pages until a->want of them lie in tag storage, but not more than
 * a->max_pages, nor more than there is room for; then give the rest back. They hold a
 * pattern, which place_check() checks. For place of struct technique.
 */
void place_anonymous(struct run *r, struct attacker *a);
void place_memfd(struct run *r, struct attacker *a);
/* The same with a->fd, a file of a->max_pages. */
void place_own_file(struct run *r, struct attacker *a);
/* The same with a->fd, which may only be read; it stays zeroes. */
void place_file(struct run *r, struct attacker *a);
void place_check(struct attacker *a);

/*
 * How many pages may be populated before one has to look again; 0: there is no room. Who
 * fills memory stops before the OOM killer comes.
 */
size_t room_pages(struct run *r);
/* Pages of tag storage that are free, as far as an ordinary user can see it. */
uint64_t tag_storage_free(struct run *r);

/* Map size bytes, without populating them; advice as for madvise(), 0 for none. */
char *map_memory(struct run *r, size_t size, int advice, int fd);
void populate(struct run *r, char *p, size_t size);

#endif
