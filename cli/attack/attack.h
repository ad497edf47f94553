/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an adversary declares: its technique, a way in which an ordinary user keeps pages
 * from being moved. The rest is the same for all adversaries and is in this folder:
 * filling memory until the attacker's pages lie in tag storage (fill.h), a victim whose
 * tags are to be stored just there (victim.h), looking at what is held (blocks.h), the
 * order of it all (attack.c) and what has to come out (judge.h).
 *
 * As in scenario.h, what cannot be done ends the scenario with a clear result.
 * adversarial/splice-pin.c is the example to read.
 */
#ifndef TAGSCOPE_ATTACK_H
#define TAGSCOPE_ATTACK_H

#include "attack/bystander.h"
#include "attack/fill.h"
#include "attack/victim.h"
#include "scenario/disk.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

/* Modes of the kernel: parameter "mitigations". */
enum attack_mode {
	ATTACK_ON,		/* all mitigations */
	ATTACK_PINS_ALLOWED,	/* all but move_before_pin */
	ATTACK_CHOOSE_OFF,	/* all but choose_other_page */
	ATTACK_REPLACE_OFF,	/* all but replace_data_page */
	ATTACK_OFF,		/* none */
	ATTACK_MODES,
};

/* What is expected of the technique in a mode. */
enum attack_effect {
	AS_OTHERS,		/* nothing is said: see attack_effect_in(); not for on and off */
	MAY_HOLD,		/* it may hold tag storage or not; no victim fails */
	HOLDS_NOTHING,		/* nothing that it holds lies in tag storage ... */
	MOVED_FIRST,		/* ... since move_before_pin has moved it out */
	HOLDS_STORAGE,		/* what it holds lies in tag storage */
};

/*
 * The attacker's view of the attack. It is shared with the scenario; pointers are those
 * of the attacker's process.
 */
struct attacker {
	unsigned int number;	/* of this attacker; there may be several */
	char *memory;		/* what place() has populated, if it is mapped ... */
	size_t pages;		/* ... and how much; else 0 */
	size_t want;		/* parameter "hold": pages of tag storage to go for */
	size_t max_pages;	/* place() populates no more; as in struct technique */
	int fd;			/* of place_memfd(), and for place_file() */
	int device;		/* as in struct technique, opened */
	char *shared;		/* memory shared with the victim, a mapping of ... */
	int shared_fd;		/* ... this memfd; -1: there is none */
	bool read_only;		/* memory is: it holds zeroes, else ... */
	uint64_t seed;		/* ... data that comes from this */
	uint64_t held;		/* pages that hold() says it holds */
	uint64_t damaged;	/* pages of memory whose data has changed */
};

struct technique {
	/* Who does it: an ordinary user. .syscalls: with ATTACK_SYSCALLS. */
	struct role role;
	/* Most pages it can hold, wherever they lie. */
	size_t max_pages;
	/*
	 * These run in the attacker, in this order. First, get data into tag storage:
	 * place_anonymous, place_memfd, or one of its own.
	 */
	void (*place)(struct run *r, struct attacker *a);
	/*
	 * Keep what was placed from being moved; returns how many pages that are. NULL: it
	 * cannot be moved from the moment on in which it is placed.
	 */
	size_t (*hold)(struct run *r, struct attacker *a);
	/* Hold a page of a->shared, too; NULL: it cannot. */
	void (*hold_shared)(struct run *r, struct attacker *a, char *page);
	void (*release)(struct run *r, struct attacker *a);
	/*
	 * How to tell a page that is held, by the scenario. NULL: it is one of a->memory;
	 * else all pages of tag storage are looked at.
	 */
	bool (*is_held)(const struct state_page *page);
	/* Of a->memory, only pages that look pinned are held: the rest could not be. */
	bool partly;
	bool passes;		/* the hold ends by itself, perhaps before all have failed */
	bool gives_way;		/* some of it moves while the victim takes tagged memory */
	bool looks_movable;	/* the block map cannot tell that these pages are held */
	unsigned int strays;	/* so many pages may look held and not be */
	unsigned int attackers;	/* so many at once, 0 is 1; they share parameter "hold" */
	bool cgroup;		/* in a memory cgroup */
	bool root_file;		/* a->fd is a file of root's that they may read */
	bool disk_file;		/* a->fd is a file on a slow disk, which they may write */
	const char *device;	/* they have been given access to it; NULL: to none */
	struct {
		enum attack_effect effect;
		const char *step;	/* what happens, for a class; NULL: as in others */
	} mode[ATTACK_MODES];
};

#define ATTACK_MAX_ATTACKERS 8
#define ATTACK_CGROUP_SETTING "/sys/fs/cgroup/cgroup.subtree_control"

