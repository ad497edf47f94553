// SPDX-License-Identifier: GPL-2.0-only
/* workloads/mprotect.c: memory that holds data already is made taggable by mprotect(). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define RW (PROT_READ | PROT_WRITE)
#define MIB (1ULL << 20)

/* Pages, anywhere in the address space, and what was known of each. */
struct set {
	const char *name;	/* begins the results' texts */
	size_t n;
	char **page;
	uint64_t *pfn;		/* before mprotect() */
	bool *foa;		/* made inaccessible by it */
	uint64_t seed;
};

/* How a page is accessed for the first time. */
enum access { LOAD, STORE, STORE_TAG, BY_KERNEL, NR_ACCESSES };

static const char *const access_names[] = { "a load", "a store", "a store of a tag",
					    "a system call" };

struct first_access {
	struct run *r;
	char *page;
	enum access how;
	size_t offset;		/* in the page */
	uint8_t byte;		/* what is there */
	unsigned int tag;	/* what STORE_TAG stores */
	int pipe[2];
	bool failed;
};

static void do_access(void *arg)
{
	struct first_access *a = arg;
	volatile uint8_t *p = (volatile uint8_t *)a->page + a->offset;

	switch (a->how) {
	case LOAD:
		a->failed = *p != a->byte;
		break;
	case STORE:
		*p = a->byte;
		break;
	case STORE_TAG:
		tag_store(p, a->tag);
		break;
	default:
		/* The kernel reads the byte, and puts it back. */
		a->failed = write(a->pipe[1], a->page + a->offset, 1) != 1 ||
			    read(a->pipe[0], a->page + a->offset, 1) != 1;
	}
}

static void set_alloc(struct run *r, struct set *s, const char *name, size_t n, uint64_t seed)
{
	*s = (struct set){ .name = name, .n = n, .seed = seed };
	s->page = calloc(n, sizeof(*s->page));
	s->pfn = calloc(n, sizeof(*s->pfn));
	s->foa = calloc(n, sizeof(*s->foa));
	if (!s->page || !s->pfn || !s->foa)
		bail(r, "out of memory");
}

static void set_free(struct set *s)
{
	free(s->page);
	free(s->pfn);
	free(s->foa);
}

static void expect_data(struct run *r, const struct set *s, const char *when)
{
	struct mismatch m = { .count = 0 };

	for (size_t i = 0; i < s->n && !m.count; i++)
		m = pattern_check(s->page[i], page_size(), s->seed, i);
	expect_intact(r, m, "%s: the data is what the program wrote, %s", s->name, when);
}

/* Populated and untagged: nothing of it may be known to tag storage. */
static void before(struct run *r, struct set *s)
{
	size_t with = 0, tagged = 0, foa = 0;

	for (size_t i = 0; i < s->n; i++)
		pattern_fill(s->page[i], page_size(), s->seed, i);
	for (size_t i = 0; i < s->n; i++) {
		struct state_page page = page_now(r, 0, s->page[i]);

		s->pfn[i] = page.pfn;
		with += page.has_storage;
		tagged += page.tagged || page.vma_tagged;
		foa += page.foa;
	}
	expect_eq_u64(r, with, 0, "%s: untagged pages have no tag storage", s->name);
	expect_eq_u64(r, tagged, 0, "%s: they are not tagged", s->name);
	expect_eq_u64(r, foa, 0, "%s: they are accessible", s->name);
}

/*
 * mprotect() takes blocks that are free, at once; it does not empty any, nor move pages:
 * then each page becomes inaccessible instead.
 */
