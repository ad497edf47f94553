// SPDX-License-Identifier: GPL-2.0-only
/* workloads/cleancache.c: tag storage that holds copies of page cache. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/disk.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

static size_t blocks_cached(struct run *r)
{
	uint64_t blocks = summary_now(r).blocks;
	size_t n = 0;

	for (uint64_t b = 0; b < blocks; b++)
		n += block_now(r, b).letter == BLOCK_CACHED;
	return n;
}

static void expect_content(struct run *r, struct disk_file *f, const char *when)
{
	expect_eq_u64(r, disk_file_wrong(r, f, false), 0, "%s: what is read is what was written",
		      when);
	expect_eq_u64(r, disk_file_wrong(r, f, true), 0, "%s: so is what is on the disk", when);
}

/* All of the file is copied to tag storage, and nothing of it is in memory else. */
static void fill(struct run *r, struct disk_file *f, const char *when)
{
	/* Others are reclaimed, too, and replace or precede some. */
	expect_range(r, disk_file_store(r, f, when), f->n * 9 / 10, UINT64_MAX,
		     "%s: what was reclaimed was copied", when);
}

static void fill_and_hit(struct run *r, struct disk_file *f)
{
	uint64_t reads, hits;

	step(r,
	     "A file of %zu pages is read, and then reclaimed. Copies of its pages go to tag storage that has no tags to hold.",
	     f->n);
	fill(r, f, "at first");
	expect_range(r, blocks_cached(r), 1, UINT64_MAX, "blocks of tag storage hold copies");

	step(r, "It is read again. Nothing comes from the disk, but copies back from tag storage.");
	hits = vmstat_now(r, "cleancache_hit");
	reads = disk_reads(r);
	expect_eq_u64(r, disk_file_wrong(r, f, false), 0, "read again: it is what was written");
	reads = disk_reads(r) - reads;
	hits = vmstat_now(r, "cleancache_hit") - hits;
	expect_range(r, hits, f->n * 9 / 10, UINT64_MAX, "read again: there were copies");
	expect_range(r, reads, 0, f->n / 10, "read again: the disk was not asked for them");
	measure(r, "hits", "pages", (double)hits);
	measure(r, "disk_reads", "1", (double)reads);
}

/* ---- Changes of a file of which there are only copies ---------------------------- */

struct change {
	const char *name;
	void (*make)(struct run *r, struct disk_file *f, void *buf);
};

static void write_contents(struct run *r, struct disk_file *f, int fd, void *buf, size_t step_)
{
	for (size_t i = 0; i < f->n; i += step_) {
		disk_file_change(f, i, buf);
		if (pwrite(fd, buf, page_size(), (off_t)(i * page_size())) != (ssize_t)page_size())
			bail_errno(r, "write");
	}
}

static void direct_write(struct run *r, struct disk_file *f, void *buf)
{
	write_contents(r, f, f->direct, buf, 2);
}

static void buffered_write(struct run *r, struct disk_file *f, void *buf)
{
	write_contents(r, f, f->fd, buf, 3);
}

/* The last half of each second page: the first half has to be got from somewhere. */
static void partial_write(struct run *r, struct disk_file *f, void *buf)
{
	size_t half = page_size() / 2;

	for (size_t i = 0; i < f->n; i += 2) {
		disk_file_change(f, i, buf);
		if (pwrite(f->fd, (char *)buf + half, half, (off_t)(i * page_size() + half)) !=
			    (ssize_t)half ||
		    pwrite(f->fd, buf, half, (off_t)(i * page_size())) != (ssize_t)half)
			bail_errno(r, "write");
	}
}

