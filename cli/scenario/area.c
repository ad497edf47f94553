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

struct area area_map(struct run *r, size_t n, bool tagged)
{
	void *base = mte_map(n * page_size(), tagged);

	if (!base)
		bail_errno(r, "mmap of %zu pages", n);
	/* EINVAL: a kernel without huge pages. */
	if (madvise(base, n * page_size(), MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	return area_at(r, base, n);
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

char *area_page(const struct area *a, size_t i)
{
	return a->base + i * page_size();
}

size_t area_len(const struct area *a)
{
	return a->n * page_size();
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
		first.offset += i * page_size();
	}
	return first;
}

struct mismatch area_check_tags(const struct area *a)
{
	struct mismatch first = { .is_tag = true };

	for (size_t i = 0; i < a->n && !first.count; i++) {
		first = a->tags ? tags_check(area_page(a, i), page_size(), a->tags, i) :
				  tags_check_same(area_page(a, i), page_size(), 0);
		first.offset += i * page_size();
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
	return tags_not_stored(r, pid, a->base, a->n, STORED_PERMANENT);
}

uint64_t *area_locations(struct run *r, pid_t pid, const struct area *a)
{
	struct page_location *where = calloc(a->n, sizeof(*where));
	uint64_t *pfn = calloc(a->n, sizeof(*pfn));

	if (!where || !pfn)
		bail(r, "out of memory");
	page_locations(r, pid, a->base, a->n, where);
	for (size_t i = 0; i < a->n; i++)
		pfn[i] = where[i].present ? where[i].pfn : 0;
	free(where);
	return pfn;
}
