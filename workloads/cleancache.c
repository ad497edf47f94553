// SPDX-License-Identifier: GPL-2.0-only
/* workloads/cleancache.c: tag storage that holds copies of page cache. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/disk.h"
#include "scenario/memory.h"
#include "scenario/needs.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"
#include "scenario/thread.h"
#include "vmm/content.h"

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

/* Pages of the file that lie in folios of several pages. */
static size_t pages_in_large_folios(struct run *r, struct disk_file *f)
{
	size_t len = f->n * page_size(), n = 0;
	struct page_location *where = calloc(f->n, sizeof(*where));
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, f->fd, 0);

	if (!where)
		bail(r, "out of memory");
	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %s", f->path);
	for (size_t i = 0; i < f->n; i++)
		(void)((volatile const char *)p)[i * page_size()];
	page_locations(r, 0, p, f->n, where);
	for (size_t i = 0; i < f->n; i++)
		n += where[i].present && pfn_now(r, where[i].pfn).order;
	munmap(p, len);
	free(where);
	return n;
}

/* The file is read, once from the disk and once from copies, into folios as large as there are. */
static void large_folios(struct run *r, struct disk_file *f)
{
	bool can = strcmp(disk_fs(r), "ext4") != 0;
	size_t first, again;
	uint64_t reads;

	step(r,
	     "The page cache is dropped, and the file is read from end to end: where the file system has them, into folios of several pages. Their copies are of single pages.");
	drain_lru(r);
	expect_eq_u64(r, disk_file_wrong(r, f, false), 0, "read ahead: it is what was written");
	first = pages_in_large_folios(r, f);
	fill(r, f, "read ahead");
	reads = disk_reads(r);
	expect_eq_u64(r, disk_file_wrong(r, f, false), 0,
		      "read ahead from copies: it is what was written");
	reads = disk_reads(r) - reads;
	again = pages_in_large_folios(r, f);
	measure(r, "in_large_folios", "pages", (double)first);
	measure(r, "in_large_folios_again", "pages", (double)again);
	if (!can) {
		skip_result(r, "the file system has no folios of several pages",
			    "folios of several pages are filled from copies");
		return;
	}
	expect_range(r, first, f->n / 2, UINT64_MAX, "read ahead: into folios of several pages");
	expect_range(r, again, f->n / 2, UINT64_MAX,
		     "read ahead from copies: into folios of several pages, too");
	expect_range(r, reads, 0, f->n / 10, "read ahead from copies: the disk was not asked");
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
	void (*make)(struct run *r, struct disk_file *f);
};

static void write_contents(struct run *r, struct disk_file *f, int fd, size_t step_)
{
	for (size_t i = 0; i < f->n; i += step_) {
		if (pwrite(fd, disk_file_change(f, i), page_size(), (off_t)(i * page_size())) !=
		    (ssize_t)page_size())
			bail_errno(r, "write");
	}
}

static void direct_write(struct run *r, struct disk_file *f)
{
	write_contents(r, f, f->direct, 2);
}

static void buffered_write(struct run *r, struct disk_file *f)
{
	write_contents(r, f, f->fd, 3);
}

/* The last half of each second page: the first half has to be got from somewhere. */
static void partial_write(struct run *r, struct disk_file *f)
{
	size_t half = page_size() / 2;

	for (size_t i = 0; i < f->n; i += 2) {
		const char *page = disk_file_change(f, i);

		if (pwrite(f->fd, page + half, half, (off_t)(i * page_size() + half)) !=
			    (ssize_t)half ||
		    pwrite(f->fd, page, half, (off_t)(i * page_size())) != (ssize_t)half)
			bail_errno(r, "write");
	}
}

