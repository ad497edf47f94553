// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuse-lock: a page of the page cache is locked while it is read. When an ordinary user's
 * own file system serves the read, and never does, it is locked for ever; and migrating
 * it, for whoever waits for the lock, never ends.
 *
 * The file system is served over /dev/fuse as linux/fuse.h has it; it has one file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario/siege.h"

#define FILE_NODE 2
#define FILE_NAME "bottomless"
#define FILE_SIZE ((uint64_t)4 << 30)
#define WINDOW 32		/* pages that one POSIX_FADV_WILLNEED reads, at least */
#define MOUNT_POINT "/tmp"	/* of the attacker's own mount namespace */

/* ---- The server ------------------------------------------------------------ */

struct server {
	struct run *r;
	int fd;
	volatile unsigned int reads;	/* asked for and never answered */
};

static void reply(struct server *srv, uint64_t unique, int error, const void *data, size_t size)
{
	char buf[sizeof(struct fuse_out_header) + 256];
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + size), .error = -error, .unique = unique,
	};

	memcpy(buf, &out, sizeof(out));
	if (size)
		memcpy(buf + sizeof(out), data, size);
	/* ENOENT: interrupted meanwhile. ENODEV: the connection was aborted. */
	if (write(srv->fd, buf, out.len) < 0 && errno != ENOENT && errno != ENODEV)
		bail_errno(srv->r, "/dev/fuse");
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .uid = getuid(), .gid = getgid() };

	a.blksize = (uint32_t)page_size();
	a.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	a.size = node == FUSE_ROOT_ID ? 0 : FILE_SIZE;
	return a;
}

static void serve_one(struct server *srv, const char *buf)
{
	struct fuse_in_header in;

	memcpy(&in, buf, sizeof(in));
	switch (in.opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = {
			.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = 128 << 10, .flags = FUSE_ASYNC_READ,
			.max_background = UINT16_MAX, .congestion_threshold = UINT16_MAX,
			.max_write = 4096, .time_gran = 1,
		};

		reply(srv, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = {
			.nodeid = FILE_NODE, .entry_valid = 3600, .attr_valid = 3600,
			.attr = attr_of(FILE_NODE),
		};

		if (strcmp(buf + sizeof(in), FILE_NAME))
			reply(srv, in.unique, ENOENT, NULL, 0);
		else
			reply(srv, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(in.nodeid) };

		reply(srv, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

		reply(srv, in.unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ:
		srv->reads++;
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_RELEASE:
		reply(srv, in.unique, 0, NULL, 0);
		break;
	default:
		reply(srv, in.unique, ENOSYS, NULL, 0);
	}
}

static void *serve(void *arg)
{
	struct server *srv = arg;
	char buf[FUSE_MIN_READ_BUFFER + sizeof(struct fuse_in_header) +
		 sizeof(struct fuse_write_in)];

	for (;;) {
		ssize_t n = read(srv->fd, buf, sizeof(buf) - 1);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		/* ENODEV: unmounted, or aborted. */
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return NULL;
		buf[n] = '\0';
		serve_one(srv, buf);
	}
}

/* ---- The attacker ------------------------------------------------------------ */

static void write_file(struct run *r, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		bail_errno(r, "%s", path);
	close(fd);
}

/* Namespaces of its own, in which this user may mount; nobody else sees the mount. */
static void mount_own(struct run *r, struct server *srv)
{
	char text[128];
	unsigned int uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
		if (errno == EPERM || errno == ENOSPC || errno == EINVAL)
			skip(r, "ordinary users cannot make user namespaces here: %s",
			     strerror(errno));
		bail_errno(r, "unshare");
	}
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	write_file(r, "/proc/self/uid_map", text);
	write_file(r, "/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	write_file(r, "/proc/self/gid_map", text);
	srv->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (srv->fd < 0) {
		if (errno == EACCES)
			skip(r, "/dev/fuse is not for ordinary users here; chmod 666 /dev/fuse");
		bail_errno(r, "/dev/fuse");
	}
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", srv->fd, uid,
		 gid);
	if (mount("bottomless", MOUNT_POINT, "fuse", MS_NOSUID | MS_NODEV, text))
		bail_errno(r, "mount of a FUSE file system");
}

/*
 * How many requests may wait for an answer, or whoever asks for one more waits, too.
 * Some are left for those that do not read ahead.
 */
static unsigned int max_requests(struct run *r)
{
	static const char path[] = "/sys/module/fuse/parameters/max_user_bgreq";
	FILE *f = fopen(path, "re");
	unsigned int n;

	if (!f)
		bail_errno(r, "%s", path);
	if (fscanf(f, "%u", &n) != 1 || n < 64)
		bail(r, "%s: not a number over 63", path);
	fclose(f);
	return n - 16;
}

static void thread(struct run *r, void *(*fn)(void *arg), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, arg);

	if (err) {
		errno = err;
		bail_errno(r, "pthread_create");
	}
	pthread_detach(t);
}

/* Where the other ways to have a page read begin, behind all that is read ahead. */
#define READ_AT (FILE_SIZE / 2)
#define MMAP_AT (FILE_SIZE / 4 * 3)

static void *read_it(void *arg)
{
	int fd = *(int *)arg;
	char byte;

	/* Never comes back, before the file system is aborted. */
	if (pread(fd, &byte, 1, (off_t)READ_AT) == 1)
		abort();
	return NULL;
}

static void *map_it(void *arg)
{
	int fd = *(int *)arg;
	char *p = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, (off_t)MMAP_AT);

	/* The same; then it is SIGBUS. */
	if (p != MAP_FAILED)
		probe_load(p);
	return NULL;
}

