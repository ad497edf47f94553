// SPDX-License-Identifier: GPL-2.0-only
/* Leading through a lesson: see tutor.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/ui.h"
#include "ui/view.h"

/* The stops of this run end before this one. */
static size_t stops_end(const struct ui *ui)
{
	return lesson_first_stop(ui->lesson->l, ui->lesson->run + 1);
}

void tutor_begin(struct ui *ui)
{
	uint64_t n;

	ui->tutor = (struct tutor){ .at = TUTOR_BEFORE, .stop = SIZE_MAX, .wanted = SIZE_MAX };
	ui->tutor.was = facts_map(ui->model.st, &n);
	ui->lesson->shown = true;
	ui->view = VIEW_LESSON;
}

void tutor_end(struct ui *ui)
{
	free(ui->tutor.was);
	ui->tutor.was = NULL;
}

/* ---- At a stop -------------------------------------------------------------------------- */

static void show_counter(struct ui *ui, const char *name)
{
	ssize_t i = state_counter_find(&ui->model.now, name);

	ui_open(ui, VIEW_COUNTERS);
	if (i >= 0)
		ui->list[VIEW_COUNTERS].at = i;
}

static void arrive(struct ui *ui, size_t stop)
{
	const struct lesson_stop *s = &ui->lesson->l->stop[stop];
	struct state_summary now;
	int64_t block;
	uint64_t n;
	char *map = facts_map(ui->model.st, &n);

	ui->tutor.at = TUTOR_STOP;
	ui->tutor.stop = stop;
	ui->tutor.wanted = SIZE_MAX;
	/* What the views show is of the next reading; the counters are needed now. */
	if (ui->model.st && !state_read_summary(ui->model.st, &now))
		ui->model.now = now;
	switch (s->show) {
	case SHOW_COUNTER:
		show_counter(ui, s->name);
		break;
	case SHOW_LATENCIES:
		ui_open(ui, VIEW_LATENCY);
		break;
	case SHOW_LOG:
		ui_open(ui, VIEW_LOG);
		break;
	default:
		block = stop_block(s, ui->model.st, ui->tutor.was, map);
		ui_open(ui, VIEW_MAP);
		ui->owners = s->show == SHOW_OWNER;
		if (block >= 0)
			ui_go_to_block(ui, (uint64_t)block);
	}
	ui->moved = true;
	free(ui->tutor.was);
	ui->tutor.was = map;
}

/* Its state, in a replay; -1: it is not there. */
static int64_t place_of(const struct ui *ui, const struct lesson_stop *s)
{
	return replay_after_step(ui->replay, 0, s->at.step);
}

static void go_to_stop(struct ui *ui, size_t stop)
{
	const struct lesson_stop *s = &ui->lesson->l->stop[stop];

	if (!ui->replay) {
		/* What changes from here on is to be seen there. */
		map_mark(&ui->model.map);
		ui->tutor.wanted = stop;
		if (ui->session->phase == SESSION_READY)
			session_start(ui->session);
		else
			session_continue(ui->session);
		ui_open(ui, VIEW_MAP);
		tutor_event(ui);
		return;
	}
	if (place_of(ui, s) < 0) {
		ui_say(ui, "the recording does not have step %u of the lesson", s->at.step);
		return;
	}
	/* What changed since the stop before is to be seen; going back, nothing is new. */
	ui_show_place(ui, place_of(ui, s), ui->tutor.at == TUTOR_STOP && stop > ui->tutor.stop);
	arrive(ui, stop);
}

static void question(struct ui *ui)
{
	const struct lesson_question *q = &ui->lesson->l->question;
	int64_t place = -1;

	/* A replay goes back to what it asks about, so that the answer is on the screen. */
	if (ui->replay && ui->tutor.at != TUTOR_QUESTION && q->at.run == ui->lesson->run &&
	    (q->ask == ASK_COUNTER || q->ask == ASK_ANY_BLOCK))
		place = replay_after_step(ui->replay, 0, q->at.step);
	if (place >= 0)
		ui_show_place(ui, place, false);
	/* Nothing is waited for any more. */
	if (!ui->replay)
		session_set_step_mode(ui->session, false);
	ui->tutor.shows_place = place >= 0;
	ui->tutor.at = TUTOR_QUESTION;
	ui_open(ui, VIEW_LESSON);
	memset(&ui->list[VIEW_LESSON], 0, sizeof(ui->list[VIEW_LESSON]));
}

void tutor_next(struct ui *ui)
{
	struct tutor *t = &ui->tutor;
	size_t next = t->at == TUTOR_STOP ? t->stop + 1 :
					    lesson_first_stop(ui->lesson->l, ui->lesson->run);

	if (t->wanted != SIZE_MAX) {
		ui_say(ui, "the scenario is on its way to the next step of the lesson");
	} else if (t->at == TUTOR_QUESTION) {
		if (ui->lesson->answer == ANSWER_RIGHT) {
			ui_say(ui, "that was the lesson; q leaves");
			return;
		}
		ui->prompt = true;
		ui->answering = true;
		ui->input[0] = '\0';
	} else if (next < stops_end(ui)) {
		go_to_stop(ui, next);
	} else if (ui->lesson->run + 1 < ui->lesson->l->nr_runs) {
		ui->lesson->next_run = true;
		ui->quit = true;
	} else {
		question(ui);
	}
}

