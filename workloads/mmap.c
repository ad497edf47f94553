// SPDX-License-Identifier: GPL-2.0-only
/* workloads/mmap.c: anonymous memory mapped with PROT_MTE, touched sparsely or densely. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "scenario/area.h"
#include "scenario/page.h"
#include "scenario/scenario.h"


static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * What the kernel says of all touched pages. Each page's block must be reserved, and
 * count at least as many tagged pages as we have in it; no page may itself lie in
 * tag storage. Returns in how many blocks they are.
 */
static size_t expect_storage(struct run *r, const struct area *a)
{
	size_t without = 0, in_storage = 0, untagged = 0, unreserved = 0, short_count = 0;
	size_t nr_blocks = 0, raw_wrong = 0, ldg_wrong = 0, misplaced = 0;
	int64_t *blocks = calloc(a->n, sizeof(*blocks));

	if (!blocks)
		bail(r, "out of memory");
	for (size_t i = 0; i < a->n; i++) {
		struct state_page page = page_now(r, 0, area_page(a, i));
		struct state_tags tags = tags_now(r, 0, area_page(a, i));

		blocks[i] = page.block;
		misplaced += page.block != pfn_block(r, page.pfn);
		without += !page.has_storage;
		in_storage += page.in_tag_storage;
		untagged += !page.tagged;
		unreserved += page.block_state != BLOCK_RESERVED;
		for (size_t g = 0; g < STATE_TAGS_PER_PAGE; g++) {
			if (!tags.valid ||
			    tags.tags[g] != tags_pattern_at(a->tags, i, g * MTE_GRANULE)) {
				ldg_wrong++;
				break;
			}
		}
		raw_wrong += !tags.has_raw || !state_tags_agree(&tags);
	}
	qsort(blocks, a->n, sizeof(*blocks), by_number);
	for (size_t i = 0, run = 1; i < a->n; i++, run++) {
		struct state_block b;

		if (i + 1 < a->n && blocks[i + 1] == blocks[i])
			continue;
		nr_blocks++;
		if (blocks[i] >= 0) {
			b = block_now(r, (uint64_t)blocks[i]);
			short_count += b.letter != BLOCK_RESERVED || b.tagged < run;
		}
		run = 0;
	}
	free(blocks);
	expect_eq_u64(r, without, 0, "every touched page has tag storage");
	expect_eq_u64(r, untagged, 0, "the kernel knows every touched page as tagged");
	expect_eq_u64(r, unreserved, 0, "every touched page's block is reserved");
	expect_eq_u64(r, misplaced, 0, "each page's block is where its region has it");
	expect_eq_u64(r, short_count, 0, "each block counts all of the program's pages in it");
	expect_eq_u64(r, in_storage, 0, "no touched page is itself part of tag storage");
	expect_eq_u64(r, ldg_wrong, 0, "the kernel reads the tags that the program set");
	expect_eq_u64(r, raw_wrong, 0, "the bytes in tag storage are those tags");
	return nr_blocks;
}

static void first_page(struct run *r, const struct area *a, const struct state_summary *start)
{
	struct state_page page;
	struct state_summary s;

	expect(r, !page_present(r, 0, a->base, &page), "no page is there before the first touch");
	expect_eq_u64(r, summary_now(r).reserved_pages, start->reserved_pages,
		      "mapping alone reserves nothing");

	step(r, "The program writes to the first page. The kernel finds a data page, and takes the block of tag storage that holds this page's tags away from the page allocator: it is reserved.");
	area_fill(a, 0);
	page = page_now(r, 0, a->base);
	s = summary_now(r);
	expect(r, page.has_storage, "the page has tag storage");
	expect(r, page.vma_tagged && page.tagged, "the page is tagged, in a tagged mapping");
	expect(r, !page.in_tag_storage, "the page is not itself part of tag storage");
	expect_eq_u64(r, page.block_state, BLOCK_RESERVED, "its block is reserved");
	expect_range(r, page.block_tagged, 1, 32 * s.block_pages,
		     "its block counts the pages whose tags it holds");
	expect_eq_u64(r, s.reserved_pages - start->reserved_pages, 1,
		      "one more page has tag storage");
	expect_range(r, s.blocks_reserved, start->blocks_reserved, start->blocks_reserved + 1,
		     "at most one block more is reserved");
	if (page.block >= 0)
		note(r, "page 0x%" PRIx64 " has its tags in block %" PRId64 ", page 0x%" PRIx64
		     " from byte %u on", page.pfn, page.block, page.tag_pfn, page.tag_offset);
}

