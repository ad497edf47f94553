// SPDX-License-Identifier: GPL-2.0-only
/* Somebody who tags nothing: see bystander.h. */
#include <sys/mman.h>

#include "attack/bystander.h"
#include "attack/fill.h"

#define BYSTANDER_LEAST 200
#define BYSTANDER_MS 2000

static void bystander_main(struct run *r, void *arg)
{
	struct bystander *b = arg;
	char *p = map_memory(r, page_size(), MADV_NOHUGEPAGE, -1);

	/* A pause, so that it does not keep a processor from the others. */
	while (!gate_wait(b->stop, 1)) {
		struct probe probe;

		if (madvise(p, page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
		probe = probe_store(p, 1);
		if (probe.signal)
			bail(r, "a touch of the bystander's memory raised signal %d", probe.signal);
		if (__atomic_load_n(&b->counts, __ATOMIC_ACQUIRE) && b->n < BYSTANDER_SAMPLES)
			b->ns[b->n++] = probe.ns;
	}
}

const struct role bystander_role = {
	.name = "bystander",
	.summary = "tags nothing, and touches new pages of its own all the time",
	.syscalls = SYSCALLS("madvise", "mmap"),
};

struct child *bystander_start(struct run *r, struct bystander *b)
{
	b->stop = gate_new(r);
	return role_spawn(r, &bystander_role, bystander_main, b);
}

void bystander_count(struct bystander *b)
{
	__atomic_store_n(&b->counts, 1, __ATOMIC_RELEASE);
}

struct latency bystander_end(struct run *r, struct bystander *b, struct child *c)
{
	/* Enough for a percentile, if it gets to run at all. */
	eventually(BYSTANDER_MS, __atomic_load_n(&b->n, __ATOMIC_RELAXED) >= BYSTANDER_LEAST);
	gate_open(b->stop);
	expect_role_done(r, c, PATIENCE_MS);
	return latency_of(b->ns, b->n);
}
