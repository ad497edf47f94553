// SPDX-License-Identifier: GPL-2.0-only
/* workloads/kvm-plain.c: guests without MTE, whose memory may lie in tag storage. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#ifdef __aarch64__

#define MIB ((uint64_t)1 << 20)
#define RW (PROT_READ | PROT_WRITE)
#define CODE_IPA UINT64_C(0x40000000)
#define MEMORY_IPA UINT64_C(0x80000000)
#define NOWHERE UINT64_C(0x1000)
#define PATIENCE_S 10

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint32_t *code;
};

static void set_reg(struct run *r, const struct guest *g, size_t offset, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		      offset / sizeof(uint32_t),
		.addr = (uintptr_t)&value,
	};

	if (ioctl(g->vcpu, KVM_SET_ONE_REG, &reg))
		bail_errno(r, "KVM_SET_ONE_REG");
}

static void add_memory(struct run *r, const struct guest *g, unsigned int slot, uint64_t ipa,
		       void *host, size_t len)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = ipa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region))
		bail_errno(r, "KVM_SET_USER_MEMORY_REGION");
}

static void interrupt(int sig)
{
	(void)sig;
}

static struct guest guest_new(struct run *r, void *memory, size_t len)
{
	/* ldr x1, [x0]; str x1, [x4]: there is no memory, so it leaves the guest; again */
	static const uint32_t code[] = { 0xf9400001, 0xf9000081, 0x17fffffe };
	/* Without SA_RESTART. */
	struct sigaction sa = { .sa_handler = interrupt };
	struct kvm_vcpu_init init;
	struct guest g;
	int size;

	g.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g.kvm < 0)
		bail_errno(r, "/dev/kvm");
	g.vm = ioctl(g.kvm, KVM_CREATE_VM, 0);
	if (g.vm < 0)
		bail_errno(r, "KVM_CREATE_VM");
	g.code = mmap(NULL, page_size(), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g.code == MAP_FAILED)
		bail_errno(r, "mmap");
	memcpy(g.code, code, sizeof(code));
	__builtin___clear_cache((char *)g.code, (char *)g.code + sizeof(code));
	add_memory(r, &g, 0, CODE_IPA, g.code, page_size());
	add_memory(r, &g, 1, MEMORY_IPA, memory, len);
	g.vcpu = ioctl(g.vm, KVM_CREATE_VCPU, 0);
	if (g.vcpu < 0 || ioctl(g.vm, KVM_ARM_PREFERRED_TARGET, &init) ||
	    ioctl(g.vcpu, KVM_ARM_VCPU_INIT, &init))
		bail_errno(r, "a vCPU");
	size = ioctl(g.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g.run = size < 0 ? MAP_FAILED : mmap(NULL, (size_t)size, RW, MAP_SHARED, g.vcpu, 0);
	if (g.run == MAP_FAILED)
		bail_errno(r, "mmap of the vCPU");
	if (sigaction(SIGALRM, &sa, NULL))
		bail_errno(r, "sigaction");
	return g;
}

/* Have the guest read 8 bytes at this offset of its memory: false if it makes no progress. */
static bool guest_reads(struct run *r, const struct guest *g, size_t off, uint64_t *value)
{
	int err;

	set_reg(r, g, offsetof(struct kvm_regs, regs.pc), CODE_IPA);
	set_reg(r, g, offsetof(struct kvm_regs, regs.regs[0]), MEMORY_IPA + off);
	set_reg(r, g, offsetof(struct kvm_regs, regs.regs[4]), NOWHERE);
	alarm(PATIENCE_S);
	err = ioctl(g->vcpu, KVM_RUN, 0) ? errno : 0;
	alarm(0);
	if (err && err != EINTR)
		bail(r, "KVM_RUN: %s", strerror(err));
	if (err)
		return false;
	if (g->run->exit_reason != KVM_EXIT_MMIO || g->run->mmio.phys_addr != NOWHERE)
		bail(r, "the guest stopped for an unknown reason: exit %u", g->run->exit_reason);
	memcpy(value, g->run->mmio.data, sizeof(*value));
	/* The store is done when KVM_RUN is called next; it is not to go on from there. */
	g->run->immediate_exit = 1;
	ioctl(g->vcpu, KVM_RUN, 0);
	g->run->immediate_exit = 0;
	return true;
}

static void kvm_plain(struct run *r)
{
	size_t n = 8 * MIB / page_size(), there = 0, after = 0, wrong = 0, held = 0;
	uint64_t keep = memory_reserve(r) + 24 * MIB, value = 0;
	struct ballast *b = ballast_new(r);
	int fd = memfd_create("guest", MFD_CLOEXEC), fds[2];
	struct guest g;
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
	g = guest_new(r, m, n * page_size());

	step(r,
	     "Somebody who can read the memfd holds one of these pages in a pipe. The guest reads it.");
	off = (loff_t)(held * page_size());
	if (splice(fd, &off, fds[1], NULL, 1, 0) != 1)
		bail_errno(r, "splice");
	require(r, guest_reads(r, &g, held * page_size(), &value),
		"the guest makes progress with a page that is held");
	expect_eq_u64(r, value & 0xff, held & 0xff, "it reads what is there");

	step(r,
	     "It reads all of its memory. No page has to leave tag storage for that.");
	for (size_t i = 0; i < n; i++)
		wrong += !guest_reads(r, &g, i * page_size(), &value) ||
			 (value & 0xff) != (i & 0xff);
	expect_eq_u64(r, wrong, 0, "each page is read, and right");
	after = pages_in_tag_storage(r, 0, m, n);
	measure(r, "in_tag_storage_before", "pages", (double)there);
	measure(r, "in_tag_storage_after", "pages", (double)after);
	/* Compaction and reclaim may have moved a few. */
	expect_range(r, after, there - there / 8, n, "the guest's memory stays in tag storage");
	munmap(m, n * page_size());
	close(g.vcpu);
	close(g.vm);
	close(g.kvm);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}
#else /* it can be listed, and is never run */
static void kvm_plain(struct run *r)
{
	skip(r, "there are no arm64 guests on this machine");
}
#endif

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
