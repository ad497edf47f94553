// SPDX-License-Identifier: GPL-2.0-only
/* The log: what happened, and when. */
#include <inttypes.h>

#include "ui/view.h"

static int paint_of(enum log_kind kind)
{
	switch (kind) {
	case LOG_STEP:
		return PAINT_BOLD;
	case LOG_GOOD:
		return PAINT_GOOD;
	case LOG_BAD:
		return PAINT_BAD;
	case LOG_STATE:
	case LOG_TRACE:
		return PAINT_DIM;
	case LOG_NOTE:
		break;
	}
	return PAINT_PLAIN;
}

static void log_draw(struct ui *ui, struct rect r)
{
	struct list *l = &ui->list[VIEW_LOG];
	int64_t count = (int64_t)log_count(&ui->log);
	int rows = r.h - 3;
	const struct log_line *line;

	if (ui->log_follows)
		l->at = count - 1;
	screen_printf(r.y, r.x, r.w, PAINT_BOLD, " seconds  event   (tracepoints %s: t)%s",
		      ui->model.trace ? "on" : "off",
		      ui->log_follows ? "" : "   (End: follow what happens)");
	list_fit(l, count, rows);
	for (int i = 0; i < rows && l->top + i < count; i++) {
		bool here = l->at == l->top + i && !ui->log_follows;
		int x;

		line = log_get(&ui->log, (size_t)(l->top + i));
		x = screen_printf(r.y + 1 + i, r.x, r.w, PAINT_DIM, "%5" PRIu64 ".%02" PRIu64 "  ",
				  line->t_ms / 1000, line->t_ms % 1000 / 10);
		screen_text(r.y + 1 + i, r.x + x, r.w - x,
			    paint_of(line->kind) | (here ? PAINT_CURSOR : 0),
			    line->text ? line->text : "");
	}
	if (!count) {
		screen_text(r.y + 1, r.x + 1, r.w - 2, PAINT_PLAIN, "Nothing has happened yet.");
		return;
	}
	/* All of the chosen one, as far as two lines go. */
	line = log_get(&ui->log, (size_t)l->at);
	screen_wrap((struct rect){ r.y + r.h - 2, r.x, 2, r.w }, 0, paint_of(line->kind),
		    line->text ? line->text : "");
}

static bool log_act(struct ui *ui, enum action action)
{
	struct list *l = &ui->list[VIEW_LOG];
	char why[800];

	if (action == ACT_TRACE && ui->replay) {
		ui_say(ui, "'tagscope record --trace' has them in the recording");
		return true;
	}
	if (action == ACT_TRACE) {
		bool on = !ui->model.trace;

		if (model_trace(&ui->model, on, why, sizeof(why)))
			ui_say(ui, "no tracepoints: %s", why);
		else
			ui_say(ui, "the kernel's tracepoints are %s", on ? "on" : "off");
		return true;
	}
	if (!list_act(l, action))
		return false;
	ui->log_follows = action == ACT_END;
	return true;
}

const struct view view_log = {
	.name = "Log",
	.draw = log_draw,
	.act = log_act,
};
