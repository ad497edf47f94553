// SPDX-License-Identifier: GPL-2.0-only
/* The victim of an attack: see victim.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack/fill.h"
#include "attack/victim.h"
#include "vmm/vmm.h"

/* A guest has a slot for each page. */
_Static_assert(VICTIM_MAX_PAGES <= VMM_MAX_SLOTS, "guests have too few memory slots");

/* For pages to be swapped out, if the kernel is going to. */
#define SWAP_OUT_MS 1000

size_t victim_page_size(enum victim_way way)
{
	return victim_kinds[way].source == FROM_HUGE ? VICTIM_HUGE_SIZE : page_size();
}

uint64_t victim_pattern(enum victim_way way, unsigned int i)
{
	return ((uint64_t)way << 32) + i;
}

/* ---- What is accessed --------------------------------------------------------- */

/* A tagged mapping for the pages of this way, of a file or of none. */
static char *map_tagged(struct run *r, struct victim *v, enum victim_way way, int fd)
{
	size_t each = victim_page_size(way), size = v->n[way] * each;
	char *p = mmap(NULL, size + each, PROT_READ | PROT_WRITE | PROT_MTE,
		       fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap(PROT_MTE)");
	p += -(uintptr_t)p & (each - 1);
	for (unsigned int i = 0; i < v->n[way]; i++)
		v->page[way][i].addr = (uintptr_t)p + i * each;
	return p;
}

static void new_memory(struct run *r, struct victim *v, enum victim_way way)
{
	char *p = map_tagged(r, v, way, -1);

	if (madvise(p, v->n[way] * page_size(), MADV_NOHUGEPAGE))
		return;		/* a kernel without huge pages */
}

static void new_huge(struct run *r, struct victim *v, enum victim_way way)
{
	char *p = map_tagged(r, v, way, -1);

	if (madvise(p, v->n[way] * victim_page_size(way), MADV_HUGEPAGE))
		bail_errno(r, "MADV_HUGEPAGE");
}

static void new_memfd(struct run *r, struct victim *v, enum victim_way way)
{
	int fd = memfd_create("tagged", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)((v->n[way] + 1) * page_size())))
		bail_errno(r, "memfd_create");
	map_tagged(r, v, way, fd);
	close(fd);
}

/* Data as it is written by the victim. */
static void content(struct run *r, struct victim *v, enum victim_way way)
{
	(void)r;
	for (unsigned int i = 0; i < v->n[way]; i++)
		pattern_fill(page_at(v->page[way][i].addr), page_size(), v->seed,
			     victim_pattern(way, i));
}

/* Where a kernel has no tag storage for them, in spite of its mitigations, they are fewer. */
static void tagged_content(struct run *r, struct victim *v, enum victim_way way)
{
	struct victim_page *page = v->page[way];
	unsigned int kept = 0, signals = 0;

	new_memory(r, v, way);
	for (unsigned int i = 0; i < v->n[way] && signals < VICTIM_MAX_SIGNALS; i++) {
		if (probe_store(page_at(page[i].addr), 1).signal)
			signals++;
		else
			page[kept++] = page[i];
	}
	v->unprepared[way] = signals;
	v->n[way] = kept;
	content(r, v, way);
	for (unsigned int i = 0; i < kept; i++) {
		tags_fill(page_at(page[i].addr), page_size(), v->seed, victim_pattern(way, i));
		page[i].value = *(uint8_t *)page_at(page[i].addr);
	}
}

/* A child has the same tagged pages, and none of those that are going to be freed. */
static void shared_with_child(struct run *r, struct victim *v, enum victim_way way)
{
	void *memory = page_at(v->memory);
	size_t size = v->memory_max * page_size();
	pid_t pid, parent = getpid();

	tagged_content(r, v, way);
	if (madvise(memory, size, MADV_DONTFORK))
		bail_errno(r, "MADV_DONTFORK");
	pid = fork();
	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		while (getppid() == parent && !gate_wait(v->phase[VICTIM_RETRY].done, 1000))
			;
		_exit(0);
	}
	if (madvise(memory, size, MADV_DOFORK))
		bail_errno(r, "MADV_DOFORK");
}

static bool swapped_out(struct run *r, void *page)
{
	unsigned char in;

	if (madvise(page, page_size(), MADV_PAGEOUT) || mincore(page, page_size(), &in))
		bail_errno(r, "MADV_PAGEOUT");
	return !(in & 1);
}

/* Those that stay are no loss: the scenario has a look. */
static void swap_out_content(struct run *r, struct victim *v, enum victim_way way)
{
	uint64_t until = now_ns() + SWAP_OUT_MS * 1000000ULL;

	tagged_content(r, v, way);
	for (unsigned int i = 0; i < v->n[way]; i++)
		while (!swapped_out(r, page_at(v->page[way][i].addr)) && now_ns() < until)
			;
}

