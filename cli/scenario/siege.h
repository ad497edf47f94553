/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What adversaries have in common: how an ordinary user gets its pages into tag storage,
 * and a victim that needs tagged memory meanwhile and is measured.
 *
 * A siege is one attack on one victim, with the kernel's switches as its mode says. It
 * lives in memory that all processes of the scenario share. Each function says who
 * calls it: the scenario (root), the attacker or the victim. What fails ends the
 * scenario, as in scenario.h.
 */
#ifndef TAGSCOPE_SIEGE_H
#define TAGSCOPE_SIEGE_H

#include "scenario/scenario.h"

/* The kernel's mitigations, of which each mode leaves less. */
struct siege_mode {
	const char *name;		/* "on": prefix of measures, value of the parameter */
	const char *text;		/* "all mitigations on": what results begin with */
	bool move_before_pin;		/* the switches of docs/debugfs-abi.md */
	bool choose_other_page;
	bool replace_data_page;
	unsigned int fault_wait_ms;
};

extern const struct siege_mode siege_on;
extern const struct siege_mode siege_evade;	/* pins are let into tag storage */
extern const struct siege_mode siege_off;

/* Pages shared with the attacker: as many are tagged, and more are tried to find them. */
#define SIEGE_SHARED_PAGES 4
#define SIEGE_SHARED_TRY 32
/* Most pages the victim tags in one way. */
#define SIEGE_MAX_PAGES 512
/* After so many signals the victim has seen enough of one way. */
#define SIEGE_MAX_SIGNALS 8
/* A generous bound on what one access may take beyond fault_wait_ms, in milliseconds. */
#define SIEGE_SLACK_MS 10000
/* For what takes long only on a machine that is very busy, and is no verdict then. */
#define SIEGE_PATIENCE_MS 300000

/* How the victim comes by tagged memory. */
enum siege_way {
	SIEGE_MMAP,		/* frees a page, and touches a new one of a PROT_MTE mapping */
	SIEGE_MPROTECT,		/* mprotect(PROT_MTE) of a page that holds data */
	SIEGE_SHARED,		/* that, of a page that it shares with the attacker */
	SIEGE_WAYS,
};

struct siege_page {
	uint64_t old;		/* address of the chosen page */
	uint64_t addr;		/* address of what gets tagged */
	uint64_t ns;		/* the first access took this long */
	uint8_t done;		/* it was accessed */
	uint8_t signal;		/* and this was raised */
	uint8_t data_bad, tags_bad;
	uint8_t again;		/* signal raised when tried again after the attack */
};

struct siege {
	const struct siege_mode *mode;
	uint64_t seed;
	struct gate *placed;	/* attacker: its pages are where it wants them */
	struct gate *hold;	/* scenario: now hold them */
	struct gate *held;	/* attacker: done */
	struct gate *hold_shared;	/* scenario: hold the chosen shared pages, too */
	struct gate *held_shared;
	struct gate *let_go;	/* scenario: end the attack */
	struct gate *released;	/* attacker: nothing is held any more */
	struct gate *populated;	/* victim: has memory to choose from */
	struct gate *go;	/* scenario: pages are chosen */
	struct gate *tagged;	/* victim: has tried all */
	struct gate *wait;	/* scenario: have a child wait in a fault */
	struct gate *waited;	/* victim: the child is gone */
	struct gate *retry;	/* scenario: try again what failed */
	struct gate *end;	/* scenario: all has been seen */

	/* The attacker's memory; 0 pages if it has none that is mapped. */
	uint64_t hoard;
	uint64_t hoard_pages;
	uint64_t held_pages;	/* what it holds, in pages, wherever they lie */
	uint64_t hoard_bad;	/* pages of its own whose data changed */

	/* The victim's. */
	uint64_t memory;
	uint64_t memory_max;	/* pages for which there are addresses */
	uint64_t memory_first;	/* pages it keeps, and what is chosen of the others */
	uint64_t memory_wanted, memory_pages;	/* pages it shall have filled, and has */
	int memory_full;	/* it can have no more */
	char *shared;		/* same address in all processes */
	uint64_t shared_max;	/* pages for which there are addresses */
	unsigned int n[SIEGE_WAYS];
	struct siege_page page[SIEGE_WAYS][SIEGE_MAX_PAGES];
	uint64_t progress;	/* grows with every access */
	pid_t child;		/* that waits in a fault, once there is one */
	int child_signal;	/* what ended it */
};

