// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/unsupported.c: what would need to know which tag blocks are reserved, and does
 * not: hibernation, taking memory offline, and loading another kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#ifndef KEXEC_ARCH_AARCH64
#define KEXEC_ARCH_AARCH64 (183 << 16)
#endif

#define POWER "/sys/power/"
#define MEMORY "/sys/devices/system/memory/"
#define IMAGE_SIZE ((size_t)4 << 20)

/* As <linux/kexec.h> has it for kexec_load(). */
struct segment {
	const void *buf;
	size_t bufsz;
	const void *mem;
	size_t memsz;
};

/* False if it cannot be read. The line's end is cut off. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* Nothing that was refused may leave a trace. */
static void expect_unchanged(struct run *r, const struct area *a, const char *after)
{
	struct area fresh;

	area_expect(r, a, after);
	expect_eq_u64(r, area_bad_storage(r, 0, a), 0,
		      "the tags are in tag storage, %s", after);
	fresh = area_map(r, 4 * a->n, true);
	area_write(r, &fresh);
	area_expect(r, &fresh, "in new memory");
	expect_eq_u64(r, area_bad_storage(r, 0, &fresh), 0,
		      "the tags of new memory are in tag storage, %s", after);
	area_unmap(r, &fresh);
}

/* ---- Hibernation ---------------------------------------------------------------------- */

/* What the kernel says from now on. */
static int log_open(struct run *r)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		bail_errno(r, "/dev/kmsg");
	return fd;
}

/* Whether it has said this since; closes fd. */
static bool log_says(int fd, const char *what)
{
	char record[1024];
	bool said = false;
	ssize_t n;

	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = '\0';
		said |= !!strstr(record, what);
	}
	close(fd);
	return said;
}

static void hibernated(struct run *r, const struct area *a)
{
	char states[256] = "", modes[256], *was, *end;
	int log, err;

	if (!read_text(POWER "state", states, sizeof(states)) || !strstr(states, "disk")) {
		skip_result(r, "this kernel cannot hibernate at all (CONFIG_HIBERNATION)",
			    "hibernation is refused with EOPNOTSUPP");
		return;
	}
	step(r,
	     "The system is told to hibernate. What is in memory would be written to disk, and be back when it is started again; but the tags of memory would not, nor would be known where they were. The kernel refuses.");
	/* A kernel that does it all the same comes back at once, and tells nothing. */
	if (!read_text(POWER "disk", modes, sizeof(modes)))
		bail_errno(r, POWER "disk");
	was = strchr(modes, '[');
	end = was ? strchr(was, ']') : NULL;
	if (!end || kernel_write(r, POWER "disk", "test_resume"))
		bail(r, POWER "disk does not take test_resume: %s", modes);
	log = log_open(r);
	err = kernel_write(r, POWER "state", "disk");
	expect_eq_u64(r, (uint64_t)-err, EOPNOTSUPP, "hibernation is refused with EOPNOTSUPP");
	expect(r, log_says(log, "tag storage is used for data"),
	       "the kernel log says why it cannot hibernate");
	expect_unchanged(r, a, "after an attempt to hibernate");
}

/* ---- Memory that is to go ------------------------------------------------------------- */

/* Pageblocks of CMA in all zones, from /proc/pagetypeinfo. */
static uint64_t cma_pageblocks(struct run *r)
{
	FILE *f = fopen("/proc/pagetypeinfo", "re");
	unsigned int column = 0, n = 0;
	char line[512], *word, *save;
	bool counts = false;
	uint64_t sum = 0;

	if (!f)
		bail_errno(r, "/proc/pagetypeinfo");
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Number of blocks type", 21)) {
			counts = true;
			n = 0;
			for (word = strtok_r(line + 21, " \n", &save); word;
			     word = strtok_r(NULL, " \n", &save), n++)
				if (!strcmp(word, "CMA"))
					column = n;
		} else if (counts && !strncmp(line, "Node", 4)) {
			/* "Node 0, zone Normal 1 2 3": four words, then the counts. */
			n = 0;
			for (word = strtok_r(line, " \n", &save); word;
			     word = strtok_r(NULL, " \n", &save), n++)
				if (n == column + 4)
					sum += strtoull(word, NULL, 10);
		}
	}
	fclose(f);
	if (!column)
		bail(r, "/proc/pagetypeinfo has no column for CMA");
	return sum;
}

static int take_offline(struct run *r, uint64_t address, uint64_t size, const char *what)
{
	char path[128], text[16];
	int err;

	snprintf(path, sizeof(path), MEMORY "memory%" PRIu64 "/online", address / size);
	err = kernel_write(r, path, "0");
	if (!read_text(path, text, sizeof(text)))
		bail_errno(r, "%s", path);
	expect(r, err, "%s cannot be taken offline", what);
	expect_str(r, text, "1", "%s stays online", what);
	return err;
}

