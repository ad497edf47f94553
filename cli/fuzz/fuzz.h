/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random sequences of memory calls, checked against a model. A sequence is a list of
 * operations, each a few small numbers; what an operation means depends on what the model
 * says is there, and one that means nothing is left out. So any part of a sequence is a
 * sequence, too, which is what shrinking needs.
 */
#ifndef TAGSCOPE_FUZZ_H
#define TAGSCOPE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fuzz/calls.h"

#define FUZZ_GROUPS 8		/* of processes: each has a sequence of its own */
#define FUZZ_PROCESSES 4	/* in a group, one after the other */
#define FUZZ_NUMBERS 4

struct fuzz_op {
	uint8_t kind, who;
	uint32_t n[FUZZ_NUMBERS];
	uint32_t id;		/* its place in the whole sequence: what it writes */
};

struct fuzz_sequence {
	uint64_t seed;
	unsigned int groups;
	bool tags;		/* the machine has MTE */
	bool storage_held;	/* by others, for good: who holds a page may get SIGBUS */
	struct {
		struct fuzz_op *op;
		size_t nr;
	} group[FUZZ_GROUPS];
};

/* ---- sequence.c ------------------------------------------------------------- */

/* Which kinds of operations there are to be, as --calls says: "mmap,fork", "-ring". */
struct fuzz_choice {
	unsigned int weight[64];
	unsigned int sum;
};
/* false: why has the reason. list NULL: all but those that harm the machine. */
bool fuzz_choose(struct fuzz_choice *c, const char *list, bool tags, char *why, size_t size);
/* Depends on its arguments only. NULL: no memory. */
struct fuzz_sequence *fuzz_generate(const struct fuzz_choice *c, uint64_t seed, unsigned int groups,
				    size_t ops, bool tags);
struct fuzz_sequence *fuzz_copy(const struct fuzz_sequence *s);
void fuzz_free(struct fuzz_sequence *s);
size_t fuzz_ops(const struct fuzz_sequence *s);
/* As lines, each after prefix; and back, from a file that may hold other lines, too. */
void fuzz_write(FILE *f, const struct fuzz_sequence *s, const char *prefix);
struct fuzz_sequence *fuzz_read(FILE *f, char *why, size_t size);

/* ---- ops.c: what operations mean --------------------------------------------- */

struct fuzz_kind {
	const char *name;
	unsigned int weight;	/* how often; 0: only if it is asked for */
	bool tags;		/* needs MTE */
	const char *what;	/* one line for --list-calls */
};
extern const struct fuzz_kind fuzz_kinds[];
size_t fuzz_nr_kinds(void);

struct world;
/*
 * Takes one step and returns what came of it: see runtime.c. c->bad_... is filled in. In
 * tests it is not a kernel that does it.
 */
typedef int (*fuzz_step_fn)(void *ctx, struct call *c);

enum fuzz_finding_kind {
	FINDING_NONE,
	FINDING_DATA,		/* another byte than the model has */
	FINDING_TAGS,
	FINDING_SIGNAL,		/* a signal where the model says the access is good */
	FINDING_NO_SIGNAL,	/* or none where it is not */
	FINDING_ERRNO,
	FINDING_GONE,		/* the process ended */
	FINDING_HANG,
	FINDING_KERNEL,		/* a warning or worse in the kernel's log */
};
const char *fuzz_finding_name(enum fuzz_finding_kind kind);

struct fuzz_finding {
	enum fuzz_finding_kind kind;
	unsigned int group;
	uint32_t op;		/* id of the operation that showed it */
	struct call call;
};

struct fuzz_trace {		/* the steps that were taken */
	struct call *call;
	size_t nr, max;
};

/* One group's world: group of groups, which share object 0. NULL: no memory. */
struct world *world_new(unsigned int group, unsigned int groups, bool tags, fuzz_step_fn fn,
			void *ctx);
void world_free(struct world *w);
/* See fuzz_sequence.storage_held. */
void world_storage_held(struct world *w);
/* Do it, unless it means nothing. false: a finding, or a page lost in that way; the world ends. */
bool world_do(struct world *w, const struct fuzz_op *op);
/* Check all that is there. */
bool world_check(struct world *w);
const struct fuzz_finding *world_finding(const struct world *w);
const struct fuzz_trace *world_trace(const struct world *w);
uint64_t world_done(const struct world *w);	/* operations that meant something */

/* ---- actor.c: the processes --------------------------------------------------- */

struct actors;
/* Start the first process of a group. hang_s: for how long a step may take. */
struct actors *actors_new(unsigned int hang_s);
int actors_step(void *actors, struct call *c);
void actors_free(struct actors *a);
#define ACTOR_GONE (-3000)	/* a step's process ended */
#define ACTOR_HANGS (-3001)

/* ---- trial.c: a sequence, run -------------------------------------------------- */

struct fuzz_result {
	struct fuzz_finding finding;
	struct fuzz_trace trace[FUZZ_GROUPS];
	uint64_t done, steps;
	char complaint[200];	/* FINDING_KERNEL */
};
/* 0 or -errno. In the parent no group's steps are taken. */
int fuzz_run(const struct fuzz_sequence *s, unsigned int hang_s, struct fuzz_result *res);
void fuzz_result_free(struct fuzz_result *res);

/* ---- shrink.c ------------------------------------------------------------------ */

/* Whether the sequence still shows it. */
typedef bool (*fuzz_shows_fn)(void *ctx, const struct fuzz_sequence *s);
/* Shorter and shorter, until no single operation can go; s is changed. */
void fuzz_shrink(struct fuzz_sequence *s, fuzz_shows_fn shows, void *ctx);

/* ---- print.c ------------------------------------------------------------------- */

/* A program in C that takes the steps of res. */
void fuzz_print(FILE *f, const struct fuzz_sequence *s, const struct fuzz_result *res);

/* ---- machine.c: what is set for a run, and set back ------------------------------ */

struct machine;
/* Huge pages where they are asked for, KSM and khugepaged at work; NULL: no memory. */
struct machine *machine_prepare(void);
void machine_restore(struct machine *m);
/*
 * Fill memory with page cache, and have pipes hold pages, until machine_restore(). false:
 * what is missing is in why.
 */
bool machine_press(struct machine *m, char *why, size_t size);
/* Whether the kernel's log has a warning or worse since the last call; the first goes to what. */
bool machine_complained(struct machine *m, char *what, size_t size);
/* A line in the kernel's log: what runs when it panics. */
void machine_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
