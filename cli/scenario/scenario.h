/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scenario is, and all it may call. A scenario is one file in workloads/ or
 * adversarial/ that defines a struct scenario and registers it with SCENARIO();
 * nothing else has to be edited. See docs/adding-a-scenario.md.
 *
 * Conventions: sizes are bytes, times say their unit in the name, addresses are
 * user addresses without a tag unless they say otherwise. A function here that
 * cannot do what it is for ends the scenario with a clear result; so the body of a
 * scenario needs no error handling beyond what it is about.
 */
#ifndef TAGSCOPE_SCENARIO_H
#define TAGSCOPE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "kernel/state.h"
#include "scenario/mte.h"

struct run;

/* ---- What a scenario declares ------------------------------------------- */

enum scenario_kind {
	SCENARIO_WORKLOAD,
	SCENARIO_ADVERSARY,	/* must declare .syscalls, and .roles with theirs */
};

enum param_type {
	PARAM_UINT,		/* 12, 0x1f */
	PARAM_SIZE,		/* 64, 4K, 2M, 1G */
	PARAM_BOOL,		/* yes/no, on/off, true/false, 1/0 */
	PARAM_ENUM,		/* one of .choices */
	PARAM_STRING,
};

struct param {
	const char *name;
	const char *help;	/* one line */
	enum param_type type;
	const char *def;	/* default, as the user would write it */
	uint64_t min, max;	/* PARAM_UINT and PARAM_SIZE; both ends allowed */
	const char *choices;	/* PARAM_ENUM: "one|two|three" */
};

/* Each makes one element of a .params list: PARAMS(P_UINT("pages", ...), ...). */
#define P_UINT(name_, def_, min_, max_, help_)                                 \
	{ .name = (name_), .type = PARAM_UINT, .def = (def_), .min = (min_),   \
	  .max = (max_), .help = (help_) }
#define P_SIZE(name_, def_, min_, max_, help_)                                 \
	{ .name = (name_), .type = PARAM_SIZE, .def = (def_), .min = (min_),   \
	  .max = (max_), .help = (help_) }
#define P_BOOL(name_, def_, help_)                                             \
	{ .name = (name_), .type = PARAM_BOOL, .def = (def_), .help = (help_) }
#define P_ENUM(name_, def_, choices_, help_)                                   \
	{ .name = (name_), .type = PARAM_ENUM, .def = (def_),                  \
	  .choices = (choices_), .help = (help_) }
#define P_STRING(name_, def_, help_)                                           \
	{ .name = (name_), .type = PARAM_STRING, .def = (def_), .help = (help_) }
#define PARAMS(...) ((const struct param[]){ __VA_ARGS__, { .name = NULL } })

/* What must be there, or the scenario is skipped with the reason. */
enum need {
	NEED_MTE = 1u << 0,		/* the processor and kernel offer MTE to programs */
	NEED_ROOT = 1u << 1,
	NEED_TAG_STORAGE = 1u << 2,	/* patched kernel, policy not off; implies root, MTE */
	NEED_POLICY_CMA = 1u << 3,	/* that, with policy cma */
	NEED_DRAM_TAGS = 1u << 4,	/* that, and tags truly kept where the device tree says */
	NEED_SWAP = 1u << 5,		/* a swap device is on */
	NEED_ZRAM = 1u << 6,		/* that is a zram device */
	NEED_KVM = 1u << 7,		/* /dev/kvm */
	NEED_FUSE = 1u << 8,		/* /dev/fuse */
	NEED_IO_URING = 1u << 9,	/* io_uring, for an ordinary user too */
	NEED_UFFD = 1u << 10,		/* userfaultfd */
	NEED_SMP = 1u << 11,		/* two CPUs or more */
	NEED_DISPOSABLE = 1u << 12,	/* a machine that says nobody minds what becomes of it */
	NEED_POLICY_CLEANCACHE = 1u << 13, /* as NEED_POLICY_CMA, with policy cleancache */
	NEED_DISK = 1u << 14,		/* a disk that holds a file system, see disk.h */
};

