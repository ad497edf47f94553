// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one step of the fuzzer does. These functions run in the processes under test. The text
 * of this file is part of tagscope, too: a program that repeats a finding begins with
 * those parts of it that it needs. So each part stands alone but for those it names, and
 * all of it uses nothing but libc and the kernel's headers.
 *
 * Addresses are numbers; sizes are pages. A step returns 0 or more, -errno, SIGNALLED(n),
 * or BAD_DATA or BAD_TAGS, and then "bad" says more.
 */
/* part: base */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define WORDS (PAGE / sizeof(uint64_t))
#define GRANULES (PAGE / 16)
#define MAX_WHO 4
#define OBJECT_FD 200		/* the memfd of object n is 200 + n */
#define SIGNALLED(n) (-1000 - (n))
#define TAG_CHECK 100		/* SIGSEGV for a wrong tag is signal 11 + 100 */
#define BAD_DATA (-2000)
#define BAD_TAGS (-2001)

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef SEGV_MTESERR
#define SEGV_MTESERR 9
#endif

/* Shared by all processes of a group; a process is known by a small number. */
struct shared {
	int done, failed;
	int pid[MAX_WHO];
};
static struct shared *shared;
static int me;

/* Descriptors that a process opens when it needs them; a child begins without. */
static struct {
	int ring, uffd, disk;
} own;

/* The last BAD_...: where, what was there, and what should have been. */
static struct bad {
	uint64_t offset, got, want;
} bad;

static sigjmp_buf back;
static volatile int caught;

static void on_signal(int sig, siginfo_t *si, void *context)
{
	(void)context;
	caught = sig + (sig == SIGSEGV && si->si_code == SEGV_MTESERR ? TAG_CHECK : 0);
	siglongjmp(back, 1);
}

static void process_init(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	signal(SIGCHLD, SIG_IGN);
	memset(&own, 0, sizeof(own));
#ifdef __aarch64__
	/* Addresses with tags in system calls; wrong tags raise signals. */
	prctl(55, 1UL | 1UL << 1 | 0xfffeUL << 3, 0, 0, 0);
#endif
	if (shared)
		__atomic_store_n(&shared->pid[me], getpid(), __ATOMIC_SEQ_CST);
}

/* part: word_of */
/* What the name of a page's content stands for; that of 0 is zeroes. */
static uint64_t word_of(unsigned long data, unsigned long i)
{
	uint64_t x = (data + i) * 0x9e3779b97f4a7c15;

	return data ? (x ^ x >> 29) * 0xbf58476d1ce4e5b9 : 0;
}

/* part: tag_of word_of */
/* And that of its tags: all the same, all different, only one, or half of the page. */
static unsigned int tag_of(unsigned long tags, unsigned long granule)
{
	unsigned int mixed = (word_of(tags, granule) >> 40) & 15;

	if (!tags)
		return 0;
	switch (tags & 3) {
	case 0:
		return (tags >> 2 & 7) + 1;
	case 1:
		return mixed;
	case 2:
		return granule == (tags >> 4 & 255) ? (tags >> 2 & 3) + 5 : 0;
	default:
		return granule < GRANULES / 2 ? mixed : 0;
	}
}

/* part: checks_off */
static void checks_off(void)
{
#ifdef __aarch64__
	asm volatile(".arch armv8.5-a+memtag\n\tmsr tco, #1" : : : "memory");
#endif
}

/* part: checks_on */
static void checks_on(void)
{
#ifdef __aarch64__
	asm volatile(".arch armv8.5-a+memtag\n\tmsr tco, #0" : : : "memory");
#endif
}

/* part: tag_at */
static unsigned int tag_at(unsigned long addr)
{
#ifdef __aarch64__
	asm volatile(".arch armv8.5-a+memtag\n\tldg %0, [%0]" : "+r"(addr) : : "memory");
#endif
	return addr >> 56 & 15;
}

