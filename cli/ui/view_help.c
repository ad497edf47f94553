// SPDX-License-Identifier: GPL-2.0-only
/* Every key there is, from the table of keys. */
#include <stdio.h>

#include "ui/view.h"

#define KEYS_COLS 17

struct help {
	struct rect r;
	int line, top;
};

static void put_line(struct help *h, int paint, const char *keys, const char *text)
{
	int y = h->r.y + h->line - h->top;

	if (h->line >= h->top && y < h->r.y + h->r.h) {
		screen_printf(y, h->r.x, KEYS_COLS, PAINT_BOLD, "%15s", keys);
		screen_text(y, h->r.x + KEYS_COLS, h->r.w - KEYS_COLS, paint, text);
	}
	h->line++;
}

static void put_text(struct help *h, const char *text)
{
	int y = h->r.y + h->line - h->top;
	struct rect r = { y, h->r.x + 2, h->r.y + h->r.h - y, h->r.w - 4 };

	if (h->line < h->top || r.h < 0)
		r.h = 0;
	h->line += screen_wrap(r, 0, PAINT_PLAIN, text);
}

static void put_section(struct help *h, const char *title, unsigned int mask, bool exact)
{
	put_line(h, PAINT_BOLD, "", title);
	for (size_t i = 0; i < nr_bindings; i++) {
		const struct binding *b = &bindings[i];

		if (exact ? b->views == mask : (b->views & mask) != 0)
			put_line(h, PAINT_PLAIN, b->name, b->help);
	}
	put_line(h, PAINT_PLAIN, "", "");
}

/* The masks that occur are few; each is a section with the names of its views. */
static void put_all(struct help *h)
{
	char title[160];

	put_section(h, "EVERYWHERE", 0, true);
	for (size_t i = 0; i < nr_bindings; i++) {
		unsigned int mask = bindings[i].views;
		size_t len = 0, j;

		for (j = 0; j < i && bindings[j].views != mask; j++)
			;
		if (!mask || j < i)
			continue;
		for (int v = 0; v < NR_VIEWS && len < sizeof(title); v++)
			if (mask & 1u << v)
				len += (size_t)snprintf(title + len, sizeof(title) - len, "%s%s",
							len ? ", " : "IN: ", views[v]->name);
		put_section(h, title, mask, true);
	}
	put_line(h, PAINT_BOLD, "", "THE MAP");
	put_text(h, "A cell is one block or some. It shows the state of these that matters most:");
	put_text(h, "isolating, pinned, reserved, permanent, cached, data, free, unusable.");
	put_text(h, "Shades: how many of its blocks are in that state; of a single reserved");
	put_text(h, "block, how many of its pages are tagged. Letters: bold if all are.");
	put_text(h, "Underlined: something in it changed its state since the last step began.");
	put_text(h, "n% read: so much of what is shown is as new as the newest change.");
}

static void help_draw(struct ui *ui, struct rect r)
{
	struct list *l = &ui->list[VIEW_HELP];
	struct help h = { .r = { r.y, r.x, 0, r.w } };
	bool more;

	put_all(&h);
	text_fit(l, h.line, r.h - 1);
	more = l->top + r.h - 1 < l->count;
	h = (struct help){ .r = { r.y, r.x, r.h - 1, r.w }, .top = (int)l->top };
	put_all(&h);
	screen_text(r.y + r.h - 1, r.x + KEYS_COLS, r.w - KEYS_COLS, PAINT_DIM,
		    more ? "-- more: Down, PgDn --" : l->top ? "-- the end: Up, PgUp --" : "");
}

static bool help_act(struct ui *ui, enum action action)
{
	return text_act(&ui->list[VIEW_HELP], action);
}

const struct view view_help = {
	.name = "Help",
	.whole = true,
	.draw = help_draw,
	.act = help_act,
};
