// SPDX-License-Identifier: GPL-2.0-only
/* Confining processes: see confine.h. */
#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scenario/confine.h"

#define USER_ID 1000
#define USER_MEMLOCK (8u << 20)
#define USER_FILES 1024

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

const char *const confine_role_base[] = {
	/* Memory, also behind malloc(). */
	"mmap", "munmap", "mremap", "mprotect", "madvise", "brk",
	/* Saying things, and stdio on what is open. */
	"read", "write", "writev", "close", "fstat", "newfstatat", "lseek",
	/* Ending, waiting, telling the time; what abort() and signal handlers do. */
	"exit", "exit_group", "futex", "restart_syscall", "sched_yield", "nanosleep",
	"clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill",
	/* Who am I; tag check modes; random keys of the C library. */
	"getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "prctl",
	"getrandom", "rseq", "set_robust_list",
	NULL,
};

const char *const confine_scenario_base[] = {
	/* Reading the state. */
	"openat", "open", "pread64", "access", "faccessat", "faccessat2", "stat", "statx",
	/* Starting roles, and what becomes of them. */
	"clone", "clone3", "fork", "vfork", "wait4", "waitid", "kill", "dup", "dup3", "pipe2",
	"fcntl", "setgroups", "setresuid", "setresgid", "getresuid", "getresgid", "prlimit64",
	"setrlimit", "getrlimit", "seccomp", "poll", "ppoll",
	NULL,
};

static void (*on_denied)(const char *name);

static void sigsys(int sig, siginfo_t *si, void *context)
{
	char number[32], *name;

	(void)sig;
	(void)context;
	/* It dies here anyhow, so what is not safe in a handler does no more harm. */
	name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), si->si_syscall);
	if (!name) {
		snprintf(number, sizeof(number), "number %d", si->si_syscall);
		name = number;
	}
	on_denied(name);
	_exit(1);
}

const char *confine_unknown(const char *const *list)
{
	for (; list && *list; list++)
		if (seccomp_syscall_resolve_name(*list) == __NR_SCMP_ERROR)
			return *list;
	return NULL;
}

bool confine(const char *const *const *lists, size_t n, void (*denied)(const char *name),
	     char *why, size_t size)
{
	struct sigaction sa = { .sa_sigaction = sigsys, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx ctx;
	int err = 0;

	on_denied = denied;
	if (sigaction(SIGSYS, &sa, NULL)) {
		snprintf(why, size, "sigaction: %s", strerror(errno));
		return false;
	}
	ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!ctx) {
		snprintf(why, size, "seccomp: cannot make a filter");
		return false;
	}
	for (size_t i = 0; i < n && !err; i++) {
		for (const char *const *name = lists[i]; name && *name && !err; name++) {
			int nr = seccomp_syscall_resolve_name(*name);

			if (nr == __NR_SCMP_ERROR) {
				snprintf(why, size, "there is no system call '%s'", *name);
				seccomp_release(ctx);
				return false;
			}
			/* Negative: other architectures have it. */
			if (nr >= 0)
				err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
			if (err == -EEXIST)
				err = 0;
		}
	}
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	if (err) {
		snprintf(why, size, "seccomp: %s (needs a kernel with CONFIG_SECCOMP_FILTER)",
			 strerror(-err));
		return false;
	}
	return true;
}

static bool limit(int resource, rlim_t value)
{
	struct rlimit rl;

	if (getrlimit(resource, &rl))
		return false;
	if (rl.rlim_cur > value)
		rl.rlim_cur = value;
	if (rl.rlim_max > value)
		rl.rlim_max = value;
	return !setrlimit(resource, &rl);
}

bool become_user(char *why, size_t size)
{
	const char *what = NULL;

	if (!limit(RLIMIT_MEMLOCK, USER_MEMLOCK) || !limit(RLIMIT_NOFILE, USER_FILES)) {
		what = "setrlimit";
	} else if (geteuid() == 0) {
		if (setgroups(0, NULL)) {
			what = "setgroups";
		} else if (setresgid(USER_ID, USER_ID, USER_ID)) {
			what = "setresgid";
		} else if (setresuid(USER_ID, USER_ID, USER_ID)) {
			what = "setresuid";
		} else if (!setresuid(0, 0, 0)) {
			snprintf(why, size, "this process could become root again");
			return false;
		}
	}
	if (!what && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		what = "PR_SET_NO_NEW_PRIVS";
	/* A change of user makes /proc/self root's; a program that was logged in has it. */
	if (!what && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
		what = "PR_SET_DUMPABLE";
	if (what)
		snprintf(why, size, "%s: %s", what, strerror(errno));
	return !what;
}