static void mapped_write(struct run *r, struct disk_file *f)
{
	char *p = mmap(NULL, f->n * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap");
	for (size_t i = 0; i < f->n; i += 2)
		memcpy(p + i * page_size(), disk_file_change(f, i), page_size());
	munmap(p, f->n * page_size());
}

static void truncated(struct run *r, struct disk_file *f)
{
	size_t half = f->n / 2;

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

static void punched(struct run *r, struct disk_file *f)
{
	for (size_t i = 1; i < f->n; i += 4) {
		fallocated(r, f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i, 2);
		for (size_t k = i; k < i + 2 && k < f->n; k++)
			f->ids[k] = 0;
	}
}

static void zeroed(struct run *r, struct disk_file *f)
{
	fallocated(r, f, FALLOC_FL_ZERO_RANGE, 3, f->n / 2);
	memset(f->ids + 3, 0, f->n / 2 * sizeof(*f->ids));
}

static void collapsed(struct run *r, struct disk_file *f)
{
	size_t n = f->n / 4;

	fallocated(r, f, FALLOC_FL_COLLAPSE_RANGE, 0, n);
	if (ftruncate(f->fd, (off_t)(f->n * page_size())))
		bail_errno(r, "ftruncate");
	memmove(f->ids, f->ids + n, (f->n - n) * sizeof(*f->ids));
	memset(f->ids + f->n - n, 0, n * sizeof(*f->ids));
}

static void inserted(struct run *r, struct disk_file *f)
{
	size_t n = f->n / 4;

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

	step(r,
	     "A file is changed while only copies of it are in memory, in each way there is. What is read then must be new, and so must what is read after it has been reclaimed once more.");
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct disk_file *f = disk_file_new(r, "changed", n);

		fill(r, f, list[i].name);
		list[i].make(r, f);
		expect_content(r, f, list[i].name);
		disk_file_drop(r, f);
		expect_content(r, f, list[i].name);
		disk_file_free(r, f);
	}
}

/* ---- Old data is read and reclaimed while a write is under way --------------------- */

struct reader {
	struct run *r;
	struct disk_file *f;
	_Atomic bool stop;
};

/* Page after page is read, so that it may be old, and reclaimed, so that it is copied. */
static void *read_and_reclaim(void *arg)
{
	struct reader *reader = arg;
	size_t len = reader->f->n * page_size();
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, reader->f->fd, 0);

	if (p == MAP_FAILED || madvise(p, len, MADV_RANDOM))
		bail_errno(reader->r, "mmap");
	for (size_t i = 0; !reader->stop; i = (i + 1) % reader->f->n) {
		char *page = p + i * page_size();

		(void)*(volatile const char *)page;
		if (madvise(page, page_size(), MADV_PAGEOUT))
			bail_errno(reader->r, "MADV_PAGEOUT");
	}
	munmap(p, len);
	return NULL;
}

#define DIRECT_ROUNDS 30

static void written_while_read(struct run *r, size_t n)
{
	struct reader reader = { .r = r, .f = disk_file_new(r, "contended", n) };
	size_t len = n * page_size(), wrong = 0;
	uint64_t stored = vmstat_now(r, "cleancache_store");
	struct disk_file *f = reader.f;
	pthread_t thread;
	char *all;

	step(r,
	     "The whole file is written with O_DIRECT at once, again and again, while another thread reads it and has it reclaimed. Copies of old data may be made until the write ends, and none may be found afterwards.");
	all = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		bail_errno(r, "mmap");
	thread = thread_start(r, read_and_reclaim, &reader);
	for (int round = 0; round < DIRECT_ROUNDS; round++) {
		for (size_t i = 0; i < n; i++)
			memcpy(all + i * page_size(), disk_file_change(f, i), page_size());
		if (pwrite(f->direct, all, len, 0) != (ssize_t)len)
			bail_errno(r, "write");
		wrong += disk_file_wrong(r, f, false);
	}
	reader.stop = true;
	if (pthread_join(thread, NULL))
		bail(r, "pthread_join");
	stored = vmstat_now(r, "cleancache_store") - stored;
	expect_range(r, stored, DIRECT_ROUNDS, UINT64_MAX,
		     "written while it is read: there were copies meanwhile");
	expect_eq_u64(r, wrong, 0, "written while it is read: what is read afterwards is new");
	expect_content(r, f, "written while it is read");
	munmap(all, len);
	disk_file_free(r, f);
}

