// SPDX-License-Identifier: GPL-2.0-only
/* workloads/swap.c: tagged memory is swapped out, and comes back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"

#define WAIT_MS 60000
#define OUT_MS 30000
#define RW (PROT_READ | PROT_WRITE)
/* So many that they need blocks which nobody has reserved yet. */
#define SHORT_PAGES 512

static const struct role child_role = {
	.name = "child",
	.summary = "inherits memory that is swapped out",
	.user = ROLE_ROOT,
};

static const struct role switcher_role = {
	.name = "switcher",
	.summary = "switches swap off",
	.user = ROLE_ROOT,
};

struct area {
	char *base;
	size_t n;
	uint64_t seed;
};

static size_t area_len(const struct area *a)
{
	return a->n * page_size();
}

static char *page_at(const struct area *a, size_t i)
{
	return a->base + i * page_size();
}

/* Every fifth page has no tag but 0: for such a page the kernel need not save any. */
static bool no_tags(size_t i)
{
	return i % 5 == 4;
}

static void fill_page(const struct area *a, size_t i)
{
	pattern_fill(page_at(a, i), page_size(), a->seed, i);
	if (no_tags(i))
		tag_store_range(page_at(a, i), page_size(), 0);
	else
		tags_fill(page_at(a, i), page_size(), a->seed, i);
}

static struct area area_new(struct run *r, size_t n)
{
	struct area a = { .n = n, .seed = rnd(r), .base = mte_map(n * page_size(), true) };