void tutor_move(struct ui *ui, int by)
{
	struct tutor *t = &ui->tutor;
	size_t first = lesson_first_stop(ui->lesson->l, ui->lesson->run);

	if (!ui->replay) {
		ui_say(ui, "it is live: it does not go back");
	} else if (by > 0) {
		if (t->at != TUTOR_QUESTION)
			tutor_next(ui);
	} else if (t->at == TUTOR_QUESTION) {
		go_to_stop(ui, stops_end(ui) - 1);
	} else if (t->at == TUTOR_BEFORE || t->stop == first) {
		t->at = TUTOR_BEFORE;
		ui_open(ui, VIEW_LESSON);
	} else {
		go_to_stop(ui, t->stop - 1);
	}
}

/* The steps between stops are not waited at. */
void tutor_event(struct ui *ui)
{
	struct tutor *t = &ui->tutor;
	struct session *s = ui->session;
	unsigned int step;

	if (ui->replay || t->wanted == SIZE_MAX)
		return;
	step = ui->lesson->l->stop[t->wanted].at.step;
	if (s->phase == SESSION_ENDED) {
		if (step == LESSON_END || step == s->step) {
			arrive(ui, t->wanted);
			return;
		}
		t->wanted = SIZE_MAX;
		question(ui);
		ui_say(ui, "the scenario ended before: %.150s", *s->reason ? s->reason : "5 says how");
	} else if (s->waiting && s->step == step + 1 && step != LESSON_END) {
		arrive(ui, t->wanted);
	} else if (s->waiting) {
		session_continue(s);
	}
}

/* ---- The answer ------------------------------------------------------------------------- */

void tutor_answer(struct ui *ui, const char *text)
{
	const struct lesson_question *q = &ui->lesson->l->question;
	char why[200], block[32];

	if (!*text && q->ask == ASK_ANY_BLOCK && ui->cursor >= 0) {
		snprintf(block, sizeof(block), "%" PRId64, ui->cursor);
		text = block;
	}
	if (!*text)
		return;
	ui->lesson->answer = answer_check(ui->lesson->facts, text, why, sizeof(why));
	switch (ui->lesson->answer) {
	case ANSWER_RIGHT:
		question(ui);
		ui_say(ui, "%s: right. q leaves", text);
		break;
	case ANSWER_WRONG:
		ui_say(ui, "%s: not right; 6 has a hint. SPACE: answer once more", text);
		break;
	case ANSWER_NONE:
		ui_say(ui, "%s", why);
		break;
	}
}

/* ---- What is on the screen -------------------------------------------------------------- */

const char *tutor_title(const struct ui *ui, char *buf, size_t size)
{
	const struct lesson *l = ui->lesson->l;
	const struct tutor *t = &ui->tutor;
	char place[40];

	if (t->wanted != SIZE_MAX) {
		snprintf(buf, size, "%s, step %u is running", l->title, ui->session->step);
	} else if (t->at == TUTOR_STOP) {
		snprintf(buf, size, "%s (%zu of %zu)",
			 place_text(&l->stop[t->stop].at, place, sizeof(place)), t->stop + 1,
			 l->nr_stops);
	} else {
		snprintf(buf, size, "%s", t->at == TUTOR_QUESTION ? "question" : l->title);
	}
	return buf;
}

const char *tutor_keys(const struct ui *ui)
{
	if (ui->tutor.wanted != SIZE_MAX)
		return "The scenario is running ...   6: the lesson   ?: help";
	switch (ui->tutor.at) {
	case TUTOR_BEFORE:
		return "SPACE: begin   1: the map   5: the scenario   ?: help   q: leave";
	case TUTOR_STOP:
		return ui->replay ? "SPACE: on   (: back   Enter: explain a block   6: the lesson" :
				    "SPACE: on   Enter: explain a block   6: the lesson";
	default:
		break;
	}
	if (ui->lesson->answer == ANSWER_RIGHT)
		return "Right. That was the lesson   q: leave";
	return ui->replay ? "SPACE: answer   1: the map   (: back to the steps   6: the question" :
			    "SPACE: answer   1: the map   6: the question";
}

const char *tutor_text(const struct ui *ui)
{
	const struct lesson *l = ui->lesson->l;

	switch (ui->tutor.at) {
	case TUTOR_BEFORE:
		return l->watch;
	case TUTOR_STOP:
		return l->stop[ui->tutor.stop].text;
	default:
		return l->question.text;
	}
}
