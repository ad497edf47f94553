// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmsplice-pin: one byte of each page goes into a pipe that nobody reads. The pipe holds
 * a reference to the page, which can then not be moved, for as long as the pipe lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attack/attack.h"

#define PIPE_PAGES 256		/* buffers of a pipe of 1 MiB, the most a user may have */
#define MAX_PIPES 72		/* fs.pipe-user-pages-soft lets a user have 64 of them ... */
#define MAX_PAGES 16000		/* ... and this leaves some for pages shared with the victim */

static int pipes[MAX_PIPES][2];
static unsigned int nr_pipes;
static bool full;		/* the last one is */

static void new_pipe(struct run *r)
{
	int *fd = pipes[nr_pipes];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		bail_errno(r, "pipe");
	/* EPERM: the user has as many as it may; it stays as small as it is. */
	if (fcntl(fd[1], F_SETPIPE_SZ, PIPE_PAGES * (int)page_size()) < 0 && errno != EPERM)
		bail_errno(r, "F_SETPIPE_SZ");
	full = false;
	nr_pipes++;
}

/* Returns how many of the pages are held now. The last pipe is used until it is full. */
static size_t splice_pages(struct run *r, char *p, size_t pages)
{
	size_t done = 0;

	while (done < pages) {
		struct iovec iov[64];
		size_t n = pages - done < 64 ? pages - done : 64;
		ssize_t bytes;

		if (full && nr_pipes == MAX_PIPES)
			break;
		if (full || !nr_pipes)
			new_pipe(r);
		for (size_t i = 0; i < n; i++)
			iov[i] = (struct iovec){ p + (done + i) * page_size(), 1 };
		bytes = vmsplice(pipes[nr_pipes - 1][1], iov, n, SPLICE_F_NONBLOCK);
		if (bytes < 0 && errno != EAGAIN)
			bail_errno(r, "vmsplice");
		full = bytes <= 0;
		done += bytes > 0 ? (size_t)bytes : 0;
	}
	return done;
}

static size_t hold(struct run *r, struct attacker *a)
{
	return splice_pages(r, a->memory, a->pages);
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	(void)a;
	if (splice_pages(r, page, 1) != 1)
		bail(r, "a shared page does not go into a pipe");
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	for (; nr_pipes; nr_pipes--) {
		close(pipes[nr_pipes - 1][0]);
		close(pipes[nr_pipes - 1][1]);
	}
}

static const struct technique vmsplice_pin = {
	.role = {
		.name = "attacker",
		.summary = "holds pages by vmsplice into pipes nobody reads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "vmsplice", "pipe2", "fcntl"),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = release,
	.mode = {
		[ATTACK_ON] = {
			MOVED_FIRST,
			"The attacker fills memory until its data lies in tag storage, and pins it with vmsplice. The kernel moves each page out of tag storage first, so that nothing there is held and the victim does not notice.",
		},
		[ATTACK_PINS_ALLOWED] = {
			HOLDS_STORAGE,
			"Now move_before_pin is off: the pins hold tag storage, for as long as the attacker wants. The victim's new pages are taken where tag storage is available, and those it has already are moved there. Only a page that the attacker can pin too, because they share it, cannot get tags: there the victim gets SIGBUS, after a bounded time.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With replace_data_page and choose_other_page off as well, the attacker denies tags to whom it wants.",
		},
	},
};

ADVERSARY(vmsplice_pin,
	  .name = "vmsplice-pin",
	  .summary = "pins tag storage by vmsplice into pipes nobody reads",
	  .explanation =
		"A page whose data sits in a pipe cannot be moved. An ordinary user can put one byte of each of "
		"its pages there and never read it; if such a page lies in tag storage, the tags of 32 other "
		"pages cannot be stored. The kernel answers in three ways, each with a switch: it moves pages "
		"out of tag storage before they are pinned, it takes another page for new tagged memory, and it "
		"moves existing data to pages whose tags can be stored. What is left is a page that the attacker "
		"shares with the victim and pins too; then the victim gets SIGBUS after fault_wait_ms, and can "
		"go on when the attacker releases one of the two.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_POLICY_CMA);
