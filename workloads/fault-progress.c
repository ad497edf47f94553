// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/fault-progress.c: a fault on access ends in an error only if others hold both the
 * page and its tag storage, and then it does end: not because somebody who looks for storage,
 * too, does not get to run, and not later because of signals.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/thread.h"

#define HOGS 6
#define MAX_BLOCKS 1024		/* that the slow thread needs, one after the other */
#define MEMORY_PART 8		/* and no more of memory than this part */
#define STUCK_MS 60
#define SHORT_WAIT_MS 200
#define MAX_STUCK 12
#define TIMER_US 100000
#define OUTCOME_MS 20000
#define HELD_PAGES 16384	/* among them are some whose block is not reserved for others */

/* ---- Beside somebody who does not get to run ------------------------------------------ */

struct slow {
	struct run *r;
	char *base;
	size_t stride, blocks;
	size_t at;		/* the block it is at */
	bool end;
};

static void *hog(void *arg)
{
	struct slow *s = arg;

	thread_run_on(s->r, 1);
	while (!__atomic_load_n(&s->end, __ATOMIC_RELAXED))
		;
	return NULL;
}

static void *slow_thread(void *arg)
{
	struct sched_param p = {};
	struct slow *s = arg;

	thread_run_on(s->r, 1);
	sched_setscheduler(0, SCHED_IDLE, &p);
	for (size_t i = 0; i < s->blocks && !__atomic_load_n(&s->end, __ATOMIC_RELAXED); i++) {
		__atomic_store_n(&s->at, i, __ATOMIC_SEQ_CST);
		*(volatile char *)(s->base + i * s->stride);
	}
	__atomic_store_n(&s->at, s->blocks, __ATOMIC_SEQ_CST);
	return NULL;
}

static void beside_a_slow_thread(struct run *r, uint64_t seconds)
{
	struct slow s = { .r = r, .stride = pages_per_block(r) * page_size() };
	uint64_t stuck = 0, failed = 0, slowest = 0, end;
	struct ballast *b = ballast_new(r);
	pthread_t hogs[HOGS], slow;
	struct area a;

	step(r,
	     "A thread that runs only when nobody else wants the CPU, beside others that always do, needs the storage for tags of one page after the other, and all of it holds data. Whenever it does not get on, another thread touches the same page. Nobody holds anything: it must not get SIGBUS.");
	s.blocks = memory_now(r).total / MEMORY_PART / s.stride;
	if (s.blocks > MAX_BLOCKS)
		s.blocks = MAX_BLOCKS;
	a = area_map(r, s.blocks * pages_per_block(r), false);
	area_write_data(r, &a);
	/* Each page of tag storage that is needed has to be emptied first. */
	ballast_into_tag_storage(r, b, SIZE_MAX, 96 << 20, NULL, 0);
	area_protect(r, &a, true);
	a.tags = 0;
	s.base = a.base;

	switch_set(r, "fault_wait_ms", SHORT_WAIT_MS);
	thread_run_on(r, 0);
	for (unsigned int i = 0; i < HOGS; i++)
		hogs[i] = thread_start(r, hog, &s);
	slow = thread_start(r, slow_thread, &s);

	end = now_ns() + seconds * 1000000000;
	while (now_ns() < end && stuck < MAX_STUCK) {
		size_t at = __atomic_load_n(&s.at, __ATOMIC_SEQ_CST);
		struct probe p;

		sleep_ms(STUCK_MS);
		if (at == s.blocks)
			break;
		if (at != __atomic_load_n(&s.at, __ATOMIC_SEQ_CST))
			continue;
		stuck++;
		p = probe_load(s.base + at * s.stride);
		failed += p.signal != 0;
		if (p.ns > slowest)
			slowest = p.ns;
		eventually(1000, at != __atomic_load_n(&s.at, __ATOMIC_SEQ_CST));
	}
	__atomic_store_n(&s.end, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < HOGS; i++)
		pthread_join(hogs[i], NULL);
	pthread_join(slow, NULL);

	measure(r, "stuck", "1", (double)stuck);
	measure(r, "slowest", "ns", (double)slowest);
	if (stuck)
		expect_eq_u64(r, failed, 0, "who touches the same page gets no SIGBUS");
	else
		skip_result(r, "the slow thread always got on",
			    "who touches the same page gets no SIGBUS");
	switch_set(r, "fault_wait_ms", 1000);
	expect_intact(r, area_check_data(&a), "no data is lost");
	expect_intact(r, ballast_check(b), "nor in the memory that had to move");
	ballast_free(b);
	area_unmap(r, &a);
}

