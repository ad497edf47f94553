// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory costs, in instructions per page: for scripts/bench, in the machine with
 * --icount, where a nanosecond is an instruction. Prints a line for each figure:
 *
 *	NAME VALUE SPREAD
 *
 * VALUE is the median of some repetitions, SPREAD the greatest less the least of
 * them, both in instructions per page (of 4 KiB, also where the kernel used a larger
 * one). A line "# NAME TEXT" before it tells what state the figure was taken in.
 * Status: 0; 1 if something could not be done, with a line on stderr.
 *
 * usage: bench --list | [--file PATH] [--profile FIGURE] [ROW...]
 *	--file	a file of at least twice the size of tag storage, whose pages the page
 *		cache can drop; without it rows that need one are left out
 *	--profile	call profile_begin() and profile_end() around what is measured for
 *		this figure; the first time, which does not count, excepted
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif

#define PAGE 4096UL
#define HUGE_PAGE (2UL << 20)
#define MIB (1UL << 20)
/* Memory a row works on, always at the same place. */
#define BASE ((char *)0x2000000000UL)
#define PAGES 8192UL
#define SWAP_PAGES 4096UL
/* Of these the first is for what is done only once: it does not count. */
#define REPEATS 6
#define SWAP_DEVICE "/dev/zram0"
#define DEBUGFS "/sys/kernel/debug/mte_tag_storage/"

void profile_begin(void);
void profile_end(void);

static const char *big_file, *profiled;
static bool kernel_has_storage;		/* tag storage is used for data */

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fputs("bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

/*
 * Figures. clock_gettime() is the vdso's: no kernel entry is part of what is timed.
 */

struct figure {
	const char *name;
	double value[REPEATS];
	int n;
};

static uint64_t now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t))
		die("clock_gettime");
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* profile.c is told where these are. */
__attribute__((noinline, noclone))
void profile_begin(void)
{
	asm volatile("nop" : : : "memory");
}

__attribute__((noinline, noclone))
void profile_end(void)
{
	asm volatile("nop" : : : "memory");
}

static bool is_profiled(const struct figure *f)
{
	return profiled && f->n && !strcmp(profiled, f->name);
}

static uint64_t measure_begin(const struct figure *f)
{
	if (is_profiled(f))
		profile_begin();
	return now();
}