static void check_faults(struct run *r, const struct area *a)
{
	unsigned int tag = tags_pattern_at(a->tags, 0, 0);
	struct probe p;

	step(r, "Tag checks go on. A pointer with the right tag works; one with a wrong tag is stopped by the processor, which compares with the tag in that block.");
	if (mte_set_mode(MTE_SYNC))
		bail_errno(r, "cannot switch tag checks on");
	p = probe_load(ptr_with_tag(a->base, tag));
	expect_eq_u64(r, (uint64_t)p.signal, 0, "a load through the right tag works");
	p = probe_load(ptr_with_tag(a->base, tag ^ 1));
	expect(r, p.signal == SIGSEGV && p.code == SEGV_MTESERR,
	       "a load through a wrong tag is a tag check fault");
	p = probe_store(ptr_with_tag(a->base, tag ^ 8), 1);
	expect(r, p.signal == SIGSEGV && p.code == SEGV_MTESERR,
	       "a store through a wrong tag is a tag check fault");
	if (mte_set_mode(MTE_OFF))
		bail_errno(r, "cannot switch tag checks off");
}

/* One of the program's pages, and the block that has its tags. */
struct tenant {
	int64_t block;		/* first, for by_number() */
	size_t page;
};

/* Sorted: those of one block are neighbours. The caller frees it. */
static struct tenant *tenants_by_block(struct run *r, const struct area *a)
{
	struct tenant *t = calloc(a->n, sizeof(*t));

	if (!t)
		bail(r, "out of memory");
	for (size_t i = 0; i < a->n; i++) {
		t[i].block = page_now(r, 0, area_page(a, i)).block;
		t[i].page = i;
	}
	qsort(t, a->n, sizeof(*t), by_number);
	return t;
}

