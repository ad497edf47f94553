// SPDX-License-Identifier: GPL-2.0-only
/* workloads/kvm-plain.c: guests without MTE, whose memory may lie in tag storage. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "vmm/vmm.h"

#define MIB ((uint64_t)1 << 20)
#define RW (PROT_READ | PROT_WRITE)

/* Have the guest read 8 bytes of this page of its memory: false if it makes no progress. */
static bool guest_reads(struct run *r, struct vmm *v, size_t page, uint64_t *value)
{
	struct vmm_end end = vmm_call(v, VMM_FETCH, VMM_MEMORY + page * page_size(), 0, 0, 0);

	if (end.exception || (end.err && end.err != -ETIME))
		bail(r, "the guest cannot read: error %d, ESR %llx", end.err,
		     (unsigned long long)end.x0);
	*value = end.x0;
	return !end.err;
}

static void kvm_plain(struct run *r)
{
	size_t n = 8 * MIB / page_size(), there = 0, after = 0, wrong = 0, held = 0;
	uint64_t keep = memory_reserve(r) + 24 * MIB, value = 0;
	struct ballast *b = ballast_new(r);
	int fd = memfd_create("guest", MFD_CLOEXEC), kvm = vmm_device(r), fds[2];
	struct vmm *v;
	loff_t off;
	char *m;

	if (fd < 0 || ftruncate(fd, (off_t)(n * page_size())) || pipe2(fds, O_CLOEXEC))
		bail_errno(r, "memfd");
	m = mmap(NULL, n * page_size(), RW, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		bail_errno(r, "mmap of a memfd");
	step(r,
	     "Memory is scarce when the memory of a guest without MTE, a memfd, is filled: some of it lies in tag storage.");
	while (ballast_grow(r, b, 16 * MIB, keep))
		;
	for (size_t i = 0; i < n; i++)
		memset(m + i * page_size(), (int)(i & 0xff), page_size());
	ballast_free(b);
	drain_lru(r);
	there = pages_in_tag_storage(r, 0, m, n);
	require(r, there > 0, "some of the guest's memory lies in tag storage");
	while (!page_now(r, 0, m + held * page_size()).in_tag_storage)
		held++;
	v = vmm_new(r, kvm, false);
	bail_if_error(r, vmm_memory(v, 0, VMM_MEMORY, m, n * page_size(), false),
		      "KVM_SET_USER_MEMORY_REGION");

	step(r,
	     "Somebody who can read the memfd holds one of these pages in a pipe. The guest reads it.");
	off = (loff_t)(held * page_size());
	if (splice(fd, &off, fds[1], NULL, 1, 0) != 1)
		bail_errno(r, "splice");
	require(r, guest_reads(r, v, held, &value),
		"the guest makes progress with a page that is held");
	expect_eq_u64(r, value & 0xff, held & 0xff, "it reads what is there");

	step(r,
	     "It reads all of its memory. No page has to leave tag storage for that.");
	for (size_t i = 0; i < n; i++)
		wrong += !guest_reads(r, v, i, &value) ||
			 (value & 0xff) != (i & 0xff);
	expect_eq_u64(r, wrong, 0, "each page is read, and right");
	after = pages_in_tag_storage(r, 0, m, n);
	measure(r, "in_tag_storage_before", "pages", (double)there);
	measure(r, "in_tag_storage_after", "pages", (double)after);
	/* Compaction and reclaim may have moved a few. */
	expect_range(r, after, there - there / 8, n, "the guest's memory stays in tag storage");
	vmm_free(v);
	munmap(m, n * page_size());
	close(kvm);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

static const struct scenario kvm_plain_scenario = {
	.name = "kvm-plain",
	.kind = SCENARIO_WORKLOAD,
	.summary = "a KVM guest without MTE, whose memory lies in tag storage",
	.explanation =
		"Most guests have no MTE, and their memory may lie in tag storage like any other. KVM gets each page for a moment to map it for the guest. "
		"Were it moved out of tag storage then, the MMU notifiers would have the guest's fault start again, and if the page cannot be moved, again and again.",
	.groups = "kvm",
	.needs = NEED_KVM | NEED_POLICY_CMA,
	.min_memory = 512 << 20,
	.time_limit_s = 300,
	.run = kvm_plain,
};
SCENARIO(kvm_plain_scenario);
