// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/bystander.c: what those pay whose data lies in tag storage, and who have nothing
 * to do with tags.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define MIB ((uint64_t)1 << 20)
#define HUGE_SIZE ((size_t)2 << 20)
#define RW (PROT_READ | PROT_WRITE)
/* What the kernel does for others meanwhile: attempts to move a page, or faults. */
#define NOISE 20

/* Attempts to move a page, successful or not. */
static uint64_t moves(struct run *r)
{
	return vmstat_now(r, "pgmigrate_success") + vmstat_now(r, "pgmigrate_fail");
}

/* ---- A page of a file that lies in tag storage ------------------------------------------ */

struct file {
	int fd;
	char *map;
	size_t n;		/* pages */
	off_t off;		/* of one that lies in tag storage */
	char *page;		/* it, in map */
};

static bool find_page(struct run *r, struct file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		f->page = f->map + i * page_size();
		f->off = (off_t)(i * page_size());
		if (page_now(r, 0, f->page).in_tag_storage)
			return true;
	}
	return false;
}

static struct file file_new(struct run *r)
{
	struct ballast *b = ballast_new(r);
	struct file f = { .n = 8 * MIB / page_size() };
	uint64_t keep = memory_reserve(r) + 24 * MIB;

	f.fd = memfd_create("bystander", MFD_CLOEXEC);
	if (f.fd < 0 || ftruncate(f.fd, (off_t)(f.n * page_size())))
		bail_errno(r, "memfd");
	f.map = mmap(NULL, f.n * page_size(), RW, MAP_SHARED, f.fd, 0);
	if (f.map == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	f.page = f.map;
	while (ballast_grow(r, b, 16 * MIB, keep))
		;
	memset(f.map, 0x41, f.n * page_size());
	ballast_free(b);
	require(r, find_page(r, &f), "when memory is scarce, data of a file is put into tag storage");
	/* It is on the LRU, or nobody would try to move it. */
	drain_lru(r);
	return f;
}

static void file_free(struct file *f)
{
	munmap(f->map, f->n * page_size());
	close(f->fd);
}

/* ---- Pins of others ------------------------------------------------------------------------ */

struct shared {
	struct file f;
	struct gate *mapped, *hold, *held;
	uint64_t reads;
	int stop;
};

/* Pin and read a byte of this process so often. */
static void read_own(struct run *r, void *p, unsigned int times)
{
	struct iovec from = { p, 1 }, to;
	char byte;

	to = (struct iovec){ &byte, 1 };
	while (times--)
		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1)
			bail_errno(r, "process_vm_readv");
}

static const struct role reader = {
	.name = "reader",
	.summary = "reads its own mapping of a page of a file over and over, and holds it by splice",
	.syscalls = SYSCALLS("mmap", "pipe2", "splice", "process_vm_readv", "getpid"),
};

static void read_on(struct run *r, void *arg)
{
	struct shared *s = arg;
	loff_t off = s->f.off;
	int fds[2];
	void *p;

	p = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, s->f.fd, s->f.off);
	if (p == MAP_FAILED || pipe2(fds, O_CLOEXEC))
		bail_errno(r, "mapping a page of the file");
	read_own(r, p, 100);
	gate_open(s->mapped);
	if (!gate_wait(s->hold, 30000))
		bail(r, "nobody told the reader to hold the page");
	if (splice(s->f.fd, &off, fds[1], NULL, 1, 0) != 1)
		bail_errno(r, "holding a page of the file");
	gate_open(s->held);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		read_own(r, p, 1);
		__atomic_add_fetch(&s->reads, 1, __ATOMIC_RELAXED);
	}
}