	if (!a.base)
		bail_errno(r, "mmap of %zu pages", n);
	if (madvise(a.base, area_len(&a), MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	for (size_t i = 0; i < n; i++)
		fill_page(&a, i);
	return a;
}

struct verdicts {
	struct mismatch data, tags;
};

/* Pages first, first + step, ... */
static struct verdicts check_pages(const struct area *a, const char *base, size_t first,
				   size_t step_)
{
	struct verdicts v = { .tags = { .is_tag = true } };

	for (size_t i = first; i < a->n; i += step_) {
		const char *p = base + i * page_size();

		if (!v.data.count)
			v.data = pattern_check(p, page_size(), a->seed, i);
		if (!v.tags.count)
			v.tags = no_tags(i) ? tags_check_same(p, page_size(), 0) :
					      tags_check(p, page_size(), a->seed, i);
	}
	return v;
}

static void expect_pages(struct run *r, const struct area *a, size_t first, size_t step_,
			 const char *when)
{
	struct verdicts v = check_pages(a, a->base, first, step_);

	expect_intact(r, v.data, "the data is what the program wrote, %s", when);
	expect_intact(r, v.tags, "the tags are what the program set, %s", when);
}

/* All of them are private pages, and have to be in swap, not merely gone. */
static bool page_out(struct run *r, char *p, size_t n)
{
	return swap_out(r, p, n, OUT_MS) && pages_swapped(r, 0, p, n) == n;
}

/* ---- Out and in again ------------------------------------------------------------- */

static void out_and_in(struct run *r, const struct area *a, uint64_t start)
{
	size_t bad = 0;
	uint64_t t;

	step(r,
	     "The program fills %zu tagged pages with data and tags. Every fifth page keeps tags of 0.",
	     a->n);
	expect(r, reserved_pages_wait(r, start + a->n), "each page has tag storage");
	expect_eq_u64(r, tags_not_stored(r, 0, a->base, a->n, 0), 0, "the tags are in tag storage");

	step(r,
	     "It asks the kernel to swap all of them out. The data goes to swap, and the kernel keeps the tags aside; so the pages are freed, and their tag storage is, too.");
	require(r, page_out(r, a->base, a->n), "all pages are swapped out");
	expect_eq_u64(r, pages_present(r, 0, a->base, a->n), 0, "none of them is in memory");
	expect(r, reserved_pages_wait(r, start), "swapped out, they have no tag storage");

	step(r,
	     "It reads every second page. Each comes back to another place, where storage for its tags has to be found before they can be restored.");
	t = now_ns();
	expect_pages(r, a, 0, 2, "swapped in by reading");
	measure(r, "swap_in_and_check", "ns", (double)(now_ns() - t) / (double)((a->n + 1) / 2));
	for (size_t i = 0; i < a->n; i += 2)
		bad += !tags_stored(r, 0, page_at(a, i), 0, NULL);
	expect_eq_u64(r, bad, 0, "what came back has its tags in tag storage");
	expect_range(r, summary_now(r).reserved_pages - start, (a->n + 1) / 2, a->n,
		     "what came back has tag storage, what is out has none");

	step(r,
	     "It writes to all pages, first a tag or first data: the rest comes back, too.");
	for (size_t i = 0; i < a->n; i++) {
		if (i % 4 == 1)
			tag_store(page_at(a, i), no_tags(i) ? 0 :
						 tags_pattern_at(a->seed, i, 0));
		else
			pattern_fill(page_at(a, i), 8, a->seed, i);
	}
	expect_pages(r, a, 0, 1, "swapped in by writing");
	expect(r, reserved_pages_wait(r, start + a->n), "all pages have tag storage again");
}

static void rounds(struct run *r, const struct area *a, unsigned int n)
{
	struct verdicts bad = { .tags = { .is_tag = true } };
	size_t stuck = 0;

	step(r,
	     "%u times more, out and in, with changes in between.", n);
	for (unsigned int round = 0; round < n; round++) {
		struct area now = *a;
		struct verdicts v;

		now.seed = rnd(r);
		for (size_t i = 0; i < a->n; i++)
			fill_page(&now, i);
		stuck += !page_out(r, a->base, a->n);
		v = check_pages(&now, a->base, 0, 1);
		if (v.data.count && !bad.data.count)
			bad.data = v.data;
		if (v.tags.count && !bad.tags.count)
			bad.tags = v.tags;
	}
	expect_eq_u64(r, stuck, 0, "each time all pages are swapped out");
	expect_intact(r, bad.data, "the data is what the program wrote, each time");
	expect_intact(r, bad.tags, "the tags are what the program set, each time");
	for (size_t i = 0; i < a->n; i++)
		fill_page(a, i);
}

/* ---- What else may happen to swapped memory ----------------------------------------- */

struct inheritance {
	const struct area *a;
	struct gate *go;
};

static void child_reads(struct run *r, void *arg)
{
	struct inheritance *h = arg;

	if (!gate_wait(h->go, WAIT_MS))
		bail(r, "the parent does not answer");
	expect_pages(r, h->a, 0, 1, "in the child");
	for (size_t i = 0; i < h->a->n; i += 3)
		tag_store_range(page_at(h->a, i), page_size(), 3);
	for (size_t i = 0; i < h->a->n; i += 3)
		if (tags_check_same(page_at(h->a, i), page_size(), 3).count)
			bail(r, "the child's own tags are gone");
}

static void forked(struct run *r, const struct area *a, uint64_t start)
{
	struct inheritance h = { .a = a, .go = gate_new(r) };
	struct child *c;

	step(r,
	     "Swapped out again, and forked: parent and child swap the same pages in, and the child then changes tags.");
	require(r, page_out(r, a->base, a->n), "all pages are swapped out before fork");
	c = role_spawn(r, &child_role, child_reads, &h);
	gate_open(h.go);
	expect_pages(r, a, 0, 1, "in the parent");
	expect_role_done(r, c, WAIT_MS);
	expect_pages(r, a, 0, 1, "in the parent, after the child");
	expect(r, reserved_pages_wait(r, start + a->n),
	       "only the parent's pages have tag storage at the end");
}

static void dropped(struct run *r, const struct area *a, uint64_t start)
{
	step(r,
	     "Swapped out, and dropped with MADV_DONTNEED: touched again, the pages are new ones, and the old tags must not come back.");
	require(r, page_out(r, a->base, a->n), "all pages are swapped out before they are dropped");
	if (madvise(a->base, area_len(a), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	/* A store first: a page of its own, not the zero page. */
	for (size_t i = 0; i < a->n; i++)
		*(volatile char *)page_at(a, i) = 1;
	expect_intact(r, tags_check_same(a->base, area_len(a), 0), "the tags of new pages are 0");
	expect(r, reserved_pages_wait(r, start + a->n), "the new pages have tag storage");
	for (size_t i = 0; i < a->n; i++)
		fill_page(a, i);
}

/* Data that was swapped out before it became taggable. */
static void tagged_while_out(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, seed = rnd(r);
	struct area a = { .n = n, .seed = seed, .base = mte_map(n * page_size(), false) };
	struct mismatch m = { .count = 0 };

	step(r,
	     "Untagged data is swapped out, and made taggable with mprotect() while it is out. It comes back with tag storage, and tags of 0.");
	if (!a.base)
		bail_errno(r, "mmap");
	if (madvise(a.base, area_len(&a), MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	for (size_t i = 0; i < n; i++)
		pattern_fill(page_at(&a, i), page_size(), seed, i);
	require(r, page_out(r, a.base, n), "all untagged pages are swapped out");
	if (mprotect(a.base, area_len(&a), RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	expect(r, reserved_pages_wait(r, start), "what is out needs no tag storage");
	for (size_t i = 0; i < n && !m.count; i++)
		m = pattern_check(page_at(&a, i), page_size(), seed, i);
	expect_intact(r, m, "the untagged data came back");
	expect_intact(r, tags_check_same(a.base, area_len(&a), 0), "its tags begin as 0");
	expect_eq_u64(r, tags_not_stored(r, 0, a.base, n, 0), 0, "it has tag storage now");
	if (munmap(a.base, area_len(&a)))
		bail_errno(r, "munmap");
	expect(r, reserved_pages_wait(r, start), "unmapped, it has none any more");
}

/*
 * A memfd with tags, swapped out, and brought in by an untagged mapping or by read():
 * neither knows of tags, but they must be restored all the same.
 */
static void by_untagged_mapping(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	int fd = memfd_create("tagscope-swap", MFD_CLOEXEC);
	struct area a = { .n = n, .seed = rnd(r) };
	struct mismatch m = { .count = 0 };
	char *plain, *buf = malloc(page_size());
	struct verdicts v;

	step(r,
	     "A memfd with tags is swapped out, and brought in through a mapping without PROT_MTE, and with read(). Neither shows tags, but they must be there when a tagged mapping looks.");
	if (fd < 0 || ftruncate(fd, (off_t)area_len(&a)) || !buf)
		bail_errno(r, "memfd of %zu bytes", area_len(&a));
	a.base = mmap(NULL, area_len(&a), RW | PROT_MTE, MAP_SHARED, fd, 0);
	plain = mmap(NULL, area_len(&a), RW, MAP_SHARED, fd, 0);
	if (a.base == MAP_FAILED || plain == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	for (size_t i = 0; i < n; i++)
		fill_page(&a, i);
	require(r, swap_out(r, a.base, n, OUT_MS), "the memfd is swapped out");
	require(r, reserved_pages_wait(r, start), "swapped out, it has no tag storage");
	for (size_t i = 0; i < n; i++) {
		if (i % 2) {
			if (pread(fd, buf, page_size(), (off_t)(i * page_size())) !=
			    (ssize_t)page_size())
				bail_errno(r, "pread");
			if (!m.count)
				m = pattern_check(buf, page_size(), a.seed, i);
		} else if (!m.count) {
			m = pattern_check(plain + i * page_size(), page_size(), a.seed, i);
		}
	}
	expect_intact(r, m, "untagged readers get the data of the memfd");
	v = check_pages(&a, a.base, 0, 1);
	expect_intact(r, v.data, "so does a tagged mapping");
	expect_intact(r, v.tags, "which finds the tags, too");
	expect_eq_u64(r, tags_not_stored(r, 0, a.base, n, 0), 0, "the memfd has tag storage again");
	free(buf);
	munmap(plain, area_len(&a));
	munmap(a.base, area_len(&a));
	close(fd);
	expect(r, reserved_pages_wait(r, start), "with the memfd goes its storage");
}

/* ---- swapoff ----------------------------------------------------------------------- */

static void swapped_off(struct run *r, const struct area *a, uint64_t start)
{
	struct swap_device dev[8];
	size_t n = swap_devices(r, dev, sizeof(dev) / sizeof(dev[0])), off, on;
	uint64_t reserved;

	step(r,
	     "Swapped out a last time; then swapoff has the kernel bring all of it back, page by page, without anybody asking for a page.");
	require(r, page_out(r, a->base, a->n), "all pages are swapped out before swapoff");
	expect(r, reserved_pages_wait(r, start), "before swapoff, none has tag storage");
	/* Nothing that could end the scenario comes before swap is on again. */
	off = swap_devices_off(r, dev, n);
	reserved = summary_now(r).reserved_pages;
	on = swap_devices_on(dev, n);
	expect_eq_u64(r, off, n, "swapoff works");
	expect_eq_u64(r, on, n, "swap is on again");
	expect_eq_u64(r, pages_present(r, 0, a->base, a->n), a->n, "all pages are in memory");
	expect_range(r, reserved - start, a->n - a->n / 5, a->n, "what has tags has tag storage");
	expect_pages(r, a, 0, 1, "after swapoff");
	expect_eq_u64(r, tags_not_stored(r, 0, a->base, a->n, 0), 0,
		      "after swapoff, the tags are in tag storage");
}

/* ---- When storage is short ---------------------------------------------------------- */

/* A memfd with tags, mapped with PROT_MTE. */
static struct area memfd_area(struct run *r, size_t n, int *fd)
{
	struct area a = { .n = n, .seed = rnd(r) };

	*fd = memfd_create("tagscope-swap", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, (off_t)area_len(&a)))
		bail_errno(r, "memfd of %zu bytes", area_len(&a));
	a.base = mmap(NULL, area_len(&a), RW | PROT_MTE, MAP_SHARED, *fd, 0);
	if (a.base == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	for (size_t i = 0; i < n; i++)
		fill_page(&a, i);
	return a;
}

static void memfd_gone(struct run *r, const struct area *a, int fd, uint64_t start,
		       const char *what)
{
	munmap(a->base, area_len(a));
	close(fd);
	expect(r, reserved_pages_wait(r, start), "%s: with the memfd goes its storage", what);
}

/* The page that was read from swap is not where its tags can be stored. */
static void replaced(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages, busy;
	size_t failed = 0;
	struct area a;
	char byte;
	int fd;

	step(r,
	     "A memfd with tags is swapped out. When it comes back, by faults and by read(), the kernel finds that a page lies where there is no storage for its tags. It must put it elsewhere.");
	a = memfd_area(r, SHORT_PAGES, &fd);
	require(r, swap_out(r, a.base, a.n, OUT_MS), "the memfd is swapped out again");
	require(r, reserved_pages_wait(r, start), "swapped out again, it has no tag storage");
	busy = summary_now(r).reserve_busy;
	for (size_t i = 0; i < a.n; i++) {
		storage_shortage(r, STORAGE_MISS);
		if (i % 2)
			failed += pread(fd, &byte, 1, (off_t)(i * page_size())) != 1;
		else
			failed += probe_load(page_at(&a, i)).signal != 0;
	}
	storage_shortage(r, STORAGE_NORMAL);
	expect_range(r, summary_now(r).reserve_busy - busy, 1, UINT64_MAX,
		     "put elsewhere: there was no storage");
	expect_eq_u64(r, failed, 0, "put elsewhere: all pages can be read");
	expect_pages(r, &a, 0, 1, "put elsewhere");
	expect_eq_u64(r, tags_not_stored(r, 0, a.base, a.n, 0), 0,
		      "put elsewhere: the tags are in tag storage");
	memfd_gone(r, &a, fd, start, "put elsewhere");
}

/* Private pages with tags in a mapping without PROT_MTE, which it can get. */
static struct area untagged_with_tags(struct run *r, size_t n)
{
	struct area a, file;
	int fd;

	file = memfd_area(r, n, &fd);
	a = file;
	a.base = mmap(NULL, area_len(&a), RW, MAP_PRIVATE, fd, 0);
	if (a.base == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	for (size_t i = 0; i < n; i++)
		pattern_fill(page_at(&a, i), 8, a.seed, i);
	munmap(file.base, area_len(&file));
	/* Only the copies are left. */
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)area_len(&a)))
		bail_errno(r, "fallocate");
	close(fd);
	return a;
}

/* The same for private pages, in a mapping that does not tell that they have tags. */
static void other_page_taken(struct run *r)
{
	struct state_summary start = summary_now(r), before, after;
	struct area a = untagged_with_tags(r, SHORT_PAGES);
	struct swap_device dev[8];
	size_t failed = 0, n;

	step(r,
	     "Private memory that has tags, as a copy of a file with tags, but is not mapped tagged, is swapped out and read while the block of a new page is not available. Another page is taken instead, if there is a choice.");
	require(r, page_out(r, a.base, a.n), "untagged, all pages are swapped out");
	before = summary_now(r);
	for (size_t i = 0; i < a.n; i++) {
		storage_shortage(r, STORAGE_MISS);
		failed += probe_load(page_at(&a, i)).signal != 0;
	}
	storage_shortage(r, STORAGE_NORMAL);
	after = summary_now(r);
	expect_eq_u64(r, failed, 0, "untagged, all pages can be read");
	expect_range(r, after.reserve_busy - before.reserve_busy, 1, UINT64_MAX,
		     "untagged: there was no storage");
	/* From a disk it is read ahead, into pages that are chosen before. */
	n = swap_devices(r, dev, sizeof(dev) / sizeof(dev[0]));
	if (n == 1 && strstr(dev[0].path, "zram"))
		expect_range(r, after.alloc_other_page - before.alloc_other_page, 1, UINT64_MAX,
			     "untagged: other pages were taken at once");
	if (mprotect(a.base, area_len(&a), RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	expect_pages(r, &a, 0, 1, "read when blocks were not available");
	expect_eq_u64(r, tags_not_stored(r, 0, a.base, a.n, 0), 0,
		      "read when blocks were not available, the tags are in tag storage");
	if (munmap(a.base, area_len(&a)))
		bail_errno(r, "munmap");
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "other pages: unmapped, none has tag storage");
}

struct switching {
	struct swap_device dev[8];
	size_t n, off;
};

static void switch_off(struct run *r, void *arg)
{
	struct switching *s = arg;

	(void)r;
	s->off = swap_devices_off(r, s->dev, s->n);
}

static void swapoff_when_held(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages, left = pages_left_in_swap_cache(r);
	struct switching *s = shared_alloc(r, sizeof(*s));
	struct child *c;
	struct area a;
	int fd;

	s->n = swap_devices(r, s->dev, sizeof(s->dev) / sizeof(s->dev[0]));
	step(r,
	     "Swapped out once more; swap is to be switched off while no tag storage is available. That must fail, soon, and leave the memfd in swap.");
	a = memfd_area(r, SHORT_PAGES, &fd);
	require(r, swap_out(r, a.base, a.n, OUT_MS), "the memfd is swapped out before swapoff");
	require(r, reserved_pages_wait(r, start), "before swapoff, the memfd has no tag storage");
	storage_shortage(r, STORAGE_HELD);
	c = role_spawn(r, &switcher_role, switch_off, s);
	/* It goes on for ever with what it cannot bring back, or ends. */
	if (!expect_role_done(r, c, WAIT_MS))
		role_kill(r, c);
	storage_shortage(r, STORAGE_NORMAL);
	expect_eq_u64(r, s->off, 0, "without storage, swapoff fails");

	step(r, "With storage it works, and brings back the memfd, though nobody maps it.");
	if (munmap(a.base, area_len(&a)))
		bail_errno(r, "munmap");
	s->off = swap_devices_off(r, s->dev, s->n);
	expect_eq_u64(r, swap_devices_on(s->dev, s->n), s->n, "swap is on again, after the memfd");
	expect_eq_u64(r, s->off, s->n, "with storage, swapoff works");
	/* swapoff has freed what was left in the swap cache, too. */
	expect_range(r, summary_now(r).reserved_pages + left - start, a.n - a.n / 5, a.n + left,
		     "the memfd has tag storage again, as far as it has tags");
	a.base = mmap(NULL, area_len(&a), RW | PROT_MTE, MAP_SHARED, fd, 0);
	if (a.base == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	expect_pages(r, &a, 0, 1, "of the memfd, after swapoff");
	expect_eq_u64(r, tags_not_stored(r, 0, a.base, a.n, 0), 0,
		      "after swapoff, the memfd's tags are in tag storage");
	memfd_gone(r, &a, fd, start, "after swapoff");
}

/* ---- When most that is free is tag storage ------------------------------------------- */

static void child_waits(struct run *r, void *arg)
{
	/* While memory is filled. */
	if (!gate_wait(arg, 10 * WAIT_MS))
		bail(r, "the parent does not answer");
}

static size_t load_pages(const struct area *a, size_t first, size_t end)
{
	size_t failed = 0;

	for (size_t i = first; i < end; i++)
		failed += probe_load(page_at(a, i)).signal != 0;
	return failed;
}

/* New data goes to tag storage now; what comes from swap with tags must not. */
static void in_where_storage_is_free(struct run *r)
{
	enum { MAX = 8192 };
	char *other = mte_map(SHORT_PAGES * page_size(), false);
	char **pages = calloc(MAX, sizeof(*pages));
	struct gate *end = gate_new(r);
	struct state_summary start = summary_now(r), before, after;
	struct area a = untagged_with_tags(r, SHORT_PAGES);
	struct ballast *b;
	struct memory now;
	struct child *c;
	size_t n, failed, there;

	if (!pages || !other)
		bail(r, "out of memory");
	step(r,
	     "Memory is swapped out that has tags, as a private copy of a file with tags, but which is not mapped tagged. Memory is filled with data; then what lies in tag storage is dropped, so that the kernel likes to put new pages there.");
	require(r, page_out(r, a.base, a.n), "all pages are swapped out before memory is filled");
	c = role_spawn(r, &child_role, child_waits, end);
	b = ballast_new(r);
	n = ballast_into_tag_storage(r, b, SIZE_MAX, memory_reserve(r) + (8 << 20), pages, MAX);
	for (size_t i = 0; i < n; i++)
		if (madvise(pages[i], page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	drain_lru(r);
	/* The kernel takes from CMA when that is half of what is free. */
	do {
		now = memory_now(r);
	} while (2 * now.cma_free < now.free &&
		 ballast_grow(r, b, 1, memory_reserve(r)));
	for (size_t i = 0; i < SHORT_PAGES; i++)
		*(volatile char *)(other + i * page_size()) = 1;
	there = pages_in_tag_storage(r, 0, other, SHORT_PAGES);
	/* That it does is the kernel's choice; where it does not, the rest tells less. */
	measure(r, "new_data_in_tag_storage", "pages", (double)there);

	step(r,
	     "Half of the memory is read while a child shares what is in swap, the rest when it is gone: the kernel reads it in by different ways. What has tags must not come to lie in tag storage, from where it would have to move again.");
	before = summary_now(r);
	failed = load_pages(&a, 0, a.n / 2);
	gate_open(end);
	expect_role_done(r, c, WAIT_MS);
	failed += load_pages(&a, a.n / 2, a.n);
	after = summary_now(r);
	expect_eq_u64(r, failed, 0, "untagged, all of it can be read");
	expect_eq_u64(r, after.moved_out - before.moved_out, 0,
		      "nothing with tags was read into tag storage");
	if (mprotect(a.base, area_len(&a), RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	expect_pages(r, &a, 0, 1, "mapped tagged");
	expect_eq_u64(r, tags_not_stored(r, 0, a.base, a.n, 0), 0,
		      "mapped tagged, the tags are in tag storage");
	munmap(other, SHORT_PAGES * page_size());
	ballast_free(b);
	free(pages);
	if (munmap(a.base, area_len(&a)))
		bail_errno(r, "munmap");
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "read in and unmapped, none has tag storage");
}

static void swap_run(struct run *r)
{
	size_t n = param_u64(r, "pages"), devices;
	const char *device = param_str(r, "device");
	struct memory m = memory_now(r);
	struct state_summary start, end;
	struct swap_device dev[8];
	struct area a;

	devices = swap_devices(r, dev, sizeof(dev) / sizeof(dev[0]));
	for (size_t i = devices; i; i--) {
		bool zram = strstr(dev[i - 1].path, "zram");

		if (strcmp(device, "any") && zram != !strcmp(device, "zram"))
			skip(r, "there is swap on %s; in the machine: scripts/vm --swap %s256M",
			     dev[i - 1].path, zram ? "disk:" : "");
	}
	if (m.swap_free < 2 * n * page_size())
		skip(r, "%zu pages need %zu KiB of free swap, there are %zu KiB", n,
		     2 * n * page_size() / 1024, (size_t)m.swap_free / 1024);
	/* What others left in the swap cache would go with the first swapoff. */
	if (swap_devices_off(r, dev, devices) != devices ||
	    swap_devices_on(dev, devices) != devices)
		bail(r, "swap cannot be switched off and on");
	start = summary_now(r);
	a = area_new(r, n);
	out_and_in(r, &a, start.reserved_pages);
	rounds(r, &a, (unsigned int)param_u64(r, "rounds"));
	forked(r, &a, start.reserved_pages);
	dropped(r, &a, start.reserved_pages);
	swapped_off(r, &a, start.reserved_pages);

	if (munmap(a.base, area_len(&a)))
		bail_errno(r, "munmap");
	expect(r, reserved_pages_wait(r, start.reserved_pages), "unmapped, none has tag storage");
	tagged_while_out(r, n);
	by_untagged_mapping(r, n);
	if (failures_known(r, "swapped in and swapped off when storage is short")) {
		replaced(r);
		other_page_taken(r);
		swapoff_when_held(r);
	}
	in_where_storage_is_free(r);
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "no more blocks are reserved than at the start");
	end = summary_now(r);
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
}

static const struct scenario swap_scenario = {
	.name = "swap",
	.kind = SCENARIO_WORKLOAD,
	.summary = "tagged memory swapped out and in again, with its tags",
	.explanation =
		"When a tagged page is swapped out, its tags have to be kept somewhere else, and its tag storage becomes free for data. "
		"When it comes back it is another page, so storage for its tags is needed in another place, and at a moment when memory is scarce. "
		"It may come back in many ways: by a load, a store, a tag store, in a child, through a mapping that knows of no tags, or because swap is switched off. "
		"Each time the tags must be the ones the program set.",
	.groups = "swap",
	.params = PARAMS(
		P_UINT("pages", "128", 10, 65536, "how many pages are swapped"),
		P_ENUM("device", "any", "any|zram|disk", "skip if swap is on something else"),
		P_UINT("rounds", "4", 0, 1000,
		       "how often they go out and in with changes between")),
	.needs = NEED_TAG_STORAGE | NEED_SWAP,
	.min_memory = 256 << 20,
	.time_limit_s = 600,
	.save_restore = SETTINGS({ SETTING_SWAP }, FAILURE_SETTINGS),
	.roles = ROLES(&child_role, &switcher_role),
	.run = swap_run,
};
SCENARIO(swap_scenario);