static void make_taggable(struct run *r, struct set *s, bool at_once)
{
	struct state_summary start = summary_now(r), end;
	size_t foa = 0, with = 0, moved = 0, vma = 0;

	for (size_t i = 0; i < s->n; i++)
		if (mprotect(s->page[i], page_size(), RW | PROT_MTE))
			bail_errno(r, "mprotect with PROT_MTE");
	for (size_t i = 0; i < s->n; i++) {
		struct state_page page = page_now(r, 0, s->page[i]);

		s->foa[i] = page.foa;
		foa += page.foa;
		with += page.has_storage || page.tagged;
		moved += page.pfn != s->pfn[i];
		vma += page.vma_tagged;
	}
	end = summary_now(r);
	expect_eq_u64(r, vma, s->n, "%s: after mprotect() they are in a tagged mapping", s->name);
	expect_eq_u64(r, moved, 0, "%s: mprotect() moves no page", s->name);
	if (at_once) {
		/* And so whoever does not take faults, a debugger's probe, can read them. */
		expect_eq_u64(r, foa, 0, "%s: all of them are accessible", s->name);
		expect_eq_u64(r, with, s->n, "%s: all have tag storage, and are tagged", s->name);
		expect_eq_u64(r, end.reserved_pages - start.reserved_pages, s->n,
			      "%s: mprotect() reserves it", s->name);
		return;
	}
	expect_eq_u64(r, foa, s->n, "%s: all of them are inaccessible, for want of tag storage",
		      s->name);
	expect_eq_u64(r, with, 0, "%s: none has tag storage yet, or is tagged", s->name);
	expect_eq_u64(r, end.reserved_pages, start.reserved_pages,
		      "%s: mprotect() reserves nothing",
		      s->name);
	expect_range(r, end.foa_set - start.foa_set, s->n, UINT64_MAX,
		     "%s: entries made inaccessible were counted", s->name);
}

/*
 * PROT_NONE and back must lose neither the page nor what is known of it. On the way
 * back the kernel may take a block that is free: then the page has storage.
 */
static void none_and_back(struct run *r, struct set *s)
{
	size_t readable = 0, wrong = 0;

	for (size_t i = 0; i < s->n; i += 3) {
		struct state_page page;

		if (mprotect(s->page[i], page_size(), PROT_NONE))
			bail_errno(r, "mprotect with PROT_NONE");
		readable += !probe_load(s->page[i]).signal;
		/* PROT_MTE, once given, stays. */
		if (mprotect(s->page[i], page_size(), RW))
			bail_errno(r, "mprotect back to read and write");
		page = page_now(r, 0, s->page[i]);
		wrong += !page.vma_tagged || page.foa == page.has_storage ||
			 page.foa == page.tagged;
		s->foa[i] = page.foa;
	}
	expect_eq_u64(r, readable, 0, "%s: with PROT_NONE they cannot be read", s->name);
	expect_eq_u64(r, wrong, 0,
		      "%s: after PROT_NONE they are taggable as before, with storage or inaccessible",
		      s->name);
}

/* All tags are 0 but the one that the access itself has set. */
static bool tags_fresh(const struct first_access *a)
{
	for (size_t off = 0; off < page_size(); off += MTE_GRANULE) {
		bool own = a->how == STORE_TAG && off == (a->offset & ~(MTE_GRANULE - 1UL));

		if (tag_load(a->page + off) != (own ? a->tag : 0))
			return false;
	}
	return true;
}

struct outcome {
	size_t signals[NR_ACCESSES], without, not_fresh, neighbours, in_storage, moved, stepwise;
	uint64_t ns;
};

static void touch_page(struct run *r, struct set *s, size_t i, int fds[2], char *scratch,
		       struct outcome *o)
{
	struct state_summary start = summary_now(r), end;
	struct first_access a = {
		.r = r,
		.page = s->page[i],
		.how = (enum access)(i % NR_ACCESSES),
		.offset = rnd_below(r, page_size()),
		.tag = 1 + (unsigned int)rnd_below(r, 15),
		.pipe = { fds[0], fds[1] },
	};
	struct state_page page, next;
	struct probe p;

