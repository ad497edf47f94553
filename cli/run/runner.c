// SPDX-License-Identifier: GPL-2.0-only
/* The life of a run: see runner.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/runner_private.h"
#include "scenario/needs.h"

#define TICK_MS 20		/* where there are no pidfds */

uint64_t runner_elapsed(const struct runner *rn)
{
	uint64_t now = rn->paused_at ? rn->paused_at : now_ns();

	return now - rn->start - rn->paused_ns;
}

void runner_emit(struct runner *rn, struct event *ev)
{
	/* The clock begins when the scenario does. */
	ev->t_ns = ev->type == EVENT_START ? 0 : runner_elapsed(rn);
	ev->scenario = rn->params->scenario->name;
	if (!ev->role)
		ev->role = "";
	rn->fn(rn->ctx, ev);
}

void runner_arm_timer(struct runner *rn)
{
	uint64_t used = runner_elapsed(rn), left = rn->limit_ns > used ? rn->limit_ns - used : 1;
	struct itimerspec it = { .it_value = { .tv_sec = (time_t)(left / 1000000000),
					       .tv_nsec = (long)(left % 1000000000) } };

	if (rn->paused_at)
		memset(&it, 0, sizeof(it));
	else if (rn->pidfd < 0 && left > TICK_MS * 1000000)
		it.it_value = (struct timespec){ .tv_nsec = TICK_MS * 1000000 };
	if (timerfd_settime(rn->timer, 0, &it, NULL))
		conclude(rn, VERDICT_ERROR, "timerfd: %s", strerror(errno));
}

/* wstatus 0: it ended by itself, or reasons enough were given before. */
static void finish(struct runner *rn, int wstatus)
{
	/* What was said last may still be in the pipes. */
	kill(-rn->pid, SIGKILL);
	rn->pid = 0;
	if (!kill_orphans(rn))
		conclude(rn, VERDICT_FAIL,
			 "a process it left behind cannot be killed: it is stuck in the kernel");
	while (read_packet(rn))
		;
	while (read_output(rn))
		;
	flush_output(rn);
	if (!rn->ended && WIFSIGNALED(wstatus))
		conclude(rn, VERDICT_FAIL, "it was killed by signal %d (%s)", WTERMSIG(wstatus),
			 strsignal(WTERMSIG(wstatus)));
	if (!rn->ended && WIFEXITED(wstatus))
		conclude(rn, VERDICT_FAIL, "it exited, status %d, before its end",
			 WEXITSTATUS(wstatus));
	settings_restore(rn);
	judge(rn);
}

/* Killed, and still there: tell where it sits, for who looks after the kernel. */
static void stuck(struct runner *rn)
{
	char wchan[64];

	conclude_further(rn, "it cannot be killed: it is stuck in the kernel, in %s",
			 stuck_where(rn, wchan, sizeof(wchan)));
	finish(rn, 0);
}

struct runner *runner_start(const struct run_options *opt, event_fn fn, void *ctx)
{
	const struct scenario *s = opt->params->scenario;
	struct runner *rn = calloc(1, sizeof(*rn));
	struct event ev = { .type = EVENT_START };
	struct event_end end = { .reason = NULL };
	char why[1024];

	if (!rn)
		return NULL;
	rn->about = run_about(opt);
	if (!rn->about) {
		free(rn);
		return NULL;
	}
	rn->say = rn->go = rn->out = rn->pidfd = rn->timer = rn->epoll = rn->keeper_fd = -1;
	rn->fn = fn;
	rn->ctx = ctx;
	rn->params = opt->params;
	rn->limit_ns = (uint64_t)rn->about->time_limit_s * 1000000000;
	ev.start = rn->about;
	rn->sending_steps = opt->step_mode;
	rn->start = now_ns();
	runner_emit(rn, &ev);
	if (!needs_met(s, &end.verdict, why, sizeof(why))) {
		rn->finished = true;
	} else {
		bool saved = settings_save(rn);

		rn->start = now_ns();
		if (saved && start_child(rn)) {
			settings_belong_to(rn);
			runner_arm_timer(rn);
			return rn;
		}
		if (saved)
			snprintf(why, sizeof(why), "cannot start a process: %s", strerror(errno));
		else
			snprintf(why, sizeof(why), "%.1000s", rn->reason);
		end.verdict = VERDICT_ERROR;
		kill_all(rn);
		settings_restore(rn);
		rn->finished = true;
	}
	end.reason = why;
	rn->verdict = end.verdict;
	ev = (struct event){ .type = EVENT_END, .end = &end };
	runner_emit(rn, &ev);
	return rn;
}

