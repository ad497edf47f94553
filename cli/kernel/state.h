/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one reader of the state of tag storage: of the kernel's interface
 * (docs/debugfs-abi.md), or of whatever else is a source of it (state_source.h).
 *
 * Every function that can fail returns 0 or -errno; state_error() then tells, in
 * one line, what and where: file, line and reason. -EPROTO: the file does not say
 * what the documentation promises. A reader is for one thread.
 */
#ifndef TAGSCOPE_STATE_H
#define TAGSCOPE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct state;

#define STATE_DEFAULT_ROOT "/sys/kernel/debug/mte_tag_storage"
#define STATE_VERSION 1
#define STATE_DATA_PER_TAG 32		/* data pages served by a tag storage page */
#define STATE_TAGS_PER_PAGE 256
#define STATE_RAW_PER_PAGE 128
#define STATE_MAX_EXTRA 32

/*
 * Open the source named by $TAGSCOPE_STATE_SOURCE ("name:argument"), or else the kernel's
 * interface below $TAGSCOPE_DEBUGFS, or in its usual place. A reader is
 * returned in *st even when this fails, for state_error(), and is to be closed;
 * only with -ENOMEM it is NULL. -ENOENT: this kernel has no such interface.
 */
int state_open(struct state **st);
void state_close(struct state *st);
const char *state_error(const struct state *st);
const char *state_root(const struct state *st);

/*
 * summary. The counters, with their meanings in docs/debugfs-abi.md, in order:
 * X(field, short description). generation, regions, block_pages and blocks are always
 * there; a kernel may lack any other, and have some that are not in this list.
 */
#define STATE_COUNTERS(X)                                                      \
	X(generation, "changes of any block's state")                          \
	X(regions, "tag storage regions")                                      \
	X(block_pages, "pages in a tag block")                                 \
	X(blocks, "tag blocks")                                                \
	X(blocks_available, "blocks that hold no tags")                        \
	X(blocks_isolating, "blocks being emptied")                            \
	X(blocks_reserved, "blocks that hold tags")                            \
	X(blocks_permanent, "blocks that hold tags for ever")                  \
	X(blocks_unusable, "blocks given to nobody")                           \
	X(blocks_reserved_max, "the most that ever did")                       \
	X(reserved_pages, "data pages that have tag storage")                  \
	X(reserve_joined, "reservations that found the block taken")           \
	X(reserve_ok, "reservations that took a block")                        \
	X(reserve_migrated, "reservations that moved data away first")         \
	X(reserve_busy, "reservations that failed: data cannot move")          \
	X(release, "blocks given back")                                        \
	X(page_release, "data pages that gave up their tag storage")           \
	X(claimed, "tag storage pages caught as they were freed")              \
	X(alloc_other_page, "tagged allocations that took another page")       \
	X(alloc_searched, "tagged allocations served by a search")             \
	X(alloc_without, "tagged allocations without tag storage")             \
	X(foa_set, "entries made inaccessible")                                \
	X(foa_fault, "faults on such entries")                                 \
	X(foa_replaced, "faults resolved by moving the data page")             \
	X(foa_replayed, "faults sent back to be tried again")                  \
	X(foa_sigbus, "faults that ended in SIGBUS")                           \
	X(copy_refused, "copies refused for want of tag storage")              \
	X(moved_out, "pages moved out of tag storage to be tagged")            \
	X(pin_moved, "pages moved out of tag storage to be pinned")            \
	X(gather_moved, "tagged pages moved to where tags are already")        \
	X(gather_evicted, "untagged pages moved out of their way")             \
	X(gather_failed, "tagged pages that could not be moved there")         \
	X(gather_held, "blocks left alone, a page of which cannot move")       \
	X(gather_blocks, "blocks given back by gathering")                     \
	X(gather_runs, "times that gathering was at work")                     \
	X(gather_ns, "CPU time it took, in ns")                                \
	X(swap_saved, "pages whose tags were saved at swap out")               \
	X(swap_zero, "pages swapped out whose tags were all zero")

struct state_summary {
	unsigned int version;
	char policy[32];	/* "off", "cma" */
	char reason[32];	/* why it is off, or "-" */
#define X(field, text) uint64_t field;
	STATE_COUNTERS(X)
#undef X
	uint64_t present;	/* bit i: state_counters[i] is there; else its field is 0 */
	size_t nr_extra;	/* what this tagscope does not know */
	struct state_extra {
		char name[40];
		uint64_t value;
	} extra[STATE_MAX_EXTRA];
};

