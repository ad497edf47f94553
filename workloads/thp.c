// SPDX-License-Identifier: GPL-2.0-only
/* workloads/thp.c: huge pages that are tagged: made, split, collapsed, copied, swapped. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/mman.h>	/* MADV_COLLAPSE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"

#define HUGE_SIZE ((size_t)2 << 20)
#define HUGE_PAGES (HUGE_SIZE / page_size())
#define HUGE_ORDER 9
#define MID_ORDER 4
#define WAIT_MS 60000

static const struct role child_role = {
	.name = "child",
	.summary = "inherits a huge page, and reads it or changes its tags",
	.user = ROLE_ROOT,
};

/* One huge page worth of address space, aligned, in a mapping of its own. */
struct huge {
	char *map;
	struct area a;
};

static struct huge huge_map(struct run *r, int prot, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	struct huge h;
	char *p;

	h.map = mmap(NULL, 2 * HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h.map == MAP_FAILED)
		bail_errno(r, "mmap");
	p = h.map + (-(uintptr_t)h.map & (HUGE_SIZE - 1));
	if (mmap(p, HUGE_SIZE, prot, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		bail_errno(r, "mmap of a huge page");
	if (madvise(p, HUGE_SIZE, MADV_HUGEPAGE))
		skip(r, "this kernel has no transparent huge pages (MADV_HUGEPAGE: %s)",
		     strerror(errno));
	h.a = area_at(r, p, HUGE_PAGES);
	return h;
}

static void huge_unmap(struct run *r, const struct huge *h)
{
	if (munmap(h->map, 2 * HUGE_SIZE))
		bail_errno(r, "munmap");
}

/* How many bytes at p are mapped by huge entries, of anonymous or shared memory. */
static uint64_t huge_mapped(struct run *r, const void *p)
{
	unsigned long from, to, kb, at = (unsigned long)ptr_plain(p);
	FILE *f = fopen("/proc/self/smaps", "re");
	uint64_t sum = 0;
	bool in = false;
	char line[256];

	if (!f)
		bail_errno(r, "/proc/self/smaps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			in = from <= at && at < to;
		else if (in && (sscanf(line, "AnonHugePages: %lu kB", &kb) == 1 ||
				sscanf(line, "ShmemPmdMapped: %lu kB", &kb) == 1))
			sum += (uint64_t)kb * 1024;
	}
	if (fclose(f))
		bail_errno(r, "/proc/self/smaps");
	return sum;
}

static size_t blocks_of(struct run *r, const struct area *a)
{
	size_t blocks = 0;
	int64_t last = -1;

	for (size_t i = 0; i < a->n; i++) {
		int64_t block = page_now(r, 0, area_page(a, i)).block;

		blocks += block != last;
		last = block;
	}
	return blocks;
}

static size_t pages_foa(struct run *r, const struct area *a)
{
	size_t foa = 0;

	for (size_t i = 0; i < a->n; i++)
		foa += page_now(r, 0, area_page(a, i)).foa;
	return foa;
}

/* Contents as they should be, and all of its tags in tag storage. */
static void expect_all(struct run *r, const struct area *a, const char *when)
{
	area_expect(r, a, when);
	expect_eq_u64(r, area_bad_storage(r, 0, a), 0, "all 512 pages have their tags stored, %s",
		      when);
}

static bool collapse(struct run *r, const struct area *a, const char *what)
{
	/* A page of it may wait on some CPU to be put on the LRU, and then cannot move. */
	bool done = eventually(5000, !madvise(a->base, HUGE_SIZE, MADV_COLLAPSE) ||
				     (drain_lru(r), false));

	return expect(r, done, "%s: it can be collapsed to a huge page", what);
}

/* ---- Splitting -------------------------------------------------------------------- */

/* The largest folio here: its order. */
static unsigned int largest(struct run *r, const struct area *a)
{
	unsigned int order = 0;

	for (size_t i = 0; i < a->n; i++) {
		const char *p = area_page(a, i);
		struct state_page page;

		/* Shared memory that was split is not mapped any more. */
		(void)*(volatile const char *)p;
		page = page_now(r, 0, p);
		order = page.order > order ? page.order : order;
	}
	return order;
}

/* The file takes any request, and tells nothing of what came of it. */
static bool ask_to_split(struct run *r, const struct area *a, unsigned int order)
{
	static const char path[] = "/sys/kernel/debug/split_huge_pages";
	unsigned long at = (unsigned long)ptr_plain(a->base);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		bail_errno(r, "%s", path);
	done = dprintf(fd, "%d,0x%lx,0x%lx,%u", getpid(), at, at + area_len(a), order) > 0;
	close(fd);
	return done;
}

/* khugepaged would put together again what is split, with what was freed filled up. */
static void keep_small(struct run *r, const struct area *a)
{
	if (madvise(a->base, area_len(a), MADV_NOHUGEPAGE))
		bail_errno(r, "MADV_NOHUGEPAGE");
}

/* Not the mapping alone: the huge page itself becomes folios of this order. */
static bool split(struct run *r, const struct area *a, unsigned int order)
{
	keep_small(r, a);
	return eventually(10000, (ask_to_split(r, a, order) && largest(r, a) == order) ||
				 (drain_lru(r), false));
}

/* Every second page is freed, then the others. */
static void free_by_halves(struct run *r, const struct area *a, uint64_t start)
{
	struct mismatch data = { .count = 0 }, tags = { .is_tag = true };
	size_t bad = 0;

	for (size_t i = 0; i < a->n; i += 2)
		if (madvise(area_page(a, i), page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	expect(r, reserved_pages_wait(r, start + a->n / 2),
	       "split, the pages that are dropped give back their storage, and no others");
	for (size_t i = 1; i < a->n; i += 2) {
		const char *p = area_page(a, i);

		if (!data.count)
			data = pattern_check(p, page_size(), a->data, i);
		if (!tags.count)
			tags = tags_check(p, page_size(), a->tags, i);
		bad += !tags_stored(r, 0, p, STORED_PERMANENT, NULL);
	}
	expect_intact(r, data, "split, the data of those that stay is what it was");
	expect_intact(r, tags, "split, the tags of those that stay are what they were");
	expect_eq_u64(r, bad, 0, "split, those that stay have their tags stored");
	for (size_t i = 1; i < a->n; i += 2)
		if (madvise(area_page(a, i), page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	expect(r, reserved_pages_wait(r, start), "split, all dropped, none has tag storage");
}

static void splitting(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, AREA_RW | PROT_MTE, -1);

	step(r,
	     "A huge page with data and tags is split, first to folios of 16 pages, then to single pages. Nothing moves: each page keeps its storage and its tags, which until now were those of a part of the huge page.");
	area_write(r, &h.a);
	require(r, page_now(r, 0, h.a.base).order == HUGE_ORDER, "what will be split is a huge page");
	require(r, split(r, &h.a, MID_ORDER), "it can be split to folios of 16 pages");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, HUGE_PAGES,
		      "in folios of 16 pages it has as much storage as before");
	expect_all(r, &h.a, "in folios of 16 pages");
	require(r, split(r, &h.a, 0), "it can be split to single pages");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, HUGE_PAGES,
		      "in single pages it has as much storage as before");
	expect_all(r, &h.a, "in single pages");

	step(r,
	     "Each page is on its own now: it is freed by itself, and its storage with it.");
	free_by_halves(r, &h.a, start);
	huge_unmap(r, &h);

	step(r,
	     "Another huge page, all of whose tags are 0, is split into single pages at once.");
	h = huge_map(r, AREA_RW | PROT_MTE, -1);
	h.a.tags = 0;
	area_write_data(r, &h.a);
	require(r, page_now(r, 0, h.a.base).order == HUGE_ORDER, "the other one is a huge page, too");
	require(r, split(r, &h.a, 0), "the other one can be split");
	expect_all(r, &h.a, "split at once");
	area_write_tags(r, &h.a);
	expect_all(r, &h.a, "split at once, then tagged");
	huge_unmap(r, &h);
	expect(r, reserved_pages_wait(r, start), "split and unmapped, none has tag storage");
}

/* ---- At fault ---------------------------------------------------------------------- */

static void inherits(struct run *r, void *arg)
{
	const struct area *a = arg;

	area_expect(r, a, "in the child");
	for (size_t i = 0; i < a->n; i += 2)
		tags_fill(area_page(a, i), page_size(), a->tags + 1, i);
	for (size_t i = 0; i < a->n; i += 2)
		if (tags_check(area_page(a, i), page_size(), a->tags + 1, i).count)
			bail(r, "the child's own tags are gone");
}

static void at_fault(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, AREA_RW | PROT_MTE, -1);
	char *p = h.a.base;
	size_t drop = HUGE_PAGES / 4;
	struct state_page page;

	step(r,
	     "The program writes one byte to memory mapped with PROT_MTE for which it wants huge pages. The kernel takes 2 MiB at once, and needs the tag storage of all 512 pages at once.");
	p[0] = 1;
	page = page_now(r, 0, p);
	require(r, page.order == HUGE_ORDER, "the page is a huge page");
	expect_eq_u64(r, huge_mapped(r, p), HUGE_SIZE, "it is mapped as one");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, HUGE_PAGES,
		      "one byte written, storage for the tags of 512 pages");
	expect_intact(r, tags_check_same(p, HUGE_SIZE, 0), "its tags begin as 0");
	area_write(r, &h.a);
	expect_all(r, &h.a, "at fault");
	measure(r, "blocks_of_a_huge_page", "blocks", (double)blocks_of(r, &h.a));

	step(r,
	     "It forks. The child changes the tags of every second page; a copy is made of each such page, and the parent's stays as it is.");
	expect_role_done(r, role_spawn(r, &child_role, inherits, &h.a), WAIT_MS);
	area_expect(r, &h.a, "in the parent, after the child");

	step(r,
	     "A quarter of it is dropped, which splits its mapping: the rest keeps data and tags, and what is touched again is new.");
	if (madvise(p, drop * page_size(), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	for (size_t i = 0; i < drop; i++)
		p[i * page_size()] = 1;
	expect_intact(r, tags_check_same(p, drop * page_size(), 0), "the new pages' tags are 0");
	for (size_t i = 0; i < drop; i++) {
		pattern_fill(area_page(&h.a, i), page_size(), h.a.data, i);
		tags_fill(area_page(&h.a, i), page_size(), h.a.tags, i);
	}
	expect_all(r, &h.a, "mapped in parts");

	step(r,
	     "What was dropped is still a part of the huge page, and has tag storage, until that is split as well.");
	require(r, split(r, &h.a, 0), "what is left of it can be split");
	expect(r, reserved_pages_wait(r, start + HUGE_PAGES),
	       "split, what was dropped has no tag storage");
	expect_all(r, &h.a, "what was left of it split");
	huge_unmap(r, &h);
	expect(r, reserved_pages_wait(r, start), "unmapped, none of it has tag storage");
}

/* ---- Made taggable later ------------------------------------------------------------- */

/* Of its pages, those whose tags could not be stored now, since data is where they belong. */
static size_t without_free_storage(struct run *r, const struct area *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		char state = page_now(r, 0, area_page(a, i)).block_state;

		n += state != BLOCK_FREE && state != BLOCK_RESERVED;
	}
	return n;
}

/* An untagged huge page full of data, where no data is in the tag storage of any of its pages. */
static struct huge huge_with_free_storage(struct run *r)
{
	struct huge tried[16];
	size_t n = 0;
	bool found = false;

	while (!found && n < sizeof(tried) / sizeof(tried[0])) {
		struct huge *h = &tried[n++];

		*h = huge_map(r, AREA_RW, -1);
		area_write_data(r, &h->a);
		found = page_now(r, 0, h->a.base).order == HUGE_ORDER &&
			!without_free_storage(r, &h->a);
	}
	require(r, found, "one of %zu huge pages has its tag storage free", n);
	for (size_t i = 0; i + 1 < n; i++)
		huge_unmap(r, &tried[i]);
	return tried[n - 1];
}

static void by_mprotect(struct run *r, uint64_t start)
{
	struct huge h = huge_with_free_storage(r);
	struct state_summary before, after;

	step(r,
	     "An untagged huge page full of data becomes taggable with mprotect(). Where tag storage is free, all of it has storage at once.");
	area_protect(r, &h.a, true);
	h.a.tags = 0;
	expect_eq_u64(r, summary_now(r).reserved_pages - start, HUGE_PAGES,
		      "mprotect reserves what is free");
	expect_eq_u64(r, pages_foa(r, &h.a), 0, "none of it faults on access");
	expect_eq_u64(r, huge_mapped(r, h.a.base), HUGE_SIZE, "mprotect did not split it");
	expect_all(r, &h.a, "tagged at once");
	huge_unmap(r, &h);
	if (!failures_known(r, "mprotect of a huge page, storage full: it faults as a whole"))
		return;

	step(r,
	     "The same, when tag storage is full. Nothing happens to it until it is accessed: its one entry faults as a whole.");
	h = huge_map(r, AREA_RW, -1);
	area_write_data(r, &h.a);
	require(r, page_now(r, 0, h.a.base).order == HUGE_ORDER, "the untagged page is a huge page");
	require(r, reserved_pages_wait(r, start), "nothing of the first is left");
	before = summary_now(r);
	mprotect_storage_full(r, h.a.base, area_len(&h.a));
	after = summary_now(r);
	expect_eq_u64(r, after.reserved_pages, start, "nothing is reserved yet");
	expect_eq_u64(r, pages_foa(r, &h.a), HUGE_PAGES, "all of it faults on access");
	expect_eq_u64(r, huge_mapped(r, h.a.base), HUGE_SIZE, "it is still mapped as a huge page");

	step(r, "One access gets storage for all of it.");
	expect(r, probe_load(h.a.base + HUGE_SIZE / 2).signal == 0, "the access works");
	after = summary_now(r);
	expect_eq_u64(r, after.reserved_pages - start, HUGE_PAGES,
		      "after one access all 512 pages have tag storage");
	expect_eq_u64(r, after.foa_fault - before.foa_fault, 1, "it took one such fault");
	expect_eq_u64(r, huge_mapped(r, h.a.base), HUGE_SIZE, "the access did not split it");
	expect_intact(r, tags_check_same(h.a.base, HUGE_SIZE, 0), "the tags of the data begin as 0");
	area_write_tags(r, &h.a);
	expect_all(r, &h.a, "after mprotect");
	huge_unmap(r, &h);
	expect(r, reserved_pages_wait(r, start), "unmapped, the storage is given back");
}

/* ---- Collapse, move, swap ------------------------------------------------------------ */

static void collapsed(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, AREA_RW | PROT_MTE, -1), to;
	char *p;

	step(r,
	     "512 small tagged pages, from all over memory, are collapsed to one huge page: data and tags are copied, and the copy's tag storage must be there first.");
	if (madvise(h.a.base, HUGE_SIZE, MADV_NOHUGEPAGE))
		bail_errno(r, "MADV_NOHUGEPAGE");
	area_write(r, &h.a);
	expect_eq_u64(r, page_now(r, 0, h.a.base).order, 0, "without advice the pages are small");
	if (madvise(h.a.base, HUGE_SIZE, MADV_HUGEPAGE))
		bail_errno(r, "MADV_HUGEPAGE");
	if (collapse(r, &h.a, "tagged memory"))
		expect_eq_u64(r, huge_mapped(r, h.a.base), HUGE_SIZE, "it is a huge page now");
	expect_all(r, &h.a, "collapsed");
	expect(r, reserved_pages_wait(r, start + HUGE_PAGES),
	       "the small pages' storage is given back");

	step(r, "mremap() moves the huge page to another address.");
	to = huge_map(r, PROT_NONE, -1);
	p = to.a.base;
	if (mremap(h.a.base, HUGE_SIZE, HUGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
		bail_errno(r, "mremap");
	to.a.data = h.a.data;
	to.a.tags = h.a.tags;
	expect_eq_u64(r, huge_mapped(r, p), HUGE_SIZE, "it is a huge page there, too");
	area_expect(r, &to.a, "moved");

	if (memory_now(r).swap_free > 4 * HUGE_SIZE) {
		step(r,
		     "It is swapped out, as a whole or in parts, and comes back when it is read; then it is collapsed again.");
		if (expect(r, swap_out(r, p, HUGE_PAGES, WAIT_MS) &&
			   pages_swapped(r, 0, p, HUGE_PAGES) == HUGE_PAGES,
			   "all of it is swapped out"))
			expect(r, reserved_pages_wait(r, start),
			       "swapped out, it has no tag storage");
		expect_all(r, &to.a, "swapped in");
		if (collapse(r, &to.a, "what was swapped"))
			expect_all(r, &to.a, "collapsed after swap");
	} else {
		skip_result(r, "no swap", "a huge page that is swapped out comes back with its tags");
	}
	huge_unmap(r, &to);
	huge_unmap(r, &h);
	expect(r, reserved_pages_wait(r, start), "after all this the storage is given back");
}

/* ---- Shared memory --------------------------------------------------------------------- */

static void shared(struct run *r, uint64_t start)
{
	int fd = memfd_create("tagscope-thp", MFD_CLOEXEC);
	struct huge h, plain;

	step(r,
	     "A memfd is mapped tagged and untagged, filled through the tagged mapping, and collapsed: both mappings see the data, and the tags are there.");
	if (fd < 0 || ftruncate(fd, (off_t)HUGE_SIZE))
		bail_errno(r, "memfd");
	h = huge_map(r, AREA_RW | PROT_MTE, fd);
	plain = huge_map(r, AREA_RW, fd);
	area_write(r, &h.a);
	collapse(r, &h.a, "shared memory");
	expect_all(r, &h.a, "shared memory, collapsed");
	plain.a.data = h.a.data;
	plain.a.tags = h.a.tags;
	expect_intact(r, area_check_data(&plain.a), "the untagged mapping sees the data");

	step(r, "The untagged mapping becomes tagged, too.");
	area_protect(r, &plain.a, true);
	area_expect(r, &plain.a, "the second mapping, tagged");

	step(r, "The huge page of the memfd is split: both mappings see what they saw.");
	keep_small(r, &plain.a);
	require(r, split(r, &h.a, 0), "a huge page of shared memory can be split");
	expect_all(r, &h.a, "shared memory, split");
	expect_all(r, &plain.a, "the second mapping, split");
	expect(r, reserved_pages_wait(r, start + HUGE_PAGES),
	       "split, it has as much storage as before");
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)HUGE_SIZE / 2))
		bail_errno(r, "fallocate");
	expect(r, reserved_pages_wait(r, start + HUGE_PAGES / 2),
	       "split, the half that is punched out gives back its storage");
	huge_unmap(r, &h);
	huge_unmap(r, &plain);
	close(fd);
	expect(r, reserved_pages_wait(r, start), "the memfd is gone, and its storage given back");
}

