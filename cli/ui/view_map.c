// SPDX-License-Identifier: GPL-2.0-only
/* The map of tag storage: a cell for one block, or for some. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ui/ui.h"
#include "ui/view.h"

#define LABEL 9			/* "12345678 " */
#define BIG_COLS 3		/* columns from one large cell to the next */

static const char *const state_names[NR_LETTERS] = {
	"free", "data", "pinned", "cached", "isolating", "reserved", "permanent", "unusable",
};

/* The sizes of a cell: 1, 2, 3, 4, 6, 8, 12, ... blocks. */
static uint64_t larger(uint64_t cell)
{
	return cell & (cell - 1) ? cell / 3 * 4 : cell > 1 ? cell / 2 * 3 : 2;
}

static uint64_t smaller(uint64_t cell)
{
	return cell & (cell - 1) ? cell / 3 * 2 : cell > 2 ? cell / 4 * 3 : 1;
}

static uint64_t cell_that_fits(uint64_t blocks, int cells)
{
	uint64_t cell = 1;

	while (cells > 0 && (blocks + cell - 1) / cell > (uint64_t)cells)
		cell = larger(cell);
	return cell;
}

/* Where the window is, so that the cursor is in it. */
static void place(struct ui *ui, int rows, int cols)
{
	uint64_t blocks = ui->model.now.blocks, row, shown;

	ui->map_rows = rows;
	ui->map_cols = cols;
	if (ui->cursor >= (int64_t)blocks)
		ui->cursor = (int64_t)blocks - 1;
	if (ui->cursor < 0)
		ui->cursor = 0;
	if (ui->fit || !ui->cell)
		ui->cell = cell_that_fits(blocks, rows * cols);
	row = ui->cell * (uint64_t)cols;
	shown = row * (uint64_t)rows;
	ui->first -= ui->first % row;
	if ((uint64_t)ui->cursor < ui->first)
		ui->first = (uint64_t)ui->cursor / row * row;
	if ((uint64_t)ui->cursor >= ui->first + shown)
		ui->first = ((uint64_t)ui->cursor / row - (uint64_t)rows + 1) * row;
	/* No empty rows at the end if there are more before. */
	if (ui->first && ui->first + shown > blocks + row) {
		uint64_t all = (blocks + row - 1) / row;

		ui->first = all > (uint64_t)rows ? (all - (uint64_t)rows) * row : 0;
	}
}

/* A cell, as wide as cells are. */
static void put_cell(int y, int x, int paint, const char *glyph)
{
	for (int i = 0; i < (ui_look.big ? BIG_COLS - 1 : 1); i++)
		screen_text(y, x + i, 1, paint, glyph);
}

static void draw_cell(const struct ui *ui, int y, int x, const struct map_cell *cell, int flags)
{
	int state = map_cell_state(cell), paint = PAINT_DIM;
	bool all = state >= 0 && cell->count[state] == cell->blocks;
	char letter[2] = "?";
	const char *glyph = letter;

	if (cell->changed)
		flags |= PAINT_CHANGED;
	if (state < 0) {
		put_cell(y, x, PAINT_DIM | flags, screen_is_utf8() ? "·" : "?");
		return;
	}
	paint = (int)PAINT_FREE + state;
	letter[0] = STATE_LETTERS[state];
	if (state == state_letter_number(BLOCK_FREE))
		letter[0] = '.';
	if (ui->letters || letter[0] == '.') {
		if (all && ui->letters && letter[0] != '.')
			flags |= PAINT_STRONG;
	} else if (cell->blocks == 1 && state == state_letter_number(BLOCK_RESERVED)) {
		/* How full of tags. */
		uint64_t full = STATE_DATA_PER_TAG * ui->model.now.block_pages;

		glyph = screen_shade(full ? 1 + (int)(3 * cell->tagged / full) : 4);
	} else {
		glyph = screen_shade(all ? 4 : 1 + (int)(3 * cell->count[state] / cell->blocks));
	}
	put_cell(y, x, paint | flags, glyph);
}

/* ---- Owners ----------------------------------------------------------------------------- */

