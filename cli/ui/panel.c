// SPDX-License-Identifier: GPL-2.0-only
/* The running scenario beside or below a view: what happens, and what came of it. */
#include <stdio.h>
#include <string.h>

#include "ui/ui.h"
#include "ui/view.h"

static void title(const struct session *s, char *buf, size_t size)
{
	const char *name = s->about->scenario;

	switch (s->phase) {
	case SESSION_READY:
		snprintf(buf, size, "%s: SPACE begins", name);
		break;
	case SESSION_RUNNING:
		snprintf(buf, size, "%s, step %u: %s", name, s->step,
			 s->waiting ? "SPACE takes it" : "running");
		break;
	default:
		snprintf(buf, size, "%s: %s", name, verdict_name(s->verdict));
		break;
	}
}

static const char *narration(const struct session *s)
{
	if (s->phase == SESSION_READY)
		return s->about->start->explanation;
	if (s->phase == SESSION_ENDED)
		return *s->reason ? s->reason : "All expectations held. 5 shows the results.";
	return s->narration ? s->narration : "It begins ...";
}

static void counts(const struct session *s, struct rect r, bool with_last)
{
	int x = screen_printf(r.y, r.x, r.w, PAINT_GOOD, "ok %u", s->passed);

	x += screen_printf(r.y, r.x + x, r.w - x, s->failed ? (int)PAINT_BAD : (int)PAINT_PLAIN,
			   "  not ok %u  ", s->failed);
	if (s->nr_results && with_last) {
		const struct session_result *last = &s->results[s->nr_results - 1];

		screen_text(r.y, r.x + x, r.w - x, last->ok ? PAINT_DIM : PAINT_BAD,
			    last->text ? last->text : "");
	}
}

/* The last results that fit, oldest first. */
static void last_results(const struct session *s, struct rect r)
{
	size_t from = s->nr_results;
	int used = 0, y = r.y;

	while (from) {
		const struct session_result *res = &s->results[from - 1];
		int h = screen_wrap((struct rect){ .w = r.w - 3 }, 0, 0, res->text ? res->text : "");

		if (used + h > r.h)
			break;
		used += h;
		from--;
	}
	for (; from < s->nr_results; from++) {
		const struct session_result *res = &s->results[from];
		int paint = res->ok ? PAINT_GOOD : PAINT_BAD;

		screen_text(y, r.x, 2, paint, res->ok ? "ok" : "NO");
		y += screen_wrap((struct rect){ y, r.x + 3, r.y + r.h - y, r.w - 3 }, 0,
				 res->ok ? (int)PAINT_PLAIN : paint, res->text ? res->text : "");
	}
}

void panel_draw(struct ui *ui, struct rect r, bool beside)
{
	const struct session *s = ui->session;
	char text[1000];
	int y = r.y + 1;

	if (ui->lesson) {
		screen_rule(r.y, r.x, r.w, tutor_title(ui, text, sizeof(text)));
		y += screen_wrap((struct rect){ y, r.x, r.h - 1, r.w }, 0, PAINT_PLAIN,
				 tutor_text(ui)) + 1;
		if (beside && *s->changes && y + 2 < r.y + r.h) {
			screen_rule(y++, r.x, r.w, "the step before changed");
			screen_wrap((struct rect){ y, r.x, r.y + r.h - y, r.w }, 0, PAINT_DIM,
				    s->changes);
		}
		return;
	}
	title(s, text, sizeof(text));
	screen_rule(r.y, r.x, r.w, text);
	if (!beside) {
		y += screen_wrap((struct rect){ y, r.x, r.h - 3, r.w }, 0, PAINT_PLAIN,
				 narration(s));
		if (*s->changes && y < r.y + r.h - 1) {
			snprintf(text, sizeof(text), "did: %s", s->changes);
			screen_wrap((struct rect){ y, r.x, r.y + r.h - 1 - y, r.w }, 0, PAINT_DIM,
				    text);
		}
		counts(s, (struct rect){ r.y + r.h - 1, r.x, 1, r.w }, true);
		return;
	}
	y += screen_wrap((struct rect){ y, r.x, r.h - 4, r.w }, 0, PAINT_PLAIN, narration(s)) + 1;
	if (*s->changes && y < r.y + r.h - 3) {
		screen_rule(y++, r.x, r.w, "the step before changed");
		y += screen_wrap((struct rect){ y, r.x, (r.y + r.h - y) / 2, r.w }, 0, PAINT_DIM,
				 s->changes) + 1;
	}
	if (y < r.y + r.h - 3) {
		screen_rule(y++, r.x, r.w, "results");
		counts(s, (struct rect){ y, r.x, 1, r.w }, false);
		y++;
		last_results(s, (struct rect){ y, r.x, r.y + r.h - y, r.w });
	}
}