/* ---- The huge zero page ------------------------------------------------------------------ */

static void zero(struct run *r)
{
	struct huge h = huge_map(r, AREA_RW | PROT_MTE, -1);
	char *p = h.a.base;
	uint64_t sum = 0;

	step(r,
	     "Memory that was never written is read: the kernel maps its huge page of zeroes, which is everybody's. Its tags are 0, and a tag that is set here must not show there.");
	for (size_t i = 0; i < HUGE_SIZE; i += page_size())
		sum += (unsigned char)p[i];
	expect_eq_u64(r, sum, 0, "it reads as zeroes");
	expect_intact(r, tags_check_same(p, HUGE_SIZE, 0), "the tags of the huge zero page are 0");
	expect_eq_u64(r, pages_in_tag_storage(r, 0, p, HUGE_PAGES), 0,
		      "it does not lie in tag storage");
	tag_store(p + HUGE_SIZE / 2, 7);
	expect_eq_u64(r, tag_load(p + HUGE_SIZE / 2), 7, "the tag that was set is there");
	expect_eq_u64(r, tag_load(p + HUGE_SIZE / 2 + MTE_GRANULE), 0, "its neighbour's is 0");
	huge_unmap(r, &h);
	h = huge_map(r, AREA_RW | PROT_MTE, -1);
	(void)*(volatile char *)h.a.base;
	expect_intact(r, tags_check_same(h.a.base, HUGE_SIZE, 0),
		      "who maps the huge zero page next finds tags of 0");
	huge_unmap(r, &h);
}

