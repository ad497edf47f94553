/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recording that is read (docs/recording-format.md): all that happened, by time, and the
 * state of tag storage as it was at any of it. What comes from a file is checked when it is
 * read; what is kept of a damaged one is good.
 */
#ifndef TAGSCOPE_RECORD_RECORDING_H
#define TAGSCOPE_RECORD_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "kernel/state_source.h"
#include "record/blocks.h"

#define RECORDING_VERSION 2	/* version 1 is read, too: it knows no OWNER_HELD */
#define RECORDING_MAX_BLOCKS (1u << 25)	/* 4 TiB of memory, in blocks of a page */
#define RECORDING_MAX_BYTES (1ull << 30)

enum rec_type {
	REC_EVENT,	/* .event */
	REC_SUMMARY,	/* .json: all of it, or ... */
	REC_COUNTERS,	/* ... the counters that changed */
	REC_REGIONS,	/* .json */
	REC_BLOCKS,	/* .text: changes from block .first on */
	REC_OWNERS,	/* .text: changes of whose data lies in blocks from .first on */
	REC_LATENCY,	/* .json */
	REC_TRACE,	/* .text, or .first more that are not there */
	REC_TROUBLE,	/* .text: why the state could not be read from here on */
};

struct rec_entry {
	uint64_t at;		/* since the recording began, ns; never goes back */
	enum rec_type type;
	uint64_t first;
	union {
		struct event *event;
		const char *text;
	};
	struct cJSON *json;	/* NULL, or what owns the text */
};

struct recording {
	struct rec_entry *entry;
	size_t nr;
	uint64_t end;			/* the time of the last entry, or of its end */
	bool complete;			/* it says that it ended */
	int status;			/* then: the exit status of what was recorded */
	/* Where it is from; each "" if it does not say. */
	char tagscope[32], kernel[200], machine[40], started[40], command[1000];
	bool has_state, has_events;
};

/*
 * Read it. 0: all is good. Else -errno, and why (size bytes) says what is wrong: with
 * *rec NULL there is nothing that could be used; else what comes before it is there. max_bytes,
 * unpacked, and max_blocks bound what it may take; 0: as above.
 */
int recording_read(const char *path, struct recording **rec, char *why, size_t size);
int recording_parse(const void *data, size_t len, uint64_t max_bytes, uint64_t max_blocks,
		    struct recording **rec, char *why, size_t size);
/* NULL is allowed. */
void recording_free(struct recording *rec);

/* ---- The state at a time ------------------------------------------------------------ */

struct playhead {
	const struct recording *rec;
	size_t next;			/* the first entry that is not done yet */
	bool have_summary;
	struct state_summary summary;
	struct state_region *regions;
	size_t nr_regions;
	uint64_t blocks;		/* of the map */
	struct rec_block *block;
	uint64_t *generation;
	struct rec_block *owner;	/* of each block, only the letter; NULL: none until now */
	const struct cJSON *latency;	/* NULL: none yet */
	const char *trouble;		/* NULL: the state could be read */
	uint64_t max_blocks;
	/* Hears each entry that it passes, if it is set. */
	void (*passed)(void *ctx, const struct rec_entry *e);
	void *ctx;
};

void playhead_init(struct playhead *p, const struct recording *rec);
void playhead_free(struct playhead *p);
/* To the beginning, as if nothing was passed. */
void playhead_rewind(struct playhead *p);
/* Past the next entry: 0, or -errno with the reason in why (size bytes). */
int playhead_take(struct playhead *p, char *why, size_t size);
/* Past all entries before number n; going back rewinds. */
void playhead_go_to(struct playhead *p, size_t n);
/* The first entry later than this. */
size_t recording_after(const struct recording *rec, uint64_t at);
/* Past the state that was read for the event before entry number n: it has the same time. */
size_t recording_reading_after(const struct recording *rec, size_t n);

/*
 * A state that says what is at the playhead, which must outlive it. before_reading, if it is
 * set, is called before each reading of the summary, and may move the playhead. NULL: out of
 * memory.
 */
struct state *playhead_state(struct playhead *p, void (*before_reading)(void *ctx), void *ctx);

#endif
