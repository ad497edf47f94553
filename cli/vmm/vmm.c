// SPDX-License-Identifier: GPL-2.0-only
/* A small VMM for scenarios: see vmm.h. */
#ifdef __aarch64__
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmm/vmm.h"

/* guest.S */
extern const char vmm_guest[], vmm_guest_end[];
extern const char vmm_guest_set[], vmm_guest_get[], vmm_guest_random[], vmm_guest_load[],
	vmm_guest_store[], vmm_guest_fetch[], vmm_guest_touch[];

/* No memory here: a store leaves the guest. */
#define EXIT_DONE UINT64_C(0)
#define EXIT_EXCEPTION UINT64_C(8)

/* The VMM's own slot: code, translation table; tags and data of vmm_set() and vmm_get(). */
#define OWN_SLOT VMM_MAX_SLOTS
#define OWN_IPA (UINT64_C(1) << 30)
#define CODE 0
#define TABLE page_size()
#define TAGS (2 * page_size())
#define DATA (TAGS + (size_t)VMM_MAX_PAGES * STATE_TAGS_PER_PAGE)
#define OWN_SIZE (DATA + VMM_MAX_PAGES * page_size())

#define PTE_BLOCK UINT64_C(1)
#define PTE_ATTR(n) ((uint64_t)(n) << 2)
#define PTE_INNER (UINT64_C(3) << 8)
#define PTE_ACCESSED (UINT64_C(1) << 10)
#define PTE_NO_EXEC (UINT64_C(3) << 53)

struct vmm {
	struct run *r;
	int kvm, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	bool mte;
	bool failed;		/* it is in the middle of what it could not do */
	char *own;
	size_t own_size;
	timer_t timer;
};

static void ignore(int sig)
{
	(void)sig;
}

/* Have KVM_RUN interrupted after ms milliseconds, and again until it is; 0: not any more. */
static void alarm_in(struct vmm *v, unsigned int ms)
{
	struct itimerspec t = {
		.it_value = { ms / 1000, (long)(ms % 1000) * 1000000 },
		.it_interval = { ms ? 1 : 0, 0 },
	};

	if (timer_settime(v->timer, 0, &t, NULL))
		bail_errno(v->r, "timer_settime");
}

static uint64_t core_reg(size_t offset)
{
	return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / sizeof(uint32_t);
}

static uint64_t x_reg(unsigned int n)
{
	return core_reg(offsetof(struct kvm_regs, regs.regs) + n * sizeof(uint64_t));
}

static void set_reg(struct vmm *v, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(v->vcpu, KVM_SET_ONE_REG, &reg))
		bail_errno(v->r, "KVM_SET_ONE_REG %llx", (unsigned long long)id);
}

static uint64_t get_reg(struct vmm *v, uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(v->vcpu, KVM_GET_ONE_REG, &reg))
		bail_errno(v->r, "KVM_GET_ONE_REG %llx", (unsigned long long)id);
	return value;
}

static size_t guest_offset(const char *symbol)
{
	return (uintptr_t)symbol - (uintptr_t)vmm_guest;
}

/* Of Linux 6.8; headers may be older. */
#define EXIT_MEMORY_FAULT 39

static void note_memory_fault(const struct vmm *v, struct vmm_end *end)
{
	struct { uint64_t flags, gpa, size; } fault;

	if (end->err != -EFAULT || v->run->exit_reason != EXIT_MEMORY_FAULT)
		return;
	/* All kinds of exit are in one union. */
	memcpy(&fault, &v->run->mmio, sizeof(fault));
	end->fault_gpa = fault.gpa;
	end->fault_size = fault.size;
}

/* Run the guest until it hands over, or cannot go on. */
static struct vmm_end run_guest(struct vmm *v)
{
	struct vmm_end end = { .err = 0 };
	uint64_t start = now_ns();