/* ---- Storage that is short ------------------------------------------------------------------ */

/* In a child, which can be waited for: an access that cannot be completed may never end. */
static void reads(struct run *r, void *arg)
{
	const struct area *a = arg;

	expect(r, !probe_load(a->base + HUGE_SIZE / 2).signal, "the access works");
	area_expect(r, a, "in the child");
}

static void reads_or_fails(struct run *r, void *arg)
{
	const struct area *a = arg;
	struct probe p = probe_load(a->base + HUGE_SIZE / 2);

	expect(r, !p.signal || p.signal == SIGBUS, "the access works, or ends in SIGBUS");
}

/* Small pages with tags, of a memfd or not, that are wanted as a huge one. */
static struct huge small_pages(struct run *r, int fd)
{
	struct huge h = huge_map(r, AREA_RW | PROT_MTE, fd);

	keep_small(r, &h.a);
	area_write(r, &h.a);
	if (madvise(h.a.base, HUGE_SIZE, MADV_HUGEPAGE))
		bail_errno(r, "MADV_HUGEPAGE");
	return h;
}

static void collapsed_when_short(struct run *r, bool in_file, uint64_t start)
{
	const char *what = in_file ? "shared memory" : "private memory";
	int fd = in_file ? memfd_create("tagscope-thp", MFD_CLOEXEC) : -1;
	struct huge h;

	if (in_file && (fd < 0 || ftruncate(fd, (off_t)HUGE_SIZE)))
		bail_errno(r, "memfd");
	h = small_pages(r, fd);
	drain_lru(r);
	storage_shortage(r, STORAGE_HELD);
	/* It fails, unless khugepaged was faster, for which there is storage. */
	if (!madvise(h.a.base, HUGE_SIZE, MADV_COLLAPSE))
		note(r, "%s was collapsed", what);
	storage_shortage(r, STORAGE_NORMAL);
	expect_all(r, &h.a, in_file ? "shared memory, asked to be collapsed" :
				      "private memory, asked to be collapsed");
	storage_shortage(r, STORAGE_FULL);
	if (collapse(r, &h.a, in_file ? "shared memory, storage full" :
					"private memory, storage full"))
		expect_eq_u64(r, page_now(r, 0, h.a.base).order, HUGE_ORDER,
			      "%s: it is a huge page now", what);
	storage_shortage(r, STORAGE_NORMAL);
	expect_all(r, &h.a, in_file ? "shared memory, collapsed with storage full" :
				      "private memory, collapsed with storage full");
	huge_unmap(r, &h);
	if (in_file)
		close(fd);
	expect(r, reserved_pages_wait(r, start), "%s: unmapped, none has tag storage", what);
}

