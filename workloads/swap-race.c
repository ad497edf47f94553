// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/swap-race.c: several tasks touch the same page of a memfd at once, tagged
 * or not, and the page has to come from swap, with tags.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"

#define WAIT_MS 300000
#define OUT_MS 30000
#define RACERS 5

static const struct role racer_role = {
	.name = "racer",
	.summary = "touches each page at the same moment as the others, in its own way",
	.user = ROLE_ROOT,
};

/* What each of them does with a page. */
enum part { STORE_TAG, LOAD_TAG, PLAIN_LOAD, PLAIN_STORE, READ_CALL };

struct race {
	int fd;
	size_t n;
	struct area tagged, plain;	/* two mappings of it */
	volatile unsigned int arrived;
	unsigned int started;
	uint64_t wrong_tags, wrong_data;	/* seen by the racers */
};

/* The granules that STORE_TAG and PLAIN_STORE change; all others must stay. */
#define TAG_AT 5
#define TAG_NEW 9
#define DATA_AT 40

static void meet(struct race *c, unsigned int number)
{
	unsigned int want = (number + 1) * RACERS;

	__atomic_add_fetch(&c->arrived, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&c->arrived, __ATOMIC_ACQUIRE) < want)
		sched_yield();
}

static uint64_t word_at(const char *p, size_t i)
{
	uint64_t w;

	memcpy(&w, p + i * sizeof(w), sizeof(w));
	return w;
}

static void race_run(struct run *r, void *arg)
{
	struct race *c = arg;
	enum part part = __atomic_fetch_add(&c->started, 1, __ATOMIC_ACQ_REL) % RACERS;
	char *expected = malloc(page_size()), *buf = malloc(page_size());

	if (!expected || !buf)
		bail(r, "out of memory");
	for (size_t i = 0; i < c->n; i++) {
		char *tagged = area_page(&c->tagged, i), *plain = area_page(&c->plain, i);
		bool bad_data = false, bad_tags = false;
		size_t k = 64 + i % 64;

		pattern_fill(expected, page_size(), c->tagged.data, i);
		meet(c, (unsigned int)i);
		switch (part) {
		case STORE_TAG:
			tag_store(tagged + TAG_AT * MTE_GRANULE, TAG_NEW);
			break;
		case LOAD_TAG:
			bad_tags = tag_load(tagged + k * MTE_GRANULE) !=
				   tags_pattern_at(c->tagged.tags, i, k * MTE_GRANULE);
			break;
		case PLAIN_LOAD:
			bad_data = word_at(plain, k) != word_at(expected, k);
			break;
		case PLAIN_STORE:
			memset(plain + DATA_AT * 8, (int)i, 8);
			break;
		case READ_CALL:
			if (pread(c->fd, buf, page_size(), (off_t)(i * page_size())) !=
			    (ssize_t)page_size())
				bail_errno(r, "pread");
			bad_data = word_at(buf, k) != word_at(expected, k);
			break;
		}
		if (bad_data)
			__atomic_add_fetch(&c->wrong_data, 1, __ATOMIC_RELAXED);
		if (bad_tags)
			__atomic_add_fetch(&c->wrong_tags, 1, __ATOMIC_RELAXED);
	}
	free(expected);
	free(buf);
}

/* After all have been there: everything as it was, but for what they changed. */
static void check(struct race *c, uint64_t *lost_data, uint64_t *lost_tags)
{
	char expected[4096];

	for (size_t i = 0; i < c->n; i++) {
		const char *p = area_page(&c->tagged, i);

		pattern_fill(expected, sizeof(expected), c->tagged.data, i);
		memset(expected + DATA_AT * 8, (int)i, 8);
		for (size_t k = 0; k < sizeof(expected) / 8; k++)
			*lost_data += word_at(p, k) != word_at(expected, k);
		for (size_t g = 0; g < sizeof(expected) / MTE_GRANULE; g++) {
			unsigned int want = g == TAG_AT ? TAG_NEW :
					    tags_pattern_at(c->tagged.tags, i, g * MTE_GRANULE);

			*lost_tags += tag_load(p + g * MTE_GRANULE) != want;
		}
	}
}

