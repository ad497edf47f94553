// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/memory-failure.c: memory that fails: tagged pages, huge ones, shared ones,
 * and the storage of tags, with data in it, free, and with tags.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/mman.h>	/* MADV_SOFT_OFFLINE */
#include <signal.h>
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

#define WAIT_MS 60000
#define HUGE_SIZE ((size_t)2 << 20)
#define HUGE_PAGES (HUGE_SIZE / page_size())
#define HUGE_ORDER 9
/* Every fourth page fails, beginning with the second. */
#define EVERY 4
#define FIRST 1
#define MAX_BAD 16
#define HWPOISON_DIR "/sys/kernel/debug/hwpoison/"

static const struct role child_role = {
	.name = "child",
	.summary = "inherits memory of which some has failed",
	.user = ROLE_ROOT,
};

/* ---- Failure and repair -------------------------------------------------------------- */

/* 0 or -errno. */
static int page_fails(struct run *r, uint64_t pfn)
{
	return kernel_write(r, HWPOISON_DIR "corrupt-pfn", "0x%" PRIx64, pfn);
}

static bool is_bad(struct run *r, uint64_t pfn)
{
	uint64_t flags;

	page_flags(r, pfn, 1, &flags);
	return flags & PAGE_FLAG_HWPOISON;
}

static size_t count_bad(struct run *r, const uint64_t *pfn, size_t n)
{
	size_t bad = 0;

	for (size_t i = 0; i < n; i++)
		bad += is_bad(r, pfn[i]);
	return bad;
}

/* Page frames that the kernel holds to be bad. */
static uint64_t all_bad(struct run *r)
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t kib = UINT64_MAX;
	char line[128];

	if (!f)
		bail_errno(r, "/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "HardwareCorrupted:", 18))
			kib = strtoull(line + 18, NULL, 10);
	fclose(f);
	if (kib == UINT64_MAX)
		bail(r, "/proc/meminfo has no HardwareCorrupted");
	return kib * 1024 / page_size();
}

/* The machine gets them back: they never were bad. */
static void repair(struct run *r, const uint64_t *pfn, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int err = kernel_write(r, HWPOISON_DIR "unpoison-pfn", "0x%" PRIx64, pfn[i]);

		if (err)
			note(r, "page frame 0x%" PRIx64 " stays out of use: %s", pfn[i],
			     strerror(-err));
	}
	expect_eq_u64(r, count_bad(r, pfn, n), 0, "what had failed can be used again");
}

/* A page that has tags and nowhere to store them. */
static size_t tagged_without_storage(struct run *r, const uint64_t *pfn, size_t n)
{
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++) {
		struct state_page page = pfn_now(r, pfn[i]);

		wrong += page.tagged && !page.has_storage;
	}
	return wrong;
}

static void poison(void *p)
{
	/* Ends by the signal, unless the kernel does not send it. */
	if (madvise(p, page_size(), MADV_HWPOISON))
		perror("MADV_HWPOISON");
}

static void load_tag(void *p)
{
	tag_load(p);
}

static bool is_mce(struct probe p)
{
	return p.signal == SIGBUS && p.code == BUS_MCEERR_AR;
}

static bool is_mce_at(struct probe p, const void *at)
{
	uintptr_t off = (uintptr_t)ptr_plain(p.addr) - (uintptr_t)at;

	return is_mce(p) && off < page_size();
}

static bool fails(size_t i)
{
	return i % EVERY == FIRST;
}

struct rest {
	struct mismatch data, tags;
	size_t bad_storage;
};

/* Of the pages that did not fail; what is wrong with them. */
static struct rest check_rest(const struct area *a)
{
	struct rest rest = { .tags = { .is_tag = true } };

	for (size_t i = 0; i < a->n; i++) {
		const char *p = area_page(a, i);

		if (fails(i))
			continue;
		if (!rest.data.count)
			rest.data = pattern_check(p, page_size(), a->data, i);
		if (!rest.tags.count)
			rest.tags = a->tags ? tags_check(p, page_size(), a->tags, i) :
					      tags_check_same(p, page_size(), 0);
	}
	return rest;
}

