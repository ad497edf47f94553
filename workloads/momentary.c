// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/momentary.c: somebody has a page and the data in its tag storage in his hands for a
 * moment, and does not get to run just then. That is no pin, and no reason for an error.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/thread.h"

#define HOGS 6
/* Shorter than a task that runs only when nobody else wants to waits for its next turn. */
#define SHORT_WAIT_MS 100
#define START_MS 30000
#define REST_MS 40
#define MAX_STORED 2048		/* pages in tag storage that are looked at */
#define SPAN 1024		/* pages that one call has in hand at once */

static const struct role reader_role = {
	.name = "reader",
	.summary = "reads two pages of the program's with process_vm_readv(), again and again",
	.user = ROLE_ROOT,
};

static const struct role hog_role = {
	.name = "hog",
	.summary = "uses the CPU that the reader is on",
	.user = ROLE_ROOT,
};

struct stage {
	pid_t pid;
	char *volatile span;	/* what is read: the page, the data in its storage, and others */
	volatile uint64_t calls;
};

static void read_on(struct run *r, void *arg)
{
	struct sched_param p = { .sched_priority = 0 };
	struct stage *s = arg;
	char byte;

	thread_run_on(r, 1);
	sched_setscheduler(0, SCHED_IDLE, &p);
	while (!s->span)
		sleep_ms(10);
	for (;;) {
		struct iovec to = { &byte, 1 }, from = { s->span, SPAN * page_size() };

		/* Of all these pages it gets hold at once, however little it reads. */
		(void)process_vm_readv(s->pid, &to, 1, &from, 1, 0);
		s->calls++;
	}
}

static void hog_on(struct run *r, void *arg)
{
	volatile uint64_t *turns = arg;

	thread_run_on(r, 1);
	for (;;)
		(*turns)++;
}

static void signal_all(struct child *const *c, int sig)
{
	for (unsigned int i = 0; i < HOGS; i++)
		kill(role_pid(c[i]), sig);
}

/* What lies in the storage for the tags of @page, of n pages in these blocks, once; or NULL. */
static char *data_in_storage_of(struct run *r, const char *page, char *const *stored,
				int64_t *block, size_t n)
{
	struct state_page s = page_now(r, 0, page);

	if (s.in_tag_storage || s.block < 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (block[i] == s.block) {
			block[i] = -1;
			return stored[i];
		}
	}
	return NULL;
}

/* Is it held now by more than its mapping? */
static bool in_hand(struct run *r, const char *page)
{
	struct state_page s = page_now(r, 0, page);

	return s.refcount > s.mapcount;
}

