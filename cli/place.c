// SPDX-License-Identifier: GPL-2.0-only
/* Where pages are, and filling memory: see place.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "place.h"

/* /proc/PID/pagemap: one 64-bit word a page. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_PFN ((1ULL << 55) - 1)
#define PAGEMAP_BATCH 512

#define MIB (1ULL << 20)
/* Between two looks at how full memory is. */
#define CHUNK (2 * MIB)

struct ballast {
	char *base;
	size_t size;		/* of the mapping, a multiple of CHUNK */
	size_t first, end;	/* populated: [first, end), both modulo size */
};

/* They do not change while the machine runs; a fork may inherit the copy. */
static struct state_region *regions;
static size_t nr_regions;

static void read_regions(struct run *r)
{
	struct state *st;
	char why[512] = "";
	int err;

	if (regions)
		return;
	err = state_open(&st);
	if (!err)
		err = state_read_regions(st, &regions, &nr_regions);
	if (err)
		snprintf(why, sizeof(why), "%s", state_error(st));
	state_close(st);
	if (err)
		bail(r, "%s", why);
}

bool pfn_in_tag_storage(struct run *r, uint64_t pfn)
{
	read_regions(r);
	for (size_t i = 0; i < nr_regions; i++)
		if (pfn * page_size() - regions[i].tag_base < regions[i].tag_size)
			return true;
	return false;
}

int64_t pfn_block(struct run *r, uint64_t pfn)
{
	read_regions(r);
	for (size_t i = 0; i < nr_regions; i++) {
		uint64_t off = pfn * page_size() - regions[i].mem_base;

		if (off < regions[i].mem_size)
			return (int64_t)(regions[i].first_block +
					 off / (regions[i].block_size * STATE_DATA_PER_TAG));
	}
	return -1;
}

uint64_t pfn_middle(struct run *r)
{
	uint64_t first = UINT64_MAX, end = 0;

	read_regions(r);
	for (size_t i = 0; i < nr_regions; i++) {
		if (regions[i].mem_base < first)
			first = regions[i].mem_base;
		if (regions[i].mem_base + regions[i].mem_size > end)
			end = regions[i].mem_base + regions[i].mem_size;
	}
	return (first + (end - first) / 2) / page_size();
}

size_t pages_per_block(struct run *r)
{
	return (size_t)summary_now(r).block_pages * STATE_DATA_PER_TAG;
}

/*
 * The caller's own, kept open: when memory is full, opening a file asks for memory
 * that cannot come from tag storage, and that may be one page too many.
 */
static int own_pagemap(struct run *r)
{
	static pid_t owner;
	static int fd = -1;

	if (owner != getpid()) {
		if (fd >= 0)
			close(fd);
		owner = getpid();
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			bail_errno(r, "/proc/self/pagemap");
	}
	return fd;
}

/* Calls fn for each page. */
static void each_place(struct run *r, pid_t pid, const void *p, size_t n,
			   void (*fn)(struct run *r, size_t i, const struct place *w, void *arg),
			   void *arg)
{
	uint64_t words[PAGEMAP_BATCH], page = (uintptr_t)ptr_plain(p) / page_size();
	char path[64];
	int fd = pid ? -1 : own_pagemap(r);

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid ? pid : getpid());
	if (pid)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bail_errno(r, "%s", path);
	for (size_t i = 0; i < n;) {
		size_t batch = n - i < PAGEMAP_BATCH ? n - i : PAGEMAP_BATCH;
		ssize_t got = pread(fd, words, batch * 8, (off_t)((page + i) * 8));

		if (got < 8)
			bail_errno(r, "reading %s", path);
		for (size_t k = 0; k < (size_t)got / 8; k++, i++) {
			struct place w = {
				.present = words[k] & PAGEMAP_PRESENT,
				.swapped = words[k] & PAGEMAP_SWAPPED,
			};

			if (w.present)
				w.pfn = words[k] & PAGEMAP_PFN;
			if (w.present && !w.pfn)
				bail(r, "%s tells no page frames: this must be run as root", path);
			fn(r, i, &w, arg);
		}
	}
	if (pid)
		close(fd);
}

static void keep_place(struct run *r, size_t i, const struct place *w, void *arg)
{
	(void)r;
	((struct place *)arg)[i] = *w;
}

void places_now(struct run *r, pid_t pid, const void *p, size_t n, struct place *where)
{
	each_place(r, pid, p, n, keep_place, where);
}

struct tally {
	size_t present, swapped, in_tag_storage;
};

