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
/* After so many signals the victim has seen enough of one way. */
#define VICTIM_MAX_SIGNALS 4

enum victim_way {
	VICTIM_MMAP,		/* frees a page, and touches a new one of a PROT_MTE mapping */
	VICTIM_MPROTECT,	/* mprotect(PROT_MTE) of a page that holds data */
	VICTIM_SHARED,		/* that, of a page that it shares with the attacker */
	VICTIM_WAYS,
};

struct victim_page {
	uint64_t old;		/* address of the chosen page */
	uint64_t addr;		/* address of what gets tagged */
	uint64_t ns;		/* the first access took this long */
	uint8_t done;		/* it was accessed */
	uint8_t signal;		/* and this was raised */
	uint8_t data_bad, tags_bad;
	uint8_t again;		/* signal raised when tried again after the attack */
};

enum victim_phase {
	VICTIM_FILL,		/* has as much memory as is wanted: begins by itself */
	VICTIM_TAG,		/* has tried to tag all pages */
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
	int memory_full;	/* it can have no more */
	unsigned int n[VICTIM_WAYS];
	struct victim_page page[VICTIM_WAYS][VICTIM_MAX_PAGES];
	uint64_t progress;	/* grows with every access */
	bool child_waits;	/* in VICTIM_KILL a child shall wait in a fault */
	pid_t child;		/* once it is there */
	int child_signal;	/* what ended it */
};

extern const struct role victim_role;
/* For role_spawn(); arg is the struct victim. */
void victim_main(struct run *r, void *arg);

const char *victim_way_name(enum victim_way way);
/* The number of a page's pattern: no two of them have the same. */
uint64_t victim_pattern(enum victim_way way, unsigned int i);

static inline void *page_at(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

#endif