	pattern_fill(scratch, page_size(), s->seed, i);
	a.byte = (uint8_t)scratch[a.offset];
	p = probe_call(do_access, &a);
	o->signals[a.how] += p.signal || a.failed;
	o->ns += p.ns;
	end = summary_now(r);
	page = page_now(r, 0, s->page[i]);
	o->without += !page.has_storage || !page.tagged || page.foa ||
		      page.block_state != BLOCK_RESERVED;
	o->in_storage += page.in_tag_storage;
	o->moved += page.pfn != s->pfn[i];
	o->stepwise += end.reserved_pages - start.reserved_pages != (s->foa[i] ? 1 : 0);
	o->not_fresh += !tags_fresh(&a);
	if (i + 1 < s->n && s->foa[i + 1]) {
		next = page_now(r, 0, s->page[i + 1]);
		o->neighbours += !next.foa || next.has_storage || next.tagged;
	}
}

/*
 * How many pages may have been moved since, because blocks were emptied. The kernel
 * counts the blocks, and an attempt that failed may have moved some pages, too.
 */
static uint64_t pages_emptied(const struct state_summary *start, const struct state_summary *end)
{
	return (end->reserve_migrated - start->reserve_migrated + end->reserve_busy -
		start->reserve_busy) * end->block_pages;
}

static struct outcome touch_all(struct run *r, struct set *s)
{
	struct state_summary start = summary_now(r), end;
	struct outcome o = { .ns = 0 };
	char *scratch = malloc(page_size());
	size_t foa = 0;
	uint64_t emptied;
	int fds[2];

	if (!scratch || pipe(fds))
		bail_errno(r, "out of memory, or no pipe");
	for (size_t i = 0; i < s->n; i++) {
		foa += s->foa[i];
		touch_page(r, s, i, fds, scratch, &o);
	}
	close(fds[0]);
	close(fds[1]);
	free(scratch);
	end = summary_now(r);
	for (int how = 0; how < NR_ACCESSES; how++)
		expect_eq_u64(r, o.signals[how], 0, "%s: %s as first access works", s->name,
			      access_names[how]);
	expect_eq_u64(r, o.without, 0, "%s: each page has tag storage after its first access",
		      s->name);
	/*
	 * A page of the set may lie in the very storage that another one needs, and
	 * is moved out of its way: then it has got storage of its own unasked, and
	 * moved without a fault.
	 */
	emptied = pages_emptied(&start, &end);
	expect_range(r, o.stepwise, 0, 2 * emptied,
		     "%s: each first access adds just that one page", s->name);
	expect_range(r, o.neighbours, 0, emptied, "%s: pages not accessed yet have none",
		     s->name);
	expect_eq_u64(r, o.in_storage, 0, "%s: no accessed page lies in tag storage", s->name);
	expect_eq_u64(r, o.not_fresh, 0, "%s: the tags begin as 0", s->name);
	expect_range(r, end.foa_fault - start.foa_fault + emptied, foa, UINT64_MAX,
		     "%s: each inaccessible page took a fault", s->name);
	expect_range(r, o.moved, 0, end.foa_replaced - start.foa_replaced + emptied,
		     "%s: a page has moved only where the kernel says so", s->name);
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "%s: no fault ended in SIGBUS", s->name);
	expect_data(r, s, "after the first access");
	return o;
}

/* All of a set has storage: set tags, and compare with what is in DRAM. */
static void use_tags(struct run *r, const struct set *s)
{
	struct mismatch m = { .is_tag = true };
	size_t raw = 0;

	for (size_t i = 0; i < s->n; i++)
		tags_fill(s->page[i], page_size(), s->seed, i);
	for (size_t i = 0; i < s->n; i++) {
		struct state_tags tags = tags_now(r, 0, s->page[i]);

		raw += !tags.valid || !tags.has_raw || !state_tags_agree(&tags);
		if (!m.count)
			m = tags_check(s->page[i], page_size(), s->seed, i);
	}
	expect_intact(r, m, "%s: the tags are what the program set", s->name);
	expect_eq_u64(r, raw, 0, "%s: the bytes in tag storage are those tags", s->name);
	expect_data(r, s, "after the tags were set");
}