static const struct {
	char letter;
	int paint;
	const char *name;
} owners[] = {
	{ '.', PAINT_FREE, "free" },
	{ OWNER_ATTACKER, PAINT_PINNED, "attacker" },
	{ OWNER_VICTIM, PAINT_RESERVED, "victim" },
	{ OWNER_SCENARIO, PAINT_ISOLATING, "scenario" },
	{ OWNER_HELD, PAINT_BOLD, "held" },
	{ OWNER_OTHERS, PAINT_DATA, "others" },
	{ OWNER_CACHE, PAINT_CACHED, "cache" },
	{ 't', PAINT_PERMANENT, "tags" },
};
#define NR_OWNERS (sizeof(owners) / sizeof(owners[0]))

void owner_count(const struct model *m, uint64_t first, uint64_t n, struct owner_counts *c)
{
	memset(c, 0, sizeof(*c));
	for (uint64_t b = first; b < first + n && b < m->now.blocks; b++) {
		char shown = model_owner(m, b);

		c->blocks++;
		if (!shown)
			continue;
		c->n[strchr(OWNER_SHOWN, shown) - OWNER_SHOWN]++;
		c->shown = owner_more_telling(c->shown, shown);
	}
}

static uint64_t counted(const struct owner_counts *c, char shown)
{
	return c->n[strchr(OWNER_SHOWN, shown) - OWNER_SHOWN];
}

static int owner_paint(char shown)
{
	char small = shown == 'F' ? '.' : (char)tolower((unsigned char)shown);

	for (size_t i = 0; i < NR_OWNERS; i++)
		if (owners[i].letter == small)
			return owners[i].paint;
	return PAINT_UNUSABLE;
}

/* What is needed is a letter in any case: a capital. */
static void draw_owner(const struct ui *ui, int y, int x, uint64_t first, int flags)
{
	struct owner_counts c;
	char letter[2] = "?";
	uint64_t n;

	owner_count(&ui->model, first, ui->cell, &c);
	if (!c.shown) {
		put_cell(y, x, PAINT_DIM | flags, screen_is_utf8() ? "·" : "?");
		return;
	}
	letter[0] = c.shown;
	n = counted(&c, c.shown);
	if (isupper((unsigned char)c.shown))
		flags |= PAINT_STRONG;
	put_cell(y, x, owner_paint(c.shown) | flags,
		 ui->letters || isupper((unsigned char)c.shown) || c.shown == '.' ? letter :
		 screen_shade(n == c.blocks ? 4 : 1 + (int)(3 * n / c.blocks)));
}

static void draw_owner_legend(const struct ui *ui, int y, int x, int w)
{
	const char *gap = w < 86 ? " " : "  ";
	int end = x + w;

	for (size_t i = 0; i < NR_OWNERS && x < end; i++) {
		char letter[2] = { owners[i].letter, '\0' };

		x += screen_text(y, x, end - x, owners[i].paint,
				 ui->letters || *letter == '.' ? letter : screen_shade(4));
		x += screen_printf(y, x, end - x, PAINT_PLAIN, " %s%s", owners[i].name, gap);
	}
	x += screen_text(y, x, end - x, PAINT_PLAIN | PAINT_STRONG, "A");
	screen_text(y, x, end - x, PAINT_PLAIN, ": needed");
}

/* Who holds what the scenario needs. */
static void draw_owner_numbers(const struct ui *ui, int y, int x, int w)
{
	struct owner_counts c;
	uint64_t needed = 0, free_ones, tags, attackers;
	int end = x + w;

	owner_count(&ui->model, 0, ui->model.now.blocks, &c);
	for (const char *l = OWNER_SHOWN; isupper((unsigned char)*l); l++)
		needed += counted(&c, *l);
	attackers = counted(&c, 'A');
	tags = counted(&c, 'T');
	free_ones = counted(&c, 'F');
	x += screen_printf(y, x, end - x, PAINT_PINNED, "attacker %" PRIu64,
			   attackers + counted(&c, OWNER_ATTACKER));
	x += screen_printf(y, x, end - x, PAINT_PLAIN,
			   "  needed %" PRIu64 ": with tags %" PRIu64 ", free %" PRIu64 ", ",
			   needed, tags, free_ones);
	x += screen_printf(y, x, end - x, attackers ? PAINT_BAD : PAINT_PLAIN,
			   "attacker's %" PRIu64, attackers);
	screen_printf(y, x, end - x, PAINT_PLAIN, ", others' %" PRIu64,
		      needed - tags - free_ones - attackers);
}

