// SPDX-License-Identifier: GPL-2.0-only
/* workloads/remote-access.c: one process looks into another's tagged memory, and changes it. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#ifndef PTRACE_PEEKMTETAGS
#define PTRACE_PEEKMTETAGS 33
#define PTRACE_POKEMTETAGS 34
#endif
#ifndef PT_AARCH64_MEMTAG_MTE
#define PT_AARCH64_MEMTAG_MTE (PT_LOPROC + 2)
#endif

/* What the other process has, all at the same addresses in both. */
struct memory_of {
	struct area tagged;	/* data and tags of its own */
	struct area pending;	/* made taggable, not accessed since */
	struct area shared;	/* with tags; the pages are the parent's, until one writes */
	struct area empty;	/* tagged mapping, only read: the zero page */
};

static void make_memory(struct run *r, struct memory_of *m, size_t n)
{
	m->tagged = area_map(r, n, true);
	m->pending = area_map(r, n, false);
	m->shared = area_map(r, n, true);
	m->empty = area_map(r, n, true);
	area_write(r, &m->shared);
}

/* In the other process: fill it, and stop. Afterwards, see what has become of it. */
static void live(struct run *r, struct memory_of *m, uint64_t seed, const bool *changed)
{
	struct mismatch bad;

	m->tagged.data = seed + 1;
	m->tagged.tags = seed + 2;
	m->pending.data = seed + 3;
	m->pending.tags = 0;
	for (size_t i = 0; i < m->tagged.n; i++) {
		pattern_fill(area_page(&m->tagged, i), page_size(), m->tagged.data, i);
		tags_fill(area_page(&m->tagged, i), page_size(), m->tagged.tags, i);
		pattern_fill(area_page(&m->pending, i), page_size(), m->pending.data, i);
		*(volatile char *)area_page(&m->empty, i);
	}
	mprotect_storage_full(r, m->pending.base, area_len(&m->pending));
	raise(SIGSTOP);
	if (!*changed)
		_exit(0);
	/* The tracer has set all of it to other patterns. */
	m->tagged.data += 16;
	m->pending.data += 16;
	m->shared.data += 16;
	m->empty.data = seed + 4;
	m->tagged.tags += 16;
	m->pending.tags = seed + 5;
	m->shared.tags += 16;
	m->empty.tags = seed + 6;
	bad = area_check_data(&m->tagged);
	bad.count += area_check_tags(&m->tagged).count;
	bad.count += area_check_data(&m->pending).count + area_check_tags(&m->pending).count;
	bad.count += area_check_data(&m->shared).count + area_check_tags(&m->shared).count;
	bad.count += area_check_data(&m->empty).count + area_check_tags(&m->empty).count;
	_exit(bad.count ? 1 : 0);
}

static pid_t start_other(struct run *r, struct memory_of *m, uint64_t seed, const bool *changed)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid) {
		/* To be a tracee: then the tracer sees it stop, and may read its tags. */
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(2);
		live(r, m, seed, changed);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		bail(r, "the other process did not stop (wait status 0x%x)", status);
	m->tagged.data = seed + 1;
	m->tagged.tags = seed + 2;
	m->pending.data = seed + 3;
	m->pending.tags = 0;
	return pid;
}

/* ---- Data ------------------------------------------------------------------------- */

enum way { PROCESS_VM, PROC_MEM, NR_WAYS };

static const char *const way_names[NR_WAYS] = { "process_vm", "/proc/PID/mem" };

/* Returns whether all was transferred. */
static bool transfer(enum way way, pid_t pid, int fd, const struct area *a, void *buf,
		     bool write_)
{
	struct iovec local = { buf, area_len(a) }, remote = { a->base, area_len(a) };
	ssize_t n;

	if (way == PROCESS_VM)
		n = write_ ? process_vm_writev(pid, &local, 1, &remote, 1, 0) :
			     process_vm_readv(pid, &local, 1, &remote, 1, 0);
	else
		n = write_ ? pwrite(fd, buf, area_len(a), (off_t)(uintptr_t)a->base) :
			     pread(fd, buf, area_len(a), (off_t)(uintptr_t)a->base);
	return n == (ssize_t)area_len(a);
}

