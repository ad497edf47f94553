// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmsplice-*: one byte of each page goes into a pipe that nobody reads. The pipe holds a
 * reference to the page, which can then not be moved, for as long as the pipe lives; also
 * as a gift, from memory that a child has, too, from huge pages, with nobody left who has
 * the pipe open, and over and over again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/pipes.h"
#include "attack/storm.h"
#include "scenario/memory.h"

#define MAX_PAGES 16000		/* leaves some of what a user may have for shared pages */
#define HUGE_SIZE ((size_t)2 << 20)
#define MAX_HUGE 16

static unsigned int flags = SPLICE_F_NONBLOCK;
static bool full;		/* the last pipe is */

/*
 * Returns how many of these pages, each so far from the one before, are held now. The last
 * pipe is used until it is full.
 */
static size_t splice_each(struct run *r, char *p, size_t pages, size_t step)
{
	size_t done = 0;

	while (done < pages) {
		struct iovec iov[64];
		size_t n = pages - done < 64 ? pages - done : 64;
		ssize_t bytes;

		if ((full || !pipes_last()) && !pipes_add(r))
			break;
		for (size_t i = 0; i < n; i++)
			iov[i] = (struct iovec){ p + (done + i) * step, 1 };
		bytes = vmsplice(pipes_last()[1], iov, n, flags);
		if (bytes < 0 && errno != EAGAIN)
			bail_errno(r, "vmsplice");
		full = bytes <= 0;
		done += bytes > 0 ? (size_t)bytes : 0;
	}
	return done;
}

static size_t hold(struct run *r, struct attacker *a)
{
	return splice_each(r, a->memory, a->pages, page_size());
}

static void hold_shared(struct run *r, struct attacker *a, char *page)
{
	(void)a;
	if (splice_each(r, page, 1, page_size()) != 1)
		bail(r, "a shared page does not go into a pipe");
}

/* ---- As a gift: the kernel may steal the page ------------------------------------ */

static size_t hold_gift(struct run *r, struct attacker *a)
{
	flags |= SPLICE_F_GIFT;
	return hold(r, a);
}

/* ---- Pages that a child maps, too -------------------------------------------------- */

static pid_t child;

static size_t hold_forked(struct run *r, struct attacker *a)
{
	pid_t parent = getpid();

	child = fork();
	if (child < 0)
		bail_errno(r, "fork");
	while (!child && getppid() == parent)
		sleep_ms(100);
	if (!child)
		_exit(0);
	return hold(r, a);
}

static void release_forked(struct run *r, struct attacker *a)
{
	pipes_release(r, a);
	if (kill(child, SIGKILL) || waitpid(child, NULL, 0) != child)
		bail_errno(r, "the attacker's child");
}

/* ---- A byte of each huge page -------------------------------------------------------- */

static unsigned int huge;

/* Where the kernel has no huge page free outside of tag storage, it takes small ones. */
static void place_huge(struct run *r, struct attacker *a)
{
	size_t size = MAX_HUGE * HUGE_SIZE;
	struct fill f;
	char *p;

	if (!huge_pages_here())
		skip(r, "there are no transparent huge pages here");
	f = fill_memory(r);
	p = map_memory(r, size + HUGE_SIZE, MADV_HUGEPAGE, -1);
	p += -(uintptr_t)p & (HUGE_SIZE - 1);
	for (; huge < MAX_HUGE && room_pages(r) * 4 > HUGE_SIZE / page_size(); huge++)
		populate(r, p + huge * HUGE_SIZE, HUGE_SIZE);
	fill_free(r, &f);
	a->memory = p;
	note(r, "has %u huge pages", huge);
}

static size_t hold_huge(struct run *r, struct attacker *a)
{
	return splice_each(r, a->memory, huge, HUGE_SIZE);
}

static bool is_huge_and_held(const struct state_page *page)
{
	return page->order && page->pinned;
}

/* ---- With nobody left who has the pipes open ------------------------------------------ */

static int in_flight[2];	/* a socket in which the pipes wait to be received */
static struct {
	struct run *r;
	struct attacker *a;
	char stack[64 << 10] __attribute__((aligned(16)));
} owner;