/*
 * Something of the kernel's that a scenario changes and that does not end with its processes:
 * a file below /proc or /sys with one value, or SETTING_SWAP. The runner remembers it
 * before the run and puts it back after it, however that, or tagscope, ended.
 */
struct setting {
	const char *path;	/* may be a pattern, as for glob(7) */
	unsigned int flags;
};

#define SETTING_OPTIONAL (1u << 0)	/* may be missing; else the scenario is skipped there */
#define SETTING_LASTING (1u << 1)	/* cannot be put back; takes NEED_DISPOSABLE */
#define SETTING_SWAP "/proc/swaps"	/* which swap devices are on */

/* SETTINGS({ "/proc/sys/vm/this" }, { "/sys/that", SETTING_OPTIONAL }) */
#define SETTINGS(...) ((const struct setting[]){ __VA_ARGS__, { .path = NULL } })

/*
 * A part played by a child process. Each role has a system call filter of its own:
 * .syscalls, and the few that any program and this API need (ROLE_BASE in
 * confine.c: memory for malloc, exit, futex, clock, write and close, ...). Any
 * other call ends the role at once and fails the scenario, naming the call.
 */
enum role_user {
	ROLE_USER,	/* uid and gid 1000, no groups, no capabilities, no_new_privs */
	ROLE_ROOT,
};

struct role {
	const char *name;		/* one word: "attacker", "victim", "server" */
	const char *summary;		/* one line for "describe" */
	enum role_user user;
	const char *const *syscalls;	/* SYSCALLS("vmsplice", "pipe2"); NULL: no filter */
};

#define SYSCALLS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ROLES(...) ((const struct role *const[]){ __VA_ARGS__, NULL })

struct scenario {
	const char *name;		/* words of [a-z0-9] joined by '-'; the file's name */
	enum scenario_kind kind;
	const char *summary;		/* one line, no full stop */
	const char *explanation;	/* a few sentences for a class */
	const char *groups;		/* words for "suite --group": "quick swap" or NULL */
	const struct param *params;	/* PARAMS(...) or NULL */
	unsigned int needs;		/* enum need, or-ed */
	uint64_t min_memory;		/* RAM the machine must have; 0: any */
	unsigned int time_limit_s;	/* without the time waiting for a key; required */
	/* What it changes in the machine: SETTINGS(...) or NULL. kernel_write() insists. */
	const struct setting *save_restore;
	/*
	 * System calls that the scenario's own process makes beyond what this API
	 * does; roles' calls need not be repeated. NULL: no filter (workloads only).
	 */
	const char *const *syscalls;
	const struct role *const *roles;	/* ROLES(&attacker, &victim) or NULL */
	void (*run)(struct run *r);
};

/* Register a scenario: SCENARIO(mmap_scenario); once, at the end of its file. */
#define SCENARIO(var)                                                          \
	const struct scenario *const scenario_entry_##var                      \
		__attribute__((used, section("tagscope_scenarios"))) = &(var); \
	extern int scenario_only_needs_a_semicolon

/* ---- What it says ------------------------------------------------------- */

/*
 * Begin a step, with a sentence that tells the class what happens *next* and why.
 * In step mode this waits for a key. Roles cannot step: theirs is shown as a note.
 */
