// SPDX-License-Identifier: GPL-2.0-only
/*
 * splice-pin: pages of the page cache go into pipes that nobody reads, by splice() from a
 * memfd. The pipe has a reference to each page, and no get_user_pages() was asked for it:
 * move_before_pin does not see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "attack/attack.h"

#define PIPE_PAGES 256		/* buffers of a pipe of 1 MiB, the most a user may have */
#define MAX_PIPES 60		/* fs.pipe-user-pages-soft lets a user have 64 of them */

static int pipes[MAX_PIPES][2];
static unsigned int nr_pipes;

/* Returns how many pages from this offset go into a pipe of their own. */
static size_t splice_pages(struct run *r, int fd, off_t offset, size_t pages)
{
	ssize_t bytes;
	int *p;

	if (nr_pipes == MAX_PIPES)
		return 0;
	p = pipes[nr_pipes];
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK))
		bail_errno(r, "pipe");
	nr_pipes++;
	if (fcntl(p[1], F_SETPIPE_SZ, PIPE_PAGES * (int)page_size()) < 0)
		bail_errno(r, "F_SETPIPE_SZ");
	bytes = splice(fd, &offset, p[1], NULL, pages * page_size(), SPLICE_F_NONBLOCK);
	if (bytes < 0)
		bail_errno(r, "splice");
	return (size_t)bytes / page_size();
}

static size_t hold(struct run *r, struct attacker *a)
{
	size_t done = 0, n;

	do {
		n = splice_pages(r, a->fd, (off_t)(done * page_size()), a->pages - done);
		done += n;
	} while (n && done < a->pages);
	return done;
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	if (splice_pages(r, a->shared_fd, page - a->shared, 1) != 1)
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

static const struct technique splice_pin = {
	.role = {
		.name = "attacker",
		.summary = "holds page cache by splice into pipes nobody reads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "splice", "pipe2", "fcntl"),
	},
	.max_pages = 6000,
	.place = place_memfd,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = release,
	.mode = {
		[ATTACK_ON] = {
			HOLDS_STORAGE,
			"The attacker fills memory until pages of its memfd lie in tag storage, and splices them into pipes. Nothing moves them out first. The victim gets other pages for its tagged memory, and its data moves; only a page of a memfd that it shares with the attacker, who splices that as well, gets SIGBUS.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With replace_data_page and choose_other_page off the victim fails where its tags are to be stored in a page that sits in a pipe.",
		},
	},
};

ADVERSARY(splice_pin,
	  .name = "splice-pin",
	  .summary = "holds tag storage by splice of page cache into pipes nobody reads",
	  .explanation =
		"splice() puts a page of the page cache itself into a pipe, not a copy. The page has a reference "
		"more until the pipe is read, so it cannot be moved. No get_user_pages() is involved, which "
		"move_before_pin is about, so an ordinary user can hold tag storage like that on any kernel of "
		"this series. It is up to the other mitigations that nobody else suffers from it.",
	  .params = ATTACK_PARAMS("1024", 256, 2500),
	  .needs = NEED_POLICY_CMA);
