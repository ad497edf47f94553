// SPDX-License-Identifier: GPL-2.0-only
/* The scenario: before it begins what it is, then its results, at the end the verdict. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "output/format.h"
#include "ui/text_page.h"

static void what_it_is(const struct session *s, struct text_page *p)
{
	const struct event_start *about = s->about->start;

	page_para(p, 0, PAINT_BOLD, "%s: %s", s->about->scenario, about->summary);
	page_para(p, 0, PAINT_PLAIN, " ");
	page_para(p, 0, PAINT_PLAIN, "%s", about->explanation);
	page_para(p, 0, PAINT_PLAIN, " ");
	if (about->nr_params)
		page_para(p, 0, PAINT_BOLD, "Parameters");
	for (size_t i = 0; i < about->nr_params; i++)
		page_para(p, 2, PAINT_PLAIN, "%s=%s  (%s)", about->params[i].name,
			  about->params[i].text, about->params[i].help);
	if (about->nr_roles)
		page_para(p, 0, PAINT_BOLD, "Who takes part");
	for (size_t i = 0; i < about->nr_roles; i++)
		page_para(p, 2, PAINT_PLAIN, "%s: %s", about->roles[i].name,
			  about->roles[i].summary);
	page_para(p, 0, PAINT_DIM, "seed %" PRIu64 ", time limit %u s", about->seed,
	     about->time_limit_s);
	page_para(p, 0, PAINT_PLAIN, " ");
}

static void results(const struct session *s, struct text_page *p, bool failed_only)
{
	unsigned int step = 0;

	for (size_t i = 0; i < s->nr_results; i++) {
		const struct session_result *r = &s->results[i];

		if (failed_only && r->ok)
			continue;
		if (!failed_only && r->step != step)
			page_para(p, 0, PAINT_DIM, "step %u", r->step);
		step = r->step;
		page_para(p, 2, r->skipped ? PAINT_WARN : r->ok ? PAINT_GOOD : PAINT_BAD, "%s %s",
		     r->skipped ? "skip  " : r->ok ? "ok    " : "NOT OK", r->text ? r->text : "");
		if (r->detail)
			page_para(p, 9, PAINT_PLAIN, "%s", r->detail);
	}
}

static void verdict(const struct session *s, struct text_page *p)
{
	static const char *const words[] = {
		[VERDICT_PASS] = "PASSED", [VERDICT_FAIL] = "FAILED",
		[VERDICT_ERROR] = "ERROR", [VERDICT_SKIP] = "SKIPPED",
	};
	int paint = s->verdict == VERDICT_PASS ? PAINT_GOOD | PAINT_STRONG :
		    s->verdict == VERDICT_SKIP ? (int)PAINT_WARN : (int)PAINT_BAD;

	page_para(p, 0, paint,
	     "%s  %s: %u of %u expectations held, %u skipped, %u steps, %.1f s", words[s->verdict],
	     s->about->scenario, s->passed, s->passed + s->failed, s->skipped, s->step,
	     (double)s->ns / 1e9);
	if (*s->reason)
		page_para(p, 2, PAINT_PLAIN, "%s", s->reason);
	page_para(p, 0, PAINT_PLAIN, " ");
}

static void measures(const struct session *s, struct text_page *p)
{
	char value[40];

	if (!s->nr_measures)
		return;
	page_para(p, 0, PAINT_BOLD, "Measures");
	for (size_t i = 0; i < s->nr_measures; i++)
		page_para(p, 2, PAINT_PLAIN, "%-28s %s %s",
		     s->measures[i].name ? s->measures[i].name : "",
		     format_value(s->measures[i].value, value, sizeof(value)),
		     s->measures[i].unit ? s->measures[i].unit : "");
	page_para(p, 0, PAINT_PLAIN, " ");
}

static void what_next(const struct ui *ui, struct text_page *p)
{
	const struct session *s = ui->session;
	bool (*next)(const struct session_source *src, unsigned int i, char *buf, size_t size) =
		s->src->ops->next;
	char text[512], *nl;

	page_para(p, 0, PAINT_BOLD, "What to try next");
	page_para(p, 2, PAINT_PLAIN,
	     "R: once more, here.  1: the map as it is now.  3: how long it took.  4: the log.");
	if (s + 1 < ui->sessions + ui->nr_sessions)
		page_para(p, 2, PAINT_PLAIN, "]: the next run, %s.", s[1].about->scenario);
	for (unsigned int i = 0; next && next(s->src, i, text, sizeof(text)); i++) {
		nl = strchr(text, '\n');
		if (nl)
			*nl = '\0';
		page_para(p, 2, PAINT_BOLD, "%s", text);
		if (nl)
			page_para(p, 6, PAINT_PLAIN, "%s", nl + 1);
	}
	page_para(p, 0, PAINT_PLAIN, " ");
}

static void put_all(struct ui *ui, struct text_page *p)
{
	const struct session *s = ui->session;

	switch (s->phase) {
	case SESSION_READY:
		if (ui->nr_sessions > 1)
			page_para(p, 0, PAINT_DIM,
			     "Run %zu of %zu; ] and [ go to the next and the one before.",
			     (size_t)(s - ui->sessions) + 1, ui->nr_sessions);
		what_it_is(s, p);
		page_para(p, 0, PAINT_BOLD, "Press SPACE to begin. %s", s->step_mode ?
		     "It waits for SPACE at each step; s lets it run through." :
		     "It runs through; s makes it wait at each step.");
		break;
	case SESSION_RUNNING:
		page_para(p, 0, PAINT_BOLD, "%u expectations held, %u did not, %u were skipped, up to step %u",
		     s->passed, s->failed, s->skipped, s->step);
		results(s, p, false);
		measures(s, p);
		what_it_is(s, p);
		break;
	case SESSION_ENDED:
		verdict(s, p);
		if (s->failed) {
			page_para(p, 0, PAINT_BOLD, "What did not hold");
			results(s, p, true);
			page_para(p, 0, PAINT_PLAIN, " ");
		}
		measures(s, p);
		what_next(ui, p);
		if (s->nr_results) {
			page_para(p, 0, PAINT_BOLD, "All results");
			results(s, p, false);
		}
		break;
	case SESSION_NONE:
		page_para(p, 0, PAINT_PLAIN, "No scenario runs. 'tagscope run --ui NAME' does.");
		break;
	}
}

static void run_draw(struct ui *ui, struct rect r)
{
	page_draw(ui, r, &ui->list[VIEW_RUN], put_all);
}

static bool run_act(struct ui *ui, enum action action)
{
	return text_act(&ui->list[VIEW_RUN], action);
}

const struct view view_run = {
	.name = "Scenario",
	.whole = true,
	.draw = run_draw,
	.act = run_act,
};