void step(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something worth knowing that is neither a result nor a figure. */
void note(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A figure: a name of [a-z0-9_], a unit ("ns", "pages", "B", "1" for a plain count). */
void measure(struct run *r, const char *name, const char *unit, double value);

/*
 * Expect something: each call is one result, "ok" or "not ok". The text says what
 * should hold ("untouched pages have no tag storage"), and must be the same from
 * run to run: figures belong in the values, which are shown when it fails.
 * Returns whether it held; the scenario goes on either way.
 */
#define expect(r, cond, ...) run_expect((r), __FILE__, __LINE__, #cond, (cond), __VA_ARGS__)
#define expect_eq_u64(r, got, want, ...)                                       \
	run_expect_range((r), __FILE__, __LINE__, #got, (got), (want), (want), __VA_ARGS__)
/* lo <= got <= hi */
#define expect_range(r, got, lo, hi, ...)                                      \
	run_expect_range((r), __FILE__, __LINE__, #got, (got), (lo), (hi), __VA_ARGS__)
#define expect_str(r, got, want, ...)                                          \
	run_expect_str((r), __FILE__, __LINE__, #got, (got), (want), __VA_ARGS__)
/* No mismatch was found by pattern_check() or tags_check(); shows the first one. */
#define expect_intact(r, mismatch, ...)                                        \
	run_expect_intact((r), __FILE__, __LINE__, (mismatch), __VA_ARGS__)
/* As expect(), but the scenario ends, failed, if it does not hold. */
#define require(r, cond, ...)                                                  \
	do {                                                                   \
		if (!expect((r), (cond), __VA_ARGS__))                         \
			run_stop(r);                                           \
	} while (0)

bool run_expect(struct run *r, const char *file, int line, const char *what, bool cond,
		const char *fmt, ...) __attribute__((format(printf, 6, 7)));
bool run_expect_range(struct run *r, const char *file, int line, const char *what, uint64_t got,
		      uint64_t lo, uint64_t hi, const char *fmt, ...)
	__attribute__((format(printf, 8, 9)));
bool run_expect_str(struct run *r, const char *file, int line, const char *what, const char *got,
		    const char *want, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
bool run_expect_intact(struct run *r, const char *file, int line, struct mismatch m,
		       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void run_stop(struct run *r) __attribute__((noreturn));

/*
 * A result that is not possible here, with the reason: a part that has to be left out. The text
 * is that of the result, or names the part. The scenario goes on.
 */
void skip_result(struct run *r, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Whether the policy gives tag storage to programs; if not, "what" is a skipped result, and is
 * to be left out.
 */
bool storage_takes_data(struct run *r, const char *what);
/* Whether the kernel keeps copies of page cache in tag storage, and programs get none of it. */
bool policy_is_cleancache(struct run *r);

/* End the scenario: what it needs is not here. */
void skip(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

/*
 * End the scenario: the environment broke it (a pipe cannot be made, a file not be
 * opened): neither a pass nor a verdict on the kernel. What the kernel under test
 * may get wrong is expect() or require() instead. bail_errno adds strerror(errno).
 */
void bail(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void bail_errno(struct run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* That, of what a function returned that returns -errno; anything else is no error. */
void bail_if_error(struct run *r, int ret, const char *what);

/* ---- Its parameters, its random numbers, its time ----------------------- */

/* Values are checked before the run. A name or type that was not declared: bail(). */
uint64_t param_u64(struct run *r, const char *name);	/* PARAM_UINT, PARAM_SIZE */
bool param_bool(struct run *r, const char *name);
const char *param_str(struct run *r, const char *name);	/* PARAM_ENUM, PARAM_STRING */

/* Deterministic for a --seed. A role has a stream of its own. */
uint64_t run_seed(const struct run *r);
uint64_t rnd(struct run *r);
uint64_t rnd_below(struct run *r, uint64_t n);	/* 0 to n - 1; n > 0 */

/*
 * Poll cond until it holds or ms milliseconds are over; true if it held. For what
 * the kernel does a little later, like giving a block back from a per-CPU list.
 */
#define eventually(ms, cond)                                                   \
	({                                                                     \
		uint64_t until_ = now_ns() + (uint64_t)(ms) * 1000000;         \
		bool ok_;                                                      \
		while (!(ok_ = (cond)) && now_ns() < until_)                   \
			sleep_ms(1);                                           \
		ok_;                                                           \
	})

/* ---- The state of tag storage (root only; bail() if it cannot be read) --- */

/* pid 0: the caller. Addresses may carry a tag. See state.h for the fields. */
struct state_summary summary_now(struct run *r);
struct state_block block_now(struct run *r, uint64_t block);
struct state_page page_now(struct run *r, pid_t pid, const void *addr);
struct state_page pfn_now(struct run *r, uint64_t pfn);
struct state_tags tags_now(struct run *r, pid_t pid, const void *addr);
/* The same for an address that may be without a page: false, then, and *page unset. */
bool page_present(struct run *r, pid_t pid, const void *addr, struct state_page *page);

/*
 * Empty the kernel's per-CPU batches of pages, those to be put on the LRU, too. Before
 * it, a page that was unmapped or dropped may stay allocated for any time, and its tag
 * storage with it, because a CPU that has nothing to do holds it in a batch; and a page
 * that is not on the LRU yet cannot be reclaimed or moved. Drops clean page cache as
 * well. Root only.
 */
void drain_lru(struct run *r);

/*
 * Write one value to a file of the kernel's: below /proc, /sys or debugfs, at most 255
 * characters. 0, or -errno, which errno is, too. What is below /proc/sys or /sys has to
 * be declared (.save_restore), or the scenario ends with an error, except for files that
 * start something and remember nothing.
 */
int kernel_write(struct run *r, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Whether the machine is disposable: for a part of a scenario that does not need it else. */
bool machine_is_disposable(void);

/* Switches go back to what they were when the scenario ends, however it ends. */
uint64_t switch_get(struct run *r, const char *name);
void switch_set(struct run *r, const char *name, uint64_t value);
/* The kernel moves no tagged pages together: for scenarios that look where pages lie. */
void gather_nothing(struct run *r);

/* ---- Roles: its other processes ----------------------------------------- */

struct child;

/*
 * Start fn(r, arg) in a child process as the role says; fn returning is exit
 * status 0. In it all of this header can be used except step() in step mode, the
 * state (unless the role is root) and role_spawn(). Every role is killed when the
 * scenario ends. A role that dies of a signal nobody sent through role_kill()
 * fails the scenario, unless role_wait() told the scenario about it.
 * The struct child is freed with the scenario.
 */
struct child *role_spawn(struct run *r, const struct role *role,
			 void (*fn)(struct run *r, void *arg), void *arg);
pid_t role_pid(const struct child *c);

struct role_end {
	bool timed_out;	/* it still runs */
	int status;	/* exit status, -1 if it did not exit */
	int signal;	/* that killed it, or 0 */
};

/* Wait for it to end, ms at most. May be called again, also after the end. */
struct role_end role_wait(struct run *r, struct child *c, unsigned int ms);
/* That, and one result: it ended by itself, with status 0, in time. */
bool expect_role_done(struct run *r, struct child *c, unsigned int ms);
/* Kill it (SIGKILL) and wait until it is gone; bail() if it is not within 10 s. */
void role_kill(struct run *r, struct child *c);

/* Zeroed memory shared with the roles spawned later; freed with the scenario. */
void *shared_alloc(struct run *r, size_t size);

/*
 * A gate: closed when made, opened once by any process, seen open by all. Make it
 * before spawning the roles that use it.
 */
struct gate;
struct gate *gate_new(struct run *r);
void gate_open(struct gate *g);
bool gate_wait(struct gate *g, unsigned int ms);	/* false: still closed after ms */

/* ---- Accesses that may fault --------------------------------------------- */

struct probe {
	int signal;	/* 0: the access worked; else SIGSEGV or SIGBUS */
	int code;	/* si_code: SEGV_MTESERR for a tag check fault */
	void *addr;	/* si_addr */
	uint64_t ns;	/* how long it took, with the fault */
};

/*
 * Do one access of one byte and tell what came of it. An asynchronous tag check
 * fault is not noticed here.
 */
struct probe probe_load(const volatile void *p);
struct probe probe_store(volatile void *p, uint8_t value);
/* The same for any function; it must not hold locks when it faults. */
struct probe probe_call(void (*fn)(void *arg), void *arg);

#endif
