/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model: what each process of a group maps, and what every page of it holds. Pages are by
 * value: that a kernel shares them between processes until one of them writes must not be
 * seen, so it is not modelled.
 */
#ifndef TAGSCOPE_FUZZ_WORLD_H
#define TAGSCOPE_FUZZ_WORLD_H

#include "fuzz/fuzz.h"

#define SLOTS 6			/* areas of a process, at fixed addresses */
#define SLOT_PAGES 2048
#define AREA_PAGES 1024		/* at most */
#define BASE 0x1000000000UL
#define PAGE_BYTES 4096UL
#define MEMFDS 3
#define OBJECTS 64		/* the first are memfds, the others shared anonymous memory */
#define OBJECT_PAGES 1024
#define PIPES 4
#define PIPE_DATA 4
#define RING_PAGES 8

struct content {
	unsigned long data, tags;	/* names: word_of(), tag_of(); 0 is zeroes */
};

/* A page that something holds: an entry, an object, a pipe, a ring. */
struct page {
	int refs;
	bool lazy;		/* MADV_FREE: may become is[1] at any time */
	int family;		/* the same in all processes since a fork; 0: in this one only */
	int n;			/* how many contents are possible, 1 or 2 */
	struct content is[2];
};

#define NO_PAGE (-1)
#define NO_OBJECT (-1)

struct entry {
	bool mapped, readable, writable, tagged, shared, locked;
	bool no_fork, wipe;	/* MADV_DONTFORK, MADV_WIPEONFORK */
	bool uffd, present, protected;	/* registered, not missing, write-protected */
	int16_t object, offset;	/* what it maps, unless it is private and anonymous */
	int page;		/* its own, if private */
};

struct area {
	unsigned int shift, pages;	/* from the slot's begin; 0 pages: none */
	struct entry e[AREA_PAGES];
};

struct pipe_pin {
	bool used;
	int page;
	int n;			/* what it may hold; 0: too much to say */
	unsigned long data[PIPE_DATA];
};

struct process {
	bool alive;
	struct area area[SLOTS];
	struct pipe_pin pipe[PIPES];
	unsigned int ring_pages;	/* 0: none registered */
	unsigned long ring_addr;
	int ring[RING_PAGES];
};

struct object {
	bool exists;
	bool large;		/* it may have large folios */
	int refs;		/* entries; memfds stay without */
	int *page;		/* OBJECT_PAGES of them */
};

struct world {
	unsigned int group, groups;
	bool tags, storage_held;
	bool lost;		/* an access ended in SIGBUS, as it had to */
	fuzz_step_fn fn;
	void *ctx;
	struct process process[FUZZ_PROCESSES];
	struct object object[OBJECTS];
	struct page *page;
	int nr_pages, max_pages, free_hint, nr_families;
	struct fuzz_finding finding;
	struct fuzz_trace trace;
	uint32_t op;
	uint64_t done;
};

/* ---- world.c ------------------------------------------------------------------ */

unsigned long area_addr(const struct process *p, const struct area *a, unsigned int page);
/* What an access finds; never NULL. */
const struct page *entry_page(struct world *w, const struct entry *e);
/* The page that a write goes to, made if there is none. */
int entry_own(struct world *w, struct entry *e);
void entry_forget(struct world *w, struct entry *e);	/* its private page */
void entry_unmap(struct world *w, struct entry *e);
void entry_copy(struct world *w, struct entry *to, const struct entry *from, bool fork);
void page_hold(struct world *w, int page);
void page_put(struct world *w, int page);
/* All of it was written; lazy: and may still be freed. */
void page_wrote(struct world *w, int page, unsigned long data, bool lazy);
void page_kept(struct world *w, int page);	/* written to with what it has */
/*
 * It may become zeroes at any time until it is written to. So may that of others with which
 * it was forked: Linux takes a clean page from all of them.
 */
void page_freed(struct world *w, int page);
void page_tagged(struct world *w, int page, unsigned long tags);
void page_settle(struct page *p);	/* possibilities that are the same are one */
void object_forget(struct world *w, struct object *o, unsigned int page);
/*
 * The same for a hole. Where a large folio is not split, because somebody has a reference just
 * then, its part is zeroed where it is, and keeps its tags.
 */
void object_punch(struct world *w, int object, unsigned int page);
/* Whether none of it is held: a hole in a large folio that is held is never an empty one. */
bool object_may_punch(const struct world *w, const struct object *o);
int object_new(struct world *w);	/* shared anonymous memory; -1: there are too many */
void process_end(struct world *w, struct process *p);

#endif