static void free_blocks(struct run *r, size_t n)
{
	struct state_summary start = summary_now(r);
	size_t len = (n + 1) * page_size();
	struct state_page zero;
	struct set s;
	char *area = mte_map(len, false);

	set_alloc(r, &s, "free memory", n, rnd(r));
	if (!area)
		bail_errno(r, "mmap of %zu bytes", len);
	if (madvise(area, len, MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	for (size_t i = 0; i < n; i++)
		s.page[i] = area + i * page_size();

	step(r,
	     "The program fills %zu pages with data. They are not tagged, so none of them has tag storage.",
	     n);
	before(r, &s);
	expect_eq_u64(r, summary_now(r).reserved_pages, start.reserved_pages,
		      "free memory: data alone reserves nothing");

	step(r,
	     "mprotect() makes them taggable. It takes the blocks of tag storage that are free, there and then.");
	make_taggable(r, &s, true);
	none_and_back(r, &s);

	step(r,
	     "It uses the pages one by one, each for the first time: by a load, a store, a store of a tag, or through a system call.");
	touch_all(r, &s);
	use_tags(r, &s);

	step(r,
	     "A page that was only ever read is the zero page, which all programs share: its tags have their storage for ever. Written to, it becomes a page of its own.");
	if (mprotect(area + n * page_size(), page_size(), RW))
		bail_errno(r, "mprotect");
	*(volatile char *)(area + n * page_size());
	if (mprotect(area + n * page_size(), page_size(), RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	expect(r, page_present(r, 0, area + n * page_size(), &zero) && !zero.foa &&
	       zero.block_state == BLOCK_PERMANENT,
	       "zero page: it is there and accessible, and its block permanent");
	expect_intact(r, tags_check_same(area + n * page_size(), page_size(), 0),
		      "zero page: its tags are 0");
	tag_store(area + n * page_size(), 7);
	zero = page_now(r, 0, area + n * page_size());
	expect(r, zero.has_storage && zero.tagged && zero.block_state == BLOCK_RESERVED,
	       "zero page: written to, it is a tagged page of the program's own");
	expect_eq_u64(r, tag_load(area + n * page_size()), 7,
		      "zero page: the tag that was set is there");

	step(r,
	     "All is unmapped, and the storage given back.");
	if (munmap(area, len))
		bail_errno(r, "munmap");
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "free memory: no more pages have tag storage than at the start");
	set_free(&s);
}

/*
 * Random pages of the ballast that are ordinary memory and whose block holds data.
 * Returns how many there are.
 */
static size_t pick_busy(struct run *r, struct set *s, const struct ballast *b)
{
	size_t n = 0;

	for (size_t tries = 0; tries < 1000 * s->n && n < s->n; tries++) {
		char *p = ballast_page(b, rnd_below(r, ballast_pages(b)));
		struct state_page page;
		bool again = false;

		if (!page_present(r, 0, p, &page) || page.in_tag_storage ||
		    page.block_state != BLOCK_DATA)
			continue;
		for (size_t i = 0; i < n; i++)
			again |= s->page[i] == p;
		if (!again)
			s->page[n++] = p;
	}
	return n;
}

static void busy_blocks(struct run *r, const struct ballast *b, size_t n)
{
	struct state_summary start = summary_now(r), end;
	struct outcome o;
	struct set s;

	set_alloc(r, &s, "busy blocks", n, rnd(r));
	s.n = pick_busy(r, &s, b);
	expect_range(r, s.n, n, n, "busy blocks: there are pages whose blocks hold data");
	if (!s.n)
		run_stop(r);

	step(r,
	     "Now %zu pages whose blocks hold somebody's data. To take such a block its data has to move away, and mprotect() does not wait for that: each page becomes inaccessible, and the rest is put off until it is used.",
	     s.n);
	before(r, &s);
	make_taggable(r, &s, false);
	none_and_back(r, &s);

	step(r,
	     "At the first access to each, the kernel moves the data out of the block, reserves it, and lets the access go on.");
	o = touch_all(r, &s);
	measure(r, "busy_blocks_first_access", "ns", (double)o.ns / (double)s.n);
	end = summary_now(r);
	expect_range(r, end.reserve_migrated, start.reserve_migrated + 1, UINT64_MAX,
		     "busy blocks: data was moved out of blocks to take them");
	use_tags(r, &s);
	set_free(&s);
}

static void in_tag_storage(struct run *r, char **pages, size_t n)
{
	struct state_summary start = summary_now(r), end;
	size_t there = 0, same = 0;
	struct outcome o;
	struct set s;

	set_alloc(r, &s, "in tag storage", n, rnd(r));
	memcpy(s.page, pages, n * sizeof(*pages));
	step(r,
	     "And %zu pages that themselves lie in tag storage, as ordinary data. Tag storage has no tags of its own: such a page has to move before it can be tagged.",
	     n);
	before(r, &s);
	for (size_t i = 0; i < n; i++)
		there += pfn_now(r, s.pfn[i]).in_tag_storage;
	expect_eq_u64(r, there, n, "in tag storage: all of them lie there at first");
	make_taggable(r, &s, false);
	none_and_back(r, &s);

	step(r,
	     "Each is accessed: the kernel moves it to ordinary memory, and reserves tag storage for it there.");
	o = touch_all(r, &s);
	measure(r, "in_tag_storage_first_access", "ns", (double)o.ns / (double)n);
	end = summary_now(r);
	for (size_t i = 0; i < n; i++)
		same += page_now(r, 0, s.page[i]).pfn == s.pfn[i];
	expect_eq_u64(r, same, 0, "in tag storage: each is another page now");
	expect_range(r, end.moved_out - start.moved_out + pages_emptied(&start, &end), n,
		     UINT64_MAX, "in tag storage: the kernel has counted the moves");
	use_tags(r, &s);
	set_free(&s);
}

static void mprotect_run(struct run *r)
{
	size_t pages = param_u64(r, "pages"), n = param_u64(r, "storage_pages"), found, want;
	struct state_summary start = summary_now(r);
	struct ballast *b;
	char **storage = calloc(n ? n : 1, sizeof(*storage));

	if (!storage)
		bail(r, "out of memory");
	gather_nothing(r);
	free_blocks(r, pages);
	if (!n || !storage_takes_data(r, "when memory is scarce, data is put into tag storage")) {
		free(storage);
		return;
	}

	b = ballast_new(r);
	step(r,
	     "Now memory gets scarce: the program fills it with data until some lies in tag storage, which the kernel uses last.");
	want = start.blocks * start.block_pages / 8;
	found = ballast_into_tag_storage(r, b, want > n ? want : n,
					 memory_reserve(r) + 24 * MIB, storage, n);
	measure(r, "in_tag_storage_found", "pages", (double)found);
	require(r, found == n, "when memory is scarce, data is put into tag storage");
	busy_blocks(r, b, pages);
	/* What was moved for the pages above may have been some of these. */
	found = 0;
	for (size_t i = 0; i < n; i++)
		if (page_now(r, 0, storage[i]).in_tag_storage)
			storage[found++] = storage[i];
	require(r, found > 0, "some data still lies in tag storage");
	in_tag_storage(r, storage, found);

	step(r,
	     "All is given back.");
	ballast_free(b);
	free(storage);
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "no more pages have tag storage than at the start");
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "no more blocks are reserved than at the start");
}

static const struct scenario mprotect_scenario = {
	.name = "mprotect",
	.kind = SCENARIO_WORKLOAD,
	.summary = "data first, tags later: mprotect(PROT_MTE) and fault on access",
	.explanation =
		"A program may ask for tags when its memory holds data already. Then each page needs a block of tag storage, "
		"and that may hold data of somebody else, which has to be moved away first. mprotect() takes a block that is free, but cannot wait for one. "
		"So the kernel makes such a page inaccessible, and finds storage for its tags at the first access: this is fault on access. "
		"Worse, the page may itself lie in tag storage, where nothing can be tagged; then it is the page that moves.",
	.groups = "quick",
	.params = PARAMS(
		P_UINT("pages", "64", 8, 4096, "how many pages of each kind are made taggable"),
		P_UINT("storage_pages", "64", 0, 4096,
		       "how many pages that lie in tag storage; 0: do not fill memory")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.run = mprotect_run,
};
SCENARIO(mprotect_scenario);