/* ---- What only some file systems can ----------------------------------------------- */

/* Not in the headers for user space. */
struct move_extent {
	uint32_t reserved;
	uint32_t donor_fd;
	uint64_t orig_start;
	uint64_t donor_start;
	uint64_t len;
	uint64_t moved_len;
};

#define EXT4_IOC_MOVE_EXT _IOWR('f', 15, struct move_extent)

/* Pages that are others in the page cache than on the disk. */
static size_t differ(struct run *r, struct disk_file *f)
{
	char *cached = malloc(page_size());
	size_t n = 0;

	if (!cached)
		bail(r, "out of memory");
	for (size_t i = 0; i < f->n; i++) {
		off_t at = (off_t)(i * page_size());

		if (pread(f->fd, cached, page_size(), at) != (ssize_t)page_size() ||
		    pread(f->direct, f->page, page_size(), at) != (ssize_t)page_size())
			bail_errno(r, "read of %s", f->path);
		n += memcmp(cached, f->page, page_size()) != 0;
	}
	free(cached);
	return n;
}

/*
 * f and its donor exchange blocks, as many as ext4 likes, and f's data is copied to those it
 * gets. What the donor's hold then is ext4's affair, too.
 */
static void exchange(struct run *r, struct disk_file *f, struct disk_file *donor)
{
	struct move_extent move = { .donor_fd = (uint32_t)donor->fd };
	struct stat st;

	if (fstat(f->fd, &st))
		bail_errno(r, "fstat of %s", f->path);
	move.len = f->n * page_size() / (size_t)st.st_blksize;
	if (ioctl(f->fd, EXT4_IOC_MOVE_EXT, &move))
		bail_errno(r, "EXT4_IOC_MOVE_EXT");
	if (move.moved_len != move.len)
		bail(r, "%" PRIu64 " of %" PRIu64 " blocks were exchanged", move.moved_len,
		     move.len);
}

static void blocks_exchanged(struct run *r, struct disk_file *f, struct disk_file *donor)
{
	exchange(r, f, donor);
	expect_content(r, f, "blocks exchanged");
	expect_eq_u64(r, differ(r, donor), 0,
		      "blocks exchanged: what is read of the other file is what is on the disk");
	expect_range(r, disk_file_wrong(r, donor, true), 1, donor->n,
		     "blocks exchanged: the other file has lost data of its own");
}

/* ext4 leaves the donor's folios as they were: clean, and not what is in its blocks now. */
static void exchanged_while_cached(struct run *r, size_t n)
{
	struct disk_file *f = disk_file_new(r, "third", n), *donor = disk_file_new(r, "fourth", n);

	/* That reads all of it. */
	if (differ(r, donor))
		bail(r, "a new file is another in the page cache than on the disk");
	exchange(r, f, donor);
	disk_file_store(r, donor, "after its blocks were exchanged");
	expect_eq_u64(r, differ(r, donor), 0,
		      "exchanged while the other was cached: what is read is what is on the disk");
	expect_content(r, f, "exchanged while the other was cached");
	disk_file_free(r, f);
	disk_file_free(r, donor);
}

/* The first page of what is used for swap, of n pages: as mkswap writes it. */
static void write_swap_header(struct run *r, struct disk_file *f)
{
	uint32_t info[] = { 1, (uint32_t)f->n - 1 };	/* the version, and the last page */

	memset(f->page, 0, page_size());
	memcpy(f->page + 1024, info, sizeof(info));
	memcpy(f->page + page_size() - 10, "SWAPSPACE2", 10);
	if (pwrite(f->fd, f->page, page_size(), 0) != (ssize_t)page_size() || fsync(f->fd))
		bail_errno(r, "the header of %s", f->path);
}