/* ---- Guests ------------------------------------------------------------------ */

/* Of the ways that have one. */
static struct vmm *guests[VICTIM_WAYS];

static uint64_t guest_address(unsigned int i)
{
	return VMM_MEMORY + i * page_size();
}

/* Each of the pages is memory of a new guest, at its guest_address(). */
static void new_guest(struct run *r, struct victim *v, enum victim_way way)
{
	struct vmm *g = vmm_new(r, v->kvm, !victim_kinds[way].untagged);

	for (unsigned int i = 0; i < v->n[way]; i++)
		bail_if_error(r, vmm_memory(g, i, guest_address(i), page_at(v->page[way][i].addr),
					    page_size(), false), "KVM_SET_USER_MEMORY_REGION");
	guests[way] = g;
}

static void guest_with_content(struct run *r, struct victim *v, enum victim_way way)
{
	content(r, v, way);
	new_guest(r, v, way);
}

static void guest_with_new_memory(struct run *r, struct victim *v, enum victim_way way)
{
	char *p = map_memory(r, v->n[way] * page_size(), MADV_NOHUGEPAGE, -1);

	for (unsigned int i = 0; i < v->n[way]; i++)
		v->page[way][i].addr = (uintptr_t)p + i * page_size();
	new_guest(r, v, way);
}

static void must_return(struct run *r, struct vmm_end end)
{
	if (end.err || end.exception)
		bail(r, "the guest cannot go on: error %d, ESR %llx", end.err,
		     (unsigned long long)end.x0);
}

/* It stores what is there already, or something to memory that has no content yet. */
static void try_guest(struct run *r, struct victim *v, enum victim_way way, unsigned int i)
{
	struct victim_page *p = &v->page[way][i];
	uint64_t value = p->value;
	struct vmm_end end;

	if (!victim_kinds[way].fresh)
		memcpy(&value, page_at(p->addr), sizeof(value));
	end = vmm_call(guests[way], VMM_STORE, guest_address(i), value, 0, 0);
	if (end.err != -EFAULT || end.fault_gpa != guest_address(i) || !end.fault_size)
		must_return(r, end);
	p->ns = end.ns;
	p->signal = end.err ? SIGBUS : 0;
	p->done = 1;
	__atomic_add_fetch(&v->progress, 1, __ATOMIC_RELEASE);
}

/* The guest has the tags that its VMM has set, and the other way round. */
static bool guest_tags_bad(struct run *r, struct victim *v, enum victim_way way, unsigned int i)
{
	uint8_t tags[STATE_TAGS_PER_PAGE];
	uint64_t id = victim_pattern(way, i);
	size_t bad = 0;

	must_return(r, vmm_get(guests[way], guest_address(i), 1, tags, NULL));
	for (size_t g = 0; g < STATE_TAGS_PER_PAGE; g++) {
		bad += tags[g] != tags_pattern_at(v->seed, id, g * MTE_GRANULE);
		tags[g] ^= 1;
	}
	must_return(r, vmm_set(guests[way], guest_address(i), 1, tags, NULL));
	for (size_t g = 0; g < STATE_TAGS_PER_PAGE; g++)
		bad += tag_load((char *)page_at(v->page[way][i].addr) + g * MTE_GRANULE) != tags[g];
	return bad;
}

/* The guest has the data that its VMM has written. */
static bool guest_data_bad(struct run *r, struct victim *v, enum victim_way way, unsigned int i)
{
	uint64_t want;
	struct vmm_end end = vmm_call(guests[way], VMM_FETCH, guest_address(i), 0, 0, 0);

	must_return(r, end);
	memcpy(&want, page_at(v->page[way][i].addr), sizeof(want));
	return end.x0 != want;
}

