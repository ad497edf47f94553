// SPDX-License-Identifier: GPL-2.0-only
/* What scenarios need, and whether it is here. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario/disk.h"
#include "scenario/needs.h"

static bool no(char *why, size_t size, const char *text)
{
	snprintf(why, size, "%s", text);
	return false;
}

const char *need_text(enum need need)
{
	switch (need) {
	case NEED_MTE:
		return "a processor and kernel with MTE";
	case NEED_ROOT:
		return "root";
	case NEED_TAG_STORAGE:
		return "a kernel that uses tag storage for data";
	case NEED_POLICY_CMA:
		return "policy cma";
	case NEED_DRAM_TAGS:
		return "tags in DRAM, where the device tree says";
	case NEED_SWAP:
		return "a swap device";
	case NEED_ZRAM:
		return "swap on zram";
	case NEED_KVM:
		return "KVM";
	case NEED_FUSE:
		return "FUSE";
	case NEED_IO_URING:
		return "io_uring";
	case NEED_UFFD:
		return "userfaultfd";
	case NEED_SMP:
		return "two CPUs";
	case NEED_DISPOSABLE:
		return "a disposable machine";
	case NEED_POLICY_CLEANCACHE:
		return "policy cleancache";
	case NEED_DISK:
		return "a disk";
	}
	return "?";
}

bool have_tag_storage(struct state_summary *s, char *why, size_t size)
{
	struct state *st;
	int err = state_open(&st);

	if (!err)
		err = state_read_summary(st, s);
	if (err)
		snprintf(why, size, "%s", state_error(st));
	state_close(st);
	if (err)
		return false;
	if (!strcmp(s->policy, "off")) {
		snprintf(why, size, "tag storage is not used for data: policy off, reason %s",
			 s->reason);
		return false;
	}
	return true;
}

bool have_dram_tags(char *why, size_t size)
{
	struct state_tags tags;
	struct state *st;
	char *p;
	int err;

	if (!mte_supported())
		return no(why, size, "this processor or kernel offers no MTE to programs");
	p = mte_map(page_size(), true);
	if (!p) {
		snprintf(why, size, "mmap(PROT_MTE): %s", strerror(errno));
		return false;
	}
	/* A pattern, not one tag: an emulator may keep one tag for many granules. */
	memset(p, 1, page_size());
	tags_fill(p, page_size(), 0x7a67, 1);
	err = state_open(&st);
	if (!err)
		err = state_tags_addr(st, 0, (uintptr_t)p, &tags);
	if (err)
		snprintf(why, size, "%s", state_error(st));
	state_close(st);
	munmap(p, page_size());
	if (err)
		return false;
	for (size_t i = 0; i < STATE_TAGS_PER_PAGE && tags.valid; i++)
		if (tags.tags[i] != tags_pattern_at(0x7a67, 1, i * MTE_GRANULE))
			return no(why, size, "the kernel does not see the tags a program has set");
	if (!tags.valid || !tags.has_raw)
		return no(why, size, "a page with tags has no tag storage");
	if (!state_tags_agree(&tags))
		return no(why, size,
			  "tags are kept outside of DRAM here (hidden): what the device tree calls tag storage holds something else");
	return true;
}

bool have_swap(bool zram, char *why, size_t size)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[512];
	bool any = false, found = false;

	if (!f)
		return no(why, size, "this kernel has no swap (/proc/swaps is missing)");
	/* The first line is a heading. */
	if (fgets(line, sizeof(line), f)) {
		while (fgets(line, sizeof(line), f)) {
			any = true;
			if (!zram || strstr(line, "zram"))
				found = true;
		}
	}
	fclose(f);
	if (found)
		return true;
	return no(why, size, any ? "swap is not on zram" :
		  "no swap is on; in the machine: scripts/vm --swap 256M");
}

static bool have_device(const char *path, const char *hint, char *why, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		snprintf(why, size, "%s: %s%s", path, strerror(errno), hint);
		return false;
	}
	close(fd);
	return true;
}

bool have_fuse(char *why, size_t size)
{
	return have_device("/dev/fuse", " (kernel without CONFIG_FUSE_FS?)", why, size);
}

bool have_kvm(char *why, size_t size)
{
	return have_device("/dev/kvm", "; in the machine: scripts/vm --kvm", why, size);
}

bool have_io_uring(char *why, size_t size)
{
	char value[8] = "";
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = read(fd, value, sizeof(value) - 1);

		close(fd);
		if (n > 0 && *value != '0')
			return no(why, size,
				  "io_uring is switched off for ordinary users: sysctl kernel.io_uring_disabled=0");
	}
	/* No parameters: EFAULT if the call is there. */
	if (syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS)
		return no(why, size, "this kernel has no io_uring");
	return true;
}

bool have_uffd(char *why, size_t size)
{
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0) {
		snprintf(why, size, "userfaultfd: %s", strerror(errno));
		return false;
	}
	close((int)fd);
	return true;
}