static void draw_legend(struct ui *ui, int y, int x, int w)
{
	const struct state_summary *s = &ui->model.now;
	int end = x + w;

	for (int i = 0; i < NR_LETTERS && x < end; i++) {
		/* Of the other policy. */
		if (STATE_LETTERS[i] == BLOCK_CACHED && !strcmp(s->policy, "cma"))
			continue;
		if (i == state_letter_number(BLOCK_FREE))
			x += screen_text(y, x, end - x, PAINT_FREE + i, ".");
		else if (ui->letters)
			x += screen_printf(y, x, end - x, PAINT_FREE + i, "%c", STATE_LETTERS[i]);
		else
			x += screen_text(y, x, end - x, PAINT_FREE + i, screen_shade(4));
		x += screen_printf(y, x, end - x, PAINT_PLAIN, " %s  ", state_names[i]);
	}
}

static void draw_numbers(struct ui *ui, int y, int x, int w)
{
	const struct state_summary *s = &ui->model.now;
	static const struct {
		const char *text, *counter;
		int paint;
	} numbers[] = {
		{ "available", "blocks_available", PAINT_PLAIN },
		{ "  isolating", "blocks_isolating", PAINT_PLAIN },
		{ "  reserved", "blocks_reserved", PAINT_RESERVED },
		{ "  permanent", "blocks_permanent", PAINT_PLAIN },
		{ "  tagged pages", "reserved_pages", PAINT_PLAIN },
	};
	int end = x + w;
	char value[32];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		x += screen_printf(y, x, end - x, numbers[i].paint, "%s %s", numbers[i].text,
				   state_counter_named(s, numbers[i].counter, value,
						       sizeof(value)));
	if (s->reserve_busy + s->foa_sigbus && x < end)
		screen_printf(y, x, end - x, PAINT_BAD, "  busy %" PRIu64 "  SIGBUS %" PRIu64,
			      s->reserve_busy, s->foa_sigbus);
}

static void draw_zoom(struct ui *ui, int y, int x, int w)
{
	uint64_t last = ui->first + ui->cell * (uint64_t)(ui->map_rows * ui->map_cols);
	unsigned int done = map_progress(&ui->model.map, &ui->model.window,
					 ui->model.now.generation);
	char text[120], part[20] = "";

	if (done < 100)
		snprintf(part, sizeof(part), ", %u%% read", done);
	if (last > ui->model.now.blocks)
		last = ui->model.now.blocks;
	snprintf(text, sizeof(text),
		 "%s%" PRIu64 " block%s a cell, blocks %" PRIu64 " to %" PRIu64 "%s%s",
		 ui->owners ? "owners: " : "", ui->cell, ui->cell == 1 ? "" : "s", ui->first,
		 last - 1,
		 ui->fit ? " (all)" : "", part);
	screen_rule(y, x, w, text);
}

/* ---- Time --------------------------------------------------------------------------------- */

/* What the strip of time shows, the first first if there is room for one only. */
static const struct {
	const char *counter, *name;
	int paint;
} strips[] = {
	{ "blocks_reserved", "tags", PAINT_RESERVED },
	{ "foa_replayed", "replays", PAINT_WARN },
	{ "foa_sigbus", "SIGBUS", PAINT_BAD },
};

static int strip_rows(int high)
{
	return high >= 24 ? (int)(sizeof(strips) / sizeof(strips[0])) : high >= 15 ? 1 : 0;
}

/*
 * A column for each refresh, the last one is now; of a replay all of the recording, with the
 * place where it is.
 */
static void draw_strip(const struct ui *ui, struct rect r)
{
	int w = r.w - LABEL < HISTORY ? r.w - LABEL : HISTORY, here = -1, n;
	uint64_t v[HISTORY];

	for (int i = 0; i < r.h; i++) {
		ssize_t counter = state_counter_find(&ui->model.now, strips[i].counter);
		int x = r.x + LABEL;

		screen_printf(r.y + i, r.x, LABEL, PAINT_DIM, "%*.*s", LABEL - 1, LABEL - 1,
			      strips[i].name);
		if (counter < 0)
			continue;
		n = ui->replay ? replay_history(ui->replay, strips[i].counter,
						model_is_gauge(&ui->model, (size_t)counter), v, w,
						&here) :
				 (int)model_history(&ui->model, (size_t)counter, v, (size_t)w);
		x += ui->replay ? 0 : w - n;
		screen_sparkline(r.y + i, x, strips[i].paint, v, n, 0);
		if (here >= 0)
			screen_text(r.y + i, x + here, 1, PAINT_PLAIN | PAINT_CURSOR,
				    v[here] ? screen_spark(4) : "|");
	}
}

