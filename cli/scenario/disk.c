// SPDX-License-Identifier: GPL-2.0-only
/* A disk with a file system, and files whose every page is known. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "scenario/disk.h"
#include "scenario/memory.h"
#include "scenario/swap.h"
#include "scenario/thread.h"

/* What scripts/vm --disk gives its disk for a serial number: this, the file system, ... */
#define SERIAL "tagscope-"
#define SERIAL_SLOW "-slow"		/* ... and this with --disk-rate */
static const char *const file_systems[] = { "ext4", "xfs" };

static const char *fs_of_serial(const char *serial)
{
	if (strncmp(serial, SERIAL, strlen(SERIAL)))
		return NULL;
	for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++)
		if (!strncmp(serial + strlen(SERIAL), file_systems[i], strlen(file_systems[i])))
			return file_systems[i];
	return NULL;
}

/*
 * The block device with such a serial number: its name, in buf, and its file system. *slow: that
 * it has a rate; NULL: nobody wants to know.
 */
static const char *find_name(char *buf, size_t size, bool *slow)
{
	const char *found = NULL;
	glob_t g;

	if (glob("/sys/block/*/serial", 0, NULL, &g))
		return NULL;
	for (size_t i = 0; i < g.gl_pathc && !found; i++) {
		FILE *f = fopen(g.gl_pathv[i], "re");
		char serial[32] = "";

		if (!f)
			continue;
		if (fgets(serial, sizeof(serial), f))
			found = fs_of_serial(serial);
		if (slow)
			*slow = strstr(serial, SERIAL_SLOW);
		fclose(f);
		if (found && (sscanf(g.gl_pathv[i], "/sys/block/%31[^/]", serial) != 1 ||
			      snprintf(buf, size, "%s", serial) >= (int)size))
			found = NULL;
	}
	globfree(&g);
	return found;
}

bool disk_find(char *buf, size_t size)
{
	char name[32];

	return find_name(name, sizeof(name), NULL) &&
	       snprintf(buf, size, "/dev/%s", name) < (int)size;
}

const char *disk_fs(struct run *r)
{
	char name[32];
	const char *fs = find_name(name, sizeof(name), NULL);

	if (!fs)
		bail(r, "the disk is gone");
	return fs;
}

bool disk_is_slow(struct run *r)
{
	char name[32];
	bool slow;

	if (!find_name(name, sizeof(name), &slow))
		bail(r, "the disk is gone");
	return slow;
}

void disk_mount_device(struct run *r, const char *dev, const char *options)
{
	if (mkdir(DISK_DIR, 0700) && errno != EEXIST)
		bail_errno(r, "mkdir " DISK_DIR);
	if (mount(dev, DISK_DIR, disk_fs(r), MS_NOSUID | MS_NODEV, options))
		bail_errno(r, "mount of %s", dev);
}

void disk_mount(struct run *r, const char *options)
{
	char dev[64];

	if (!disk_find(dev, sizeof(dev)))
		bail(r, "the disk is gone");
	disk_mount_device(r, dev, options);
}

void disk_umount(struct run *r)
{
	if (umount(DISK_DIR))
		bail_errno(r, "umount of " DISK_DIR);
}

