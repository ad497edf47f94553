// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processes of a group. Each waits at a mailbox of its own for a step, takes it, and
 * tells what came of it. They take turns, so what one group does is a sequence; groups run
 * at the same time.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuzz/fuzz.h"

struct mailbox {
	int asked, answered;	/* numbers of steps; futexes */
	struct call call;
};

struct actors {
	struct shared *shared;
	struct mailbox *box;
	unsigned int hang_s;
	pid_t first;
};

static void futex_wait(int *at, int value, unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	syscall(SYS_futex, at, FUTEX_WAIT, value, &ts, NULL, 0);
}

static void futex_wake(int *at)
{
	syscall(SYS_futex, at, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void answer(struct mailbox *b, int got)
{
	struct call *c = &b->call;

	c->got = got;
	runtime_bad(&c->offset, &c->bad_got, &c->bad_want);
	__atomic_add_fetch(&b->answered, 1, __ATOMIC_SEQ_CST);
	futex_wake(&b->answered);
}

static void serve(struct mailbox *boxes)
{
	struct mailbox *b = boxes;
	int done = 0, got;

	for (;;) {
		while (__atomic_load_n(&b->asked, __ATOMIC_SEQ_CST) == done)
			futex_wait(&b->asked, done, 1000);
		done++;
		if (b->call.id == CALL_EXIT) {
			answer(b, 0);
			_exit(0);
		}
		got = runtime_call(b->call.id, b->call.arg);
		if (b == &boxes[runtime_me()]) {
			answer(b, got);
			continue;
		}
		/* This is the child; its parent answers. */
		b = &boxes[runtime_me()];
		done = b->answered;
	}
}

struct actors *actors_new(unsigned int hang_s)
{
	struct actors *a = calloc(1, sizeof(*a));
	size_t size = FUZZ_PROCESSES * sizeof(struct mailbox);

	if (!a)
		return NULL;
	a->hang_s = hang_s;
	a->shared = runtime_shared();
	a->box = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->box == MAP_FAILED)
		a->box = NULL;
	/* Those whose parent ends are still to be found. */
	if (!a->shared || !a->box || prctl(PR_SET_CHILD_SUBREAPER, 1))
		goto fail;
	a->first = fork();
	if (!a->first) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		runtime_begin(a->shared);
		serve(a->box);
	}
	if (a->first < 0)
		goto fail;
	while (!runtime_pid(a->shared, 0) && !waitpid(a->first, NULL, WNOHANG))
		sleep_ms(1);
	return a;
fail:
	actors_free(a);
	return NULL;
}

/* It is a zombie, or not there at all. */
static bool gone(struct actors *a, int who)
{
	pid_t pid = (pid_t)runtime_pid(a->shared, who);

	return waitpid(pid, NULL, WNOHANG) == pid || (kill(pid, 0) && errno == ESRCH);
}

int actors_step(void *actors, struct call *c)
{
	struct actors *a = actors;
	struct mailbox *b = &a->box[c->who];
	int answered = b->answered;
	uint64_t until = now_ns() + a->hang_s * 1000000000ULL;

	b->call = *c;
	__atomic_add_fetch(&b->asked, 1, __ATOMIC_SEQ_CST);
	futex_wake(&b->asked);
	while (__atomic_load_n(&b->answered, __ATOMIC_SEQ_CST) == answered) {
		futex_wait(&b->answered, answered, 200);
		if (__atomic_load_n(&b->answered, __ATOMIC_SEQ_CST) != answered)
			break;
		if (gone(a, c->who))
			return c->got = ACTOR_GONE;
		if (now_ns() > until)
			return c->got = ACTOR_HANGS;
	}
	c->got = b->call.got;
	c->offset = b->call.offset;
	c->bad_got = b->call.bad_got;
	c->bad_want = b->call.bad_want;
	return c->got;
}

void actors_free(struct actors *a)
{
	if (!a)
		return;
	for (int who = 0; a->shared && who < FUZZ_PROCESSES; who++) {
		pid_t pid = (pid_t)runtime_pid(a->shared, who);

		if (pid > 0)
			kill(pid, SIGKILL);
	}
	/* A task that cannot be killed is told by those who look for tasks that hang. */
	for (int i = 0; i < 5000 && waitpid(-1, NULL, WNOHANG) >= 0; i++)
		sleep_ms(1);
	if (a->box)
		munmap(a->box, FUZZ_PROCESSES * sizeof(*a->box));
	free(a);
}
