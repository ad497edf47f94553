/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the UI knows of the machine, read anew at each refresh. It knows nothing of the
 * screen: the UI tells it what the view in front needs, and only that is read.
 */
#ifndef TAGSCOPE_UI_MODEL_H
#define TAGSCOPE_UI_MODEL_H

#include "ui/blockmap.h"
#include "kernel/state.h"
#include "kernel/trace.h"
#include "ui/log.h"

#define HISTORY 512		/* refreshes that are remembered */
#define MAX_OWNERS (1u << 22)	/* blocks of a map whose owners are read: 16 GiB of tags */
#define BLOCK_ROWS 128		/* pages looked up at a refresh, at most */

/* What a refresh should read besides the summary. */
struct model_needs {
	struct map_window window;	/* count 0: nothing of the map */
	bool latencies;
	bool owners;
	int64_t block;			/* this one and its own pages; -1: none */
	/* Pages of that block: row 0 is its first tag storage page, data pages follow. */
	uint64_t row, rows;
	uint64_t selected;		/* row whose tags are read */
	bool want_tags;
	uint64_t budget_ns;		/* that reading the map may take */
};

struct page_row {
	uint64_t pfn;
	bool is_tag_page;	/* one of the block's own; else its data */
	int err;		/* 0, or why page is not set */
	struct state_page page;
};

/* One block, explained. */
struct block_facts {
	int64_t number;			/* -1: nothing here */
	int err;			/* 0, or why block is not set */
	struct state_block block;
	const struct state_region *region;	/* NULL: none covers it */
	uint64_t tag_base, tag_pages;	/* address, pages */
	uint64_t data_base, data_pages;
	struct page_row own;		/* its first tag storage page */
	struct page_row row[BLOCK_ROWS];
	uint64_t first_row, rows;
	uint64_t tags_row;
	int tags_err;			/* 0: tags are set; 1: not asked for */
	struct state_tags tags;
};

struct model {
	struct state *st;
	bool ok;			/* there is a summary */
	char error[800];		/* why the last reading failed, or "" */
	struct state_summary now;
	uint64_t page_size;
	struct state_region *regions;
	size_t nr_regions;

	uint64_t *history;		/* [counter][HISTORY] */
	uint64_t samples;		/* refreshes so far */

	struct blockmap map;
	struct map_window window;	/* as last read */
	struct block_facts block;
	/* Of each block whose data it has, as state_read_owners(); NULL: not read, see why. */
	char *owner;
	char owners_error[300];
	uint64_t owners_due;			/* now_ns() */

	struct state_latency *latency[2];	/* by enum state_histogram */
	size_t nr_latency[2];
	struct state_replays *replays;
	size_t nr_replays;

	struct log *log;
	struct trace *trace;			/* NULL: tracepoints are not read */
};

/*
 * Read this state from now on, which is the model's; NULL: that of the machine. 0 or
 * -errno, with model->error; model_close() in any case.
 */
int model_open(struct model *m, struct state *st, struct log *log);
/* What is shown next has nothing to do with what was before: no history, no changes. */
void model_forget(struct model *m);
void model_close(struct model *m);

/* Read what is needed. Errors are in m->error, and what could not be read is as before. */
void model_refresh(struct model *m, const struct model_needs *needs);

/* Tracepoints into the log, or no more. 0, or -errno with the reason in why (size bytes). */
int model_trace(struct model *m, bool on, char *why, size_t size);

/* Whether counter i says how many there are now, rather than how often something was. */
bool model_is_gauge(const struct model *m, size_t counter);
/*
 * The last n values of a counter, oldest first: of a gauge its values, of others by how
 * much they rose from one refresh to the next. Returns how many there are.
 */
size_t model_history(const struct model *m, size_t counter, uint64_t *v, size_t n);

/* What the map of owners shows of a block; 0: not known. */
char model_owner(const struct model *m, uint64_t block);

const struct state_region *model_region(const struct model *m, uint64_t block);
/* How many rows (pages) a block has: its own and its data. */
uint64_t model_block_rows(const struct model *m, uint64_t block);

/* Nanoseconds, for people: "812 ns", "1.2 ms"; in buf. */
const char *format_ns(uint64_t ns, char *buf, size_t size);

#endif
