// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmsplice-pin: one byte of each page goes into a pipe that nobody reads. The pipe holds
 * a reference to the page, which can then not be moved, for as long as the pipe lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "scenario/siege.h"

#define PIPE_PAGES 256		/* buffers of a pipe of 1 MiB, the most a user may have */
#define MAX_PIPES 72		/* fs.pipe-user-pages-soft lets a user have 64 of them ... */
#define MAX_PAGES 16000		/* ... and this leaves some for the pages of the victim */

struct pipes {
	int fd[MAX_PIPES][2];
	unsigned int n;
	bool full;		/* the last one is */
};

static void new_pipe(struct run *r, struct pipes *p)
{
	int *fd = p->fd[p->n];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		bail_errno(r, "pipe");
	/* EPERM: the user has as many as it may; it stays as small as it is. */
	if (fcntl(fd[1], F_SETPIPE_SZ, PIPE_PAGES * (int)page_size()) < 0 && errno != EPERM)
		bail_errno(r, "F_SETPIPE_SZ");
	p->full = false;
	p->n++;
}

/* Returns how many of the pages are held now. The last pipe is used until it is full. */
static size_t hold(struct run *r, struct pipes *pipes, char *p, size_t pages)
{
	size_t done = 0;

	while (done < pages) {
		struct iovec iov[64];
		size_t n = pages - done < 64 ? pages - done : 64;
		ssize_t bytes;

		if (pipes->full && pipes->n == MAX_PIPES)
			break;
		if (pipes->full || !pipes->n)
			new_pipe(r, pipes);
		for (size_t i = 0; i < n; i++)
			iov[i] = (struct iovec){ p + (done + i) * page_size(), 1 };
		bytes = vmsplice(pipes->fd[pipes->n - 1][1], iov, n, SPLICE_F_NONBLOCK);
		if (bytes < 0 && errno != EAGAIN)
			bail_errno(r, "vmsplice");
		pipes->full = bytes <= 0;
		done += bytes > 0 ? (size_t)bytes : 0;
	}
	return done;
}

static void let_go(struct pipes *pipes)
{
	for (unsigned int i = 0; i < pipes->n; i++) {
		close(pipes->fd[i][0]);
		close(pipes->fd[i][1]);
	}
	pipes->n = 0;
	pipes->full = false;
}

