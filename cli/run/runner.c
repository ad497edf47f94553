// SPDX-License-Identifier: GPL-2.0-only
/* Running a scenario in a process of its own: see runner.h. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "scenario/child.h"

#define MAX_SWITCHES 16
#define TICK_MS 20		/* where there are no pidfds */
#define KILL_S 10		/* what is killed has this long to die */

struct runner {
	event_fn fn;
	void *ctx;
	struct run_info info;
	struct run_control *control;
	pid_t pid;			/* 0: reaped */
	int say, go, out, pidfd, timer, epoll;
	uint64_t start, limit_ns, paused_at, paused_ns;
	bool waiting, ended, finished, killed, sending_steps;
	unsigned int steps, passed, failed;
	char step[256];			/* where it is, for a message */
	char role[64];
	char verdict_set;
	enum verdict verdict;
	char reason[1200];
	char line[1024];		/* of its output, not complete yet */
	size_t line_len;
	struct state_summary state;
	bool have_state;
	uint64_t switches[MAX_SWITCHES];
	bool switch_known[MAX_SWITCHES];
	struct state *reader;
};

const char *verdict_name(enum verdict v)
{
	switch (v) {
	case VERDICT_PASS:
		return "pass";
	case VERDICT_FAIL:
		return "fail";
	case VERDICT_ERROR:
		return "error";
	case VERDICT_SKIP:
		return "skip";
	}
	return "?";
}

/* ---- Events ------------------------------------------------------------------ */

static uint64_t elapsed(const struct runner *rn)
{
	uint64_t now = rn->paused_at ? rn->paused_at : now_ns();

	return now - rn->start - rn->paused_ns;
}

static void emit(struct runner *rn, struct event *ev)
{
	ev->t_ns = elapsed(rn);
	ev->run = &rn->info;
	if (!ev->role)
		ev->role = "";
	rn->fn(rn->ctx, ev);
}

/* The first reason counts: what follows is mostly its consequence. */
static void conclude(struct runner *rn, enum verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void conclude(struct runner *rn, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	if (rn->verdict_set)
		return;
	rn->verdict_set = 1;
	rn->verdict = v;
	va_start(ap, fmt);
	vsnprintf(rn->reason, sizeof(rn->reason), fmt, ap);
	va_end(ap);
}

static void add_result(struct runner *rn, const char *role, bool ok, const char *text,
		       const char *detail)
{
	struct event ev = {
		.type = EVENT_RESULT,
		.role = role,
		.ok = ok,
		.text = text,
		.detail = ok ? NULL : detail,
	};

	if (ok)
		rn->passed++;
	else
		rn->failed++;
	ev.number = rn->passed + rn->failed;
	emit(rn, &ev);
}

static void arm_timer(struct runner *rn)
{
	uint64_t used = elapsed(rn), left = rn->limit_ns > used ? rn->limit_ns - used : 1;
	struct itimerspec it = { .it_value = { .tv_sec = (time_t)(left / 1000000000),
					       .tv_nsec = (long)(left % 1000000000) } };

	if (rn->paused_at)
		memset(&it, 0, sizeof(it));
	else if (rn->pidfd < 0 && left > TICK_MS * 1000000)
		it.it_value = (struct timespec){ .tv_nsec = TICK_MS * 1000000 };
	if (timerfd_settime(rn->timer, 0, &it, NULL))
		conclude(rn, VERDICT_ERROR, "timerfd: %s", strerror(errno));
}

static void take_state(struct runner *rn, const cJSON *o)
{
	const cJSON *counters = cJSON_GetObjectItem(o, "counters"), *c;
	const char *policy = cJSON_GetStringValue(cJSON_GetObjectItem(o, "policy"));
	size_t i = 0;

	rn->have_state = false;
	if (!policy || !cJSON_IsArray(counters))
		return;
	memset(&rn->state, 0, sizeof(rn->state));
	rn->state.version = STATE_VERSION;
	snprintf(rn->state.policy, sizeof(rn->state.policy), "%s", policy);
	cJSON_ArrayForEach(c, counters) {
		const char *number = cJSON_GetStringValue(c);

		if (i == nr_state_counters || !number ||
		    !parse_u64(number, false,
			       (uint64_t *)((char *)&rn->state + state_counters[i].offset)))
			return;
		i++;
	}
	rn->have_state = i == nr_state_counters;
}

static void take_step(struct runner *rn, const cJSON *o, const char *text)
{
	struct event ev = { .type = EVENT_STEP, .text = text };

	take_state(rn, o);
	snprintf(rn->step, sizeof(rn->step), "%s", text);
	ev.number = ++rn->steps;
	ev.state = rn->have_state ? &rn->state : NULL;
	ev.waiting = cJSON_IsTrue(cJSON_GetObjectItem(o, "wait"));
	if (ev.waiting) {
		rn->paused_at = now_ns();
		rn->waiting = true;
		arm_timer(rn);
	}
	emit(rn, &ev);
}

static const char *str(const cJSON *o, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));

	return s ? s : "";
}

