// SPDX-License-Identifier: GPL-2.0-only
/* Getting pages into tag storage as an ordinary user: see fill.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/fill.h"
#include "attack/pipes.h"
#include "scenario/memory.h"

#define MIB ((uint64_t)1 << 20)
#define FILL_STEP ((size_t)512 << 10)
/* Between two looks at how full memory is, in pages. */
#define MIN_PAGES 32
#define MAX_PAGES 1024

/*
 * In pages; all are more than the allocator's counters lag behind. At the edge, so much more
 * tag storage than other memory is free, or at least the half of that.
 */
#define EDGE 256
#define EDGE_STEP 32

/*
 * What may still be taken, in bytes. More is kept free than the kernel needs: the OOM
 * killer is quick. It comes for kernel memory, too, which cannot lie in CMA memory, so
 * that what is free there does not help; and vm.watermark_boost_factor adds some MiB to
 * the minimum. But CMA memory is not used before less is free elsewhere than of it, and
 * the minimum may be nearly as large, where huge pages have raised it.
 */
static uint64_t room(struct run *r, const struct memory *m)
{
	uint64_t keep = memory_reserve(r), other = m->free - m->cma_free;
	uint64_t least = m->total / 64 > 8 * MIB ? m->total / 64 : 8 * MIB;
	uint64_t keep_other = memory_min_free(r) + 3 * MIB;

	if (least < keep)
		least = keep;
	if (keep_other < m->cma_free / 4 * 3)
		keep_other = m->cma_free / 4 * 3;
	if (keep_other > keep - MIB)
		keep_other = keep - MIB;
	if (m->free <= least || other <= keep_other)
		return 0;
	return m->free - least < other - keep_other ? m->free - least : other - keep_other;
}

static uint64_t room_now(struct run *r)
{
	struct memory m = memory_now(r);

	return room(r, &m);
}

size_t room_pages(struct run *r)
{
	uint64_t pages;

	/* What is on its way through per-CPU lists is missing only for a moment. */
	if (!eventually(200, room_now(r)))
		return 0;
	pages = room_now(r) / page_size() / 4;
	return pages < MIN_PAGES ? MIN_PAGES : pages > MAX_PAGES ? MAX_PAGES : pages;
}

uint64_t tag_storage_free(struct run *r)
{
	return memory_now(r).cma_free / page_size();
}

char *map_memory(struct run *r, size_t size, int advice, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %zu MiB", size >> 20);
	/* EINVAL: a kernel without huge pages. */
	if (advice && madvise(p, size, advice) && errno != EINVAL)
		bail_errno(r, "madvise");
	return p;
}

void populate(struct run *r, char *p, size_t size)
{
	if (madvise(p, size, MADV_POPULATE_WRITE))
		bail_errno(r, "populating %zu KiB of memory", size >> 10);
}

/*
 * Whether a part of the last MiB came from tag storage. It does, too, while a lot else is
 * free, if that is in blocks of other kinds than movable ones.
 */
static bool served(struct fill *f, const struct memory *m)
{
	if (m->free > f->free_then) {
		f->free_then = m->free;
		f->cma_then = m->cma_free;
	} else if (f->free_then - m->free >= MIB) {
		f->served = m->cma_free + (f->free_then - m->free) / 4 <= f->cma_then;
		f->free_then = m->free;
		f->cma_then = m->cma_free;
	}
	return f->served;
}

static void go_on(struct run *r, struct fill *f, uint64_t slack)
{
	while (f->late_done < f->late_size) {
		struct memory m = memory_now(r);
		uint64_t enough = 2 * m.cma_free + slack;
		bool begun = served(f, &m) || m.free <= enough;
		size_t step = FILL_STEP;

		/* The counters lag; what has begun is sure. */
		if ((begun && m.cma_free + MIB <= f->cma_before) || !room(r, &m))
			break;
		/* Where it cannot have begun, in larger steps. */
		if (m.free > enough + 16 * FILL_STEP)
			step = 8 * FILL_STEP;
		if (step > f->late_size - f->late_done)
			step = FILL_STEP;
		populate(r, f->late + f->late_done, step);
		f->late_done += step;
	}
}

struct fill fill_memory(struct run *r)
{
	struct memory m = memory_now(r);
	struct fill f = { .cma_before = m.cma_free };
	uint64_t keep = 2 * m.cma_free + 24 * MIB;