static void attack(struct run *r, void *arg)
{
	struct pipes *pipes = &(struct pipes){ .n = 0 };
	struct siege *s = arg;

	siege_hoard(r, s, param_u64(r, "hold"), MAX_PAGES);
	gate_open(s->placed);
	if (!gate_wait(s->hold, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to hold its pages");
	s->held_pages = hold(r, pipes, (char *)(uintptr_t)s->hoard, s->hoard_pages);
	note(r, "holds %llu pages in %u pipes", (unsigned long long)s->held_pages, pipes->n);
	gate_open(s->held);

	if (!gate_wait(s->hold_shared, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker about the victim");
	for (unsigned int i = 0; i < s->n[SIEGE_SHARED]; i++)
		if (hold(r, pipes, (char *)(uintptr_t)s->page[SIEGE_SHARED][i].addr, 1) != 1)
			bail(r, "cannot hold a shared page");
	gate_open(s->held_shared);
	if (!gate_wait(s->let_go, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to let go");
	let_go(pipes);
	gate_open(s->released);
	if (!gate_wait(s->end, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the attacker to end");
	siege_hoard_check(s);
}

static const struct role attacker = {
	.name = "attacker",
	.summary = "holds pages by vmsplice into pipes nobody reads",
	.syscalls = SYSCALLS(SIEGE_SYSCALLS, "vmsplice", "pipe2", "fcntl"),
};

static void besiege(struct run *r, const struct siege_mode *mode)
{
	bool pins = !mode->move_before_pin;
	struct siege_want want = { .held = pins, .harm = !mode->replace_data_page };
	/* Data page and tag storage both held: only where the rest is of no avail either. */
	bool shared = mode == &siege_evade;
	struct siege *s = siege_new(r, mode, param_u64(r, "victim-memory"), shared);
	struct siege_held placed, held;
	struct state_summary before, after;
	struct child *a;

	a = role_spawn(r, &attacker, attack, s);
	siege_await(r, a, &attacker, s->placed, "filled memory");
	placed = siege_look_hoard(r, s, role_pid(a));
	require(r, placed.pages, "%s: the attacker has pages in tag storage", mode->text);
	before = summary_now(r);
	gate_open(s->hold);
	siege_await(r, a, &attacker, s->held, "held its pages");
	after = summary_now(r);
	held = siege_look_hoard(r, s, role_pid(a));
	note(r, "%llu of %llu blocks had the attacker's data, %llu after it has pinned it",
	     (unsigned long long)placed.blocks, (unsigned long long)placed.nr_blocks,
	     (unsigned long long)held.blocks);
	measure(r, pins ? (mode == &siege_off ? "off_held_blocks" : "evade_held_blocks") :
			  "on_held_blocks", "blocks", (double)held.blocks);

	expect_eq_u64(r, s->held_pages, s->hoard_pages, "%s: the pipes hold the attacker's pages",
		      mode->text);
	if (pins) {
		require(r, held.pages, "%s: pinned pages lie in tag storage", mode->text);
		expect_eq_u64(r, held.shown, held.blocks, "%s: the block map shows them as pinned",
			      mode->text);
	} else {
		expect_eq_u64(r, held.pages, 0, "%s: no pinned page lies in tag storage",
			      mode->text);
		expect_range(r, after.pin_moved - before.pin_moved, placed.pages, UINT64_MAX,
			     "%s: they were moved out when they were pinned", mode->text);
	}

	siege_run(r, s, &held, &want, a, &attacker,
		  (unsigned int)param_u64(r, "victim-pages"));
	if (shared)
		expect_eq_u64(r, s->n[SIEGE_SHARED], SIEGE_SHARED_PAGES,
			      "%s: the worst case, data page and tag storage both held, was seen",
			      mode->text);
	siege_held_free(&placed);
	siege_held_free(&held);
}

static void vmsplice_pin(struct run *r)
{
	step(r, "For comparison, a victim takes tagged memory by mmap and by mprotect while nobody attacks it.");
	siege_run(r, siege_new(r, &siege_on, param_u64(r, "victim-memory"), false), NULL,
		  &(struct siege_want){ .held = false }, NULL, NULL,
		  (unsigned int)param_u64(r, "victim-pages"));
	if (siege_wanted(r, &siege_on)) {
		step(r, "The attacker fills memory until its data lies in tag storage, and pins it with vmsplice. The kernel moves each page out of tag storage first, so that nothing there is held and the victim does not notice.");
		besiege(r, &siege_on);
	}
	if (siege_wanted(r, &siege_evade)) {
		step(r, "Now move_before_pin is off: the pins hold tag storage, for as long as the attacker wants. The victim's new pages are taken where tag storage can be had, and those it has already are moved there. Only a page that the attacker can pin too, because they share it, cannot get tags: there the victim gets SIGBUS, after a bounded time.");
		besiege(r, &siege_evade);
	}
	if (siege_wanted(r, &siege_off)) {
		step(r, "With replace_data_page and choose_other_page off as well, the attacker denies tags to whom it wants.");
		besiege(r, &siege_off);
	}
}

static const struct scenario vmsplice_pin_scenario = {
	.name = "vmsplice-pin",
	.kind = SCENARIO_ADVERSARY,
	.summary = "pins tag storage by vmsplice into pipes nobody reads",
	.explanation = "A page whose data sits in a pipe cannot be moved. An ordinary user can put one byte "
		"of each of its pages there and never read it; if such a page lies in tag storage, the tags of "
		"32 other pages have no place. The kernel answers in three ways, each with a switch: it moves "
		"pages out of tag storage before it lets anybody pin them, it takes another page for new tagged "
		"memory, and it moves existing data to where tags can be had. What is left is a page that the "
		"attacker shares with the victim and pins too; then the victim gets SIGBUS after fault_wait_ms, "
		"and can go on when the attacker lets go.",
	.params = PARAMS(
		P_ENUM("mitigations", "all", "all|on|evade|off",
		       "on; evade: pins are let into tag storage; off; or all of these in turn"),
		P_UINT("hold", "1024", 256, 8192,
		       "pages of tag storage the attacker pins; it pins others, too"),
		P_UINT("victim-pages", "128", 1, SIEGE_MAX_PAGES,
		       "pages the victim tags in each way"),
		P_SIZE("victim-memory", "96M", 1 << 20, 1ULL << 30,
		       "memory of the victim in which these pages are looked for")),
	.needs = NEED_POLICY_CMA,
	.min_memory = 400ULL << 20,
	.time_limit_s = 900,
	.syscalls = SYSCALLS("mprotect"),
	.roles = ROLES(&attacker, &siege_victim),
	.run = vmsplice_pin,
};
SCENARIO(vmsplice_pin_scenario);
