// SPDX-License-Identifier: GPL-2.0-only
/* How full memory is, and filling it: see memory.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/page.h"

#define MIB (1ULL << 20)
/* Between two looks at how full memory is. */
#define CHUNK (2 * MIB)

struct ballast {
	char *base;
	size_t size;		/* of the mapping, a multiple of CHUNK */
	size_t first, end;	/* populated: [first, end), both modulo size */
};

/* ---- How full memory is ------------------------------------------------------ */

/*
 * In one read and without a buffer of stdio: whoever asks may have few system calls, and
 * memory may be full.
 */
static void read_text(struct run *r, const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		bail_errno(r, "%s", path);
	n = read(fd, text, size - 1);
	if (n < 0)
		bail_errno(r, "%s", path);
	close(fd);
	text[n] = '\0';
}

/* In bytes; 0 if there is no line of that name. */
static uint64_t meminfo_field(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p ? strtoull(p + strlen(name), NULL, 10) << 10 : 0;
}

struct memory memory_now(struct run *r)
{
	char text[4096] = "\n";
	struct memory m;

	/* With a line end before each name: it is the whole name. */
	read_text(r, "/proc/meminfo", text + 1, sizeof(text) - 1);
	m = (struct memory){
		.total = meminfo_field(text, "\nMemTotal:"),
		.free = meminfo_field(text, "\nMemFree:"),
		.cma_total = meminfo_field(text, "\nCmaTotal:"),
		.cma_free = meminfo_field(text, "\nCmaFree:"),
		.swap_total = meminfo_field(text, "\nSwapTotal:"),
		.swap_free = meminfo_field(text, "\nSwapFree:"),
		.swap_cached = meminfo_field(text, "\nSwapCached:"),
	};
	if (!m.total)
		bail(r, "/proc/meminfo has no MemTotal");
	return m;
}

uint64_t memory_min_free(struct run *r)
{
	static const char path[] = "/proc/sys/vm/min_free_kbytes";
	static uint64_t min_free = UINT64_MAX;

	/* It stays what it is, and this is asked for often. */
	if (min_free == UINT64_MAX) {
		char text[32], *end;

		read_text(r, path, text, sizeof(text));
		min_free = strtoull(text, &end, 10) << 10;
		if (end == text)
			bail(r, "%s: not a number", path);
	}
	return min_free;
}

uint64_t memory_reserve(struct run *r)
{
	/* Background reclaim begins a quarter above the minimum. */
	return memory_min_free(r) / 4 * 5 + 6 * MIB;
}

bool huge_pages_here(void)
{
	char text[64] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return *text && !strstr(text, "[never]");
}

/* ---- Ballast ------------------------------------------------------------------ */

/* Without opening a file: see own_pagemap(). */
static uint64_t free_memory(struct run *r)
{
	struct sysinfo si;

	if (sysinfo(&si))
		bail_errno(r, "sysinfo");
	return (uint64_t)si.freeram * si.mem_unit;
}

struct ballast *ballast_new(struct run *r)
{
	struct ballast *b = calloc(1, sizeof(*b));