/* A mapping whose first page is @page, and whose second is @data; none is shared with roles. */
static char *side_by_side(struct run *r, char *page, char *data)
{
	char *span = mmap(NULL, SPAN * page_size(), AREA_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (span == MAP_FAILED)
		bail_errno(r, "mmap");
	if (madvise(span, SPAN * page_size(), MADV_NOHUGEPAGE))
		bail_errno(r, "MADV_NOHUGEPAGE");
	/* Of the page of zeroes: present, and nobody's. */
	for (size_t i = 2; i < SPAN; i++)
		(void)*(volatile char *)(span + i * page_size());
	if (mremap(page, page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, span) != span ||
	    mremap(data, page_size(), page_size(), MREMAP_MAYMOVE | MREMAP_FIXED,
		   span + page_size()) != span + page_size())
		bail_errno(r, "mremap");
	return span;
}

static void momentary_run(struct run *r)
{
	size_t n = param_u64(r, "pages"), max = MAX_STORED, nr_stored;
	uint64_t tried = 0, stopped = 0, failed = 0, slowest = 0;
	size_t stride = pages_per_block(r);
	int64_t *block = calloc(max, sizeof(*block));
	char **stored = calloc(max, sizeof(*stored));
	struct stage *s = shared_alloc(r, sizeof(*s));
	uint64_t *turns = shared_alloc(r, page_size());
	struct child *reader, *hogs[HOGS];
	struct ballast *b;
	struct area a;

	if (!stored || !block)
		bail(r, "out of memory");
	step(r,
	     "Another process reads memory of this one, with process_vm_readv(): for that the kernel gets hold of many pages at once, for a moment. It runs only when nobody else wants the CPU.");
	s->pid = getpid();
	/* Before the memory, which they must not inherit: it would have more users. */
	reader = role_spawn(r, &reader_role, read_on, s);
	for (unsigned int i = 0; i < HOGS; i++)
		hogs[i] = role_spawn(r, &hog_role, hog_on, turns + i);
	signal_all(hogs, SIGSTOP);
	a = area_map(r, param_u64(r, "candidates") * stride, false);
	area_write_data(r, &a);
	b = ballast_new(r);
	nr_stored = ballast_into_tag_storage(r, b, SIZE_MAX, 64 << 20, stored, max);
	for (size_t i = 0; i < nr_stored; i++)
		block[i] = page_now(r, 0, stored[i]).own_block;
	drain_lru(r);

	step(r,
	     "It reads a page together with what lies in the storage for its tags. Others take the CPU away just then, for seconds. Now the page is made taggable, and touched.");
	thread_run_on(r, 0);
	switch_set(r, "fault_wait_ms", SHORT_WAIT_MS);
	for (size_t i = 0; i < a.n && stopped < n; i += stride) {
		char *page = area_page(&a, i), *data, *span;
		uint64_t calls;
		struct probe p;

		data = data_in_storage_of(r, page, stored, block, nr_stored);
		if (!data)
			continue;
		tried++;
		span = side_by_side(r, page, data);
		s->span = span;
		calls = s->calls;
		if (!eventually(START_MS, s->calls > calls + 2))
			bail(r, "the reader does not run");
		signal_all(hogs, SIGCONT);
		sleep_ms(REST_MS);
		if (in_hand(r, span) && in_hand(r, span + page_size())) {
			stopped++;
			if (mprotect(span, page_size(), AREA_RW | PROT_MTE))
				bail_errno(r, "mprotect with PROT_MTE");
			p = probe_load(span);
			failed += p.signal != 0;
			if (p.ns > slowest)
				slowest = p.ns;
		}
		signal_all(hogs, SIGSTOP);
	}
	role_kill(r, reader);
	for (unsigned int i = 0; i < HOGS; i++)
		role_kill(r, hogs[i]);
	measure(r, "stopped", "1", (double)tried);
	measure(r, "stopped_with_both_in_hand", "1", (double)stopped);
	measure(r, "slowest", "ns", (double)slowest);
	if (stopped)
		expect_eq_u64(r, failed, 0, "who touches the page gets no SIGBUS");
	else
		skip_result(r, "the reader was never stopped with both in hand",
			    "who touches the page gets no SIGBUS");
	switch_set(r, "fault_wait_ms", 1000);
	free(stored);
	free(block);
}

static const struct scenario momentary_scenario = {
	.name = "momentary",
	.kind = SCENARIO_WORKLOAD,
	.summary = "a task that does not get to run while it has a page in hand pins nothing",
	.explanation =
		"Every task has pages in hand for a moment: in a read past the page cache, a futex, process_vm_readv(), or because it has one locked. "
		"If the scheduler takes the CPU away from it just then the moment becomes seconds, and whoever needs the page, or tag storage where its data lies, has to wait. "
		"But nobody holds the page: it may take long, and must not be an error.",
	.groups = "stress",
	.params = PARAMS(P_UINT("pages", "4", 1, 1000,
				"how often the reader is to be stopped so"),
			 P_UINT("candidates", "512", 16, 65536,
				"blocks whose storage may be tried")),
	.needs = NEED_POLICY_CMA | NEED_SMP,
	.min_memory = 512 << 20,
	.time_limit_s = 900,
	.roles = ROLES(&reader_role, &hog_role),
	.run = momentary_run,
};
SCENARIO(momentary_scenario);
