// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec-stall: execve() copies the arguments to the stack of the new program before it
 * reads the file. While that read stalls, rmap leaves the pages of this stack alone, so
 * they cannot be moved. Nothing holds a reference: they look like any other anonymous page.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/stall_fs.h"

#define MAX_EXECS 8
#define EXECS_AT_ONCE 2
#define ARGUMENTS 40			/* 4.7 MiB for each execve(); 6 MiB is the most */
#define ARGUMENT_SIZE (120 << 10)	/* a single one may have 128 KiB */
#define STACK_LIMIT ((rlim_t)64 << 20)

static char *arguments[ARGUMENTS + 1];
static char paths[MAX_EXECS][STALL_PATH_MAX];

/* Returns when the file system is aborted. */
static void *exec_file(void *arg)
{
	char *const no_environment[] = { NULL };

	if (!vfork()) {
		execve(arg, arguments, no_environment);
		_exit(0);
	}
	return NULL;
}

static void raise_stack_limit(struct run *r)
{
	struct rlimit rl;

	/* Arguments may take a quarter of it. */
	if (getrlimit(RLIMIT_STACK, &rl))
		bail_errno(r, "RLIMIT_STACK");
	rl.rlim_cur = rl.rlim_max < STACK_LIMIT ? rl.rlim_max : STACK_LIMIT;
	if (setrlimit(RLIMIT_STACK, &rl))
		bail_errno(r, "RLIMIT_STACK");
}

/* The pages cannot be moved from the moment on in which they are allocated. */
static void place(struct run *r, struct attacker *a)
{
	char *text = calloc(1, ARGUMENT_SIZE);
	uint64_t before = tag_storage_free(r);
	unsigned int n = 0, last;
	struct fill f;

	if (!text)
		bail(r, "out of memory");
	memset(text, 'x', ARGUMENT_SIZE - 1);
	for (unsigned int i = 0; i < ARGUMENTS; i++)
		arguments[i] = text;
	for (unsigned int i = 0; i < MAX_EXECS; i++)
		stall_fs_path(i, paths[i]);
	raise_stack_limit(r);
	stall_fs_mount(r);
	/*
	 * How many of the pages lie in tag storage cannot be told before memory is free again:
	 * those that fill it lie there, too.
	 */
	do {
		last = n;
		f = fill_memory(r);
		while (n < MAX_EXECS && n - last < EXECS_AT_ONCE && room_pages(r)) {
			stall_fs_start(r, exec_file, paths[n++]);
			fill_more(r, &f);
		}
		fill_free(r, &f);
	} while (n != last && n < MAX_EXECS && tag_storage_free(r) + a->want > before);
	note(r, "has %zu pages of arguments, in %u calls of execve",
	     (size_t)n * ARGUMENTS * ARGUMENT_SIZE / page_size(), stall_fs_requests());
}

/* All that can be told: nobody else has much there, once memory is not full any more. */
static bool is_held(const struct state_page *page)
{
	return page->kind[0] == 'a' && page->mapcount == 1;
}

static const struct technique exec_stall = {
	.role = {
		.name = "attacker",
		.summary = "executes files of its own file system, which never answers",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, STALL_FS_SYSCALLS, "execve", "prlimit64",
				     "getrlimit", "setrlimit", "vfork"),
	},
	.place = place,
	.release = stall_fs_release,
	.is_held = is_held,
	.looks_movable = true,
	.strays = 64,
	.mode = {
		/*
		 * The copy asks get_user_pages() for each page, so that move_before_pin may
		 * move it while it still can be; whether it does is no promise.
		 */
		[ATTACK_ON] = { MAY_HOLD, NULL },
		[ATTACK_PINS_ALLOWED] = {
			HOLDS_STORAGE,
			"The attacker calls execve with megabytes of arguments for a file of its own file system, with memory so full that the arguments are copied to pages in tag storage. The file is never read, and meanwhile the kernel cannot move these pages, though nothing holds them. The victim gets its tagged memory elsewhere.",
		},
		[ATTACK_OFF] = {
			HOLDS_STORAGE,
			"With the mitigations off there is no other place for the victim's tags, and it gets SIGBUS.",
		},
	},
};

ADVERSARY(exec_stall,
	  .name = "exec-stall",
	  .summary = "holds tag storage by execve of a file that is never read",
	  .explanation =
		"execve() copies its arguments to the stack of the new program, then reads the file. The stack is "
		"temporary until the program starts: reverse mapping does not move its pages, so that exec can "
		"move the whole stack itself. A file in a FUSE file system of the same ordinary user need not "
		"ever be read. The pages have no more references than others, so a look at reference counts "
		"does not show that they cannot be moved; only the attempt does.",
	  .params = ATTACK_PARAMS("1024", 256, 4000),
	  .needs = NEED_TAG_STORAGE | NEED_FUSE);
