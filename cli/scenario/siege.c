// SPDX-License-Identifier: GPL-2.0-only
/* What adversaries have in common: see siege.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/siege.h"

#define MIB ((uint64_t)1 << 20)
#define NS_PER_MS 1000000ULL

/* Longest time, beyond what its faults may take, without progress of a healthy victim. */
#define STUCK_MS 30000

const struct siege_mode siege_on = {
	.name = "on",
	.text = "all mitigations on",
	.move_before_pin = true,
	.choose_other_page = true,
	.replace_data_page = true,
	.fault_wait_ms = 1000,
};

const struct siege_mode siege_evade = {
	.name = "evade",
	.text = "pins let into tag storage",
	.choose_other_page = true,
	.replace_data_page = true,
	.fault_wait_ms = 1000,
};

/* What it waits for does not come, so that there is no need to make everybody wait long. */
const struct siege_mode siege_off = {
	.name = "off",
	.text = "all mitigations off",
	.fault_wait_ms = 200,
};

static const char *const way_name[] = {
	[SIEGE_MMAP] = "mmap", [SIEGE_MPROTECT] = "mprotect", [SIEGE_SHARED] = "shared",
};

static uint64_t way_bit(enum siege_way way)
{
	return (uint64_t)way << 32;
}

bool siege_wanted(struct run *r, const struct siege_mode *mode)
{
	const char *wanted = param_str(r, "mitigations");

	return !strcmp(wanted, "all") || !strcmp(wanted, mode->name);
}

/* ---- The attacker --------------------------------------------------------- */

/*
 * An attacker that fills memory keeps more free than is needed: the OOM killer is quick.
 * It comes for kernel memory, too, which cannot lie in CMA memory, so that what is free
 * there does not help; and vm.watermark_boost_factor adds some MiB to the minimum.
 */
static bool room(struct run *r, const struct memory *m)
{
	uint64_t least = m->total / 64 > 8 * MIB ? m->total / 64 : 8 * MIB;
	uint64_t keep = memory_reserve(r);

	return m->free > (keep > least ? keep : least) &&
	       m->free - m->cma_free > keep - MIB;
}

/* What is on its way through per-CPU lists is missing only for a moment. */
bool siege_room(struct run *r)
{
	struct memory m;

	return eventually(200, (m = memory_now(r), room(r, &m)));
}

static char *reserve(struct run *r, size_t size, int advice)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %zu MiB", size >> 20);
	/* EINVAL: a kernel without huge pages. */
	if (madvise(p, size, advice) && errno != EINVAL)
		bail_errno(r, "madvise");
	return p;
}

static void populate(struct run *r, char *p, size_t size)
{
	if (madvise(p, size, MADV_POPULATE_WRITE))
		bail_errno(r, "filling %zu KiB of memory", size >> 10);
}

#define FILL_STEP ((size_t)512 << 10)

/*
 * Whether a part of the last MiB came from tag storage. It does, too, while a lot else is
 * free, if that is in blocks of other kinds than movable ones.
 */
static bool served(struct siege_filler *f, const struct memory *m)
{
	if (m->free > f->free_then) {
		f->free_then = m->free;
		f->cma_then = m->cma_free;
	} else if (f->free_then - m->free >= MIB) {
		f->served = m->cma_free + (f->free_then - m->free) / 4 <= f->cma_then;
		f->free_then = m->free;
		f->cma_then = m->cma_free;
	}
	return f->served;
}

static void fill_on(struct run *r, struct siege_filler *f, uint64_t slack)
{
	for (; f->late_done < f->late_size; f->late_done += FILL_STEP) {
		struct memory m = memory_now(r);
		bool begun = served(f, &m) || m.free <= 2 * m.cma_free + slack;

		/* The counters lag; what has begun is sure. */
		if ((begun && m.cma_free + MIB <= f->cma_before) || !room(r, &m))
			break;
		populate(r, f->late + f->late_done, FILL_STEP);
	}
}

struct siege_filler siege_fill(struct run *r)
{
	struct memory m = memory_now(r);
	struct siege_filler f = { .cma_before = m.cma_free };
	uint64_t keep = 2 * m.cma_free + 24 * MIB;

	if (!m.cma_total)
		bail(r, "there is no CMA memory: tag storage is not used for data");
	/* Huge pages, which never lie in tag storage, for most of it: they are quick. */
	if (m.free > keep) {
		f.bulk_size = (m.free - keep) & ~(2 * MIB - 1);
		f.bulk = f.bulk_size ? reserve(r, f.bulk_size, MADV_HUGEPAGE) : NULL;
	}
	for (size_t done = 0; done < f.bulk_size; done += 2 * MIB)
		populate(r, f.bulk + done, 2 * MIB);
	f.late_size = m.total & ~(FILL_STEP - 1);
	f.late = reserve(r, f.late_size, MADV_NOHUGEPAGE);
	m = memory_now(r);
	f.free_then = m.free;
	f.cma_then = m.cma_free;
	fill_on(r, &f, 0);
	return f;
}