static void round_of(struct run *r, struct race *c, uint64_t start, uint64_t *stuck,
		     uint64_t *lost_data, uint64_t *lost_tags, uint64_t *bad)
{
	struct child *child[RACERS];

	area_write(r, &c->tagged);
	*stuck += !swap_out(r, c->tagged.base, c->n, OUT_MS) || !reserved_pages_wait(r, start);
	c->arrived = 0;
	c->started = 0;
	for (int i = 0; i < RACERS; i++)
		child[i] = role_spawn(r, &racer_role, race_run, c);
	for (int i = 0; i < RACERS; i++) {
		struct role_end end = role_wait(r, child[i], WAIT_MS);

		if (end.timed_out || end.status)
			bail(r, "a racer did not end well (status %d, signal %d)", end.status,
			     end.signal);
	}
	check(c, lost_data, lost_tags);
	*bad += area_bad_storage(r, 0, &c->tagged);
}

static void swap_race_run(struct run *r)
{
	struct state_summary start = summary_now(r);
	unsigned int rounds = (unsigned int)param_u64(r, "rounds");
	uint64_t stuck = 0, lost_data = 0, lost_tags = 0, bad = 0;
	struct race *c = shared_alloc(r, sizeof(*c));
	size_t n = param_u64(r, "pages"), len = n * page_size();
	void *tagged, *plain;

	if (memory_now(r).swap_free < 2 * len)
		skip(r, "%zu pages need %zu KiB of free swap", n, 2 * len / 1024);
	c->n = n;
	c->fd = memfd_create("tagscope-swap-race", MFD_CLOEXEC);
	if (c->fd < 0 || ftruncate(c->fd, (off_t)len))
		bail_errno(r, "memfd of %zu bytes", len);
	tagged = mmap(NULL, len, AREA_RW | PROT_MTE, MAP_SHARED, c->fd, 0);
	plain = mmap(NULL, len, AREA_RW, MAP_SHARED, c->fd, 0);
	if (tagged == MAP_FAILED || plain == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	c->tagged = area_at(r, tagged, n);
	c->plain = area_at(r, plain, n);

	step(r,
	     "A memfd of %zu pages with tags is swapped out. Then %d processes touch each page at the same moment: one sets a tag, one reads a tag, one loads and one stores through a mapping without PROT_MTE, and one uses read(). Whoever comes first brings the page in, and its tags must be restored before anybody can see or change them. %u times.",
	     n, RACERS, rounds);
	for (unsigned int i = 0; i < rounds; i++)
		round_of(r, c, start.reserved_pages, &stuck, &lost_data, &lost_tags, &bad);
	expect_eq_u64(r, stuck, 0, "each time the memfd is swapped out, and has no storage");
	expect_eq_u64(r, c->wrong_data, 0, "nobody reads wrong data");
	expect_eq_u64(r, c->wrong_tags, 0, "nobody reads a wrong tag");
	expect_eq_u64(r, lost_data, 0, "no data is lost");
	expect_eq_u64(r, lost_tags, 0, "no tag is lost, neither restored nor set");
	expect_eq_u64(r, bad, 0, "the tags are in tag storage");
	munmap(tagged, len);
	munmap(plain, len);
	close(c->fd);
	expect(r, reserved_pages_wait(r, start.reserved_pages), "with the memfd goes its storage");
	expect_eq_u64(r, summary_now(r).foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
}

static const struct scenario swap_race_scenario = {
	.name = "swap-race",
	.kind = SCENARIO_WORKLOAD,
	.summary = "tasks that touch one swapped page at once, tagged and untagged",
	.explanation =
		"Shared memory that was swapped out can be brought back by anybody: through a tagged mapping, an untagged one, or a system call. "
		"The first one restores the tags that were saved, and the others may be there already, setting tags of their own. "
		"If tags were restored late, or twice, a tag that has just been set would be lost.",
	.groups = "swap stress",
	.params = PARAMS(
		P_UINT("pages", "128", 8, 65536, "pages that are raced for"),
		P_UINT("rounds", "6", 1, 100000, "how often")),
	.needs = NEED_TAG_STORAGE | NEED_SWAP,
	.min_memory = 256 << 20,
	.time_limit_s = 900,
	.roles = ROLES(&racer_role),
	.run = swap_race_run,
};
SCENARIO(swap_race_scenario);