static void draw_nothing(struct ui *ui, struct rect r)
{
	const struct model *m = &ui->model;
	char text[1100];

	if (!m->ok)
		snprintf(text, sizeof(text), "There is no tag storage to look at: %s", m->error);
	else if (!strcmp(m->now.policy, "off"))
		snprintf(text, sizeof(text),
			 "Tag storage is not managed on this machine: policy is off, because: %s.%s",
			 m->now.reason, !strcmp(m->now.reason, "cmdline") ?
			 " The kernel was booted with mte_tag_storage=off." : "");
	else
		snprintf(text, sizeof(text), "This machine has no tag blocks.");
	screen_wrap((struct rect){ r.y + 1, r.x + 1, r.h - 1, r.w - 2 }, 0, PAINT_PLAIN, text);
}

static void map_draw(struct ui *ui, struct rect r)
{
	int detail = r.h >= 26 ? 6 : r.h >= 14 ? 4 : 3, strip = strip_rows(r.h);
	int high = r.h - 3 - detail - strip, y = r.y;
	int rows = ui_look.big ? (high + 1) / 2 : high;
	int cols = ui_look.big ? (r.w - LABEL) / BIG_COLS / 8 * 8 : (r.w - LABEL) / 16 * 16;
	struct map_cell cell;

	if (!ui->model.ok || !ui->model.now.blocks) {
		draw_nothing(ui, r);
		return;
	}
	place(ui, rows, cols);
	if (ui->owners && !ui->model.owner) {
		screen_printf(y++, r.x, r.w, PAINT_WARN, "Whose data it is cannot be told: %s",
			      *ui->model.owners_error ? ui->model.owners_error :
							"it is not read yet");
	} else if (ui->owners) {
		draw_owner_numbers(ui, y++, r.x, r.w);
	} else {
		draw_numbers(ui, y++, r.x, r.w);
	}
	if (ui->owners)
		draw_owner_legend(ui, y++, r.x, r.w);
	else
		draw_legend(ui, y++, r.x, r.w);
	for (int i = 0; i < rows; i++) {
		uint64_t at = ui->first + ui->cell * (uint64_t)(i * cols);
		int row = y + (ui_look.big ? 2 * i : i);

		if (at >= ui->model.now.blocks)
			continue;
		screen_printf(row, r.x, LABEL, PAINT_DIM, "%8" PRIu64, at);
		for (int k = 0; k < cols && at < ui->model.now.blocks; k++, at += ui->cell) {
			bool here = (uint64_t)ui->cursor / ui->cell == at / ui->cell;
			int x = r.x + LABEL + (ui_look.big ? BIG_COLS * k : k);

			if (ui->owners) {
				draw_owner(ui, row, x, at, here ? PAINT_CURSOR : 0);
				continue;
			}
			map_cell(&ui->model.map, at, ui->cell, &cell);
			draw_cell(ui, row, x, &cell, here ? PAINT_CURSOR : 0);
		}
	}
	y += high;
	draw_strip(ui, (struct rect){ y, r.x, strip, r.w });
	y += strip;
	draw_zoom(ui, y++, r.x, r.w);
	r.h -= y - r.y;
	r.y = y;
	block_lines(ui, r);
}

static void map_needs(const struct ui *ui, struct model_needs *needs)
{
	/* Before the first drawing the size of the window is not known. */
	needs->window.first = ui->first;
	needs->window.cell = ui->cell;
	needs->window.count = ui->cell * (uint64_t)(ui->map_rows * ui->map_cols);
	needs->block = ui->cursor;
	needs->owners = ui->owners;
	/* Of blocks that are not read nothing is known, and its numbers are of all. */
	if (ui->owners && ui->map_rows) {
		needs->window.first = 0;
		needs->window.count = ui->model.now.blocks + ui->cell;
	}
}

