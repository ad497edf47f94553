// SPDX-License-Identifier: GPL-2.0-only
/* The lesson: what it says until where it is. */
#include <stdio.h>

#include "ui/text_page.h"
#include "ui/ui.h"

static void put_stop(struct ui *ui, struct text_page *p)
{
	const struct lesson *l = ui->lesson->l;
	char title[120];

	page_para(p, 0, PAINT_BOLD, "%s", tutor_title(ui, title, sizeof(title)));
	page_para(p, 0, PAINT_PLAIN, "%s", l->stop[ui->tutor.stop].text);
	page_para(p, 0, PAINT_PLAIN, " ");
	if (ui->session->narration && ui->session->phase == SESSION_RUNNING)
		page_para(p, 0, PAINT_DIM, "Next, step %u of the scenario: %s", ui->session->step,
			  ui->session->narration);
}

static void put_question(const struct ui *ui, struct text_page *p)
{
	const struct ui_lesson *lesson = ui->lesson;
	const struct lesson_question *q = &lesson->l->question;

	page_para(p, 0, PAINT_BOLD, "Question");
	page_para(p, 0, PAINT_PLAIN, "%s", q->text);
	for (size_t i = 0; i < q->nr_options; i++)
		page_para(p, 2, PAINT_PLAIN, "%zu  %s", i + 1, q->option[i].text);
	page_para(p, 0, PAINT_PLAIN, " ");
	if (lesson->answer == ANSWER_RIGHT) {
		page_para(p, 0, PAINT_GOOD, "Right.");
		page_para(p, 0, PAINT_PLAIN, "%s", lesson->l->right);
		page_para(p, 0, PAINT_PLAIN, " ");
		page_para(p, 0, PAINT_BOLD, "Read next");
		page_para(p, 0, PAINT_PLAIN, "%s", lesson->l->next);
		return;
	}
	if (lesson->answer == ANSWER_WRONG)
		page_para(p, 0, PAINT_WARN, "Not right yet. %s", q->hint);
	page_para(p, 0, PAINT_PLAIN, "The answer is on the screen: look at all views that you need, then press "
		  "SPACE and type %s%s.", answer_kind(lesson->l),
		  q->ask == ASK_ANY_BLOCK ? ", or only Enter for the block under the cursor" : "");
	page_para(p, 0, PAINT_PLAIN, " ");
	if (ui->tutor.shows_place && q->at.step != LESSON_END)
		page_para(p, 0, PAINT_DIM, "The map and the counters are those after step %u.",
			  q->at.step);
	else if (!ui->replay)
		page_para(p, 0, PAINT_DIM, "The machine has gone on since. 'tagscope lesson "
			  "--recording %u' shows such a run once more, and goes back.",
			  lesson->l->number);
}

static void put_lesson(struct ui *ui, struct text_page *p)
{
	const struct ui_lesson *lesson = ui->lesson;
	const struct lesson *l = lesson->l;

	if (ui->tutor.at == TUTOR_QUESTION) {
		put_question(ui, p);
		return;
	}
	if (ui->tutor.at == TUTOR_STOP) {
		put_stop(ui, p);
		return;
	}
	page_para(p, 0, PAINT_BOLD, "Lesson %u: %s (about %u minutes)", l->number, l->title,
		  l->minutes);
	if (l->nr_runs > 1)
		page_para(p, 0, PAINT_BOLD, "Run %zu of %zu: %s", lesson->run + 1, l->nr_runs,
			  l->run[lesson->run].command);
	if (!lesson->run) {
		page_para(p, 0, PAINT_PLAIN, " ");
		page_para(p, 0, PAINT_BOLD, "What you know");
		page_para(p, 0, PAINT_PLAIN, "%s", l->know);
		page_para(p, 0, PAINT_PLAIN, " ");
		page_para(p, 0, PAINT_BOLD, "What to watch");
		page_para(p, 0, PAINT_PLAIN, "%s", l->watch);
	}
	page_para(p, 0, PAINT_PLAIN, " ");
	if (lesson->from)
		page_para(p, 0, PAINT_DIM, "From its recording: %s", lesson->from);
	else
		page_para(p, 0, PAINT_DIM, "Live: the scenario runs on this machine.");
	page_para(p, 0, PAINT_BOLD, "Press SPACE to begin.");
}

static void lesson_draw(struct ui *ui, struct rect r)
{
	page_draw(ui, r, &ui->list[VIEW_LESSON], put_lesson);
}

static bool lesson_act(struct ui *ui, enum action action)
{
	return text_act(&ui->list[VIEW_LESSON], action);
}

const struct view view_lesson = {
	.name = "Lesson",
	.whole = true,
	.draw = lesson_draw,
	.act = lesson_act,
};