static struct mismatch check_buffer(const struct area *a, const char *buf)
{
	struct area copy = *a;

	copy.base = (char *)(uintptr_t)buf;
	return area_check_data(&copy);
}

static void read_data(struct run *r, const struct memory_of *m, pid_t pid, int fd, char *buf)
{
	for (int way = 0; way < NR_WAYS; way++) {
		const struct area *areas[] = { &m->tagged, &m->pending, &m->shared };
		static const char *const what[] = { "tagged pages", "pages that wait for storage",
						    "tagged pages shared since fork" };

		for (int k = 0; k < 3; k++) {
			expect(r, transfer((enum way)way, pid, fd, areas[k], buf, false),
			       "%s reads %s", way_names[way], what[k]);
			expect_intact(r, check_buffer(areas[k], buf), "%s: the data of %s is right",
				      way_names[way], what[k]);
		}
	}
}

static void write_data(struct run *r, const struct memory_of *m, uint64_t seed, pid_t pid,
		       int fd, char *buf)
{
	struct area areas[] = { m->tagged, m->pending, m->shared, m->empty };

	for (int k = 0; k < 4; k++) {
		areas[k].data = k == 3 ? seed + 4 : areas[k].data + 16;
		for (size_t i = 0; i < areas[k].n; i++)
			pattern_fill(buf + i * page_size(), page_size(), areas[k].data, i);
		/* One half this way, the other that way: they make room for a write differently. */
		for (int way = 0; way < NR_WAYS; way++) {
			struct area half = areas[k];
			size_t first = way ? half.n / 2 : 0;

			half.base = area_page(&areas[k], first);
			half.n = way ? half.n - first : half.n / 2;
			expect(r, transfer((enum way)way, pid, fd, &half,
					   buf + first * page_size(), true),
			       "%s writes to area %d", way_names[way], k + 1);
		}
	}
}

/* ---- Tags ------------------------------------------------------------------------- */

/* One tag a byte. Returns whether all were transferred. */
static bool move_tags(int request, pid_t pid, const char *p, uint8_t *tags, size_t n)
{
	size_t done = 0;

	while (done < n) {
		struct iovec iov = { tags + done, n - done };

		if (ptrace(request, pid, p + done * MTE_GRANULE, &iov) || !iov.iov_len)
			return false;
		done += iov.iov_len;
	}
	return true;
}

static void read_tags_by_ptrace(struct run *r, const struct area *a, pid_t pid, const char *what)
{
	size_t n = page_size() / MTE_GRANULE, wrong = 0, failed = 0;
	uint8_t tags[4096 / MTE_GRANULE];

	for (size_t i = 0; i < a->n; i++) {
		failed += !move_tags(PTRACE_PEEKMTETAGS, pid, area_page(a, i), tags, n);
		for (size_t g = 0; g < n; g++)
			wrong += tags[g] !=
				 (a->tags ? tags_pattern_at(a->tags, i, g * MTE_GRANULE) : 0);
	}
	expect_eq_u64(r, failed, 0, "the tags of %s can be read by ptrace", what);
	expect_eq_u64(r, wrong, 0, "they are right, of %s", what);
}

static void poke_tags(struct run *r, struct area a, uint64_t tags_seed, pid_t pid,
		      const char *what)
{
	size_t n = page_size() / MTE_GRANULE, failed = 0;
	uint8_t tags[4096 / MTE_GRANULE];

	for (size_t i = 0; i < a.n; i++) {
		for (size_t g = 0; g < n; g++)
			tags[g] = (uint8_t)tags_pattern_at(tags_seed, i, g * MTE_GRANULE);
		failed += !move_tags(PTRACE_POKEMTETAGS, pid, area_page(&a, i), tags, n);
	}
	expect_eq_u64(r, failed, 0, "the tags of %s can be set by ptrace", what);
}

