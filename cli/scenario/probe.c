// SPDX-License-Identifier: GPL-2.0-only
/* Accesses that may fault. */
#include <setjmp.h>
#include <signal.h>

#include "scenario/scenario.h"

static sigjmp_buf probe_back;
static volatile sig_atomic_t probe_signal, probe_code;
static void *volatile probe_addr;

static void probe_handler(int sig, siginfo_t *si, void *context)
{
	(void)context;
	probe_signal = sig;
	probe_code = si->si_code;
	probe_addr = si->si_addr;
	siglongjmp(probe_back, 1);
}

struct probe probe_call(void (*fn)(void *arg), void *arg)
{
	struct sigaction sa = { .sa_sigaction = probe_handler,
				.sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction old_segv, old_bus;
	struct probe p = { .signal = 0 };
	volatile uint64_t start;

	probe_signal = 0;
	sigaction(SIGSEGV, &sa, &old_segv);
	sigaction(SIGBUS, &sa, &old_bus);
	start = now_ns();
	if (!sigsetjmp(probe_back, 1))
		fn(arg);
	p.ns = now_ns() - start;
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	if (probe_signal) {
		p.signal = probe_signal;
		p.code = probe_code;
		p.addr = probe_addr;
	}
	return p;
}

struct one_access {
	volatile uint8_t *p;
	uint8_t value;
};

static void load_one(void *arg)
{
	struct one_access *a = arg;

	a->value = *a->p;
}

static void store_one(void *arg)
{
	struct one_access *a = arg;

	*a->p = a->value;
}

struct probe probe_load(const volatile void *p)
{
	struct one_access a = { .p = (volatile uint8_t *)(uintptr_t)p };

	return probe_call(load_one, &a);
}

struct probe probe_store(volatile void *p, uint8_t value)
{
	struct one_access a = { .p = p, .value = value };

	return probe_call(store_one, &a);
}