static void measure_end(struct figure *f, uint64_t begin, unsigned long pages)
{
	uint64_t end = now();

	if (is_profiled(f)) {
		profile_end();
		printf("# %s profile %lu pages\n", f->name, pages);
	}
	if (f->n < REPEATS)
		f->value[f->n++] = (double)(end - begin) / pages;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_figure(struct figure *f)
{
	double *v = f->value + 1;
	int n = f->n - 1;

	if (n < 1)
		return;
	qsort(v, n, sizeof(*v), compare);
	printf("%s %.2f %.2f\n", f->name, (v[(n - 1) / 2] + v[n / 2]) / 2, v[n - 1] - v[0]);
	fflush(stdout);
}

/*
 * State of the system
 */

/* The number after key at the beginning of a line of a file, or -1. */
static long long number_in(const char *path, const char *key)
{
	char line[256];
	long long v = -1;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	while (v < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			v = strtoll(line + strlen(key), NULL, 10);
	fclose(f);
	return v;
}

static unsigned long meminfo(const char *key)
{
	long long kib = number_in("/proc/meminfo", key);

	if (kib < 0)
		die("no %s in /proc/meminfo", key);
	return (unsigned long)kib * 1024;
}

static long long summary(const char *key)
{
	return kernel_has_storage ? number_in(DEBUGFS "summary", key) : 0;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("writing %s", path);
	close(fd);
}

/* What blocks were taken for, between two calls; the second says so. */
static long long blocks_ok, blocks_migrated;

static void blocks_begin(void)
{
	blocks_ok = summary("reserve_ok ");
	blocks_migrated = summary("reserve_migrated ");
}

static void blocks_tell(const char *name, unsigned long pages)
{
	if (kernel_has_storage)
		printf("# %s %lu pages took %lld blocks, %lld of which had to be emptied\n", name,
		       pages, summary("reserve_ok ") - blocks_ok,
		       summary("reserve_migrated ") - blocks_migrated);
}

/*
 * Memory
 */

static char *map_at(char *where, size_t size, int prot, int advice)
{
	char *p = mmap(where, size, PROT_READ | PROT_WRITE | prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			       (where ? MAP_FIXED_NOREPLACE : 0),
		       -1, 0);

	if (p == MAP_FAILED)
		die("mmap of %zu bytes", size);
	if (madvise(p, size, advice))
		die("madvise");
	return p;
}

static char *map(size_t size, int prot)
{
	return map_at(BASE, size, prot, MADV_NOHUGEPAGE);
}

static void unmap(char *p, size_t size)
{
	if (munmap(p, size))
		die("munmap");
}

static void populate(char *p, size_t size)
{
	if (madvise(p, size, MADV_POPULATE_WRITE))
		die("populating %zu bytes", size);
}

static void touch(char *p, unsigned long pages, unsigned long step)
{
	volatile char *c = p;

	for (unsigned long i = 0; i < pages; i += step)
		c[i * PAGE] = 1;
}

static void look(char *p, unsigned long pages)
{
	volatile char *c = p;

	for (unsigned long i = 0; i < pages; i++)
		(void)c[i * PAGE];
}

/* A tag that is not 0, on the first granule of each page. */
static void set_tags(char *p, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		asm volatile(".arch armv8.5-a+memtag\n\tstg %0, [%1]"
			     : : "r" ((uintptr_t)(p + i * PAGE) | 5UL << 56), "r" (p + i * PAGE)
			     : "memory");
}

/*
 * Rows
 */

static void fault(struct figure *f, struct figure *u, int prot)
{
	char *p = map(PAGES * PAGE, prot);
	uint64_t t;

	blocks_begin();
	t = measure_begin(f);
	touch(p, PAGES, 1);
	measure_end(f, t, PAGES);
	if (f->n == REPEATS && prot)
		blocks_tell(f->name, PAGES);

	t = measure_begin(u);
	unmap(p, PAGES * PAGE);
	measure_end(u, t, PAGES);
}

static void row_plain(void)
{
	struct figure f = { .name = "plain-fault" }, u = { .name = "plain-unmap" };

	for (int i = 0; i < REPEATS; i++)
		fault(&f, &u, 0);
	print_figure(&f);
	print_figure(&u);
}

/*
 * Faults of all processors at once, each in a process of its own: what they get in each
 * other's way, spinning for a lock included, is in the sum of their instructions.
 */

/* Waits, and returns true if told to go on; false if it is the end of the pipe. */
static bool wait_for_byte(int fd)
{
	char c;
	ssize_t n = read(fd, &c, 1);

	if (n < 0)
		die("read");
	return n;
}

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		die("write");
}

__attribute__((noreturn))
static void fault_on_cpu(int cpu, unsigned long pages, int prot, int go, int end, int done)
{
	cpu_set_t set;
	char *p;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity to %d", cpu);
	p = map(pages * PAGE, prot);
	tell(done);
	if (!wait_for_byte(go))
		exit(1);
	touch(p, pages, 1);
	tell(done);
	/* Its memory is freed when all have been measured. */
	wait_for_byte(end);
	exit(0);
}

static void fault_on_cpus(struct figure *f, int cpus, int prot)
{
	int go[2], end[2], done[2], status;
	uint64_t t;

	if (pipe(go) || pipe(end) || pipe(done))
		die("pipe");
	for (int i = 0; i < cpus; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			close(go[1]);
			close(end[1]);
			fault_on_cpu(i, PAGES / cpus, prot, go[0], end[0], done[1]);
		}
	}
	close(done[1]);
	for (int i = 0; i < cpus; i++)
		if (!wait_for_byte(done[0]))
			exit(1);
	t = measure_begin(f);
	for (int i = 0; i < cpus; i++)
		tell(go[1]);
	for (int i = 0; i < cpus; i++)
		if (!wait_for_byte(done[0]))
			exit(1);
	measure_end(f, t, PAGES / cpus * cpus);
	close(go[0]);
	close(go[1]);
	close(end[0]);
	close(end[1]);
	close(done[0]);
	for (int i = 0; i < cpus; i++)
		if (wait(&status) < 0 || status)
			die("a process ended with %d", status);
}