/* ---- The scenario ------------------------------------------------------- */

/*
 * Begin a siege: set the switches, make the shared state. memory: bytes the victim has
 * to choose pages from; it takes more while that is not enough. shared: attacker and
 * victim share memory.
 */
struct siege *siege_new(struct run *r, const struct siege_mode *mode, uint64_t memory, bool shared);

/* What the attacker has in tag storage. */
struct siege_held {
	uint64_t pages;		/* pages of tag storage that it holds */
	uint64_t blocks;	/* blocks of which it holds a page ... */
	uint64_t shown;		/* ... and that the block map shows as pinned */
	unsigned char *map;	/* nonzero for each such block; of the siege_held */
	uint64_t nr_blocks;
};

/* Look at every page of the attacker's hoard. siege_held_free() frees. */
struct siege_held siege_look_hoard(struct run *r, const struct siege *s, pid_t attacker);
/*
 * Look at all of tag storage for page-cache pages that are locked: for attackers whose
 * pages are not mapped.
 */
struct siege_held siege_look_locked(struct run *r);
void siege_held_free(struct siege_held *held);

/* How the outcome has to be. */
struct siege_want {
	bool held;		/* the attacker holds tag storage that others need */
	bool harm;		/* and the victim fails where it needs that */
};

/*
 * Run a victim to its end while the attacker holds what it holds: choose its pages,
 * per_way of each way, where they need held blocks; let it tag them; watch it; let go;
 * let it try again what failed; judge it all. Waits for the end of both.
 * attacker and its role NULL: there is none, for comparison. held NULL: it holds nothing.
 */
void siege_run(struct run *r, struct siege *s, const struct siege_held *held,
	       const struct siege_want *want, struct child *attacker,
	       const struct role *attacker_role, unsigned int per_way);

/*
 * Wait until the role opens the gate; if it ends before, or never does, that is a bail,
 * "the ROLE has not WHAT".
 */
void siege_await(struct run *r, struct child *c, const struct role *role, struct gate *gate,
		 const char *what);

/* Whether parameter "mitigations" asks for this mode. */
bool siege_wanted(struct run *r, const struct siege_mode *mode);

/* ---- The victim ---------------------------------------------------------- */

extern const struct role siege_victim;

/* ---- The attacker --------------------------------------------------------- */

/*
 * Take memory until the page allocator begins to serve movable pages from tag
 * storage, which it prefers when that is over half of what is free. What is allocated
 * next lies there, about every other page of it.
 */
struct siege_filler {
	char *bulk, *late;
	size_t bulk_size, late_size, late_done;
	uint64_t cma_before;
	uint64_t free_then, cma_then;	/* when it was last seen who serves it */
	bool served;			/* tag storage did, at least in part */
};
struct siege_filler siege_fill(struct run *r);
/* Take more if the allocator has ceased to do so. */
void siege_fill_on(struct run *r, struct siege_filler *f);
void siege_unfill(struct run *r, struct siege_filler *f);

/*
 * Fill memory, populate pages until about so many of them lie in tag storage, but not
 * more than max in all, nor more than memory has room for; then give the rest back, and
 * tell the siege. They hold a pattern, which siege_hoard_check() checks.
 */
void siege_hoard(struct run *r, struct siege *s, size_t in_storage, size_t max);
void siege_hoard_check(struct siege *s);

/* There is room for more: an attacker that fills memory stops before the OOM killer comes. */
bool siege_room(struct run *r);
/* Pages of tag storage that are free, as far as an ordinary user can see it. */
uint64_t siege_storage_free(struct run *r);

/* What siege_hoard() and siege_fill() need: for .syscalls of the attacker. */
#define SIEGE_SYSCALLS "openat", "read", "close", "madvise", "mmap", "munmap"

#endif