	if (!b)
		bail(r, "out of memory");
	b->size = memory_now(r).total / CHUNK * CHUNK;
	b->base = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->base == MAP_FAILED)
		bail_errno(r, "mmap of %zu bytes", b->size);
	/* A block under a huge page could be emptied only by splitting it. */
	if (madvise(b->base, b->size, MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	/*
	 * All of it maps the zero page now, so its page tables are there: when memory
	 * is nearly full, nothing but movable pages will be asked for. What is not
	 * movable cannot come from tag storage, and would bring the OOM killer.
	 */
	if (madvise(b->base, b->size, MADV_POPULATE_READ))
		bail_errno(r, "populating page tables (MADV_POPULATE_READ)");
	return b;
}

void ballast_free(struct ballast *b)
{
	if (!b)
		return;
	munmap(b->base, b->size);
	free(b);
}

uint64_t ballast_grow(struct run *r, struct ballast *b, uint64_t bytes, uint64_t keep)
{
	uint64_t done = 0;

	while (done < bytes && b->end + CHUNK <= b->first + b->size &&
	       free_memory(r) >= keep + CHUNK) {
		char *p = b->base + b->end % b->size;

		if (madvise(p, CHUNK, MADV_POPULATE_WRITE))
			bail_errno(r, "populating memory (MADV_POPULATE_WRITE)");
		/* Pages of zeroes would not tell where they came from. */
		for (size_t i = 0; i < CHUNK; i += page_size())
			*(uint64_t *)(void *)(p + i) = (uintptr_t)(p + i);
		b->end += CHUNK;
		done += CHUNK;
	}
	return done;
}

void ballast_shrink(struct run *r, struct ballast *b, uint64_t want_free)
{
	while (b->first + CHUNK <= b->end && free_memory(r) < want_free) {
		if (madvise(b->base + b->first % b->size, CHUNK, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
		b->first += CHUNK;
	}
}

struct mismatch ballast_check(const struct ballast *b)
{
	static const char zeroes[4096];
	struct mismatch m = { .count = 0 };

	for (size_t off = b->first; off < b->end; off += page_size()) {
		const char *p = b->base + off % b->size;
		uint64_t got = *(const uint64_t *)(const void *)p, want = (uintptr_t)p;
		size_t at = 0;

		/* Page by page with a fast comparison; by words only where that differs. */
		for (size_t i = 8; got == want && i < page_size(); i += sizeof(zeroes)) {
			size_t rest = page_size() - i;
			size_t n = rest < sizeof(zeroes) ? rest : sizeof(zeroes);

			if (memcmp(p + i, zeroes, n))
				for (at = i, want = 0; at < page_size(); at += 8) {
					got = *(const uint64_t *)(const void *)(p + at);
					if (got)
						break;
				}
		}
		if (got == want)
			continue;
		if (!m.count++) {
			m.offset = off - b->first + at;
			m.got = got;
			m.want = want;
		}
	}
	return m;
}

size_t ballast_pages(const struct ballast *b)
{
	return (b->end - b->first) / page_size();
}

char *ballast_page(const struct ballast *b, size_t i)
{
	return b->base + (b->first + i * page_size()) % b->size;
}

size_t ballast_in_tag_storage(struct run *r, const struct ballast *b)
{
	size_t n = 0;

	for (size_t off = b->first; off < b->end; off += CHUNK)
		n += pages_in_tag_storage(r, 0, b->base + off % b->size, CHUNK / page_size());
	return n;
}

struct finding {
	char *base, **pages;
	size_t n, max;
};

static void find_storage(struct run *r, size_t i, const struct page_location *w, void *arg)
{
	struct finding *f = arg;

	if (w->present && f->n < f->max && pfn_in_tag_storage(r, w->pfn))
		f->pages[f->n++] = f->base + i * page_size();
}

size_t ballast_into_tag_storage(struct run *r, struct ballast *b, size_t want, uint64_t want_free,
				char **pages, size_t max)
{
	uint64_t keep = memory_reserve(r);
	struct finding f = { .pages = pages, .max = max };
	size_t found = 0, checked = b->end;

	/* When memory is full it is too late to open files. */
	pages_in_tag_storage(r, 0, b->base, 1);
	while (found < want && ballast_grow(r, b, CHUNK, keep)) {
		/* Before that nothing is put into tag storage: no need to look. */
		if (free_memory(r) > b->size / 8)
			continue;
		for (; checked < b->end; checked += CHUNK)
			found += pages_in_tag_storage(r, 0, b->base + checked % b->size,
						      CHUNK / page_size());
	}
	ballast_shrink(r, b, want_free);
	for (size_t off = b->first; off < b->end; off += CHUNK) {
		f.base = b->base + off % b->size;
		page_locations_each(r, 0, f.base, CHUNK / page_size(), find_storage, &f);
	}
	return f.n;
}

/* ---- Pins --------------------------------------------------------------------- */

/* Pages that a pipe holds; it has a buffer for each, and more only for the privileged. */
#define PIPE_PAGES 256

struct pins {
	size_t pipes;
	int fd[][2];
};

struct pins *pin_pages(struct run *r, char *const *pages, size_t n)
{
	size_t max = n / PIPE_PAGES + 1;
	struct pins *p = malloc(sizeof(*p) + max * sizeof(p->fd[0]));

	if (!p)
		bail(r, "out of memory");
	p->pipes = 0;
	for (size_t i = 0; i < n; i++) {
		struct iovec iov = { .iov_base = pages[i], .iov_len = 1 };

		if (i % PIPE_PAGES == 0) {
			int *fd = p->fd[p->pipes];

			if (pipe2(fd, O_CLOEXEC))
				bail_errno(r, "pipe");
			p->pipes++;
			/* A pipe of one page has one buffer. */
			if (fcntl(fd[1], F_SETPIPE_SZ, PIPE_PAGES * (int)page_size()) < 0)
				bail_errno(r, "F_SETPIPE_SZ");
		}
		if (vmsplice(p->fd[p->pipes - 1][1], &iov, 1, SPLICE_F_NONBLOCK) != 1)
			bail_errno(r, "vmsplice");
	}
	return p;
}

void unpin_pages(struct pins *p)
{
	for (size_t i = 0; i < p->pipes; i++) {
		close(p->fd[i][0]);
		close(p->fd[i][1]);
	}
	free(p);
}

uint64_t vmstat_now(struct run *r, const char *name)
{
	FILE *f = fopen("/proc/vmstat", "re");
	uint64_t value, found = 0;
	bool there = false;
	char word[64];

	if (!f)
		bail_errno(r, "/proc/vmstat");
	while (!there && fscanf(f, "%63s %" SCNu64, word, &value) == 2) {
		there = !strcmp(word, name);
		found = value;
	}
	fclose(f);
	if (!there)
		bail(r, "/proc/vmstat has no %s", name);
	return found;
}