/* The number of processors is part of the name: 2, 4, 8. */
static void row_cpus(void)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char plain[32], mte[32];
	struct figure f = { .name = plain }, m = { .name = mte };

	if (cpus < 2)
		return;
	snprintf(plain, sizeof(plain), "plain-fault-%d-cpus", cpus);
	snprintf(mte, sizeof(mte), "mte-fault-%d-cpus", cpus);
	for (int i = 0; i < REPEATS; i++) {
		fault_on_cpus(&f, cpus, 0);
		fault_on_cpus(&m, cpus, PROT_MTE);
	}
	print_figure(&f);
	print_figure(&m);
}

static void row_mte(void)
{
	struct figure f = { .name = "mte-fault" }, u = { .name = "mte-unmap" };

	for (int i = 0; i < REPEATS; i++)
		fault(&f, &u, PROT_MTE);
	print_figure(&f);
	print_figure(&u);
}

/*
 * Put data into tag storage: the kernel does so when about half of what is free is
 * there. So most of memory is taken, then twice as much as there is tag storage is
 * filled with data that stays, and the rest is given back. On a kernel that does not
 * use tag storage the same is done, for the same state of memory else.
 */
struct filling {
	char *hog, *data;
	size_t hog_size, data_size;
};

/* Pages that CPUs keep for themselves are free, and not counted as such. */
static size_t kept_by_cpus(void)
{
	char line[256];
	size_t n = 0;
	unsigned int count;
	FILE *f = fopen("/proc/zoneinfo", "re");

	if (!f)
		die("/proc/zoneinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %u", &count) == 1)
			n += count;
	fclose(f);
	return n * PAGE;
}

/* Memory that is free and may be used up: more, and the kernel would reclaim. */
static size_t spare(void)
{
	size_t free = meminfo("MemFree:"), all = free + kept_by_cpus();

	return free > 7 * MIB && all > 8 * MIB ? all - 8 * MIB : 0;
}

static size_t storage(void)
{
	return meminfo("MemTotal:") / 32;
}

/* As few and as large free areas as can be. */
static void settle(void)
{
	write_file("/proc/sys/vm/compact_memory", "1");
	write_file("/proc/sys/vm/stat_refresh", "1");
}

static struct filling fill_begin(void)
{
	size_t total = meminfo("MemTotal:"), keep = 2 * storage() + 4 * MIB;
	struct filling f = { NULL };

	settle();
	f.hog_size = total & ~(HUGE_PAGE - 1);
	f.hog = map_at(NULL, f.hog_size, 0, MADV_HUGEPAGE);
	for (size_t done = 0; done < f.hog_size && spare() > keep; done += HUGE_PAGE)
		populate(f.hog + done, HUGE_PAGE);
	return f;
}

static void fill_with_data(struct filling *f)
{
	size_t step = MIB / 4;

	f->data_size = 2 * storage() + 4 * MIB;
	f->data = map_at(NULL, f->data_size, 0, MADV_NOHUGEPAGE);
	for (size_t done = 0; done < f->data_size && spare(); done += step)
		populate(f->data + done, step);
}

static void fill_with_cache(void)
{
	static char buf[64 << 10];
	int fd = open(big_file, O_RDONLY | O_CLOEXEC);
	size_t done = 0, size = 2 * storage() + 4 * MIB;
	ssize_t n;

	if (fd < 0)
		die("%s", big_file);
	for (; done < size && spare(); done += n) {
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			die("reading %s at %zu", big_file, done);
	}
	close(fd);
}

static void fill_end(struct filling *f, struct figure *figure)
{
	static unsigned long least;
	unsigned long share;

	unmap(f->hog, f->hog_size);
	settle();
	if (!kernel_has_storage)
		return;
	share = 100 - 100 * meminfo("CmaFree:") / meminfo("CmaTotal:");
	if (figure->n < 2 || share < least)
		least = share;
	if (figure->n == REPEATS - 1)
		printf("# %s at least %lu %% of tag storage held data\n", figure->name, least);
}

/* Others have to be found for what is in the way of tags, each time anew. */
static void row_mte_anon(void)
{
	struct figure f = { .name = "mte-fault-anon" }, u = { .name = "mte-unmap-anon" };

	for (int i = 0; i < REPEATS; i++) {
		struct filling fill = fill_begin();

		fill_with_data(&fill);
		fill_end(&fill, &f);
		fault(&f, &u, PROT_MTE);
		unmap(fill.data, fill.data_size);
	}
	print_figure(&f);
}

