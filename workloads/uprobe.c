// SPDX-License-Identifier: GPL-2.0-only
/* workloads/uprobe.c: breakpoints of the kernel in code that the program has tagged. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define INSN_RET 0xd65f03c0	/* Arm ARM, C6.2: RET, to X30 */
#define PMU "/sys/bus/event_source/devices/uprobe/type"

/* The number by which perf_event_open() knows uprobes. */
static uint32_t uprobe_pmu(struct run *r)
{
	unsigned int type;
	FILE *f = fopen(PMU, "re");

	if (!f)
		skip(r, "the kernel has no uprobes (%s: %s): CONFIG_UPROBE_EVENTS", PMU,
		     strerror(errno));
	if (fscanf(f, "%u", &type) != 1)
		bail(r, "%s: not a number", PMU);
	fclose(f);
	return type;
}

/* A breakpoint at this offset of the file, in this process; it is gone when fd is closed. */
static int probe(struct run *r, uint32_t pmu, int file, uint64_t offset)
{
	char path[32];
	struct perf_event_attr attr = {
		.type = pmu,
		.size = sizeof(attr),
		.uprobe_path = (uintptr_t)path,
		.probe_offset = offset,
		.sample_period = 1,
	};
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		bail_errno(r, "perf_event_open of a uprobe");
	return fd;
}

static uint64_t hits(struct run *r, int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		bail_errno(r, "reading a uprobe's count");
	return n;
}

/* Pages that have anything but this instruction, first words left out. */
static size_t other_code(const struct area *a)
{
	size_t bad = 0;

	for (size_t i = 0; i < a->n; i++) {
		const uint32_t *code = (const uint32_t *)area_page(a, i);
		size_t k = 1;

		while (k < page_size() / sizeof(*code) && code[k] == INSN_RET)
			k++;
		bad += k != page_size() / sizeof(*code);
	}
	return bad;
}

static void call(const struct area *a)
{
	for (size_t i = 0; i < a->n; i++) {
		void (*code)(void);

		memcpy(&code, &(char *){ area_page(a, i) }, sizeof(code));
		code();
	}
}

static void expect_tagged_code(struct run *r, const struct area *code, const char *when)
{
	expect_eq_u64(r, other_code(code), 0, "%s: the code is what it was", when);
	expect_intact(r, area_check_tags(code), "%s: its tags are what the program has set", when);
	expect_eq_u64(r, area_bad_storage(r, 0, code), 0, "%s: they are in tag storage", when);
}

static void probed(struct run *r, uint32_t pmu, size_t n, bool own)
{
	const char *name = own ? "pages of its own" : "pages of the file";
	uint64_t start = summary_now(r).reserved_pages, *was, *is;
	size_t len = n * page_size(), replaced = 0, got = 0;
	int file = memfd_create("tagscope-uprobe", MFD_CLOEXEC);
	int *fd = calloc(n, sizeof(*fd));
	struct area all, code;
	void *shared, *private;

	if (own)
		step(r,
		     "The same with pages that the program has written to itself, before it made them executable.");
	else
		step(r,
		     "A program maps code from a file in memory, tags it, and executes it. Then the kernel puts a breakpoint into each page, as perf and bpf do: it replaces the page by a copy, whose tags need storage, too.");
	if (file < 0 || ftruncate(file, (off_t)len) || !fd)
		bail_errno(r, "a file of %zu bytes", len);
	shared = mmap(NULL, len, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED, file, 0);
	if (shared == MAP_FAILED)
		bail_errno(r, "mmap");
	all = area_at(r, shared, n);
	for (size_t i = 0; i < len / sizeof(uint32_t); i++)
		((uint32_t *)shared)[i] = INSN_RET;
	area_write_tags(r, &all);
	private = mmap(NULL, len, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_MTE, MAP_PRIVATE,
		       file, 0);
	if (private == MAP_FAILED)
		bail_errno(r, "mmap");
	code = area_at(r, private, n);
	code.tags = all.tags;
	if (own) {
		for (size_t i = 0; i < n; i++)
			*(volatile uint32_t *)area_page(&code, i) = INSN_RET;
		area_write_tags(r, &code);
	}
	if (mprotect(private, len, PROT_READ | PROT_EXEC | PROT_MTE))
		bail_errno(r, "mprotect");
	__builtin___clear_cache(private, (char *)private + len);
	call(&code);
	expect_tagged_code(r, &code, name);
	was = area_locations(r, 0, &code);

	/* Storage that is simply there is found by whoever copies. */
	storage_shortage(r, STORAGE_FULL);
	for (size_t i = 0; i < n; i++)
		fd[i] = probe(r, pmu, file, i * page_size());
	storage_shortage(r, STORAGE_NORMAL);
	call(&code);
	is = area_locations(r, 0, &code);
	for (size_t i = 0; i < n; i++) {
		replaced += was[i] != is[i];
		got += hits(r, fd[i]);
	}
	/* A copy may lie where the page was that it is of, if that has moved meanwhile. */
	expect_range(r, replaced, n - n / 16, n, "%s: each was replaced by a copy", name);
	expect_eq_u64(r, got, n, "%s: each breakpoint was hit once", name);
	expect_tagged_code(r, &code, own ? "own pages, with breakpoints" : "with breakpoints");

	for (size_t i = 0; i < n; i++)
		close(fd[i]);
	call(&code);
	expect_tagged_code(r, &code, own ? "own pages, without them" : "without them");
	expect_intact(r, area_check_tags(&all), "%s: the file's tags are as they were", name);

	free(was);
	free(is);
	free(fd);
	if (munmap(shared, len) || munmap(private, len))
		bail_errno(r, "munmap");
	close(file);
	expect(r, reserved_pages_wait(r, start), "%s: unmapped, none has tag storage", name);
}

static void uprobe_run(struct run *r)
{
	uint32_t pmu = uprobe_pmu(r);
	size_t n = param_u64(r, "pages");

	probed(r, pmu, n, false);
	probed(r, pmu, n, true);
}

static const struct scenario uprobe_scenario = {
	.name = "uprobe",
	.kind = SCENARIO_WORKLOAD,
	.summary = "breakpoints of perf and bpf in tagged code",
	.explanation =
		"Whoever traces a program with perf or bpf has the kernel put breakpoints into its code (uprobes). The page of code, which others may use too, is replaced by a copy for this program. "
		"A program can tag what it executes: then the copy needs the tags as well, and storage for them.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "128", 1, 512, "pages of code")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.run = uprobe_run,
};
SCENARIO(uprobe_scenario);