/* ---- Signals --------------------------------------------------------------------------- */

static void nothing(int sig)
{
	(void)sig;
}

/* Written to. Where others have tags in the same block, it has storage at once. */
static char *page_without_storage(struct run *r, struct area *a)
{
	for (size_t i = 0; i < a->n; i++) {
		char *p = a->base + i * page_size();

		*p = 1;
		if (page_now(r, getpid(), p).block_state != BLOCK_RESERVED)
			return p;
	}
	_exit(2);
}

/* Does not return: the access ends it, or the scenario does. */
static void access_with_timer(struct run *r, struct area *a, bool timer)
{
	struct itimerval it = { { 0, TIMER_US }, { 0, TIMER_US } };
	char *p = page_without_storage(r, a);
	struct iovec v = { p, 1 };
	struct sigaction sa = { .sa_handler = nothing };
	int fd[2];

	signal(SIGBUS, SIG_DFL);
	sigaction(SIGALRM, &sa, NULL);
	if (pipe(fd) || vmsplice(fd[1], &v, 1, 0) != 1 ||
	    mprotect(p, page_size(), PROT_READ | PROT_WRITE | PROT_MTE) ||
	    (timer && setitimer(ITIMER_REAL, &it, NULL)))
		_exit(1);
	*(volatile char *)p;
	_exit(0);
}

static void signals_while_held(struct run *r, bool timer)
{
	const char *how = timer ? "with signals" : "without signals";
	struct area a = area_map(r, HELD_PAGES, false);
	struct state_summary before, after;
	int status = 0;
	uint64_t t;
	pid_t pid;

	before = summary_now(r);
	storage_shortage(r, STORAGE_HELD);
	t = now_ns();
	pid = fork();
	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid)
		access_with_timer(r, &a, timer);
	if (!expect(r, eventually(OUTCOME_MS, waitpid(pid, &status, WNOHANG) == pid),
		    "%s: the access has an outcome", how)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	} else {
		expect(r, WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
		       "%s: it is SIGBUS, since page and storage are held", how);
	}
	measure(r, timer ? "outcome_with_signals" : "outcome", "ns", (double)(now_ns() - t));
	storage_shortage(r, STORAGE_NORMAL);
	after = summary_now(r);
	expect_eq_u64(r, after.foa_sigbus - before.foa_sigbus, 1, "%s: it is counted", how);
	area_unmap(r, &a);
}

static void fault_progress_run(struct run *r)
{
	beside_a_slow_thread(r, param_u64(r, "seconds"));
	if (!failures_known(r, "page and storage held: the access has an outcome"))
		return;
	step(r,
	     "A page and its storage are both held: the access ends in SIGBUS, a second later, and no later if a timer interrupts it all the time.");
	signals_while_held(r, false);
	signals_while_held(r, true);
}

static const struct scenario fault_progress_scenario = {
	.name = "fault-progress",
	.kind = SCENARIO_WORKLOAD,
	.summary = "a fault on access fails only if page and storage are held, and then it does",
	.explanation =
		"A page whose tags have no storage cannot be accessed; the fault has to empty the storage, or to move the page, and both take references to pages for a moment. "
		"If the task that has them does not get to run for a second, this is nobody's pin: others have to wait for it, and must not be told that the page is lost. "
		"But if somebody does hold both the page and what is in its storage, the access must end, with an error, whatever signals arrive.",
	.groups = "stress",
	.params = PARAMS(
		P_UINT("seconds", "30", 1, 3600,
		       "how long a thread that does not get on is watched")),
	.needs = NEED_TAG_STORAGE | NEED_SMP,
	.min_memory = 512 << 20,
	.time_limit_s = 900,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.run = fault_progress_run,
};
SCENARIO(fault_progress_scenario);
