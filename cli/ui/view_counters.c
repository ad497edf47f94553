// SPDX-License-Identifier: GPL-2.0-only
/* The counters: now, how fast they rise, and their recent history. */
#include <inttypes.h>
#include <stdio.h>

#include "ui/view.h"

#define NAME_COLS 19
#define VALUE_COLS 12
#define RATE_COLS 9

static void draw_counter(struct ui *ui, int y, struct rect r, size_t i, bool here)
{
	const struct model *m = &ui->model;
	int x = r.x + NAME_COLS + VALUE_COLS + RATE_COLS + 1, w = r.x + r.w - x;
	bool gauge = model_is_gauge(m, i);
	uint64_t v[HISTORY], sum = 0;
	char rate[32] = "", value[32];
	size_t n;

	if (w > HISTORY)
		w = HISTORY;
	n = model_history(m, i, v, w > 0 ? (size_t)w : 0);
	/* Over the last second, or the last refresh if they are slower. */
	if (!gauge && n) {
		size_t k = 1000 / ui->interval_ms;

		k = k < 1 ? 1 : k > n ? n : k;
		for (size_t j = n - k; j < n; j++)
			sum += v[j];
		if (sum)
			snprintf(rate, sizeof(rate), "%.0f/s",
				 (double)sum * 1000 / (double)(k * ui->interval_ms));
	}
	screen_fill(y, r.x, NAME_COLS + VALUE_COLS + RATE_COLS, here ? PAINT_PLAIN | PAINT_CURSOR :
								      PAINT_PLAIN);
	screen_printf(y, r.x, r.w, here ? PAINT_PLAIN | PAINT_CURSOR : PAINT_PLAIN,
		      "%-*.*s%*s%*s", NAME_COLS, NAME_COLS, state_counter_name(&m->now, i),
		      VALUE_COLS, state_counter_value(&m->now, i, value, sizeof(value)), RATE_COLS,
		      rate);
	screen_sparkline(y, x + w - (int)n, gauge ? PAINT_RESERVED : PAINT_WARN, v, (int)n, 0);
}

static void counters_draw(struct ui *ui, struct rect r)
{
	const struct state_summary *s = &ui->model.now;
	struct list *l = &ui->list[VIEW_COUNTERS];
	int rows = r.h - 2;

	screen_printf(r.y, r.x, r.w, PAINT_BOLD,
		      "%-*s%*s%*s history, a column each %.2g s (rises)",
		      NAME_COLS, "counter", VALUE_COLS, "now", RATE_COLS, "rate",
		      ui->interval_ms / 1000.0);
	list_fit(l, (int64_t)state_counters_of(s), rows);
	for (int i = 0; i < rows && l->top + i < l->count; i++)
		draw_counter(ui, r.y + 1 + i, r, (size_t)(l->top + i), l->at == l->top + i);
	screen_printf(r.y + r.h - 1, r.x, r.w, PAINT_DIM, "%s: %s   (%" PRId64 " of %" PRId64 ")",
		      state_counter_name(s, (size_t)l->at), state_counter_text(s, (size_t)l->at),
		      l->at + 1, l->count);
}

static bool counters_act(struct ui *ui, enum action action)
{
	return list_act(&ui->list[VIEW_COUNTERS], action);
}

const struct view view_counters = {
	.name = "Counters",
	.draw = counters_draw,
	.act = counters_act,
};
