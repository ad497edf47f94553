// SPDX-License-Identifier: GPL-2.0-only
/* A file system that never answers: see stall_fs.h. The protocol is in linux/fuse.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack/fill.h"
#include "attack/stall_fs.h"
#include "attack/userns.h"
#include "scenario/fuse.h"
#include "scenario/thread.h"

/* Of the attacker's own mount namespace. */
#define MOUNT_POINT "/tmp"
#define SECOND_MOUNT_POINT "/mnt"
#define LET_DUMP "go"		/* who looks for it in a directory lets the core dump go on */
/* Nodes of file 0, of directory 0, and of the core dump there. */
#define FIRST_NODE UINT64_C(2)
#define FIRST_DIRECTORY (UINT64_C(1) << 32)
#define FIRST_DUMP (UINT64_C(2) << 32)
#define MAX_WRITE (STALL_REQUEST * 4096)

static struct run *the_run;
static int dev;
/* Shared with the server. */
static unsigned int *requests, *dumps;
static char request[MAX_WRITE + sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) +
		    FUSE_MIN_READ_BUFFER];

/* ---- The server ------------------------------------------------------------ */

static void reply(uint64_t unique, int error, const void *data, size_t size)
{
	fuse_reply(the_run, dev, unique, error, data, size);
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .uid = getuid(), .gid = getgid() };

	a.blksize = (uint32_t)page_size();
	if (node >= FIRST_DUMP) {
		/* Others the kernel does not write to. */
		a.mode = S_IFREG | 0600;
	} else if (node >= FIRST_DIRECTORY || node == FUSE_ROOT_ID) {
		a.mode = S_IFDIR | 0755;
	} else {
		a.mode = S_IFREG | 0755;
		a.size = STALL_FILE_SIZE;
	}
	return a;
}

static struct fuse_entry_out entry_of(uint64_t node)
{
	return (struct fuse_entry_out){
		.nodeid = node, .entry_valid = 3600, .attr_valid = 3600, .attr = attr_of(node),
	};
}

static void answer_write(uint64_t unique, uint32_t size)
{
	struct fuse_write_out out = { .size = size };

	reply(unique, 0, &out, sizeof(out));
}

/* The first write of each core dump, until it is let. */
static struct {
	uint64_t unique;
	uint32_t size;
} first_write[STALL_DIRECTORIES];

/* Files are "0", "1" and so on. Directories are "d0" and so on, and nothing is there. */
static void lookup(const struct fuse_in_header *in, const char *name)
{
	bool directory = *name == 'd';
	uint64_t n = strtoul(name + directory, NULL, 10);
	struct fuse_entry_out out = entry_of(n + (directory ? FIRST_DIRECTORY : FIRST_NODE));

	if (in->nodeid == FUSE_ROOT_ID) {
		reply(in->unique, 0, &out, sizeof(out));
		return;
	}
	if (!strcmp(name, LET_DUMP)) {
		n = in->nodeid - FIRST_DIRECTORY;
		answer_write(first_write[n].unique, first_write[n].size);
	}
	reply(in->unique, ENOENT, NULL, 0);
}

static void create_dump(const struct fuse_in_header *in)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { entry_of(in->nodeid - FIRST_DIRECTORY + FIRST_DUMP), { .fh = 1 } };

	reply(in->unique, 0, &out, sizeof(out));
}

/* False: never to be answered. */
static bool write_dump(const struct fuse_in_header *in)
{
	struct fuse_write_in arg;
	uint64_t n = in->nodeid - FIRST_DUMP;

	memcpy(&arg, request + sizeof(*in), sizeof(arg));
	if (!((arg.offset | arg.size) & (page_size() - 1)))
		return false;
	if (arg.offset) {
		answer_write(in->unique, arg.size);
		return true;
	}
	first_write[n].unique = in->unique;
	first_write[n].size = arg.size;
	__atomic_add_fetch(dumps, 1, __ATOMIC_RELEASE);
	return true;
}