static void attack(struct run *r, void *arg)
{
	static struct server srv;
	static int fd;
	struct siege *s = arg;
	struct siege_filler f;
	uint64_t want = param_u64(r, "hold"), page = 0, before, max;

	srv.r = r;
	max = max_requests(r) * WINDOW;
	mount_own(r, &srv);
	thread(r, serve, &srv);
	/*
	 * Closing is asked of the server, too, until it has said once that this is none
	 * of its business. If this process were killed, nobody would be left to answer,
	 * and it could not end.
	 */
	fd = open(MOUNT_POINT "/" FILE_NAME, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || close(fd))
		bail_errno(r, "%s", FILE_NAME);
	fd = open(MOUNT_POINT "/" FILE_NAME, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bail_errno(r, "open of %s", FILE_NAME);

	f = siege_fill(r);
	before = siege_storage_free(r);
	/* Where pages are swapped out meanwhile, there may be room for ever. */
	for (; siege_storage_free(r) + want > before && siege_room(r) && page < max;
	     page += WINDOW) {
		off_t at = (off_t)(page * page_size());
		int err = posix_fadvise(fd, at, WINDOW * (off_t)page_size(), POSIX_FADV_WILLNEED);

		siege_fill_on(r, &f);
		if (err) {
			errno = err;
			bail_errno(r, "posix_fadvise");
		}
	}
	thread(r, read_it, &fd);
	thread(r, map_it, &fd);
	if (!eventually(SIEGE_PATIENCE_MS, srv.reads > 2))
		bail(r, "the kernel does not read from the file system");
	siege_unfill(r, &f);
	s->held_pages = page;
	note(r, "has the kernel waiting for %llu pages and more, %u requests seen",
	     (unsigned long long)page, srv.reads);
	gate_open(s->placed);
	gate_open(s->held);

	if (!gate_wait(s->hold_shared, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker about the victim");
	gate_open(s->held_shared);
	if (!gate_wait(s->let_go, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to let go");
	/* Ends every request with an error. The mount stays busy until all is closed. */
	if (umount2(MOUNT_POINT, MNT_FORCE) && errno != EBUSY)
		bail_errno(r, "umount");
	gate_open(s->released);
	if (!gate_wait(s->end, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to end");
	close(fd);
}

static const struct role attacker = {
	.name = "attacker",
	.summary = "has pages read from its own file system, which never answers",
	.syscalls = SYSCALLS(SIEGE_SYSCALLS, "unshare", "mount", "umount2", "clone", "clone3",
			     "fadvise64", "pread64", "mprotect"),
};

/* ---- The scenario -------------------------------------------------------------- */

static void besiege(struct run *r, const struct siege_mode *mode)
{
	struct siege *s = siege_new(r, mode, param_u64(r, "victim-memory"), false);
	struct siege_want want = { .held = true, .harm = !mode->replace_data_page };
	struct siege_held held;
	struct child *a;

	a = role_spawn(r, &attacker, attack, s);
	siege_await(r, a, &attacker, s->held, "got its pages locked");
	held = siege_look_locked(r);
	note(r, "%llu of %llu blocks hold a page that is locked", (unsigned long long)held.blocks,
	     (unsigned long long)held.nr_blocks);
	measure(r, mode == &siege_on ? "on_held_blocks" : "off_held_blocks", "blocks",
		(double)held.blocks);
	require(r, held.pages, "%s: locked pages lie in tag storage", mode->text);
	expect_eq_u64(r, held.shown, held.blocks, "%s: the block map shows them as pinned",
		      mode->text);
	siege_run(r, s, &held, &want, a, &attacker,
		  (unsigned int)param_u64(r, "victim-pages"));
	siege_held_free(&held);
	held = siege_look_locked(r);
	expect_eq_u64(r, held.pages, 0, "%s: nothing stays locked in tag storage", mode->text);
	siege_held_free(&held);
}

static void fuse_lock(struct run *r)
{
	step(r, "For comparison, a victim takes tagged memory by mmap and by mprotect while nobody attacks it.");
	siege_run(r, siege_new(r, &siege_on, param_u64(r, "victim-memory"), false), NULL,
		  &(struct siege_want){ .held = false }, NULL, NULL,
		  (unsigned int)param_u64(r, "victim-pages"));
	if (siege_wanted(r, &siege_on)) {
		step(r, "The attacker mounts a file system of its own and has the kernel read ahead from it, with memory so full that the pages lie in tag storage. The reads are never answered, and the pages stay locked. The victim must not wait for these locks: it gets its tagged memory elsewhere.");
		besiege(r, &siege_on);
	}
	if (siege_wanted(r, &siege_off)) {
		step(r, "With the mitigations off the victim has nowhere else to go. It is told by SIGBUS, and still it waits for no lock: every access ends in time.");
		besiege(r, &siege_off);
	}
}

static const struct scenario fuse_lock_scenario = {
	.name = "fuse-lock",
	.kind = SCENARIO_ADVERSARY,
	.summary = "locks tag storage by reads that its own file system never answers",
	.explanation = "While a page of a file is read it is locked, and migration waits for that lock. The "
		"read may be served by a program of the same ordinary user, through FUSE, which need not ever "
		"answer. Whoever needs the tag storage where such a page lies and waits for it, waits in a way "
		"that cannot be killed. So the kernel must only ever try the lock, and then use other pages.",
	.params = PARAMS(
		P_ENUM("mitigations", "all", "all|on|off", "on; off; or one after the other"),
		P_UINT("hold", "1536", 256, 65536,
		       "pages of tag storage the attacker has locked; others, too"),
		P_UINT("victim-pages", "128", 1, SIEGE_MAX_PAGES,
		       "pages the victim tags in each way"),
		P_SIZE("victim-memory", "96M", 1 << 20, 1ULL << 30,
		       "memory of the victim in which these pages are looked for")),
	.needs = NEED_POLICY_CMA | NEED_FUSE,
	.min_memory = 400ULL << 20,
	.time_limit_s = 600,
	.syscalls = SYSCALLS("mprotect"),
	.roles = ROLES(&attacker, &siege_victim),
	.run = fuse_lock,
};
SCENARIO(fuse_lock_scenario);
