// SPDX-License-Identifier: GPL-2.0-only
/* workloads/kernel-tags.c: memory of the kernel has tags, and page cache uses their storage. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scenario/disk.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

/* Pages that a pipe holds unless it is asked for more. */
#define PIPE_PAGES 16

struct pipes {
	int (*fd)[2];
	size_t n;
};

/* The byte that page i of pipe p is filled with. */
static unsigned char filling(size_t p, size_t i)
{
	return (unsigned char)(p * 31 + i * 7 + 1);
}

static struct pipes fill_pipes(struct run *r, size_t n)
{
	struct pipes pipes = { calloc(n, sizeof(*pipes.fd)), n };
	size_t size = page_size();
	unsigned char *buf = malloc(size);

	if (!pipes.fd || !buf)
		bail_errno(r, "malloc");
	for (size_t p = 0; p < n; p++) {
		if (pipe2(pipes.fd[p], O_CLOEXEC | O_NONBLOCK))
			bail_errno(r, "pipe2");
		for (size_t i = 0; i < PIPE_PAGES; i++) {
			memset(buf, filling(p, i), size);
			if (write(pipes.fd[p][1], buf, size) != (ssize_t)size)
				bail_errno(r, "write to a pipe");
		}
	}
	free(buf);
	return pipes;
}

/* Read all of them, and close them; how many pages are not what was written. */
static size_t drain_pipes(struct run *r, struct pipes *pipes)
{
	size_t size = page_size(), wrong = 0;
	unsigned char *buf = malloc(size);

	if (!buf)
		bail_errno(r, "malloc");
	for (size_t p = 0; p < pipes->n; p++) {
		for (size_t i = 0; i < PIPE_PAGES; i++) {
			bool same = read(pipes->fd[p][0], buf, size) == (ssize_t)size;

			for (size_t k = 0; same && k < size; k++)
				same = buf[k] == filling(p, i);
			wrong += !same;
		}
		close(pipes->fd[p][0]);
		close(pipes->fd[p][1]);
	}
	free(buf);
	free(pipes->fd);
	return wrong;
}

static void expect_content(struct run *r, struct disk_file *f, const char *when)
{
	expect_eq_u64(r, disk_file_wrong(r, f, false), 0,
		      "%s: the file reads as it was written", when);
}

static void kernel_tags(struct run *r)
{
	size_t n = param_u64(r, "pipes"), rounds = param_u64(r, "rounds");
	struct rlimit lim = { 2 * n + 64, 2 * n + 64 };
	struct state_summary was, is;
	struct disk_file *f;
	struct pipes pipes;
	uint64_t before, recalled, hits;

	if (setrlimit(RLIMIT_NOFILE, &lim))
		bail_errno(r, "setrlimit");
	pipes = fill_pipes(r, 4);
	drain_pipes(r, &pipes);
	if (!kernel_reservations(r))
		skip(r, "the kernel does not tag its own memory: no hardware tag-based KASAN");

	disk_mount(r, NULL);
	f = disk_file_new(r, "file", param_u64(r, "pages"));

	step(r,
	     "A file is read and reclaimed, so that tag storage is full of copies of it. The kernel's own memory has tags, too, and their storage is not touched.");
	was = summary_now(r);
	measure(r, "blocks_reserved_at_first", "blocks", (double)was.blocks_reserved);
	measure(r, "blocks", "blocks", (double)was.blocks);
	expect_range(r, was.blocks_available, 1, UINT64_MAX,
		     "the kernel's tags leave some tag storage to be used");
	for (size_t i = 0; i < rounds; i++) {
		expect_range(r, disk_file_store(r, f, "before the pipes"), 1, UINT64_MAX,
			     "copies of the file are stored");

		step(r,
		     "Pipes are filled: the kernel allocates pages for what they hold, and tags them. What lies in the storage of these tags has to go at once.");
		was = summary_now(r);
		before = kernel_reservations(r);
		recalled = vmstat_now(r, "cleancache_recall");
		pipes = fill_pipes(r, n);
		recalled = vmstat_now(r, "cleancache_recall") - recalled;
		is = summary_now(r);
		expect_range(r, kernel_reservations(r) - before, n * PIPE_PAGES * 9 / 10,
			     UINT64_MAX,
			     "each page that the kernel tagged has storage reserved for it");
		expect_range(r, is.blocks_reserved, was.blocks_reserved + 1, UINT64_MAX,
			     "more blocks hold tags");
		expect_eq_u64(r, is.reserve_busy - was.reserve_busy, 0, "no reservation failed");
		measure(r, "recalled", "pages", (double)recalled);

		step(r, "The file is read while the pipes are full; then they are read and closed.");
		hits = vmstat_now(r, "cleancache_hit");
		expect_content(r, f, "pipes full");
		hits = vmstat_now(r, "cleancache_hit") - hits;
		measure(r, "hits", "pages", (double)hits);
		expect_eq_u64(r, drain_pipes(r, &pipes), 0, "what is read from the pipes is what was written");
		expect(r, eventually(5000, summary_now(r).blocks_reserved < is.blocks_reserved),
		       "blocks are given back when the kernel frees its pages");
		sleep_ms(REFILL_MS);
	}
	expect_content(r, f, "at last");
	measure(r, "blocks_reserved_at_last", "blocks", (double)summary_now(r).blocks_reserved);
	disk_file_free(r, f);
}

static const struct scenario kernel_tags_scenario = {
	.name = "kernel-tags",
	.kind = SCENARIO_WORKLOAD,
	.summary = "hardware tag-based KASAN and page cache share tag storage",
	.explanation = "With hardware tag-based KASAN the kernel tags what it allocates for itself, in interrupts and with locks held, where it cannot wait for storage of these tags. Policy cleancache keeps nothing in tag storage but copies of clean page cache, which are dropped at once: so a kernel that tags its own memory can use tag storage for data as well. The scenario fills tag storage with copies of a file, and has the kernel allocate memory of its own for what is written to pipes.",
	.groups = "cleancache",
	.params = PARAMS(P_UINT("pages", "2048", 64, 65536, "size of the file"),
			 P_UINT("pipes", "512", 16, 8192, "pipes to fill, of 16 pages each"),
			 P_UINT("rounds", "3", 1, 1000, "how often")),
	.needs = NEED_POLICY_CLEANCACHE | NEED_DISK,
	.time_limit_s = 300,
	.run = kernel_tags,
};
SCENARIO(kernel_tags_scenario);
