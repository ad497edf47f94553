/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The views of the UI. Each is one file with one struct view. A view draws from the
 * model and the session, says what it needs read, and acts on what keys mean; it
 * neither reads the state nor knows a key.
 */
#ifndef TAGSCOPE_UI_VIEW_H
#define TAGSCOPE_UI_VIEW_H

#include "ui/keys.h"
#include "ui/model.h"
#include "ui/replay.h"
#include "ui/screen.h"
#include "ui/session.h"
#include "ui/tutor.h"

/* Smaller than this nothing fits. */
#define MIN_ROWS 16
#define MIN_COLS 64

enum view_id {
	VIEW_MAP,
	VIEW_COUNTERS,
	VIEW_LATENCY,
	VIEW_LOG,
	VIEW_RUN,
	VIEW_LESSON,
	VIEW_BLOCK,	/* from here on they have no tab */
	VIEW_HELP,
	NR_VIEWS,
};

/* Where a list stands. */
struct list {
	int64_t top, at, count;
	int rows;		/* that were drawn */
};

struct ui_lesson;

struct ui {
	struct model model;
	struct session *sessions;	/* one at least, if only of phase SESSION_NONE */
	size_t nr_sessions;
	struct session *session;	/* the one that is shown; no other runs */
	struct replay *replay;		/* NULL: it is live */
	struct ui_lesson *lesson;	/* NULL: none */
	struct tutor tutor;
	struct log log;
	enum view_id view, back;	/* back: where from, for views without a tab */

	/* The map: what it shows, and the block under the cursor. */
	int64_t cursor;
	bool moved;			/* by the user, since the step began */
	uint64_t cell, first;		/* blocks in a cell; the first block in the window */
	bool fit;			/* cell follows the size of the window */
	bool letters;			/* letters rather than shades */
	bool owners;			/* whose data it is, rather than states */
	int map_rows, map_cols;		/* cells in the window, as last drawn */

	struct list list[NR_VIEWS];
	bool log_follows;

	unsigned int interval_ms;
	bool paused, quit, quit_asked, redraw;
	char message[256];		/* until the next key, or for some seconds */
	uint64_t message_ms;
	bool prompt;			/* typing where to go ... */
	bool answering;			/* ... or an answer */
	char input[80];
};

struct view {
	const char *name;		/* on its tab */
	bool whole;			/* takes the whole window, without the running scenario */
	void (*draw)(struct ui *ui, struct rect r);
	/* What to read for it; NULL: nothing but the summary. */
	void (*needs)(const struct ui *ui, struct model_needs *needs);
	/* true: done; false: the action means nothing here. NULL: none does. */
	bool (*act)(struct ui *ui, enum action action);
};

extern const struct view view_map, view_counters, view_latency, view_log, view_run, view_lesson,
	view_block, view_help;
extern const struct view *const views[NR_VIEWS];

/* The running scenario beside or below a view; rows it wants at this width. */
void panel_draw(struct ui *ui, struct rect r, bool beside);

void ui_say(struct ui *ui, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ui_open(struct ui *ui, enum view_id view);
/* Put the cursor on a block; false, with a message, if there is none. */
bool ui_go_to_block(struct ui *ui, uint64_t block);
/*
 * To a place of a replay (replay.h). on: what changed since where it is now is to be told from
 * the rest, and what was before is not forgotten; so only if the place is later.
 */
void ui_show_place(struct ui *ui, int64_t place, bool on);
/* The list of a block's pages from its first one on. */
void ui_first_page(struct ui *ui);

/* Moves of lists: up, down, page up, page down, home, end. */
bool list_act(struct list *l, enum action action);
/* Before drawing count lines in rows: keep the cursor in sight. */
void list_fit(struct list *l, int64_t count, int rows);
/* The same for text without a cursor. */
bool text_act(struct list *l, enum action action);
void text_fit(struct list *l, int64_t count, int rows);

/* Shared by the map and the block view: lines about a block; returns how many. */
int block_lines(struct ui *ui, struct rect r);
/* Of blocks together, how many the map of owners shows as each letter of OWNER_SHOWN. */
struct owner_counts {
	uint64_t n[sizeof(OWNER_SHOWN) - 1];
	uint64_t blocks;
	char shown;		/* the most telling; 0: nothing is known */
};

void owner_count(const struct model *m, uint64_t first, uint64_t n, struct owner_counts *c);

/* What a page is used for, in words; in buf. */
const char *page_use(const struct page_row *row, char *buf, size_t size);

#endif
