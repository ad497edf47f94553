// SPDX-License-Identifier: GPL-2.0-only
/* One block explained: where it is, what it serves, its pages, and the tags of one. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ui/view.h"

const char *page_use(const struct page_row *row, char *buf, size_t size)
{
	const struct state_page *p = &row->page;
	bool pinned;

	if (row->err) {
		snprintf(buf, size, "%s", row->err == -ENXIO ? "no memory there" :
			 row->err == -EPROTO ? "not understood" :
			 row->err == -EOPNOTSUPP ? "not in a recording" : strerror(-row->err));
		return buf;
	}
	/* The kernel's own pages have references that nothing else explains. */
	pinned = (p->pinned && strcmp(p->kind, "kernel")) || p->dma_pinned;
	snprintf(buf, size, "%s%s%s%s%s%s", p->kind, p->tagged ? ", tagged" : "",
		 pinned ? ", pinned" : "", p->locked ? ", locked" : "",
		 p->writeback ? ", under write-back" : "", p->lru ? ", on LRU" : "");
	return buf;
}

/* What a page of a block itself is now, given the state of the block. */
static const char *own_use(const struct page_row *row, char letter, char *buf, size_t size)
{
	char use[100];

	if (!row->err && (letter == BLOCK_RESERVED || letter == BLOCK_PERMANENT)) {
		snprintf(buf, size, "holds tags");
		return buf;
	}
	page_use(row, use, sizeof(use));
	if (row->err || !strcmp(row->page.kind, "free"))
		snprintf(buf, size, "%s", use);
	else
		snprintf(buf, size, "%s (refcount %" PRId64 ", mapcount %" PRId64 ")", use,
			 row->page.refcount, row->page.mapcount);
	return buf;
}

/* Of a cell with more blocks than one: how many are in each state. */
static void cell_line(const struct ui *ui, int y, int x, int w)
{
	uint64_t first = (uint64_t)ui->cursor / ui->cell * ui->cell;
	struct map_cell cell;
	char text[300];
	size_t len;

	map_cell(&ui->model.map, first, ui->cell, &cell);
	len = (size_t)snprintf(text, sizeof(text),
			       "cell: blocks %" PRIu64 " to %" PRIu64 ":", first,
			       first + cell.blocks - 1);
	for (int i = 0; i < NR_LETTERS && len < sizeof(text); i++)
		if (cell.count[i])
			len += (size_t)snprintf(text + len, sizeof(text) - len, " %" PRIu64 " %c",
						cell.count[i], STATE_LETTERS[i]);
	if (cell.known < cell.blocks && len < sizeof(text))
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %" PRIu64 " not read yet",
					cell.blocks - cell.known);
	if (len < sizeof(text))
		snprintf(text + len, sizeof(text) - len, "; %" PRIu64 " tagged pages, %" PRIu64
			 " changed", cell.tagged, cell.changed);
	screen_text(y, x, w, PAINT_PLAIN, text);
}

/* The same by whose they are. */
static void owner_line(const struct ui *ui, int y, int x, int w)
{
	uint64_t first = (uint64_t)ui->cursor / ui->cell * ui->cell;
	struct owner_counts c;
	char text[300];
	size_t len;

	owner_count(&ui->model, first, ui->cell, &c);
	len = (size_t)snprintf(text, sizeof(text), "cell: blocks %" PRIu64 " to %" PRIu64 ":",
			       first, first + c.blocks - 1);
	for (size_t i = 0; OWNER_SHOWN[i] && len < sizeof(text); i++)
		if (c.n[i])
			len += (size_t)snprintf(text + len, sizeof(text) - len, " %" PRIu64 " %c",
						c.n[i], OWNER_SHOWN[i]);
	screen_text(y, x, w, PAINT_PLAIN, text);
}

/* "pinned: the attacker's data; needed for tags of the scenario" */
static void owner_words(const char *state, char shown, char *buf, size_t size)
{
	snprintf(buf, size, "%c %.*s: %s%s", shown, (int)strcspn(state, ":"), state,
		 owner_text(shown), shown == 'T' ? " of the scenario's memory" :
		 isupper((unsigned char)shown) ? "; needed for tags of the scenario's" : "");
}

