// SPDX-License-Identifier: GPL-2.0-only
/* workloads/ksm.c: same-page merging, of memory with tags, without, and with tags later. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#define KSM "/sys/kernel/mm/ksm/"
#define WAIT_MS 120000
#define OUT_MS 300000	/* on the debug kernel it takes minutes */
#define SWITCH_MS 300000
/* So many that copies of them need blocks which nobody has reserved yet. */
#define SWAP_PAGES 512

static const struct role switcher_role = {
	.name = "switcher",
	.summary = "switches swap off",
	.user = ROLE_ROOT,
};

static uint64_t ksm_get(struct run *r, const char *name)
{
	char path[96], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), KSM "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		bail_errno(r, "%s", path);
	close(fd);
	return strtoull(text, NULL, 10);
}

static void ksm_set(struct run *r, const char *name, uint64_t value)
{
	char path[96];

	snprintf(path, sizeof(path), KSM "%s", name);
	if (kernel_write(r, path, "%" PRIu64, value))
		bail_errno(r, "%s", path);
}

/* The kernel has looked at everything twice since: it merges what it has seen before. */
static bool scanned(struct run *r)
{
	uint64_t start = ksm_get(r, "full_scans");

	return eventually(WAIT_MS, ksm_get(r, "full_scans") >= start + 3);
}

/* All pages of an area hold the same data. */
static void fill_same(struct area *a)
{
	for (size_t i = 0; i < a->n; i++)
		pattern_fill(area_page(a, i), page_size(), a->data, 0);
}

static struct mismatch check_same(const struct area *a)
{
	struct mismatch m = { .count = 0 };

	for (size_t i = 0; i < a->n && !m.count; i++)
		m = pattern_check(area_page(a, i), page_size(), a->data, 0);
	return m;
}

static size_t distinct(struct run *r, const struct area *a)
{
	uint64_t *pfn = area_locations(r, 0, a);
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = pfn[k] == pfn[i];
		n += !seen;
	}
	free(pfn);
	return n;
}

/* Of the pages of an area, those that are merged, be it with pages of others. */
static size_t merged(struct run *r, const struct area *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += !strcmp(page_now(r, 0, area_page(a, i)).kind, "ksm");
	return n;
}

static void mergeable(struct run *r, const struct area *a)
{
	if (madvise(a->base, area_len(a), MADV_MERGEABLE))
		bail_errno(r, "MADV_MERGEABLE");
}

