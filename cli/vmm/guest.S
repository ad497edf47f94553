/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs in the guest: EL1, one address space, no interrupts. The VMM copies all
 * from vmm_guest to vmm_guest_end to a page of the guest's memory, starts it there, and
 * calls the functions below by their addresses: see vmm_call(). So all of this is
 * position independent, and has no data.
 *
 * A store to [x29], where there is no memory, hands over to the VMM; x0 is the
 * function's result. The VMM puts the address of the next function in x30.
 */
#ifdef __aarch64__

	.arch	armv8.5-a+memtag

#define TAG_SHIFT	56
#define PAGE_SIZE	4096

/* Memory attributes 0: normal, 1: normal with tags, 2: device. */
#define MAIR		0xf0ff
/* 39 bits of address, tables cached and shared, 4 KiB pages, top byte ignored. */
#define TCR_LOW		(25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23)
#define TCR_HIGH	(2 | 1 << 5)

	.section .rodata
	.balign	PAGE_SIZE
	.globl	vmm_guest
	.hidden	vmm_guest
/* x0: translation table, x29: where to store, x1: GCR_EL1, x28: not 0 if there is MTE. */
vmm_guest:
	mov	x2, #MAIR
	msr	mair_el1, x2
	movz	x2, #(TCR_LOW & 0xffff)
	movk	x2, #(TCR_LOW >> 16), lsl #16
	movk	x2, #TCR_HIGH, lsl #32
	msr	tcr_el1, x2
	msr	ttbr0_el1, x0
	adr	x2, vectors
	msr	vbar_el1, x2
	mov	x3, #(1 | 1 << 2 | 1 << 12)	/* MMU, caches */
	cbz	x28, 1f
	movk	x3, #(1 << 8 | 1 << 11), lsl #32	/* TCF: synchronous; ATA */
	msr	gcr_el1, x1
	mov	x2, #0x5a00		/* seed of IRG */
	msr	rgsr_el1, x2
	/* No checks but where a function wants them. */
	msr	tco, #1
1:	isb
	tlbi	vmalle1
	dsb	nsh
	mrs	x2, sctlr_el1
	orr	x2, x2, x3
	msr	sctlr_el1, x2
	isb
	b	done

done:
	str	x0, [x29]
	ret

/*
 * set(x0: memory, x1: pages, x2: tags, a byte for each granule, x3: data): set tags and
 * data of all granules, the tag first.
 */
	.globl	vmm_guest_set
	.hidden	vmm_guest_set
vmm_guest_set:
	add	x1, x0, x1, lsl #12
1:	ldrb	w4, [x2], #1
	orr	x5, x0, x4, lsl #TAG_SHIFT
	stg	x5, [x0]
	ldp	x6, x7, [x3], #16
	stp	x6, x7, [x0], #16
	cmp	x0, x1
	b.lo	1b
	b	done

/* get(x0: memory, x1: pages, x2: tags, x3: data): the other way round, data first. */
	.globl	vmm_guest_get
	.hidden	vmm_guest_get
vmm_guest_get:
	add	x1, x0, x1, lsl #12
1:	ldp	x6, x7, [x0]
	stp	x6, x7, [x3], #16
	mov	x5, x0
	ldg	x5, [x0]
	ubfx	x5, x5, #TAG_SHIFT, #4
	strb	w5, [x2], #1
	add	x0, x0, #16
	cmp	x0, x1
	b.lo	1b
	b	done

/*
 * random(x0: memory, x1: pages, x2: excluded tags): give each granule a tag by IRG, and
 * count in x0 those where LDG says something else, or that got an excluded tag. x1:
 * bitmap of the tags that IRG made.
 */
	.globl	vmm_guest_random
	.hidden	vmm_guest_random
vmm_guest_random:
	add	x1, x0, x1, lsl #12
	mov	x8, #0
	mov	x9, #0
1:	irg	x4, x0, x2
	stg	x4, [x4]
	mov	x5, x0
	ldg	x5, [x0]
	cmp	x4, x5
	cset	x6, ne
	ubfx	x5, x4, #TAG_SHIFT, #4
	lsr	x7, x2, x5
	and	x7, x7, #1
	orr	x6, x6, x7
	add	x8, x8, x6
	mov	x7, #1
	lsl	x7, x7, x5
	orr	x9, x9, x7
	add	x0, x0, #16
	cmp	x0, x1
	b.lo	1b
	mov	x0, x8
	mov	x1, x9
	b	done

/* load(x0: address, with a tag): load a byte, with the tag checked. */
	.globl	vmm_guest_load
	.hidden	vmm_guest_load
vmm_guest_load:
	msr	tco, #0
	ldrb	w0, [x0]
	msr	tco, #1
	b	done

/* store(x0: address, x1: value): store 8 bytes. */
	.globl	vmm_guest_store
	.hidden	vmm_guest_store
vmm_guest_store:
	str	x1, [x0]
	b	done

/* fetch(x0: address): load 8 bytes. */
	.globl	vmm_guest_fetch
	.hidden	vmm_guest_fetch
vmm_guest_fetch:
	ldr	x0, [x0]
	b	done

/* touch(x0: memory, x1: pages): load 8 bytes of each page, and store them back. */
	.globl	vmm_guest_touch
	.hidden	vmm_guest_touch
vmm_guest_touch:
	add	x1, x0, x1, lsl #12
1:	ldr	x2, [x0]
	str	x2, [x0]
	add	x0, x0, #PAGE_SIZE
	cmp	x0, x1
	b.lo	1b
	b	done

/* Any exception: told by a store elsewhere; x0 is ESR, x1 is FAR, x2 is ELR. */
exception:
	cbz	x28, 1f
	msr	tco, #1
1:	mrs	x0, esr_el1
	mrs	x1, far_el1
	mrs	x2, elr_el1
	str	x0, [x29, #8]
	ret

	.balign	2048
vectors:
	.rept	16
	.balign	128
	b	exception
	.endr

	.globl	vmm_guest_end
	.hidden	vmm_guest_end
vmm_guest_end:

#endif
	.section .note.GNU-stack, "", %progbits