const struct victim_kind victim_kinds[VICTIM_WAYS] = {
	[VICTIM_MPROTECT] = {
		.name = "mprotect",
		.text = "makes a page that holds data PROT_MTE and reads it",
		.prepare = content,
	},
	[VICTIM_SHARED] = {
		.name = "shared",
		.text = "does so with a page that it shares with the attacker, who holds it",
		.source = FROM_SHARED,
	},
	[VICTIM_MMAP] = {
		.name = "mmap",
		.text = "frees a page and touches a new one in a PROT_MTE mapping",
		.frees = true, .stores = true, .fresh = true, .chooses = true,
		.prepare = new_memory,
	},
	[VICTIM_MEMFD] = {
		.name = "memfd",
		.text = "frees a page and touches a new one in a PROT_MTE mapping of a memfd",
		.frees = true, .stores = true, .fresh = true,
		.prepare = new_memfd,
	},
	[VICTIM_COW] = {
		.name = "cow",
		.text = "frees a page and writes to a tagged one that it shares with a child",
		.frees = true, .stores = true, .has_tags = true, .chooses = true,
		.retries = true,
		.prepare = shared_with_child,
	},
	[VICTIM_SWAPIN] = {
		.name = "swapin",
		.text = "frees a page and reads a tagged one that is swapped out",
		.frees = true, .has_tags = true, .chooses = true, .retries = true,
		.prepare = swap_out_content,
	},
	[VICTIM_HUGE] = {
		.name = "huge",
		.text = "frees a huge page and touches a new one in a PROT_MTE mapping",
		.source = FROM_HUGE,
		.frees = true, .stores = true, .fresh = true, .chooses = true, .retries = true,
		.prepare = new_huge,
	},
	[VICTIM_KVM] = {
		.name = "kvm",
		.text = "has a guest with MTE access a page of its memory, which holds data",
		.guest = true, .stores = true,
		.prepare = guest_with_content,
	},
	[VICTIM_KVM_PLAIN] = {
		.name = "kvm-plain",
		.text = "frees a page and has a guest without MTE touch a new one",
		.guest = true, .frees = true, .stores = true, .fresh = true, .untagged = true,
		.prepare = guest_with_new_memory,
	},
};

/* ---- Accesses ------------------------------------------------------------------ */

/* All of a huge page: if there is none, small ones take its place, each with its own storage. */
static void try_page(struct run *r, struct victim *v, enum victim_way way, unsigned int i)
{
	struct victim_page *p = &v->page[way][i];
	size_t size = victim_page_size(way);

	if (victim_kinds[way].guest) {
		try_guest(r, v, way, i);
		return;
	}
	p->ns = 0;
	p->signal = 0;
	for (size_t at = 0; at < size && !p->signal; at += page_size()) {
		void *addr = page_at(p->addr + at);
		struct probe probe = victim_kinds[way].stores ?
					     probe_store(addr, p->value) : probe_load(addr);

		if (probe.ns > p->ns)
			p->ns = probe.ns;
		p->signal = (uint8_t)probe.signal;
		__atomic_add_fetch(&v->progress, 1, __ATOMIC_RELEASE);
	}
	p->done = 1;
}

