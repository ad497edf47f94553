/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page of HTML about what ran: verdicts, results, measures, the map of blocks as it
 * changed, counters and latencies. It is one file that needs nothing else: no network, no
 * other file. Without scripts all but the moving map is there.
 */
#ifndef TAGSCOPE_REPORT_H
#define TAGSCOPE_REPORT_H

#include <stdio.h>

#include "record/recording.h"

struct report_input {
	const char *name;		/* of the file */
	const struct recording *rec;
	const char *trouble;		/* why it is not whole; NULL: it is */
};

/*
 * Write the page about n of them to f; of two or more it says what differs, too. Plots are
 * gnuplot's; without it the page says that it is missing. 0 or -errno.
 */
int report_page(FILE *f, const struct report_input *in, size_t n);

/* ---- Its parts ------------------------------------------------------------------------ */

/* What came together at a time: cells of the map, each a letter of one block or several. */
struct report_map {
	bool owners;			/* letters are those of OWNER_SHOWN, not of states */
	size_t cells, columns;
	uint64_t per_cell;		/* blocks */
	size_t nr_frames;
	struct report_frame {
		uint64_t at;
		size_t entry;		/* entries before this are done */
		char *letters;		/* of all cells; ' ' is not known */
	} *frame;
};

/*
 * Of a recording without a map, or one that does not say whose the blocks are: no frames.
 * false: out of memory.
 */
bool report_map_make(struct report_map *m, const struct recording *rec, bool owners);
void report_map_free(struct report_map *m);
/* The frame that is there when all before this entry is done. */
const struct report_frame *report_map_at(const struct report_map *m, size_t entry);
/* A still picture, with this in words for who does not see it. */
void report_map_still(FILE *f, const struct report_map *m, const struct report_frame *fr,
		      const char *words);
/* What a letter is called in the names of classes. */
char report_map_class(char letter);
/* All frames, for the script. id is that of its element. */
void report_map_data(FILE *f, const struct report_map *m, const struct recording *rec,
		     const char *id);

/* Plots of the counters that change, of blocks over time, and of latencies. */
void report_plots(FILE *f, const struct recording *rec, const struct report_map *m);

extern const char report_style[], report_script[];

#endif