static void mapped_write(struct run *r, struct disk_file *f, void *buf)
{
	char *p = mmap(NULL, f->n * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap");
	for (size_t i = 0; i < f->n; i += 2) {
		disk_file_change(f, i, buf);
		memcpy(p + i * page_size(), buf, page_size());
	}
	munmap(p, f->n * page_size());
}

static void truncated(struct run *r, struct disk_file *f, void *buf)
{
	size_t half = f->n / 2;

	(void)buf;
	if (ftruncate(f->fd, (off_t)(half * page_size())) ||
	    ftruncate(f->fd, (off_t)(f->n * page_size())))
		bail_errno(r, "ftruncate");
	for (size_t i = half; i < f->n; i++)
		f->ids[i] = 0;
}

static void fallocated(struct run *r, struct disk_file *f, int mode, size_t first, size_t n)
{
	if (fallocate(f->fd, mode, (off_t)(first * page_size()), (off_t)(n * page_size())))
		bail_errno(r, "fallocate(%d)", mode);
}

static void punched(struct run *r, struct disk_file *f, void *buf)
{
	(void)buf;
	for (size_t i = 1; i < f->n; i += 4) {
		fallocated(r, f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i, 2);
		for (size_t k = i; k < i + 2 && k < f->n; k++)
			f->ids[k] = 0;
	}
}

static void zeroed(struct run *r, struct disk_file *f, void *buf)
{
	(void)buf;
	fallocated(r, f, FALLOC_FL_ZERO_RANGE, 3, f->n / 2);
	memset(f->ids + 3, 0, f->n / 2 * sizeof(*f->ids));
}

static void collapsed(struct run *r, struct disk_file *f, void *buf)
{
	size_t n = f->n / 4;

	(void)buf;
	fallocated(r, f, FALLOC_FL_COLLAPSE_RANGE, 0, n);
	if (ftruncate(f->fd, (off_t)(f->n * page_size())))
		bail_errno(r, "ftruncate");
	memmove(f->ids, f->ids + n, (f->n - n) * sizeof(*f->ids));
	memset(f->ids + f->n - n, 0, n * sizeof(*f->ids));
}

static void inserted(struct run *r, struct disk_file *f, void *buf)
{
	size_t n = f->n / 4;

	(void)buf;
	fallocated(r, f, FALLOC_FL_INSERT_RANGE, 0, n);
	if (ftruncate(f->fd, (off_t)(f->n * page_size())))
		bail_errno(r, "ftruncate");
	memmove(f->ids + n, f->ids, (f->n - n) * sizeof(*f->ids));
	memset(f->ids, 0, n * sizeof(*f->ids));
}

static void changes(struct run *r, size_t n)
{
	static const struct change list[] = {
		{ "written with O_DIRECT", direct_write },
		{ "written", buffered_write },
		{ "written in part", partial_write },
		{ "written through a mapping", mapped_write },
		{ "truncated and extended", truncated },
		{ "holes punched", punched },
		{ "a range zeroed", zeroed },
		{ "a range collapsed", collapsed },
		{ "a range inserted", inserted },
	};
	void *buf = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buf == MAP_FAILED)
		bail_errno(r, "mmap");
	step(r,
	     "A file is changed while only copies of it are in memory, in each way there is. What is read then must be new, and so must what is read after it has been reclaimed once more.");
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct disk_file *f = disk_file_new(r, "changed", n);

		fill(r, f, list[i].name);
		list[i].make(r, f, buf);
		expect_content(r, f, list[i].name);
		disk_file_drop(r, f);
		expect_content(r, f, list[i].name);
		disk_file_free(r, f);
	}
	munmap(buf, page_size());
}

/* ---- What becomes of copies when the file goes ------------------------------------ */

static ino_t inode_of(struct run *r, struct disk_file *f)
{
	struct stat st;

	if (fstat(f->fd, &st))
		bail_errno(r, "fstat");
	return st.st_ino;
}