/* part: put_tag */
static void put_tag(unsigned long addr, unsigned long tag)
{
#ifdef __aarch64__
	asm volatile(".arch armv8.5-a+memtag\n\tstg %0, [%0]" : : "r"(addr | tag << 56) : "memory");
#else
	(void)addr;
	(void)tag;
#endif
}

/* part: map */
static int map(unsigned long addr, unsigned long pages, unsigned long prot, unsigned long flags)
{
	void *p = mmap((void *)addr, pages * PAGE, (int)prot,
		       (int)flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

/* part: map_object */
static int map_object(unsigned long addr, unsigned long pages, unsigned long prot,
		      unsigned long flags, unsigned long object, unsigned long first)
{
	void *p = mmap((void *)addr, pages * PAGE, (int)prot, (int)flags | MAP_FIXED,
		       OBJECT_FD + (int)object, (off_t)(first * PAGE));

	return p == MAP_FAILED ? -errno : 0;
}

/* part: unmap */
static int unmap(unsigned long addr, unsigned long pages)
{
	return munmap((void *)addr, pages * PAGE) ? -errno : 0;
}

/* part: protect */
static int protect(unsigned long addr, unsigned long pages, unsigned long prot)
{
	return mprotect((void *)addr, pages * PAGE, (int)prot) ? -errno : 0;
}

/* part: advise */
static int advise(unsigned long addr, unsigned long pages, unsigned long advice)
{
	return madvise((void *)addr, pages * PAGE, (int)advice) ? -errno : 0;
}

/* part: resize */
static int resize(unsigned long addr, unsigned long pages, unsigned long new_pages)
{
	void *p = mremap((void *)addr, pages * PAGE, new_pages * PAGE, 0);

	return p == MAP_FAILED ? -errno : 0;
}

/* part: move */
static int move(unsigned long addr, unsigned long pages, unsigned long to, unsigned long flags)
{
	void *p = mremap((void *)addr, pages * PAGE, pages * PAGE,
			 (int)flags | MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);

	return p == MAP_FAILED ? -errno : 0;
}

/* part: lock */
static int lock(unsigned long addr, unsigned long pages)
{
	return mlock((void *)addr, pages * PAGE) ? -errno : 0;
}

/* part: unlock */
static int unlock(unsigned long addr, unsigned long pages)
{
	return munlock((void *)addr, pages * PAGE) ? -errno : 0;
}

/* part: object */
static int object(unsigned long number, unsigned long pages)
{
	int fd = memfd_create("object", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)) ||
	    dup2(fd, OBJECT_FD + (int)number) < 0)
		return -errno;
	close(fd);
	return 0;
}

/* part: punch */
static int punch(unsigned long number, unsigned long first, unsigned long pages)
{
	return fallocate(OBJECT_FD + (int)number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(first * PAGE), (off_t)(pages * PAGE)) ? -errno : 0;
}

/* part: store checks_off word_of */
static __attribute__((noinline)) void fill(volatile uint64_t *p, unsigned long data)
{
	for (unsigned long i = 0; i < WORDS; i++)
		p[i] = word_of(data, i);
}

static int store(unsigned long addr, unsigned long data)
{
	if (sigsetjmp(back, 0))
		return SIGNALLED(caught);
	checks_off();
	fill((volatile uint64_t *)addr, data);
	return 0;
}

/* part: set_tags tag_of put_tag */
static __attribute__((noinline)) void put_tags(unsigned long addr, unsigned long tags)
{
	for (unsigned long i = 0; i < GRANULES; i++)
		put_tag(addr + i * 16, tag_of(tags, i));
}

static int set_tags(unsigned long addr, unsigned long tags)
{
	if (sigsetjmp(back, 0))
		return SIGNALLED(caught);
	put_tags(addr, tags);
	return 0;
}

/* part: load_tagged checks_on */
/* Load through a pointer that has this tag. */
static int load_tagged(unsigned long addr, unsigned long tag)
{
	if (sigsetjmp(back, 0))
		return SIGNALLED(caught);
	checks_on();
	(void)*(volatile uint64_t *)(addr | tag << 56);
	return 0;
}