/* What is expected of get_user_pages() for a short time, of it for a long time, ... */
#define MODES_PIN                                                              \
	{                                                                      \
		[ATTACK_ON] = { MOVED_FIRST, NULL },                           \
		[ATTACK_PINS_ALLOWED] = { HOLDS_STORAGE, NULL },               \
		[ATTACK_OFF] = { HOLDS_STORAGE, NULL },                        \
	}
#define MODES_LONGTERM                                                         \
	{                                                                      \
		[ATTACK_ON] = { HOLDS_NOTHING, NULL },                         \
		[ATTACK_OFF] = { HOLDS_NOTHING, NULL },                        \
	}
/* ... of references that come from elsewhere, and of those that come and go. */
#define MODES_REFERENCE                                                        \
	{                                                                      \
		[ATTACK_ON] = { HOLDS_STORAGE, NULL },                         \
		[ATTACK_OFF] = { HOLDS_STORAGE, NULL },                        \
	}
#define MODES_TRANSIENT                                                        \
	{                                                                      \
		[ATTACK_ON] = { MAY_HOLD, NULL },                              \
		[ATTACK_PINS_ALLOWED] = { MAY_HOLD, NULL },                    \
		[ATTACK_OFF] = { MAY_HOLD, NULL },                             \
	}

/* What the scenario's own process needs for files that are copied: copies.h. */
#define COPIES_SYSCALLS "mount", "pwrite64", "fsync", "statfs", "mincore", \
	"sched_getaffinity", "sched_setaffinity", "getcpu"

/* What the attacker needs besides what is its own: for .syscalls of the role. */
#define ATTACK_SYSCALLS "openat", "read", "close", "madvise", "mmap", "munmap", "memfd_create", \
	"ftruncate"

/*
 * The effect that is expected in a mode. Where a technique does not say it, a switch that has
 * nothing to do with it changes nothing.
 */
enum attack_effect attack_effect_in(const struct technique *t, enum attack_mode mode);
/* Run a technique, first without it for comparison, and then in all modes it declares. */
void attack_run(struct run *r, const struct technique *t);

/* ---- The scenario of a technique ------------------------------------------ */

#define ATTACK_MODES_TEXT "all|each|needed|on|pins-allowed|choose-off|replace-off|off"

/* Parameters: hold: how much, its default and range. */
#define ATTACK_PARAMS(hold, hold_min, hold_max)                                \
	PARAMS(P_ENUM("mitigations", "all", ATTACK_MODES_TEXT,                 \
		      "the kernel's; all: the modes told of; each: all modes; needed: " \
		      "each, where something is held without any"), \
	       P_STRING("victims", "all",                                      \
			"ways to get tagged memory, as mmap,cow; all: each"),  \
	       P_BOOL("explain", "no",                                         \
		      "tell who holds what each victim fails for"),            \
	       P_UINT("hold", hold, hold_min, hold_max,                        \
		      "pages of tag storage to hold; others are held, too"),   \
	       P_UINT("victim-pages", "128", 1, VICTIM_MAX_PAGES,              \
		      "pages the victim tags in each way"),                    \
	       P_SIZE("victim-memory", "32M", 1 << 20, 1ULL << 30,             \
		      "memory of the victim; it takes more if it has to"))

/*
 * Define and register the scenario: ADVERSARY(name_of_the_struct_technique, .name = ...,
 * .summary = ..., .explanation = ..., .params = ATTACK_PARAMS(...), .needs =
 * NEED_TAG_STORAGE | ...).
 */
#define ADVERSARY(technique, ...)                                              \
	static void technique##_run(struct run *r)                             \
	{                                                                      \
		attack_run(r, &(technique));                                   \
	}                                                                      \
	static const struct scenario technique##_scenario = {                  \
		.kind = SCENARIO_ADVERSARY,                                    \
		.min_memory = 400ULL << 20,                                    \
		.time_limit_s = 900,                                           \
		/* qsort() asks how much memory there is. */                   \
		.syscalls = SYSCALLS("mprotect", "sysinfo", "mkdirat",         \
				     "unlinkat", "fchmod", "getdents64",       \
				     "readlinkat", "fcntl", COPIES_SYSCALLS),  \
		.roles = ROLES(&(technique).role, &victim_role, &bystander_role), \
		/* How many free pages the lists of a CPU may have; and for .cgroup. */ \
		.save_restore = SETTINGS(FREE_LIST_SETTINGS,                   \
					 { ATTACK_CGROUP_SETTING, SETTING_OPTIONAL }, \
					 { REFILL_DELAY, SETTING_OPTIONAL }), \
		.run = technique##_run,                                        \
		__VA_ARGS__                                                    \
	};                                                                     \
	SCENARIO(technique##_scenario)

#endif
