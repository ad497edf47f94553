// SPDX-License-Identifier: GPL-2.0-only
/* workloads/copy-errors.c: copies of page cache while the disk fails to read and to write. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/disk.h"
#include "scenario/flaky.h"
#include "scenario/memory.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"
#include "scenario/thread.h"

/* Operations between two looks at the whole file. */
#define OPERATIONS 100

struct outcome {
	size_t read, failed, wrong;
};

/*
 * A file is written to by whole pages, each with contents that are never used again. A page
 * whose write failed may hold any that was written since it was last known.
 */
#define VERSIONS 32

struct versions {
	uint64_t id[VERSIONS];
	size_t n;
};

struct errors {
	struct run *r;
	struct flaky *disk;
	struct disk_file *f;
	struct versions *page;		/* f->n */
	_Atomic bool stop;		/* for the thread */
	uint64_t unknown, differ, rounds;
};

static bool is_known(const struct errors *e, size_t i, const char *got)
{
	const struct versions *v = &e->page[i];

	for (size_t k = 0; k < v->n; k++)
		if (!pattern_check(got, page_size(), e->f->seed, v->id[k]).count)
			return true;
	return false;
}

static ssize_t read_page(struct errors *e, int fd, size_t i, char *buf)
{
	ssize_t n = pread(fd, buf, page_size(), (off_t)(i * page_size()));

	if (n != (ssize_t)page_size() && (n >= 0 || errno != EIO))
		bail_errno(e->r, "read of page %zu of %s gave %zd bytes", i, e->f->path, n);
	return n;
}

/* All of it, of which some may fail to be read. */
static struct outcome look(struct errors *e)
{
	struct outcome o = { 0, 0, 0 };

	for (size_t i = 0; i < e->f->n; i++) {
		if (read_page(e, e->f->fd, i, e->f->page) < 0)
			o.failed++;
		else if (is_known(e, i, e->f->page))
			o.read++;
		else
			o.wrong++;
	}
	return o;
}

static void known(struct errors *e)
{
	for (size_t i = 0; i < e->f->n; i++) {
		e->page[i].n = 1;
		e->page[i].id[0] = e->f->ids[i];
	}
}

static void file_new(struct errors *e, size_t n)
{
	e->f = disk_file_new(e->r, "flaky", n);
	e->page = calloc(n, sizeof(*e->page));
	if (!e->page)
		bail(e->r, "out of memory");
	known(e);
}

static void file_free(struct errors *e)
{
	disk_file_free(e->r, e->f);
	free(e->page);
}

/* ---- The disk fails to read --------------------------------------------------------- */

static void read_errors(struct errors *e, size_t n)
{
	struct run *r = e->r;
	struct outcome o;

	file_new(e, n);
	step(r,
	     "A file is read and reclaimed, so that there are copies of it. Then the disk fails whenever it is asked for any of it: what there is a copy of can be read all the same.");
	expect_range(r, disk_file_store(r, e->f, "before the disk fails"), n * 9 / 10, UINT64_MAX,
		     "the disk cannot be read: what was reclaimed was copied");
	flaky_fail(r, e->disk, e->f, 100, 0);
	o = look(e);
	expect_range(r, o.read, n * 9 / 10, n, "the disk cannot be read: copies can be");
	expect_eq_u64(r, o.wrong, 0, "the disk cannot be read: nothing wrong is read");

	step(r, "All that is cached is dropped. Nothing can be read, and nothing wrong is.");
	flaky_heal(e->disk);
	drain_lru(r);
	flaky_fail(r, e->disk, e->f, 100, 0);
	o = look(e);
	expect_eq_u64(r, o.failed, n, "dropped: all of it fails to be read");
	expect_eq_u64(r, o.wrong, 0, "dropped: nothing wrong is read");

	step(r, "Half of the requests fail, while the file is read and reclaimed again and again.");
	for (int i = 0; i < 10; i++) {
		flaky_fail(r, e->disk, e->f, 50, 0);
		o = look(e);
		e->unknown += o.wrong;
		disk_file_try_drop(r, e->f);
	}
	expect_eq_u64(r, e->unknown, 0, "half of it fails: nothing wrong is read");
	flaky_heal(e->disk);
	expect_eq_u64(r, disk_file_wrong(r, e->f, false), 0,
		      "the disk works again: the file is what was written");
	expect_range(r, flaky_failed_reads(e->disk), 3, UINT64_MAX, "requests to read have failed");
	file_free(e);
}