/* part: compare word_of */
static int compare_data(const uint64_t *got, unsigned long data)
{
	for (unsigned long i = 0; i < WORDS; i++) {
		if (got[i] != word_of(data, i)) {
			bad.offset = i * sizeof(*got);
			bad.got = got[i];
			bad.want = word_of(data, i);
			return BAD_DATA;
		}
	}
	return 0;
}

/* part: compare_tags tag_of */
static int compare_tags(const unsigned char *got, unsigned long tags)
{
	for (unsigned long i = 0; i < GRANULES; i++) {
		if (got[i] != tag_of(tags, i)) {
			bad.offset = i * 16;
			bad.got = got[i];
			bad.want = tag_of(tags, i);
			return BAD_TAGS;
		}
	}
	return 0;
}

/* part: check checks_off tag_at compare compare_tags */
#define CHECK_TAGS 1	/* not the data only */
#define CHECK_EITHER 2	/* data2 with tags2 is as good */

static void look(unsigned long addr, unsigned long how, uint64_t *data, unsigned char *tags)
{
	for (unsigned long i = 0; i < WORDS; i++)
		data[i] = ((volatile uint64_t *)addr)[i];
	for (unsigned long i = 0; how & CHECK_TAGS && i < GRANULES; i++)
		tags[i] = (unsigned char)tag_at(addr + i * 16);
}

/* 0: it is data with tags; 1: it is data2 with tags2. */
static int check(unsigned long addr, unsigned long how, unsigned long data, unsigned long tags,
		 unsigned long data2, unsigned long tags2)
{
	static uint64_t words[2][WORDS];
	static unsigned char granules[2][GRANULES];
	int ret;

	if (sigsetjmp(back, 0))
		return SIGNALLED(caught);
	checks_off();
	look(addr, how, words[0], granules[0]);
	/* What may be freed at any time must not be seen halfway. */
	for (int i = 0; how & CHECK_EITHER && i < 10; i++) {
		look(addr, how, words[1], granules[1]);
		if (!memcmp(words[0], words[1], sizeof(words[0])) &&
		    !memcmp(granules[0], granules[1], sizeof(granules[0])))
			break;
		memcpy(words[0], words[1], sizeof(words[0]));
		memcpy(granules[0], granules[1], sizeof(granules[0]));
	}
	if (how & CHECK_EITHER && !compare_data(words[0], data2) &&
	    (!(how & CHECK_TAGS) || !compare_tags(granules[0], tags2)))
		return 1;
	ret = compare_data(words[0], data);
	return ret || !(how & CHECK_TAGS) ? ret : compare_tags(granules[0], tags);
}

/* part: vm_read compare */
/* process_vm_readv() of a page of another process: one of two contents. */
static int vm_read(unsigned long who, unsigned long addr, unsigned long data, unsigned long data2)
{
	static uint64_t words[WORDS];
	struct iovec to = { words, PAGE }, from = { (void *)addr, PAGE };
	ssize_t n = process_vm_readv(shared->pid[who], &to, 1, &from, 1, 0);

	if (n != (ssize_t)PAGE)
		return n < 0 ? -errno : -EIO;
	return compare_data(words, data2) ? compare_data(words, data) : 0;
}

/* part: vm_write word_of */
static int vm_write(unsigned long who, unsigned long addr, unsigned long data)
{
	static uint64_t words[WORDS];
	struct iovec from = { words, PAGE }, to = { (void *)addr, PAGE };
	ssize_t n;

	for (unsigned long i = 0; i < WORDS; i++)
		words[i] = word_of(data, i);
	n = process_vm_writev(shared->pid[who], &from, 1, &to, 1, 0);
	return n == (ssize_t)PAGE ? 0 : n < 0 ? -errno : -EIO;
}

