// SPDX-License-Identifier: GPL-2.0-only
/* What a process of a scenario says when it dies of a signal or of its filter. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "scenario/run_private.h"

/* For handlers, which have no argument. */
static struct run *dying;

void say_denied(const char *name)
{
	end_with(dying, EVENT_EXIT_DENIED, name);
}

/* A crash is a result; say where before dying of it. */
static void crashed(int sig, siginfo_t *si, void *context)
{
	char text[160];

	(void)context;
	snprintf(text, sizeof(text), "%s at address %p%s", strsignal(sig), si->si_addr,
		 sig == SIGSEGV && si->si_code == SEGV_MTESERR ? " (tag check)" :
		 sig == SIGSEGV && si->si_code == SEGV_MTEAERR ? " (asynchronous tag check)" : "");
	say_exit(dying, EVENT_EXIT_CRASH, text);
	/* SA_RESETHAND: the default action comes when this returns, or now. */
	raise(sig);
}

void catch_crashes(struct run *r)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = {
		.sa_sigaction = crashed,
		.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_ONSTACK,
	};
	stack_t stack = { .ss_size = 64 * 1024 };

	dying = r;
	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		bail_errno(r, "stack for signal handlers");
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (sigaction(fatal[i], &sa, NULL))
			bail_errno(r, "sigaction");
}