int state_read_summary(struct state *st, struct state_summary *s);

/* The counters that are known, as a table. */
struct state_counter {
	const char *name;
	const char *text;
	size_t offset;		/* of the uint64_t in struct state_summary */
};
extern const struct state_counter state_counters[];
extern const size_t nr_state_counters;

/*
 * All counters of a summary by number, for those who show all of them: those that are
 * known first, there or not, then the others.
 */
size_t state_counters_of(const struct state_summary *s);
const char *state_counter_name(const struct state_summary *s, size_t i);
const char *state_counter_text(const struct state_summary *s, size_t i);
/* false: it is known, but this kernel does not offer it. */
bool state_counter_get(const struct state_summary *s, size_t i, uint64_t *value);
/* For people: "1717", or "-" for one that is not offered; in buf (32 bytes do). */
const char *state_counter_value(const struct state_summary *s, size_t i, char *buf, size_t size);
/* The same for a known one by its name. */
const char *state_counter_named(const struct state_summary *s, const char *name, char *buf,
				size_t size);
/* Its number; -1: there is none of that name. */
ssize_t state_counter_find(const struct state_summary *s, const char *name);
/* Set or add it. false: not a name for a counter, or there are too many. */
bool state_counter_set(struct state_summary *s, const char *name, uint64_t value);
/* The first known one that this kernel does not offer; NULL: it offers all. */
const char *state_counter_missing(const struct state_summary *s);
/* "reserved_pages 0->32, ...": what changed, in buf; "" if nothing did. */
const char *state_changes(const struct state_summary *from, const struct state_summary *to,
			  char *buf, size_t size);

struct state_region {
	unsigned int index;
	uint64_t tag_base, tag_size;	/* physical addresses, bytes */
	uint64_t mem_base, mem_size;
	uint64_t block_size;		/* bytes */
	uint64_t first_block, blocks;
};

/* All regions, in *regions, *n of them; free(*regions). With policy off there may be none. */
int state_read_regions(struct state *st, struct state_region **regions, size_t *n);

/* Block states as the file has them. */
enum state_letter {
	BLOCK_FREE = 'f',
	BLOCK_DATA = 'd',
	BLOCK_PINNED = 'p',
	BLOCK_CACHED = 'c',
	BLOCK_ISOLATING = 'i',
	BLOCK_RESERVED = 'r',
	BLOCK_PERMANENT = 'P',
	BLOCK_UNUSABLE = 'u',
};
#define STATE_LETTERS "fdpcirPu"

/* "reserved: holds tags"; NULL if there is no such state. */
const char *state_letter_text(char letter);
/* Its number in STATE_LETTERS, -1: none. */
int state_letter_number(char letter);
/*
 * Of two states in one cell of a map, the one that the cell is shown as. The order is in
 * docs/manual.md. 0 stands for nothing yet.
 */
char state_more_telling(char a, char b);

struct state_block {
	char letter;		/* 0: a recording that does not know it */
	unsigned int tagged;	/* data pages reserved in it */
	unsigned int free;	/* its tag storage pages that are free */
	uint64_t generation;	/* of its last state change */
};

/* Blocks first to first + n - 1 into b[]; *got says how many there were: fewer at the end. */
int state_read_blocks(struct state *st, uint64_t first, size_t n, struct state_block *b,
		      size_t *got);

/* The same, one by one; fewer if they end before. */
int state_each_block(struct state *st, uint64_t first, uint64_t n,
		     void (*fn)(void *ctx, uint64_t block, const struct state_block *b), void *ctx);

/*
 * Whose data lies in a block of tag storage: the first that has any, in this order. A capital:
 * the tags of memory that the scenario has mapped with PROT_MTE belong in it, of any of its
 * processes but an attacker.
 */
enum owner_letter {
	OWNER_ATTACKER = 'a',
	OWNER_VICTIM = 'v',
	OWNER_SCENARIO = 's',	/* another process of the scenario */
	OWNER_HELD = 'h',	/* was a process's; none maps it, and something holds it */
	OWNER_OTHERS = 'o',	/* another process, or the kernel */
	OWNER_CACHE = 'c',	/* page cache, or shared memory, that no process of it maps */
	OWNER_NOBODY = 'n',	/* as far as can be told: free, holds tags, or the kernel's */
};
#define OWNER_LETTERS "avshocn"
#define OWNER_NEEDED "AVSHOCN"
/* The processes of a scenario have names that begin with this, then that of their role. */
#define OWNER_COMM "ts-"