/* part: trace */
static int trace(unsigned long who, int request, unsigned long addr, unsigned char *tags)
{
	struct iovec iov = { tags, GRANULES };
	pid_t pid = shared->pid[who];
	int status, ret;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid)
		return -errno;
	ret = ptrace(request, pid, (void *)addr, &iov) ? -errno : 0;
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return ret || iov.iov_len == GRANULES ? ret : -EIO;
}

/* part: peek compare_tags trace */
/* The tags of a page of another process: one of two. */
static int peek(unsigned long who, unsigned long addr, unsigned long tags, unsigned long tags2)
{
	unsigned char got[GRANULES] = { 0 };
	int ret = trace(who, 33 /* PTRACE_PEEKMTETAGS */, addr, got);

	if (ret)
		return ret;
	return compare_tags(got, tags2) ? compare_tags(got, tags) : 0;
}

/* part: poke tag_of trace */
static int poke(unsigned long who, unsigned long addr, unsigned long tags)
{
	unsigned char put[GRANULES];

	for (unsigned long i = 0; i < GRANULES; i++)
		put[i] = (unsigned char)tag_of(tags, i);
	return trace(who, 34 /* PTRACE_POKEMTETAGS */, addr, put);
}

/* part: pins */
#define MAX_PIPES 4
static int pipes[MAX_PIPES][2];

/* part: pin pins */
/* Have a pipe hold a page. */
static int pin(unsigned long number, unsigned long addr)
{
	struct iovec iov = { (void *)addr, PAGE };
	ssize_t n;

	if (pipe2(pipes[number], O_CLOEXEC | O_NONBLOCK))
		return -errno;
	n = vmsplice(pipes[number][1], &iov, 1, 0);
	if (n == (ssize_t)PAGE)
		return 0;
	n = n < 0 ? -errno : -EIO;
	close(pipes[number][0]);
	close(pipes[number][1]);
	return (int)n;
}

/* part: unpin pins compare */
/* Read what the pipe holds: one of n contents. */
static int unpin(unsigned long number, unsigned long n, unsigned long data, unsigned long data2,
		 unsigned long data3, unsigned long data4)
{
	unsigned long all[] = { data, data2, data3, data4 };
	static uint64_t words[WORDS];
	ssize_t got = read(pipes[number][0], words, PAGE);
	int ret = got == (ssize_t)PAGE ? 0 : got < 0 ? -errno : -EIO;

	close(pipes[number][0]);
	close(pipes[number][1]);
	for (unsigned long i = 0; !ret && i < n; i++)
		if (!compare_data(words, all[i]))
			return 0;
	return ret || !n ? ret : compare_data(words, data);
}

/* part: ring */
/* io_uring without a library: one request at a time. */
static struct {
	int file;
	unsigned int *sq_tail, *sq_array, *cq_head;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned int cq_mask;
} ring;

/* part: ring_open ring */
static int ring_open(void)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	if (own.ring)
		return 0;
	own.ring = (int)syscall(__NR_io_uring_setup, 1, &p);
	if (own.ring < 0) {
		own.ring = 0;
		return -errno;
	}
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(int), PROT_READ | PROT_WRITE,
		  MAP_SHARED, own.ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, own.ring, IORING_OFF_CQ_RING);
	ring.sqe = mmap(NULL, sizeof(*ring.sqe), PROT_READ | PROT_WRITE, MAP_SHARED, own.ring,
			IORING_OFF_SQES);
	ring.file = memfd_create("ring", MFD_CLOEXEC);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring.sqe == MAP_FAILED || ring.file < 0)
		return -errno;
	ring.sq_tail = (unsigned int *)(void *)(sq + p.sq_off.tail);
	ring.sq_array = (unsigned int *)(void *)(sq + p.sq_off.array);
	ring.cq_head = (unsigned int *)(void *)(cq + p.cq_off.head);
	ring.cqe = (struct io_uring_cqe *)(void *)(cq + p.cq_off.cqes);
	ring.cq_mask = p.cq_entries - 1;
	return ftruncate(ring.file, PAGE) ? -errno : 0;
}