static void ksm_body(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area plain = area_map(r, n, false), tagged = area_map(r, n, true);
	struct area late = area_map(r, n, false), zeroes = area_map(r, n, true);
	struct area twin = area_map(r, n, false), twin_tagged = area_map(r, n, true);
	size_t untagged = 0;

	step(r,
	     "Four areas of %zu pages, each full of one and the same page of data: without PROT_MTE; with it, and tags that differ; without, to become tagged later; and with it, all tags 0. Two more have other data, page by page the same in both, but one has tags. The kernel is asked to merge what is equal.",
	     n);
	fill_same(&plain);
	fill_same(&tagged);
	area_write_tags(r, &tagged);
	fill_same(&late);
	fill_same(&zeroes);
	zeroes.tags = 0;
	area_write(r, &twin_tagged);
	twin.data = twin_tagged.data;
	for (size_t i = 0; i < n; i++)
		pattern_fill(area_page(&twin, i), page_size(), twin.data, i);
	mergeable(r, &twin);
	mergeable(r, &twin_tagged);
	mergeable(r, &plain);
	mergeable(r, &tagged);
	mergeable(r, &late);
	mergeable(r, &zeroes);
	require(r, scanned(r), "the kernel has looked at all pages");
	expect_range(r, distinct(r, &plain), 1, n / 4, "untagged pages are merged");
	expect_range(r, distinct(r, &late), 1, n / 4,
		     "so are those that will be tagged");
	expect_eq_u64(r, distinct(r, &tagged), n, "pages with tags are not merged");
	expect_eq_u64(r, distinct(r, &zeroes), n, "nor are those of which all tags are 0");
	expect_eq_u64(r, merged(r, &tagged) + merged(r, &zeroes) + merged(r, &twin_tagged), 0,
		      "nor is any of them merged with pages that have no tags");
	area_expect(r, &twin_tagged, "where there are pages with the same data and no tags");
	expect_intact(r, check_same(&plain), "merged data is intact");
	expect_intact(r, check_same(&tagged), "data with tags is intact");
	expect_intact(r, area_check_tags(&tagged), "its tags are intact");
	expect_eq_u64(r, area_bad_storage(r, 0, &tagged), 0, "its tags are in tag storage");

	step(r,
	     "The merged pages of one area become taggable with mprotect(), and are read. A page that many share is tagged now: once, with tags of 0.");
	expect_str(r, page_now(r, 0, late.base).kind, "ksm", "the kernel shows it as merged");
	area_protect(r, &late, true);
	expect_intact(r, check_same(&late), "the data of pages that were merged is intact");
	late.tags = 0;
	expect_intact(r, area_check_tags(&late), "their tags are 0");
	expect_eq_u64(r, area_bad_storage(r, 0, &late), 0, "their tags are in tag storage");

	step(r,
	     "Tags are set in every second of them. A store of a tag is a write: the page is copied first, and the others keep their tags.");
	for (size_t i = 0; i < n; i += 2)
		tags_fill(area_page(&late, i), page_size(), 77, i);
	for (size_t i = 0; i < n; i++) {
		struct mismatch m = i % 2 ? tags_check_same(area_page(&late, i), page_size(), 0) :
					    tags_check(area_page(&late, i), page_size(), 77, i);

		untagged += !!m.count;
	}
	expect_eq_u64(r, untagged, 0, "each page has its own tags");
	expect_intact(r, check_same(&late), "the data is intact in all of them");
	expect_intact(r, check_same(&plain), "and in the area that stays untagged");
	expect_eq_u64(r, area_bad_storage(r, 0, &late), 0, "all those tags are in tag storage");

	step(r, "The kernel is told to undo all merging: everybody gets pages of their own again.");
	ksm_set(r, "run", 2);
	expect_eq_u64(r, distinct(r, &late), n, "each page is one of its own");
	for (size_t i = 0, bad = 0; i < n; i++) {
		struct mismatch m = i % 2 ? tags_check_same(area_page(&late, i), page_size(), 0) :
					    tags_check(area_page(&late, i), page_size(), 77, i);

		bad += !!m.count;
		if (i == n - 1)
			expect_eq_u64(r, bad, 0, "and still has its own tags");
	}
	expect_intact(r, check_same(&late), "and its data");
	expect_eq_u64(r, area_bad_storage(r, 0, &late), 0, "and storage for its tags");

	area_unmap(r, &twin);
	area_unmap(r, &twin_tagged);
	area_unmap(r, &plain);
	area_unmap(r, &tagged);
	area_unmap(r, &late);
	area_unmap(r, &zeroes);
	expect(r, reserved_pages_wait(r, start), "unmapped, none has tag storage");
}

