/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose data lies in tag storage, as /proc tells it. */
#ifndef TAGSCOPE_OWNERS_H
#define TAGSCOPE_OWNERS_H

#include "kernel/state_source.h"

/*
 * As state_read_kinds() and state_read_owners(). proc is the folder whose processes and page
 * frames these are of: /proc, or a copy of it.
 */
int kinds_read(struct state *st, const char *proc, const struct state_region *regions,
	       size_t nr_regions, uint64_t first, size_t n, char *kind);
int owners_read(struct state *st, const char *proc, const char *kind, char *owner,
		uint64_t blocks);

#endif