/* part: ring_do ring */
static int ring_do(unsigned int opcode, unsigned long addr)
{
	int ret;

	*ring.sqe = (struct io_uring_sqe){ .opcode = (unsigned char)opcode, .fd = ring.file,
					   .addr = addr, .len = PAGE };
	ring.sq_array[0] = 0;
	__atomic_store_n(ring.sq_tail, *ring.sq_tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, own.ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	ret = ring.cqe[*ring.cq_head & ring.cq_mask].res;
	__atomic_store_n(ring.cq_head, *ring.cq_head + 1, __ATOMIC_RELEASE);
	return ret == (int)PAGE ? 0 : ret < 0 ? ret : -EIO;
}

/* part: ring_register ring_open checks_off */
/*
 * Linux does not mark what is read into a registered page as dirty, so reclaim may drop it if
 * the page was clean. This makes the pages dirty, and changes nothing.
 */
static __attribute__((noinline)) void make_dirty(unsigned long addr, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		__atomic_fetch_or((volatile uint64_t *)(addr + i * PAGE), 0, __ATOMIC_SEQ_CST);
}

static int ring_register(unsigned long addr, unsigned long pages)
{
	struct iovec iov = { (void *)addr, pages * PAGE };
	int ret = ring_open();

	if (ret)
		return ret;
	if (sigsetjmp(back, 0))
		return SIGNALLED(caught);
	checks_off();
	make_dirty(addr, pages);
	return syscall(__NR_io_uring_register, own.ring, IORING_REGISTER_BUFFERS, &iov, 1) ?
		-errno : 0;
}

/* part: ring_unregister */
static int ring_unregister(void)
{
	return syscall(__NR_io_uring_register, own.ring, IORING_UNREGISTER_BUFFERS, NULL, 0) ?
		-errno : 0;
}

/* part: ring_out ring_do compare */
/* Write a registered page to a file: one of two contents. */
static int ring_out(unsigned long addr, unsigned long data, unsigned long data2)
{
	static uint64_t words[WORDS];
	int ret = ring_do(IORING_OP_WRITE_FIXED, addr);

	if (!ret && pread(ring.file, words, PAGE, 0) != (ssize_t)PAGE)
		ret = -EIO;
	if (ret)
		return ret;
	return compare_data(words, data2) ? compare_data(words, data) : 0;
}

/* part: ring_in ring_do word_of */
/* Read a file into a registered page. */
static int ring_in(unsigned long addr, unsigned long data)
{
	uint64_t words[WORDS];

	for (unsigned long i = 0; i < WORDS; i++)
		words[i] = word_of(data, i);
	if (pwrite(ring.file, words, PAGE, 0) != (ssize_t)PAGE)
		return -errno;
	return ring_do(IORING_OP_READ_FIXED, addr);
}

/* part: uffd */
#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

/* part: uffd_open uffd */
/* An access to what is missing, or protected, raises SIGBUS. */
static int uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_SIGBUS };

	if (own.uffd)
		return 0;
	own.uffd = (int)syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (own.uffd < 0 || ioctl(own.uffd, UFFDIO_API, &api)) {
		own.uffd = 0;
		return -errno;
	}
	return 0;
}

/* part: uffd_register uffd_open */
static int uffd_register(unsigned long addr, unsigned long pages)
{
	struct uffdio_register r = { .range = { addr, pages * PAGE },
				     .mode = UFFDIO_REGISTER_MODE_MISSING |
					     UFFDIO_REGISTER_MODE_WP };
	int ret = uffd_open();

	if (ret)
		return ret;
	return ioctl(own.uffd, UFFDIO_REGISTER, &r) ? -errno : 0;
}