static void mapping_of_others(struct run *r, const struct file *f)
{
	struct shared *s = shared_alloc(r, sizeof(*s));
	struct rusage before, after;
	uint64_t start;
	struct child *c;

	s->f = *f;
	s->mapped = gate_new(r);
	s->hold = gate_new(r);
	s->held = gate_new(r);
	step(r,
	     "This program maps a page of a file. An ordinary user maps it, too, and pins and reads it there with process_vm_readv().");
	start = moves(r);
	c = role_spawn(r, &reader, read_on, s);
	require(r, gate_wait(s->mapped, 30000), "the reader reads the page");
	expect(r, page_now(r, 0, f->page).in_tag_storage,
	       "mapping of others: the page is not moved for that");
	expect_range(r, moves(r) - start, 0, NOISE, "mapping of others: nor is that tried");

	step(r,
	     "It also holds the page in a pipe, so that it cannot be moved, and reads it over and over.");
	gate_open(s->hold);
	require(r, gate_wait(s->held, 30000), "the reader holds the page");
	start = moves(r);
	if (getrusage(RUSAGE_THREAD, &before))
		bail_errno(r, "getrusage");
	while (__atomic_load_n(&s->reads, __ATOMIC_RELAXED) < 20000)
		*(volatile char *)f->page;
	if (getrusage(RUSAGE_THREAD, &after))
		bail_errno(r, "getrusage");
	expect_range(r, moves(r) - start, 0, NOISE,
		     "mapping of others: nobody tries to move a page that others map");
	expect_range(r, (uint64_t)(after.ru_minflt - before.ru_minflt), 0, NOISE,
		     "mapping of others: it is not torn down");
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
	expect_role_done(r, c, 10000);
}

struct served {
	char *map;
	char **file;		/* by block of tag storage: a page of the file that lies there */
	char *data, *page;	/* one whose tags the other, of the file, keeps from being stored */
};

static void look_served(struct run *r, size_t i, const struct page_location *where, void *arg)
{
	int64_t block = where->present ? pfn_block(r, where->pfn) : -1;
	struct served *s = arg;

	if (s->data || block < 0 || !s->file[block])
		return;
	s->data = s->map + i * page_size();
	s->page = s->file[block];
}

static void find_served(struct run *r, const struct file *f, struct served *s, size_t len)
{
	s->file = calloc(summary_now(r).blocks, sizeof(*s->file));
	if (!s->file)
		bail(r, "out of memory");
	for (size_t i = 0; i < f->n; i++) {
		char *p = f->map + i * page_size();
		struct state_page page = page_now(r, 0, p);

		if (page.in_tag_storage)
			s->file[page.own_block] = p;
	}
	page_locations_each(r, 0, s->map, len / page_size(), look_served, s);
	free(s->file);
	require(r, s->data, "some page's tags belong where the file is");
}

/* Does not return: holds the page and needs storage for its tags. */
static void need_storage(char *data)
{
	struct iovec v = { data, 1 };
	int fds[2];

	signal(SIGBUS, SIG_DFL);
	if (pipe2(fds, O_CLOEXEC) || vmsplice(fds[1], &v, 1, 0) != 1 ||
	    mprotect(data, page_size(), RW | PROT_MTE))
		_exit(1);
	*(volatile char *)data;
	_exit(0);
}

