/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The steps that processes under test can take: the functions of runtime.c, which a printed
 * program has, too.
 */
#ifndef TAGSCOPE_FUZZ_CALLS_H
#define TAGSCOPE_FUZZ_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Identity, function, number of arguments, and how each is printed: a address, n number, p
 * protection, f flags of mmap(), v advice, m flags of mremap(), k the name of data or tags.
 */
#define CALLS(X)                                                                               \
	X(CALL_MAP, map, 4, "anpf")                                                            \
	X(CALL_MAP_OBJECT, map_object, 6, "anpfnn")                                            \
	X(CALL_UNMAP, unmap, 2, "an")                                                          \
	X(CALL_PROTECT, protect, 3, "anp")                                                     \
	X(CALL_ADVISE, advise, 3, "anv")                                                       \
	X(CALL_RESIZE, resize, 3, "ann")                                                       \
	X(CALL_MOVE, move, 4, "anam")                                                          \
	X(CALL_LOCK, lock, 2, "an")                                                            \
	X(CALL_UNLOCK, unlock, 2, "an")                                                        \
	X(CALL_OBJECT, object, 2, "nn")                                                        \
	X(CALL_PUNCH, punch, 3, "nnn")                                                         \
	X(CALL_STORE, store, 2, "ak")                                                          \
	X(CALL_SET_TAGS, set_tags, 2, "ak")                                                    \
	X(CALL_LOAD_TAGGED, load_tagged, 2, "an")                                              \
	X(CALL_CHECK, check, 6, "ankkkk")                                                      \
	X(CALL_VM_READ, vm_read, 4, "nakk")                                                    \
	X(CALL_VM_WRITE, vm_write, 3, "nak")                                                   \
	X(CALL_PEEK, peek, 4, "nakk")                                                          \
	X(CALL_POKE, poke, 3, "nak")                                                           \
	X(CALL_PIN, pin, 2, "na")                                                              \
	X(CALL_UNPIN, unpin, 6, "nnkkkk")                                                      \
	X(CALL_RING_REGISTER, ring_register, 2, "an")                                          \
	X(CALL_RING_UNREGISTER, ring_unregister, 0, "")                                        \
	X(CALL_RING_OUT, ring_out, 3, "akk")                                                   \
	X(CALL_RING_IN, ring_in, 2, "ak")                                                      \
	X(CALL_UFFD_REGISTER, uffd_register, 2, "an")                                          \
	X(CALL_UFFD_UNREGISTER, uffd_unregister, 2, "an")                                      \
	X(CALL_UFFD_COPY, uffd_copy, 3, "akn")                                                 \
	X(CALL_UFFD_ZERO, uffd_zero, 1, "a")                                                   \
	X(CALL_UFFD_MOVE, uffd_move, 2, "aa")                                                  \
	X(CALL_UFFD_PROTECT, uffd_protect, 3, "ann")                                           \
	X(CALL_COMPACT, compact, 0, "")                                                        \
	X(CALL_DROP_CACHES, drop_caches, 0, "")                                                \
	X(CALL_SWAP_OFF_ON, swap_off_on, 0, "")                                                \
	X(CALL_DIRECT_OUT, direct_out, 4, "ankk")                                              \
	X(CALL_DIRECT_IN, direct_in, 3, "ank")                                                 \
	X(CALL_SPAWN, spawn, 1, "n")

enum call_id {
#define CALL(id_, function_, nr_, args_) id_,
	CALLS(CALL)
#undef CALL
	NR_RUNTIME_CALLS,
	CALL_EXIT = NR_RUNTIME_CALLS,
	NR_CALLS,
};

#define MAX_ARGS 6
#define MAX_WANT 6
#define ANY_ERROR 1	/* in want[]: whatever -errno */
/* What comes of a step besides 0 and -errno; as runtime.c has them for printed programs. */
#define SIGNALLED(n) (-1000 - (n))
#define TAG_CHECK 100		/* SIGSEGV for a wrong tag is signal 11 + 100 */
#define BAD_DATA (-2000)
#define BAD_TAGS (-2001)

/* One step by one process: what may come of it, and what came. */
struct call {
	enum call_id id;
	int who;
	unsigned long arg[MAX_ARGS];
	int nr_want;		/* 0: want[0] is 0 */
	int want[MAX_WANT];
	int got;
	uint64_t offset, bad_got, bad_want;	/* BAD_DATA, BAD_TAGS */
};

/* What the processes of a group share; NULL: no memory. */
struct shared;
struct shared *runtime_shared(void);
int runtime_pid(const struct shared *s, int who);

/* The text of runtime.c. */
const char *runtime_text(void);
/* In a process that is the first of its group. */
void runtime_begin(struct shared *s);
int runtime_me(void);	/* which number this process has */
int runtime_call(enum call_id id, const unsigned long *arg);
void runtime_bad(uint64_t *offset, uint64_t *got, uint64_t *want);

#endif
