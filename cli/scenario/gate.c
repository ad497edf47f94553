// SPDX-License-Identifier: GPL-2.0-only
/* Memory that a scenario shares with its roles, and gates in it. */
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "scenario/scenario.h"

void *shared_alloc(struct run *r, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %zu shared bytes", size);
	return p;
}

struct gate {
	volatile int open;
};

struct gate *gate_new(struct run *r)
{
	return shared_alloc(r, sizeof(struct gate));
}

void gate_open(struct gate *g)
{
	__atomic_store_n(&g->open, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &g->open, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

bool gate_wait(struct gate *g, unsigned int ms)
{
	uint64_t until = now_ns() + (uint64_t)ms * 1000000;

	while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE)) {
		uint64_t now = now_ns();
		struct timespec ts;

		if (now >= until)
			return false;
		ts.tv_sec = (time_t)((until - now) / 1000000000);
		ts.tv_nsec = (long)((until - now) % 1000000000);
		syscall(SYS_futex, &g->open, FUTEX_WAIT, 0, &ts, NULL, 0);
	}
	return true;
}