	alarm_in(v, VMM_PATIENCE_MS);
	while (ioctl(v->vcpu, KVM_RUN, 0)) {
		end.err = -errno;
		if (errno != EINTR)
			break;
		end.err = -ETIME;
		if (now_ns() - start >= (uint64_t)VMM_PATIENCE_MS * 1000000)
			break;
		end.err = 0;
	}
	alarm_in(v, 0);
	end.ns = now_ns() - start;
	note_memory_fault(v, &end);
	v->failed = end.err;
	if (end.err)
		return end;
	if (v->run->exit_reason != KVM_EXIT_MMIO || !v->run->mmio.is_write ||
	    (v->run->mmio.phys_addr != EXIT_DONE && v->run->mmio.phys_addr != EXIT_EXCEPTION))
		bail(v->r,
		     "the guest stopped for an unknown reason: exit %u, address %llx, pc %llx",
		     v->run->exit_reason, (unsigned long long)v->run->mmio.phys_addr,
		     (unsigned long long)get_reg(v, core_reg(offsetof(struct kvm_regs, regs.pc))));
	end.exception = v->run->mmio.phys_addr == EXIT_EXCEPTION;
	end.x0 = get_reg(v, x_reg(0));
	end.x1 = get_reg(v, x_reg(1));
	end.x2 = get_reg(v, x_reg(2));
	return end;
}

struct vmm_end vmm_again(struct vmm *v)
{
	return run_guest(v);
}

struct vmm_end vmm_call(struct vmm *v, enum vmm_function fn, uint64_t x0, uint64_t x1, uint64_t x2,
			uint64_t x3)
{
	static const char *const symbols[] = {
		[VMM_SET] = vmm_guest_set,
		[VMM_GET] = vmm_guest_get,
		[VMM_RANDOM] = vmm_guest_random,
		[VMM_LOAD] = vmm_guest_load,
		[VMM_STORE] = vmm_guest_store,
		[VMM_FETCH] = vmm_guest_fetch,
		[VMM_TOUCH] = vmm_guest_touch,
	};
	uint64_t pc = OWN_IPA + CODE + guest_offset(symbols[fn]);

	set_reg(v, x_reg(0), x0);
	set_reg(v, x_reg(1), x1);
	set_reg(v, x_reg(2), x2);
	set_reg(v, x_reg(3), x3);
	set_reg(v, x_reg(30), pc);
	/* Else it comes there by itself, once the store that left the guest is complete. */
	if (v->failed)
		set_reg(v, core_reg(offsetof(struct kvm_regs, regs.pc)), pc);
	return run_guest(v);
}

struct vmm_end vmm_set(struct vmm *v, uint64_t ipa, size_t n, const uint8_t *tags, const void *data)
{
	if (n > VMM_MAX_PAGES)
		bail(v->r, "%zu pages are too many for vmm_set()", n);
	if (tags)
		memcpy(v->own + TAGS, tags, n * STATE_TAGS_PER_PAGE);
	if (data)
		memcpy(v->own + DATA, data, n * page_size());
	return vmm_call(v, VMM_SET, ipa, n, OWN_IPA + TAGS, OWN_IPA + DATA);
}

struct vmm_end vmm_get(struct vmm *v, uint64_t ipa, size_t n, uint8_t *tags, void *data)
{
	struct vmm_end end;

	if (n > VMM_MAX_PAGES)
		bail(v->r, "%zu pages are too many for vmm_get()", n);
	end = vmm_call(v, VMM_GET, ipa, n, OWN_IPA + TAGS, OWN_IPA + DATA);
	if (tags)
		memcpy(tags, v->own + TAGS, n * STATE_TAGS_PER_PAGE);
	if (data)
		memcpy(data, v->own + DATA, n * page_size());
	return end;
}

static long copy_tags(struct vmm *v, uint64_t ipa, size_t n, void *tags, uint64_t flags)
{
	struct kvm_arm_copy_mte_tags copy = {
		.guest_ipa = ipa,
		.length = n * page_size(),
		.addr = tags,
		.flags = flags,
	};
	long ret = ioctl(v->vm, KVM_ARM_MTE_COPY_TAGS, &copy);

	return ret < 0 ? -errno : ret;
}