static void pending_when_full(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, AREA_RW, -1);

	area_write_data(r, &h.a);
	require(r, page_now(r, 0, h.a.base).order == HUGE_ORDER, "storage full: there is a huge page");
	mprotect_storage_full(r, h.a.base, area_len(&h.a));
	h.a.tags = 0;
	storage_shortage(r, STORAGE_FULL);
	expect_role_done(r, role_spawn(r, &child_role, reads, &h.a), WAIT_MS);
	storage_shortage(r, STORAGE_NORMAL);
	expect_all(r, &h.a, "tagged later, storage full");
	huge_unmap(r, &h);
	expect(r, reserved_pages_wait(r, start), "storage full: unmapped, none has tag storage");
}

static void file_when_held(struct run *r, uint64_t start)
{
	int fd = memfd_create("tagscope-thp", MFD_CLOEXEC);
	struct huge plain, h;

	if (fd < 0 || ftruncate(fd, (off_t)HUGE_SIZE))
		bail_errno(r, "memfd");
	plain = huge_map(r, AREA_RW, fd);
	area_write_data(r, &plain.a);
	collapse(r, &plain.a, "untagged shared memory");
	require(r, page_now(r, 0, plain.a.base).order == HUGE_ORDER,
		"storage held: there is a huge page of shared memory");
	h = huge_map(r, AREA_RW | PROT_MTE, fd);
	h.a.data = plain.a.data;
	h.a.tags = 0;
	storage_shortage(r, STORAGE_HELD);
	expect_role_done(r, role_spawn(r, &child_role, reads_or_fails, &h.a), WAIT_MS);
	storage_shortage(r, STORAGE_NORMAL);
	expect_all(r, &h.a, "shared memory, when storage is not held any more");
	expect_intact(r, area_check_data(&plain.a), "the untagged mapping sees the data, too");
	huge_unmap(r, &h);
	huge_unmap(r, &plain);
	close(fd);
	expect(r, reserved_pages_wait(r, start), "storage held: unmapped, none has tag storage");
}