static void serve_one(void)
{
	struct fuse_in_header in;

	memcpy(&in, request, sizeof(in));
	switch (in.opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = {
			.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = STALL_READ_AHEAD * 4096,
			.flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES |
				 FUSE_ASYNC_DIO,
			.max_background = UINT16_MAX, .congestion_threshold = UINT16_MAX,
			.max_write = MAX_WRITE, .max_pages = STALL_REQUEST, .time_gran = 1,
		};

		reply(in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP:
		lookup(&in, request + sizeof(in));
		break;
	case FUSE_CREATE:
		create_dump(&in);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR: {
		struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(in.nodeid) };

		reply(in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

		reply(in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ:
	case FUSE_WRITE:
		if (in.nodeid >= FIRST_DUMP && write_dump(&in))
			break;
		__atomic_add_fetch(requests, 1, __ATOMIC_RELEASE);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_RELEASE:
		reply(in.unique, 0, NULL, 0);
		break;
	default:
		reply(in.unique, ENOSYS, NULL, 0);
	}
}

/*
 * A process of its own: threads that wait for an answer cannot be killed before they have
 * one, or the file system ends. It ends with the last file of /dev/fuse, so whoever waits
 * must not have it open; and this process ends with the attacker, in any case.
 */
static void serve(pid_t attacker)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		bail_errno(the_run, "PR_SET_PDEATHSIG");
	while (getppid() == attacker) {
		ssize_t n = read(dev, request, sizeof(request) - 1);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		/* ENODEV: unmounted, or aborted. */
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return;
		request[n] = '\0';
		serve_one();
	}
}

/* ---- The mount --------------------------------------------------------------- */

static void write_file(struct run *r, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		bail_errno(r, "%s", path);
	close(fd);
}

/* The caller closes dev. */
static void mount_at(struct run *r, const char *where)
{
	char text[128];
	pid_t attacker = getpid(), server;

	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0) {
		if (errno == EACCES)
			skip(r, "/dev/fuse is not for ordinary users here; chmod 666 /dev/fuse");
		bail_errno(r, "/dev/fuse");
	}
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", dev, getuid(),
		 getgid());
	if (mount("stall", where, "fuse", MS_NOSUID | MS_NODEV, text))
		bail_errno(r, "mount of a FUSE file system");
	server = fork();
	if (server < 0)
		bail_errno(r, "fork");
	if (!server) {
		serve(attacker);
		_exit(0);
	}
}