static void storage_wanted(struct run *r, const struct file *f)
{
	size_t len = 256 * MIB;
	struct served s = { 0 };
	struct rusage before, after;
	int fds[2], status = 0;
	uint64_t start;
	loff_t off;
	pid_t pid;

	step(r,
	     "Somebody holds a page of the file, and a page of his own whose tags belong where the former is. He accesses it as tagged, and waits for storage in vain.");
	s.map = mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s.map == MAP_FAILED || madvise(s.map, len, MADV_NOHUGEPAGE) ||
	    madvise(s.map, len, MADV_POPULATE_WRITE))
		bail_errno(r, "memory");
	find_served(r, f, &s, len);
	off = s.page - f->map;
	if (pipe2(fds, O_CLOEXEC) || splice(f->fd, &off, fds[1], NULL, 1, 0) != 1)
		bail_errno(r, "splice");
	*(volatile char *)s.page;
	start = moves(r);
	if (getrusage(RUSAGE_THREAD, &before))
		bail_errno(r, "getrusage");
	pid = fork();
	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid)
		need_storage(s.data);
	while (!waitpid(pid, &status, WNOHANG))
		*(volatile char *)s.page;
	if (getrusage(RUSAGE_THREAD, &after))
		bail_errno(r, "getrusage");
	expect(r, WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
	       "storage wanted: who holds both gets SIGBUS");
	expect_range(r, moves(r) - start, 0, NOISE,
		     "storage wanted: nobody tries to move a page that somebody holds");
	expect_range(r, (uint64_t)(after.ru_minflt - before.ru_minflt), 0, NOISE,
		     "storage wanted: the mappings of others are not torn down");
	close(fds[0]);
	close(fds[1]);
	munmap(s.map, len);
}

