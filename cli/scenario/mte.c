// SPDX-License-Identifier: GPL-2.0-only
/* Allocation tags and patterns: see mte.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "scenario/mte.h"

#define TAG_SHIFT 56

#ifndef HWCAP2_MTE
#define HWCAP2_MTE (1 << 18)
#endif
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_TAGGED_ADDR_ENABLE (1UL << 0)
#endif
#ifndef PR_MTE_TCF_SYNC
#define PR_MTE_TCF_SYNC (1UL << 1)
#define PR_MTE_TCF_ASYNC (1UL << 2)
#endif
#ifndef PR_MTE_TAG_SHIFT
#define PR_MTE_TAG_SHIFT 3
#endif

size_t page_size(void)
{
	static size_t size;

	if (!size)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

void *ptr_with_tag(const volatile void *p, unsigned int tag)
{
	return (void *)(((uintptr_t)p & ~((uintptr_t)0xff << TAG_SHIFT)) |
			((uintptr_t)(tag & 15) << TAG_SHIFT));
}

unsigned int ptr_tag(const volatile void *p)
{
	return ((uintptr_t)p >> TAG_SHIFT) & 15;
}

void *ptr_plain(const volatile void *p)
{
	return ptr_with_tag(p, 0);
}

#ifdef __aarch64__

bool mte_supported(void)
{
	static int known = -1;

	if (known < 0)
		known = !!(getauxval(AT_HWCAP2) & HWCAP2_MTE);
	return known;
}

int mte_set_mode(enum mte_mode mode)
{
	/* All tags but 0 may be made by IRG; nothing here uses it, programs do. */
	unsigned long ctrl = PR_TAGGED_ADDR_ENABLE | (0xfffeUL << PR_MTE_TAG_SHIFT);

	if (mode == MTE_SYNC)
		ctrl |= PR_MTE_TCF_SYNC;
	else if (mode == MTE_ASYNC)
		ctrl |= PR_MTE_TCF_ASYNC;
	return prctl(PR_SET_TAGGED_ADDR_CTRL, ctrl, 0, 0, 0) ? -errno : 0;
}

/* Set PSTATE.TCO and return what it was: accesses are then not checked. */
static uint64_t checks_off(void)
{
	uint64_t old;

	if (!mte_supported())
		return 0;
	asm volatile(".arch armv8.5-a+memtag\n"
		     "mrs %0, tco\n"
		     "msr tco, #1" : "=r"(old) : : "memory");
	return old;
}

static void checks_restore(uint64_t old)
{
	if (mte_supported())
		asm volatile(".arch armv8.5-a+memtag\n"
			     "msr tco, %0" : : "r"(old) : "memory");
}

/* LDG and STG check no tags, whatever the mode. */
unsigned int tag_load(const volatile void *p)
{
	const volatile void *granule = (const volatile void *)((uintptr_t)p & ~15UL);

	asm volatile(".arch armv8.5-a+memtag\n"
		     "ldg %0, [%0]" : "+r"(granule) : : "memory");
	return ptr_tag(granule);
}

void tag_store(volatile void *p, unsigned int tag)
{
	void *granule = ptr_with_tag((void *)((uintptr_t)p & ~15UL), tag);

	asm volatile(".arch armv8.5-a+memtag\n"
		     "stg %0, [%0]" : : "r"(granule) : "memory");
}

#else /* !__aarch64__ */

bool mte_supported(void)
{
	return false;
}

int mte_set_mode(enum mte_mode mode)
{
	(void)mode;
	return -ENOSYS;
}

static uint64_t checks_off(void)
{
	return 0;
}

static void checks_restore(uint64_t old)
{
	(void)old;
}

unsigned int tag_load(const volatile void *p)
{
	(void)p;
	abort();
}

void tag_store(volatile void *p, unsigned int tag)
{
	(void)p;
	(void)tag;
	abort();
}

#endif

void *mte_map(size_t len, bool tagged)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE | (tagged ? PROT_MTE : 0),
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void tag_store_range(volatile void *p, size_t len, unsigned int tag)
{
	volatile char *c = p;
	size_t i;

	for (i = 0; i < len; i += MTE_GRANULE)
		tag_store(c + i, tag);
}

static uint64_t pattern_key(uint64_t seed, uint64_t id)
{
	return mix64(seed ^ mix64(id));
}

void pattern_fill(void *p, size_t len, uint64_t seed, uint64_t id)
{
	uint64_t key = pattern_key(seed, id), tco = checks_off();
	volatile uint64_t *w = p;
	size_t i;

	for (i = 0; i < len / 8; i++)
		w[i] = mix64(key + i);
	checks_restore(tco);
}

uint64_t pattern_find(const void *p, uint64_t seed, uint64_t max)
{
	uint64_t w[2];

	memcpy(w, p, sizeof(w));
	for (uint64_t id = 1; id <= max; id++) {
		uint64_t key = pattern_key(seed, id);

		for (size_t i = 0; i + 1 < page_size() / 8; i++)
			if (w[0] == mix64(key + i) && w[1] == mix64(key + i + 1))
				return id;
	}
	return 0;
}

static void mismatch_add(struct mismatch *m, size_t offset, uint64_t got, uint64_t want)
{
	if (!m->count++) {
		m->offset = offset;
		m->got = got;
		m->want = want;
	}
}

struct mismatch pattern_check(const void *p, size_t len, uint64_t seed, uint64_t id)
{
	uint64_t key = pattern_key(seed, id), tco = checks_off();
	const volatile uint64_t *w = p;
	struct mismatch m = { .is_tag = false };
	size_t i;

	for (i = 0; i < len / 8; i++) {
		uint64_t want = mix64(key + i), got = w[i];

		if (got != want)
			mismatch_add(&m, i * 8, got, want);
	}
	checks_restore(tco);
	return m;
}

unsigned int tags_pattern_at(uint64_t seed, uint64_t id, size_t offset)
{
	size_t granule = offset / MTE_GRANULE;

	/* One number gives 16 tags; the complement keeps it apart from the data. */
	return (mix64(~pattern_key(seed, id) + granule / 16) >> (granule % 16 * 4)) & 15;
}

void tags_fill(void *p, size_t len, uint64_t seed, uint64_t id)
{
	char *c = p;
	size_t i;

	for (i = 0; i < len; i += MTE_GRANULE)
		tag_store(c + i, tags_pattern_at(seed, id, i));
}

struct mismatch tags_check(const void *p, size_t len, uint64_t seed, uint64_t id)
{
	struct mismatch m = { .is_tag = true };
	const char *c = p;
	size_t i;

	for (i = 0; i < len; i += MTE_GRANULE) {
		unsigned int want = tags_pattern_at(seed, id, i), got = tag_load(c + i);

		if (got != want)
			mismatch_add(&m, i, got, want);
	}
	return m;
}

struct mismatch tags_check_same(const void *p, size_t len, unsigned int tag)
{
	struct mismatch m = { .is_tag = true };
	const char *c = p;
	size_t i;

	for (i = 0; i < len; i += MTE_GRANULE) {
		unsigned int got = tag_load(c + i);

		if (got != tag)
			mismatch_add(&m, i, got, tag);
	}
	return m;
}