static void take_packet(struct runner *rn, const char *packet, size_t len)
{
	cJSON *o = cJSON_ParseWithLength(packet, len);
	const char *type = str(o, "type"), *text = str(o, "text"), *role = str(o, "role");
	char buf[400];

	if (!strcmp(type, "step")) {
		take_step(rn, o, text);
	} else if (!strcmp(type, "result")) {
		add_result(rn, role, cJSON_IsTrue(cJSON_GetObjectItem(o, "ok")), text,
			   str(o, "detail"));
	} else if (!strcmp(type, "note")) {
		struct event ev = { .type = EVENT_NOTE, .role = role, .text = text };

		emit(rn, &ev);
	} else if (!strcmp(type, "measure")) {
		const cJSON *value = cJSON_GetObjectItem(o, "value");
		struct event ev = {
			.type = EVENT_MEASURE,
			.role = role,
			.text = text,
			.unit = str(o, "unit"),
			.value = cJSON_IsNumber(value) ? value->valuedouble : 0,
		};

		emit(rn, &ev);
	} else if (!strcmp(type, "end")) {
		take_state(rn, o);
		rn->ended = true;
	} else if (!strcmp(type, "skip")) {
		conclude(rn, VERDICT_SKIP, "%s", text);
		rn->ended = true;
	} else if (!strcmp(type, "bail")) {
		conclude(rn, VERDICT_ERROR, "%s%s%s", role, *role ? ": " : "", text);
		rn->ended = true;
	} else if (!strcmp(type, "stop")) {
		conclude(rn, VERDICT_FAIL, "it could not go on after a failed result");
		rn->ended = true;
	} else if (!strcmp(type, "denied")) {
		snprintf(buf, sizeof(buf), "%s%s makes only the system calls it declared",
			 *role ? "the " : "the scenario", role);
		add_result(rn, role, false, buf, text);
		conclude(rn, VERDICT_FAIL,
			 "%s%s made the system call %s, which is not in its list", *role ? "role " :
			 "the scenario", role, text);
		rn->ended = true;
	} else if (!strcmp(type, "crash")) {
		if (*role)
			snprintf(buf, sizeof(buf), "the %s crashed: %s", role, text);
		else
			snprintf(buf, sizeof(buf), "it crashed: %s", text);
		/* A role's death may be what the scenario waits for; then it says so. */
		if (*role) {
			struct event ev = { .type = EVENT_NOTE, .role = role, .text = buf };

			emit(rn, &ev);
		} else {
			conclude(rn, VERDICT_FAIL, "%s", buf);
		}
	} else {
		conclude(rn, VERDICT_ERROR, "the scenario said something unknown: %.*s",
			 (int)(len < 80 ? len : 80), packet);
		rn->ended = true;
	}
	cJSON_Delete(o);
}

