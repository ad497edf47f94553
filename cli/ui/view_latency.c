// SPDX-License-Identifier: GPL-2.0-only
/* How long reservations and replays of faults took: the kernel's histograms. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ui/view.h"

static const char *const titles[2] = {
	[STATE_RESERVE_LATENCY] = "reservations",
	[STATE_REPLAY_LATENCY] = "faults on pages without tag storage",
};

/* Lines are counted through both histograms. */
static const struct state_latency *line(const struct model *m, size_t i, int *which)
{
	for (*which = 0; *which < 2; (*which)++) {
		if (i < m->nr_latency[*which])
			return &m->latency[*which][i];
		i -= m->nr_latency[*which];
	}
	return NULL;
}

static void draw_line(int y, struct rect r, const struct state_latency *lat, int which, bool here)
{
	int paint = here ? PAINT_PLAIN | PAINT_CURSOR : PAINT_PLAIN, x;
	char mean[24], max[24];

	screen_fill(y, r.x, r.w < 46 ? r.w : 46, paint);
	x = screen_printf(y, r.x, r.w, paint, "%-2s%-8s%-9s%8" PRIu64 "%9s%9s ",
			  which == STATE_RESERVE_LATENCY ? "R" : "F", lat->cause, lat->outcome,
			  lat->count,
			  format_ns(lat->total_ns / (lat->count + !lat->count), mean, sizeof(mean)),
			  format_ns(lat->max_ns, max, sizeof(max)));
	if (r.w - x >= STATE_BUCKETS)
		screen_sparkline(y, r.x + x, which ? PAINT_WARN : PAINT_RESERVED,
				 lat->bucket, STATE_BUCKETS, 0);
}

/* The chosen line as a large diagram. */
static void draw_large(struct rect r, const struct state_latency *lat, int which)
{
	int width = r.w / STATE_BUCKETS > 3 ? 3 : r.w / STATE_BUCKETS, bars = r.h - 2;
	uint64_t max = 0;
	char title[120], label[40];

	snprintf(title, sizeof(title), "%s: %s, %s", titles[which], lat->cause, lat->outcome);
	screen_rule(r.y, r.x, r.w, title);
	for (int b = 0; b < STATE_BUCKETS; b++)
		if (lat->bucket[b] > max)
			max = lat->bucket[b];
	for (int b = 0; b < STATE_BUCKETS && max && bars > 0; b++) {
		int eighths = (int)(8.0 * bars * (double)lat->bucket[b] / (double)max + 0.5);

		if (lat->bucket[b] && !eighths)
			eighths = 1;
		for (int i = 0; i < bars; i++)
			for (int k = 0; k < width - (width > 1); k++)
				screen_text(r.y + bars - i, r.x + b * width + k, 1, PAINT_RESERVED,
					    screen_spark(eighths - 8 * i));
	}
	/* A bar's left edge is the least that is counted in it. */
	for (int b = 0; b < STATE_BUCKETS && max; b += width > 2 ? 3 : width > 1 ? 4 : 8)
		screen_printf(r.y + r.h - 1, r.x + b * width, 8 * width, PAINT_DIM, "%s",
			      b ? format_ns(1ULL << (b + 3), label, sizeof(label)) : "0");
	screen_printf(r.y + 1, r.x + r.w - 22, 22, PAINT_DIM, "%22s", "");
	if (!max) {
		screen_text(r.y + 1, r.x, r.w, PAINT_PLAIN, "These are counted, and not timed.");
		return;
	}
	snprintf(label, sizeof(label), "highest: %" PRIu64, max);
	screen_printf(r.y + 1, r.x + r.w - (int)strlen(label), (int)strlen(label), PAINT_DIM, "%s",
		      label);
}

static void draw_replays(const struct model *m, int y, struct rect r)
{
	int x = screen_text(y, r.x, r.w, PAINT_BOLD, "faults by replays:");
	uint64_t all = 0;

	for (size_t i = 0; i < m->nr_replays; i++)
		all += m->replays[i].count;
	if (!all) {
		screen_text(y, r.x + x, r.w - x, PAINT_PLAIN, "  none yet");
		return;
	}
	for (size_t i = 0; i < m->nr_replays && x < r.w; i++)
		x += screen_printf(y, r.x + x, r.w - x, PAINT_PLAIN, "  %" PRIu64 "%s: %" PRIu64,
				   m->replays[i].replays, i + 1 == m->nr_replays ? "+" : "",
				   m->replays[i].count);
}

static void latency_draw(struct ui *ui, struct rect r)
{
	const struct model *m = &ui->model;
	struct list *l = &ui->list[VIEW_LATENCY];
	int large = r.h >= 22 ? 12 : r.h >= 15 ? 8 : r.h >= 11 ? 5 : 0;
	int rows = r.h - 2 - large, which;
	const struct state_latency *lat;

	screen_printf(r.y, r.x, r.w, PAINT_BOLD, "%-10s%-9s%8s%9s%9s %s", "  cause",
		      "outcome", "count", "mean", "max", "16 ns          us      ms      s");
	list_fit(l, (int64_t)(m->nr_latency[0] + m->nr_latency[1]), rows);
	for (int i = 0; i < rows && l->top + i < l->count; i++) {
		lat = line(m, (size_t)(l->top + i), &which);
		if (lat)
			draw_line(r.y + 1 + i, r, lat, which, l->at == l->top + i);
	}
	if (!l->count)
		screen_wrap((struct rect){ r.y + 2, r.x + 1, 4, r.w - 2 }, 0, PAINT_PLAIN,
			    "Nothing was reserved and no fault was replayed since the start, or the last reset (Z).");
	draw_replays(m, r.y + 1 + rows, r);
	lat = line(m, (size_t)l->at, &which);
	if (lat && large)
		draw_large((struct rect){ r.y + r.h - large, r.x, large, r.w }, lat, which);
}

static void latency_needs(const struct ui *ui, struct model_needs *needs)
{
	(void)ui;
	needs->latencies = true;
}

static bool latency_act(struct ui *ui, enum action action)
{
	if (action == ACT_RESET) {
		if (state_reset_histograms(ui->model.st))
			ui_say(ui, "%s", state_error(ui->model.st));
		else
			ui_say(ui, "the histograms start from zero");
		return true;
	}
	return list_act(&ui->list[VIEW_LATENCY], action);
}

const struct view view_latency = {
	.name = "Latency",
	.draw = latency_draw,
	.needs = latency_needs,
	.act = latency_act,
};
