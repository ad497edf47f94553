// SPDX-License-Identifier: GPL-2.0-only
/* A view of text: see text_page.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ui/text_page.h"

void page_para(struct text_page *p, int indent, int paint, const char *fmt, ...)
{
	struct rect r = { p->r.y, p->r.x + indent, p->r.h, p->r.w - indent };
	int skip = 0, at = p->line - p->top;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	if (at < 0)
		skip = -at;
	else
		r.y += at;
	r.h -= at > 0 ? at : 0;
	if (r.h < 0)
		r.h = 0;
	p->line += screen_wrap(r, skip, paint, text);
	free(text);
}

void page_draw(struct ui *ui, struct rect r, struct list *l,
	       void (*put)(struct ui *ui, struct text_page *p))
{
	struct text_page p = { .r = { r.y, r.x + 1, 0, r.w - 2 } };

	put(ui, &p);
	text_fit(l, p.line, r.h - 1);
	p = (struct text_page){ .r = { r.y, r.x + 1, r.h - 1, r.w - 2 }, .top = (int)l->top };
	put(ui, &p);
	if (l->top + l->rows < l->count)
		screen_text(r.y + r.h - 1, r.x + 1, r.w - 1, PAINT_DIM, "-- more: Down, PgDn --");
	else if (l->top)
		screen_text(r.y + r.h - 1, r.x + 1, r.w - 1, PAINT_DIM, "-- the end: Up, PgUp --");
}
