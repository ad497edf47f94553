// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/lru-batch.c: a page that a CPU which has nothing to do keeps in a batch, to put it
 * on the LRU some day. The batch has a reference to it, so it cannot move; whoever needs it out
 * of tag storage has to have the batch emptied, and must not wait for more pages to fill it.
 */
#include <sys/mman.h>
#include <time.h>

#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/thread.h"

#define MIB (1UL << 20)
#define PAGES (16 * MIB / 4096)
#define TRIES 8
#define OUTCOME_S 20
#define PATIENCE_MS 300000

struct touched {
	struct run *r;
	char *base;
	char *last;		/* the page that lies in tag storage; NULL: none does */
	struct gate *done, *leave;
};

/* Populates pages until one lies in tag storage: that is the last one in the CPU's batch. */
static void *touch(void *arg)
{
	struct touched *t = arg;

	thread_run_on(t->r, 1);
	for (size_t i = 0; i < PAGES && !t->last; i++) {
		char *p = t->base + i * page_size();

		*p = 1;
		if (pages_in_tag_storage(t->r, 0, p, 1))
			t->last = p;
	}
	gate_open(t->done);
	/* A thread that ends gives its stack back, which empties the batch. */
	gate_wait(t->leave, PATIENCE_MS);
	return NULL;
}

static void *load(void *arg)
{
	struct touched *t = arg;

	thread_run_on(t->r, 0);
	*(volatile char *)t->last;
	return NULL;
}

static char *map(struct run *r)
{
	char *p = mmap(NULL, PAGES * page_size(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || madvise(p, PAGES * page_size(), MADV_NOHUGEPAGE))
		bail_errno(r, "mmap");
	return p;
}

static void lru_batch_run(struct run *r)
{
	uint64_t keep = memory_reserve(r) + 24 * MIB;
	struct ballast *b = ballast_new(r);
	struct touched t = { .r = r };
	struct state_page page = { .lru = true };
	struct timespec until;
	pthread_t toucher, thread;
	int err;

	step(r,
	     "Memory is filled until new pages lie in tag storage. A thread on the second CPU takes some, the last of which lies there, and sleeps: this page waits in the batch of a CPU that has nothing to do.");
	thread_run_on(r, 0);
	while (ballast_grow(r, b, 16 * MIB, keep))
		;
	for (int i = 0; i < TRIES && page.lru; i++) {
		t = (struct touched){ .r = r, .base = map(r) };
		t.done = gate_new(r);
		t.leave = gate_new(r);
		toucher = thread_start(r, touch, &t);
		if (!gate_wait(t.done, PATIENCE_MS) || !t.last)
			bail(r, "no page is put into tag storage");
		page = page_now(r, 0, t.last);
		if (!page.lru)
			break;
		/* Something else has filled the batch, or emptied it. */
		gate_open(t.leave);
		pthread_join(toucher, NULL);
		munmap(t.base, PAGES * page_size());
	}
	require(r, page.in_tag_storage && !page.lru, "it is not on the LRU");
	expect_eq_u64(r, (uint64_t)page.refcount, 2, "the batch has a reference to it");

	step(r,
	     "Now the page becomes taggable, and is accessed on the first CPU. It has to leave tag storage for that.");
	if (mprotect(t.last, page_size(), PROT_READ | PROT_WRITE | PROT_MTE))
		bail_errno(r, "mprotect");
	thread = thread_start(r, load, &t);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += OUTCOME_S;
	err = pthread_timedjoin_np(thread, NULL, &until);
	expect(r, !err, "the access does not wait for the other CPU to fill its batch");
	if (err) {
		drain_lru(r);
		pthread_join(thread, NULL);
	}
	page = page_now(r, 0, t.last);
	expect(r, !page.in_tag_storage && page.has_storage, "the page has moved, and has tag storage");
	expect_eq_u64(r, (uint64_t)*t.last, 1, "its data is what it was");
	gate_open(t.leave);
	pthread_join(toucher, NULL);
	munmap(t.base, PAGES * page_size());
	ballast_free(b);
}

static const struct scenario lru_batch_scenario = {
	.name = "lru-batch",
	.kind = SCENARIO_WORKLOAD,
	.summary = "a page in the LRU batch of an idle CPU leaves tag storage",
	.explanation =
		"New pages are not put on the LRU one by one: each CPU collects some, and has a reference to each of them meanwhile, which keeps it from being moved. "
		"A CPU that gets no more pages keeps those it has for any time. A fault that needs such a page to move cannot tell the batch from a pin, and must not wait for it to go by: "
		"it asks all CPUs to empty their batches.",
	.groups = "quick",
	.needs = NEED_POLICY_CMA | NEED_SMP,
	.min_memory = 400ULL << 20,
	.time_limit_s = 300,
	.run = lru_batch_run,
};
SCENARIO(lru_batch_scenario);
