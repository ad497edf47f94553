// SPDX-License-Identifier: GPL-2.0-only
/* The map of blocks in a report: see report.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "report/report.h"

#define MAX_CELLS 8192
#define MAX_FRAMES 400
#define COLUMNS 128

/* What a block adds to its cell; best is that of the blocks before. */
static char more_telling(const struct report_map *m, const struct playhead *p, uint64_t block,
			 char best)
{
	if (m->owners)
		return owner_more_telling(best, owner_shown(p->block[block].letter,
							    p->owner ? p->owner[block].letter : 0));
	return state_more_telling(best, p->block[block].letter);
}

/* The cells as the playhead has them; false: out of memory. */
static bool add_frame(struct report_map *m, const struct playhead *p, uint64_t at)
{
	struct report_frame *fr = &m->frame[m->nr_frames];

	fr->letters = malloc(m->cells + 1);
	if (!fr->letters)
		return false;
	fr->at = at;
	fr->entry = p->next;
	for (size_t c = 0; c < m->cells; c++) {
		char best = 0;

		for (uint64_t b = c * m->per_cell; b < (c + 1) * m->per_cell && b < p->blocks; b++)
			best = more_telling(m, p, b, best);
		fr->letters[c] = best ? best : ' ';
	}
	fr->letters[m->cells] = '\0';
	/* Of what looks the same, one is enough. */
	if (m->nr_frames && !strcmp(fr->letters, fr[-1].letters)) {
		free(fr->letters);
		fr[-1].entry = fr->entry;
		return true;
	}
	m->nr_frames++;
	return true;
}

static bool is_map(const struct rec_entry *e)
{
	return e->type == REC_BLOCKS || e->type == REC_OWNERS;
}

/* After this entry the map may look different. */
static bool ends_sample(const struct recording *rec, size_t i)
{
	return is_map(&rec->entry[i]) &&
	       (i + 1 == rec->nr || !is_map(&rec->entry[i + 1]) ||
		rec->entry[i + 1].at != rec->entry[i].at);
}

bool report_map_make(struct report_map *m, const struct recording *rec, bool owners)
{
	size_t samples = 0, seen = 0, skip;
	struct playhead p;
	bool good = true;

	memset(m, 0, sizeof(*m));
	m->owners = owners;
	playhead_init(&p, rec);
	for (size_t i = 0; i < rec->nr; i++)
		samples += ends_sample(rec, i);
	skip = samples / MAX_FRAMES + 1;
	for (size_t i = 0; i < rec->nr && good; i++) {
		playhead_go_to(&p, i + 1);
		if (!ends_sample(rec, i))
			continue;
		seen++;
		if (owners && !p.owner)
			continue;
		if (!m->frame) {
			m->per_cell = (p.blocks + MAX_CELLS - 1) / MAX_CELLS;
			m->cells = (size_t)((p.blocks + m->per_cell - 1) / m->per_cell);
			m->columns = m->cells < COLUMNS ? m->cells : COLUMNS;
			m->frame = calloc(samples / skip + 3, sizeof(*m->frame));
			good = m->frame;
		}
		if (good && (seen % skip == 1 || skip == 1 || seen == samples))
			good = add_frame(m, &p, rec->entry[i].at);
	}
	playhead_free(&p);
	if (!good)
		report_map_free(m);
	return good;
}

void report_map_free(struct report_map *m)
{
	for (size_t i = 0; i < m->nr_frames; i++)
		free(m->frame[i].letters);
	free(m->frame);
	memset(m, 0, sizeof(*m));
}

const struct report_frame *report_map_at(const struct report_map *m, size_t entry)
{
	const struct report_frame *best = m->frame;

	for (size_t i = 0; i < m->nr_frames && m->frame[i].entry <= entry; i++)
		best = &m->frame[i];
	return best;
}

char report_map_class(char letter)
{
	return letter == '.' ? BLOCK_FREE : letter;
}

void report_map_still(FILE *f, const struct report_map *m, const struct report_frame *fr,
		      const char *words)
{
	size_t rows = (m->cells + m->columns - 1) / m->columns;

	fprintf(f, "<svg class=\"still\" role=\"img\" viewBox=\"0 0 %zu %zu\" aria-label=\"",
		m->columns, rows);
	text_write_markup(f, words);
	fputs("\">", f);
	/* A path for each state: runs of cells in a row. */
	for (const char *l = m->owners ? OWNER_SHOWN : STATE_LETTERS; *l; l++) {
		bool any = false;

		for (size_t i = 0, run; i < m->cells; i += run) {
			run = 1;
			if (fr->letters[i] != *l)
				continue;
			while (i + run < m->cells && (i + run) % m->columns &&
			       fr->letters[i + run] == *l)
				run++;
			if (!any)
				fprintf(f, "<path class=\"s-%c\" d=\"", report_map_class(*l));
			any = true;
			fprintf(f, "M%zu %zuh%zuv1h-%zuz", i % m->columns, i / m->columns, run,
				run);
		}
		if (any)
			fputs("\"/>", f);
	}
	fputs("</svg>\n", f);
}

/* Cells as blocks, to write what changed of them as a recording does. */
static void cells_of(const struct report_map *m, const char *letters, struct rec_block *b)
{
	for (size_t i = 0; i < m->cells; i++)
		b[i].letter = letters[i] == ' ' ? 0 : report_map_class(letters[i]);
}

/* The step that a time is in, as a number in its run; 0: before any. */
static unsigned int step_at(const struct recording *rec, size_t entry)
{
	unsigned int step = 0;

	for (size_t i = 0; i < entry && i < rec->nr; i++) {
		const struct event *ev = rec->entry[i].event;

		if (rec->entry[i].type != REC_EVENT)
			continue;
		if (ev->type == EVENT_STEP)
			step = ev->number;
		if (ev->type == EVENT_START)
			step = 0;
	}
	return step;
}

void report_map_data(FILE *f, const struct report_map *m, const struct recording *rec,
		     const char *id)
{
	static struct rec_block was[MAX_CELLS], now[MAX_CELLS];

	memset(was, 0, sizeof(was));
	fprintf(f, "<script type=\"application/json\" id=\"%s\">{\"cells\":%zu,\"columns\":%zu,"
		"\"frames\":[", id, m->cells, m->columns);
	for (size_t i = 0; i < m->nr_frames; i++) {
		cells_of(m, m->frame[i].letters, now);
		fprintf(f, "%s\n[%" PRIu64 ",%u,\"", i ? "," : "", m->frame[i].at / 1000000,
			step_at(rec, m->frame[i].entry));
		rec_blocks_print(f, was, now, m->cells);
		fputs("\"]", f);
		memcpy(was, now, sizeof(was));
	}
	fputs("]}</script>\n", f);
}