int block_lines(struct ui *ui, struct rect r)
{
	const struct block_facts *f = &ui->model.block;
	int y = r.y, end = r.y + r.h, x, n, paint;
	uint64_t data_end;
	char use[200], shown;
	const char *text;

	if (f->number != ui->cursor || f->err) {
		screen_printf(y, r.x, r.w, PAINT_PLAIN, "block %" PRId64 "%s", ui->cursor,
			      f->err && f->number == ui->cursor ? ": cannot be read" : "");
		return 1;
	}
	data_end = f->data_base + f->data_pages * ui->model.page_size;
	text = state_letter_text(f->block.letter);
	x = r.x + screen_printf(y, r.x, r.w, PAINT_BOLD, "block %" PRId64 "  ", f->number);
	n = state_letter_number(f->block.letter);
	shown = ui->owners && ui->view == VIEW_MAP ? model_owner(&ui->model, (uint64_t)f->number) :
						      '\0';
	paint = n < 0 ? (int)PAINT_PLAIN : (int)PAINT_FREE + n;
	if (!text)
		snprintf(use, sizeof(use), "? not known");
	else if (shown && shown != '.' && shown != 'u')
		owner_words(text, shown, use, sizeof(use));
	else
		snprintf(use, sizeof(use), "%c %s", f->block.letter, text);
	x += screen_text(y, x, r.x + r.w - x, paint, use);
	if (f->block.letter == BLOCK_RESERVED || f->block.tagged)
		screen_printf(y, x, r.x + r.w - x, PAINT_PLAIN, ", of %u page%s", f->block.tagged,
			      f->block.tagged == 1 ? "" : "s");
	y++;
	if (!f->region) {
		if (y < end)
			screen_text(y++, r.x, r.w, PAINT_WARN, "no region covers it");
		return y - r.y;
	}
	if (y < end)
		screen_printf(y++, r.x, r.w, PAINT_PLAIN, "at 0x%" PRIx64 " (pfn 0x%" PRIx64
			      ", %" PRIu64 " page%s): %s", f->tag_base,
			      f->tag_base / ui->model.page_size, f->tag_pages,
			      f->tag_pages == 1 ? "" : "s",
			      own_use(&f->own, f->block.letter, use, sizeof(use)));
	if (y < end)
		screen_printf(y++, r.x, r.w, PAINT_PLAIN,
			      "for the tags of 0x%" PRIx64 " to 0x%" PRIx64 " (%" PRIu64
			      " pages of data)", f->data_base, data_end - 1, f->data_pages);
	if (y < end && ui->cell > 1 && ui->view == VIEW_MAP)
		(ui->owners ? owner_line : cell_line)(ui, y++, r.x, r.w);
	if (y < end)
		screen_printf(y++, r.x, r.w, PAINT_DIM,
			      "region %u, state changed at generation %" PRIu64 " of %" PRIu64,
			      f->region->index, f->block.generation,
			      ui->model.now.generation);
	return y - r.y;
}

/* ---- The view ---------------------------------------------------------------------- */

static void draw_row(const struct ui *ui, int y, struct rect r, const struct page_row *row,
		     bool here)
{
	const struct state_page *p = &row->page;
	int paint = here ? PAINT_PLAIN | PAINT_CURSOR : PAINT_PLAIN, x = r.x;
	char use[200];

	screen_fill(y, r.x, r.w, paint);
	if (row->is_tag_page) {
		own_use(row, ui->model.block.block.letter, use, sizeof(use));
		screen_printf(y, x, r.w, paint, "block 0x%08" PRIx64 "  %s", row->pfn, use);
		return;
	}
	page_use(row, use, sizeof(use));
	x += screen_printf(y, x, r.w, paint, " data 0x%08" PRIx64 "  ", row->pfn);
	if (row->err) {
		screen_text(y, x, r.x + r.w - x, paint, use);
		return;
	}
	x += screen_printf(y, x, r.x + r.w - x, paint,
			   "%-24s ref %-3" PRId64 " map %-3" PRId64, use,
			   p->refcount, p->mapcount);
	if (p->has_storage)
		screen_printf(y, x, r.x + r.w - x, paint, " tags 0x%" PRIx64 "+%u", p->tag_pfn,
			      p->tag_offset);
	else
		screen_text(y, x, r.x + r.w - x, paint,
			    p->in_tag_storage ? " is tag storage" : " no tags");
}

/*
 * The tags as the processor reads them, and beneath each line the bytes in tag storage
 * that hold it: two digits of raw for two tags, the first tag in the low digit.
 */
