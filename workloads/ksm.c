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

#include "area.h"
#include "place.h"
#include "scenario.h"

#define KSM "/sys/kernel/mm/ksm/"
#define WAIT_MS 120000

static uint64_t ksm_get(struct run *r, const char *name)
{
	char path[96], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), KSM "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		skip(r, "this kernel does not merge pages (%s is missing)", path);
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
	if (kernel_write(path, "%" PRIu64, value))
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
	uint64_t *pfn = area_places(r, 0, a);
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
	size_t untagged = 0;

	step(r,
	     "Four areas of %zu pages, each full of one and the same page of data: without PROT_MTE; with it, and tags that differ; without, to become tagged later; and with it, all tags 0. The kernel is asked to merge what is equal.",
	     n);
	fill_same(&plain);
	fill_same(&tagged);
	area_write_tags(r, &tagged);
	fill_same(&late);
	fill_same(&zeroes);
	zeroes.tags = 0;
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

	step(r, "The kernel is told to undo all merging: everybody gets pages of his own again.");
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

	area_unmap(r, &plain);
	area_unmap(r, &tagged);
	area_unmap(r, &late);
	area_unmap(r, &zeroes);
	expect(r, reserved_pages_settle(r, start), "unmapped, none has tag storage");
}

static void ksm_run(struct run *r)
{
	static const char *const names[] = { "pages_to_scan", "sleep_millisecs", "run" };
	uint64_t old[3], sigbus = summary_now(r).foa_sigbus;

	for (size_t i = 0; i < 3; i++)
		old[i] = ksm_get(r, names[i]);
	ksm_set(r, "pages_to_scan", 10000);
	ksm_set(r, "sleep_millisecs", 1);
	ksm_set(r, "run", 1);
	ksm_body(r, param_u64(r, "pages"));
	for (size_t i = 0; i < 3; i++)
		ksm_set(r, names[i], old[i]);
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
	.time_limit_s = 600,
	.run = ksm_run,
};
SCENARIO(ksm_scenario);