/* Its other end is closed, so it would be readable for ever. */
static void unwatch(struct runner *rn, int fd)
{
	epoll_ctl(rn->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* true: something was read. */
static bool read_packet(struct runner *rn)
{
	static char packet[RUN_MAX_PACKET];
	ssize_t n = recv(rn->say, packet, sizeof(packet) - 1, MSG_DONTWAIT);

	if (n <= 0) {
		if (!n)
			unwatch(rn, rn->say);
		return false;
	}
	packet[n] = '\0';
	take_packet(rn, packet, (size_t)n);
	return true;
}

static void emit_line(struct runner *rn)
{
	struct event ev = { .type = EVENT_OUTPUT, .text = rn->line };

	rn->line[rn->line_len] = '\0';
	rn->line_len = 0;
	emit(rn, &ev);
}

/* What it wrote to stdout and stderr, line by line; true: something was read. */
static bool read_output(struct runner *rn)
{
	char buf[2048];
	ssize_t n = read(rn->out, buf, sizeof(buf));

	if (!n)
		unwatch(rn, rn->out);
	for (ssize_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)buf[i];

		if (c != '\n')
			rn->line[rn->line_len++] = c == '\t'	       ? ' ' :
						   c < ' ' || c == 127 ? '?' :
									 (char)c;
		if (c == '\n' || rn->line_len == sizeof(rn->line) - 1)
			emit_line(rn);
	}
	return n > 0;
}

/* ---- Ending ------------------------------------------------------------------ */

/*
 * Kill all processes whose parent we are, now that the scenario's own is gone: its
 * orphans. Several rounds, as a killed one's children come to us in turn. false: one
 * does not die.
 */
static bool kill_orphans(void)
{
	for (int round = 0; round < 500; round++) {
		DIR *proc;
		struct dirent *e;
		bool any = false;

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		proc = opendir("/proc");
		if (!proc)
			return true;
		while ((e = readdir(proc))) {
			char path[300], stat[512], *p;
			ssize_t n;
			int fd, pid = atoi(e->d_name);

			if (pid <= 0)
				continue;
			snprintf(path, sizeof(path), "/proc/%d/stat", pid);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			n = read(fd, stat, sizeof(stat) - 1);
			close(fd);
			if (n <= 0)
				continue;
			stat[n] = '\0';
			/* After the name, which may hold anything: ") S PPID". */
			p = strrchr(stat, ')');
			if (p && strlen(p) > 4 && atoi(p + 4) == getpid()) {
				any = true;
				kill(pid, SIGKILL);
			}
		}
		closedir(proc);
		if (!any)
			return true;
		usleep(2000);
	}
	return false;
}

static void restore_switches(struct runner *rn)
{
	for (size_t i = 0; i < MAX_SWITCHES && state_switches[i]; i++) {
		uint64_t now;

		if (!rn->switch_known[i])
			continue;
		if (!state_switch_get(rn->reader, state_switches[i], &now) &&
		    now == rn->switches[i])
			continue;
		if (state_switch_set(rn->reader, state_switches[i], rn->switches[i]))
			conclude(rn, VERDICT_ERROR, "cannot restore a switch: %s",
				 state_error(rn->reader));
	}
}

static void save_switches(struct runner *rn)
{
	/* Where there are none, nobody can change them. */
	if (state_open(&rn->reader))
		return;
	for (size_t i = 0; i < MAX_SWITCHES && state_switches[i]; i++)
		rn->switch_known[i] =
			!state_switch_get(rn->reader, state_switches[i], &rn->switches[i]);
}

static void kill_all(struct runner *rn)
{
	if (rn->pid) {
		if (!rn->killed) {
			struct itimerspec it = { .it_value = { .tv_sec = KILL_S } };

			/* Killed tasks in the kernel's hands may stay there. */
			rn->killed = true;
			timerfd_settime(rn->timer, 0, &it, NULL);
		}
		/* Its group too: whatever it forked by itself is there. */
		kill(-rn->pid, SIGKILL);
		kill(rn->pid, SIGKILL);
	}
}

/* wstatus 0: it ended by itself, or reasons enough were given before. */
static void finish(struct runner *rn, int wstatus)
{
	struct run_end end = { .steps = rn->steps };
	struct event ev = { .type = EVENT_END, .end = &end };
	char then[900];

	/* What was said last may still be in the pipes. */
	kill(-rn->pid, SIGKILL);
	rn->pid = 0;
	if (!kill_orphans())
		conclude(rn, VERDICT_FAIL,
			 "a process it left behind cannot be killed: it is stuck in the kernel");
	while (read_packet(rn))
		;
	while (read_output(rn))
		;
	if (rn->line_len)
		emit_line(rn);
	if (!rn->ended && WIFSIGNALED(wstatus))
		conclude(rn, VERDICT_FAIL, "it was killed by signal %d (%s)", WTERMSIG(wstatus),
			 strsignal(WTERMSIG(wstatus)));
	if (!rn->ended && WIFEXITED(wstatus))
		conclude(rn, VERDICT_FAIL, "it exited, status %d, before its end",
			 WEXITSTATUS(wstatus));
	restore_switches(rn);
	/* Whatever ended it: what was seen to be wrong stays wrong. */
	if (rn->failed && (!rn->verdict_set || rn->verdict != VERDICT_FAIL)) {
		snprintf(then, sizeof(then), "%.899s", rn->reason);
		rn->verdict_set = 0;
		conclude(rn, VERDICT_FAIL, "%u of %u results failed%s%s", rn->failed,
			 rn->failed + rn->passed, *then ? "; then: " : "", then);
	}
	if (!rn->passed && !rn->failed)
		conclude(rn, VERDICT_FAIL, "it ended without having checked anything");
	conclude(rn, VERDICT_PASS, "%s", "");
	rn->finished = true;
	end.verdict = rn->verdict;
	end.reason = rn->reason;
	end.passed = rn->passed;
	end.failed = rn->failed;
	end.ns = elapsed(rn);
	ev.state = rn->have_state ? &rn->state : NULL;
	emit(rn, &ev);
}

/* Killed, and still there: tell where it sits, for who looks after the kernel. */
static void stuck(struct runner *rn)
{
	char path[64], wchan[64] = "?", old[800];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)rn->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, wchan, sizeof(wchan) - 1);
		close(fd);
	}
	wchan[n > 0 ? n : 1] = '\0';
	snprintf(old, sizeof(old), "%.799s", rn->reason);
	rn->verdict_set = 0;
	conclude(rn, VERDICT_FAIL, "%s%sit cannot be killed: it is stuck in the kernel, in %s", old,
		 *old ? "; " : "", wchan);
	finish(rn, 0);
}