	/* Tag storage takes no data: there is nothing to be filled up. */
	if (!m.cma_total)
		return f;
	/* Huge pages, which never lie in tag storage, for most of it: they are quick. */
	if (m.free > keep) {
		f.bulk_size = (m.free - keep) & ~(2 * MIB - 1);
		if (f.bulk_size)
			f.bulk = map_memory(r, f.bulk_size, MADV_HUGEPAGE, -1);
	}
	if (f.bulk_size)
		populate(r, f.bulk, f.bulk_size);
	f.late_size = m.total & ~(FILL_STEP - 1);
	f.late = map_memory(r, f.late_size, MADV_NOHUGEPAGE, -1);
	m = memory_now(r);
	f.free_then = m.free;
	f.cma_then = m.cma_free;
	go_on(r, &f, 0);
	return f;
}

/* Where pages are swapped out meanwhile, memory gets free that is not tag storage. */
void fill_more(struct run *r, struct fill *f)
{
	go_on(r, f, 4 * MIB);
}

/* How many pages more of tag storage are free than of other memory. */
static int64_t edge_now(struct run *r)
{
	struct memory m = memory_now(r);

	return ((int64_t)m.cma_free - (int64_t)(m.free - m.cma_free)) / (int64_t)page_size();
}

void fill_to_edge(struct run *r, struct fill *f)
{
	size_t step = EDGE_STEP * page_size();
	uint64_t before;

	if (!f->late || (f->at_edge && edge_now(r) >= EDGE / 2))
		return;
	f->at_edge = true;
	/*
	 * The lists of a processor have pages, too, which are not counted as free: as many as
	 * an earlier process has left there. So it takes as many as it takes.
	 */
	while (edge_now(r) < EDGE && pipes_fill(r, EDGE_STEP))
		;
	before = tag_storage_free(r);
	while (tag_storage_free(r) + EDGE_STEP > before && room_pages(r) &&
	       f->late_done + step <= f->late_size) {
		populate(r, f->late + f->late_done, step);
		f->late_done += step;
	}
}

void fill_free(struct run *r, struct fill *f)
{
	if ((f->bulk && munmap(f->bulk, f->bulk_size)) ||
	    (f->late && munmap(f->late, f->late_size)))
		bail_errno(r, "munmap");
	f->bulk = NULL;
	f->late = NULL;
}

static void place_pages(struct run *r, struct attacker *a, char *p, size_t first, size_t n)
{
	size_t ps = page_size();

	if (a->read_only) {
		if (madvise(p + first * ps, n * ps, MADV_POPULATE_READ))
			bail_errno(r, "reading %zu pages of a file", n);
		return;
	}
	populate(r, p + first * ps, n * ps);
	for (size_t i = first; i < first + n; i++)
		pattern_fill(p + i * ps, ps, a->seed, i);
}

static void place(struct run *r, struct attacker *a, char *p)
{
	size_t done = 0;
	struct fill f = fill_memory(r);
	uint64_t before = tag_storage_free(r);

	while (done < a->max_pages) {
		size_t n = room_pages(r);
		uint64_t now, left;

		if (!n)
			break;
		fill_more(r, &f);
		now = tag_storage_free(r);
		if (now + a->want <= before)
			break;
		/* Half of them will lie there. */
		left = a->want - (before > now ? before - now : 0);
		if (n > left / 2)
			n = left / 2 > MIN_PAGES ? left / 2 : MIN_PAGES;
		if (n > a->max_pages - done)
			n = a->max_pages - done;
		place_pages(r, a, p, done, n);
		done += n;
	}
	fill_free(r, &f);
	a->memory = p;
	a->pages = done;
	note(r, "has filled memory and kept %zu pages", done);
}

void place_anonymous(struct run *r, struct attacker *a)
{
	place(r, a, map_memory(r, a->max_pages * page_size(), MADV_NOHUGEPAGE, -1));
}

void place_memfd(struct run *r, struct attacker *a)
{
	a->fd = memfd_create("attacker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (a->fd < 0 || ftruncate(a->fd, (off_t)(a->max_pages * page_size())))
		bail_errno(r, "memfd_create");
	place_own_file(r, a);
}

void place_own_file(struct run *r, struct attacker *a)
{
	place(r, a, map_memory(r, a->max_pages * page_size(), MADV_NOHUGEPAGE, a->fd));
}

void place_file(struct run *r, struct attacker *a)
{
	char *p = mmap(NULL, a->max_pages * page_size(), PROT_READ, MAP_SHARED, a->fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of a file");
	a->read_only = true;
	place(r, a, p);
}

void place_check(struct attacker *a)
{
	size_t ps = page_size();

	a->damaged = 0;
	for (size_t i = 0; i < a->pages; i++) {
		const char *p = a->memory + i * ps;

		a->damaged += a->read_only ? *p || memcmp(p, p + 1, ps - 1) :
					     pattern_check(p, ps, a->seed, i).count != 0;
	}
}