static void tally_place(struct run *r, size_t i, const struct place *w, void *arg)
{
	struct tally *t = arg;

	(void)r;
	(void)i;
	t->present += w->present;
	t->swapped += w->swapped;
}

static void tally_storage(struct run *r, size_t i, const struct place *w, void *arg)
{
	struct tally *t = arg;

	(void)i;
	t->in_tag_storage += w->present && pfn_in_tag_storage(r, w->pfn);
}

size_t pages_present(struct run *r, pid_t pid, const void *p, size_t n)
{
	struct tally t = { 0 };

	each_place(r, pid, p, n, tally_place, &t);
	return t.present;
}

size_t pages_swapped(struct run *r, pid_t pid, const void *p, size_t n)
{
	struct tally t = { 0 };

	each_place(r, pid, p, n, tally_place, &t);
	return t.swapped;
}

size_t pages_in_tag_storage(struct run *r, pid_t pid, const void *p, size_t n)
{
	struct tally t = { 0 };

	each_place(r, pid, p, n, tally_storage, &t);
	return t.in_tag_storage;
}

/* Of n pages, those in memory; of a shared mapping also those that the caller does not map. */
static size_t pages_in_memory(struct run *r, void *p, size_t n)
{
	unsigned char *in = malloc(n);
	size_t sum = 0;

	if (!in)
		bail(r, "out of memory");
	if (mincore(ptr_plain(p), n * page_size(), in))
		bail_errno(r, "mincore");
	for (size_t i = 0; i < n; i++)
		sum += in[i] & 1;
	free(in);
	return sum;
}

/*
 * What was written to a disk stays in the swap cache until somebody reclaims it, and
 * madvise() does not see it there any more. Takes other memory along.
 */
static void reclaim(size_t bytes)
{
	int fd = open("/sys/fs/cgroup/memory.reclaim", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* EAGAIN: it was less than that. The caller looks what is left. */
	if (dprintf(fd, "%zu", bytes) < 0 && errno != EAGAIN)
		perror("memory.reclaim");
	close(fd);
}

bool swap_out(struct run *r, void *p, size_t n, unsigned int ms)
{
	uint64_t until = now_ns() + (uint64_t)ms * 1000000;

	do {
		if (madvise(p, n * page_size(), MADV_PAGEOUT))
			bail_errno(r, "MADV_PAGEOUT");
		if (!pages_in_memory(r, p, n))
			return true;
		/* Some may wait in a CPU's batch to be put on the LRU. */
		settle(r);
		if (pages_in_memory(r, p, n))
			reclaim(n * page_size());
	} while (now_ns() < until);
	note(r, "%zu of %zu pages are not swapped out", pages_in_memory(r, p, n), n);
	return false;
}

size_t swap_devices(struct run *r, struct swap_device *d, size_t max)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[512];
	size_t n = 0;

	if (!f)
		bail_errno(r, "/proc/swaps");
	while (n < max && fgets(line, sizeof(line), f))
		if (sscanf(line, "/%254s %*s %*s %*s %d", d[n].path + 1, &d[n].priority) == 2)
			d[n++].path[0] = '/';
	fclose(f);
	return n;
}

size_t swap_devices_off(const struct swap_device *d, size_t n)
{
	size_t off = 0;

	for (size_t i = 0; i < n; i++)
		off += !swapoff(d[i].path);
	return off;
}

size_t swap_devices_on(const struct swap_device *d, size_t n)
{
	size_t on = 0;

	for (size_t i = 0; i < n; i++) {
		int flags = d[i].priority < 0 ? 0 :
			    SWAP_FLAG_PREFER | (d[i].priority & SWAP_FLAG_PRIO_MASK);

		on += !swapon(d[i].path, flags);
	}
	return on;
}

/* ---- What has tag storage ----------------------------------------------------- */

#define SETTLE_MS 5000
#define MAX_NOTES 4

/* What is wrong with how the tags of a page are stored; NULL: nothing. */
static const char *not_stored(const struct state_page *page, const struct state_tags *tags,
			      unsigned int may)
{
	if (!page->has_storage)
		return "it has no tag storage";
	if (!page->tagged)
		return "it is not tagged";
	if (page->in_tag_storage)
		return "it lies in tag storage itself";
	if (page->foa && !(may & STORED_FOA))
		return "it faults on access";
	if (page->block_state != BLOCK_RESERVED &&
	    !(page->block_state == BLOCK_PERMANENT && may & STORED_PERMANENT))
		return "its block is not reserved";
	if (!tags->valid || !tags->has_raw)
		return "the kernel does not tell its tags";
	return state_tags_agree(tags) ? NULL : "the bytes in tag storage are not its tags";
}

