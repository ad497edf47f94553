// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuse-lock: a page of the page cache is locked while it is read. When an ordinary user's
 * own file system serves the read, and never does, it is locked for ever; and migrating
 * it, for whoever waits for the lock, never ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

/* Where the other ways to have a page read begin, behind all that is read ahead. */
#define READ_AT (STALL_FILE_SIZE / 2)
#define MMAP_AT (STALL_FILE_SIZE / 4 * 3)

static int fd;

static void *read_it(void *arg)
{
	char byte;

	(void)arg;
	/* Does not return before the file system is aborted. */
	if (pread(fd, &byte, 1, (off_t)READ_AT) == 1)
		abort();
	return NULL;
}

static void *map_it(void *arg)
{
	char *p = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, (off_t)MMAP_AT);

	(void)arg;
	/* The same; then it is SIGBUS. */
	if (p != MAP_FAILED)
		probe_load(p);
	return NULL;
}

/* The pages are locked when they are allocated. */
static void place(struct run *r, struct attacker *a)
{
	size_t step = STALL_READ_AHEAD * page_size(), max;
	struct fill f;
	uint64_t before;
	size_t locked = 0;

	max = (size_t)stall_fs_max_requests(r) * STALL_READ_AHEAD;
	stall_fs_mount(r);
	fd = stall_fs_open(r, 0, O_RDONLY);
	f = fill_memory(r);
	before = tag_storage_free(r);
	/* Where pages are swapped out meanwhile, there may be room for ever. */
	for (; tag_storage_free(r) + a->want > before && room_pages(r) && locked < max;
	     locked += STALL_READ_AHEAD) {
		off_t at = (off_t)(locked * page_size());
		int err = posix_fadvise(fd, at, (off_t)step, POSIX_FADV_WILLNEED);

		fill_more(r, &f);
		bail_if_error(r, -err, "posix_fadvise");
	}
	stall_fs_start(r, read_it, NULL);
	stall_fs_start(r, map_it, NULL);
	fill_free(r, &f);
	note(r, "has the kernel wait for %zu pages and more, in %u requests", locked,
	     stall_fs_requests());
}

static bool is_held(const struct state_page *page)
{
	return page->kind[0] == 'f' && page->locked;
}

/* ---- A part of a page, which is not read before -------------------------------------------- */

#define MAX_PARTS 128
#define PART 100

static int parts[MAX_PARTS];

static void *write_part(void *arg)
{
	static const char data[PART];

	/* Fails when the file system is aborted. */
	if (write(*(int *)arg, data, PART) > 0)
		abort();
	return NULL;
}

/* Each holds one page, of a file of its own: writers of a file exclude one another. */
static void place_parts(struct run *r, struct attacker *a)
{
	struct parked *writers[MAX_PARTS];
	size_t n;

	stall_fs_mount(r);
	stall_fs_one_processor(r);
	for (unsigned int i = 0; i < MAX_PARTS; i++) {
		parts[i] = stall_fs_open(r, i, O_WRONLY);
		writers[i] = stall_fs_park(r, write_part, &parts[i]);
	}
	n = stall_fs_unpark_at_edge(r, a, writers, MAX_PARTS);
	note(r, "has %zu pages written to in part", n);
}

/* ---- A page that the server stores, from what is never read in ----------------------------- */

#define MAX_STORES 128

/* Of the second file system; and pages of files of the first one, which is the one that stalls. */
static int store_dev;
static struct store {
	uint64_t node;
	char *from;
} stores[MAX_STORES];

static void *store_it(void *arg)
{
	const struct store *s = arg;
	struct {
		struct fuse_out_header out;
		struct fuse_notify_store_out store;
	} head = {
		.out = { .len = (uint32_t)(sizeof(head) + page_size()),
			 .error = FUSE_NOTIFY_STORE },
		.store = { .nodeid = s->node, .size = (uint32_t)page_size() },
	};
	struct iovec iov[] = { { &head, sizeof(head) }, { s->from, page_size() } };

	/* Fails when the file system of the source is aborted. */
	if (writev(store_dev, iov, 2) > 0)
		abort();
	return NULL;
}

static void place_stores(struct run *r, struct attacker *a)
{
	struct parked *threads[MAX_STORES];

	stall_fs_mount(r);
	store_dev = stall_fs_mount_second(r);
	stall_fs_one_processor(r);
	for (unsigned int i = 0; i < MAX_STORES; i++) {
		stores[i].node = stall_fs_second_node(r, i);
		stores[i].from = stall_fs_map_page(r, i);
		threads[i] = stall_fs_park(r, store_it, &stores[i]);
	}
	note(r, "has %zu pages that are stored, and do not get on",
	     stall_fs_unpark_at_edge(r, a, threads, MAX_STORES));
}

/* ---- The techniques ------------------------------------------------------------------------ */

static const struct technique fuse_lock = {
	.role = {
		.name = "attacker",
		.summary = "has pages read from its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "fadvise64", "pread64"),
	},
	.place = place,
	.release = stall_fs_release,
	.is_held = is_held,
	.mode = {
		[ATTACK_ON] = {
			HOLDS_STORAGE,
			"The attacker mounts a file system of its own and has the kernel read ahead from it, with memory so full that the pages lie in tag storage. The reads are never answered, and the pages stay locked. The victim must not wait for these locks: it gets its tagged memory elsewhere.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With the mitigations off there is no other place for the victim's tags. It gets SIGBUS, and still it waits for no lock: every access ends in time.",
		},
	},
};

ADVERSARY(fuse_lock,
	  .name = "fuse-lock",
	  .summary = "locks tag storage by reads that its own file system never answers",
	  .explanation =
		"While a page of a file is read it is locked, and migration waits for that lock. The read may "
		"be served by a program of the same ordinary user, through FUSE, which need not ever answer. "
		"A task that needs the tag storage where such a page lies, and waits for the lock, waits in a way "
		"that cannot be killed. So the kernel must only ever try the lock, and then use other pages.",
	  .params = ATTACK_PARAMS("1536", 256, 65536),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);

static const struct technique fuse_partial = {
	.role = {
		.name = "attacker",
		.summary = "writes parts of pages to its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, FILL_EDGE_SYSCALLS),
	},
	.place = place_parts,
	.release = stall_fs_release,
	.is_held = is_held,
	.mode = MODES_REFERENCE,
};

ADVERSARY(fuse_partial,
	  .name = "fuse-partial",
	  .summary = "locks tag storage by writes of parts of pages without an answer",
	  .explanation =
		"A write of a part of a page that is not in the page cache does not read the rest: the page stays "
		"locked until the server has the part, which takes as long as it likes. It is one page for each "
		"task that writes.",
	  .params = ATTACK_PARAMS("96", 16, MAX_PARTS),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);

static const struct technique fuse_store = {
	.role = {
		.name = "attacker",
		.summary = "stores pages of its own file system from what is never read in",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, FILL_EDGE_SYSCALLS),
	},
	.place = place_stores,
	.release = stall_fs_release,
	.is_held = is_held,
	.mode = MODES_REFERENCE,
};

ADVERSARY(fuse_store,
	  .name = "fuse-store",
	  .summary = "locks tag storage by pages that its own file system stores",
	  .explanation =
		"The server of a FUSE file system may put data into the page cache that nobody has asked for "
		"(FUSE_NOTIFY_STORE). The page is locked while the kernel copies it from the server's memory, and "
		"that may be a mapping of a file in another FUSE file system, which is never read in. The page "
		"of that file is locked, too. It is two pages for each task that stores.",
	  .params = ATTACK_PARAMS("96", 16, MAX_STORES),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);