/*
 * What /proc/kpageflags says of n blocks, from first on: BLOCK_FREE if all pages of a block are
 * free, else the owner, as far as it goes without looking at processes. Root only.
 */
int state_read_kinds(struct state *st, const struct state_region *regions, size_t nr_regions,
		     uint64_t first, size_t n, char *kind);

/*
 * Of each block from 0 on; 0 where it is not known. Root only. kind: of all of them, if they
 * were read just before; else NULL.
 */
int state_read_owners(struct state *st, const char *kind, char *owner, uint64_t blocks);

/*
 * What a map of owners shows of a block in this state: an owner, '.' for free memory, 't' for
 * tags, 'u' for unusable; as a capital ('F' for free) if it is needed. 0: not known.
 */
#define OWNER_SHOWN "AHOCVSFTavshoctu."
char owner_shown(char letter, char owner);
/* "an attacker's data"; of a capital the same as of its small letter. */
const char *owner_text(char shown);
/* Of two in one cell the more telling one, as state_more_telling(): what is needed first. */
char owner_more_telling(char a, char b);

/* The block whose tag storage is for this address; -1: no region has it. */
int64_t state_block_of(const struct state_region *regions, size_t n, uint64_t address);

/* A page: what "lookup" answers. */
struct state_page {
	uint64_t pfn;
	int64_t block;			/* whose tags are this page's; -1: none */
	char block_state;		/* '-' if none */
	unsigned int block_tagged;
	bool in_tag_storage;		/* the page itself is part of tag storage ... */
	int64_t own_block;		/* ... of this block; else -1 */
	char own_state;
	bool has_storage;		/* its block is reserved on its behalf */
	bool tagged;
	uint64_t tag_pfn;		/* where its tags are ... */
	unsigned int tag_offset;	/* ... from this byte on */
	int64_t refcount, mapcount;
	unsigned int order;
	char kind[16];			/* "anon", "file", "ksm", "free", "kernel" */
	bool pinned, dma_pinned, lru, locked, writeback;
	/* Only from state_lookup_addr(). */
	uint64_t pte;
	bool foa;
	bool vma_tagged;
};

/*
 * -ESRCH: no such process; -EFAULT: no page is there; -ENXIO: no such page frame.
 * pid 0 is the caller.
 */
int state_lookup_pfn(struct state *st, uint64_t pfn, struct state_page *page);
int state_lookup_addr(struct state *st, pid_t pid, uint64_t addr, struct state_page *page);

struct state_tags {
	uint64_t pfn;
	bool valid;				/* tags[] is set: the page is tagged */
	bool has_raw;				/* raw[] is set: its block is reserved */
	uint8_t tags[STATE_TAGS_PER_PAGE];	/* as LDG reads them, lowest address first */
	uint8_t raw[STATE_RAW_PER_PAGE];	/* bytes in tag storage, in DRAM */
};

int state_tags_pfn(struct state *st, uint64_t pfn, struct state_tags *tags);
int state_tags_addr(struct state *st, pid_t pid, uint64_t addr, struct state_tags *tags);
/* Whether raw[] holds the same as tags[], low nibble for the even granule. */
bool state_tags_agree(const struct state_tags *tags);

/* One line of a latency histogram. */
#define STATE_BUCKETS 32
struct state_latency {
	char cause[16], outcome[16];
	uint64_t count, total_ns, max_ns;
	uint64_t bucket[STATE_BUCKETS];		/* bucket k: less than 2^(k+4) ns */
};

enum state_histogram { STATE_RESERVE_LATENCY, STATE_REPLAY_LATENCY };

/* All lines, in *lat, *n of them; free(*lat). */
int state_read_latency(struct state *st, enum state_histogram which, struct state_latency **lat,
		       size_t *n);

struct state_replays {
	uint64_t replays, count;
};
/* free(*rep) */
int state_read_replays(struct state *st, struct state_replays **rep, size_t *n);
/* Set both latency histograms and the replay counts to zero. */
int state_reset_histograms(struct state *st);

/* Names of the switches, NULL at the end. */
extern const char *const state_switches[];
int state_switch_get(struct state *st, const char *name, uint64_t *value);
int state_switch_set(struct state *st, const char *name, uint64_t value);

#endif