void stall_fs_mount(struct run *r)
{
	char text[128];
	unsigned int uid = getuid(), gid = getgid();
	int fd;

	the_run = r;
	requests = shared_alloc(r, sizeof(*requests));
	dumps = shared_alloc(r, sizeof(*dumps));
	/* Once memory is full it is too late for that. */
	memset(request, 1, sizeof(request));
	userns_enter(r, CLONE_NEWNS);
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	write_file(r, "/proc/self/uid_map", text);
	write_file(r, "/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	write_file(r, "/proc/self/gid_map", text);
	mount_at(r, MOUNT_POINT);
	close(dev);
	/* Closing is asked of the server, too, until it has said once that it does not care. */
	fd = stall_fs_open(r, 0, O_RDONLY);
	if (close(fd))
		bail_errno(r, "close");
}

void stall_fs_path(unsigned int file, char path[STALL_PATH_MAX])
{
	snprintf(path, STALL_PATH_MAX, MOUNT_POINT "/%u", file);
}

static void directory_path(unsigned int directory, const char *name, char path[STALL_PATH_MAX])
{
	snprintf(path, STALL_PATH_MAX, MOUNT_POINT "/d%u%s", directory, name);
}

void stall_fs_enter(struct run *r, unsigned int directory)
{
	char path[STALL_PATH_MAX];

	directory_path(directory, "", path);
	if (chdir(path))
		bail_errno(r, "%s", path);
}

unsigned int stall_fs_dumps(void)
{
	return __atomic_load_n(dumps, __ATOMIC_ACQUIRE);
}

void stall_fs_let_dump(struct run *r, unsigned int directory)
{
	char path[STALL_PATH_MAX];

	directory_path(directory, "/" LET_DUMP, path);
	if (open(path, O_PATH | O_CLOEXEC) >= 0 || errno != ENOENT)
		bail_errno(r, "%s", path);
}

int stall_fs_mount_second(struct run *r)
{
	mount_at(r, SECOND_MOUNT_POINT);
	return dev;
}

uint64_t stall_fs_second_node(struct run *r, unsigned int file)
{
	char path[STALL_PATH_MAX];

	snprintf(path, sizeof(path), SECOND_MOUNT_POINT "/%u", file);
	/* Not opened for reading: closing that would be asked of the server. */
	if (open(path, O_PATH | O_CLOEXEC) < 0)
		bail_errno(r, "%s", path);
	return FIRST_NODE + file;
}

int stall_fs_open(struct run *r, unsigned int file, int flags)
{
	char path[STALL_PATH_MAX];
	int fd;

	stall_fs_path(file, path);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		bail_errno(r, "%s", path);
	return fd;
}

char *stall_fs_map_page(struct run *r, unsigned int file)
{
	int fd = stall_fs_open(r, file, O_RDONLY);
	char *p = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of a file");
	/* What would be read around it would take the tag storage that is free. */
	if (madvise(p, page_size(), MADV_RANDOM))
		bail_errno(r, "MADV_RANDOM");
	close(fd);
	return p;
}

unsigned int stall_fs_requests(void)
{
	return __atomic_load_n(requests, __ATOMIC_ACQUIRE);
}

unsigned int stall_fs_max_requests(struct run *r)
{
	static const char path[] = "/sys/module/fuse/parameters/max_user_bgreq";
	FILE *f = fopen(path, "re");
	unsigned int n;

	if (!f)
		bail_errno(r, "%s", path);
	if (fscanf(f, "%u", &n) != 1 || n < 64)
		bail(r, "%s: not a number over 63", path);
	fclose(f);
	/* Some are left for those that do not read ahead. */
	return n - 16;
}

static void thread(struct run *r, void *(*fn)(void *arg), void *arg)
{
	pthread_detach(thread_start(r, fn, arg));
}

void stall_fs_await(struct run *r, unsigned int n)
{
	if (!eventually(PATIENCE_MS, stall_fs_requests() >= n))
		bail(r, "the kernel has not asked the file system for data in time");
}

void stall_fs_start(struct run *r, void *(*fn)(void *arg), void *arg)
{
	unsigned int before = stall_fs_requests();

	thread(r, fn, arg);
	stall_fs_await(r, before + 1);
}

void stall_fs_one_processor(struct run *r)
{
	thread_run_on(r, (unsigned int)sched_getcpu());
}

struct parked {
	void *(*fn)(void *arg);
	void *arg;
	struct gate *gate;
};

static void *park(void *arg)
{
	struct parked *p = arg;

	while (!gate_wait(p->gate, PATIENCE_MS))
		;
	return p->fn(p->arg);
}

struct parked *stall_fs_park(struct run *r, void *(*fn)(void *arg), void *arg)
{
	struct parked *p = calloc(1, sizeof(*p));

	if (!p)
		bail(r, "out of memory");
	*p = (struct parked){ .fn = fn, .arg = arg, .gate = gate_new(r) };
	thread(r, park, p);
	return p;
}

static void unpark(struct run *r, struct parked *p)
{
	unsigned int before = stall_fs_requests();

	gate_open(p->gate);
	stall_fs_await(r, before + 1);
}

size_t stall_fs_unpark_at_edge(struct run *r, struct attacker *a, struct parked *const *parked,
			       size_t n)
{
	struct fill f = fill_memory(r);
	size_t done;

	for (done = 0; done < n && done < a->want && room_pages(r); done++) {
		fill_to_edge(r, &f);
		unpark(r, parked[done]);
	}
	fill_free(r, &f);
	pipes_release(r, a);
	return done;
}

void stall_fs_release(struct run *r, struct attacker *a)
{
	(void)a;
	/* The mount stays busy until all is closed, but every request ends. */
	if (umount2(MOUNT_POINT, MNT_FORCE) && errno != EBUSY)
		bail_errno(r, "umount");
}
