// SPDX-License-Identifier: GPL-2.0-only
/*
 * mte.h on a processor with MTE, also an emulated one: needs no kernel of ours, so it
 * runs under qemu-aarch64 as the quick check.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit.h"

#include "scenario/mte.h"

FIXTURE(tagged)
{
	char *p;
	size_t size;
};

FIXTURE_SETUP(tagged)
{
	if (!mte_supported())
		SKIP("no MTE here");
	self->size = 4 * page_size();
	self->p = mte_map(self->size, true);
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(tagged)
{
	if (self->p)
		EXPECT_EQ(0, munmap(self->p, self->size));
}

TEST(mte_is_here)
{
	/* A machine without it may skip the others, but not this program's purpose. */
	if (!mte_supported())
		SKIP("no MTE here");
	EXPECT_EQ(0, mte_set_mode(MTE_SYNC));
	EXPECT_EQ(0, mte_set_mode(MTE_ASYNC));
	EXPECT_EQ(0, mte_set_mode(MTE_OFF));
}

TEST(pointers)
{
	char c = 0;

	EXPECT_EQ(0, ptr_tag(ptr_plain(&c)));
	for (unsigned int tag = 0; tag < 16; tag++) {
		EXPECT_EQ(tag, ptr_tag(ptr_with_tag(&c, tag)));
		EXPECT_EQ(ptr_plain(&c), ptr_plain(ptr_with_tag(&c, tag)));
	}
}

TEST_F(tagged, new_memory_has_tag_0)
{
	struct mismatch m = tags_check_same(self->p, self->size, 0);

	EXPECT_EQ(0, m.count);
}

TEST_F(tagged, each_granule_has_a_tag)
{
	/* One granule at a time, so that an emulator that shares tags is seen. */
	for (size_t i = 0; i < self->size; i += MTE_GRANULE)
		tag_store(self->p + i, (unsigned int)(i / MTE_GRANULE * 7) & 15);
	for (size_t i = 0; i < self->size; i++) {
		ASSERT_EQ((i / MTE_GRANULE * 7) & 15, tag_load(self->p + i)) LOG("at %zu", i);
	}
}

TEST_F(tagged, ranges)
{
	tag_store_range(self->p + 32, 64, 5);
	EXPECT_EQ(0, tag_load(self->p + 16));
	EXPECT_EQ(0, tags_check_same(self->p + 32, 64, 5).count);
	EXPECT_EQ(0, tag_load(self->p + 96));
	EXPECT_EQ(4, tags_check_same(self->p, 128, 0).count);
	EXPECT_EQ(32, tags_check_same(self->p, 128, 0).offset);
	EXPECT_EQ(5, tags_check_same(self->p, 128, 0).got);
	EXPECT_TRUE(tags_check_same(self->p, 128, 0).is_tag);
}

TEST_F(tagged, tag_patterns)
{
	unsigned int seen[16] = { 0 };
	struct mismatch m;
	size_t n = self->size / MTE_GRANULE;

	tags_fill(self->p, self->size, 3, 4);
	EXPECT_EQ(0, tags_check(self->p, self->size, 3, 4).count);
	/* By chance one in 16 is the same. */
	EXPECT_LT(n / 2, tags_check(self->p, self->size, 3, 5).count);
	EXPECT_LT(n / 2, tags_check(self->p, self->size, 4, 4).count);
	for (size_t i = 0; i < self->size; i += MTE_GRANULE) {
		EXPECT_EQ(tags_pattern_at(3, 4, i), tag_load(self->p + i));
		seen[tag_load(self->p + i)]++;
	}
	for (unsigned int tag = 0; tag < 16; tag++) {
		EXPECT_NE(0, seen[tag]) LOG("tag %u", tag);
	}
	tag_store(self->p + 4096 + 48, tags_pattern_at(3, 4, 4096 + 48) ^ 1);
	m = tags_check(self->p, self->size, 3, 4);
	EXPECT_EQ(1, m.count);
	EXPECT_EQ(4096 + 48, m.offset);
	EXPECT_EQ(m.want ^ 1, m.got);
}

TEST_F(tagged, patterns_ignore_tags)
{
	ASSERT_EQ(0, mte_set_mode(MTE_SYNC));
	tags_fill(self->p, self->size, 1, 1);
	/* With checks on, through a pointer that fits hardly any granule. */
	pattern_fill(self->p, self->size, 9, 9);
	EXPECT_EQ(0, pattern_check(self->p, self->size, 9, 9).count);
	EXPECT_EQ(0, pattern_check(ptr_with_tag(self->p, 7), self->size, 9, 9).count);
	/* Writing data left the tags as they were. */
	EXPECT_EQ(0, tags_check(self->p, self->size, 1, 1).count);
	ASSERT_EQ(0, mte_set_mode(MTE_OFF));
}

static volatile sig_atomic_t got_signal, got_code;
static sigjmp_buf back;

static void on_fault(int sig, siginfo_t *si, void *context)
{
	(void)context;
	got_signal = sig;
	got_code = si->si_code;
	siglongjmp(back, 1);
}

static int fault_code(volatile char *p, bool store)
{
	got_signal = got_code = 0;
	if (!sigsetjmp(back, 1)) {
		if (store)
			*p = 1;
		else
			(void)*p;
	}
	return got_signal ? got_code : 0;
}

TEST_F(tagged, mismatches_fault)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	char *good = ptr_with_tag(self->p, 5), *bad = ptr_with_tag(self->p, 6);

	ASSERT_EQ(0, sigaction(SIGSEGV, &sa, NULL));
	tag_store_range(self->p, 32, 5);
	/* Checks are off in a new process. */
	EXPECT_EQ(0, fault_code(bad, false));
	ASSERT_EQ(0, mte_set_mode(MTE_SYNC));
	EXPECT_EQ(0, fault_code(good, false));
	EXPECT_EQ(0, fault_code(good + 31, true));
	EXPECT_EQ(SEGV_MTESERR, fault_code(bad, false));
	EXPECT_EQ(SEGV_MTESERR, fault_code(bad, true));
	EXPECT_EQ(SEGV_MTESERR, fault_code(good + 32, false));
	EXPECT_EQ(SEGV_MTESERR, fault_code(self->p, false));
	ASSERT_EQ(0, mte_set_mode(MTE_OFF));
	EXPECT_EQ(0, fault_code(bad, true));
}

TEST_F(tagged, the_helpers_leave_checks_as_they_were)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	ASSERT_EQ(0, sigaction(SIGSEGV, &sa, NULL));
	ASSERT_EQ(0, mte_set_mode(MTE_SYNC));
	tag_store_range(self->p, 4096, 5);
	pattern_fill(self->p, 4096, 1, 1);
	pattern_check(self->p, 4096, 1, 1);
	EXPECT_EQ(SEGV_MTESERR, fault_code(self->p, false));
	ASSERT_EQ(0, mte_set_mode(MTE_OFF));
}

TEST(untagged_memory_keeps_no_tags)
{
	char *p;

	if (!mte_supported())
		SKIP("no MTE here");
	p = mte_map(page_size(), false);
	ASSERT_NE(NULL, p);
	p[0] = 1;
	tag_store(p, 5);
	EXPECT_EQ(0, tag_load(p));
	EXPECT_EQ(0, munmap(p, page_size()));
}
