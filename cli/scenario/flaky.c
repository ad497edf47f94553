// SPDX-License-Identifier: GPL-2.0-only
/* A disk with I/O errors: see flaky.h. The protocol is in linux/fuse.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario/flaky.h"
#include "scenario/fuse.h"

#define MOUNT_POINT "/mnt/flaky"
#define FILE_PATH MOUNT_POINT "/disk"
#define FILE_NODE UINT64_C(2)
/* Bytes of a request; the kernel's default. */
#define MAX_REQUEST ((size_t)128 << 10)
#define MAX_EXTENTS 256

/* In memory shared with the server. */
struct flaky {
	unsigned int reads, writes;	/* percent that fail */
	uint64_t failed_reads, failed_writes;
	unsigned int nr;
	struct {
		uint64_t at, len;
	} where[MAX_EXTENTS];
	uint64_t size;			/* of the disk */
	int dev, disk;			/* the server's */
	int loop;
	struct child *server;
};

/* ---- The server ---------------------------------------------------------------- */

static struct fuse_attr attr_of(const struct flaky *f, uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .blksize = (uint32_t)page_size() };

	a.mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700;
	a.size = node == FILE_NODE ? f->size : 0;
	return a;
}

static bool fails(struct run *r, const struct flaky *f, unsigned int percent, uint64_t at,
		  uint64_t len)
{
	for (unsigned int i = 0; i < f->nr && percent; i++)
		if (at < f->where[i].at + f->where[i].len && f->where[i].at < at + len)
			return rnd_below(r, 100) < percent;
	return false;
}

/* arg: of a read; data: for it. */
static void answer_read(struct run *r, struct flaky *f, uint64_t unique,
			const struct fuse_read_in *arg, char *data)
{
	ssize_t n;

	if (fails(r, f, __atomic_load_n(&f->reads, __ATOMIC_ACQUIRE), arg->offset, arg->size)) {
		__atomic_add_fetch(&f->failed_reads, 1, __ATOMIC_RELAXED);
		fuse_reply(r, f->dev, unique, EIO, NULL, 0);
		return;
	}
	n = pread(f->disk, data, arg->size, (off_t)arg->offset);
	fuse_reply(r, f->dev, unique, n < 0 ? errno : 0, data, n < 0 ? 0 : (size_t)n);
}

static void answer_write(struct run *r, struct flaky *f, uint64_t unique,
			 const struct fuse_write_in *arg, const char *data)
{
	struct fuse_write_out out = { .size = arg->size };

	if (fails(r, f, __atomic_load_n(&f->writes, __ATOMIC_ACQUIRE), arg->offset, arg->size)) {
		__atomic_add_fetch(&f->failed_writes, 1, __ATOMIC_RELAXED);
		fuse_reply(r, f->dev, unique, EIO, NULL, 0);
		return;
	}
	if (pwrite(f->disk, data, arg->size, (off_t)arg->offset) != (ssize_t)arg->size)
		bail_errno(r, "write of %u bytes to the disk", arg->size);
	fuse_reply(r, f->dev, unique, 0, &out, sizeof(out));
}

static void serve_one(struct run *r, struct flaky *f, const char *request, char *data)
{
	const char *arg = request + sizeof(struct fuse_in_header);
	struct fuse_in_header in;

	memcpy(&in, request, sizeof(in));
	switch (in.opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = {
			.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
			.flags = FUSE_BIG_WRITES, .max_write = MAX_REQUEST, .time_gran = 1,
		};

		fuse_reply(r, f->dev, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = {
			.nodeid = FILE_NODE, .entry_valid = 3600, .attr_valid = 3600,
			.attr = attr_of(f, FILE_NODE),
		};

		fuse_reply(r, f->dev, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(f, in.nodeid) };

		fuse_reply(r, f->dev, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		/* Nothing of the disk is to be cached here. */
		struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_DIRECT_IO };

		fuse_reply(r, f->dev, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ:
		answer_read(r, f, in.unique, (const void *)arg, data);
		break;
	case FUSE_WRITE:
		answer_write(r, f, in.unique, (const void *)arg,
			     arg + sizeof(struct fuse_write_in));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_FSYNC:
	case FUSE_RELEASE:
		fuse_reply(r, f->dev, in.unique, 0, NULL, 0);
		break;
	default:
		fuse_reply(r, f->dev, in.unique, ENOSYS, NULL, 0);
	}
}

static void *pages(struct run *r, size_t size)
{
	void *p;

	if (posix_memalign(&p, page_size(), size))
		bail(r, "out of memory");
	return p;
}

static void serve(struct run *r, void *arg)
{
	struct flaky *f = arg;
	/* So that the data of a write is aligned, for O_DIRECT. */
	size_t before = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in);
	char *request = (char *)pages(r, MAX_REQUEST + 2 * page_size()) + page_size() - before;
	char *data = pages(r, MAX_REQUEST);

	/* To get memory it must not wait for what is to be written to the disk. */
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) || mlockall(MCL_CURRENT | MCL_FUTURE))
		bail_errno(r, "PR_SET_IO_FLUSHER, mlockall");
	for (;;) {
		ssize_t n = read(f->dev, request, before + MAX_REQUEST);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		/* ENODEV: unmounted. */
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return;
		serve_one(r, f, request, data);
	}
}