static void send_away(struct run *r, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { .buf = "" };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(in_flight[0], &msg, 0) != 1)
		bail_errno(r, "SCM_RIGHTS");
}

/* Has the same memory, which then no other process maps, but files of its own. */
static int owner_main(void *arg)
{
	size_t done = 0;

	(void)arg;
	while (done < owner.a->pages) {
		size_t n = owner.a->pages - done < PIPE_PAGES ? owner.a->pages - done : PIPE_PAGES;
		size_t got = splice_each(owner.r, owner.a->memory + done * page_size(), n,
					 page_size());

		done += got;
		if (got < n)
			break;
	}
	owner.a->held = done;
	for (; pipes_last(); pipes_drop())
		send_away(owner.r, pipes_last()[0]);
	return 0;
}

static size_t hold_orphaned(struct run *r, struct attacker *a)
{
	int status;
	pid_t pid;

	owner.r = r;
	owner.a = a;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in_flight))
		bail_errno(r, "socketpair");
	pid = clone(owner_main, owner.stack + sizeof(owner.stack), CLONE_VM | SIGCHLD, NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		bail_errno(r, "clone");
	if (status)
		bail(r, "the owner of the pipes ended with status %d", status);
	return a->held;
}

static void release_orphaned(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	close(in_flight[0]);
	close(in_flight[1]);
}

/* ---- Over and over again ---------------------------------------------------------------- */

static int storm_pipes[STORM_THREADS][2];

static void pin_and_release(unsigned int thread, char *p, size_t pages)
{
	const int *pipe = storm_pipes[thread];
	struct iovec iov[STORM_PAGES];
	char drain[STORM_PAGES];
	ssize_t bytes;

	for (size_t i = 0; i < pages; i++)
		iov[i] = (struct iovec){ p + i * page_size(), 1 };
	bytes = vmsplice(pipe[1], iov, pages, SPLICE_F_NONBLOCK);
	if (bytes > 0 && read(pipe[0], drain, (size_t)bytes) != bytes)
		abort();
}

static size_t hold_storm(struct run *r, struct attacker *a)
{
	for (size_t i = 0; i < STORM_THREADS; i++)
		memcpy(storm_pipes[i], pipes_add(r), sizeof(storm_pipes[i]));
	storm_begin(r, a, pin_and_release);
	return a->pages;
}

static void release_storm(struct run *r, struct attacker *a)
{
	storm_end();
	pipes_release(r, a);
}

/* ---- The techniques ------------------------------------------------------------------------ */

static const struct technique vmsplice_pin = {
	.role = {
		.name = "attacker",
		.summary = "holds pages by vmsplice into pipes nobody reads",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, "vmsplice", PIPES_SYSCALLS),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = pipes_release,
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
	  .needs = NEED_TAG_STORAGE);

#define VMSPLICE_SYSCALLS ATTACK_SYSCALLS, PIPES_SYSCALLS, "vmsplice"