/* ---- Starting ---------------------------------------------------------------- */

/* The child: descriptors in place, all others closed, signals as in a new program. */
static void __attribute__((noreturn))
child_main(struct runner *rn, int say, int go, int out, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != parent)
		_exit(RUN_EXIT_ENDED);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the way of 0 to 4 first. */
	say = fcntl(say, F_DUPFD, 10);
	go = fcntl(go, F_DUPFD, 10);
	out = fcntl(out, F_DUPFD, 10);
	null = fcntl(null, F_DUPFD, 10);
	if (say < 0 || go < 0 || out < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(out, 2) < 0 || dup2(say, RUN_FD_SAY) < 0 || dup2(go, RUN_FD_GO) < 0)
		_exit(RUN_EXIT_ENDED);
	if (syscall(SYS_close_range, RUN_FD_GO + 1, ~0U, 0))
		for (int fd = RUN_FD_GO + 1; fd < 1024; fd++)
			close(fd);
	run_child(rn->info.params, rn->info.seed, rn->control);
}

static bool watch_fd(struct runner *rn, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return !epoll_ctl(rn->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static bool start_child(struct runner *rn)
{
	int say[2] = { -1, -1 }, go[2] = { -1, -1 }, out[2] = { -1, -1 };
	pid_t parent = getpid();
	bool ok;

	rn->control = mmap(NULL, sizeof(*rn->control), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rn->control == MAP_FAILED) {
		rn->control = NULL;
		return false;
	}
	rn->control->step_mode = rn->sending_steps;
	rn->epoll = epoll_create1(EPOLL_CLOEXEC);
	rn->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	ok = rn->epoll >= 0 && rn->timer >= 0 &&
	     !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, say) &&
	     !pipe2(go, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) &&
	     !prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	rn->say = say[0];
	rn->go = go[1];
	rn->out = out[0];
	if (ok) {
		fflush(NULL);
		rn->pid = fork();
		if (!rn->pid)
			child_main(rn, say[1], go[0], out[1], parent);
		ok = rn->pid > 0;
		if (!ok)
			rn->pid = 0;
	}
	if (ok) {
		/* Here too: who comes first must not matter. */
		setpgid(rn->pid, rn->pid);
		rn->pidfd = (int)syscall(SYS_pidfd_open, rn->pid, 0);
		ok = watch_fd(rn, rn->say) && watch_fd(rn, rn->out) && watch_fd(rn, rn->timer) &&
		     !fcntl(rn->out, F_SETFL, O_NONBLOCK);
		if (ok && rn->pidfd >= 0)
			ok = watch_fd(rn, rn->pidfd);
	}
	if (say[1] >= 0)
		close(say[1]);
	if (go[0] >= 0)
		close(go[0]);
	if (out[1] >= 0)
		close(out[1]);
	return ok;
}

struct runner *runner_start(const struct run_options *opt, event_fn fn, void *ctx)
{
	const struct scenario *s = opt->params->scenario;
	struct runner *rn = calloc(1, sizeof(*rn));
	struct event ev = { .type = EVENT_START };
	struct run_end end = { .reason = NULL };
	char why[1024];

	if (!rn)
		return NULL;
	rn->say = rn->go = rn->out = rn->pidfd = rn->timer = rn->epoll = -1;
	rn->fn = fn;
	rn->ctx = ctx;
	rn->info.scenario = s;
	rn->info.params = opt->params;
	rn->info.seed = opt->seed;
	rn->info.time_limit_s = opt->time_limit_s ? opt->time_limit_s : s->time_limit_s;
	rn->limit_ns = (uint64_t)rn->info.time_limit_s * 1000000000;
	rn->sending_steps = opt->step_mode;
	rn->start = now_ns();
	emit(rn, &ev);
	if (!needs_met(s, &end.verdict, why, sizeof(why))) {
		rn->finished = true;
	} else {
		save_switches(rn);
		rn->start = now_ns();
		if (start_child(rn)) {
			arm_timer(rn);
			return rn;
		}
		snprintf(why, sizeof(why), "cannot start a process: %s", strerror(errno));
		end.verdict = VERDICT_ERROR;
		kill_all(rn);
		rn->finished = true;
	}
	end.reason = why;
	rn->verdict = end.verdict;
	ev = (struct event){ .type = EVENT_END, .end = &end };
	emit(rn, &ev);
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
	arm_timer(rn);
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
		if (elapsed(rn) >= rn->limit_ns && !rn->paused_at && !rn->killed) {
			conclude(rn, VERDICT_FAIL, "its time limit of %u s is over%s%.200s%s",
				 rn->info.time_limit_s, rn->steps ? ", in the step \"" : "",
				 rn->step, rn->steps ? "\"" : "");
			kill_all(rn);
		} else {
			arm_timer(rn);
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
		kill_orphans();
		restore_switches(rn);
	}
	close_fd(rn->say);
	close_fd(rn->go);
	close_fd(rn->out);
	close_fd(rn->pidfd);
	close_fd(rn->timer);
	close_fd(rn->epoll);
	if (rn->control)
		munmap(rn->control, sizeof(*rn->control));
	state_close(rn->reader);
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