static void look_and_change(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, seed = rnd(r) & ~0xffULL;
	bool *changed = shared_alloc(r, sizeof(*changed));
	char path[64], *buf = malloc(n * page_size());
	struct memory_of m;
	int fd, status;
	pid_t pid;

	if (!buf)
		bail(r, "out of memory");
	make_memory(r, &m, n);
	step(r,
	     "Another process has memory with tags of its own, memory that waits for storage since mprotect(), tagged memory that it shares with this one since fork(), and tagged memory that is nothing but the zero page. This one reads the data with process_vm_readv() and through /proc/PID/mem.");
	pid = start_other(r, &m, seed, changed);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bail_errno(r, "%s", path);
	read_data(r, &m, pid, fd, buf);

	step(r,
	     "It reads the tags with ptrace(). Where there is no storage yet it has to be found first, on behalf of the other process; those tags are 0.");
	m.empty.tags = 0;
	read_tags_by_ptrace(r, &m.tagged, pid, "tagged pages");
	read_tags_by_ptrace(r, &m.pending, pid, "pages that waited for storage");
	read_tags_by_ptrace(r, &m.shared, pid, "pages shared since fork");
	read_tags_by_ptrace(r, &m.empty, pid, "the zero page");
	expect_eq_u64(r, area_bad_storage(r, pid, &m.tagged), 0, "tagged pages have storage");
	expect_eq_u64(r, area_bad_storage(r, pid, &m.pending), 0,
		      "pages that waited have storage now");

	step(r,
	     "It writes data and sets tags everywhere. What is shared is copied first, as if the other process had written.");
	write_data(r, &m, seed, pid, fd, buf);
	poke_tags(r, m.tagged, m.tagged.tags + 16, pid, "tagged pages");
	poke_tags(r, m.pending, seed + 5, pid, "pages that waited");
	poke_tags(r, m.shared, m.shared.tags + 16, pid, "pages shared since fork");
	poke_tags(r, m.empty, seed + 6, pid, "what was the zero page");
	area_expect(r, &m.shared, "in this process, which shared it");
	expect_eq_u64(r, area_bad_storage(r, pid, &m.shared), 0, "copies have storage");
	expect_eq_u64(r, area_bad_storage(r, pid, &m.empty), 0, "new pages have storage");
	*changed = true;
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
		bail_errno(r, "PTRACE_CONT");
	expect(r, WIFEXITED(status) && !WEXITSTATUS(status),
	       "the other process finds the data and the tags that were set");
	close(fd);
	free(buf);
	area_unmap(r, &m.tagged);
	area_unmap(r, &m.pending);
	area_unmap(r, &m.shared);
	area_unmap(r, &m.empty);
	expect(r, reserved_pages_wait(r, start), "when both are done, none has tag storage");
}

/* ---- Core dumps -------------------------------------------------------------------- */

#define PATTERN "/proc/sys/kernel/core_pattern"
#define DUMPS "/tmp"

static char *read_whole(struct run *r, const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	*size = (size_t)st.st_size;
	p = mmap(NULL, *size ? *size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %s", path);
	return p;
}

/* Where the dump has so many bytes of this address; NULL if nowhere. */
static const char *in_core(const char *core, size_t size, uint32_t type, uint64_t addr, size_t len)
{
	const Elf64_Ehdr *eh = (const void *)core;

	if (size < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) ||
	    eh->e_phoff + (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr) > size)
		return NULL;
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		const Elf64_Phdr *ph = (const void *)(core + eh->e_phoff + i * sizeof(*ph));
		uint64_t off = addr - ph->p_vaddr;

		if (ph->p_type != type || addr < ph->p_vaddr || off >= ph->p_memsz)
			continue;
		/* Of tags there are two in a byte, one for each granule. */
		if (type == PT_AARCH64_MEMTAG_MTE)
			off /= MTE_GRANULE * 2;
		if (off + len > ph->p_filesz || ph->p_offset + off + len > size)
			return NULL;
		return core + ph->p_offset + off;
	}
	return NULL;
}

