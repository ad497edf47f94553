// SPDX-License-Identifier: GPL-2.0-only
/* The victim of an attack: see victim.h. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack/fill.h"
#include "attack/victim.h"

const char *victim_way_name(enum victim_way way)
{
	static const char *const names[] = {
		[VICTIM_MMAP] = "mmap", [VICTIM_MPROTECT] = "mprotect",
		[VICTIM_SHARED] = "shared",
	};

	return names[way];
}

uint64_t victim_pattern(enum victim_way way, unsigned int i)
{
	return ((uint64_t)way << 32) + i;
}

static void try_page(struct victim *v, struct victim_page *p, bool store)
{
	void *addr = page_at(p->addr);
	struct probe probe = store ? probe_store(addr, 1) : probe_load(addr);

	p->ns = probe.ns;
	p->signal = (uint8_t)probe.signal;
	p->done = 1;
	__atomic_add_fetch(&v->progress, 1, __ATOMIC_RELEASE);
}

static void tag_populated(struct run *r, struct victim *v, enum victim_way way)
{
	struct victim_page *page = v->page[way];
	unsigned int signals = 0;

	for (unsigned int i = 0; i < v->n[way]; i++)
		if (mprotect(page_at(page[i].addr), page_size(), PROT_READ | PROT_WRITE | PROT_MTE))
			bail_errno(r, "mprotect(PROT_MTE)");
	for (unsigned int i = 0; i < v->n[way] && signals < VICTIM_MAX_SIGNALS; i++) {
		try_page(v, &page[i], false);
		signals += !!page[i].signal;
	}
}

/* What is allocated next is most likely the page just freed. */
static void tag_new(struct run *r, struct victim *v)
{
	struct victim_page *page = v->page[VICTIM_MMAP];
	unsigned int n = v->n[VICTIM_MMAP], signals = 0;
	size_t ps = page_size();
	char *p;

	if (!n)
		return;
	p = mte_map(n * ps, true);
	if (!p)
		bail_errno(r, "mmap(PROT_MTE)");
	for (unsigned int i = 0; i < n; i++)
		page[i].addr = (uintptr_t)p + i * ps;
	for (unsigned int i = 0; i < n && signals < VICTIM_MAX_SIGNALS; i++) {
		if (madvise(page_at(page[i].old), ps, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
		try_page(v, &page[i], true);
		signals += !!page[i].signal;
	}
}

/* Data as it was, then tags that stay, then data again. */
static void check_page(struct victim *v, enum victim_way way, unsigned int i)
{
	struct victim_page *p = &v->page[way][i];
	uint64_t id = victim_pattern(way, i);
	size_t ps = page_size();
	void *addr = page_at(p->addr);

	if (way == VICTIM_MMAP)
		pattern_fill(addr, ps, v->seed, id);
	p->data_bad |= !!pattern_check(addr, ps, v->seed, id).count;
	p->tags_bad |= !!tags_check_same(addr, ps, 0).count;
	tags_fill(addr, ps, v->seed, id);
	p->data_bad |= !!pattern_check(addr, ps, v->seed, id).count;
	__atomic_add_fetch(&v->progress, 1, __ATOMIC_RELEASE);
}

/* All were tagged by now, so that one page's tags could have become another's. */
static void check_all(struct victim *v, bool failed_too)
{
	for (int way = 0; way < VICTIM_WAYS; way++) {
		for (unsigned int i = 0; i < v->n[way]; i++) {
			struct victim_page *p = &v->page[way][i];
			uint64_t id = victim_pattern((enum victim_way)way, i);
			void *addr = page_at(p->addr);

			if (!p->done || (p->signal && !failed_too) || p->again)
				continue;
			p->tags_bad |= !!tags_check(addr, page_size(), v->seed, id).count;
			p->data_bad |= !!pattern_check(addr, page_size(), v->seed, id).count;
		}
	}
}

/* A child that stays in a fault for as long as fault_wait_ms says, and who killed it. */
static void have_child_wait(struct run *r, struct victim *v)
{
	unsigned int i = v->n[VICTIM_MPROTECT];
	int status;
	pid_t pid;

	while (i && v->page[VICTIM_MPROTECT][i - 1].done)
		i--;
	if (!i)
		return;
	pid = fork();
	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid) {
		probe_load(page_at(v->page[VICTIM_MPROTECT][i - 1].addr));
		_exit(0);
	}
	__atomic_store_n(&v->child, pid, __ATOMIC_RELEASE);
	if (waitpid(pid, &status, 0) != pid)
		bail_errno(r, "waitpid");
	v->child_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* As much as the scenario wants, which may come to want more. */
static void have_memory(struct run *r, struct victim *v)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;
	size_t ps = page_size();

	do {
		uint64_t wanted = __atomic_load_n(&v->memory_wanted, __ATOMIC_ACQUIRE);

		while (v->memory_pages < wanted && !v->memory_full) {
			size_t n = room_pages(r);

			if (n > wanted - v->memory_pages)
				n = wanted - v->memory_pages;
			if (n) {
				populate(r, page_at(v->memory + v->memory_pages * ps), n * ps);
				__atomic_store_n(&v->memory_pages, v->memory_pages + n,
						 __ATOMIC_RELEASE);
				until = now_ns() + PATIENCE_MS * 1000000ULL;
			} else {
				__atomic_store_n(&v->memory_full, 1, __ATOMIC_RELEASE);
			}
		}
		gate_open(v->phase[VICTIM_FILL].done);
		if (gate_wait(v->phase[VICTIM_TAG].begin, 5))
			return;
	} while (now_ns() < until);
	bail(r, "nobody told the victim to go on");
}

/* What was only filled in search of pages: there has to be free memory for others. */
static void give_back(struct run *r, struct victim *v)
{
	size_t ps = page_size();
	unsigned char *keep = calloc(v->memory_pages + 1, 1);

	if (!keep)
		bail(r, "out of memory");
	for (int way = 0; way < VICTIM_SHARED; way++)
		for (unsigned int i = 0; i < v->n[way]; i++)
			keep[(v->page[way][i].old - v->memory) / ps] = 1;
	for (uint64_t i = v->memory_first; i < v->memory_pages; i++)
		if (!keep[i] && madvise(page_at(v->memory + i * ps), ps, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	free(keep);
}

static void retry(struct victim *v)
{
	for (int way = 0; way < VICTIM_WAYS; way++) {
		for (unsigned int i = 0; i < v->n[way]; i++) {
			struct victim_page *p = &v->page[way][i];

			if (!p->signal)
				continue;
			p->again = (uint8_t)probe_load(page_at(p->addr)).signal;
			if (!p->again)
				check_page(v, (enum victim_way)way, i);
			__atomic_add_fetch(&v->progress, 1, __ATOMIC_RELEASE);
		}
	}
}

void victim_main(struct run *r, void *arg)
{
	struct victim *v = arg;
	size_t ps = page_size();

	v->memory = (uintptr_t)map_memory(r, v->memory_max * ps, MADV_NOHUGEPAGE, -1);
	have_memory(r, v);
	give_back(r, v);
	for (unsigned int i = 0; i < v->n[VICTIM_MPROTECT]; i++)
		pattern_fill(page_at(v->page[VICTIM_MPROTECT][i].addr), ps, v->seed,
			     victim_pattern(VICTIM_MPROTECT, i));
	tag_populated(r, v, VICTIM_MPROTECT);
	tag_populated(r, v, VICTIM_SHARED);
	tag_new(r, v);
	for (int way = 0; way < VICTIM_WAYS; way++)
		for (unsigned int i = 0; i < v->n[way]; i++)
			if (v->page[way][i].done && !v->page[way][i].signal)
				check_page(v, (enum victim_way)way, i);
	check_all(v, false);
	gate_open(v->phase[VICTIM_TAG].done);

	phase_wait(r, &v->phase[VICTIM_KILL]);
	if (v->child_waits)
		have_child_wait(r, v);
	gate_open(v->phase[VICTIM_KILL].done);

	phase_wait(r, &v->phase[VICTIM_RETRY]);
	retry(v);
	check_all(v, true);
	gate_open(v->phase[VICTIM_RETRY].done);
}

const struct role victim_role = {
	.name = "victim",
	.summary = "needs tagged memory, by mmap and by mprotect",
	.syscalls = SYSCALLS("openat", "read", "close", "madvise", "mmap", "munmap", "mprotect",
			     "clone", "clone3", "wait4"),
};