bool have_disposable(char *why, size_t size)
{
	const char *env = getenv("TAGSCOPE_DISPOSABLE");
	char line[4096] = "", *save;
	FILE *f = fopen("/proc/cmdline", "re");

	if (f && !fgets(line, sizeof(line), f))
		*line = '\0';
	if (f)
		fclose(f);
	for (char *w = strtok_r(line, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (!strcmp(w, "tagscope.disposable"))
			return true;
	return (env && !strcmp(env, "1")) ||
	       no(why, size,
		  "what it does to the machine cannot be undone; where that does not matter: TAGSCOPE_DISPOSABLE=1");
}

bool machine_is_disposable(void)
{
	char why[256];

	return have_disposable(why, sizeof(why));
}

/*
 * A file that a scenario changes and the kernel does not have: then the scenario is about
 * something that is not there.
 */
static bool settings_there(const struct setting *s, char *why, size_t size)
{
	for (; s && s->path; s++) {
		glob_t g;
		int err;

		if (s->flags & SETTING_OPTIONAL)
			continue;
		err = glob(s->path, 0, NULL, &g);
		if (!err)
			globfree(&g);
		if (err) {
			snprintf(why, size, "this kernel has no %s", s->path);
			return false;
		}
	}
	return true;
}

bool have_policy(const char *policy, char *why, size_t size)
{
	struct state_summary s;

	if (!have_tag_storage(&s, why, size))
		return false;
	if (!strcmp(s.policy, policy))
		return true;
	snprintf(why, size, "the policy is %s, not %s", s.policy, policy);
	return false;
}

bool storage_takes_data(struct run *r, const char *what)
{
	struct state_summary now = summary_now(r);
	char why[128];

	if (!strcmp(now.policy, "cma"))
		return true;
	snprintf(why, sizeof(why), "policy %s keeps tag storage out of the page allocator",
		 now.policy);
	skip_result(r, why, "%s", what);
	return false;
}

bool policy_is_cleancache(struct run *r)
{
	return !strcmp(summary_now(r).policy, "cleancache");
}

static bool need_met(enum need need, char *why, size_t size)
{
	struct state_summary s;

	switch (need) {
	case NEED_MTE:
		return mte_supported() ||
		       no(why, size, "this processor or kernel offers no MTE to programs");
	case NEED_ROOT:
		return geteuid() == 0 || no(why, size, "this must be run as root");
	case NEED_TAG_STORAGE:
		return have_tag_storage(&s, why, size);
	case NEED_POLICY_CMA:
		return have_policy("cma", why, size);
	case NEED_POLICY_CLEANCACHE:
		return have_policy("cleancache", why, size);
	case NEED_DRAM_TAGS:
		return have_dram_tags(why, size);
	case NEED_SWAP:
		return have_swap(false, why, size);
	case NEED_ZRAM:
		return have_swap(true, why, size);
	case NEED_KVM:
		return have_kvm(why, size);
	case NEED_FUSE:
		return have_fuse(why, size);
	case NEED_IO_URING:
		return have_io_uring(why, size);
	case NEED_UFFD:
		return have_uffd(why, size);
	case NEED_SMP:
		return sysconf(_SC_NPROCESSORS_ONLN) > 1 ||
		       no(why, size, "there is one CPU only");
	case NEED_DISPOSABLE:
		return have_disposable(why, size);
	case NEED_DISK: {
		char disk[64];

		return disk_find(disk, sizeof(disk)) ||
		       no(why, size, "there is no disk for scenarios (scripts/vm --disk 128M)");
	}
	}
	return no(why, size, "a need that this tagscope does not know");
}

unsigned int needs_all(const struct scenario *s)
{
	unsigned int needs = s->needs;

	if (needs & (NEED_POLICY_CMA | NEED_POLICY_CLEANCACHE | NEED_DRAM_TAGS))
		needs |= NEED_TAG_STORAGE;
	if (needs & NEED_TAG_STORAGE)
		needs |= NEED_ROOT | NEED_MTE;
	if (needs & NEED_ZRAM)
		needs |= NEED_SWAP;
	return needs;
}

bool needs_met(const struct scenario *s, enum verdict *verdict, char *why, size_t size)
{
	unsigned int needs = needs_all(s);
	struct sysinfo si;
	uint64_t ram;

	*verdict = VERDICT_SKIP;
#ifndef __aarch64__
	if (needs & NEED_MTE) {
		*verdict = VERDICT_ERROR;
		return no(why, size,
			  "this is not an arm64 machine: run it in the emulated one (scripts/vm -- tagscope run ...)");
	}
#endif
	for (unsigned int bit = 1; bit && bit <= needs; bit <<= 1)
		if ((needs & bit) && !need_met((enum need)bit, why, size))
			return false;
	if (!settings_there(s->save_restore, why, size))
		return false;
	if (s->min_memory) {
		if (sysinfo(&si)) {
			snprintf(why, size, "sysinfo: %s", strerror(errno));
			return false;
		}
		ram = (uint64_t)si.totalram * si.mem_unit;
		if (ram < s->min_memory) {
			snprintf(why, size, "%" PRIu64 " MiB of memory are too few, %" PRIu64 " MiB are needed",
				 ram >> 20,
				 s->min_memory >> 20);
			return false;
		}
	}
	return true;
}