static void storage_short(struct run *r, uint64_t start)
{
	if (!failures_known(r, "small pages are collapsed when storage is short"))
		return;
	step(r,
	     "Small pages are to be collapsed while there is no storage for the tags of a huge one: that fails, and nothing is lost. When storage is only full of data, it has to be emptied, and the collapse works.");
	collapsed_when_short(r, false, start);
	collapsed_when_short(r, true, start);

	step(r,
	     "An untagged huge page becomes taggable, and is accessed when storage is full: the fault has to empty the blocks of all of it.");
	pending_when_full(r, start);

	step(r,
	     "A huge page of a memfd is accessed through a new mapping, a tagged one, while no tag storage is available. It cannot be mapped as a whole; the fault must not try for ever.");
	file_when_held(r, start);
}

/* ---- Storage that is held ------------------------------------------------------------------- */

static void storage_held(struct run *r)
{
	enum { MAX = 4096 };
	size_t n = summary_now(r).blocks / 3, held;
	char **pages = calloc(MAX, sizeof(*pages));
	struct state_summary before, after;
	struct ballast *b = ballast_new(r);
	struct huge h, old;
	struct pins *pins;

	if (!pages)
		bail(r, "no memory");
	if (n > MAX)
		n = MAX;
	step(r,
	     "Somebody holds data in a third of tag storage, so that hardly any huge page finds all of its 16 blocks. Tagged memory then comes in small pages, but it comes.");
	old = huge_map(r, AREA_RW, -1);
	area_write_data(r, &old.a);
	switch_set(r, "move_before_pin", 0);
	held = ballast_into_tag_storage(r, b, n, memory_reserve(r) + 8 * HUGE_SIZE, pages, n);
	pins = pin_pages(r, pages, held);
	note(r, "%zu pages in tag storage are held", held);
	require(r, held >= n / 2, "enough pages in tag storage are held");

	before = summary_now(r);
	h = huge_map(r, AREA_RW | PROT_MTE, -1);
	area_write(r, &h.a);
	expect_all(r, &h.a, "storage held, new memory");

	step(r,
	     "Data that is in a huge page already becomes taggable: storage that is not found for it as a whole is found page by page, after its mapping was split.");
	area_protect(r, &old.a, true);
	area_write_tags(r, &old.a);
	expect_all(r, &old.a, "storage held, data tagged later");
	after = summary_now(r);
	/* Where these pages lie is chance: mostly some of their storage is held. */
	measure(r, "reservations_failed", "1", (double)(after.reserve_busy - before.reserve_busy));
	expect_eq_u64(r, after.foa_sigbus, before.foa_sigbus, "nobody got SIGBUS");

	unpin_pages(pins);
	huge_unmap(r, &h);
	huge_unmap(r, &old);
	expect_intact(r, ballast_check(b), "the data in tag storage is intact");
	ballast_free(b);
	free(pages);
}

