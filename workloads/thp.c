// SPDX-License-Identifier: GPL-2.0-only
/* workloads/thp.c: huge pages that are tagged: made, split, collapsed, copied, swapped. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>	/* MADV_COLLAPSE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "place.h"
#include "scenario.h"

#define RW (PROT_READ | PROT_WRITE)
#define HUGE_SIZE ((size_t)2 << 20)
#define HUGE_PAGES (HUGE_SIZE / page_size())
#define HUGE_ORDER 9
#define WAIT_MS 60000

static const struct role child_role = {
	.name = "child",
	.summary = "inherits a huge page and changes its tags",
	.user = ROLE_ROOT,
};

/* One huge page worth of address space, aligned, in a mapping of its own. */
struct huge {
	char *map, *p;
	uint64_t seed;
};

static struct huge huge_map(struct run *r, int prot, int fd)
{
	struct huge h = { .seed = rnd(r) };
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	h.map = mmap(NULL, 2 * HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h.map == MAP_FAILED)
		bail_errno(r, "mmap");
	h.p = h.map + (-(uintptr_t)h.map & (HUGE_SIZE - 1));
	if (mmap(h.p, HUGE_SIZE, prot, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		bail_errno(r, "mmap of a huge page");
	if (madvise(h.p, HUGE_SIZE, MADV_HUGEPAGE))
		skip(r, "this kernel has no transparent huge pages (MADV_HUGEPAGE: %s)",
		     strerror(errno));
	return h;
}

static void huge_unmap(struct run *r, const struct huge *h)
{
	if (munmap(h->map, 2 * HUGE_SIZE))
		bail_errno(r, "munmap");
}

static void fill(const struct huge *h)
{
	pattern_fill(h->p, HUGE_SIZE, h->seed, 0);
	tags_fill(h->p, HUGE_SIZE, h->seed, 1);
}

static void expect_content(struct run *r, const struct huge *h, const char *when)
{
	expect_intact(r, pattern_check(h->p, HUGE_SIZE, h->seed, 0), "%s: the data is intact",
		      when);
	expect_intact(r, tags_check(h->p, HUGE_SIZE, h->seed, 1), "%s: the tags are intact", when);
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

struct survey {
	size_t present, storage, tagged, foa, misplaced, disagree, blocks, not_reserved;
};

/* What the kernel says of each of the 512 pages; raw tags of every 16th. */
static struct survey look(struct run *r, const struct huge *h)
{
	struct survey s = { 0 };
	int64_t last = -1;

	for (size_t i = 0; i < HUGE_PAGES; i++) {
		const char *p = h->p + i * page_size();
		struct state_page page;

		if (!page_present(r, 0, p, &page))
			continue;
		s.present++;
		s.storage += page.has_storage;
		s.tagged += page.tagged;
		s.foa += page.foa;
		s.misplaced += page.in_tag_storage;
		s.not_reserved += page.has_storage && page.block_state != BLOCK_RESERVED &&
				  page.block_state != BLOCK_PERMANENT;
		s.blocks += page.block != last;
		last = page.block;
		if (page.tagged && i % 16 == 0) {
			struct state_tags tags = tags_now(r, 0, p);

			s.disagree += !tags.valid || !tags.has_raw || !state_tags_agree(&tags);
		}
	}
	return s;
}

/* All of it is tagged, and has its tags in tag storage. */
static void expect_all_tagged(struct run *r, const struct huge *h, const char *when)
{
	struct survey s = look(r, h);

	expect_eq_u64(r, s.storage, HUGE_PAGES, "%s: all 512 pages have tag storage", when);
	expect_eq_u64(r, s.tagged, HUGE_PAGES, "%s: all 512 pages are tagged", when);
	expect_eq_u64(r, s.not_reserved, 0, "%s: their blocks are reserved", when);
	expect_eq_u64(r, s.misplaced, 0, "%s: none of them lies in tag storage", when);
	expect_eq_u64(r, s.disagree, 0, "%s: the bytes in tag storage are the tags", when);
}

static bool collapse(struct run *r, const struct huge *h, const char *what)
{
	/* A page of it may wait on some CPU to be put on the LRU, and then cannot move. */
	bool done = eventually(5000, !madvise(h->p, HUGE_SIZE, MADV_COLLAPSE) ||
				     (settle(r), false));

	return expect(r, done, "%s: it can be collapsed to a huge page", what);
}

/* ---- At fault ---------------------------------------------------------------------- */

static void inherits(struct run *r, void *arg)
{
	const struct huge *h = arg;
	struct huge half = *h;

	expect_content(r, h, "in the child");
	half.seed = h->seed + 1;
	for (size_t i = 0; i < HUGE_PAGES; i += 2)
		tags_fill(h->p + i * page_size(), page_size(), half.seed, i);
	for (size_t i = 0; i < HUGE_PAGES; i += 2)
		if (tags_check(h->p + i * page_size(), page_size(), half.seed, i).count)
			bail(r, "the child's own tags are gone");
}

static void at_fault(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, RW | PROT_MTE, -1);
	size_t drop = HUGE_PAGES / 4;
	struct state_page page;

	step(r,
	     "The program writes one byte to memory mapped with PROT_MTE for which it wants huge pages. The kernel takes 2 MiB at once, and needs the tag storage of all 512 pages at once.");
	h.p[0] = 1;
	page = page_now(r, 0, h.p);
	require(r, page.order == HUGE_ORDER, "the page is a huge page");
	expect_eq_u64(r, huge_mapped(r, h.p), HUGE_SIZE, "it is mapped as one");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, HUGE_PAGES,
		      "one byte written, storage for the tags of 512 pages");
	expect_intact(r, tags_check_same(h.p, HUGE_SIZE, 0), "its tags begin as 0");
	fill(&h);
	expect_all_tagged(r, &h, "at fault");
	measure(r, "blocks_of_a_huge_page", "blocks", (double)look(r, &h).blocks);

	step(r,
	     "It forks. The child changes the tags of every second page; a copy is made of each such page, and the parent's stays as it is.");
	expect_role_done(r, role_spawn(r, &child_role, inherits, &h), WAIT_MS);
	expect_content(r, &h, "in the parent, after the child");

	step(r,
	     "A quarter of it is dropped, which splits the huge page: the rest keeps data and tags, and what is touched again is new.");
	if (madvise(h.p, drop * page_size(), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	for (size_t i = 0; i < drop; i++)
		h.p[i * page_size()] = 1;
	expect_intact(r, tags_check_same(h.p, drop * page_size(), 0), "the new pages' tags are 0");
	pattern_fill(h.p, HUGE_SIZE, h.seed, 0);
	tags_fill(h.p, drop * page_size(), h.seed, 1);
	expect_content(r, &h, "split");
	expect_all_tagged(r, &h, "split");
	huge_unmap(r, &h);
	expect(r, reserved_pages_settle(r, start), "unmapped, none of it has tag storage");
}

/* ---- Made taggable later ------------------------------------------------------------- */

static void by_mprotect(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, RW, -1);
	struct state_summary before, after;

	step(r,
	     "An untagged huge page full of data becomes taggable with mprotect(). Nothing happens to it until it is accessed: its one entry faults as a whole.");
	pattern_fill(h.p, HUGE_SIZE, h.seed, 0);
	require(r, page_now(r, 0, h.p).order == HUGE_ORDER, "the untagged page is a huge page");
	before = summary_now(r);
	if (mprotect(h.p, HUGE_SIZE, RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	after = summary_now(r);
	expect_eq_u64(r, after.reserved_pages, start, "mprotect alone reserves nothing");
	expect_eq_u64(r, look(r, &h).foa, HUGE_PAGES, "all of it faults on access");
	expect_eq_u64(r, huge_mapped(r, h.p), HUGE_SIZE, "it is still mapped as a huge page");

	step(r, "One access gets storage for all of it.");
	expect(r, probe_load(h.p + HUGE_SIZE / 2).signal == 0, "the access works");
	after = summary_now(r);
	expect_eq_u64(r, after.reserved_pages - start, HUGE_PAGES,
		      "after one access all 512 pages have tag storage");
	expect_eq_u64(r, after.foa_fault - before.foa_fault, 1, "it took one such fault");
	expect_eq_u64(r, huge_mapped(r, h.p), HUGE_SIZE, "the access did not split it");
	expect_intact(r, tags_check_same(h.p, HUGE_SIZE, 0), "the tags of the data begin as 0");
	tags_fill(h.p, HUGE_SIZE, h.seed, 1);
	expect_content(r, &h, "after mprotect");
	expect_all_tagged(r, &h, "after mprotect");
	huge_unmap(r, &h);
	expect(r, reserved_pages_settle(r, start), "unmapped, the storage is given back");
}

/* ---- Collapse, move, swap ------------------------------------------------------------ */

static void collapsed(struct run *r, uint64_t start)
{
	struct huge h = huge_map(r, RW | PROT_MTE, -1), to;

	step(r,
	     "512 small tagged pages, from all over memory, are collapsed to one huge page: data and tags are copied, and the copy's tag storage must be there first.");
	if (madvise(h.p, HUGE_SIZE, MADV_NOHUGEPAGE))
		bail_errno(r, "MADV_NOHUGEPAGE");
	fill(&h);
	expect_eq_u64(r, page_now(r, 0, h.p).order, 0, "without advice the pages are small");
	if (madvise(h.p, HUGE_SIZE, MADV_HUGEPAGE))
		bail_errno(r, "MADV_HUGEPAGE");
	if (collapse(r, &h, "tagged memory"))
		expect_eq_u64(r, huge_mapped(r, h.p), HUGE_SIZE, "it is a huge page now");
	expect_content(r, &h, "collapsed");
	expect_all_tagged(r, &h, "collapsed");
	expect(r, reserved_pages_settle(r, start + HUGE_PAGES), "the small pages' storage is given back");

	step(r, "mremap() moves the huge page to another address.");
	to = huge_map(r, PROT_NONE, -1);
	if (mremap(h.p, HUGE_SIZE, HUGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to.p) != to.p)
		bail_errno(r, "mremap");
	to.seed = h.seed;
	expect_eq_u64(r, huge_mapped(r, to.p), HUGE_SIZE, "it is a huge page there, too");
	expect_content(r, &to, "moved");

	if (memory_now(r).swap_free > 4 * HUGE_SIZE) {
		step(r,
		     "It is swapped out, as a whole or in parts, and comes back when it is read; then it is collapsed again.");
		if (expect(r, swap_out(r, to.p, HUGE_PAGES, WAIT_MS) &&
			   pages_swapped(r, 0, to.p, HUGE_PAGES) == HUGE_PAGES,
			   "all of it is swapped out"))
			expect(r, reserved_pages_settle(r, start), "swapped out, it has no tag storage");
		expect_content(r, &to, "swapped in");
		expect_all_tagged(r, &to, "swapped in");
		if (collapse(r, &to, "what was swapped"))
			expect_content(r, &to, "collapsed after swap");
	} else {
		note(r, "no swap: what happens to a huge page that is swapped out is left out");
	}
	huge_unmap(r, &to);
	huge_unmap(r, &h);
	expect(r, reserved_pages_settle(r, start), "after all this the storage is given back");
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
	h = huge_map(r, RW | PROT_MTE, fd);
	plain = huge_map(r, RW, fd);
	fill(&h);
	collapse(r, &h, "shared memory");
	expect_content(r, &h, "shared memory, collapsed");
	expect_all_tagged(r, &h, "shared memory, collapsed");
	plain.seed = h.seed;
	expect_intact(r, pattern_check(plain.p, HUGE_SIZE, h.seed, 0),
		      "the untagged mapping sees the data");

	step(r, "The untagged mapping becomes tagged, too.");
	if (mprotect(plain.p, HUGE_SIZE, RW | PROT_MTE))
		bail_errno(r, "mprotect of the second mapping");
	expect_content(r, &plain, "the second mapping, tagged");
	huge_unmap(r, &h);
	huge_unmap(r, &plain);
	close(fd);
	expect(r, reserved_pages_settle(r, start), "the memfd is gone, and its storage given back");
}

/* ---- The huge zero page ------------------------------------------------------------------ */

static void zero(struct run *r)
{
	struct huge h = huge_map(r, RW | PROT_MTE, -1);
	uint64_t sum = 0;

	step(r,
	     "Memory that was never written is read: the kernel maps its huge page of zeroes, which is everybody's. Its tags are 0, and a tag that is set here must not show there.");
	for (size_t i = 0; i < HUGE_SIZE; i += page_size())
		sum += (unsigned char)h.p[i];
	expect_eq_u64(r, sum, 0, "it reads as zeroes");
	expect_intact(r, tags_check_same(h.p, HUGE_SIZE, 0), "the tags of the huge zero page are 0");
	expect_eq_u64(r, look(r, &h).misplaced, 0, "it does not lie in tag storage");
	tag_store(h.p + HUGE_SIZE / 2, 7);
	expect_eq_u64(r, tag_load(h.p + HUGE_SIZE / 2), 7, "the tag that was set is there");
	expect_eq_u64(r, tag_load(h.p + HUGE_SIZE / 2 + MTE_GRANULE), 0, "its neighbour's is 0");
	huge_unmap(r, &h);
	h = huge_map(r, RW | PROT_MTE, -1);
	(void)*(volatile char *)h.p;
	expect_intact(r, tags_check_same(h.p, HUGE_SIZE, 0),
		      "who maps the huge zero page next finds tags of 0");
	huge_unmap(r, &h);
}

/* ---- Storage that cannot be had ------------------------------------------------------------ */

#define PIPE_BYTES ((size_t)1 << 20)

/* Hold these pages for as long as the pipes are there. */
static size_t pin_pages(struct run *r, char **pages, size_t n, int (*pipes)[2], size_t max_pipes)
{
	size_t held = 0;

	for (size_t k = 0; k < max_pipes && held < n; k++) {
		ssize_t one = 1;

		if (pipe2(pipes[k], O_CLOEXEC | O_NONBLOCK) ||
		    fcntl(pipes[k][1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
			bail_errno(r, "a pipe of %zu bytes", PIPE_BYTES);
		while (held < n && one == 1) {
			struct iovec v = { .iov_base = pages[held], .iov_len = 1 };

			one = vmsplice(pipes[k][1], &v, 1, SPLICE_F_NONBLOCK);
			held += one == 1;
		}
	}
	return held;
}

static void storage_held(struct run *r)
{
	enum { MAX = 4096 };
	size_t n = summary_now(r).blocks / 3, got, held;
	char **pages = calloc(MAX, sizeof(*pages));
	struct state_summary before, after;
	struct ballast *b = ballast_new(r);
	int (*pipes)[2] = calloc(MAX, sizeof(*pipes));
	size_t max_pipes = MAX / 256 + 1;
	struct huge h, old;
	struct survey s;

	if (!pages || !pipes)
		bail(r, "no memory");
	if (n > MAX)
		n = MAX;
	step(r,
	     "Somebody holds data in a third of tag storage, so that hardly any huge page finds all of its 16 blocks. Tagged memory then comes in small pages, but it comes.");
	old = huge_map(r, RW, -1);
	pattern_fill(old.p, HUGE_SIZE, old.seed, 0);
	switch_set(r, "move_before_pin", 0);
	got = ballast_into_tag_storage(r, b, n, memory_reserve(r) + 8 * HUGE_SIZE, pages, n);
	held = pin_pages(r, pages, got, pipes, max_pipes);
	note(r, "%zu pages in tag storage are held", held);
	require(r, held >= n / 2, "enough pages in tag storage are held");

	before = summary_now(r);
	h = huge_map(r, RW | PROT_MTE, -1);
	fill(&h);
	expect_content(r, &h, "storage held, new memory");
	expect_all_tagged(r, &h, "storage held, new memory");

	step(r,
	     "Data that is in a huge page already becomes taggable: what cannot be had for it as a whole is found page by page, after its mapping was split.");
	if (mprotect(old.p, HUGE_SIZE, RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	tags_fill(old.p, HUGE_SIZE, old.seed, 1);
	expect_content(r, &old, "storage held, data tagged later");
	expect_all_tagged(r, &old, "storage held, data tagged later");
	after = summary_now(r);
	s = look(r, &old);
	expect_eq_u64(r, s.foa, 0, "nothing of it faults any more");
	/* Where these pages lie is chance: mostly some of their storage is held. */
	measure(r, "reservations_failed", "1", (double)(after.reserve_busy - before.reserve_busy));
	expect_eq_u64(r, after.foa_sigbus, before.foa_sigbus, "nobody got SIGBUS");

	for (size_t k = 0; k < max_pipes; k++)
		if (pipes[k][1] && (close(pipes[k][0]) || close(pipes[k][1])))
			bail_errno(r, "close");
	huge_unmap(r, &h);
	huge_unmap(r, &old);
	expect_intact(r, ballast_check(b), "the data in tag storage is intact");
	ballast_free(b);
	free(pages);
	free(pipes);
}

/* The kernel switches them off itself where there are less than 512 MiB of memory. */
static void need_huge_pages(struct run *r)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	FILE *f = fopen(path, "re");
	char line[100];

	if (!f || !fgets(line, sizeof(line), f))
		skip(r, "this kernel has no transparent huge pages (%s)", path);
	if (fclose(f))
		bail_errno(r, "%s", path);
	if (strstr(line, "[never]"))
		skip(r, "transparent huge pages are off: write madvise to %s", path);
}

static void thp_run(struct run *r)
{
	struct state_summary start, end;

	need_huge_pages(r);
	/* The huge zero page has storage from its first use on, and may be there already. */
	zero(r);
	start = summary_now(r);
	at_fault(r, start.reserved_pages);
	by_mprotect(r, start.reserved_pages);
	collapsed(r, start.reserved_pages);
	shared(r, start.reserved_pages);
	end = summary_now(r);
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
	if (param_bool(r, "hold"))
		storage_held(r);
}

static const struct scenario thp_scenario = {
	.name = "thp",
	.kind = SCENARIO_WORKLOAD,
	.summary = "huge pages with tags: made, split, collapsed, moved, swapped",
	.explanation =
		"A huge page of 2 MiB needs tag storage for 512 pages at once, 16 pages of it. If that cannot be had, the kernel takes small pages instead. "
		"Small pages can be collapsed to a huge one later, and a huge one is split when a part of it goes another way; tags have to follow the data each time. "
		"The huge page of zeroes is shared by all who only read, and its tags must stay 0.",
	.groups = "thp",
	.params = PARAMS(
		P_BOOL("hold", "yes", "also with a third of tag storage held by somebody")),
	.needs = NEED_DRAM_TAGS,
	.min_memory = 600ULL << 20,
	.time_limit_s = 600,
	.roles = ROLES(&child_role),
	.run = thp_run,
};
SCENARIO(thp_scenario);