/* Loads that failed, of pages from here to there. */
static size_t load_pages(const struct area *a, size_t first, size_t end)
{
	size_t failed = 0;

	for (size_t i = first; i < end; i++)
		failed += probe_load(area_page(a, i)).signal != 0;
	return failed;
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

/*
 * What was merged comes back from swap as a page of one of its owners, and the others get
 * copies. If that one's mapping is tagged, so is what is copied.
 */
static void swapped(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area late = area_map(r, SWAP_PAGES, false), plain = area_map(r, SWAP_PAGES, false);
	struct switching *s = shared_alloc(r, sizeof(*s));
	size_t together = 0, failed;
	struct child *c;

	step(r,
	     "Two areas have the same data, page by page, and are merged. One of them becomes taggable, and all of it is swapped out.");
	area_write_data(r, &late);
	plain.data = late.data;
	for (size_t i = 0; i < plain.n; i++)
		pattern_fill(area_page(&plain, i), page_size(), plain.data, i);
	mergeable(r, &late);
	mergeable(r, &plain);
	require(r, scanned(r), "the kernel has looked at all pages again");
	for (size_t i = 0; i < late.n; i++)
		together += page_now(r, 0, area_page(&late, i)).pfn ==
			    page_now(r, 0, area_page(&plain, i)).pfn;
	expect_range(r, together, SWAP_PAGES / 2, SWAP_PAGES, "the pages of both are merged");
	area_protect(r, &late, true);
	late.tags = 0;
	area_expect(r, &late, "merged, then tagged");
	require(r, swap_out(r, late.base, late.n, OUT_MS), "what was merged is swapped out");
	require(r, swap_out(r, plain.base, plain.n, OUT_MS), "of the other area, too");

	step(r,
	     "The tagged area is read, then half of the other one, while storage for the copies has to be found in full tag storage.");
	failed = load_pages(&late, 0, late.n);
	storage_shortage(r, STORAGE_FULL);
	failed += load_pages(&plain, 0, plain.n / 2);
	storage_shortage(r, STORAGE_NORMAL);
	expect_eq_u64(r, failed, 0, "swapped in, all can be read");

	step(r,
	     "Swap is switched off while no tag storage is available. Copies may be impossible, and then swap stays on; in any case nothing gets lost.");
	s->n = swap_devices(r, s->dev, sizeof(s->dev) / sizeof(s->dev[0]));
	storage_shortage(r, STORAGE_HELD);
	c = role_spawn(r, &switcher_role, switch_off, s);
	if (!expect_role_done(r, c, SWITCH_MS))
		role_kill(r, c);
	storage_shortage(r, STORAGE_NORMAL);
	expect(r, swap_devices_on(s->dev, s->n) >= s->off, "swap is on again");
	failed = load_pages(&plain, plain.n / 2, plain.n);
	expect_eq_u64(r, failed, 0, "after swapoff, the other half can be read");
	area_expect(r, &late, "merged and swapped in");
	expect_intact(r, area_check_data(&plain), "so is the data of the copies");
	expect_eq_u64(r, area_bad_storage(r, 0, &late), 0, "swapped in, the tags are in tag storage");
	area_protect(r, &plain, true);
	plain.tags = 0;
	area_expect(r, &plain, "in the copies, tagged as well");
	area_write_tags(r, &plain);
	area_expect(r, &plain, "in the copies, with tags of their own");
	area_expect(r, &late, "after the copies got tags");
	area_unmap(r, &late);
	area_unmap(r, &plain);
	expect(r, reserved_pages_wait(r, start), "swapped in and unmapped, none has tag storage");
}

static void ksm_run(struct run *r)
{
	uint64_t sigbus = summary_now(r).foa_sigbus;

	ksm_set(r, "pages_to_scan", 10000);
	ksm_set(r, "sleep_millisecs", 1);
	ksm_set(r, "run", 1);
	ksm_body(r, param_u64(r, "pages"));
	/* The last step of that was to undo all merging. */
	ksm_set(r, "run", 1);
	if (memory_now(r).swap_free > 8 * SWAP_PAGES * page_size())
		swapped(r);
	else
		skip_result(r, "no swap", "merged pages come back from swap with their tags");
	expect_eq_u64(r, summary_now(r).foa_sigbus, sigbus, "no access ended in SIGBUS");
}

static const struct scenario ksm_scenario = {
	.name = "ksm",
	.kind = SCENARIO_WORKLOAD,
	.summary = "same-page merging of memory with tags, without, and with tags later",
	.explanation =
		"The kernel can merge pages of equal data into one (KSM). Tags are part of what a program sees of a page, so pages with tags are left alone. "
		"But a page that is merged already can become taggable with mprotect(): then one page, which has no storage for tags yet, is tagged in many places at once, "
		"and whoever sets a tag must get a copy, with storage.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "32", 4, 4096, "pages in each area")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 1200,
	.save_restore = SETTINGS({ KSM "run" }, { KSM "pages_to_scan" }, { KSM "sleep_millisecs" },
				 { SETTING_SWAP, SETTING_OPTIONAL }, FAILURE_SETTINGS),
	.roles = ROLES(&switcher_role),
	.run = ksm_run,
};
SCENARIO(ksm_scenario);
