// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvm-memory: a guest without MTE has pages of tag storage for its memory, and accesses them all
 * the time. KVM maps them in stage 2 and keeps no reference: the MMU notifiers take a page from
 * the guest when it is to move, and the guest's next access has it mapped again.
 */
#include <signal.h>

#include "attack/attack.h"
#include "scenario/thread.h"
#include "vmm/vmm.h"

static struct vmm *vmm;
static pthread_t thread;
static size_t pages;
static int ends;

static void touch_all(struct run *r)
{
	struct vmm_end end = vmm_call(vmm, VMM_TOUCH, VMM_MEMORY, pages, 0, 0);

	if (end.err || end.exception)
		bail(r, "the guest cannot access its memory: error %d%s", end.err,
		     end.exception ? ", an exception" : "");
}

static void *run_guest(void *arg)
{
	while (!__atomic_load_n(&ends, __ATOMIC_RELAXED))
		touch_all(arg);
	return NULL;
}

static size_t hold(struct run *r, struct attacker *a)
{
	sigset_t set;

	vmm = vmm_new(r, a->device, false);
	pages = a->pages;
	bail_if_error(r, vmm_memory(vmm, 0, VMM_MEMORY, a->memory, pages * page_size(), false),
		      "KVM_SET_USER_MEMORY_REGION");
	touch_all(r);
	thread = thread_start(r, run_guest, r);
	/* The signal that ends a call which does not return is for that thread. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL))
		bail(r, "pthread_sigmask");
	return pages;
}

static void release(struct run *r, struct attacker *a)
{
	(void)r;
	(void)a;
	__atomic_store_n(&ends, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	vmm_free(vmm);
}

static const struct technique kvm_memory = {
	.role = {
		.name = "attacker",
		.summary = "has a guest access its pages all the time",
		.syscalls = SYSCALLS(ATTACK_SYSCALLS, VMM_SYSCALLS, "clone", "clone3", "mprotect"),
	},
	.max_pages = 6000,
	.device = "/dev/kvm",
	.place = place_anonymous,
	.hold = hold,
	.release = release,
	.partly = true,
	.gives_way = true,
	.strays = 1,		/* the one that is being mapped */
	.mode = {
		[ATTACK_ON] = {
			HOLDS_NOTHING,
			"The attacker fills memory until its data lies in tag storage, and makes it the memory of a guest, which accesses it all the time. None of it is pinned: where tags need the block, the MMU notifiers take the page from the guest, and it moves.",
		},
		[ATTACK_OFF] = {
			HOLDS_NOTHING,
			"That takes no mitigation: the same with all of them off.",
		},
	},
};

ADVERSARY(kvm_memory,
	  .name = "kvm-memory",
	  .summary = "has a KVM guest access pages of tag storage all the time",
	  .explanation =
		"Memory of a guest is memory of its VMM, an ordinary user that may use /dev/kvm. KVM gets each page "
		"for a moment to map it for the guest, and then relies on MMU notifiers; so it can be moved. It is "
		"no hold, however fast the guest is. A guest that has a device of its own (VFIO) pins its memory, "
		"with FOLL_LONGTERM.",
	  .groups = "kvm",
	  .params = ATTACK_PARAMS("1024", 256, 4000),
	  .needs = NEED_POLICY_CMA | NEED_KVM);