static void row_mte_cache(void)
{
	struct figure f = { .name = "mte-fault-cache" }, u = { .name = "mte-unmap-cache" };

	if (!big_file)
		return;
	for (int i = 0; i < REPEATS; i++) {
		struct filling fill;

		write_file("/proc/sys/vm/drop_caches", "1");
		fill = fill_begin();
		fill_with_cache();
		fill_end(&fill, &f);
		fault(&f, &u, PROT_MTE);
	}
	write_file("/proc/sys/vm/drop_caches", "1");
	print_figure(&f);
}

/*
 * Page cache that is reclaimed, and read again. With policy cleancache it is copied to
 * tag storage, and back.
 */
#define FILE_PAGES 2048UL

/* The beginning of the file, read, and mapped at BASE. */
static char *map_file(int fd, size_t size)
{
	char *p = mmap(BASE, size, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

	if (fd < 0 || p == MAP_FAILED)
		die("%s", big_file);
	look(p, size / PAGE);
	return p;
}

static void reclaim(char *p, size_t size)
{
	if (madvise(p, size, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
}

static void file_reclaim_reread(struct figure *out, struct figure *in)
{
	static char buf[64 << 10];
	int fd = open(big_file, O_RDONLY | O_CLOEXEC);
	size_t size = FILE_PAGES * PAGE;
	char *p = map_file(fd, size);
	long long copies = number_in("/proc/vmstat", "cleancache_store ");
	uint64_t t;

	t = measure_begin(out);
	reclaim(p, size);
	measure_end(out, t, FILE_PAGES);
	unmap(p, size);
	if (out->n == REPEATS)
		printf("# %s %lld of %lu pages were copied\n", out->name,
		       number_in("/proc/vmstat", "cleancache_store ") - copies, FILE_PAGES);
	t = measure_begin(in);
	for (size_t done = 0; done < size; done += sizeof(buf))
		if (read(fd, buf, sizeof(buf)) != sizeof(buf))
			die("reading %s at %zu", big_file, done);
	measure_end(in, t, FILE_PAGES);
	close(fd);
}

static void row_file(void)
{
	struct figure out = { .name = "file-reclaim" }, in = { .name = "file-reread" };

	if (!big_file)
		return;
	for (int i = 0; i < REPEATS; i++)
		file_reclaim_reread(&out, &in);
	write_file("/proc/sys/vm/drop_caches", "1");
	print_figure(&out);
	print_figure(&in);
}

/* Reclaimed page cache is copied to tag storage, with policy cleancache, before it is needed. */
static void row_mte_copies(void)
{
	struct figure f = { .name = "mte-fault-copies" }, u = { .name = "mte-unmap-copies" };
	size_t size = 2 * storage();

	if (!big_file)
		return;
	for (int i = 0; i < REPEATS; i++) {
		int fd = open(big_file, O_RDONLY | O_CLOEXEC);
		long long taken;
		char *p;

		write_file("/proc/sys/vm/drop_caches", "1");
		p = map_file(fd, size);
		reclaim(p, size);
		unmap(p, size);
		close(fd);
		taken = number_in("/proc/vmstat", "cleancache_recall ");
		fault(&f, &u, PROT_MTE);
		if (i == REPEATS - 1)
			printf("# %s %lld copies were in the way of %lu pages\n", f.name,
			       number_in("/proc/vmstat", "cleancache_recall ") - taken, PAGES);
		/* So long the storage stays empty, else it would not be in the next round. */
		sleep(2);
	}
	write_file("/proc/sys/vm/drop_caches", "1");
	print_figure(&f);
}

/*
 * What those pay whose untagged data lies in tag storage: shared memory, mapped twice, as
 * it is where others use it, too. Without tag storage it lies elsewhere.
 */
static bool in_tag_storage(const char *p)
{
	static unsigned long long base, size;
	uint64_t entry;
	int fd;

	if (!size) {
		FILE *f = fopen(DEBUGFS "regions", "re");

		if (!f || fscanf(f, "%*[^\n] %*u %lli %lli", (long long *)&base,
				 (long long *)&size) != 2)
			die(DEBUGFS "regions");
		fclose(f);
	}
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) != 8)
		die("/proc/self/pagemap");
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * PAGE - base < size;
}

#define LENT_PAGES 1024UL

static unsigned long find_lent(char *shared, char **page)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < PAGES && n < LENT_PAGES; i++)
		if (!kernel_has_storage || in_tag_storage(shared + i * PAGE))
			page[n++] = shared + i * PAGE;
	return n;
}

