// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a known content: see area.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "scenario/area.h"
#include "scenario/page.h"

struct area area_at(struct run *r, void *base, size_t n)
{
	return (struct area){ .base = base, .n = n, .data = rnd(r) | 1, .tags = rnd(r) | 1 };
}

struct area area_map_sparse(struct run *r, size_t n, size_t stride, bool tagged)
{
	size_t len = n * stride * page_size();
	void *base = mte_map(len, tagged);
	struct area a;

	if (!base)
		bail_errno(r, "mmap of %zu pages", n * stride);
	/* EINVAL: a kernel without huge pages. */
	if (madvise(base, len, MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	a = area_at(r, base, n);
	a.stride = stride;
	return a;
}

struct area area_map(struct run *r, size_t n, bool tagged)
{
	return area_map_sparse(r, n, 1, tagged);
}

void area_unmap(struct run *r, struct area *a)
{
	if (munmap(a->base, area_len(a)))
		bail_errno(r, "munmap");
	a->base = NULL;
}

void area_protect(struct run *r, const struct area *a, bool tagged)
{
	if (mprotect(a->base, area_len(a), AREA_RW | (tagged ? PROT_MTE : 0)))
		bail_errno(r, "mprotect%s", tagged ? " with PROT_MTE" : "");
}

static size_t bytes_apart(const struct area *a)
{
	return (a->stride ? a->stride : 1) * page_size();
}

char *area_page(const struct area *a, size_t i)
{
	return a->base + i * bytes_apart(a);
}

size_t area_len(const struct area *a)
{
	return a->n * bytes_apart(a);
}

void area_fill(const struct area *a, size_t i)
{
	pattern_fill(area_page(a, i), page_size(), a->data, i);
	if (a->tags)
		tags_fill(area_page(a, i), page_size(), a->tags, i);
}

void area_write_data(struct run *r, struct area *a)
{
	a->data = rnd(r) | 1;
	for (size_t i = 0; i < a->n; i++)
		pattern_fill(area_page(a, i), page_size(), a->data, i);
}

void area_write_tags(struct run *r, struct area *a)
{
	a->tags = rnd(r) | 1;
	for (size_t i = 0; i < a->n; i++)
		tags_fill(area_page(a, i), page_size(), a->tags, i);
}

void area_write(struct run *r, struct area *a)
{
	area_write_data(r, a);
	area_write_tags(r, a);
}

struct mismatch area_check_data(const struct area *a)
{
	struct mismatch first = { .count = 0 };

	for (size_t i = 0; i < a->n && !first.count; i++) {
		first = pattern_check(area_page(a, i), page_size(), a->data, i);
		first.offset += i * bytes_apart(a);
	}
	return first;
}

struct mismatch area_check_tags(const struct area *a)
{
	struct mismatch first = { .is_tag = true };

	for (size_t i = 0; i < a->n && !first.count; i++) {
		first = a->tags ? tags_check(area_page(a, i), page_size(), a->tags, i) :
				  tags_check_same(area_page(a, i), page_size(), 0);
		first.offset += i * bytes_apart(a);
	}
	return first;
}

void area_expect(struct run *r, const struct area *a, const char *when)
{
	expect_intact(r, area_check_data(a), "the data is what it was, %s", when);
	expect_intact(r, area_check_tags(a), "the tags are what they were, %s", when);
}

size_t area_bad_storage(struct run *r, pid_t pid, const struct area *a)
{
	size_t bad = 0;

	/* In one piece, the note that it writes tells which page of it is the first. */
	if (bytes_apart(a) == page_size())
		return tags_not_stored(r, pid, a->base, a->n, STORED_PERMANENT);
	for (size_t i = 0; i < a->n; i++)
		bad += !tags_stored(r, pid, area_page(a, i), STORED_PERMANENT, NULL);
	return bad;
}

uint64_t *area_locations(struct run *r, pid_t pid, const struct area *a)
{
	uint64_t *pfn = calloc(a->n, sizeof(*pfn));

	if (!pfn)
		bail(r, "out of memory");
	for (size_t i = 0; i < a->n; i++) {
		struct page_location where;

		page_locations(r, pid, area_page(a, i), 1, &where);
		pfn[i] = where.present ? where.pfn : 0;
	}
	return pfn;
}