const struct role flaky_role = {
	.name = "disk",
	.summary = "answers requests to a disk, and lets some of them fail",
	.user = ROLE_ROOT,
};

/* ---- The device ------------------------------------------------------------------ */

/* A loop device of the server's file, that goes when nobody has it open any more. */
static void make_loop(struct run *r, struct flaky *f, char *dev, size_t size)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), nr;
	int file = open(FILE_PATH, O_RDWR | O_CLOEXEC), loop;

	if (control < 0)
		skip(r, "/dev/loop-control: %s (kernel without CONFIG_BLK_DEV_LOOP?)",
		     strerror(errno));
	if (file < 0)
		bail_errno(r, FILE_PATH);
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(dev, size, "/dev/loop%d", nr);
	loop = nr < 0 ? -1 : open(dev, O_RDWR | O_CLOEXEC);
	config.fd = (uint32_t)file;
	if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config))
		bail_errno(r, "a loop device");
	/* What somebody may write to cannot be mounted. */
	f->loop = open(dev, O_RDONLY | O_CLOEXEC);
	if (f->loop < 0)
		bail_errno(r, "%s", dev);
	close(loop);
	close(file);
}

struct flaky *flaky_mount(struct run *r)
{
	struct flaky *f = shared_alloc(r, sizeof(*f));
	char dev[64], text[96];

	if (!disk_find(dev, sizeof(dev)))
		bail(r, "the disk is gone");
	f->disk = open(dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	f->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (f->disk < 0 || f->dev < 0)
		bail_errno(r, "%s, /dev/fuse", dev);
	if (ioctl(f->disk, BLKGETSIZE64, &f->size))
		bail_errno(r, "BLKGETSIZE64");
	if (mkdir(MOUNT_POINT, 0700) && errno != EEXIST)
		bail_errno(r, "mkdir " MOUNT_POINT);
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=0,group_id=0", f->dev);
	if (mount("flaky", MOUNT_POINT, "fuse", MS_NOSUID | MS_NODEV, text))
		bail_errno(r, "mount of a FUSE file system");
	f->server = role_spawn(r, &flaky_role, serve, f);
	/* The connection ends with the last one who has it open: the server. */
	close(f->dev);
	close(f->disk);
	make_loop(r, f, dev, sizeof(dev));
	disk_mount_device(r, dev, NULL);
	return f;
}

void flaky_umount(struct run *r, struct flaky *f)
{
	disk_umount(r);
	close(f->loop);
	/* The loop device lets go a moment later. */
	if (!eventually(10000, !umount(MOUNT_POINT)))
		bail_errno(r, "umount of " MOUNT_POINT);
	expect_role_done(r, f->server, 10000);
}

void flaky_heal(struct flaky *f)
{
	__atomic_store_n(&f->reads, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&f->writes, 0, __ATOMIC_RELEASE);
}

void flaky_fail(struct run *r, struct flaky *f, const struct disk_file *file, unsigned int reads,
		unsigned int writes)
{
	size_t size = sizeof(struct fiemap) + MAX_EXTENTS * sizeof(struct fiemap_extent);
	struct fiemap *map = calloc(1, size);

	if (!map)
		bail(r, "out of memory");
	flaky_heal(f);
	map->fm_length = file->n * page_size();
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = MAX_EXTENTS;
	if (ioctl(file->fd, FS_IOC_FIEMAP, map))
		bail_errno(r, "FS_IOC_FIEMAP of %s", file->path);
	if (!map->fm_mapped_extents ||
	    !(map->fm_extents[map->fm_mapped_extents - 1].fe_flags & FIEMAP_EXTENT_LAST))
		bail(r, "%s lies in more than %d places", file->path, MAX_EXTENTS);
	f->nr = map->fm_mapped_extents;
	for (unsigned int i = 0; i < f->nr; i++) {
		f->where[i].at = map->fm_extents[i].fe_physical;
		f->where[i].len = map->fm_extents[i].fe_length;
	}
	free(map);
	__atomic_store_n(&f->reads, reads, __ATOMIC_RELEASE);
	__atomic_store_n(&f->writes, writes, __ATOMIC_RELEASE);
}

uint64_t flaky_failed_reads(const struct flaky *f)
{
	return __atomic_load_n(&f->failed_reads, __ATOMIC_RELAXED);
}

uint64_t flaky_failed_writes(const struct flaky *f)
{
	return __atomic_load_n(&f->failed_writes, __ATOMIC_RELAXED);
}