static void lent_futex(char *p)
{
	if (syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		die("FUTEX_WAKE");
}

static void lent_process_vm(char *p)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { p, 1 };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1)
		die("process_vm_readv");
}

static int direct_fd;

static void lent_direct(char *p)
{
	if (pread(direct_fd, p, PAGE, 0) != (ssize_t)PAGE)
		die("reading " SWAP_DEVICE);
}

static void row_lent(void)
{
	static const struct {
		const char *name;
		void (*use)(char *p);
	} uses[] = {
		{ "lent-futex-wake", lent_futex },
		{ "lent-process-vm", lent_process_vm },
		{ "lent-direct-read", lent_direct },
	};
	static char *page[LENT_PAGES];
	struct filling fill = fill_begin();
	int fd = memfd_create("lent", MFD_CLOEXEC);
	char *shared, *again;
	unsigned long n;

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		die("memfd");
	shared = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	again = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (shared == MAP_FAILED || again == MAP_FAILED)
		die("mmap of a memfd");
	touch(shared, PAGES, 1);
	look(again, PAGES);
	unmap(fill.hog, fill.hog_size);
	settle();
	n = find_lent(shared, page);
	if (!n)
		die("nothing lies in tag storage");
	direct_fd = open(SWAP_DEVICE, O_RDONLY | O_DIRECT | O_CLOEXEC);
	for (unsigned int k = 0; k < sizeof(uses) / sizeof(uses[0]); k++) {
		struct figure f = { .name = uses[k].name };

		if (uses[k].use == lent_direct && direct_fd < 0)
			continue;
		for (int i = 0; i < REPEATS; i++) {
			uint64_t t = measure_begin(&f);

			for (unsigned long j = 0; j < n; j++)
				uses[k].use(page[j]);
			measure_end(&f, t, n);
		}
		if (kernel_has_storage)
			printf("# %s %lu of %lu pages lie in tag storage at the end\n", f.name,
			       find_lent(shared, page), n);
		print_figure(&f);
	}
	if (direct_fd >= 0)
		close(direct_fd);
	unmap(again, PAGES * PAGE);
	unmap(shared, PAGES * PAGE);
	close(fd);
}

/* Of how many pages one is tagged and touched: 1, or as many as a block serves. */
static void mprotect_touch(struct figure *m, struct figure *f, unsigned long step)
{
	char *p = map(PAGES * PAGE, 0);
	uint64_t t;

	touch(p, PAGES, 1);
	t = measure_begin(m);
	if (mprotect(p, PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_MTE))
		die("mprotect");
	measure_end(m, t, PAGES);
	blocks_begin();
	t = measure_begin(f);
	touch(p, PAGES, step);
	measure_end(f, t, PAGES / step);
	if (f->n == REPEATS)
		blocks_tell(f->name, PAGES / step);
	unmap(p, PAGES * PAGE);
}

static void row_mprotect(void)
{
	struct figure m = { .name = "mprotect" }, f = { .name = "mprotect-touch" };

	for (int i = 0; i < REPEATS; i++)
		mprotect_touch(&m, &f, 1);
	print_figure(&m);
	print_figure(&f);
}

static void row_mprotect_sparse(void)
{
	struct figure m = { .name = "mprotect" }, f = { .name = "mprotect-touch-sparse" };

	for (int i = 0; i < REPEATS; i++)
		mprotect_touch(&m, &f, 32);
	print_figure(&f);
}

static void fork_cow(struct figure *f, struct figure *c, int prot)
{
	char *p = map(PAGES * PAGE, prot), byte;
	int up[2], down[2], status;
	uint64_t t;
	pid_t pid;

	touch(p, PAGES, 1);
	if (pipe2(up, O_CLOEXEC) || pipe2(down, O_CLOEXEC))
		die("pipe");
	t = measure_begin(f);
	pid = fork();
	if (!pid) {
		close(down[1]);
		_exit(write(up[1], "x", 1) != 1 || read(down[0], &byte, 1) != 0);
	}
	measure_end(f, t, PAGES);
	if (pid < 0)
		die("fork");
	close(down[0]);
	/* From here on it sleeps. */
	if (read(up[0], &byte, 1) != 1)
		die("the forked process said nothing");
	usleep(1000);

	t = measure_begin(c);
	touch(p, PAGES, 1);
	measure_end(c, t, PAGES);
	close(down[1]);
	if (waitpid(pid, &status, 0) != pid || status)
		die("the forked process ended with status 0x%x", status);
	close(up[0]);
	close(up[1]);
	unmap(p, PAGES * PAGE);
}