static void expect_core(struct run *r, const char *core, size_t size, const struct area *a,
			const char *what)
{
	size_t missing = 0, wrong_data = 0, wrong_tags = 0;
	size_t per_page = page_size() / MTE_GRANULE / 2;

	for (size_t i = 0; i < a->n; i++) {
		uint64_t addr = (uintptr_t)area_page(a, i);
		const char *data = in_core(core, size, PT_LOAD, addr, page_size());
		const char *tags = in_core(core, size, PT_AARCH64_MEMTAG_MTE, addr, per_page);

		if (!data || !tags) {
			missing++;
			continue;
		}
		wrong_data += !!pattern_check(data, page_size(), a->data, i).count;
		for (size_t g = 0; g < per_page; g++) {
			unsigned int lo = a->tags ? tags_pattern_at(a->tags, i, g * 32) : 0;
			unsigned int hi = a->tags ? tags_pattern_at(a->tags, i, g * 32 + 16) : 0;

			if ((uint8_t)tags[g] != (lo | hi << 4)) {
				wrong_tags++;
				break;
			}
		}
	}
	expect_eq_u64(r, missing, 0, "the core dump has data and tags of %s", what);
	expect_eq_u64(r, wrong_data, 0, "the core dump has the right data of %s", what);
	expect_eq_u64(r, wrong_tags, 0, "the core dump has the right tags of %s", what);
}

static void dump_core(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, seed = rnd(r) & ~0xffULL;
	static const char file[] = DUMPS "/core";
	bool *changed = shared_alloc(r, sizeof(*changed));
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct memory_of m;
	size_t size = 0;
	int status;
	pid_t pid;
	char *core;

	step(r,
	     "Such a process is killed, and leaves a core dump, which has the tags of all its tagged memory. Memory that still waits for storage has tags of 0.");
	/* Seen by this scenario only, and gone with it. */
	if (mount("tagscope", DUMPS, "tmpfs", MS_NOSUID | MS_NODEV, NULL))
		bail_errno(r, "mount of a tmpfs on " DUMPS);
	make_memory(r, &m, n);
	pid = fork();
	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid) {
		if (setrlimit(RLIMIT_CORE, &all) || chdir(DUMPS))
			_exit(2);
		live(r, &m, seed, changed);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		bail(r, "the other process did not stop");
	if (kernel_write(r, PATTERN, "%s", file))
		bail_errno(r, PATTERN);
	kill(pid, SIGQUIT);
	kill(pid, SIGCONT);
	if (waitpid(pid, &status, 0) != pid)
		status = -1;
	core = read_whole(r, file, &size);
	unlink(file);
	require(r, core && WIFSIGNALED(status) && WCOREDUMP(status), "there is a core dump");
	m.tagged.data = seed + 1;
	m.tagged.tags = seed + 2;
	m.pending.data = seed + 3;
	m.pending.tags = 0;
	measure(r, "core_dump", "MiB", (double)(size >> 20));
	expect_core(r, core, size, &m.tagged, "tagged pages");
	expect_core(r, core, size, &m.pending, "pages that waited for storage");
	expect_core(r, core, size, &m.shared, "pages shared since fork");
	munmap(core, size);
	area_unmap(r, &m.tagged);
	area_unmap(r, &m.pending);
	area_unmap(r, &m.shared);
	area_unmap(r, &m.empty);
	expect(r, reserved_pages_wait(r, start), "after the dump, none has tag storage");
}

static void remote_access(struct run *r)
{
	uint64_t sigbus = summary_now(r).foa_sigbus;
	size_t n = param_u64(r, "pages");

	look_and_change(r, n);
	dump_core(r, n);
	expect_eq_u64(r, summary_now(r).foa_sigbus, sigbus, "no access ended in SIGBUS");
}

static const struct scenario remote_access_scenario = {
	.name = "remote-access",
	.kind = SCENARIO_WORKLOAD,
	.summary = "process_vm, /proc/PID/mem, ptrace and core dumps on tagged memory",
	.explanation =
		"A debugger reads and writes the memory of another process, its tags, too, and a core dump holds both. "
		"The kernel then walks somebody else's page tables, and meets pages that have no storage for tags yet: it has to find some, or to know that the tags are 0. "
		"And what is written must not reach those who shared the page.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "24", 2, 4096, "pages of each kind")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS({ PATTERN }, FAILURE_SETTINGS),
	.run = remote_access,
};
SCENARIO(remote_access_scenario);
