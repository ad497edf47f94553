// SPDX-License-Identifier: GPL-2.0-only
/* The scenario's process: how it is started, how it and its orphans are killed. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/runner_private.h"

#define KILL_S 10		/* what is killed has this long to die */

/* The child: descriptors in place, all others closed, signals as in a new program. */
static void __attribute__((noreturn))
child_main(struct runner *rn, int say, int go, int out, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	setpgid(0, 0);
	/*
	 * What it mounts goes with it, and with the last of its roles. Who may not do this may
	 * not mount either. Swap is known by the mount its file was found in, and shall be
	 * found there later.
	 */
	if (!settings_include(rn, SETTING_SWAP) && !unshare(CLONE_NEWNS) &&
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		_exit(RUN_EXIT_ENDED);
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
	run_child(rn->params, rn->about->seed, rn->control);
}

static bool watch_fd(struct runner *rn, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return !epoll_ctl(rn->epoll, EPOLL_CTL_ADD, fd, &ev);
}

bool start_child(struct runner *rn)
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

void kill_all(struct runner *rn)
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

/* Several rounds, as a killed one's children come to us in turn. */
bool kill_orphans(const struct runner *rn)
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
			if (p && strlen(p) > 4 && atoi(p + 4) == getpid() && pid != rn->keeper) {
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

const char *stuck_where(const struct runner *rn, char *buf, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)rn->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	if (n <= 0)
		return "?";
	buf[n] = '\0';
	return buf;
}
