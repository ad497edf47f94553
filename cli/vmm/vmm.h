/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small VMM: guests with MTE or without, of one CPU and a few ranges of memory, that do nothing
 * of their own but run the functions of guest.S when told to. For scenarios: what
 * cannot be done for reasons that have nothing to do with tags ends the scenario by bail().
 *
 * Memory of the guest is memory of the caller, at another address. vmm_new() makes a
 * little for the guest's code and for what is handed over; the rest is the caller's.
 */
#ifndef TAGSCOPE_VMM_H
#define TAGSCOPE_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scenario/scenario.h"

/* Guest memory of the caller begins here; up to 1 GiB, all mapped with tags. */
#define VMM_MEMORY (UINT64_C(2) << 30)
/* The most pages that vmm_set() and vmm_get() take. */
#define VMM_MAX_PAGES 512
/* vmm_memory() takes slots from 0 on. */
#define VMM_MAX_SLOTS 512

/* A call that does not return for so long is ended, in milliseconds. */
#define VMM_PATIENCE_MS 120000

struct vmm;

/* /dev/kvm, for vmm_new(). */
int vmm_device(struct run *r);

/*
 * A new guest, ready to be called. Skips the scenario if it is to have MTE and this kernel has
 * none for guests. It is freed by vmm_free(), and with the process; kvm stays open. Roles
 * need VMM_SYSCALLS.
 */
struct vmm *vmm_new(struct run *r, int kvm, bool mte);
void vmm_free(struct vmm *v);

#define VMM_SYSCALLS "ioctl", "mlock", "timer_create", "timer_settime", "timer_delete"

/*
 * Give len bytes at host (both multiples of the page size) to the guest, as its
 * memory from ipa on. A len of 0 takes the slot's memory away. log: note which pages
 * the guest writes to, which makes KVM map small pages, write-protected. Returns 0 or
 * -errno.
 */
int vmm_memory(struct vmm *v, unsigned int slot, uint64_t ipa, void *host, size_t len, bool log);

/* How a call ended. */
struct vmm_end {
	int err;		/* -errno of KVM_RUN; -ETIME: no end within VMM_PATIENCE_MS */
	bool exception;		/* the guest took one: x0 is ESR, x1 FAR, x2 ELR */
	uint64_t x0, x1, x2;	/* the function's results */
	uint64_t ns;		/* how long it took */
	/* With err == -EFAULT: the memory of the guest it could not have, if size is not 0. */
	uint64_t fault_gpa, fault_size;
};

/* Functions of guest.S; a guest without MTE has the last three. */
enum vmm_function {
	VMM_SET, VMM_GET, VMM_RANDOM, VMM_LOAD,
	VMM_STORE, VMM_FETCH, VMM_TOUCH,
};

/* What it could not do before, after an end with err, it does not try again. */
struct vmm_end vmm_call(struct vmm *v, enum vmm_function fn, uint64_t x0, uint64_t x1, uint64_t x2,
			uint64_t x3);
/* After an end with err: let the guest try again what it could not do. */
struct vmm_end vmm_again(struct vmm *v);

/*
 * Have the guest set tags (a byte a granule) and data of n pages at ipa; or read them.
 * NULL: as they have been set or read last.
 */
struct vmm_end vmm_set(struct vmm *v, uint64_t ipa, size_t n, const uint8_t *tags,
		       const void *data);
struct vmm_end vmm_get(struct vmm *v, uint64_t ipa, size_t n, uint8_t *tags, void *data);

/*
 * KVM_ARM_MTE_COPY_TAGS of n pages at ipa, a byte a granule. Returns the bytes of guest
 * memory whose tags were copied, or -errno.
 */
long vmm_copy_tags_from(struct vmm *v, uint64_t ipa, size_t n, uint8_t *tags);
long vmm_copy_tags_to(struct vmm *v, uint64_t ipa, size_t n, const uint8_t *tags);

#endif
