/* SPDX-License-Identifier: GPL-2.0-only */
/* A view of text that is longer than the window: drawn twice, to count its lines first. */
#ifndef TAGSCOPE_UI_TEXT_PAGE_H
#define TAGSCOPE_UI_TEXT_PAGE_H

#include "ui/view.h"

struct text_page {
	struct rect r;
	int line, top;
};

/* A paragraph, or several: lines of the text. */
void page_para(struct text_page *p, int indent, int paint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* All that put writes, from the line on where the list is. */
void page_draw(struct ui *ui, struct rect r, struct list *l,
	       void (*put)(struct ui *ui, struct text_page *p));

#endif