/* ---- The disk fails to write --------------------------------------------------------- */

static void wrote(struct errors *e, size_t i)
{
	struct versions *v = &e->page[i];

	if (v->n == VERSIONS)
		bail(e->r, "page %zu was written more often than is kept", i);
	v->id[v->n++] = e->f->ids[i];
}

static void write_page(struct errors *e, int fd, size_t i)
{
	const char *page = disk_file_change(e->f, i);
	ssize_t n = pwrite(fd, page, page_size(), (off_t)(i * page_size()));

	wrote(e, i);
	if (n != (ssize_t)page_size() && (n >= 0 || errno != EIO))
		bail_errno(e->r, "write to %s", e->f->path);
}

static void write_mapped(struct errors *e, size_t i)
{
	const char *page = disk_file_change(e->f, i);
	char *p = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, e->f->fd,
		       (off_t)(i * page_size()));

	if (p == MAP_FAILED)
		bail_errno(e->r, "mmap of %s", e->f->path);
	/* It may have to be read first, which may fail. */
	if (!madvise(p, page_size(), MADV_POPULATE_WRITE)) {
		memcpy(p, page, page_size());
		wrote(e, i);
	}
	munmap(p, page_size());
}

static void sync_file(struct errors *e)
{
	if (fsync(e->f->fd) && errno != EIO)
		bail_errno(e->r, "fsync of %s", e->f->path);
}

static void *read_and_reclaim(void *arg)
{
	struct errors *e = arg;
	size_t len = e->f->n * page_size();
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, e->f->fd, 0);

	if (p == MAP_FAILED)
		bail_errno(e->r, "mmap of %s", e->f->path);
	for (size_t i = 0; !e->stop; i = (i + 7) % e->f->n) {
		char *page = p + i * page_size();

		/* What cannot be read is left out. */
		(void)madvise(page, page_size(), MADV_POPULATE_READ);
		if (madvise(page, page_size(), MADV_PAGEOUT))
			bail_errno(e->r, "MADV_PAGEOUT");
	}
	munmap(p, len);
	return NULL;
}

/*
 * What is not in memory has to be read, and is what is on the disk: where a write failed the
 * page cache had something else, until it was reclaimed.
 */
static void compare(struct errors *e)
{
	size_t n = e->f->n, skipped = 0;
	char *cached = malloc(page_size()), *p;

	disk_file_try_drop(e->r, e->f);
	p = mmap(NULL, n * page_size(), PROT_READ, MAP_SHARED, e->f->fd, 0);
	if (p == MAP_FAILED || !cached || madvise(p, n * page_size(), MADV_RANDOM))
		bail_errno(e->r, "mmap of %s", e->f->path);
	bail_if_error(e->r, -posix_fadvise(e->f->fd, 0, 0, POSIX_FADV_RANDOM), "POSIX_FADV_RANDOM");
	for (size_t i = 0; i < n; i++) {
		if (pages_in_memory(e->r, p + i * page_size(), 1)) {
			skipped++;
			continue;
		}
		if (read_page(e, e->f->fd, i, cached) < 0 ||
		    read_page(e, e->f->direct, i, e->f->page) < 0)
			continue;
		if (memcmp(cached, e->f->page, page_size())) {
			if (!e->differ++)
				note(e->r, "page %zu is not what is on the disk", i);
		}
		e->unknown += !is_known(e, i, e->f->page);
	}
	bail_if_error(e->r, -posix_fadvise(e->f->fd, 0, 0, POSIX_FADV_NORMAL), "POSIX_FADV_NORMAL");
	if (skipped > n / 2)
		note(e->r, "%zu of %zu pages could not be reclaimed", skipped, n);
	munmap(p, n * page_size());
	free(cached);
}

static void random_changes(struct errors *e)
{
	struct run *r = e->r;

	for (int k = 0; k < OPERATIONS; k++) {
		size_t i = rnd_below(r, e->f->n);
		bool full = e->page[i].n == VERSIONS;

		switch (rnd_below(r, 8)) {
		case 0:
		case 1:
			if (!full)
				write_page(e, e->f->fd, i);
			break;
		case 2:
			if (!full)
				write_page(e, e->f->direct, i);
			break;
		case 3:
			if (!full)
				write_mapped(e, i);
			break;
		case 4:
			sync_file(e);
			break;
		default:
			if (read_page(e, e->f->fd, i, e->f->page) > 0)
				e->unknown += !is_known(e, i, e->f->page);
		}
	}
}

