// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuse-write: a write to a FUSE file goes to the page cache, and from there to the server.
 * Until that answers, the request has a reference to each page; the pages are not locked
 * and not under write-back.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define MAX_WRITES 64

static int fds[MAX_WRITES];
static char *data;

static void *write_it(void *arg)
{
	/* Fails when the file system is aborted. */
	if (write(*(int *)arg, data, STALL_REQUEST * page_size()) > 0)
		abort();
	return NULL;
}

/* Each write to a file of its own: they exclude one another. */
static void place(struct run *r, struct attacker *a)
{
	struct fill f;
	uint64_t before;
	size_t held = 0;

	stall_fs_mount(r);
	for (unsigned int i = 0; i < MAX_WRITES; i++)
		fds[i] = stall_fs_open(r, i, O_WRONLY);
	data = map_memory(r, STALL_REQUEST * page_size(), 0, -1);
	populate(r, data, STALL_REQUEST * page_size());
	f = fill_memory(r);
	before = tag_storage_free(r);
	for (unsigned int i = 0; i < MAX_WRITES && tag_storage_free(r) + a->want > before &&
	     room_pages(r); i++) {
		stall_fs_start(r, write_it, &fds[i]);
		held += STALL_REQUEST;
		fill_more(r, &f);
	}
	fill_free(r, &f);
	note(r, "has %zu pages written to, in %u requests", held, stall_fs_requests());
}

static bool is_held(const struct state_page *page)
{
	return page->kind[0] == 'f' && page->pinned && !page->locked && !page->writeback;
}

static const struct technique fuse_write = {
	.role = {
		.name = "attacker",
		.summary = "writes to its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS),
	},
	.place = place,
	.release = stall_fs_release,
	.is_held = is_held,
	.mode = {
		[ATTACK_ON] = {
			HOLDS_STORAGE,
			"The attacker writes to a file system of its own, with memory so full that the pages of the page cache lie in tag storage. The writes are never answered, and their requests keep references to the pages. The victim gets its tagged memory elsewhere.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With the mitigations off there is no other place for the victim's tags, and it gets SIGBUS.",
		},
	},
};

ADVERSARY(fuse_write,
	  .name = "fuse-write",
	  .summary = "holds tag storage by writes that its own file system never answers",
	  .explanation =
		"What is written to a file in FUSE is first copied to pages of the page cache. The request to the "
		"server has a reference to each of them until it is answered; they are neither locked nor marked "
		"as under write-back, and so look as if they could be moved. A server of an ordinary user need "
		"not ever answer.",
	  .params = ATTACK_PARAMS("1024", 256, 6000),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);