static const struct technique vmsplice_gift = {
	.role = {
		.name = "attacker",
		.summary = "gives pages away by vmsplice into pipes nobody reads",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold_gift,
	.hold_shared = hold_shared,
	.release = pipes_release,
	.mode = MODES_PIN,
};

ADVERSARY(vmsplice_gift,
	  .name = "vmsplice-gift",
	  .summary = "pins tag storage by pages given to pipes nobody reads",
	  .explanation =
		"SPLICE_F_GIFT allows the kernel to take the page itself for whatever reads the pipe. Nobody does, "
		"so it stays in the pipe like any other, and like any other it has to be moved out of tag storage "
		"before.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);

static const struct technique vmsplice_fork = {
	.role = {
		.name = "attacker",
		.summary = "holds pages that a child of its own has, too, by vmsplice",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS, "clone", "clone3", "kill", "wait4"),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold_forked,
	.hold_shared = hold_shared,
	.release = release_forked,
	.mode = MODES_REFERENCE,
};

ADVERSARY(vmsplice_fork,
	  .name = "vmsplice-fork",
	  .summary = "pins tag storage by vmsplice of pages that a child maps, too",
	  .explanation =
		"move_before_pin moves only pages that nobody but the caller maps: to move others would cost those "
		"who have no part in it. An attacker forks, so that a child of its own maps all its memory, and pins "
		"it then. It does hold tag storage, on any kernel of this series; the other mitigations see to it "
		"that nobody else suffers.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);

static const struct technique vmsplice_huge = {
	.role = {
		.name = "attacker",
		.summary = "holds huge pages by vmsplice of one byte of each",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS),
	},
	.place = place_huge,
	.hold = hold_huge,
	.release = pipes_release,
	.is_held = is_huge_and_held,
	.mode = MODES_LONGTERM,
};

ADVERSARY(vmsplice_huge,
	  .name = "vmsplice-huge",
	  .summary = "pins huge pages by vmsplice of one byte of each",
	  .explanation =
		"A pipe that has one byte of a huge page holds all of its 512 pages. If these were tag storage, a few "
		"hundred bytes would hold all of it. But tag storage is never given out as large pages, whatever the "
		"switches.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);

static const struct technique vmsplice_orphan = {
	.role = {
		.name = "attacker",
		.summary = "sends away pipes with its pages, whose owner then is gone",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS, "socketpair", "sendmsg", "clone", "wait4"),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold_orphaned,
	.release = release_orphaned,
	.mode = MODES_PIN,
};

ADVERSARY(vmsplice_orphan,
	  .name = "vmsplice-orphan",
	  .summary = "pins tag storage by pipes that no task has open",
	  .explanation =
		"Open files can be sent over a socket. While they wait to be received no task has them, and the one "
		"that sent them may be gone: nobody finds who holds the pages, and to kill a task that looks "
		"suspicious does not help. The kernel need not find it, if it moves pages before they are pinned.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);

static const struct technique pin_storm = {
	.role = {
		.name = "attacker",
		.summary = "pins and releases its pages all the time, in two threads",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS, STORM_SYSCALLS),
	},
	.max_pages = MAX_PAGES,
	.place = place_anonymous,
	.hold = hold_storm,
	.release = release_storm,
	.mode = {
		[ATTACK_ON] = { MOVED_FIRST, NULL },
		[ATTACK_PINS_ALLOWED] = { MAY_HOLD, NULL },
		[ATTACK_OFF] = { MAY_HOLD, NULL },
	},
};

ADVERSARY(pin_storm,
	  .name = "pin-storm",
	  .summary = "pins and releases pages of tag storage all the time",
	  .explanation =
		"No pin lasts, but there are so many that whoever needs the tag storage mostly comes at the wrong "
		"moment. That costs others attempts, and processor time; nobody may fail for it with the "
		"mitigations on, nor wait long.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);

static const struct technique vmsplice_crowd = {
	.role = {
		.name = "attacker",
		.summary = "one of four that hold pages by vmsplice",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS),
	},
	.max_pages = MAX_PAGES,
	.attackers = 4,
	.place = place_anonymous,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = pipes_release,
	.mode = MODES_PIN,
};

ADVERSARY(vmsplice_crowd,
	  .name = "vmsplice-crowd",
	  .summary = "pins tag storage by vmsplice, four attackers at once",
	  .explanation =
		"What a user may have of pipes and of open files is limited, but there may be many who do the same. "
		"Each holds its part.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);

static const struct technique vmsplice_cgroup = {
	.role = {
		.name = "attacker",
		.summary = "holds pages by vmsplice, in a memory cgroup",
		.syscalls = SYSCALLS(VMSPLICE_SYSCALLS),
	},
	.max_pages = MAX_PAGES,
	.cgroup = true,
	.place = place_anonymous,
	.hold = hold,
	.hold_shared = hold_shared,
	.release = pipes_release,
	.mode = MODES_PIN,
};

ADVERSARY(vmsplice_cgroup,
	  .name = "vmsplice-cgroup",
	  .summary = "pins tag storage by vmsplice from a memory cgroup",
	  .explanation =
		"The attacker is in a memory cgroup, as a container is, and so are its pages: those that are moved "
		"out of tag storage have to be charged to it, not to who wants the tag storage, and nothing may "
		"stay charged when it is gone.",
	  .params = ATTACK_PARAMS("1024", 256, 8192),
	  .needs = NEED_TAG_STORAGE);