static void write_all(struct errors *e)
{
	for (size_t i = 0; i < e->f->n; i++) {
		if (pwrite(e->f->fd, disk_file_change(e->f, i), page_size(),
			   (off_t)(i * page_size())) != (ssize_t)page_size())
			bail_errno(e->r, "write to %s", e->f->path);
	}
	sync_file(e);
	/* The first may have told of an error before. */
	if (fsync(e->f->fd))
		bail_errno(e->r, "fsync of %s", e->f->path);
	known(e);
}

static void one_file(struct errors *e, size_t n, size_t *wrong)
{
	unsigned int reads = rnd_below(e->r, 2) ? 0 : 20;
	pthread_t thread;
	struct area a;

	file_new(e, n);
	disk_file_store(e->r, e->f, "before the disk fails");
	flaky_fail(e->r, e->disk, e->f, reads, 20 + (unsigned int)rnd_below(e->r, 81));
	e->stop = false;
	thread = thread_start(e->r, read_and_reclaim, e);
	a = area_map(e->r, 2048, true);
	random_changes(e);
	area_write(e->r, &a);
	e->stop = true;
	if (pthread_join(thread, NULL))
		bail(e->r, "pthread_join");
	/* Errors of writing go on, so that what is dirty stays it, or is lost. */
	sync_file(e);
	compare(e);
	flaky_heal(e->disk);
	sync_file(e);
	compare(e);
	write_all(e);
	disk_file_try_drop(e->r, e->f);
	*wrong += disk_file_wrong(e->r, e->f, false) + disk_file_wrong(e->r, e->f, true);
	area_unmap(e->r, &a);
	file_free(e);
	e->rounds++;
}

static void write_errors(struct errors *e, size_t n)
{
	uint64_t until = now_ns() + param_u64(e->r, "seconds") * 1000000000;
	struct run *r = e->r;
	size_t wrong = 0;

	step(r,
	     "Files are written to, and writing fails on the disk. What was to be written may be cached all the same, but once it has been reclaimed, what is read must be what is on the disk.");
	do {
		one_file(e, n, &wrong);
	} while (now_ns() < until);
	measure(r, "files", "1", (double)e->rounds);
	expect_eq_u64(r, e->differ, 0, "what was reclaimed is read as it is on the disk");
	expect_eq_u64(r, e->unknown, 0, "nothing is read that was never written there");
	expect_eq_u64(r, wrong, 0, "written again without errors, it is what was written");
	expect_range(r, flaky_failed_writes(e->disk), 3, UINT64_MAX,
		     "requests to write have failed");
}

static void copy_errors(struct run *r)
{
	struct errors e = { .r = r };
	size_t n = param_u64(r, "pages");
	uint64_t stores, hits;

	disk_refill_at_once(r);
	e.disk = flaky_mount(r);
	stores = vmstat_now(r, "cleancache_store");
	hits = vmstat_now(r, "cleancache_hit");
	read_errors(&e, n);
	write_errors(&e, n);
	measure(r, "failed_reads", "1", (double)flaky_failed_reads(e.disk));
	measure(r, "failed_writes", "1", (double)flaky_failed_writes(e.disk));
	measure(r, "stored", "pages", (double)(vmstat_now(r, "cleancache_store") - stores));
	measure(r, "hits", "pages", (double)(vmstat_now(r, "cleancache_hit") - hits));
	flaky_umount(r, e.disk);
}

static const struct scenario copy_errors_scenario = {
	.name = "copy-errors",
	.kind = SCENARIO_WORKLOAD,
	.summary = "copies of page cache while the disk fails to read and to write",
	.explanation = "When a write to the disk fails, page cache may be clean and differ from the disk all the same. A copy of it must not be kept, or what is read would change with what tags happen to need. And when reading fails, what is in memory must not be taken for what was to be read. The scenario puts a process between the file system and its disk, which fails some of the requests for the data of a file, and reads, writes and reclaims that file.",
	.groups = "cleancache",
	.params = PARAMS(P_UINT("seconds", "20", 1, 86400, "how long writing fails"),
			 P_UINT("pages", "64", 16, 4096, "size of a file")),
	.needs = NEED_POLICY_CLEANCACHE | NEED_DISK | NEED_FUSE,
	.time_limit_s = 600,
	.save_restore = SETTINGS({ REFILL_DELAY }),
	.roles = ROLES(&flaky_role),
	.run = copy_errors,
};
SCENARIO(copy_errors_scenario);