static void thp_run(struct run *r)
{
	struct state_summary start, end;

	if (!huge_pages_here())
		skip(r, "transparent huge pages are off, or not in this kernel");
	/* A page that is being moved counts twice. */
	gather_nothing(r);
	/* The huge zero page has storage from its first use on, and may be there already. */
	zero(r);
	start = summary_now(r);
	at_fault(r, start.reserved_pages);
	splitting(r, start.reserved_pages);
	by_mprotect(r, start.reserved_pages);
	collapsed(r, start.reserved_pages);
	shared(r, start.reserved_pages);
	end = summary_now(r);
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
	storage_short(r, start.reserved_pages);
	if (!param_bool(r, "hold"))
		skip_result(r, "hold=no", "tagged memory comes when tag storage is held");
	else if (storage_takes_data(r, "tagged memory comes when tag storage is held"))
		storage_held(r);
}

static const struct scenario thp_scenario = {
	.name = "thp",
	.kind = SCENARIO_WORKLOAD,
	.summary = "huge pages with tags: made, split, collapsed, moved, swapped",
	.explanation =
		"A huge page of 2 MiB needs tag storage for 512 pages at once, 16 pages of it. If that is not available, the kernel takes small pages instead. "
		"Small pages can be collapsed to a huge one later, and a huge one is split when a part of it goes another way; tags have to follow the data each time. "
		"The huge page of zeroes is shared by all who only read, and its tags must stay 0.",
	.groups = "thp",
	.params = PARAMS(
		P_BOOL("hold", "yes", "also with a third of tag storage held by somebody")),
	.needs = NEED_DRAM_TAGS,
	.min_memory = 600ULL << 20,
	.time_limit_s = 600,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.roles = ROLES(&child_role),
	.run = thp_run,
};
SCENARIO(thp_scenario);