static void offlined(struct run *r, const struct area *a)
{
	uint64_t size, cma, middle = pfn_middle(r) * page_size();
	char text[64];

	if (!read_text(MEMORY "block_size_bytes", text, sizeof(text))) {
		skip_result(r, "this kernel cannot take memory offline (CONFIG_MEMORY_HOTREMOVE)",
			    "the storage of the program's tags cannot be taken offline");
		return;
	}
	size = strtoull(text, NULL, 16);
	cma = cma_pageblocks(r);
	step(r,
	     "Memory is to be taken offline, %" PRIu64
	     " MiB at a time: that with the storage of the program's tags, that with its tagged pages, and other memory. None of it may go.",
	     size >> 20);
	take_offline(r, page_now(r, 0, a->base).tag_pfn * page_size(), size,
		     "the storage of the program's tags");
	expect_unchanged(r, a, "after an attempt to take their storage away");
	take_offline(r, page_now(r, 0, a->base).pfn * page_size(), size,
		     "memory with tagged pages");
	expect_unchanged(r, a, "after an attempt to take their pages away");
	take_offline(r, middle, size, "memory in the middle");
	expect_unchanged(r, a, "after an attempt to take other memory away");
	/* What was isolated for it must be again what it was: only then it is kept for tags. */
	expect_eq_u64(r, cma_pageblocks(r), cma, "tag storage is marked as before");
}

/* ---- Another kernel ------------------------------------------------------------------- */

static long kexec_load(const struct segment *s, unsigned long n)
{
	return syscall(SYS_kexec_load, n ? (unsigned long)s->mem : 0, n, s, KEXEC_ARCH_AARCH64);
}

/* Tag storage pages that are not free, in all blocks that hold no tags. */
static uint64_t storage_with_data(struct run *r)
{
	struct state_summary s = summary_now(r);
	uint64_t used = 0;

	for (uint64_t i = 0; i < s.blocks; i++) {
		struct state_block b = block_now(r, i);

		if (b.letter == BLOCK_DATA || b.letter == BLOCK_PINNED)
			used += s.block_pages - b.free;
	}
	return used;
}

static void loaded(struct run *r, const struct area *a)
{
	uint64_t used = storage_with_data(r);
	char *image = calloc(1, IMAGE_SIZE), text[16];
	struct segment s = {
		.buf = image, .bufsz = IMAGE_SIZE, .memsz = IMAGE_SIZE,
		.mem = (const void *)(uintptr_t)(pfn_middle(r) * page_size()),
	};
	long err;

	if (!image)
		bail(r, "out of memory");
	err = kexec_load(&s, 1) ? errno : 0;
	if (err == ENOSYS) {
		skip_result(r, "this kernel cannot load another (CONFIG_KEXEC)",
			    "a kernel can be loaded");
		free(image);
		return;
	}
	step(r,
	     "Another kernel, here of nothing but zeroes, is loaded with kexec_load(), and is not started. Where it waits nobody can move it: that must not be tag storage.");
	expect_eq_u64(r, (uint64_t)err, 0, "a kernel can be loaded");
	expect(r, read_text("/sys/kernel/kexec_loaded", text, sizeof(text)) && *text == '1',
	       "it waits to be started");
	expect_range(r, storage_with_data(r), 0, used + IMAGE_SIZE / page_size() / 4,
		     "it does not wait in tag storage");
	expect_unchanged(r, a, "with another kernel loaded");
	if (kexec_load(NULL, 0))
		bail_errno(r, "unloading the other kernel");
	expect(r, read_text("/sys/kernel/kexec_loaded", text, sizeof(text)) && *text == '0',
	       "it can be unloaded");
	expect_unchanged(r, a, "with it unloaded");
	free(image);
}

static void unsupported(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area a = area_map(r, param_u64(r, "pages"), true);

	area_write(r, &a);
	hibernated(r, &a);
	offlined(r, &a);
	loaded(r, &a);
	area_unmap(r, &a);
	expect(r, reserved_pages_wait(r, start), "at the end none has tag storage");
}

static const struct scenario unsupported_scenario = {
	.name = "unsupported",
	.kind = SCENARIO_WORKLOAD,
	.summary = "hibernation, memory offline, kexec: refused, or without harm",
	.explanation =
		"Some things a system can do would have to know which tag blocks are reserved, and take the tags with them: to hibernate, and to give up memory. While tag storage is used for data the kernel refuses them, with a reason. "
		"Another kernel that is loaded to be started later stays where it is, and so must not be put into tag storage. "
		"What was refused must leave everything as it was.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "64", 1, 65536, "tagged pages that are there meanwhile")),
	.needs = NEED_TAG_STORAGE | NEED_DISPOSABLE,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS({ POWER "disk", SETTING_OPTIONAL },
				 { POWER "state", SETTING_OPTIONAL | SETTING_LASTING },
				 { MEMORY "memory*/online", SETTING_OPTIONAL | SETTING_LASTING }),
	.run = unsupported,
};
SCENARIO(unsupported_scenario);