static void expect_rest(struct run *r, const struct area *a, const char *when)
{
	struct rest rest = check_rest(a);

	expect_intact(r, rest.data, "%s: the data of the others is intact", when);
	expect_intact(r, rest.tags, "%s: the tags of the others are intact", when);
}

static size_t rest_without_storage(struct run *r, const struct area *a)
{
	size_t wrong = 0;

	for (size_t i = 0; i < a->n; i++)
		if (!fails(i))
			wrong += area_bad_storage(r, 0, &(struct area){ .base = area_page(a, i),
									.n = 1 });
	return wrong;
}

/* ---- A program's own pages ------------------------------------------------------------ */

static void inherits(struct run *r, void *arg)
{
	const struct area *a = arg;
	size_t signals = 0, bad = 0;

	for (size_t i = 0; i < a->n; i++) {
		bad += fails(i);
		signals += fails(i) && is_mce(probe_load(area_page(a, i)));
	}
	expect_eq_u64(r, signals, bad, "the child gets a signal where its parent does");
	expect_rest(r, a, "in the child");
}

/* pending: made taggable, and no access since, so that they wait for storage. */
static void private_pages(struct run *r, size_t n, bool pending)
{
	const char *what = pending ? "pages that wait for storage" : "tagged pages";
	uint64_t start = summary_now(r).reserved_pages, corrupted = all_bad(r);
	uint64_t *pfn, bad[MAX_BAD * EVERY] = { 0 };
	size_t nr_bad = 0, killed = 0, loads = 0, stores = 0, tags = 0, same = 0;
	struct area a = area_map(r, n, !pending), again;

	if (pending) {
		step(r,
		     "Memory fails under pages that were made taggable with mprotect() while tag storage was full, and that wait for the storage of their tags.");
		area_write_data(r, &a);
		a.tags = 0;
		mprotect_storage_full(r, a.base, area_len(&a));
	} else {
		step(r,
		     "Memory fails under every fourth of %zu tagged pages (MADV_HWPOISON). What was in such a page is lost, and who looks at it gets SIGBUS; the other pages, with their tags, are as they were.",
		     n);
		area_write(r, &a);
	}
	pfn = area_locations(r, 0, &a);
	for (size_t i = 0; i < n; i++) {
		if (!fails(i))
			continue;
		bad[nr_bad++] = pfn[i];
		killed += is_mce_at(probe_call(poison, area_page(&a, i)), area_page(&a, i));
	}
	expect_eq_u64(r, killed, nr_bad, "%s: the program is told, with BUS_MCEERR_AR", what);
	expect_eq_u64(r, count_bad(r, bad, nr_bad), nr_bad, "%s: their pages are out of use", what);
	expect_eq_u64(r, all_bad(r) - corrupted, nr_bad, "%s: as many as failed", what);
	expect_rest(r, &a, what);
	for (size_t i = 0; i < n; i++) {
		char *p = area_page(&a, i);

		if (!fails(i))
			continue;
		loads += is_mce_at(probe_load(p), p);
		stores += is_mce_at(probe_store(p, 1), p);
		tags += is_mce_at(probe_call(load_tag, p), p);
	}
	expect_eq_u64(r, loads, nr_bad, "%s: a load from what failed is SIGBUS", what);
	expect_eq_u64(r, stores, nr_bad, "%s: so is a store", what);
	expect_eq_u64(r, tags, nr_bad, "%s: so is a look at a tag", what);
	expect_eq_u64(r, rest_without_storage(r, &a), 0, "%s: the others have their tag storage",
		      what);
	expect_eq_u64(r, tagged_without_storage(r, bad, nr_bad), 0,
		      "%s: what failed has no tags without storage", what);
	measure(r, pending ? "pending_failed_with_storage" : "failed_with_storage", "pages",
		(double)(summary_now(r).reserved_pages - start - (n - nr_bad)));

	step(r, "A child inherits what has failed, too.");
	expect_role_done(r, role_spawn(r, &child_role, inherits, &a), WAIT_MS);
	expect_rest(r, &a, "after the child");

	step(r,
	     "The program drops what has failed, and goes on with new pages at the same addresses. They are elsewhere.");
	for (size_t i = 0; i < n; i++) {
		if (!fails(i))
			continue;
		if (madvise(area_page(&a, i), page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED of a page that failed");
		again = area_at(r, area_page(&a, i), 1);
		area_write_data(r, &again);
		again.tags = 0;
		same += !!area_check_tags(&again).count;
		area_write_tags(r, &again);
		same += area_check_data(&again).count || area_check_tags(&again).count ||
			area_bad_storage(r, 0, &again) ||
			page_now(r, 0, again.base).pfn == pfn[i];
	}
	expect_eq_u64(r, same, 0, "%s: new pages are elsewhere, with tags in tag storage", what);
	expect_rest(r, &a, "after that");
	free(pfn);
	area_unmap(r, &a);
	repair(r, bad, nr_bad);
	expect_eq_u64(r, all_bad(r), corrupted, "%s: at the end no page more is out of use", what);
	expect(r, reserved_pages_wait(r, start), "%s: at the end none has tag storage", what);
}

static void shared_pages(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, corrupted = all_bad(r);
	int fd = memfd_create("tagscope-failure", MFD_CLOEXEC);
	uint64_t bad[MAX_BAD * EVERY] = { 0 }, *pfn;
	size_t nr_bad = 0, plain_signals = 0, tagged_signals = 0, refused = 0;
	char *plain, *p, *buf = malloc(page_size());
	struct area a;

	step(r,
	     "Memory fails under a memfd that is mapped twice, once with PROT_MTE. Both mappings, and read(), tell so where it failed, and nowhere else.");
	if (fd < 0 || ftruncate(fd, (off_t)(n * page_size())) || !buf)
		bail_errno(r, "memfd");
	p = mmap(NULL, n * page_size(), AREA_RW | PROT_MTE, MAP_SHARED, fd, 0);
	plain = mmap(NULL, n * page_size(), AREA_RW, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || plain == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	a = area_at(r, p, n);
	area_write(r, &a);
	pfn = area_locations(r, 0, &a);
	for (size_t i = 0; i < n; i++) {
		if (!fails(i))
			continue;
		bad[nr_bad++] = pfn[i];
		probe_call(poison, area_page(&a, i));
	}
	for (size_t i = 0; i < n; i++) {
		if (!fails(i))
			continue;
		tagged_signals += is_mce(probe_load(area_page(&a, i)));
		plain_signals += is_mce(probe_load(plain + i * page_size()));
		refused += pread(fd, buf, page_size(), (off_t)(i * page_size())) < 0 &&
			   errno == EIO;
	}
	expect_eq_u64(r, count_bad(r, bad, nr_bad), nr_bad, "memfd: its pages are out of use");
	expect_eq_u64(r, tagged_signals, nr_bad, "memfd: SIGBUS through the tagged mapping");
	expect_eq_u64(r, plain_signals, nr_bad, "memfd: SIGBUS through the untagged mapping");
	expect_eq_u64(r, refused, nr_bad, "memfd: read() says EIO");
	expect_rest(r, &a, "memfd");
	expect_eq_u64(r, rest_without_storage(r, &a), 0, "memfd: the others have tag storage");
	free(buf);
	free(pfn);
	munmap(plain, n * page_size());
	area_unmap(r, &a);
	close(fd);
	repair(r, bad, nr_bad);
	expect_eq_u64(r, all_bad(r), corrupted, "memfd: at the end no page more is out of use");
	expect(r, reserved_pages_wait(r, start), "memfd: at the end none has tag storage");
}

/* ---- A huge page ---------------------------------------------------------------------- */

static void huge_page(struct run *r)
{
	const size_t fails_at = 100, moves_at = 300;
	uint64_t start = summary_now(r).reserved_pages, corrupted = all_bad(r), bad[2];
	size_t wrong_data = 0, wrong_tags = 0, missing = 0;
	char *map = mmap(NULL, 2 * HUGE_SIZE, AREA_RW | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct area a;

	if (map == MAP_FAILED)
		bail_errno(r, "mmap");
	a = area_at(r, map + (-(uintptr_t)map & (HUGE_SIZE - 1)), HUGE_PAGES);
	step(r,
	     "Memory fails within a huge page, and somewhere else it seems to begin to (MADV_SOFT_OFFLINE). The huge page is split; one small page is lost, one moves, and 510 keep what they have.");
	if (madvise(a.base, HUGE_SIZE, MADV_HUGEPAGE)) {
		skip_result(r, "this kernel has no huge pages",
			    "huge page: the program is told which small page is lost");
		munmap(map, 2 * HUGE_SIZE);
		return;
	}
	area_write(r, &a);
	if (page_now(r, 0, a.base).order != HUGE_ORDER)
		skip_result(r, "no huge page is available: these are small ones",
			    "huge page: memory fails in the middle of it");
	bad[0] = page_now(r, 0, area_page(&a, fails_at)).pfn;
	bad[1] = page_now(r, 0, area_page(&a, moves_at)).pfn;
	expect(r, is_mce_at(probe_call(poison, area_page(&a, fails_at)), area_page(&a, fails_at)),
	       "huge page: the program is told which small page is lost");
	expect(r, !madvise(area_page(&a, moves_at), page_size(), MADV_SOFT_OFFLINE),
	       "huge page: another part of it can be taken out of use");
	expect_eq_u64(r, count_bad(r, bad, 2), 2, "huge page: both places are out of use");
	expect(r, is_mce(probe_load(area_page(&a, fails_at))),
	       "huge page: a load from what failed is SIGBUS");
	expect(r, page_now(r, 0, area_page(&a, moves_at)).pfn != bad[1],
	       "huge page: the part that was taken out of use has moved");
	expect(r, !pfn_now(r, bad[1]).has_storage, "huge page: where it was has no tag storage");
	expect_eq_u64(r, tagged_without_storage(r, bad, 2), 0,
		      "huge page: neither has tags without storage");
	for (size_t i = 0; i < HUGE_PAGES; i++) {
		struct area one = { .base = area_page(&a, i), .n = 1 };

		if (i == fails_at)
			continue;
		wrong_data += !!pattern_check(one.base, page_size(), a.data, i).count;
		wrong_tags += !!tags_check(one.base, page_size(), a.tags, i).count;
		missing += area_bad_storage(r, 0, &one);
	}
	expect_eq_u64(r, wrong_data, 0, "huge page: the data of 511 pages is intact");
	expect_eq_u64(r, wrong_tags, 0, "huge page: the tags of 511 pages are intact");
	expect_eq_u64(r, missing, 0, "huge page: the tags of 511 pages are in tag storage");
	munmap(map, 2 * HUGE_SIZE);
	repair(r, bad, 2);
	expect_eq_u64(r, all_bad(r), corrupted, "huge page: at the end no page more is out of use");
	expect(r, reserved_pages_wait(r, start), "huge page: at the end none has tag storage");
}

/* ---- Tag storage that holds data ------------------------------------------------------ */

/* A page in tag storage, and a page elsewhere whose tags would be stored there. */
struct couple {
	char *in_storage, *elsewhere;
	uint64_t pfn;		/* of the page in tag storage */
	uint64_t block;
};

static size_t find_couples(struct run *r, const struct ballast *b, char **pages, size_t n,
			   struct couple *found, size_t max)
{
	const size_t batch = 512;
	uint64_t blocks = summary_now(r).blocks;
	struct page_location *where = calloc(batch, sizeof(*where));
	char **at = calloc(blocks, sizeof(*at));
	size_t have = 0, all = ballast_pages(b);

	if (!where || !at)
		bail(r, "out of memory");
	for (size_t i = 0; i + batch <= all; i += batch) {
		char *base = ballast_page(b, i);

		page_locations(r, 0, base, batch, where);
		for (size_t k = 0; k < batch; k++) {
			int64_t block = where[k].present ? pfn_block(r, where[k].pfn) : -1;

			if (block >= 0 && !pfn_in_tag_storage(r, where[k].pfn))
				at[block] = base + k * page_size();
		}
	}
	for (size_t i = 0; i < n && have < max; i++) {
		struct state_page page = page_now(r, 0, pages[i]);
		uint64_t block = (uint64_t)page.own_block;

		/* One of each block. */
		if (!page.in_tag_storage || !at[block])
			continue;
		found[have++] = (struct couple){ .in_storage = pages[i], .elsewhere = at[block],
						 .pfn = page.pfn, .block = block };
		at[block] = NULL;
	}
	free(where);
	free(at);
	return have;
}

static size_t blocks_in_use(struct run *r, const uint64_t *block, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		char letter = block_now(r, block[i]).letter;

		used += letter == BLOCK_RESERVED || letter == BLOCK_ISOLATING;
	}
	return used;
}

static bool among(uint64_t x, const uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

/* Pages of the area whose tags are, or would be, in one of these blocks. */
static size_t pages_of_blocks(struct run *r, const struct area *a, const uint64_t *block, size_t n)
{
	uint64_t *pfn = area_locations(r, 0, a);
	size_t found = 0;

	for (size_t i = 0; i < a->n; i++)
		found += pfn[i] && among((uint64_t)pfn_block(r, pfn[i]), block, n);
	free(pfn);
	return found;
}

/*
 * An untagged page whose tags would be stored in what is bad becomes taggable: it has
 * to go elsewhere, with its data.
 */
static void tag_elsewhere(struct run *r, const struct couple *c, size_t n)
{
	size_t moved = 0, wrong_data = 0, wrong_tags = 0, missing = 0;

	for (size_t i = 0; i < n; i++) {
		struct area one = { .base = c[i].elsewhere, .n = 1 };
		uint64_t was = page_now(r, 0, one.base).pfn, tags = rnd(r) | 1;

		area_protect(r, &one, true);
		wrong_data += *(const uint64_t *)(const void *)one.base != (uintptr_t)one.base;
		wrong_tags += !!tags_check_same(one.base, page_size(), 0).count;
		tags_fill(one.base, page_size(), tags, i);
		wrong_tags += !!tags_check(one.base, page_size(), tags, i).count;
		moved += page_now(r, 0, one.base).pfn != was;
		missing += area_bad_storage(r, 0, &one);
	}
	expect_eq_u64(r, moved, n, "pages whose tags would be stored there move when tagged");
	expect_eq_u64(r, wrong_data, 0, "they keep their data");
	expect_eq_u64(r, wrong_tags, 0, "their tags begin as 0, and then are what was set");
	expect_eq_u64(r, missing, 0, "their tags are in tag storage, elsewhere");
}

static void storage_with_data(struct run *r)
{
	enum { MAX = 1024 };
	uint64_t start = summary_now(r).reserved_pages, corrupted = all_bad(r);
	uint64_t bad[MAX_BAD] = { 0 }, block[MAX_BAD];
	struct ballast *b = ballast_new(r);
	char **pages = calloc(MAX, sizeof(*pages));
	size_t n, lost = 0, kept = 0, moved = 0, failed = 0;
	struct couple c[MAX_BAD];
	struct state_summary all;
	struct area fresh;

	if (!pages)
		bail(r, "out of memory");
	step(r,
	     "Memory is filled, so that data lies in tag storage. There, too, memory fails: some pages are lost, others only seem to begin to fail, and are moved. None of these places can store tags any more.");
	/* What is free of tag storage is no use to tagged memory. */
	all = summary_now(r);
	n = ballast_into_tag_storage(r, b, MAX,
				     all.blocks * all.block_pages * page_size() +
				     memory_reserve(r) + (24 << 20), pages, MAX);
	n = find_couples(r, b, pages, n, c, MAX_BAD);
	free(pages);
	if (!n) {
		skip_result(r, "no data of this program could be brought to tag storage",
			    "storage with data: what fails there stores no tags any more");
		ballast_free(b);
		return;
	}
	/* Else the kernel would move them before it looks at them. */
	switch_set(r, "move_before_pin", 0);
	for (size_t i = 0; i < n; i++) {
		bad[i] = c[i].pfn;
		block[i] = c[i].block;
		failed += i % 2 ? !!madvise(c[i].in_storage, page_size(), MADV_SOFT_OFFLINE) :
				  !!page_fails(r, c[i].pfn);
	}
	switch_set(r, "move_before_pin", 1);
	expect_eq_u64(r, failed, 0, "storage: the kernel takes the pages out of use");
	expect_eq_u64(r, count_bad(r, bad, n), n, "storage: they are known to be bad");
	for (size_t i = 0; i < n; i++) {
		const uint64_t *p = (const void *)c[i].in_storage;

		if (i % 2) {
			kept += *p == (uintptr_t)p;
			moved += page_now(r, 0, p).pfn != bad[i];
		} else {
			lost += is_mce(probe_load(p));
		}
	}
	expect_eq_u64(r, lost, (n + 1) / 2, "storage: who looks at data that is lost gets SIGBUS");
	expect_eq_u64(r, moved, n / 2, "storage: what only began to fail has moved");
	expect_eq_u64(r, kept, n / 2, "storage: and is intact");
	measure(r, "bad_blocks", "blocks", (double)n);

	step(r,
	     "Other pages, whose tags would be stored in just these places, become taggable. And new tagged memory is allocated, where there is little free.");
	tag_elsewhere(r, c, n);
	expect_eq_u64(r, blocks_in_use(r, block, n), 0, "no tags are stored in what is bad");
	fresh = area_map(r, 2048, true);
	area_write(r, &fresh);
	area_expect(r, &fresh, "in new memory");
	expect_eq_u64(r, area_bad_storage(r, 0, &fresh), 0, "the tags of new memory are in tag storage");
	expect_eq_u64(r, pages_of_blocks(r, &fresh, block, n), 0,
		      "no new page has its tags in what is bad");
	expect_eq_u64(r, blocks_in_use(r, block, n), 0, "still no tags are stored in what is bad");
	area_unmap(r, &fresh);
	ballast_free(b);
	repair(r, bad, n);
	expect_eq_u64(r, all_bad(r), corrupted, "storage: at the end no page more is out of use");
	expect(r, reserved_pages_wait(r, start), "storage: at the end none has tag storage");
}

/* ---- Tag storage that is free, and such that has tags --------------------------------- */

/* The first page frame of a block. */
static uint64_t block_pfn(struct run *r, const struct area *a, uint64_t block)
{
	uint64_t *pfn = area_locations(r, 0, a), first = 0;
	uint64_t pages = summary_now(r).block_pages;

	for (size_t i = 0; i < a->n && !first; i++)
		if (pfn[i] && pfn_block(r, pfn[i]) == (int64_t)block)
			first = pfn_now(r, pfn[i]).tag_pfn / pages * pages;
	free(pfn);
	return first;
}

static void storage_free(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, corrupted = all_bad(r);
	uint64_t bad[MAX_BAD] = { 0 }, block[MAX_BAD] = { 0 }, *was, *is;
	size_t nr_bad = 0, failed = 0, moved = 0, stay = 0, here = 0;
	struct area a = area_map(r, n, false), half, other, fresh;
	struct state_summary before, after;

	step(r,
	     "Memory fails in tag storage that is free, but would be needed for the tags of this program's pages.");
	area_write_data(r, &a);
	was = area_locations(r, 0, &a);
	for (size_t i = 0; i < n && nr_bad < MAX_BAD; i++) {
		uint64_t b = (uint64_t)pfn_block(r, was[i]);

		if (pfn_in_tag_storage(r, was[i]) || among(b, block, nr_bad) ||
		    block_now(r, b).letter != BLOCK_FREE)
			continue;
		block[nr_bad] = b;
		bad[nr_bad] = block_pfn(r, &a, b);
		failed += !!page_fails(r, bad[nr_bad]);
		nr_bad++;
	}
	require(r, nr_bad, "free: there are pages whose tag storage is free");
	expect_eq_u64(r, failed, 0, "free: the kernel takes the pages out of use");
	expect_eq_u64(r, count_bad(r, bad, nr_bad), nr_bad, "free: they are known to be bad");
	half = (struct area){ .base = a.base, .n = n / 2, .data = a.data };
	area_protect(r, &half, true);
	area_expect(r, &half, "taggable now");
	area_write_tags(r, &half);
	area_expect(r, &half, "with tags");
	is = area_locations(r, 0, &half);
	for (size_t i = 0; i < half.n; i++) {
		bool in_bad = among((uint64_t)pfn_block(r, was[i]), block, nr_bad);

		moved += in_bad && is[i] != was[i];
		stay += in_bad && is[i] == was[i];
		here += in_bad;
	}
	free(is);
	measure(r, "pages_of_bad_blocks", "pages", (double)here);
	expect_eq_u64(r, stay, 0, "free: pages whose tags would be stored there have moved");
	expect_eq_u64(r, area_bad_storage(r, 0, &half), 0, "free: their tags are in tag storage");
	expect_eq_u64(r, pages_of_blocks(r, &half, block, nr_bad), 0, "free: and not in what is bad");

	step(r,
	     "The program gives the other half back, and allocates tagged memory: the kernel has these pages at hand, but must take others.");
	other = (struct area){ .base = area_page(&a, n / 2), .n = n - n / 2 };
	before = summary_now(r);
	/* A little is kept, untagged, until the storage is good again. */
	other.n -= n / 8;
	if (madvise(other.base, area_len(&other), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	fresh = area_map(r, 4 * n, true);
	area_write(r, &fresh);
	after = summary_now(r);
	measure(r, "other_pages_taken", "pages",
		(double)(after.alloc_other_page - before.alloc_other_page));
	measure(r, "searches", "1", (double)(after.alloc_searched - before.alloc_searched));
	area_expect(r, &fresh, "in memory allocated then");
	expect_eq_u64(r, area_bad_storage(r, 0, &fresh), 0, "free: new tags are in tag storage");
	expect_eq_u64(r, pages_of_blocks(r, &fresh, block, nr_bad), 0,
		      "free: none of them in what is bad");
	expect_eq_u64(r, blocks_in_use(r, block, nr_bad), 0, "free: the bad blocks are not in use");
	area_unmap(r, &fresh);

	step(r, "The storage turns out to be good. Tags are stored there again.");
	repair(r, bad, nr_bad);
	other = (struct area){ .base = area_page(&a, n - n / 8), .n = n / 8 };
	area_protect(r, &other, true);
	for (size_t i = 0; i < other.n; i++)
		tag_store_range(area_page(&other, i), page_size(), 5);
	expect_intact(r, tags_check_same(other.base, area_len(&other), 5),
		      "repaired: the tags are what was set");
	for (size_t i = here = 0; i < other.n; i++)
		here += among((uint64_t)pfn_block(r, was[n - n / 8 + i]), block, nr_bad);
	/* Of a larger block the rest may hold data that cannot be moved just now. */
	if (here)
		expect_range(r, blocks_in_use(r, block, nr_bad), 1, nr_bad,
			     "repaired: tags are stored where it was bad");
	expect_eq_u64(r, area_bad_storage(r, 0, &other), 0, "repaired: the tags are in tag storage");
	free(was);
	area_unmap(r, &a);
	expect_eq_u64(r, all_bad(r), corrupted, "free: at the end no page more is out of use");
	expect(r, reserved_pages_wait(r, start), "free: at the end none has tag storage");
}

static void storage_with_tags(struct run *r, size_t n, bool lasting)
{
	uint64_t start = summary_now(r).reserved_pages, corrupted = all_bad(r), bad, block;
	struct area a = area_map(r, n, true), fresh;
	struct state_page page;

	step(r,
	     "Memory fails where tags are stored. The kernel cannot do anything about it, and says so; it must not make it worse.");
	area_write(r, &a);
	page = page_now(r, 0, a.base);
	bad = page.tag_pfn;
	block = (uint64_t)page.block;
	expect(r, page_fails(r, bad), "tags: the kernel says that it cannot deal with it");
	expect(r, is_bad(r, bad), "tags: but it knows that the page is bad");
	expect(r, block_now(r, block).letter == BLOCK_RESERVED, "tags: the block stays reserved");
	area_expect(r, &a, "with tags in a page that is bad");
	if (!lasting) {
		repair(r, &bad, 1);
		area_expect(r, &a, "repaired");
		area_unmap(r, &a);
	} else {
		step(r,
		     "The tags are not needed any more. What is bad must not be used again, for tags or for data, until the machine is started anew.");
		area_unmap(r, &a);
		expect(r, reserved_pages_wait(r, start), "lasting: none has tag storage");
		expect(r, eventually(5000, block_now(r, block).letter != BLOCK_RESERVED),
		       "lasting: the block is not reserved any more");
		expect_eq_u64(r, block_now(r, block).free, summary_now(r).block_pages - 1,
			      "lasting: the page that is bad is not free");
		fresh = area_map(r, 16 * n, true);
		area_write(r, &fresh);
		area_expect(r, &fresh, "in memory allocated then");
		expect_eq_u64(r, pages_of_blocks(r, &fresh, &block, 1), 0,
			      "lasting: no tags are stored in what is bad");
		expect_eq_u64(r, block_now(r, block).free, summary_now(r).block_pages - 1,
			      "lasting: nor is it free later");
		area_unmap(r, &fresh);
	}
	expect_eq_u64(r, all_bad(r) - corrupted, lasting ? 1 : 0,
		      "tags: the kernel counts what is bad");
	expect(r, reserved_pages_wait(r, start), "tags: at the end none has tag storage");
}

static void memory_failure_run(struct run *r)
{
	struct state_summary start = summary_now(r);
	size_t n = param_u64(r, "pages") / EVERY * EVERY;

	private_pages(r, n, false);
	private_pages(r, n, true);
	shared_pages(r, n);
	huge_page(r);
	storage_with_data(r);
	if (storage_takes_data(r, "free: the kernel takes the pages out of use"))
		storage_free(r, 8 * n);
	storage_with_tags(r, n, param_bool(r, "lasting"));
	expect(r, eventually(5000, summary_now(r).blocks_isolating == 0),
	       "no block stays half emptied");
	expect_eq_u64(r, summary_now(r).foa_sigbus, start.foa_sigbus,
		      "no access ended in SIGBUS for want of tag storage");
}

static const struct scenario memory_failure_scenario = {
	.name = "memory-failure",
	.kind = SCENARIO_WORKLOAD,
	.summary = "memory that fails: tagged pages, and the storage of tags",
	.explanation =
		"Memory wears out. When the hardware reports that a page has failed, the kernel takes it out of use; what was in it is lost, and who looks at it gets SIGBUS. If it only begins to fail, its content is moved in time. "
		"A tagged page has two places where that can happen: its own, and the one where its tags are stored. "
		"What is bad must not be used for tags, however much they are wanted there: other pages are, or the data moves.",
	.groups = "stress",
	.params = PARAMS(
		P_UINT("pages", "32", 8, MAX_BAD * EVERY * EVERY, "pages of each kind"),
		P_BOOL("lasting", "no",
		       "leave one page of tag storage bad, until the machine is started anew")),
	.needs = NEED_TAG_STORAGE | NEED_DISPOSABLE,
	.min_memory = 256 << 20,
	.time_limit_s = 900,
	.save_restore = SETTINGS({ HWPOISON_DIR "corrupt-pfn", SETTING_LASTING },
				 { HWPOISON_DIR "unpoison-pfn", SETTING_LASTING },
				 FAILURE_SETTINGS),
	.roles = ROLES(&child_role),
	.run = memory_failure_run,
};
SCENARIO(memory_failure_scenario);