/* A block outlives all of its pages but the last. */
static void keep_one_of_a_block(struct run *r, const struct area *a, uint64_t reserved)
{
	struct tenant *t = tenants_by_block(r, a);
	size_t first = 0, n = 0, kept, bad = 0;
	struct state_block before, after;
	uint64_t block;

	for (size_t i = 0, begin = 0; i < a->n; i++) {
		if (t[i].block != t[begin].block)
			begin = i;
		if (i - begin + 1 > n) {
			n = i - begin + 1;
			first = begin;
		}
	}
	if (n < 2 || t[first].block < 0) {
		skip_result(r, "no two pages share a block",
			    "a block outlives all of its pages but the last");
		free(t);
		return;
	}
	block = (uint64_t)t[first].block;
	kept = t[first + rnd_below(r, n)].page;
	step(r, "Of the %zu pages whose tags are in block %" PRIu64 " it drops all but one. That one's tags are there still, so the block must not go back to the page allocator.",
	     n, block);
	before = block_now(r, block);
	for (size_t i = first; i < first + n; i++)
		if (t[i].page != kept &&
		    madvise(area_page(a, t[i].page), page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	expect(r, reserved_pages_wait(r, reserved - (n - 1)),
	       "the pages that were dropped have no tag storage");
	after = block_now(r, block);
	expect_eq_u64(r, after.letter, BLOCK_RESERVED, "the block of the one that is kept is reserved");
	expect_eq_u64(r, after.tagged, before.tagged - (n - 1), "it counts those that are gone no more");
	expect_intact(r, pattern_check(area_page(a, kept), page_size(), a->data, kept),
		      "the data of the page that is kept is what the program wrote");
	expect_intact(r, tags_check(area_page(a, kept), page_size(), a->tags, kept),
		      "its tags are what the program set");
	expect(r, tags_stored(r, 0, area_page(a, kept), 0, NULL), "and they are in that block");

	/* The same pages may get their old places, or others. */
	for (size_t i = first; i < first + n; i++)
		if (t[i].page != kept)
			area_fill(a, t[i].page);
	for (size_t i = 0; i < a->n; i++)
		bad += !tags_stored(r, 0, area_page(a, i), 0, NULL);
	expect_eq_u64(r, bad, 0, "touched again, all pages have their tags in tag storage");
	area_expect(r, a, "after those pages were written again");
	free(t);
}

static void mmap_run(struct run *r)
{
	struct state_summary start = summary_now(r), full, end;
	bool dense = !strcmp(param_str(r, "layout"), "dense");
	/* Sparse: pages of which no two would share a block if they were contiguous. */
	size_t n = param_u64(r, "pages"), stride = dense ? 1 : pages_per_block(r);
	size_t len = n * stride * page_size(), blocks;
	struct state_page page;
	struct area a;
	uint64_t t;

	gather_nothing(r);
	step(r, "The program maps %zu %s with PROT_MTE. Until it touches them no page is there, and nothing is taken from tag storage.",
	     len >> (len % (1 << 20) ? 10 : 20), len % (1 << 20) ? "KiB" : "MiB");
	a = area_map_sparse(r, n, stride, true);
	first_page(r, &a, &start);
	check_faults(r, &a);

	step(r, "It writes data and tags to %zu pages, %s.", a.n,
	     dense ? "one beside the other: up to 32 of them share a page of tag storage" :
		     "far from one another in its address space");
	t = now_ns();
	for (size_t i = 0; i < a.n; i++)
		area_fill(&a, i);
	measure(r, "touch_time_per_page", "ns", (double)(now_ns() - t) / (double)a.n);
	full = summary_now(r);
	expect_eq_u64(r, full.reserved_pages - start.reserved_pages, a.n,
		      "exactly the touched pages have tag storage");
	area_expect(r, &a, "while mapped");

	step(r, "Now compare what the program sees with what the kernel says of each page, and with the bytes in tag storage.");
	blocks = expect_storage(r, &a);
	measure(r, "blocks_used", "blocks", (double)blocks);
	measure(r, "pages_per_block", "pages", (double)a.n / (double)blocks);
	expect_range(r, blocks, (a.n + 32 * start.block_pages - 1) / (32 * start.block_pages),
		     a.n, "the pages share blocks as the arithmetic allows");
	expect_range(r, full.blocks_reserved, blocks, full.blocks,
		     "the summary counts at least these blocks as reserved");

	keep_one_of_a_block(r, &a, full.reserved_pages);

	step(r, "The program drops one page with MADV_DONTNEED and touches it again: the data is gone, and so must be the tags.");
	if (madvise(a.base, page_size(), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	expect(r, !page_present(r, 0, a.base, &page), "the page is gone");
	expect(r, reserved_pages_wait(r, start.reserved_pages + a.n - 1),
	       "it has no tag storage any more");
	*(volatile char *)a.base;
	expect_intact(r, tags_check_same(a.base, page_size(), 0), "read back, all its tags are 0");
	area_fill(&a, 0);
	area_expect(r, &a, "after that page was written again");

	step(r, "It unmaps all. As the last tagged page of a block is freed, the block goes back to the page allocator.");
	area_unmap(r, &a);
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "no more pages have tag storage than at the start");
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "no more blocks are reserved than at the start");
	end = summary_now(r);
	expect_range(r, end.release - start.release, blocks, UINT64_MAX,
		     "the blocks were given back");
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
	expect_range(r, end.blocks_reserved_max, full.blocks_reserved, end.blocks,
		     "the high-water mark saw them");
}

static const struct scenario mmap_scenario = {
	.name = "mmap",
	.kind = SCENARIO_WORKLOAD,
	.summary = "anonymous memory with PROT_MTE: touched, used, released",
	.explanation =
		"Memory mapped with PROT_MTE has a 4-bit tag for every 16 bytes; 32 pages' tags fill one page of tag storage. "
		"As long as a block of tag storage holds no tags, the kernel uses it for data like any memory. "
		"This scenario shows the life of such a block: it is taken when the first of its pages is tagged, "
		"shared by the others, and given back when the last is freed. "
		"Dense use costs 1 page of tag storage for 32 pages of data; sparse use may cost a block for each page.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "256", 1, 65536, "how many pages are touched"),
			 P_ENUM("layout", "dense", "dense|sparse",
				"touched pages: neighbours, or far apart")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 128 << 20,
	.time_limit_s = 120,
	.run = mmap_run,
};
SCENARIO(mmap_scenario);
