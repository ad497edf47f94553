// SPDX-License-Identifier: GPL-2.0-only
/*
 * io-uring-pin: memory registered with io_uring as fixed buffers is pinned for as long
 * as the ring lives. But such a pin is long-term by declaration, and the kernel moves
 * pages out of CMA, and so out of tag storage, before it grants one. To be shown, not
 * believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

#include "scenario/siege.h"

#define BUFFERS 16

static void must(struct run *r, int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	bail_errno(r, "%s", what);
}

/* Returns how many pages are registered. */
static size_t register_all(struct run *r, struct io_uring *ring, char *p, size_t pages)
{
	struct iovec iov[BUFFERS];
	size_t each = pages / BUFFERS;

	for (size_t i = 0; i < BUFFERS; i++)
		iov[i] = (struct iovec){ p + i * each * page_size(), each * page_size() };
	must(r, io_uring_register_buffers(ring, iov, BUFFERS), "io_uring_register_buffers");
	return each * BUFFERS;
}

/* An operation on a registered buffer that never completes: nobody writes to the pipe. */
static void read_for_ever(struct run *r, struct io_uring *ring, const int *pipe_fd, char *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		bail(r, "no submission queue entry");
	io_uring_prep_read_fixed(sqe, pipe_fd[0], p, (unsigned int)page_size(), 0, 0);
	must(r, io_uring_submit(ring), "io_uring_submit");
}

static void attack(struct run *r, void *arg)
{
	struct siege *s = arg;
	struct io_uring ring, greedy;
	char *p;
	int fd[2];

	siege_hoard(r, s, param_u64(r, "hold"), param_u64(r, "hold"));
	p = (char *)(uintptr_t)s->hoard;
	gate_open(s->placed);
	if (!gate_wait(s->hold, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to hold its pages");
	must(r, io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	if (pipe2(fd, O_CLOEXEC))
		bail_errno(r, "pipe");
	s->held_pages = register_all(r, &ring, p, s->hoard_pages);
	read_for_ever(r, &ring, fd, p);
	note(r, "has registered %llu pages", (unsigned long long)s->held_pages);
	gate_open(s->held);

	/* Again the same, in a ring of its own: more than RLIMIT_MEMLOCK lets a user have. */
	if (!gate_wait(s->hold_shared, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker about the victim");
	must(r, io_uring_queue_init(8, &greedy, 0), "io_uring_queue_init");
	if (param_bool(r, "greedy")) {
		struct iovec all = { p, s->hoard_pages * page_size() };
		int ret = io_uring_register_buffers(&greedy, &all, 1);

		expect_eq_u64(r, (uint64_t)-ret, ENOMEM,
			      "%s: more than RLIMIT_MEMLOCK cannot be registered", s->mode->text);
	}
	gate_open(s->held_shared);
	if (!gate_wait(s->let_go, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to let go");
	io_uring_queue_exit(&greedy);
	io_uring_queue_exit(&ring);
	close(fd[0]);
	close(fd[1]);
	gate_open(s->released);
	if (!gate_wait(s->end, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to end");
	siege_hoard_check(s);
}

static const struct role attacker = {
	.name = "attacker",
	.summary = "registers its memory with io_uring as fixed buffers",
	.syscalls = SYSCALLS(SIEGE_SYSCALLS, "io_uring_setup", "io_uring_enter", "io_uring_register",
			     "pipe2"),
};

static void besiege(struct run *r, const struct siege_mode *mode)
{
	struct siege *s = siege_new(r, mode, param_u64(r, "victim-memory"), false);
	struct siege_held placed, held;
	struct child *a;

	a = role_spawn(r, &attacker, attack, s);
	siege_await(r, a, &attacker, s->placed, "filled memory");
	placed = siege_look_hoard(r, s, role_pid(a));
	require(r, placed.pages, "%s: the attacker has pages in tag storage", mode->text);
	gate_open(s->hold);
	siege_await(r, a, &attacker, s->held, "registered its memory");
	held = siege_look_hoard(r, s, role_pid(a));
	note(r, "%llu of %llu blocks had the attacker's data, %llu after it is registered",
	     (unsigned long long)placed.blocks, (unsigned long long)placed.nr_blocks,
	     (unsigned long long)held.blocks);
	measure(r, mode == &siege_on ? "on_placed_blocks" : "off_placed_blocks", "blocks",
		(double)placed.blocks);
	measure(r, mode == &siege_on ? "on_held_blocks" : "off_held_blocks", "blocks",
		(double)held.blocks);
	/* What did not fit the number of buffers was not registered. */
	expect_range(r, s->hoard_pages - s->held_pages, 0, BUFFERS - 1,
		     "%s: the attacker's memory is registered", mode->text);
	expect_range(r, held.pages, 0, s->hoard_pages - s->held_pages,
		     "%s: no registered page lies in tag storage", mode->text);

	siege_run(r, s, NULL, &(struct siege_want){ .held = false }, a, &attacker,
		  (unsigned int)param_u64(r, "victim-pages"));
	siege_held_free(&placed);
	siege_held_free(&held);
}

static void io_uring_pin(struct run *r)
{
	step(r, "For comparison, a victim takes tagged memory by mmap and by mprotect while nobody attacks it.");
	siege_run(r, siege_new(r, &siege_on, param_u64(r, "victim-memory"), false), NULL,
		  &(struct siege_want){ .held = false }, NULL, NULL,
		  (unsigned int)param_u64(r, "victim-pages"));
	if (siege_wanted(r, &siege_on)) {
		step(r, "The attacker fills memory until its data lies in tag storage, and registers it with io_uring, with a read that never completes. A long-term pin moves pages out of tag storage first.");
		besiege(r, &siege_on);
	}
	if (siege_wanted(r, &siege_off)) {
		step(r, "The same with every mitigation of tag storage off: for this kind of pin they are not needed.");
		besiege(r, &siege_off);
	}
}

static const struct scenario io_uring_pin_scenario = {
	.name = "io-uring-pin",
	.kind = SCENARIO_ADVERSARY,
	.summary = "pins memory for ever as io_uring's registered buffers",
	.explanation = "Buffers registered with io_uring stay pinned until the ring goes away, which is up "
		"to their owner. Such pins are made with FOLL_LONGTERM, and those who ask for that get pages "
		"outside of memory that somebody may need back: pages in tag storage are moved first. So this "
		"attack is expected to fail with all switches of tag storage on, and also with all of them off.",
	.params = PARAMS(
		P_ENUM("mitigations", "all", "all|on|off", "on; off; or one after the other"),
		P_UINT("hold", "1920", 1040, 2032,
		       "pages the attacker registers; RLIMIT_MEMLOCK lets it have 2048"),
		P_BOOL("greedy", "on", "then try to register as many again, over the limit"),
		P_UINT("victim-pages", "128", 1, SIEGE_MAX_PAGES,
		       "pages the victim tags in each way"),
		P_SIZE("victim-memory", "96M", 1 << 20, 1ULL << 30,
		       "memory of the victim in which these pages are looked for")),
	.needs = NEED_POLICY_CMA | NEED_IO_URING,
	.min_memory = 400ULL << 20,
	.time_limit_s = 600,
	.syscalls = SYSCALLS("mprotect"),
	.roles = ROLES(&attacker, &siege_victim),
	.run = io_uring_pin,
};
SCENARIO(io_uring_pin_scenario);