/* Where pages are swapped out meanwhile, memory gets free that is not tag storage. */
void siege_fill_on(struct run *r, struct siege_filler *f)
{
	fill_on(r, f, 4 * MIB);
}

void siege_unfill(struct run *r, struct siege_filler *f)
{
	if ((f->bulk && munmap(f->bulk, f->bulk_size)) ||
	    (f->late && munmap(f->late, f->late_size)))
		bail_errno(r, "munmap");
	f->bulk = NULL;
	f->late = NULL;
}

uint64_t siege_storage_free(struct run *r)
{
	return memory_now(r).cma_free / page_size();
}

void siege_hoard(struct run *r, struct siege *s, size_t in_storage, size_t max)
{
	struct siege_filler f = siege_fill(r);
	uint64_t free_before = siege_storage_free(r), free_now;
	size_t ps = page_size(), chunk = 32, done = 0;
	char *p = reserve(r, max * ps, MADV_NOHUGEPAGE);

	while (done < max && siege_room(r)) {
		siege_fill_on(r, &f);
		free_now = siege_storage_free(r);
		if (free_now + in_storage <= free_before)
			break;
		if (chunk > max - done)
			chunk = max - done;
		populate(r, p + done * ps, chunk * ps);
		for (size_t i = done; i < done + chunk; i++)
			pattern_fill(p + i * ps, ps, s->seed, i);
		done += chunk;
	}
	siege_unfill(r, &f);
	s->hoard = (uintptr_t)p;
	s->hoard_pages = done;
	note(r, "has filled memory and kept %" PRIu64 " pages", s->hoard_pages);
}

void siege_hoard_check(struct siege *s)
{
	size_t ps = page_size();
	char *p = (char *)(uintptr_t)s->hoard;

	s->hoard_bad = 0;
	for (size_t i = 0; i < s->hoard_pages; i++)
		s->hoard_bad += !!pattern_check(p + i * ps, ps, s->seed, i).count;
}

/* ---- The victim ---------------------------------------------------------- */