static void used_for_swap(struct run *r, size_t n)
{
	struct disk_file *f = disk_file_new(r, "swapfile", n);
	struct area a = area_map(r, n / 4, false);

	step(r,
	     "A file is used for swap for a while: its blocks are written to, and the page cache does not see it.");
	write_swap_header(r, f);
	fill(r, f, "to be used for swap");
	/* Not as a setting: that would have the disk mounted for everybody. */
	if (swapon(f->path, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK))
		bail_errno(r, "swapon of %s", f->path);
	/* All of it is read, and reclaimed, once more. */
	disk_file_store(r, f, "used for swap");
	area_write_data(r, &a);
	/* swap_out() would drop all copies. */
	if (madvise(a.base, area_len(&a), MADV_PAGEOUT))
		bail_errno(r, "MADV_PAGEOUT");
	if (swapoff(f->path))
		bail_errno(r, "swapoff of %s", f->path);
	expect_intact(r, area_check_data(&a), "used for swap: what was swapped out comes back");
	expect_range(r, disk_file_wrong(r, f, true), a.n / 2, n,
		     "used for swap: its blocks have been written to");
	expect_eq_u64(r, differ(r, f), 0, "used for swap: what is read is what is on the disk");
	area_unmap(r, &a);
	disk_file_free(r, f);
}

/* Data in the journal may be newer than what is on the disk. */
static void data_in_journal(struct run *r, size_t n)
{
	unsigned int flags;
	struct disk_file *f;

	step(r,
	     "The data of a file goes to the journal from now on, where it may be newer than in its place on the disk: no copies.");
	disk_umount(r);
	/* With delayed allocation the file's flag means nothing. */
	disk_mount(r, "nodelalloc");
	f = disk_file_new(r, "journalled", n);
	fill(r, f, "before its data goes to the journal");
	if (ioctl(f->fd, FS_IOC_GETFLAGS, &flags))
		bail_errno(r, "FS_IOC_GETFLAGS");
	flags |= FS_JOURNAL_DATA_FL;
	if (ioctl(f->fd, FS_IOC_SETFLAGS, &flags))
		bail_errno(r, "FS_IOC_SETFLAGS");
	buffered_write(r, f);
	expect_range(r, disk_file_store(r, f, "data in the journal"), 0, f->n / 10,
		     "data in the journal: no copies are made");
	expect_content(r, f, "data in the journal");
	disk_file_free(r, f);
}

static void cloned(struct run *r, struct disk_file *f, struct disk_file *from)
{
	if (ioctl(f->fd, FICLONE, from->fd))
		bail_errno(r, "FICLONE");
	memcpy(f->ids, from->ids, f->n * sizeof(*f->ids));
	f->seed = from->seed;
	expect_content(r, f, "cloned from another file");
	buffered_write(r, from);
	expect_content(r, from, "written after it was cloned");
	disk_file_drop(r, f);
	disk_file_drop(r, from);
	expect_content(r, f, "the clone of what was written");
	expect_content(r, from, "what was written after it was cloned");
}