static void gone(struct run *r, size_t n)
{
	struct disk_file *f = disk_file_new(r, "first", n);
	ino_t was = inode_of(r, f);
	uint64_t before;

	step(r,
	     "The file is removed, and another takes its inode. Copies of the first are gone with it.");
	fill(r, f, "to be removed");
	before = vmstat_now(r, "cleancache_invalidate");
	disk_file_free(r, f);
	expect_range(r, vmstat_now(r, "cleancache_invalidate") - before, n * 9 / 10, UINT64_MAX,
		     "removed: its copies are dropped");
	f = disk_file_new(r, "second", n);
	if (inode_of(r, f) != was)
		skip_result(r, "the file system took another inode", "the same inode");
	expect_content(r, f, "a new file");

	step(r, "The page cache is dropped. It takes no copies then, and drops those there are.");
	fill(r, f, "to be dropped");
	drain_lru(r);
	if (kernel_write(r, "/proc/sys/vm/drop_caches", "1"))
		bail_errno(r, "drop_caches");
	expect_eq_u64(r, blocks_cached(r), 0, "dropped: no block of tag storage holds a copy");
	before = vmstat_now(r, "cleancache_hit");
	expect_content(r, f, "dropped");
	expect_range(r, vmstat_now(r, "cleancache_hit") - before, 0, n / 10,
		     "dropped: there were no copies to read");

	step(r, "The file system is unmounted and mounted again.");
	fill(r, f, "to be unmounted");
	close(f->fd);
	close(f->direct);
	before = vmstat_now(r, "cleancache_invalidate");
	disk_umount(r);
	expect_range(r, vmstat_now(r, "cleancache_invalidate") - before, n * 9 / 10, UINT64_MAX,
		     "unmounted: its copies are dropped");
	disk_mount(r);
	f->fd = open(f->path, O_RDWR | O_CLOEXEC);
	f->direct = open(f->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (f->fd < 0 || f->direct < 0)
		bail_errno(r, "%s", f->path);
	expect_content(r, f, "mounted again");
	disk_file_free(r, f);
}

/* ---- Tags take their storage back ------------------------------------------------- */

/* Areas are tagged until so many copies had to go. */
#define MAX_AREAS 11
#define ENOUGH 16

/* Tag memory until copies had to go, and look at both. */
static void recall(struct run *r, struct disk_file *f, bool by_mprotect)
{
	const char *how = by_mprotect ? "mprotect" : "new memory";
	uint64_t blocks = summary_now(r).blocks, recalled;
	struct state_summary was, is;
	struct area a[MAX_AREAS];
	size_t n;

	fill(r, f, how);
	was = summary_now(r);
	recalled = vmstat_now(r, "cleancache_recall");
	step(r, "A program %s, all over the machine.",
	     by_mprotect ? "makes memory it has written to tagged with mprotect()" :
			   "maps tagged memory and writes to it");
	for (n = 0; n < MAX_AREAS; n++) {
		/* An area of this size needs a sixteenth of all blocks. */
		a[n] = area_map(r, blocks * 2, !by_mprotect);
		if (by_mprotect) {
			area_write_data(r, &a[n]);
			area_protect(r, &a[n], true);
			area_write_tags(r, &a[n]);
		} else {
			area_write(r, &a[n]);
		}
		if (vmstat_now(r, "cleancache_recall") - recalled >= ENOUGH)
			break;
	}
	n = n < MAX_AREAS ? n + 1 : n;
	is = summary_now(r);
	recalled = vmstat_now(r, "cleancache_recall") - recalled;
	expect_range(r, recalled, 1, UINT64_MAX, "%s: copies were dropped for tags", how);
	expect_eq_u64(r, is.reserve_busy - was.reserve_busy, 0, "%s: no reservation failed", how);
	expect_eq_u64(r, is.foa_set - was.foa_set, 0,
		      "%s: no entry was made to fault on access", how);
	area_expect(r, &a[0], how);
	expect_content(r, f, how);
	area_expect(r, &a[n - 1], how);
	measure(r, by_mprotect ? "recalled_mprotect" : "recalled_new", "pages", (double)recalled);
	while (n--)
		area_unmap(r, &a[n]);
	drain_lru(r);
	sleep_ms(REFILL_MS);
}

static void cleancache(struct run *r)
{
	size_t n = param_u64(r, "pages");
	struct disk_file *f;

	disk_mount(r);
	f = disk_file_new(r, "file", n);
	fill_and_hit(r, f);
	recall(r, f, false);
	recall(r, f, true);
	disk_file_free(r, f);
	changes(r, n / 8);
	gone(r, n / 8);
}

static const struct scenario cleancache_scenario = {
	.name = "cleancache",
	.kind = SCENARIO_WORKLOAD,
	.summary = "tag storage holds copies of page cache, and gives them up for tags",
	.explanation = "With policy cleancache tag storage that holds no tags keeps copies of clean page cache that was reclaimed. A file that is read again may come from there instead of from the disk. Nobody but the kernel can refer to such a copy, so it is dropped the moment its page is wanted for tags. The scenario fills tag storage with copies, reads them back, takes their pages for tags, and changes the file in all ways while only a copy is in memory: what is read must never be old.",
	.groups = "cleancache",
	.params = PARAMS(P_UINT("pages", "2048", 64, 65536, "size of the file")),
	.needs = NEED_POLICY_CLEANCACHE | NEED_DISK,
	.time_limit_s = 300,
	.run = cleancache,
};
SCENARIO(cleancache_scenario);