static void tag_pages(struct run *r, struct victim *v, enum victim_way way)
{
	const struct victim_kind *kind = &victim_kinds[way];
	size_t size = victim_page_size(way);
	unsigned int signals = 0;

	/* First all of them, then the accesses. */
	for (unsigned int i = 0; i < v->n[way] && !kind->frees && !kind->guest; i++)
		if (mprotect(page_at(v->page[way][i].addr), size,
			     PROT_READ | PROT_WRITE | PROT_MTE))
			bail_errno(r, "mprotect(PROT_MTE)");
	for (unsigned int i = 0; i < v->n[way] && signals < VICTIM_MAX_SIGNALS; i++) {
		struct victim_page *p = &v->page[way][i];

		if (kind->frees && madvise(page_at(p->old), size, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
		try_page(r, v, way, i);
		signals += !!p->signal;
	}
}

/* Data as it was, then tags that stay, then data again. */
static void check_page(struct run *r, struct victim *v, enum victim_way way, unsigned int i)
{
	const struct victim_kind *kind = &victim_kinds[way];
	struct victim_page *p = &v->page[way][i];
	uint64_t id = victim_pattern(way, i);
	size_t size = victim_page_size(way);
	void *addr = page_at(p->addr);

	if (kind->fresh)
		pattern_fill(addr, size, v->seed, id);
	p->data_bad |= !!pattern_check(addr, size, v->seed, id).count;
	if (kind->guest)
		p->data_bad |= guest_data_bad(r, v, way, i);
	if (kind->untagged)
		return;
	/* The VMM sees the guest's tags, if it wants to. */
	if (kind->guest && mprotect(addr, size, PROT_READ | PROT_WRITE | PROT_MTE))
		bail_errno(r, "mprotect(PROT_MTE)");
	if (kind->has_tags)
		p->tags_bad |= !!tags_check(addr, size, v->seed, id).count;
	else
		p->tags_bad |= !!tags_check_same(addr, size, 0).count;
	tags_fill(addr, size, v->seed, id);
	if (kind->guest) {
		p->tags_bad |= guest_tags_bad(r, v, way, i);
		tags_fill(addr, size, v->seed, id);
	}
	p->data_bad |= !!pattern_check(addr, size, v->seed, id).count;
	__atomic_add_fetch(&v->progress, 1, __ATOMIC_RELEASE);
}

/* All were tagged by now, so that one page's tags could have become another's. */
static void check_all(struct victim *v, bool failed_too)
{
	for (int way = 0; way < VICTIM_WAYS; way++) {
		size_t size = victim_page_size((enum victim_way)way);

		for (unsigned int i = 0; i < v->n[way]; i++) {
			struct victim_page *p = &v->page[way][i];
			uint64_t id = victim_pattern((enum victim_way)way, i);
			void *addr = page_at(p->addr);

			if (!p->done || (p->signal && !failed_too) || p->again)
				continue;
			if (!victim_kinds[way].untagged)
				p->tags_bad |= !!tags_check(addr, size, v->seed, id).count;
			p->data_bad |= !!pattern_check(addr, size, v->seed, id).count;
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

/* ---- Memory to choose from ------------------------------------------------------ */

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
		if (gate_wait(v->phase[VICTIM_PREPARE].begin, 5))
			return;
	} while (now_ns() < until);
	bail(r, "nobody told the victim to go on");
}

static void have_huge(struct run *r, struct victim *v)
{
	size_t size = v->huge_pages * VICTIM_HUGE_SIZE;
	char *p = map_memory(r, size + VICTIM_HUGE_SIZE, MADV_HUGEPAGE, -1);

	p += -(uintptr_t)p & (VICTIM_HUGE_SIZE - 1);
	populate(r, p, size);
	v->huge = (uintptr_t)p;
}

/* Free what is in none of the chosen pages, each of these sizes, from page first on. */
static void give_back_from(struct run *r, const struct victim *v, enum victim_source source,
			   uint64_t memory, uint64_t first, uint64_t pages, size_t size)
{
	unsigned char *keep = calloc(pages + 1, 1);

	if (!keep)
		bail(r, "out of memory");
	for (int way = 0; way < VICTIM_WAYS; way++)
		for (unsigned int i = 0; i < v->n[way] && victim_kinds[way].source == source; i++)
			keep[(v->page[way][i].old - memory) / size] = 1;
	for (uint64_t i = first; i < pages; i++)
		if (!keep[i] && madvise(page_at(memory + i * size), size, MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	free(keep);
}

/* What was only filled in search of pages: there has to be free memory for others. */
static void give_back(struct run *r, const struct victim *v)
{
	give_back_from(r, v, FROM_MEMORY, v->memory, v->memory_first, v->memory_pages, page_size());
	give_back_from(r, v, FROM_HUGE, v->huge, 0, v->huge_pages, VICTIM_HUGE_SIZE);
}

static void retry(struct run *r, struct victim *v)
{
	for (int way = 0; way < VICTIM_WAYS; way++) {
		for (unsigned int i = 0; i < v->n[way]; i++) {
			struct victim_page *p = &v->page[way][i];
			uint8_t signal = p->signal;

			if (!signal)
				continue;
			try_page(r, v, (enum victim_way)way, i);
			p->again = p->signal;
			p->signal = signal;
			if (!p->again)
				check_page(r, v, (enum victim_way)way, i);
		}
	}
}

void victim_main(struct run *r, void *arg)
{
	struct victim *v = arg;

	if (v->huge_pages)
		have_huge(r, v);
	v->memory = (uintptr_t)map_memory(r, v->memory_max * page_size(), MADV_NOHUGEPAGE, -1);
	have_memory(r, v);
	give_back(r, v);
	for (int way = 0; way < VICTIM_WAYS; way++)
		if (v->n[way] && victim_kinds[way].prepare)
			victim_kinds[way].prepare(r, v, (enum victim_way)way);
	gate_open(v->phase[VICTIM_PREPARE].done);

	for (int way = 0; way < VICTIM_WAYS; way++) {
		phase_wait(r, &v->phase[VICTIM_TAG + way]);
		tag_pages(r, v, (enum victim_way)way);
		gate_open(v->phase[VICTIM_TAG + way].done);
	}
	phase_wait(r, &v->phase[VICTIM_CHECK]);
	for (int way = 0; way < VICTIM_WAYS; way++)
		for (unsigned int i = 0; i < v->n[way]; i++)
			if (v->page[way][i].done && !v->page[way][i].signal)
				check_page(r, v, (enum victim_way)way, i);
	check_all(v, false);
	gate_open(v->phase[VICTIM_CHECK].done);

	phase_wait(r, &v->phase[VICTIM_KILL]);
	if (v->child_waits)
		have_child_wait(r, v);
	gate_open(v->phase[VICTIM_KILL].done);

	phase_wait(r, &v->phase[VICTIM_RETRY]);
	retry(r, v);
	check_all(v, true);
	gate_open(v->phase[VICTIM_RETRY].done);
}

const struct role victim_role = {
	.name = "victim",
	.summary = "needs tagged memory, in all the ways there are",
	.syscalls = SYSCALLS("openat", "read", "close", "madvise", "mmap", "munmap", "mprotect",
			     "clone", "clone3", "wait4", "memfd_create", "ftruncate", "mincore",
			     VMM_SYSCALLS),
};