static void special_changes(struct run *r, size_t n)
{
	struct disk_file *f = disk_file_new(r, "one", n), *other = disk_file_new(r, "other", n);

	fill(r, f, "the one file");
	fill(r, other, "the other file");
	if (!strcmp(disk_fs(r), "ext4")) {
		step(r, "Two files exchange their blocks.");
		blocks_exchanged(r, f, other);
		exchanged_while_cached(r, n);
	} else {
		step(r,
		     "A file gets the blocks of another, shared until one of them is written to.");
		cloned(r, f, other);
	}
	disk_file_free(r, f);
	disk_file_free(r, other);
	if (!strcmp(disk_fs(r), "ext4"))
		data_in_journal(r, n);
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
	struct disk_file *f = disk_file_new(r, "first", n), *other;
	ino_t was = inode_of(r, f);
	uint64_t before, stored;

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
	other = disk_file_new(r, "read", n);
	expect_eq_u64(r, disk_file_wrong(r, other, false), 0, "read: it is what was written");
	stored = vmstat_now(r, "cleancache_store");
	drain_lru(r);
	expect_range(r, vmstat_now(r, "cleancache_store") - stored, 0, n / 10,
		     "dropped: what is dropped is not copied");
	disk_file_free(r, other);
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
	disk_mount(r, NULL);
	f->fd = open(f->path, O_RDWR | O_CLOEXEC);
	f->direct = open(f->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (f->fd < 0 || f->direct < 0)
		bail_errno(r, "%s", f->path);
	expect_content(r, f, "mounted again");
	disk_file_free(r, f);
}

/* ---- Tags take their storage back ------------------------------------------------- */

/* Pages that get tags, and how long they may take to be swapped out. */
#define TAGGED_PAGES 2048
#define OUT_MS 60000

/* A way to need storage for tags. */
struct way {
	const char *name, *measure, *text;
	bool tagged;		/* the memory is, to begin with */
	/* NULL: it can be had everywhere; NULL: nothing comes before the copies. */
	bool (*here)(char *why, size_t size);
	void (*prepare)(struct run *r, struct area *a);
	void (*get)(struct run *r, struct area *a);
};

static void protected_later(struct run *r, struct area *a)
{
	area_protect(r, a, true);
	area_write_tags(r, a);
}

static bool swap_here(char *why, size_t size)
{
	return have_swap(false, why, size);
}

static void swapped_out(struct run *r, struct area *a)
{
	uint64_t start = summary_now(r).reserved_pages;

	area_write(r, a);
	require(r, swap_out(r, a->base, a->n, OUT_MS), "the program's memory is swapped out");
	expect(r, reserved_pages_wait(r, start), "what is swapped out has no tag storage");
}

static void swapped_in(struct run *r, struct area *a)
{
	size_t bad = 0;

	for (size_t i = 0; i < a->n; i++)
		bad += probe_load(area_page(a, i)).signal != 0;
	expect_eq_u64(r, bad, 0, "swap-in: each page comes back");
}

/* A guest has it, and writes data and tags to it. */
static void given_to_guest(struct run *r, struct area *a)
{
	int kvm = vmm_device(r);
	struct vmm *v = vmm_new(r, kvm, true);
	struct content c = content_new(r);
	size_t failed = 0;

	a->data = rnd(r) | 1;
	a->tags = rnd(r) | 1;
	bail_if_error(r, vmm_memory(v, 0, VMM_MEMORY, a->base, area_len(a), false),
		      "memory of the guest");
	for (size_t i = 0; i < a->n; i += VMM_MAX_PAGES) {
		size_t n = a->n - i < VMM_MAX_PAGES ? a->n - i : VMM_MAX_PAGES;
		struct vmm_end end;

		content_want_data(&c, i, n, a->data);
		content_want_tags(&c, i, n, a->tags);
		end = vmm_set(v, VMM_MEMORY + i * page_size(), n, c.tags, c.data);
		failed += end.err || end.exception;
	}
	expect_eq_u64(r, failed, 0, "KVM: the guest gets its memory");
	content_free(&c);
	vmm_free(v);
	close(kvm);
	/* From here on the program looks itself. */
	area_protect(r, a, true);
}

static const struct way ways[] = {
	{
		.name = "new memory", .measure = "recalled_new", .tagged = true,
		.text = "A program maps tagged memory and writes to it.",
		.get = area_write,
	},
	{
		.name = "mprotect", .measure = "recalled_mprotect",
		.text = "A program makes memory that it has written tagged with mprotect().",
		.prepare = area_write_data, .get = protected_later,
	},
	{
		.name = "swap-in", .measure = "recalled_swap_in", .tagged = true,
		.text = "A program's tagged memory comes back from swap. The kernel finds new pages for it, and has to restore their tags with the page table locked.",
		.here = swap_here, .prepare = swapped_out, .get = swapped_in,
	},
	{
		.name = "KVM", .measure = "recalled_kvm",
		.text = "A program has memory without tags, and gives it to a guest with MTE, which may tag all of it. KVM finds storage when it maps a page for the guest.",
		.here = have_kvm, .prepare = area_write_data, .get = given_to_guest,
	},
};

/* All of tag storage that is free holds copies, so that no tag can be set without a recall. */
static struct disk_file *fill_all(struct run *r, const char *when)
{
	size_t n = disk_pages_for_copies(r);
	struct disk_file *f;

	if (!n)
		return NULL;
	f = disk_file_new(r, "all", n);
	fill(r, f, when);
	return f;
}

static void recall(struct run *r, const struct way *t)
{
	struct state_summary was, is;
	struct disk_file *f;
	uint64_t recalled, cached, empty, least;
	char why[256];
	struct area a;

	if (t->here && !t->here(why, sizeof(why))) {
		skip_result(r, why, "%s: copies were dropped for tags", t->name);
		return;
	}
	a = area_map(r, TAGGED_PAGES, t->tagged);
	if (t->prepare)
		t->prepare(r, &a);
	/* What had its tags there before is not filled at once. */
	sleep_ms(REFILL_MS);
	f = fill_all(r, t->name);
	if (!f) {
		skip_result(r, "the disk is too small to fill tag storage",
			    "%s: copies were dropped for tags", t->name);
		area_unmap(r, &a);
		return;
	}
	was = summary_now(r);
	cached = blocks_cached(r);
	empty = was.blocks_available > cached ? was.blocks_available - cached : 0;
	recalled = vmstat_now(r, "cleancache_recall");
	step(r, "%s", t->text);
	t->get(r, &a);
	is = summary_now(r);
	recalled = vmstat_now(r, "cleancache_recall") - recalled;
	expect_content(r, f, t->name);
	area_expect(r, &a, t->name);
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "%s: the tags are in tag storage",
		      t->name);
	/*
	 * So many blocks are needed even if all its pages lie side by side. Those that are the
	 * most likely to be needed are filled last, and not if a folio has no room there.
	 */
	least = a.n / pages_per_block(r) / 2;
	if (least)
		expect_range(r, recalled, least > empty ? least - empty : 1, UINT64_MAX,
			     "%s: copies were dropped for tags", t->name);
	else
		skip_result(r, "a block serves more pages than it tags",
			    "%s: copies were dropped for tags", t->name);
	expect_eq_u64(r, is.reserve_busy - was.reserve_busy, 0, "%s: no reservation failed",
		      t->name);
	expect_eq_u64(r, is.foa_set - was.foa_set, 0,
		      "%s: no entry was made to fault on access", t->name);
	measure(r, t->measure, "pages", (double)recalled);
	disk_file_free(r, f);
	area_unmap(r, &a);
	drain_lru(r);
	sleep_ms(REFILL_MS);
}