static void draw_tags(const struct ui *ui, struct rect r)
{
	const struct block_facts *f = &ui->model.block;
	const struct state_tags *t = &f->tags;
	char tags[65], raw[65];
	int y = r.y, end = r.y + r.h;
	bool own;

	if (f->tags_err || f->tags_row != (uint64_t)ui->list[VIEW_BLOCK].at) {
		screen_rule(y++, r.x, r.w, "tags");
		if (f->tags_err < 0)
			screen_printf(y, r.x, r.w, PAINT_WARN, "cannot be read: %s",
				      f->tags_err == -ENXIO ? "no memory there" :
							      strerror(-f->tags_err));
		return;
	}
	snprintf(tags, sizeof(tags), "tags of page 0x%" PRIx64 "%s", t->pfn,
		 !t->valid ? ": it has none" : !t->has_raw ? "" :
		 state_tags_agree(t) ? ": storage agrees" : ": storage DIFFERS");
	screen_rule(y++, r.x, r.w, tags);
	if (!t->valid && !t->has_raw) {
		own = t->pfn - f->tag_base / ui->model.page_size < f->tag_pages;
		screen_text(y, r.x, r.w, PAINT_PLAIN, own ?
			    "It is the block's own: it holds the tags of others, or data." :
			    "It is not tagged, and no tag storage is reserved for it.");
		return;
	}
	for (int line = 0; line < 4 && y < end; line++) {
		for (int i = 0; i < 64; i++)
			tags[i] = t->valid ? "0123456789abcdef"[t->tags[line * 64 + i] & 15] : '-';
		for (int i = 0; i < 32; i++)
			snprintf(raw + 2 * i, 3, "%02x", t->raw[line * 32 + i]);
		tags[64] = '\0';
		screen_printf(y++, r.x, r.w, PAINT_PLAIN, "+0x%03x LDG  %s", line * 1024, tags);
		if (t->has_raw && y < end)
			screen_printf(y++, r.x, r.w, PAINT_DIM, "       DRAM %s", raw);
	}
}

static int tags_rows(int h)
{
	return h >= 17 ? 9 : h >= 12 ? 5 : 0;
}

static void block_draw(struct ui *ui, struct rect r)
{
	const struct block_facts *f = &ui->model.block;
	struct list *l = &ui->list[VIEW_BLOCK];
	int used = block_lines(ui, (struct rect){ r.y, r.x, 4, r.w }), rows;
	struct rect t = r;
	char title[80];

	t.h = tags_rows(r.h);
	t.y = r.y + r.h - t.h;
	rows = r.h - used - 1 - t.h;
	list_fit(l, (int64_t)model_block_rows(&ui->model, (uint64_t)ui->cursor), rows);
	snprintf(title, sizeof(title),
		 "its pages, and those whose tags it holds: %" PRId64 " of %" PRId64,
		 l->at + 1, l->count);
	screen_rule(r.y + used, r.x, r.w, title);
	for (int i = 0; i < rows; i++) {
		uint64_t row = (uint64_t)(l->top + i);

		if (f->number == ui->cursor && row >= f->first_row && row - f->first_row < f->rows)
			draw_row(ui, r.y + used + 1 + i, r, &f->row[row - f->first_row],
				 l->at == (int64_t)row);
	}
	if (t.h)
		draw_tags(ui, t);
}

static void block_needs(const struct ui *ui, struct model_needs *needs)
{
	const struct list *l = &ui->list[VIEW_BLOCK];

	needs->block = ui->cursor;
	needs->row = (uint64_t)l->top;
	needs->rows = l->rows > 0 ? (uint64_t)l->rows : 1;
	needs->selected = (uint64_t)l->at;
	needs->want_tags = true;
}

static bool block_act(struct ui *ui, enum action action)
{
	if (action == ACT_LEFT || action == ACT_RIGHT) {
		int64_t to = ui->cursor + (action == ACT_LEFT ? -1 : 1);

		if (to >= 0 && to < (int64_t)ui->model.now.blocks)
			ui_go_to_block(ui, (uint64_t)to);
		return true;
	}
	if (action == ACT_NEXT || action == ACT_PREV || action == ACT_CHANGED)
		return view_map.act(ui, action);
	return list_act(&ui->list[VIEW_BLOCK], action);
}

const struct view view_block = {
	.name = "Block",
	.whole = true,
	.draw = block_draw,
	.needs = block_needs,
	.act = block_act,
};