uint64_t disk_reads(struct run *r)
{
	char name[32], path[64];
	uint64_t reads;
	FILE *f;

	if (!find_name(name, sizeof(name), NULL))
		bail(r, "the disk is gone");
	snprintf(path, sizeof(path), "/sys/block/%s/stat", name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%" SCNu64, &reads) != 1)
		bail_errno(r, "%s", path);
	fclose(f);
	return reads;
}

uint64_t disk_free(struct run *r)
{
	struct statvfs fs;

	if (statvfs(DISK_DIR, &fs))
		bail_errno(r, "statvfs of " DISK_DIR);
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

const char *disk_file_change(struct disk_file *f, size_t i)
{
	f->ids[i] += f->n + 1;
	pattern_fill(f->page, page_size(), f->seed, f->ids[i]);
	return f->page;
}

struct disk_file *disk_file_new(struct run *r, const char *name, size_t n)
{
	struct disk_file *f = calloc(1, sizeof(*f));
	void *page;

	if (!f)
		bail(r, "out of memory");
	f->n = n;
	f->seed = rnd(r);
	f->ids = calloc(n, sizeof(*f->ids));
	if (!f->ids || posix_memalign(&page, page_size(), page_size()))
		bail(r, "out of memory");
	f->page = page;
	snprintf(f->path, sizeof(f->path), DISK_DIR "/%s", name);
	/* A run that was ended may have left it. */
	if (unlink(f->path) && errno != ENOENT)
		bail_errno(r, "unlink of %s", f->path);
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	f->direct = open(f->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (f->fd < 0 || f->direct < 0)
		bail_errno(r, "%s", f->path);
	for (size_t i = 0; i < n; i++) {
		f->ids[i] = i + 1;
		pattern_fill(f->page, page_size(), f->seed, f->ids[i]);
		if (pwrite(f->direct, f->page, page_size(), (off_t)(i * page_size())) !=
		    (ssize_t)page_size())
			bail_errno(r, "write to %s", f->path);
	}
	if (fsync(f->fd))
		bail_errno(r, "fsync of %s", f->path);
	return f;
}

void disk_file_free(struct run *r, struct disk_file *f)
{
	close(f->fd);
	close(f->direct);
	if (unlink(f->path))
		bail_errno(r, "unlink of %s", f->path);
	free(f->ids);
	free(f->page);
	free(f);
}

static bool is_zero(const uint64_t *p)
{
	for (size_t i = 0; i < page_size() / sizeof(*p); i++)
		if (p[i])
			return false;
	return true;
}

size_t disk_file_wrong(struct run *r, struct disk_file *f, bool direct)
{
	size_t wrong = 0;

	for (size_t i = 0; i < f->n; i++) {
		ssize_t got = pread(direct ? f->direct : f->fd, f->page, page_size(),
				    (off_t)(i * page_size()));

		if (got != (ssize_t)page_size())
			bail_errno(r, "read of page %zu of %s gave %zd bytes", i, f->path, got);
		if (f->ids[i] ? pattern_check(f->page, page_size(), f->seed, f->ids[i]).count != 0 :
				!is_zero((const uint64_t *)f->page)) {
			if (!wrong++)
				note(r, "the first page that is wrong is %zu of %s", i, f->path);
		}
	}
	return wrong;
}

/* 10 ms apart. */
#define RECLAIM_TRIES 500
#define FEW_TRIES 20

/* Only what is mapped is reclaimed, and an attempt that fails unmaps it. */
static void map_what_is_there(struct run *r, char *p, size_t n)
{
	unsigned char there;

	for (size_t i = 0; i < n; i++, p += page_size()) {
		if (mincore(p, page_size(), &there))
			bail_errno(r, "mincore");
		/* Where the disk may fail so may this. */
		if (there & 1)
			(void)madvise(p, page_size(), MADV_POPULATE_READ);
	}
}

/*
 * Have all of it reclaimed that can be; how many pages were. errors: reading and writing may
 * fail, and what is dirty may stay it; else it is clean, and has all been read, before.
 */
static size_t reclaim_all(struct run *r, struct disk_file *f, bool errors)
{
	size_t len = f->n * page_size(), left = f->n;
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, f->fd, 0);
	cpu_set_t was;

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %s", f->path);
	/* A page that waits in the batch of another CPU to be put on the LRU is left alone. */
	if (sched_getaffinity(0, sizeof(was), &was))
		bail_errno(r, "sched_getaffinity");
	thread_run_on(r, (unsigned int)sched_getcpu());

	if (!errors && fsync(f->fd))
		bail_errno(r, "fsync of %s", f->path);
	for (size_t i = 0; i < f->n; i++)
		if (madvise(p + i * page_size(), page_size(), MADV_POPULATE_READ) && !errors)
			bail_errno(r, "reading page %zu of %s", i, f->path);
	/* Others may have a page for a moment, or in a batch, and need a CPU to let it go. */
	for (int tries = 0; left && tries < (errors ? FEW_TRIES : RECLAIM_TRIES); tries++) {
		if (tries % 50 == 1 && kernel_write(r, "/proc/sys/vm/compact_memory", "1"))
			bail_errno(r, "compact_memory");
		if (tries) {
			sleep_ms(10);
			map_what_is_there(r, p, f->n);
		}
		if (madvise(p, len, MADV_PAGEOUT))
			bail_errno(r, "MADV_PAGEOUT");
		left = pages_in_memory(r, p, f->n);
	}
	munmap(p, len);
	if (sched_setaffinity(0, sizeof(was), &was))
		bail_errno(r, "sched_setaffinity");
	return f->n - left;
}

size_t disk_pages_for_copies(struct run *r)
{
	struct state_summary s = summary_now(r);
	uint64_t n = s.blocks_available * s.block_pages;

	return n <= disk_free(r) / 4 * 3 / page_size() ? n : 0;
}

void disk_refill_at_once(struct run *r)
{
	if (kernel_write(r, REFILL_DELAY, "0"))
		bail_errno(r, REFILL_DELAY);
}

uint64_t disk_file_store(struct run *r, struct disk_file *f, const char *when)
{
	uint64_t stored = vmstat_now(r, "cleancache_store");

	if (reclaim_all(r, f, false) < f->n)
		bail(r, "the file could not be reclaimed, %s", when);
	return vmstat_now(r, "cleancache_store") - stored;
}

void disk_file_drop(struct run *r, struct disk_file *f)
{
	reclaim_all(r, f, false);
}

void disk_file_try_drop(struct run *r, struct disk_file *f)
{
	reclaim_all(r, f, true);
}