long vmm_copy_tags_from(struct vmm *v, uint64_t ipa, size_t n, uint8_t *tags)
{
	return copy_tags(v, ipa, n, tags, KVM_ARM_TAGS_FROM_GUEST);
}

long vmm_copy_tags_to(struct vmm *v, uint64_t ipa, size_t n, const uint8_t *tags)
{
	return copy_tags(v, ipa, n, (void *)(uintptr_t)tags, KVM_ARM_TAGS_TO_GUEST);
}

int vmm_memory(struct vmm *v, unsigned int slot, uint64_t ipa, void *host, size_t len, bool log)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = ipa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static void make_vcpu(struct vmm *v)
{
	struct kvm_vcpu_init init;
	int size;

	v->vcpu = ioctl(v->vm, KVM_CREATE_VCPU, 0);
	if (v->vcpu < 0)
		bail_errno(v->r, "KVM_CREATE_VCPU");
	if (ioctl(v->vm, KVM_ARM_PREFERRED_TARGET, &init))
		bail_errno(v->r, "KVM_ARM_PREFERRED_TARGET");
	if (ioctl(v->vcpu, KVM_ARM_VCPU_INIT, &init))
		bail_errno(v->r, "KVM_ARM_VCPU_INIT");
	size = ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < 0)
		bail_errno(v->r, "KVM_GET_VCPU_MMAP_SIZE");
	v->run_size = (size_t)size;
	v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu, 0);
	if (v->run == MAP_FAILED)
		bail_errno(v->r, "mmap of the vCPU");
}

static void make_own_memory(struct vmm *v)
{
	uint64_t *table;

	v->own_size = v->mte ? OWN_SIZE : TAGS;
	v->own = mte_map(v->own_size, false);
	if (!v->own)
		bail_errno(v->r, "mmap of %zu bytes for the guest", v->own_size);
	if (guest_offset(vmm_guest_end) > page_size())
		bail(v->r, "the guest's code is larger than a page");
	/* The scenario counts pages that have storage: these keep theirs, and are no child's. */
	if (mlock(v->own, v->own_size) || madvise(v->own, v->own_size, MADV_DONTFORK))
		bail_errno(v->r, "mlock");
	memcpy(v->own + CODE, vmm_guest, guest_offset(vmm_guest_end));
	__builtin___clear_cache(v->own, v->own + page_size());
	table = (uint64_t *)(uintptr_t)(v->own + TABLE);
	table[0] = PTE_BLOCK | PTE_ATTR(2) | PTE_ACCESSED | PTE_NO_EXEC;
	table[1] = OWN_IPA | PTE_BLOCK | PTE_ATTR(0) | PTE_INNER | PTE_ACCESSED;
	table[2] = VMM_MEMORY | PTE_BLOCK | PTE_ATTR(v->mte) | PTE_INNER | PTE_ACCESSED |
		   PTE_NO_EXEC;
	if (vmm_memory(v, OWN_SLOT, OWN_IPA, v->own, v->own_size, false))
		bail_errno(v->r, "KVM_SET_USER_MEMORY_REGION");
}

int vmm_device(struct run *r)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		bail_errno(r, "/dev/kvm");
	return kvm;
}

static void enable_mte(struct vmm *v)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_ARM_MTE };

	if (ioctl(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_MTE) <= 0)
		skip(v->r, "KVM of this kernel has no MTE for guests (KVM_CAP_ARM_MTE)");
	if (ioctl(v->vm, KVM_ENABLE_CAP, &cap))
		bail_errno(v->r, "KVM_ENABLE_CAP of KVM_CAP_ARM_MTE");
}

