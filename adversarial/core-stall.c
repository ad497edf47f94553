// SPDX-License-Identifier: GPL-2.0-only
/*
 * core-stall: a core dump is written to a file in the current directory, page by page, and
 * that may be in a file system of the same user, which does not answer. The process cannot
 * be killed meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define CORE_PATTERN "/proc/sys/kernel/core_pattern"

static struct dump {
	struct run *r;
	unsigned int directory;
} dump[STALL_DIRECTORIES];

/* Where the administrator has all core dumps go elsewhere, users have no say in it. */
static void core_files(struct run *r)
{
	char pattern = '|';
	struct rlimit rl;
	int fd = open(CORE_PATTERN, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &pattern, 1) < 0)
		bail_errno(r, CORE_PATTERN);
	close(fd);
	if (pattern == '|' || pattern == '/' || pattern == '\n')
		skip(r, "core dumps do not go to the current directory here: " CORE_PATTERN);
	if (getrlimit(RLIMIT_CORE, &rl))
		bail_errno(r, "RLIMIT_CORE");
	if (!rl.rlim_max)
		skip(r, "ordinary users may not dump core here: RLIMIT_CORE");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_CORE, &rl))
		bail_errno(r, "RLIMIT_CORE");
}

/* It ends, and has ended with the attacker, when the file system is aborted. */
static void start_dump(struct run *r)
{
	pid_t attacker = getpid(), pid = fork();

	if (pid < 0)
		bail_errno(r, "fork");
	if (pid)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != attacker)
		_exit(1);
	raise(SIGQUIT);
	_exit(1);
}

static void *let_dump(void *arg)
{
	const struct dump *d = arg;

	stall_fs_let_dump(d->r, d->directory);
	return NULL;
}

/* All that dumping core takes but for the pages is there before memory is full. */
static void place(struct run *r, struct attacker *a)
{
	struct parked *threads[STALL_DIRECTORIES];
	unsigned int n = (unsigned int)a->want;

	core_files(r);
	stall_fs_mount(r);
	stall_fs_one_processor(r);
	for (unsigned int i = 0; i < n; i++) {
		stall_fs_enter(r, i);
		start_dump(r);
		if (!eventually(PATIENCE_MS, stall_fs_dumps() > i))
			bail(r, "a process that dumps core has not come to write");
	}
	for (unsigned int i = 0; i < n; i++) {
		dump[i] = (struct dump){ r, i };
		threads[i] = stall_fs_park(r, let_dump, &dump[i]);
	}
	note(r, "has %zu core dumps that do not get on",
	     stall_fs_unpark_at_edge(r, a, threads, n));
}

/*
 * The page cache. The page that is dumped is held, too, but looks like any other to which
 * somebody has a reference just now.
 */
static bool is_held(const struct state_page *page)
{
	return page->kind[0] == 'f' && page->pinned && !page->locked && !page->writeback;
}

static const struct technique core_stall = {
	.role = {
		.name = "attacker",
		.summary = "dumps core to its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, FILL_EDGE_SYSCALLS,
				     "prlimit64", "getrlimit", "setrlimit", "chdir"),
	},
	.place = place,
	.release = stall_fs_release,
	.is_held = is_held,
	.mode = MODES_REFERENCE,
};

ADVERSARY(core_stall,
	  .name = "core-stall",
	  .summary = "holds tag storage by core dumps that its own file system never takes",
	  .explanation =
		"A core dump goes to a file in the current directory of the process, unless the administrator has "
		"said otherwise, and that may be in a FUSE file system of the same user. Each page is copied to "
		"the page cache first, and the request to the server has a reference to that until it is answered; "
		"the kernel also has one to the page that it dumps just now. It is a page of the page cache for "
		"each process that dumps core.",
	  .params = ATTACK_PARAMS("48", 16, STALL_DIRECTORIES),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);