static void cleancache(struct run *r)
{
	size_t n = param_u64(r, "pages");
	struct disk_file *f;

	disk_mount(r, NULL);
	f = disk_file_new(r, "file", n);
	fill_and_hit(r, f);
	large_folios(r, f);
	disk_file_free(r, f);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		recall(r, &ways[i]);
	changes(r, n / 8);
	written_while_read(r, n / 8);
	special_changes(r, n / 8);
	used_for_swap(r, n / 4);
	gone(r, n / 8);
}

static const struct scenario cleancache_scenario = {
	.name = "cleancache",
	.kind = SCENARIO_WORKLOAD,
	.summary = "tag storage holds copies of page cache, and gives them up for tags",
	.explanation = "With policy cleancache tag storage that holds no tags keeps copies of clean page cache that was reclaimed. A file that is read again may come from there instead of from the disk. Nobody but the kernel can refer to such a copy, so it is dropped the moment its page is wanted for tags. The scenario fills tag storage with copies, reads them back, takes their pages for tags (of new memory, by mprotect, by swap-in and for a guest of KVM), and changes the file in all ways while only a copy is in memory: what is read must never be old. It runs on the file system of the disk, ext4 or xfs; xfs caches files in folios of several pages.",
	.groups = "cleancache",
	.params = PARAMS(P_UINT("pages", "2048", 64, 65536, "size of the file")),
	.needs = NEED_POLICY_CLEANCACHE | NEED_DISK,
	.time_limit_s = 300,
	.run = cleancache,
};
SCENARIO(cleancache_scenario);