static void row_fork_plain(void)
{
	struct figure f = { .name = "plain-fork" }, c = { .name = "plain-cow" };

	for (int i = 0; i < REPEATS; i++)
		fork_cow(&f, &c, 0);
	print_figure(&f);
	print_figure(&c);
}

static void row_fork_mte(void)
{
	struct figure f = { .name = "mte-fork" }, c = { .name = "mte-cow" };

	for (int i = 0; i < REPEATS; i++)
		fork_cow(&f, &c, PROT_MTE);
	print_figure(&f);
	print_figure(&c);
}

static unsigned long swapped(const char *p, unsigned long pages)
{
	static uint64_t entry[SWAP_PAGES];
	unsigned long n = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, entry, pages * 8, (uintptr_t)p / PAGE * 8) != (ssize_t)(pages * 8))
		die("/proc/self/pagemap");
	close(fd);
	for (unsigned long i = 0; i < pages; i++)
		n += entry[i] >> 62 & 1;
	return n;
}

static void swap_out_in(struct figure *o, struct figure *in, int prot)
{
	char *p = map(SWAP_PAGES * PAGE, prot);
	unsigned long gone;
	uint64_t t;

	for (unsigned long i = 0; i < SWAP_PAGES; i++)
		memset(p + i * PAGE, (int)i | 1, PAGE);
	if (prot)
		set_tags(p, SWAP_PAGES);
	t = measure_begin(o);
	if (madvise(p, SWAP_PAGES * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
	measure_end(o, t, SWAP_PAGES);
	gone = swapped(p, SWAP_PAGES);
	if (gone < SWAP_PAGES - SWAP_PAGES / 16)
		die("only %lu of %lu pages were swapped out", gone, SWAP_PAGES);
	blocks_begin();
	t = measure_begin(in);
	look(p, SWAP_PAGES);
	measure_end(in, t, gone);
	if (in->n == REPEATS && prot)
		blocks_tell(in->name, gone);
	unmap(p, SWAP_PAGES * PAGE);
}

static void row_swap(const char *out, const char *in, int prot)
{
	struct figure o = { .name = out }, i = { .name = in };

	if (swapon(SWAP_DEVICE, 0))
		die("swapon " SWAP_DEVICE " (scripts/vm --swap 256M)");
	for (int n = 0; n < REPEATS; n++)
		swap_out_in(&o, &i, prot);
	if (swapoff(SWAP_DEVICE))
		die("swapoff " SWAP_DEVICE);
	print_figure(&o);
	print_figure(&i);
}

static void row_swap_plain(void)
{
	row_swap("plain-swap-out", "plain-swap-in", 0);
}

static void row_swap_mte(void)
{
	row_swap("mte-swap-out", "mte-swap-in", PROT_MTE);
}

static void huge(const char *name, int prot)
{
	struct figure f = { .name = name };
	long long anon_huge = 0;

	for (int i = 0; i < REPEATS; i++) {
		char *p = map_at(BASE, PAGES * PAGE, prot, MADV_HUGEPAGE);
		uint64_t t = measure_begin(&f);

		touch(p, PAGES, 1);
		measure_end(&f, t, PAGES);
		anon_huge = number_in("/proc/self/smaps_rollup", "AnonHugePages:");
		unmap(p, PAGES * PAGE);
	}
	printf("# %s %lld of %lu MiB were huge pages\n", name, anon_huge / 1024,
	       PAGES * PAGE / MIB);
	print_figure(&f);
}

static void row_thp_plain(void)
{
	huge("plain-thp-fault", 0);
}

static void row_thp_mte(void)
{
	huge("mte-thp-fault", PROT_MTE);
}

/*
 * The kernel that scripts/bench builds with kernel.patch reserves free blocks in both
 * ways by itself, and prints figures in the form of ours.
 */
static void row_reserve(void)
{
	char line[256];
	FILE *f = fopen("/sys/kernel/debug/mte_tag_storage_bench", "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		fputs(line, stdout);
	fclose(f);
}

/*
 * What the kernel allocates for itself, and tags if it is one with hardware tag-based
 * KASAN: slab objects, a process, pages. The first figure is how much it took to come
 * this far, in thousands.
 */
#define KERNEL_ROUNDS 512
#define PIPE_PAGES 16UL

static void open_and_close_pipe(void)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		die("pipe2");
	close(fd[0]);
	close(fd[1]);
}

static void fork_and_wait(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (!pid)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid || status)
		die("waitpid");
}

static void fill_and_drain_pipe(void)
{
	static char buffer[PIPE_PAGES * PAGE];
	static int fd[2];

	if (!fd[1] && pipe2(fd, O_CLOEXEC))
		die("pipe2");
	if (write(fd[1], buffer, sizeof(buffer)) != (ssize_t)sizeof(buffer) ||
	    read(fd[0], buffer, sizeof(buffer)) != (ssize_t)sizeof(buffer))
		die("pipe");
}

static void row_kasan(void)
{
	static const struct {
		const char *name;
		void (*once)(void);
		unsigned long units;
	} what[] = {
		{ "kasan-pipe", open_and_close_pipe, 1 },
		{ "kasan-fork", fork_and_wait, 1 },
		{ "kasan-pipe-page", fill_and_drain_pipe, PIPE_PAGES },
	};
	uint64_t count, hz;

	asm volatile("mrs %0, cntvct_el0\n\tmrs %1, cntfrq_el0" : "=r" (count), "=r" (hz));
	printf("kasan-boot %.2f 0\n", (double)count * 1e6 / hz);
	for (size_t n = 0; n < sizeof(what) / sizeof(what[0]); n++) {
		struct figure f = { .name = what[n].name };

		for (int i = 0; i < REPEATS; i++) {
			uint64_t begin = measure_begin(&f);

			for (int k = 0; k < KERNEL_ROUNDS; k++)
				what[n].once();
			measure_end(&f, begin, KERNEL_ROUNDS * what[n].units);
		}
		print_figure(&f);
	}
}

static const struct row {
	const char *name;
	void (*run)(void);
} rows[] = {
	{ "plain", row_plain },
	{ "mte", row_mte },
	{ "cpus", row_cpus },
	{ "mte-cache", row_mte_cache },
	{ "mte-anon", row_mte_anon },
	{ "file", row_file },
	{ "mte-copies", row_mte_copies },
	{ "lent", row_lent },
	{ "mprotect", row_mprotect },
	{ "mprotect-sparse", row_mprotect_sparse },
	{ "fork-plain", row_fork_plain },
	{ "fork-mte", row_fork_mte },
	{ "swap-plain", row_swap_plain },
	{ "swap-mte", row_swap_mte },
	{ "thp-plain", row_thp_plain },
	{ "thp-mte", row_thp_mte },
	{ "reserve", row_reserve },
	{ "kasan", row_kasan },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *find(const char *name)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	fprintf(stderr, "bench: no row '%s'; bench --list tells them\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (size_t n = 0; n < NR_ROWS; n++)
			puts(rows[n].name);
		return 0;
	}
	for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--file"))
			big_file = argv[i + 1];
		else if (!strcmp(argv[i], "--profile"))
			profiled = argv[i + 1];
		else
			break;
	}
	for (int n = i; n < argc; n++)
		find(argv[n]);
	kernel_has_storage = number_in(DEBUGFS "summary", "blocks ") > 0 &&
			     number_in(DEBUGFS "summary", "policy cma") >= 0;
	if (!(getauxval(AT_HWCAP2) & 1UL << 18)) {
		fprintf(stderr, "bench: no MTE here\n");
		return 1;
	}
	/* Tags may be set; nobody checks them. */
	if (prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0))
		die("PR_SET_TAGGED_ADDR_CTRL");
	/* Off by itself where there is little memory. */
	write_file("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	/* Which huge pages raise: all of memory is available. */
	write_file("/proc/sys/vm/min_free_kbytes", "1024");
	write_file("/proc/sys/vm/watermark_boost_factor", "0");
	/* Only for the rows about it; EINVAL: it is not on. */
	if (swapoff(SWAP_DEVICE) && errno != EINVAL && errno != ENOENT)
		die("swapoff " SWAP_DEVICE);
	if (i == argc)
		for (size_t n = 0; n < NR_ROWS; n++)
			rows[n].run();
	for (; i < argc; i++)
		find(argv[i])->run();
	return 0;
}
