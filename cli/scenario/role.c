// SPDX-License-Identifier: GPL-2.0-only
/* Roles: a scenario's other processes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/confine.h"
#include "scenario/run_private.h"

struct child {
	struct child *next;
	const struct role *role;
	pid_t pid;
	bool reaped, told;	/* told: the scenario knows how it ended */
	int wstatus;
};

void process_name(const char *role)
{
	char name[16];

	/* The kernel cuts it to this, too. */
	snprintf(name, sizeof(name), OWNER_COMM "%s", role);
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

static void die_with(struct run *r, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		bail_errno(r, "PR_SET_PDEATHSIG");
	/* It may have died before. */
	if (getppid() != parent)
		_exit(RUN_EXIT_ENDED);
}

static void __attribute__((noreturn))
role_main(struct run *r, const struct role *role, unsigned int number, pid_t parent,
	  void (*fn)(struct run *r, void *arg), void *arg)
{
	char why[256];

	r->role = role;
	r->pid = getpid();
	r->state = NULL;	/* the parent's; its memory is freed when this ends */
	r->children = NULL;
	r->rnd = mix64(r->seed + number);
	die_with(r, parent);
	process_name(role->name);
	if (role->user == ROLE_USER) {
		if (!become_user(why, sizeof(why)))
			bail(r, "cannot become an ordinary user: %s", why);
		/* The change of user cleared it. */
		die_with(r, parent);
	}
	if (role->syscalls) {
		const char *const *lists[] = { confine_role_base,
					       role->user == ROLE_ROOT ? confine_scenario_base :
									 NULL,
					       role->syscalls,
					       SYSCALLS("sendto", "sendmsg") };

		if (!confine(lists, sizeof(lists) / sizeof(lists[0]), say_denied, why, sizeof(why)))
			bail(r, "cannot confine role %s: %s", role->name, why);
	}
	fn(r, arg);
	fflush(NULL);
	_exit(0);
}

struct child *role_spawn(struct run *r, const struct role *role,
			 void (*fn)(struct run *r, void *arg), void *arg)
{
	struct child *c = calloc(1, sizeof(*c));
	pid_t parent = getpid();

	if (r->role)
		bail(r, "a role cannot spawn roles");
	if (!c)
		bail(r, "out of memory");
	c->role = role;
	r->roles++;
	fflush(NULL);
	c->pid = fork();
	if (c->pid < 0)
		bail_errno(r, "fork");
	if (!c->pid)
		role_main(r, role, r->roles, parent, fn, arg);
	c->next = r->children;
	r->children = c;
	return c;
}

pid_t role_pid(const struct child *c)
{
	return c->pid;
}

static bool reap(struct run *r, struct child *c)
{
	pid_t pid;

	if (c->reaped)
		return true;
	pid = waitpid(c->pid, &c->wstatus, WNOHANG);
	if (pid < 0 && errno != EINTR)
		bail_errno(r, "waitpid for role %s", c->role->name);
	c->reaped = pid == c->pid;
	return c->reaped;
}

struct role_end role_wait(struct run *r, struct child *c, unsigned int ms)
{
	struct role_end end = { .status = -1 };

	end.timed_out = !eventually(ms, reap(r, c));
	if (end.timed_out)
		return end;
	c->told = true;
	if (WIFEXITED(c->wstatus))
		end.status = WEXITSTATUS(c->wstatus);
	if (WIFSIGNALED(c->wstatus))
		end.signal = WTERMSIG(c->wstatus);
	/* It ended the scenario; the runner is about to kill us. pause() may be filtered. */
	while (end.status == RUN_EXIT_ENDED)
		sleep_ms(1000);
	return end;
}

static void how_it_ended(const struct child *c, char *buf, size_t size)
{
	if (!c->reaped)
		snprintf(buf, size, "it still runs");
	else if (WIFSIGNALED(c->wstatus))
		snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(c->wstatus),
			 strsignal(WTERMSIG(c->wstatus)));
	else
		snprintf(buf, size, "exit status %d", WEXITSTATUS(c->wstatus));
}

bool expect_role_done(struct run *r, struct child *c, unsigned int ms)
{
	struct role_end end = role_wait(r, c, ms);
	char text[160], detail[160];

	snprintf(text, sizeof(text), "the %s ended by itself", c->role->name);
	how_it_ended(c, detail, sizeof(detail));
	return say_result(r, !end.timed_out && end.status == 0, text, detail, "role",
		      __FILE__, __LINE__);
}

void role_kill(struct run *r, struct child *c)
{
	c->told = true;
	if (reap(r, c))
		return;
	if (kill(c->pid, SIGKILL))
		bail_errno(r, "cannot kill role %s", c->role->name);
	if (!eventually(10000, reap(r, c)))
		bail(r, "role %s does not die of SIGKILL", c->role->name);
}

void finish_roles(struct run *r)
{
	for (struct child *c = r->children; c; c = c->next) {
		if (reap(r, c) && !c->told && WIFSIGNALED(c->wstatus)) {
			char text[160], detail[160];

			snprintf(text, sizeof(text), "the %s did not crash", c->role->name);
			how_it_ended(c, detail, sizeof(detail));
			say_result(r, false, text, detail, "role", __FILE__, __LINE__);
		}
	}
	for (struct child *c = r->children; c; c = c->next)
		role_kill(r, c);
}