/* part: uffd_unregister uffd */
static int uffd_unregister(unsigned long addr, unsigned long pages)
{
	struct uffdio_range r = { addr, pages * PAGE };

	return ioctl(own.uffd, UFFDIO_UNREGISTER, &r) ? -errno : 0;
}

/* part: uffd_copy uffd word_of */
static int uffd_copy(unsigned long addr, unsigned long data, unsigned long protect_it)
{
	static uint64_t words[WORDS] __attribute__((aligned(PAGE)));
	struct uffdio_copy c = { .dst = addr, .src = (unsigned long)words, .len = PAGE,
				 .mode = protect_it ? UFFDIO_COPY_MODE_WP : 0 };

	for (unsigned long i = 0; i < WORDS; i++)
		words[i] = word_of(data, i);
	return ioctl(own.uffd, UFFDIO_COPY, &c) ? -errno : 0;
}

/* part: uffd_zero uffd */
static int uffd_zero(unsigned long addr)
{
	struct uffdio_zeropage z = { .range = { addr, PAGE } };

	return ioctl(own.uffd, UFFDIO_ZEROPAGE, &z) ? -errno : 0;
}

/* part: uffd_move uffd */
#define MOVE_S 5
/*
 * Linux tries for ever to split a large folio of which something is held; only a signal that
 * kills ends it. So it is done in another process, with the same memory.
 */
static int uffd_move(unsigned long to, unsigned long from)
{
	static struct uffdio_move m;
	static volatile int ret;
	pid_t pid;

	m = (struct uffdio_move){ .dst = to, .src = from, .len = PAGE };
	ret = -EAGAIN;
	pid = vfork();
	if (!pid) {
		alarm(MOVE_S);
		ret = ioctl(own.uffd, UFFDIO_MOVE, &m) ? -errno : 0;
		_exit(0);
	}
	if (pid < 0)
		return -errno;
	return m.move == (long long)PAGE ? 0 : ret;
}

/* part: uffd_protect uffd */
static int uffd_protect(unsigned long addr, unsigned long pages, unsigned long on)
{
	struct uffdio_writeprotect w = { .range = { addr, pages * PAGE },
					 .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };

	return ioctl(own.uffd, UFFDIO_WRITEPROTECT, &w) ? -errno : 0;
}

/* part: kernel_says */
/* Write to a file of the kernel's. */
static int kernel_says(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* part: compact kernel_says */
static int compact(void)
{
	return kernel_says("/proc/sys/vm/compact_memory", "1");
}

/* part: drop_caches kernel_says */
static int drop_caches(void)
{
	return kernel_says("/proc/sys/vm/drop_caches", "1");
}

/* part: swap_off_on */
static int swap_off_on(void)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[512], path[256] = "";
	int ret = 0;

	while (f && fgets(line, sizeof(line), f))
		if (line[0] == '/' && sscanf(line, "%255s", path) == 1)
			break;
	if (f)
		fclose(f);
	if (!path[0])
		return 0;
	if (swapoff(path))
		ret = -errno;
	if (!ret && swapon(path, 0))
		ret = -errno;
	return ret;
}

/* part: disk kernel_says */
/* O_DIRECT on a compressed block device in memory, which the first user makes. */
static int disk(void)
{
	char path[64], size[32];
	int id, control, ret;
	ssize_t n;

	if (own.disk > 0)
		return own.disk;
	own.disk = 0;
	for (id = 0; !own.disk && id < 8; id++) {
		snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", id);
		control = open(path, O_RDONLY | O_CLOEXEC);
		if (control < 0)
			continue;
		n = read(control, size, sizeof(size) - 1);
		close(control);
		size[n > 0 ? n : 0] = 0;
		/* Nobody else has one of this size. */
		if (atol(size) != 37 << 20)
			continue;
		snprintf(path, sizeof(path), "/dev/zram%d", id);
		own.disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	}
	if (own.disk > 0)
		return own.disk;
	control = open("/sys/class/zram-control/hot_add", O_RDONLY | O_CLOEXEC);
	n = control < 0 ? -1 : read(control, size, sizeof(size) - 1);
	if (n <= 0)
		return -errno;
	close(control);
	size[n] = 0;
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", atoi(size));
	ret = kernel_says(path, "37M");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/zram%d", atoi(size));
	own.disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	return own.disk < 0 ? -errno : own.disk;
}

