/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The victim: an ordinary user that needs tagged memory. It fills memory, of which the
 * scenario chooses pages whose tags are to be stored where the attacker's data lies; it
 * has them tagged in the ways below, and keeps account of what each access came to.
 */
#ifndef TAGSCOPE_ATTACK_VICTIM_H
#define TAGSCOPE_ATTACK_VICTIM_H

#include "attack/phase.h"
#include "scenario/scenario.h"

/* Most pages that are tagged in one way. */
#define VICTIM_MAX_PAGES 512
/* The same of huge pages, of which it keeps so many. */
#define VICTIM_MAX_HUGE 4
#define VICTIM_HUGE_SIZE ((size_t)2 << 20)
/* After so many signals the victim has seen enough of one way. */
#define VICTIM_MAX_SIGNALS 4

/* In the order in which they have their turn. */
enum victim_way {
	VICTIM_MPROTECT,
	VICTIM_SHARED,
	VICTIM_MMAP,
	VICTIM_MEMFD,
	VICTIM_COW,
	VICTIM_SWAPIN,
	VICTIM_HUGE,
	VICTIM_KVM,
	VICTIM_KVM_PLAIN,
	VICTIM_WAYS,
};

/* Where the pages come from that the scenario chooses. */
enum victim_source {
	FROM_MEMORY,		/* the victim's memory */
	FROM_SHARED,		/* what it shares with the attacker */
	FROM_HUGE,		/* huge pages of the victim's */
};

struct victim;

/* A way to get tagged memory. */
struct victim_kind {
	const char *name;	/* as parameter "victims" has it */
	const char *text;	/* what the victim does */
	enum victim_source source;
	/*
	 * The chosen page is freed before the access, which allocates one that mostly is
	 * just that. Else it is the one that gets tagged.
	 */
	bool frees;
	bool stores;		/* the access is a store */
	bool fresh;		/* what comes has no content yet */
	bool has_tags;		/* what comes had tags already */
	/* The allocation knows that it is for tags, and takes another page if need be. */
	bool chooses;
	bool retries;		/* each time a fault is replayed it allocates anew */
	bool guest;		/* a guest does it; that it fails KVM_RUN tells */
	bool untagged;		/* what comes needs no tag storage, and may be some */
	/*
	 * Make what is accessed, in the victim, and set addr of its pages; NULL: they are
	 * those chosen. The mitigations are on.
	 */
	void (*prepare)(struct run *r, struct victim *v, enum victim_way way);
};

extern const struct victim_kind victim_kinds[VICTIM_WAYS];

struct victim_page {
	uint64_t old;		/* address of the chosen page */
	uint64_t addr;		/* address of what gets tagged */
	uint64_t ns;		/* the first access took this long */
	uint8_t value;		/* what that stores, if it is a store */
	uint8_t done;		/* it was accessed */
	uint8_t signal;		/* and this was raised; by a guest that failed, SIGBUS, too */
	uint8_t data_bad, tags_bad;
	uint8_t again;		/* signal raised when tried again after the attack */
};

enum victim_phase {
	VICTIM_FILL,		/* has as much memory as is wanted: begins by itself */
	VICTIM_PREPARE,		/* has made what it is going to access */
	VICTIM_TAG,		/* has tried to tag all pages of way 0; and so on */
	VICTIM_CHECK = VICTIM_TAG + VICTIM_WAYS,	/* has checked what it got */
	VICTIM_KILL,		/* its child, which waited in a fault, is gone */
	VICTIM_RETRY,		/* has tried again what failed */
	VICTIM_PHASES,
};

/* In memory that all processes of the scenario share. */
struct victim {
	struct phase phase[VICTIM_PHASES];
	uint64_t seed;
	uint64_t memory;
	uint64_t memory_max;	/* pages for which there are addresses */
	uint64_t memory_first;	/* pages it keeps, and what is chosen of the others */
	uint64_t memory_wanted, memory_pages;	/* pages it shall have filled, and has */
	uint64_t huge;		/* address of memory in huge pages, so many of them: */
	uint64_t huge_pages;
	int memory_full;	/* it can have no more */
	bool asked[VICTIM_WAYS];	/* for by parameter "victims" */
	bool wants[VICTIM_WAYS];	/* of these, what can be had here */
	unsigned int n[VICTIM_WAYS];
	unsigned int unprepared[VICTIM_WAYS];	/* accesses that failed when it prepared them */
	struct victim_page page[VICTIM_WAYS][VICTIM_MAX_PAGES];
	int kvm;		/* /dev/kvm; -1: there is none, or nobody wants it */
	uint64_t progress;	/* grows with every access */
	bool child_waits;	/* in VICTIM_KILL a child shall wait in a fault */
	pid_t child;		/* once it is there */
	int child_signal;	/* what ended it */
};

extern const struct role victim_role;
/* For role_spawn(); arg is the struct victim. */
void victim_main(struct run *r, void *arg);

/* Of the pages of this way. */
size_t victim_page_size(enum victim_way way);
/* The number of a page's pattern: no two of them have the same. */
uint64_t victim_pattern(enum victim_way way, unsigned int i);

static inline void *page_at(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

#endif