static void futexes(struct run *r, const struct file *f)
{
	loff_t off = f->off;
	uint64_t start, ns;
	int fds[2];

	step(r,
	     "A page that somebody holds has a futex in it. To wake somebody up the kernel gets the page for a moment, as ever.");
	if (pipe2(fds, O_CLOEXEC) || splice(f->fd, &off, fds[1], NULL, 1, 0) != 1)
		bail_errno(r, "splice");
	start = moves(r);
	ns = now_ns();
	for (int i = 0; i < 1000; i++)
		if (syscall(SYS_futex, f->page, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
			bail_errno(r, "FUTEX_WAKE");
	measure(r, "futex_wake", "ns", (double)(now_ns() - ns) / 1000);
	expect_range(r, moves(r) - start, 0, NOISE, "futex: nobody tries to move its page");
	expect(r, page_now(r, 0, f->page).in_tag_storage, "futex: the page is where it was");

	step(r,
	     "The program pins and reads this page with process_vm_readv(). It cannot be moved while it is held, which shows, so it costs what it costs elsewhere.");
	start = moves(r);
	read_own(r, f->page, 1000);
	expect_range(r, moves(r) - start, 0, NOISE, "held page: nobody tries to move it");
	close(fds[0]);
	close(fds[1]);

	step(r, "Nobody holds it any more, so it could be moved; but a futex does not pin it.");

	start = moves(r);
	for (int i = 0; i < 100; i++)
		if (syscall(SYS_futex, f->page, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
			bail_errno(r, "FUTEX_WAKE");
	expect(r, page_now(r, 0, f->page).in_tag_storage,
	       "futex: the page stays in tag storage when nobody holds it");
	expect_range(r, moves(r) - start, 0, NOISE, "futex: nor is that tried");
}

/* ---- A pin comes after storage ------------------------------------------------------------- */

static void pins_of_waiting_pages(struct run *r, size_t n)
{
	char *p = mte_map(n * page_size(), false);
	struct iovec iov = { p, 1 };
	size_t waiting = 0, without = 0;
	int fds[2];

	if (!p || pipe2(fds, O_CLOEXEC))
		bail_errno(r, "memory, or a pipe");
	memset(p, 1, n * page_size());
	step(r,
	     "Pages become taggable, but tag storage is full: they wait for the first access. Before it they go into a pipe, where they would be held without storage for their tags.");
	if (!mprotect_storage_full(r, p, n * page_size()))
		goto out;
	for (size_t i = 0; i < n; i++)
		waiting += page_now(r, 0, p + i * page_size()).foa;
	/* A block may have users: what others have left in the swap cache. */
	expect_range(r, waiting, n / 2, n, "waiting pages: they fault on access");
	for (size_t i = 0; i < n; i++) {
		iov.iov_base = p + i * page_size();
		if (vmsplice(fds[1], &iov, 1, SPLICE_F_NONBLOCK) != 1)
			bail_errno(r, "vmsplice");
	}
	for (size_t i = 0; i < n; i++)
		without += !page_now(r, 0, p + i * page_size()).has_storage;
	expect_eq_u64(r, without, 0, "waiting pages: each has storage for its tags when it is held");
out:
	close(fds[0]);
	close(fds[1]);
	munmap(p, n * page_size());
}

/* ---- Huge pages of untagged memory --------------------------------------------------------- */

/* Memory with a small page every other place; *len is how much. */
static char *fragment_memory(struct run *r, size_t *len)
{
	struct memory m = memory_now(r);
	size_t max = m.free & ~(HUGE_SIZE - 1), done = 0;
	char *p = mmap(NULL, max, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap");
	if (madvise(p, max, MADV_NOHUGEPAGE))
		bail_errno(r, "MADV_NOHUGEPAGE");
	while (done < max && m.free - m.cma_free > memory_reserve(r) + 32 * MIB) {
		memset(p + done, 1, MIB / 4);
		done += MIB / 4;
		m = memory_now(r);
	}
	for (size_t off = 0; off < done; off += 2 * page_size())
		if (madvise(p + off, page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	*len = max;
	return p;
}

static void huge_pages(struct run *r, size_t n)
{
	uint64_t stalls, successes, allocs;
	size_t len, size = n * HUGE_SIZE;
	char *small, *p, *q;

	step(r,
	     "Memory is in pieces: every other page is used. A program without tags wants huge pages, for which the kernel moves the pieces together. Tag storage is free, but no huge page can be made of it.");
	small = fragment_memory(r, &len);
	p = mmap(NULL, size + HUGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		bail_errno(r, "mmap");
	q = (char *)(((uintptr_t)p + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (madvise(q, size, MADV_HUGEPAGE))
		bail_errno(r, "MADV_HUGEPAGE");
	stalls = vmstat_now(r, "compact_stall");
	successes = vmstat_now(r, "compact_success");
	allocs = vmstat_now(r, "thp_fault_alloc");
	for (size_t i = 0; i < n; i++)
		q[i * HUGE_SIZE] = 1;
	stalls = vmstat_now(r, "compact_stall") - stalls;
	successes = vmstat_now(r, "compact_success") - successes;
	allocs = vmstat_now(r, "thp_fault_alloc") - allocs;
	measure(r, "direct_compactions", "1", (double)stalls);
	measure(r, "direct_compactions_successful", "1", (double)successes);
	measure(r, "huge_pages", "1", (double)allocs);
	if (stalls)
		expect_range(r, successes, 1, UINT64_MAX,
			     "huge pages: direct compaction does not take free tag storage for success");
	else
		note(r, "there were enough huge pages without compaction");
	munmap(p, size + HUGE_SIZE);
	munmap(small, len);
}

static void bystander(struct run *r)
{
	struct file f = file_new(r);

	mapping_of_others(r, &f);
	storage_wanted(r, &f);
	futexes(r, &f);
	file_free(&f);
	pins_of_waiting_pages(r, 8);
	huge_pages(r, param_u64(r, "huge"));
}

static const struct scenario bystander_scenario = {
	.name = "bystander",
	.kind = SCENARIO_WORKLOAD,
	.summary = "untagged memory in tag storage costs nobody more than other memory",
	.explanation =
		"Tag storage is lent to programs that need not even know that there are tags. Whether their data lies there must make "
		"no difference to them: nobody's mappings are torn down because somebody else pins a page, "
		"a futex costs what it costs elsewhere, and huge pages are found as often. "
		"Only where a pin can last is a page moved out first, and a page that waits for storage of its tags gets it before it is pinned.",
	.params = PARAMS(P_UINT("huge", "80", 8, 1024,
				"huge pages that the program tries to get in fragmented memory")),
	.needs = NEED_POLICY_CMA | NEED_SMP,
	.min_memory = 512 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.roles = ROLES(&reader),
	.run = bystander,
};
SCENARIO(bystander_scenario);