struct vmm *vmm_new(struct run *r, int kvm, bool mte)
{
	struct sigaction sa = { .sa_handler = ignore };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct vmm *v = calloc(1, sizeof(*v));
	struct vmm_end end;

	if (!v)
		bail_errno(r, "memory");
	v->r = r;
	v->kvm = kvm;
	v->mte = mte;
	v->vm = ioctl(v->kvm, KVM_CREATE_VM, 0);
	if (v->vm < 0)
		bail_errno(r, "KVM_CREATE_VM");
	if (mte)
		enable_mte(v);
	/* Without SA_RESTART: it is to interrupt. */
	if (sigaction(SIGALRM, &sa, NULL) || timer_create(CLOCK_MONOTONIC, &ev, &v->timer))
		bail_errno(r, "a timer");
	make_vcpu(v);
	make_own_memory(v);
	set_reg(v, core_reg(offsetof(struct kvm_regs, regs.pc)), OWN_IPA + CODE);
	set_reg(v, x_reg(0), OWN_IPA + TABLE);
	set_reg(v, x_reg(1), 0);
	set_reg(v, x_reg(28), mte);
	set_reg(v, x_reg(29), EXIT_DONE);
	end = run_guest(v);
	/* Copies this memory to itself, so that the guest has accessed all of it. */
	if (mte && !end.err && !end.exception)
		end = vmm_call(v, VMM_GET, OWN_IPA + DATA, VMM_MAX_PAGES, OWN_IPA + TAGS,
			       OWN_IPA + DATA);
	if (end.err || end.exception)
		bail(r, "the guest did not start: error %d, ESR %llx, FAR %llx", end.err,
		     (unsigned long long)end.x0, (unsigned long long)end.x1);
	return v;
}

void vmm_free(struct vmm *v)
{
	timer_delete(v->timer);
	munmap(v->run, v->run_size);
	close(v->vcpu);
	close(v->vm);
	munmap(v->own, v->own_size);
	free(v);
}

#else /* not arm64: the scenarios can be listed, and are never run */

#include "vmm/vmm.h"

int vmm_device(struct run *r)
{
	(void)r;
	return -1;
}

struct vmm *vmm_new(struct run *r, int kvm, bool mte)
{
	(void)kvm, (void)mte;
	skip(r, "there are no arm64 guests on this machine");
}

void vmm_free(struct vmm *v)
{
	(void)v;
}

int vmm_memory(struct vmm *v, unsigned int slot, uint64_t ipa, void *host, size_t len, bool log)
{
	(void)v, (void)slot, (void)ipa, (void)host, (void)len, (void)log;
	return -1;
}

struct vmm_end vmm_call(struct vmm *v, enum vmm_function fn, uint64_t x0, uint64_t x1, uint64_t x2,
			uint64_t x3)
{
	(void)v, (void)fn, (void)x0, (void)x1, (void)x2, (void)x3;
	return (struct vmm_end){ .err = -1 };
}

struct vmm_end vmm_again(struct vmm *v)
{
	(void)v;
	return (struct vmm_end){ .err = -1 };
}

struct vmm_end vmm_set(struct vmm *v, uint64_t ipa, size_t n, const uint8_t *tags, const void *data)
{
	(void)v, (void)ipa, (void)n, (void)tags, (void)data;
	return (struct vmm_end){ .err = -1 };
}

struct vmm_end vmm_get(struct vmm *v, uint64_t ipa, size_t n, uint8_t *tags, void *data)
{
	(void)v, (void)ipa, (void)n, (void)tags, (void)data;
	return (struct vmm_end){ .err = -1 };
}

long vmm_copy_tags_from(struct vmm *v, uint64_t ipa, size_t n, uint8_t *tags)
{
	(void)v, (void)ipa, (void)n, (void)tags;
	return -1;
}

long vmm_copy_tags_to(struct vmm *v, uint64_t ipa, size_t n, const uint8_t *tags)
{
	(void)v, (void)ipa, (void)n, (void)tags;
	return -1;
}

#endif
