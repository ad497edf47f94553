/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the state comes from: state.h is what everybody calls, a source is who answers.
 * debugfs is one; whoever has another, like a recording, adds it.
 */
#ifndef TAGSCOPE_STATE_SOURCE_H
#define TAGSCOPE_STATE_SOURCE_H

#include "kernel/state.h"

/* A page: by its number, or as a process has it mapped (pid is not 0, addr has no tag). */
struct state_where {
	bool by_pfn;
	uint64_t pfn;
	pid_t pid;
	uint64_t addr;
};

/* Each as the function of state.h that has its name. NULL: the source has nothing of it. */
struct state_ops {
	int (*read_summary)(struct state *st, struct state_summary *s);
	int (*read_regions)(struct state *st, struct state_region **regions, size_t *n);
	int (*read_blocks)(struct state *st, uint64_t first, size_t n, struct state_block *b,
			   size_t *got);
	int (*read_kinds)(struct state *st, const struct state_region *regions, size_t nr_regions,
			  uint64_t first, size_t n, char *kind);
	int (*read_owners)(struct state *st, const char *kind, char *owner, uint64_t blocks);
	int (*lookup)(struct state *st, const struct state_where *at, struct state_page *page);
	int (*tags)(struct state *st, const struct state_where *at, struct state_tags *tags);
	int (*read_latency)(struct state *st, enum state_histogram which,
			    struct state_latency **lat, size_t *n);
	int (*read_replays)(struct state *st, struct state_replays **rep, size_t *n);
	int (*reset_histograms)(struct state *st);
	int (*switch_get)(struct state *st, const char *name, uint64_t *value);
	int (*switch_set)(struct state *st, const char *name, uint64_t value);
	void (*close)(struct state *st);
};

struct state {
	const struct state_ops *ops;
	char root[512];		/* what messages begin with: the folder or file it comes from */
	char error[768];
	void *priv;		/* the source's */
};

struct state_source {
	const char *name;	/* TAGSCOPE_STATE_SOURCE=name:argument chooses it */
	/* Set st->ops and st->root. argument: NULL if there is none. 0, or state_fail(). */
	int (*open)(struct state *st, const char *argument);
};

/* Sets state_error(); returns err. */
int state_fail(struct state *st, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Open this source rather than the one that the environment names; as state_open(). */
int state_open_source(const struct state_source *source, const char *argument,
		      struct state **st);
/* So that TAGSCOPE_STATE_SOURCE can name it. At most 8, before the first state_open(). */
void state_source_add(const struct state_source *source);

/* A folder with the kernel's files. */
extern const struct state_source state_source_debugfs;
extern const struct state_ops state_files_ops;

#endif