int runner_fd(const struct runner *rn)
{
	return rn->epoll;
}

pid_t runner_pid(const struct runner *rn)
{
	return rn->pid;
}

bool runner_waiting(const struct runner *rn)
{
	return rn->waiting;
}

void runner_continue(struct runner *rn)
{
	if (!rn->waiting)
		return;
	rn->waiting = false;
	rn->paused_ns += now_ns() - rn->paused_at;
	rn->paused_at = 0;
	runner_arm_timer(rn);
	if (write(rn->go, "", 1) != 1)
		conclude(rn, VERDICT_ERROR, "cannot let it go on: %s", strerror(errno));
}

void runner_set_step_mode(struct runner *rn, bool step_mode)
{
	if (rn->control)
		rn->control->step_mode = step_mode;
}

void runner_abort(struct runner *rn, const char *reason)
{
	if (rn->finished)
		return;
	conclude(rn, VERDICT_FAIL, "%s", reason);
	kill_all(rn);
}

bool runner_dispatch(struct runner *rn)
{
	struct epoll_event ready[4];
	uint64_t ticks;
	int wstatus;

	if (rn->finished)
		return false;
	/* Only to clear it; what is there is looked for below. */
	while (epoll_wait(rn->epoll, ready, 4, 0) < 0 && errno == EINTR)
		;
	if (read(rn->timer, &ticks, sizeof(ticks)) == sizeof(ticks)) {
		if (rn->killed && rn->pidfd >= 0) {
			/* Leave it; its parent's end will make it somebody else's. */
			stuck(rn);
			return false;
		}
		if (runner_elapsed(rn) >= rn->limit_ns && !rn->paused_at && !rn->killed) {
			conclude(rn, VERDICT_FAIL, "its time limit of %u s is over%s%.200s%s",
				 rn->about->time_limit_s, rn->steps ? ", in the step \"" : "",
				 rn->step, rn->steps ? "\"" : "");
			kill_all(rn);
		} else {
			runner_arm_timer(rn);
		}
	}
	/* A bounded number, so that the caller can do something else in between. */
	for (int i = 0; i < 64 && read_packet(rn); i++)
		;
	for (int i = 0; i < 16 && read_output(rn); i++)
		;
	/* A role ended it all: do not let the rest go on. */
	if (rn->ended && rn->verdict_set)
		kill_all(rn);
	if (waitpid(rn->pid, &wstatus, WNOHANG) == rn->pid)
		finish(rn, wstatus);
	return !rn->finished;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void runner_free(struct runner *rn)
{
	if (!rn)
		return;
	if (rn->pid) {
		kill_all(rn);
		while (waitpid(rn->pid, NULL, 0) < 0 && errno == EINTR)
			;
		rn->pid = 0;
		kill_orphans(rn);
	}
	settings_restore(rn);
	close_fd(rn->say);
	close_fd(rn->go);
	close_fd(rn->out);
	close_fd(rn->pidfd);
	close_fd(rn->timer);
	close_fd(rn->epoll);
	if (rn->control)
		munmap(rn->control, sizeof(*rn->control));
	state_close(rn->reader);
	run_about_free(rn->about);
	free(rn);
}

enum verdict run_to_end(const struct run_options *opt, event_fn fn, void (*wait)(void *ctx),
			void *ctx)
{
	struct runner *rn = runner_start(opt, fn, ctx);
	enum verdict v = VERDICT_ERROR;

	if (!rn)
		return v;
	while (!rn->finished) {
		struct pollfd pfd = { .fd = runner_fd(rn), .events = POLLIN };

		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			break;
		if (runner_dispatch(rn) && rn->waiting) {
			if (wait)
				wait(ctx);
			runner_continue(rn);
		}
	}
	v = rn->verdict;
	runner_free(rn);
	return v;
}