static void zoom(struct ui *ui, uint64_t cell)
{
	uint64_t row = ui->cell * (uint64_t)ui->map_cols;
	uint64_t line = ((uint64_t)ui->cursor - ui->first) / (row ? row : 1);

	ui->fit = false;
	ui->cell = cell;
	/* The cursor stays on its block, and in its row if it can. */
	row = cell * (uint64_t)ui->map_cols;
	ui->first = row ? (uint64_t)ui->cursor / row * row : 0;
	ui->first = ui->first > line * row ? ui->first - line * row : 0;
}

/* The same of owners: the attacker's, or one that is needed and holds no tags. */
static bool stands_out(char shown)
{
	return shown == OWNER_ATTACKER || (isupper((unsigned char)shown) && shown != 'T');
}

/* The next block, as far as is known, that is in use for tags, or stands in the way. */
static void next_block(struct ui *ui, int dir)
{
	const struct blockmap *map = &ui->model.map;
	int64_t n = (int64_t)map->blocks, at = ui->cursor;

	for (at += dir; at >= 0 && at < n; at += dir) {
		int l = map_letter(map, (uint64_t)at);

		if (ui->owners ? stands_out(model_owner(&ui->model, (uint64_t)at)) :
		    l >= 0 && STATE_LETTERS[l] != BLOCK_FREE && STATE_LETTERS[l] != BLOCK_DATA) {
			ui_go_to_block(ui, (uint64_t)at);
			return;
		}
	}
	ui_say(ui, "no block %s this is known to be %s", dir > 0 ? "after" : "before",
	       ui->owners ? "the attacker's, or needed and without tags" :
			    "anything but free or data");
}

/* The next block that changed, from the start again after the last. */
static void next_changed(struct ui *ui)
{
	int64_t at = map_next_changed(&ui->model.map, (uint64_t)ui->cursor + 1);

	if (at < 0)
		at = map_next_changed(&ui->model.map, 0);
	if (at < 0)
		ui_say(ui, "nothing is known to have changed since a step began, or m");
	else
		ui_go_to_block(ui, (uint64_t)at);
}

static bool map_act(struct ui *ui, enum action action)
{
	int64_t cell = (int64_t)ui->cell, row = cell * ui->map_cols, last;
	int64_t page = row * ui->map_rows, at = ui->cursor;

	last = (int64_t)ui->model.now.blocks - 1;
	if (last < 0)
		return false;
	switch (action) {
	case ACT_LEFT:
		at -= at % cell ? at % cell : cell;
		break;
	case ACT_RIGHT:
		at += cell - at % cell;
		if (at > last)
			at = ui->cursor;
		break;
	case ACT_UP:
		at -= at >= row ? row : 0;
		break;
	case ACT_DOWN:
		at += at + row <= last ? row : 0;
		break;
	case ACT_PAGE_UP:
		at -= page;
		break;
	case ACT_PAGE_DOWN:
		at += page;
		break;
	case ACT_HOME:
		at = 0;
		break;
	case ACT_END:
		at = last;
		break;
	case ACT_ZOOM_IN:
		if (ui->cell > 1)
			zoom(ui, smaller(ui->cell));
		else
			ui_say(ui, "each cell is one block");
		return true;
	case ACT_ZOOM_OUT:
		if (ui->cell < cell_that_fits((uint64_t)last + 1, ui->map_rows * ui->map_cols))
			zoom(ui, larger(ui->cell));
		else
			ui->fit = true;
		return true;
	case ACT_FIT:
		ui->fit = true;
		return true;
	case ACT_OPEN:
		ui_open(ui, VIEW_BLOCK);
		ui_first_page(ui);
		return true;
	case ACT_NEXT:
	case ACT_PREV:
		next_block(ui, action == ACT_NEXT ? 1 : -1);
		return true;
	case ACT_CHANGED:
		next_changed(ui);
		return true;
	case ACT_MARK:
		map_mark(&ui->model.map);
		return true;
	case ACT_LETTERS:
		ui->letters = !ui->letters;
		return true;
	case ACT_OWNERS:
		ui->owners = !ui->owners;
		return true;
	default:
		return false;
	}
	ui->moved = true;
	ui->cursor = at < 0 ? 0 : at > last ? last : at;
	return true;
}

const struct view view_map = {
	.name = "Map",
	.draw = map_draw,
	.needs = map_needs,
	.act = map_act,
};