/* part: direct_out disk compare */
/* Write a page to the disk at this place (in pages) with O_DIRECT: one of two contents. */
static int direct_out(unsigned long addr, unsigned long place, unsigned long data,
		      unsigned long data2)
{
	static uint64_t words[WORDS] __attribute__((aligned(PAGE)));
	int fd = disk();
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pwrite(fd, (void *)addr, PAGE, (off_t)(place * PAGE));
	if (n == (ssize_t)PAGE)
		n = pread(fd, words, PAGE, (off_t)(place * PAGE));
	if (n != (ssize_t)PAGE)
		return n < 0 ? -errno : -EIO;
	return compare_data(words, data2) ? compare_data(words, data) : 0;
}

/* part: direct_in disk word_of */
static int direct_in(unsigned long addr, unsigned long place, unsigned long data)
{
	static uint64_t words[WORDS] __attribute__((aligned(PAGE)));
	int fd = disk();
	ssize_t n;

	if (fd < 0)
		return fd;
	for (unsigned long i = 0; i < WORDS; i++)
		words[i] = word_of(data, i);
	n = pwrite(fd, words, PAGE, (off_t)(place * PAGE));
	if (n == (ssize_t)PAGE)
		n = pread(fd, (void *)addr, PAGE, (off_t)(place * PAGE));
	return n == (ssize_t)PAGE ? 0 : n < 0 ? -errno : -EIO;
}

/* part: spawn */
/* What the child has of its parent and must not use would keep pages pinned. */
static int spawn(unsigned long who)
{
	pid_t pid;

	__atomic_store_n(&shared->pid[who], 0, __ATOMIC_SEQ_CST);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		for (int fd = 3; fd < OBJECT_FD; fd++)
			close(fd);
		me = (int)who;
		process_init();
		return 0;
	}
	while (!__atomic_load_n(&shared->pid[who], __ATOMIC_SEQ_CST))
		usleep(100);
	return 0;
}

/* part: end */

/* ---- Not printed: how tagscope calls these, and their text ------------------ */

#include "fuzz/calls.h"

extern const char fuzz_runtime_text[];
asm(".pushsection .rodata\n\t"
	".globl fuzz_runtime_text\n"
	"fuzz_runtime_text:\n\t"
	".incbin \"" __FILE__ "\"\n\t"
	".byte 0\n\t"
	".popsection\n");

const char *runtime_text(void)
{
	return fuzz_runtime_text;
}

void runtime_begin(struct shared *s)
{
	shared = s;
	process_init();
}

int runtime_me(void)
{
	return me;
}

struct shared *runtime_shared(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return s == MAP_FAILED ? NULL : s;
}

int runtime_pid(const struct shared *s, int who)
{
	return __atomic_load_n(&s->pid[who], __ATOMIC_SEQ_CST);
}

void runtime_bad(uint64_t *offset, uint64_t *got, uint64_t *want)
{
	*offset = bad.offset;
	*got = bad.got;
	*want = bad.want;
}

#define ARGS_0
#define ARGS_1 a[0]
#define ARGS_2 ARGS_1, a[1]
#define ARGS_3 ARGS_2, a[2]
#define ARGS_4 ARGS_3, a[3]
#define ARGS_5 ARGS_4, a[4]
#define ARGS_6 ARGS_5, a[5]

int runtime_call(enum call_id id, const unsigned long *a)
{
#define CALL(id_, function_, nr_, args_)                                                       \
	if (id == id_)                                                                         \
		return function_(ARGS_##nr_);
	CALLS(CALL)
#undef CALL
	return -ENOSYS;
}