/* The same of a page that may not be there. */
static const char *why_not_stored(struct run *r, pid_t pid, const void *p, unsigned int may,
				  struct state_tags *tags)
{
	struct state_page page;

	if (!page_present(r, pid, p, &page))
		return "it is not there";
	*tags = tags_now(r, pid, p);
	return not_stored(&page, tags, may);
}

bool tags_stored(struct run *r, pid_t pid, const void *p, unsigned int may,
		 struct state_tags *tags)
{
	struct state_tags own;

	return !why_not_stored(r, pid, p, may, tags ? tags : &own);
}

size_t tags_not_stored(struct run *r, pid_t pid, const void *p, size_t n, unsigned int may)
{
	struct state_tags tags;
	size_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		const char *why = why_not_stored(r, pid, (const char *)p + i * page_size(), may,
						 &tags);

		if (why && !bad++)
			note(r, "page %zu of %zu: %s", i, n, why);
	}
	return bad;
}

static void note_pages_of_block(struct run *r, uint64_t block, unsigned int *left)
{
	for (size_t i = 0; i < nr_regions; i++) {
		const struct state_region *reg = &regions[i];
		uint64_t n = reg->block_size / page_size() * STATE_DATA_PER_TAG, pfn;

		if (block - reg->first_block >= reg->blocks)
			continue;
		pfn = reg->mem_base / page_size() + (block - reg->first_block) * n;
		for (; n && *left; n--, pfn++) {
			struct state_page page = pfn_now(r, pfn);

			if (!page.has_storage)
				continue;
			(*left)--;
			note(r,
			     "has tag storage: page 0x%" PRIx64 " of kind %s, %" PRId64
			     " references, mapped %" PRId64 " times, %son the LRU",
			     pfn, page.kind, page.refcount, page.mapcount, page.lru ? "" : "not ");
		}
	}
}

static void note_pages_with_storage(struct run *r)
{
	uint64_t blocks = summary_now(r).blocks;
	unsigned int left = MAX_NOTES;

	read_regions(r);
	for (uint64_t b = 0; b < blocks && left; b++)
		if (block_now(r, b).letter == BLOCK_RESERVED)
			note_pages_of_block(r, b, &left);
}

bool reserved_pages_settle(struct run *r, uint64_t want)
{
	if (eventually(100, summary_now(r).reserved_pages == want))
		return true;
	settle(r);
	if (eventually(SETTLE_MS, summary_now(r).reserved_pages == want))
		return true;
	note_pages_with_storage(r);
	return false;
}

#define HIGH_FRACTION "/proc/sys/vm/percpu_pagelist_high_fraction"

/* Nothing drains these lists on demand: shorten them, and have each CPU look at its own. */
void drain_free_lists(struct run *r)
{
	settle(r);
	if (kernel_write(HIGH_FRACTION, "100000"))
		bail_errno(r, HIGH_FRACTION);
	for (unsigned int i = 0; i < 64; i++)
		if (kernel_write("/proc/sys/vm/stat_refresh", "1"))
			bail_errno(r, "/proc/sys/vm/stat_refresh");
	if (kernel_write(HIGH_FRACTION, "0"))
		bail_errno(r, HIGH_FRACTION);
}

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
	};
	if (!m.total)
		bail(r, "/proc/meminfo has no MemTotal");
	return m;
}

uint64_t memory_reserve(struct run *r)
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
	/* Background reclaim begins a quarter above the minimum. */
	return min_free / 4 * 5 + 6 * MIB;
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

static void find_storage(struct run *r, size_t i, const struct place *w, void *arg)
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

	read_regions(r);
	own_pagemap(r);
	while (found < want && ballast_grow(r, b, CHUNK, keep)) {
		/* Before that nothing is put into tag storage: do not look in vain. */
		if (free_memory(r) > b->size / 8)
			continue;
		for (; checked < b->end; checked += CHUNK)
			found += pages_in_tag_storage(r, 0, b->base + checked % b->size,
						      CHUNK / page_size());
	}
	ballast_shrink(r, b, want_free);
	for (size_t off = b->first; off < b->end; off += CHUNK) {
		f.base = b->base + off % b->size;
		each_place(r, 0, f.base, CHUNK / page_size(), find_storage, &f);
	}
	return f.n;
}