static void *page_at(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static void try_page(struct siege *s, struct siege_page *p, bool store)
{
	void *addr = page_at(p->addr);
	struct probe probe = store ? probe_store(addr, 1) : probe_load(addr);

	p->ns = probe.ns;
	p->signal = (uint8_t)probe.signal;
	p->done = 1;
	__atomic_add_fetch(&s->progress, 1, __ATOMIC_RELEASE);
}

static void tag_populated(struct run *r, struct siege *s, enum siege_way way)
{
	struct siege_page *page = s->page[way];
	unsigned int signals = 0;

	for (unsigned int i = 0; i < s->n[way]; i++)
		if (mprotect(page_at(page[i].addr), page_size(), PROT_READ | PROT_WRITE | PROT_MTE))
			bail_errno(r, "mprotect(PROT_MTE)");
	for (unsigned int i = 0; i < s->n[way] && signals < SIEGE_MAX_SIGNALS; i++) {
		try_page(s, &page[i], false);
		signals += !!page[i].signal;
	}
}

/*
 * The page that was freed last is the one that is allocated next, mostly: so this asks
 * for tags on the very pages whose blocks were found to be held.
 */
static void tag_new(struct run *r, struct siege *s)
{
	struct siege_page *page = s->page[SIEGE_MMAP];
	unsigned int n = s->n[SIEGE_MMAP], signals = 0;
	size_t ps = page_size();
	char *p;

	if (!n)
		return;
	p = mte_map(n * ps, true);
	if (!p)
		bail_errno(r, "mmap(PROT_MTE)");
	for (unsigned int i = 0; i < n; i++)
		page[i].addr = (uintptr_t)p + i * ps;
	for (unsigned int i = 0; i < n && signals < SIEGE_MAX_SIGNALS; i++) {
		if (madvise(page_at(page[i].old), ps, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
		try_page(s, &page[i], true);
		signals += !!page[i].signal;
	}
}

/* Data as it was, then tags that stay, then data again. */
static void check_page(struct siege *s, struct siege_page *p, enum siege_way way, unsigned int i)
{
	uint64_t id = way_bit(way) + i;
	size_t ps = page_size();
	void *addr = page_at(p->addr);

	if (way == SIEGE_MMAP)
		pattern_fill(addr, ps, s->seed, id);
	p->data_bad |= !!pattern_check(addr, ps, s->seed, id).count;
	p->tags_bad |= !!tags_check_same(addr, ps, 0).count;
	tags_fill(addr, ps, s->seed, id);
	p->data_bad |= !!pattern_check(addr, ps, s->seed, id).count;
	__atomic_add_fetch(&s->progress, 1, __ATOMIC_RELEASE);
}

/* All were tagged by now, so that one page's tags could have become another's. */
static void check_tags(struct siege *s, bool failed_too)
{
	for (int way = 0; way < SIEGE_WAYS; way++) {
		for (unsigned int i = 0; i < s->n[way]; i++) {
			struct siege_page *p = &s->page[way][i];
			uint64_t id = way_bit((enum siege_way)way) + i;
			void *addr;

			if (!p->done || (p->signal && !failed_too) || p->again)
				continue;
			addr = page_at(p->addr);
			p->tags_bad |= !!tags_check(addr, page_size(), s->seed, id).count;
			p->data_bad |= !!pattern_check(addr, page_size(), s->seed, id).count;
		}
	}
}

/* A child that stays in a fault for as long as fault_wait_ms says, and who killed it. */
static void have_child_wait(struct run *r, struct siege *s)
{
	unsigned int i = s->n[SIEGE_MPROTECT];
	int status;
	pid_t pid;

	while (i && s->page[SIEGE_MPROTECT][i - 1].done)
		i--;
	if (i) {
		pid = fork();
		if (pid < 0)
			bail_errno(r, "fork");
		if (!pid) {
			probe_load(page_at(s->page[SIEGE_MPROTECT][i - 1].addr));
			_exit(0);
		}
		__atomic_store_n(&s->child, pid, __ATOMIC_RELEASE);
		if (waitpid(pid, &status, 0) != pid)
			bail_errno(r, "waitpid");
		s->child_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	}
	gate_open(s->waited);
}

/* As much as the scenario wants, which may come to want more. */
static void fill_memory(struct run *r, struct siege *s)
{
	uint64_t until = now_ns() + SIEGE_PATIENCE_MS * NS_PER_MS;
	size_t ps = page_size();

	do {
		uint64_t wanted = __atomic_load_n(&s->memory_wanted, __ATOMIC_ACQUIRE);

		while (s->memory_pages < wanted && !s->memory_full) {
			uint64_t n = wanted - s->memory_pages < 64 ? wanted - s->memory_pages : 64;

			if (siege_room(r)) {
				populate(r, page_at(s->memory + s->memory_pages * ps), n * ps);
				__atomic_store_n(&s->memory_pages, s->memory_pages + n,
						 __ATOMIC_RELEASE);
				until = now_ns() + SIEGE_PATIENCE_MS * NS_PER_MS;
			} else {
				__atomic_store_n(&s->memory_full, 1, __ATOMIC_RELEASE);
			}
		}
		gate_open(s->populated);
		if (gate_wait(s->go, 5))
			return;
	} while (now_ns() < until);
	bail(r, "nobody told the victim to go on");
}

/* What was only filled in search of pages: there has to be free memory for others. */
static void give_back(struct run *r, struct siege *s)
{
	size_t ps = page_size();
	unsigned char *keep = calloc(s->memory_pages ? s->memory_pages : 1, 1);

	if (!keep)
		bail(r, "out of memory");
	for (int way = 0; way < SIEGE_SHARED; way++)
		for (unsigned int i = 0; i < s->n[way]; i++)
			keep[(s->page[way][i].old - s->memory) / ps] = 1;
	for (uint64_t i = s->memory_first; i < s->memory_pages; i++)
		if (!keep[i] && madvise(page_at(s->memory + i * ps), ps, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	free(keep);
}

static void victim(struct run *r, void *arg)
{
	struct siege *s = arg;
	size_t ps = page_size();

	s->memory = (uintptr_t)reserve(r, s->memory_max * ps, MADV_NOHUGEPAGE);
	fill_memory(r, s);
	give_back(r, s);
	for (unsigned int i = 0; i < s->n[SIEGE_MPROTECT]; i++)
		pattern_fill(page_at(s->page[SIEGE_MPROTECT][i].addr), ps, s->seed,
			     way_bit(SIEGE_MPROTECT) + i);
	tag_populated(r, s, SIEGE_MPROTECT);
	tag_populated(r, s, SIEGE_SHARED);
	tag_new(r, s);
	for (int way = 0; way < SIEGE_WAYS; way++)
		for (unsigned int i = 0; i < s->n[way]; i++)
			if (s->page[way][i].done && !s->page[way][i].signal)
				check_page(s, &s->page[way][i], (enum siege_way)way, i);
	check_tags(s, false);
	gate_open(s->tagged);

	if (!gate_wait(s->wait, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the victim to go on");
	if (!s->mode->replace_data_page)
		have_child_wait(r, s);
	if (!gate_wait(s->retry, SIEGE_PATIENCE_MS))
		bail(r, "nobody told the victim to try again");
	for (int way = 0; way < SIEGE_WAYS; way++) {
		for (unsigned int i = 0; i < s->n[way]; i++) {
			struct siege_page *p = &s->page[way][i];

			if (!p->signal)
				continue;
			p->again = (uint8_t)probe_load(page_at(p->addr)).signal;
			if (!p->again)
				check_page(s, p, (enum siege_way)way, i);
			__atomic_add_fetch(&s->progress, 1, __ATOMIC_RELEASE);
		}
	}
	check_tags(s, true);
}

const struct role siege_victim = {
	.name = "victim",
	.summary = "needs tagged memory, by mmap and by mprotect",
	.syscalls = SYSCALLS(SIEGE_SYSCALLS, "mprotect", "clone", "clone3", "wait4"),
};

/* ---- The scenario --------------------------------------------------------- */

/* What a process that makes no progress is doing, for whoever reads the result. */
static void note_stuck(struct run *r, const char *who, pid_t pid)
{
	static const char *const files[] = { "stat", "wchan", "stack" };
	char path[64], text[700];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		note(r, "the %s's %s: %s", who, path, text);
	}
}

void siege_await(struct run *r, struct child *c, const struct role *role, struct gate *gate,
		 const char *what)
{
	uint64_t until = now_ns() + SIEGE_PATIENCE_MS * NS_PER_MS;

	while (!gate_wait(gate, 100)) {
		struct role_end end = role_wait(r, c, 0);

		if (end.timed_out && now_ns() < until)
			continue;
		if (gate_wait(gate, 0))
			return;
		if (end.timed_out) {
			note_stuck(r, role->name, role_pid(c));
			bail(r, "the %s has not %s in time", role->name, what);
		}
		bail(r, "the %s has not %s before it ended, signal %d, status %d", role->name, what,
		     end.signal, end.status);
	}
}

struct siege *siege_new(struct run *r, const struct siege_mode *mode, uint64_t memory,
			bool shared)
{
	struct siege *s = shared_alloc(r, sizeof(*s));
	struct gate **gates[] = {
		&s->placed, &s->hold, &s->held, &s->hold_shared, &s->held_shared, &s->let_go,
		&s->released, &s->populated, &s->go, &s->tagged, &s->wait, &s->waited,
		&s->retry, &s->end,
	};

	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
		*gates[i] = gate_new(r);
	s->mode = mode;
	s->seed = mix64(run_seed(r));
	s->memory_max = memory_now(r).total / page_size();
	s->memory_first = memory / page_size();
	if (s->memory_first > s->memory_max)
		s->memory_first = s->memory_max;
	s->memory_wanted = s->memory_first;
	if (shared) {
		/* Pages are put there, and found, when it is known which blocks are held. */
		s->shared_max = s->memory_max;
		s->shared = mmap(NULL, s->shared_max * page_size(), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (s->shared == MAP_FAILED)
			bail_errno(r, "mmap of shared memory");
	}
	switch_set(r, "move_before_pin", mode->move_before_pin);
	switch_set(r, "choose_other_page", mode->choose_other_page);
	switch_set(r, "replace_data_page", mode->replace_data_page);
	switch_set(r, "fault_wait_ms", mode->fault_wait_ms);
	return s;
}

static struct siege_held held_new(struct run *r)
{
	struct siege_held h = { .nr_blocks = summary_now(r).blocks };

	h.map = calloc(h.nr_blocks ? h.nr_blocks : 1, 1);
	if (!h.map)
		bail(r, "out of memory");
	return h;
}

void siege_held_free(struct siege_held *held)
{
	free(held->map);
	held->map = NULL;
}

static void held_add(struct siege_held *h, const struct state_page *page)
{
	if (!page->in_tag_storage || page->own_block < 0 ||
	    (uint64_t)page->own_block >= h->nr_blocks)
		return;
	h->pages++;
	if (h->map[page->own_block]++)
		return;
	h->blocks++;
	h->shown += page->own_state == BLOCK_PINNED;
}

struct siege_held siege_look_hoard(struct run *r, const struct siege *s, pid_t attacker)
{
	struct siege_held h = held_new(r);
	struct state_page page;

	for (uint64_t i = 0; i < s->hoard_pages; i++)
		if (page_present(r, attacker, page_at(s->hoard + i * page_size()), &page))
			held_add(&h, &page);
	return h;
}

struct siege_held siege_look_locked(struct run *r)
{
	struct siege_held h = held_new(r);
	struct state_region *regions;
	struct state *st;
	size_t n;

	if (state_open(&st) || state_read_regions(st, &regions, &n))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++) {
		uint64_t first = regions[i].tag_base / page_size();

		for (uint64_t p = 0; p < regions[i].tag_size / page_size(); p++) {
			struct state_page page = pfn_now(r, first + p);

			if (!strcmp(page.kind, "file") && page.locked)
				held_add(&h, &page);
		}
	}
	free(regions);
	state_close(st);
	return h;
}

enum watched { WATCH_OPEN, WATCH_STUCK, WATCH_GONE };

/* Wait until the victim opens the gate, as long as it goes on making progress. */
static enum watched watch(struct run *r, struct siege *s, struct child *victim_child,
			  struct gate *gate)
{
	uint64_t seen = 0, since = now_ns();
	uint64_t limit_ms = s->mode->fault_wait_ms + STUCK_MS;

	while (!gate_wait(gate, 20)) {
		uint64_t progress = __atomic_load_n(&s->progress, __ATOMIC_ACQUIRE);

		if (progress != seen) {
			seen = progress;
			since = now_ns();
		}
		if (now_ns() - since > limit_ms * NS_PER_MS)
			return WATCH_STUCK;
		if (!role_wait(r, victim_child, 0).timed_out)
			return gate_wait(gate, 0) ? WATCH_OPEN : WATCH_GONE;
	}
	return WATCH_OPEN;
}

static bool must_watch(struct run *r, struct siege *s, struct child *victim_child,
		       struct gate *gate, const char *text)
{
	enum watched w = watch(r, s, victim_child, gate);

	if (w == WATCH_STUCK)
		note_stuck(r, "victim", role_pid(victim_child));
	return expect(r, w == WATCH_OPEN, "%s: the victim never gets stuck", text);
}

static bool enough(const struct siege *s, unsigned int per_way)
{
	return s->n[SIEGE_MMAP] >= per_way && s->n[SIEGE_MPROTECT] >= per_way;
}

/* Into the way that has fewer, or where it fits. False: nowhere. */
static bool take(struct siege *s, uint64_t addr, const struct state_page *page,
		 unsigned int per_way)
{
	enum siege_way way = s->n[SIEGE_MMAP] < s->n[SIEGE_MPROTECT] ? SIEGE_MMAP : SIEGE_MPROTECT;
	struct siege_page *p;

	/* What a tagged page is allocated from is never tag storage. */
	if (page->in_tag_storage)
		way = SIEGE_MPROTECT;
	else if (s->n[way] >= per_way)
		way = way == SIEGE_MMAP ? SIEGE_MPROTECT : SIEGE_MMAP;
	if (s->n[way] >= per_way)
		return false;
	p = &s->page[way][s->n[way]++];
	p->old = addr;
	p->addr = addr;
	return true;
}

/* Any pages, but first those whose block is used for data. */
static void choose_any(struct run *r, struct siege *s, pid_t pid, unsigned int per_way)
{
	uint64_t total = s->memory_pages, at = rnd_below(r, total ? total : 1);
	unsigned char *taken = calloc(total ? total : 1, 1);

	if (!taken)
		bail(r, "out of memory");
	for (int pass = 0; pass < 2; pass++) {
		for (uint64_t k = 0; k < total && !enough(s, per_way); k++) {
			struct state_page page;
			uint64_t addr;

			/* Data is not to be found everywhere: try, but not for long. */
			if (!pass && k == SIEGE_MAX_PAGES * 4)
				break;
			/* The step spreads them; it is prime. */
			at = (at + (total % 61 ? 61 : 59)) % total;
			addr = s->memory + at * page_size();
			if (taken[at] || !page_present(r, pid, page_at(addr), &page) ||
			    page.block < 0 || (!pass && page.block_state != BLOCK_DATA))
				continue;
			taken[at] = take(s, addr, &page, per_way);
		}
	}
	free(taken);
}

/*
 * Of these n pages from addr, those whose block is held, and which are not tag storage
 * themselves: their numbers go to found[], and how many they are is returned.
 */
static size_t find_held(struct run *r, const struct siege_held *held, pid_t pid, uint64_t addr,
			size_t n, uint32_t *found)
{
	struct page_location *where = calloc(n ? n : 1, sizeof(*where));
	size_t nr = 0;

	if (!where)
		bail(r, "out of memory");
	page_locations(r, pid, page_at(addr), n, where);
	for (size_t i = 0; i < n; i++) {
		int64_t block = where[i].present ? pfn_block(r, where[i].pfn) : -1;

		if (block >= 0 && (uint64_t)block < held->nr_blocks && held->map[block] &&
		    !pfn_in_tag_storage(r, where[i].pfn))
			found[nr++] = (uint32_t)i;
	}
	free(where);
	return nr;
}

/* Let the victim fill so many pages more; false if it cannot have any. */
static bool grow_victim(struct run *r, struct siege *s, struct child *v, uint64_t pages)
{
	uint64_t had = s->memory_pages, until = now_ns() + SIEGE_PATIENCE_MS * NS_PER_MS;

	pages = pages < s->memory_max - had ? pages : s->memory_max - had;
	__atomic_store_n(&s->memory_wanted, had + pages, __ATOMIC_RELEASE);
	while (__atomic_load_n(&s->memory_pages, __ATOMIC_ACQUIRE) < had + pages &&
	       !__atomic_load_n(&s->memory_full, __ATOMIC_ACQUIRE)) {
		struct role_end end = role_wait(r, v, 0);

		if (!end.timed_out)
			bail(r, "the victim ended while it filled memory, signal %d, status %d",
			     end.signal, end.status);
		if (now_ns() > until) {
			note_stuck(r, "victim", role_pid(v));
			bail(r, "the victim has not filled more memory in time");
		}
		sleep_ms(2);
	}
	return s->memory_pages > had;
}

/*
 * Pages whose block is held. If the victim has not enough of them where it is, it is to
 * fill more, up to all there is: the pages of the held blocks are somewhere.
 */
static void choose_held(struct run *r, struct siege *s, const struct siege_held *held,
			struct child *v, unsigned int per_way)
{
	uint64_t looked = 0;

	do {
		uint64_t first = looked, total = s->memory_pages - first;
		uint32_t *found = calloc(total ? total : 1, sizeof(*found));
		size_t n;

		if (!found)
			bail(r, "out of memory");
		n = find_held(r, held, role_pid(v), s->memory + first * page_size(), total, found);
		/* In any order, so that many blocks get their turn. */
		for (; n && !enough(s, per_way); n--) {
			size_t pick = rnd_below(r, n);
			uint64_t addr = s->memory + (first + found[pick]) * page_size();
			struct state_page page;

			found[pick] = found[n - 1];
			if (page_present(r, role_pid(v), page_at(addr), &page) &&
			    page.block >= 0 && held->map[page.block] && !page.in_tag_storage)
				take(s, addr, &page, per_way);
		}
		free(found);
		looked = s->memory_pages;
	} while (!enough(s, per_way) && grow_victim(r, s, v, 8192));
}

/*
 * Shared pages whose block is held, for the attacker to hold as well: memory is put
 * into the shared mapping until it has some, and what else came is given back.
 */
static void choose_shared(struct run *r, struct siege *s, const struct siege_held *held)
{
	struct siege_page *page = s->page[SIEGE_SHARED];
	size_t ps = page_size(), step = 512, done = 0;
	uint32_t found[512];
	unsigned int n = 0;

	while (n < SIEGE_SHARED_TRY && done + step <= s->shared_max && siege_room(r)) {
		char *p = s->shared + done * ps;
		size_t nr;

		populate(r, p, step * ps);
		nr = find_held(r, held, 0, (uintptr_t)p, step, found);
		for (size_t i = 0; i < nr && n < SIEGE_SHARED_TRY; i++) {
			page[n].old = page[n].addr = (uintptr_t)p + found[i] * ps;
			n++;
		}
		done += step;
	}
	for (size_t i = 0, k = 0; i < done; i++) {
		char *p = s->shared + i * ps;

		if (k < n && page[k].addr == (uintptr_t)p)
			k++;
		else if (madvise(p, ps, MADV_REMOVE))
			bail_errno(r, "MADV_REMOVE");
	}
	s->n[SIEGE_SHARED] = n;
}

/* The attacker holds them now: keep those of which it is still true, and fill them. */
static void keep_shared(struct run *r, struct siege *s, const struct siege_held *held)
{
	struct siege_page *page = s->page[SIEGE_SHARED];
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->n[SIEGE_SHARED] && kept < SIEGE_SHARED_PAGES; i++) {
		void *addr = page_at(page[i].addr);
		struct state_page now;

		if (!page_present(r, 0, addr, &now) || now.in_tag_storage || now.block < 0 ||
		    !held->map[now.block])
			continue;
		pattern_fill(addr, page_size(), s->seed, way_bit(SIEGE_SHARED) + kept);
		page[kept++] = page[i];
	}
	s->n[SIEGE_SHARED] = kept;
}

struct tally {
	unsigned int done, signals, data_bad, tags_bad, without, in_storage, again_bad;
	uint64_t max_ns, total_ns;
};

static struct tally tally(const struct siege *s, enum siege_way way)
{
	struct tally t = { 0 };

	for (unsigned int i = 0; i < s->n[way]; i++) {
		const struct siege_page *p = &s->page[way][i];

		if (!p->done)
			continue;
		t.done++;
		t.signals += !!p->signal;
		t.data_bad += p->data_bad;
		t.tags_bad += p->tags_bad;
		t.again_bad += !!p->again;
		t.total_ns += p->ns;
		if (p->ns > t.max_ns)
			t.max_ns = p->ns;
	}
	return t;
}

static void measure_mode(struct run *r, const struct siege_mode *mode, const char *what,
			 const char *name, const char *unit, double value)
{
	char full[96];

	snprintf(full, sizeof(full), "%s_%s%s%s", mode ? mode->name : "calm", what, *what ? "_" : "",
		 name);
	measure(r, full, unit, value);
}

static void judge_way(struct run *r, const struct siege *s, enum siege_way way, bool fails,
		      const struct siege_mode *label, pid_t pid)
{
	struct tally t = tally(s, way);
	const char *text = label ? label->text : "no attack", *name = way_name[way];
	uint64_t bound_ms = s->mode->fault_wait_ms + SIEGE_SLACK_MS;

	if (!s->n[way])
		return;
	measure_mode(r, label, name, "pages", "pages", t.done);
	measure_mode(r, label, name, "delay_max", "ns", (double)t.max_ns);
	if (t.done)
		measure_mode(r, label, name, "delay_mean", "ns", (double)t.total_ns / t.done);
	measure_mode(r, label, name, "sigbus", "1", t.signals);

	expect_range(r, t.max_ns, 0, bound_ms * NS_PER_MS, "%s, %s: every access ends in time",
		     text, name);
	if (fails)
		expect(r, t.signals, "%s, %s: the victim is told by SIGBUS", text, name);
	else
		expect_eq_u64(r, t.signals, 0, "%s, %s: the victim gets all its tagged memory",
			      text, name);
	if (t.signals == t.done)
		return;
	for (unsigned int i = 0; i < s->n[way]; i++) {
		struct state_page page;

		if (!s->page[way][i].done || s->page[way][i].signal)
			continue;
		page = page_now(r, pid, page_at(s->page[way][i].addr));
		t.without += !page.has_storage;
		t.in_storage += page.in_tag_storage;
	}
	expect_eq_u64(r, t.without, 0, "%s, %s: its pages have tag storage", text, name);
	expect_eq_u64(r, t.in_storage, 0, "%s, %s: its pages do not lie in tag storage",
		      text, name);
	expect_eq_u64(r, t.data_bad, 0, "%s, %s: its data is intact", text, name);
	expect_eq_u64(r, t.tags_bad, 0, "%s, %s: its tags are intact", text, name);
}

static uint64_t most_replays(struct run *r, struct state *st)
{
	struct state_replays *rep;
	uint64_t most = 0;
	size_t n;

	if (state_read_replays(st, &rep, &n))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++)
		if (rep[i].count && rep[i].replays > most)
			most = rep[i].replays;
	free(rep);
	return most;
}

static void judge(struct run *r, const struct siege *s, const struct siege_want *want,
		  const struct siege_mode *label, pid_t pid, const struct state_summary *a,
		  const struct state_summary *b, uint64_t replays)
{
	const char *text = label ? label->text : "no attack";
	uint64_t accesses = 0, signals = 0;

	for (int way = 0; way < SIEGE_WAYS; way++) {
		struct tally t = tally(s, (enum siege_way)way);

		accesses += t.done;
		signals += t.signals;
		judge_way(r, s, (enum siege_way)way,
			  way == SIEGE_SHARED || (want->held && want->harm), label, pid);
	}
#define COUNTER(name) measure_mode(r, label, "", #name, "1", (double)(b->name - a->name))
	COUNTER(reserve_migrated);
	COUNTER(reserve_busy);
	COUNTER(alloc_other_page);
	COUNTER(alloc_searched);
	COUNTER(alloc_without);
	COUNTER(foa_fault);
	COUNTER(foa_replaced);
	COUNTER(foa_replayed);
	COUNTER(foa_sigbus);
#undef COUNTER
	expect_eq_u64(r, b->foa_sigbus - a->foa_sigbus, signals,
		      "%s: the kernel has counted each SIGBUS", text);
	expect_range(r, b->foa_replayed - a->foa_replayed, 0, accesses,
		     "%s: no access is replayed without bound", text);
	expect_range(r, replays, 0, 2, "%s: no fault is replayed more than twice", text);
	if (want->held && want->harm) {
		expect(r, b->alloc_without > a->alloc_without,
		       "%s: allocations had to go without tag storage", text);
		expect(r, b->foa_replayed > a->foa_replayed, "%s: faults had to be replayed", text);
	} else {
		expect_eq_u64(r, b->alloc_without - a->alloc_without, 0,
			      "%s: every tagged allocation finds tag storage", text);
		if (want->held) {
			expect(r, b->alloc_other_page > a->alloc_other_page,
			       "%s: tagged allocations evade what is held", text);
			expect(r, b->foa_replaced > a->foa_replaced,
			       "%s: populated pages move away from what is held", text);
		}
	}
}

/* Whoever waits in a fault can be killed. */
static void judge_kill(struct run *r, struct siege *s)
{
	uint64_t start;

	switch_set(r, "fault_wait_ms", 60000);
	if (!eventually(SIEGE_PATIENCE_MS, __atomic_load_n(&s->child, __ATOMIC_ACQUIRE)))
		bail(r, "the victim has started no child");
	sleep_ms(500);
	if (gate_wait(s->waited, 0)) {
		expect(r, false, "%s: a fault waits as long as it may", s->mode->text);
		return;
	}
	start = now_ns();
	if (kill(s->child, SIGKILL))
		bail_errno(r, "kill");
	gate_wait(s->waited, SIEGE_SLACK_MS);
	measure_mode(r, s->mode, "", "kill_delay", "ns", (double)(now_ns() - start));
	if (!expect(r, s->child_signal == SIGKILL, "%s: who waits in a fault can be killed",
		    s->mode->text))
		note_stuck(r, "victim's child", s->child);
	switch_set(r, "fault_wait_ms", s->mode->fault_wait_ms);
}

void siege_run(struct run *r, struct siege *s, const struct siege_held *held,
	       const struct siege_want *want, struct child *attacker,
	       const struct role *attacker_role, unsigned int per_way)
{
	const struct siege_mode *label = attacker ? s->mode : NULL;
	const char *text = label ? label->text : "no attack";
	bool by_held = held && held->blocks;
	struct state_summary before, after;
	unsigned int again = 0, failed = 0;
	uint64_t replays;
	struct state *st;
	struct child *v;
	bool well;

	if (s->shared && by_held)
		choose_shared(r, s, held);
	if (attacker) {
		gate_open(s->hold_shared);
		siege_await(r, attacker, attacker_role, s->held_shared, "held the shared pages");
	}
	if (s->shared && by_held)
		keep_shared(r, s, held);
	v = role_spawn(r, &siege_victim, victim, s);
	siege_await(r, v, &siege_victim, s->populated, "filled its memory");
	if (per_way > SIEGE_MAX_PAGES)
		per_way = SIEGE_MAX_PAGES;
	if (by_held)
		choose_held(r, s, held, v, per_way);
	else
		choose_any(r, s, role_pid(v), per_way);
	note(r, "the victim has %" PRIu64 " pages; chosen for mmap %u, for mprotect %u, shared %u",
	     s->memory_pages, s->n[SIEGE_MMAP], s->n[SIEGE_MPROTECT], s->n[SIEGE_SHARED]);
	require(r, s->n[SIEGE_MMAP] && s->n[SIEGE_MPROTECT],
		"%s: the victim has pages whose tags belong where it hurts", text);

	if (state_open(&st) || state_reset_histograms(st))
		bail(r, "%s", state_error(st));
	before = summary_now(r);
	gate_open(s->go);
	well = must_watch(r, s, v, s->tagged, text);
	after = summary_now(r);
	replays = most_replays(r, st);
	state_close(st);
	if (well)
		judge(r, s, want, label, role_pid(v), &before, &after, replays);

	gate_open(s->wait);
	if (well && want->held && want->harm)
		judge_kill(r, s);
	gate_open(s->let_go);
	if (attacker)
		siege_await(r, attacker, attacker_role, s->released, "let go");
	gate_open(s->retry);
	if (!expect_role_done(r, v, well ? SIEGE_PATIENCE_MS : STUCK_MS))
		note_stuck(r, "victim", role_pid(v));
	for (int way = 0; way < SIEGE_WAYS && well; way++) {
		struct tally t = tally(s, (enum siege_way)way);

		failed += t.signals;
		again += t.again_bad + t.data_bad + t.tags_bad;
	}
	if (failed)
		expect_eq_u64(r, again, 0, "%s: what failed works, intact, after the attack", text);
	gate_open(s->end);
	if (!attacker)
		return;
	expect_role_done(r, attacker, SIEGE_PATIENCE_MS);
	if (s->hoard_pages)
		expect_eq_u64(r, s->hoard_bad, 0, "%s: the attacker's own data is intact",
			      s->mode->text);
}
