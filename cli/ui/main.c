// SPDX-License-Identifier: GPL-2.0-only
/* The terminal UI: its loop, its frame, and what is the same in all views. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curses.h>

#include "base/clock.h"
#include "base/number.h"
#include "ui/ui.h"
#include "ui/view.h"

#define MIN_INTERVAL 50
#define MAX_INTERVAL 10000
#define BESIDE_COLS 116		/* from this width on the scenario is beside the view */
#define PANEL_COLS 46
#define MESSAGE_MS 6000
#define MAX_BUDGET_NS 200000000
#define PANEL_ROWS 7

const struct view *const views[NR_VIEWS] = {
	[VIEW_MAP] = &view_map,		[VIEW_COUNTERS] = &view_counters,
	[VIEW_LATENCY] = &view_latency, [VIEW_LOG] = &view_log,
	[VIEW_RUN] = &view_run,		[VIEW_LESSON] = &view_lesson,
	[VIEW_BLOCK] = &view_block,	[VIEW_HELP] = &view_help,
};

static uint64_t ms_now(void)
{
	return now_ns() / 1000000;
}

/* ---- What views share --------------------------------------------------------- */

void ui_say(struct ui *ui, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ui->message, sizeof(ui->message), fmt, ap);
	va_end(ap);
	ui->message_ms = ms_now();
}

void ui_open(struct ui *ui, enum view_id view)
{
	if (view >= VIEW_BLOCK && ui->view < VIEW_BLOCK)
		ui->back = ui->view;
	/* Help on the block view comes back to it. */
	if (view == VIEW_HELP && ui->view == VIEW_BLOCK)
		ui->back = VIEW_BLOCK;
	ui->view = view;
}

void ui_first_page(struct ui *ui)
{
	/* The count is for keys that come before the list is drawn. */
	ui->list[VIEW_BLOCK] = (struct list){
		.count = (int64_t)model_block_rows(&ui->model, (uint64_t)ui->cursor),
	};
}

bool ui_go_to_block(struct ui *ui, uint64_t block)
{
	if (block >= ui->model.now.blocks) {
		ui_say(ui, "there is no block %" PRIu64 ": the last is %" PRId64, block,
		       (int64_t)ui->model.now.blocks - 1);
		return false;
	}
	ui->cursor = (int64_t)block;
	ui->moved = true;
	ui_first_page(ui);
	return true;
}

static bool move_in(int64_t *at, int64_t page, int64_t last, enum action action)
{
	switch (action) {
	case ACT_UP:
		*at -= 1;
		break;
	case ACT_DOWN:
		*at += 1;
		break;
	case ACT_PAGE_UP:
		*at -= page;
		break;
	case ACT_PAGE_DOWN:
		*at += page;
		break;
	case ACT_HOME:
		*at = 0;
		break;
	case ACT_END:
		*at = last;
		break;
	default:
		return false;
	}
	if (*at > last)
		*at = last;
	if (*at < 0)
		*at = 0;
	return true;
}

bool list_act(struct list *l, enum action action)
{
	return move_in(&l->at, l->rows > 1 ? l->rows : 1, l->count - 1, action);
}

void list_fit(struct list *l, int64_t count, int rows)
{
	l->count = count;
	l->rows = rows;
	if (l->at >= count)
		l->at = count - 1;
	if (l->at < 0)
		l->at = 0;
	if (l->top > l->at)
		l->top = l->at;
	if (l->at >= l->top + rows)
		l->top = l->at - rows + 1;
	if (l->top > count - rows)
		l->top = count - rows;
	if (l->top < 0)
		l->top = 0;
}

bool text_act(struct list *l, enum action action)
{
	return move_in(&l->top, l->rows > 1 ? l->rows - 1 : 1,
		       l->count > l->rows ? l->count - l->rows : 0, action);
}

void text_fit(struct list *l, int64_t count, int rows)
{
	l->count = count;
	l->rows = rows;
	if (l->top > count - rows)
		l->top = count - rows;
	if (l->top < 0)
		l->top = 0;
}

/* ---- The frame ------------------------------------------------------------------ */

static int draw_replay(const struct ui *ui, int x, int cols)
{
	uint64_t at, end;
	double speed;
	bool paused;

	replay_where(ui->replay, &at, &end, &speed, &paused);
	return screen_printf(0, x, cols - x, PAINT_BAR, "replay %.1f/%.1f s  x%g%s  ",
			     (double)at / 1e9, (double)end / 1e9, speed, paused ? "  PAUSED" : "");
}

static void draw_top(struct ui *ui, int cols)
{
	const struct model *m = &ui->model;
	int x;

	screen_fill(0, 0, cols, PAINT_BAR);
	x = screen_text(0, 0, cols, PAINT_BAR, " tagscope  ");
	if (ui->replay)
		x += draw_replay(ui, x, cols);
	if (!m->ok)
		x += screen_text(0, x, cols - x, PAINT_BAR, "no tag storage to look at");
	else if (!strcmp(m->now.policy, "off"))
		x += screen_printf(0, x, cols - x, PAINT_BAR, "policy off (%s)", m->now.reason);
	else
		x += screen_printf(0, x, cols - x, PAINT_BAR,
			      "policy %s  %" PRIu64 " region%s  %" PRIu64 " blocks of %" PRIu64
			      " page%s", m->now.policy, m->now.regions,
			      m->now.regions == 1 ? "" : "s", m->now.blocks, m->now.block_pages,
				   m->now.block_pages == 1 ? "" : "s");
	if (m->ok && strcmp(m->now.policy, "off") && !ui->replay)
		screen_printf(0, x, cols - x, PAINT_BAR, "  every %.*f s%s",
			      ui->interval_ms % 100 ? 2 : 1, ui->interval_ms / 1000.0,
			      ui->paused ? "  PAUSED" : "");
	x = 1;
	for (int v = 0; v < VIEW_BLOCK; v++) {
		bool here = (int)ui->view == v || (ui->view >= VIEW_BLOCK && (int)ui->back == v);

		if (v == VIEW_RUN && ui->session->phase == SESSION_NONE)
			continue;
		if (v == VIEW_LESSON && !ui->lesson)
			continue;
		x += screen_printf(1, x, cols - x, PAINT_PLAIN, "%d ", v + 1);
		x += screen_text(1, x, cols - x, here ? PAINT_TAB : PAINT_PLAIN, views[v]->name);
		if (v == VIEW_RUN && ui->nr_sessions > 1)
			x += screen_printf(1, x, cols - x, PAINT_PLAIN, " %zu/%zu",
					   (size_t)(ui->session - ui->sessions) + 1,
					   ui->nr_sessions);
		x += cols < 90 && ui->lesson ? 2 : 3;
	}
	if (ui->view == VIEW_BLOCK || ui->view == VIEW_HELP)
		screen_text(1, x, cols - x, PAINT_TAB, views[ui->view]->name);
	if (x + 20 < cols)
		screen_text(1, cols - 17, 16, PAINT_PLAIN, "? help    q quit");
}

/* A message, or the keys that matter most just now. */
static const char *bottom_line(const struct ui *ui)
{
	const struct session *s = ui->session;

	if (*ui->message)
		return ui->message;
	if (ui->lesson)
		return tutor_keys(ui);
	switch (s->phase) {
	case SESSION_READY:
		return "SPACE: begin the scenario   5: what it is about";
	case SESSION_RUNNING:
		return s->waiting ? "SPACE: take this step   s: run through   ?: help" :
				    "The step is running ...   s: wait at steps   ?: help";
	case SESSION_ENDED:
		return s + 1 < ui->sessions + ui->nr_sessions ?
			"The scenario has ended   ]: the next   5: results   R: once more" :
			"The scenario has ended   5: results   R: once more   q: leave";
	case SESSION_NONE:
		break;
	}
	if (*ui->model.error && ui->model.st)
		return ui->model.error;
	if (ui->view == VIEW_MAP)
		return "Arrows: move   + -: zoom   f: all   Enter: explain   n: next   g: go to";
	return "Up Down PgUp PgDn: move   Tab: next view   ?: help";
}

static void draw_bottom(struct ui *ui, int y, int cols)
{
	screen_fill(y, 0, cols, PAINT_BAR);
	if (ui->prompt) {
		const char *what = ui->replay ? "block, step N, result N, time S" :
						"block, pfn N, pid P ADDRESS";
		int x;

		if (ui->answering)
			what = answer_kind(ui->lesson->l);
		x = screen_printf(y, 0, cols, PAINT_BAR, " %s (%s): %s",
				  ui->answering ? "Your answer" : "Go to", what, ui->input);

		screen_cursor(y, x < cols ? x : cols - 1);
		return;
	}
	screen_text(y, 0, cols, PAINT_BAR, " ");
	screen_text(y, 1, cols - 1, PAINT_BAR, bottom_line(ui));
}

static void draw(struct ui *ui)
{
	const struct view *v = views[ui->view];
	struct rect body = { .y = 2, .x = 0 };
	int rows, cols;

	screen_size(&rows, &cols);
	screen_clear();
	if (rows < MIN_ROWS || cols < MIN_COLS) {
		screen_printf(0, 0, cols, PAINT_BOLD, "%dx%d is too small", cols, rows);
		screen_printf(1, 0, cols, PAINT_PLAIN, "tagscope needs %dx%d", MIN_COLS, MIN_ROWS);
		screen_text(2, 0, cols, PAINT_PLAIN, "q: leave");
		screen_flush(false);
		return;
	}
	body.h = rows - 3;
	body.w = cols;
	draw_top(ui, cols);
	if (ui->session->phase != SESSION_NONE && !v->whole) {
		struct rect p = body;
		bool beside = cols >= BESIDE_COLS;

		if (beside) {
			p.w = PANEL_COLS;
			p.x = cols - p.w;
			body.w -= p.w + 1;
		} else {
			p.h = rows >= 30 ? PANEL_ROWS + 2 : PANEL_ROWS;
			if (ui->lesson)
				p.h = LESSON_STOP_LINES + 1;
			p.y = body.y + body.h - p.h;
			body.h -= p.h;
		}
		panel_draw(ui, p, beside);
	}
	v->draw(ui, body);
	draw_bottom(ui, rows - 1, cols);
	screen_flush(ui->redraw);
	ui->redraw = false;
}

/* ---- A replay -------------------------------------------------------------------- */

void ui_show_place(struct ui *ui, int64_t place, bool on)
{
	size_t run = replay_run_of(ui->replay, place);

	if (place < 0) {
		ui_say(ui, "there is no such place in this recording");
		return;
	}
	if (ui->session->phase != SESSION_NONE) {
		session_rewind(ui->session);
		ui->session = &ui->sessions[run];
		session_rewind(ui->session);
	}
	/* What comes again would be there twice. */
	log_clear(&ui->log);
	if (on)
		map_mark(&ui->model.map);
	else
		model_forget(&ui->model);
	replay_go_to(ui->replay, place);
	session_start(ui->session);
	if (ui->view == VIEW_RUN && ui->session->phase == SESSION_RUNNING)
		ui_open(ui, VIEW_MAP);
}

static void replay_act(struct ui *ui, enum action action)
{
	uint64_t at, end;
	double speed;
	bool paused;

	switch (action) {
	case ACT_PAUSE:
		replay_where(ui->replay, &at, &end, &speed, &paused);
		replay_pause(ui->replay, !paused);
		break;
	case ACT_FASTER:
	case ACT_SLOWER:
		ui_say(ui, "%g times as fast", replay_set_speed(ui->replay, action == ACT_SLOWER));
		break;
	default:
		ui_show_place(ui, replay_next_step(ui->replay,
						   (size_t)(ui->session - ui->sessions),
						   action == ACT_STEP_ON ? 1 : -1), false);
		break;
	}
}

/* "step 3", "result 2", "time 1.5"; false: none of them. */
static bool go_to_place(struct ui *ui)
{
	size_t run = (size_t)(ui->session - ui->sessions);
	unsigned int number;
	double seconds;
	char rest;

	if (sscanf(ui->input, " step %u %c", &number, &rest) == 1)
		ui_show_place(ui, replay_step(ui->replay, run, number), false);
	else if (sscanf(ui->input, " result %u %c", &number, &rest) == 1)
		ui_show_place(ui, replay_result(ui->replay, run, number), false);
	else if (sscanf(ui->input, " time %lf %c", &seconds, &rest) == 1 && seconds >= 0 &&
		 seconds < 1e9)
		ui_show_place(ui, replay_time(ui->replay, (uint64_t)(seconds * 1e9)), false);
	else
		return false;
	return true;
}

/* ---- Keys ----------------------------------------------------------------------- */

static void set_interval(struct ui *ui, unsigned int ms)
{
	ui->interval_ms = ms < MIN_INTERVAL ? MIN_INTERVAL : ms > MAX_INTERVAL ? MAX_INTERVAL : ms;
	ui_say(ui, "the state is read every %.2f s", ui->interval_ms / 1000.0);
}

static void take_step(struct ui *ui)
{
	struct session *s = ui->session;

	switch (s->phase) {
	case SESSION_READY:
		session_start(s);
		ui_open(ui, s->phase == SESSION_ENDED ? VIEW_RUN : VIEW_MAP);
		break;
	case SESSION_RUNNING:
		if (!s->waiting) {
			ui_say(ui, "the step is still running");
			break;
		}
		/* What this step changes is to be told apart from what was before. */
		map_mark(&ui->model.map);
		ui->moved = false;
		session_continue(s);
		break;
	case SESSION_ENDED:
		ui_open(ui, VIEW_RUN);
		break;
	case SESSION_NONE:
		if (ui->replay)
			replay_act(ui, ACT_PAUSE);
		else
			ui_say(ui, "no scenario runs: 'tagscope run --ui NAME' does");
		break;
	}
}

static void change_run(struct ui *ui, int by)
{
	size_t at = (size_t)(ui->session - ui->sessions);

	if (ui->session->phase == SESSION_RUNNING && !ui->replay) {
		ui_say(ui, "%s still runs: q twice ends it, and all", ui->session->about->scenario);
		return;
	}
	if (by < 0 ? !at : at + 1 >= ui->nr_sessions) {
		ui_say(ui, by < 0 ? "there is no run before this" : "there is no run after this");
		return;
	}
	if (ui->session->phase == SESSION_RUNNING)
		session_rewind(ui->session);
	ui->session += by;
	map_mark(&ui->model.map);
	memset(&ui->list[VIEW_RUN], 0, sizeof(ui->list[VIEW_RUN]));
	ui_open(ui, VIEW_RUN);
}

static void quit(struct ui *ui)
{
	bool asked = ui->quit_asked || (ui->lesson && ui->tutor.at == TUTOR_QUESTION);

	if (ui->session->phase == SESSION_RUNNING && !asked && !ui->replay) {
		ui->quit_asked = true;
		ui_say(ui, "the scenario still runs: q once more ends it");
		return;
	}
	ui->quit = true;
}

static void global(struct ui *ui, enum action action)
{
	struct session *s = ui->session;
	bool had_color;
	int next;

	switch (action) {
	case ACT_QUIT:
		/* Where it does not come from a tab, as people are used to: back. */
		quit(ui);
		break;
	case ACT_HELP:
		if (ui->view == VIEW_HELP)
			ui_open(ui, ui->back);
		else
			ui_open(ui, VIEW_HELP);
		break;
	case ACT_BACK:
		if (ui->view == VIEW_HELP && ui->back == VIEW_BLOCK) {
			ui->view = VIEW_BLOCK;
			ui->back = VIEW_MAP;
		} else if (ui->view >= VIEW_BLOCK) {
			ui->view = ui->back;
		}
		break;
	case ACT_NEXT_VIEW:
		next = ui->view >= VIEW_BLOCK ? (int)ui->back : (int)ui->view + 1;
		if (next >= (ui->lesson ? (int)VIEW_BLOCK :
			     s->phase == SESSION_NONE ? (int)VIEW_RUN : (int)VIEW_LESSON))
			next = VIEW_MAP;
		ui_open(ui, (enum view_id)next);
		break;
	case ACT_MAP:
	case ACT_COUNTERS:
	case ACT_LATENCY:
	case ACT_LOG:
		ui_open(ui, (enum view_id)(VIEW_MAP + (action - ACT_MAP)));
		break;
	case ACT_RUN:
		if (s->phase == SESSION_NONE)
			ui_say(ui, "no scenario runs: 'tagscope run --ui NAME' does");
		else
			ui_open(ui, VIEW_RUN);
		break;
	case ACT_LESSON:
		if (ui->lesson)
			ui_open(ui, VIEW_LESSON);
		else
			ui_say(ui, "there is no lesson: 'tagscope lesson N' is one");
		break;
	case ACT_STEP:
		if (ui->lesson)
			tutor_next(ui);
		else
			take_step(ui);
		break;
	case ACT_STEP_MODE:
		if (s->phase == SESSION_NONE)
			break;
		session_set_step_mode(s, !s->step_mode);
		ui_say(ui, s->step_mode ? "it waits for SPACE at each step" : "it runs through");
		break;
	case ACT_START:
		if (s->phase != SESSION_ENDED) {
			ui_say(ui, s->phase == SESSION_RUNNING ? "the scenario still runs" :
							       "no scenario has ended");
			break;
		}
		session_start(s);
		ui_open(ui, s->phase == SESSION_ENDED ? VIEW_RUN : VIEW_MAP);
		break;
	case ACT_NEXT_RUN:
	case ACT_PREV_RUN:
		change_run(ui, action == ACT_NEXT_RUN ? 1 : -1);
		break;
	case ACT_STEP_BACK:
	case ACT_STEP_ON:
		ui_say(ui, "that is for a replay");
		break;
	case ACT_PAUSE:
		ui->paused = !ui->paused;
		break;
	case ACT_FASTER:
		set_interval(ui, ui->interval_ms / 2);
		break;
	case ACT_SLOWER:
		set_interval(ui, ui->interval_ms * 2);
		break;
	case ACT_THEME:
		had_color = screen_has_color();
		ui_look.theme = (ui_look.theme + 1) % NR_THEMES;
		screen_theme(ui_look.theme);
		if (had_color != screen_has_color())
			ui->letters = had_color;
		ui_say(ui, "colours: %s", theme_names[ui_look.theme]);
		break;
	case ACT_BIG:
		ui_look.big = !ui_look.big;
		break;
	case ACT_REDRAW:
		ui->redraw = true;
		break;
	default:
		break;
	}
}

/* "123", "pfn 0x456", "pid 7 0xffff0000". */
static void go_to(struct ui *ui)
{
	struct model *m = &ui->model;
	struct state_page page;
	uint64_t block, pfn, pid, addr;
	char a[40], b[40], rest;
	int err;

	if (ui->replay && go_to_place(ui))
		return;
	if (sscanf(ui->input, " pfn %39s %c", a, &rest) == 1 && parse_u64(a, false, &pfn)) {
		err = state_lookup_pfn(m->st, pfn, &page);
	} else if (sscanf(ui->input, " pid %39s %39s %c", a, b, &rest) == 2 &&
		   parse_u64(a, false, &pid) && pid <= INT32_MAX && parse_u64(b, false, &addr)) {
		err = state_lookup_addr(m->st, (pid_t)pid, addr, &page);
	} else if (sscanf(ui->input, " %39s %c", a, &rest) == 1 && parse_u64(a, false, &block)) {
		if (ui_go_to_block(ui, block) && ui->view != VIEW_BLOCK)
			ui_open(ui, VIEW_MAP);
		return;
	} else {
		ui_say(ui, "'%s': not a block number, 'pfn N' or 'pid P ADDRESS'", ui->input);
		return;
	}
	if (err) {
		ui_say(ui, "%s", state_error(m->st));
		return;
	}
	if (page.block < 0 && page.own_block < 0) {
		ui_say(ui, "page 0x%" PRIx64 " is not in a region with tag storage", page.pfn);
		return;
	}
	block = (uint64_t)(page.in_tag_storage ? page.own_block : page.block);
	if (!ui_go_to_block(ui, block))
		return;
	/* On the page itself, in the explanation of its block. */
	if (model_region(m, block)) {
		const struct state_region *r = model_region(m, block);
		uint64_t own = r->block_size / m->page_size, index = block - r->first_block;
		uint64_t tag = r->tag_base / m->page_size + index * own;
		uint64_t data = r->mem_base / m->page_size + index * own * STATE_DATA_PER_TAG;

		ui->list[VIEW_BLOCK].at = (int64_t)(page.in_tag_storage ? page.pfn - tag :
									 page.pfn - data + own);
	}
	ui_open(ui, VIEW_BLOCK);
	ui_say(ui, "page 0x%" PRIx64 " %s", page.pfn,
	       page.in_tag_storage ? "is tag storage itself" : "has its tags in this block");
}

static void type(struct ui *ui, int key)
{
	size_t len = strlen(ui->input);

	if (key == 27) {
		ui->prompt = false;
		ui->answering = false;
	} else if (key == '\r' || key == '\n' || key == KEY_ENTER) {
		ui->prompt = false;
		if (ui->answering)
			tutor_answer(ui, ui->input);
		else if (len)
			go_to(ui);
		ui->answering = false;
	} else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
		if (len)
			ui->input[len - 1] = '\0';
	} else if (key >= ' ' && key < 127 && len + 1 < sizeof(ui->input)) {
		ui->input[len] = (char)key;
		ui->input[len + 1] = '\0';
	}
}

static void on_key(struct ui *ui, int key)
{
	enum action action;

	if (key == KEY_RESIZE) {
		ui->redraw = true;
		return;
	}
	ui->message[0] = '\0';
	if (ui->prompt) {
		type(ui, key);
		return;
	}
	action = key_action(key, ui->view);
	if (action != ACT_QUIT)
		ui->quit_asked = false;
	if (ui->lesson && (action == ACT_STEP_BACK || action == ACT_STEP_ON)) {
		tutor_move(ui, action == ACT_STEP_ON ? 1 : -1);
		return;
	}
	if (ui->lesson && (action == ACT_STEP_MODE || action == ACT_START)) {
		ui_say(ui, "the lesson says where it waits: SPACE goes on");
		return;
	}
	if (ui->replay && action >= ACT_PAUSE && action <= ACT_STEP_ON) {
		replay_act(ui, action);
		return;
	}
	if (action == ACT_GO_TO) {
		if (!ui->model.now.blocks && !ui->replay) {
			ui_say(ui, "there are no blocks");
			return;
		}
		ui->prompt = true;
		ui->input[0] = '\0';
		return;
	}
	if (action == ACT_NONE) {
		ui_say(ui, "that key does nothing here (?: help)");
		return;
	}
	if (!views[ui->view]->act || !views[ui->view]->act(ui, action))
		global(ui, action);
}

/* ---- The loop --------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

static void refresh_state(struct ui *ui)
{
	/* A quarter of the time: keys and the scenario must not wait for it. */
	struct model_needs needs = { .block = -1, .budget_ns = ui->interval_ms * 250000ULL };
	const struct view *v = views[ui->view];

	if (needs.budget_ns > MAX_BUDGET_NS)
		needs.budget_ns = MAX_BUDGET_NS;
	if (v->needs)
		v->needs(ui, &needs);
	model_refresh(&ui->model, &needs);
}

/* Until the user leaves, or a signal, which is returned, ends it. */
static int loop(struct ui *ui, const sigset_t *open_mask)
{
	uint64_t due = 0;
	bool first = true;
	const char *line;

	while (!ui->quit && !stopped) {
		struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
					 { .fd = session_fd(ui->session), .events = POLLIN } };
		enum session_phase phase = ui->session->phase;
		struct timespec wait = { 0 };
		uint64_t now = ms_now();
		int key, n;

		if (now >= due) {
			if (!ui->paused)
				refresh_state(ui);
			due = ms_now() + ui->interval_ms;
		}
		if (ms_now() - ui->message_ms > MESSAGE_MS)
			ui->message[0] = '\0';
		while ((line = screen_stderr()))
			log_add(&ui->log, LOG_BAD, "%s", line);
		draw(ui);
		/* Only now it is known which part of the map is to be read. */
		if (first)
			due = 0;
		first = false;
		now = ms_now();
		if (due > now) {
			wait.tv_sec = (time_t)((due - now) / 1000);
			wait.tv_nsec = (long)((due - now) % 1000) * 1000000;
		}
		n = ppoll(fds, 2, &wait, open_mask);
		if (n < 0 && errno != EINTR)
			return SIGHUP;
		/* With POLLIN too: a terminal that is gone can be read, endlessly. */
		if (n > 0 && fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return SIGHUP;
		if (n > 0 && fds[1].revents)
			session_dispatch(ui->session);
		/* A resize comes as a key, without any input. */
		for (n = 0; !ui->quit && (key = getch()) != ERR; n++) {
			on_key(ui, key);
			/* A terminal that has gone away reads as endless. */
			if (n > 1000)
				break;
		}
		if (n)
			due = ui->paused ? due : 0;
		if (ui->session->new_step) {
			ui->model.owners_due = 0;
			if (!ui->paused)
				refresh_state(ui);
			/* If it waits, what the step before changed is to be looked at. */
			if (!ui->session->waiting)
				map_mark(&ui->model.map);
			else if (!ui->moved && map_next_changed(&ui->model.map, 0) >= 0)
				ui->cursor = map_next_changed(&ui->model.map, 0);
			ui->session->new_step = false;
			due = 0;
			if (ui->lesson)
				tutor_event(ui);
		}
		if (phase == SESSION_RUNNING && ui->session->phase == SESSION_ENDED) {
			ui->quit_asked = false;
			due = 0;
			if (ui->lesson) {
				tutor_event(ui);
			} else {
				ui->message[0] = '\0';
				ui_open(ui, VIEW_RUN);
				memset(&ui->list[VIEW_RUN], 0, sizeof(ui->list[VIEW_RUN]));
			}
		}
	}
	return stopped;
}

static void catch_signals(sigset_t *open_mask)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		sigaction(ends[i], &sa, NULL);
		sigaddset(&block, ends[i]);
	}
	/* Delivered only while the loop waits, so that none is missed. */
	sigaddset(&block, SIGWINCH);
	sigprocmask(SIG_BLOCK, &block, open_mask);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigdelset(open_mask, ends[i]);
	sigdelset(open_mask, SIGWINCH);
}

static bool open_sessions(struct ui *ui, const struct ui_options *opt)
{
	ui->nr_sessions = opt->nr_runs ? opt->nr_runs : 1;
	ui->sessions = calloc(ui->nr_sessions, sizeof(*ui->sessions));
	if (!ui->sessions)
		return false;
	for (size_t i = 0; i < ui->nr_sessions; i++)
		session_init(&ui->sessions[i], opt->nr_runs ? opt->runs[i] : NULL, true, &ui->log,
			     opt->tee);
	ui->session = ui->sessions;
	return true;
}

/* What runs is ended, and what was not begun is told. */
static void close_sessions(struct ui *ui, const char *reason)
{
	size_t left = 0;

	session_abort(ui->session, reason);
	for (size_t i = 0; i < ui->nr_sessions; i++) {
		left += ui->sessions[i].phase == SESSION_READY;
		session_leave(&ui->sessions[i]);
	}
	if (ui->replay || ui->lesson)
		return;
	if (left && ui->nr_sessions == 1)
		fprintf(stderr, "tagscope: the scenario was not begun\n");
	else if (left)
		fprintf(stderr, "tagscope: %zu of %zu scenarios were not begun\n", left,
			ui->nr_sessions);
}

static void ui_free(struct ui *ui)
{
	for (size_t i = 0; i < ui->nr_sessions && ui->sessions; i++)
		session_free(&ui->sessions[i]);
	free(ui->sessions);
	tutor_end(ui);
	model_close(&ui->model);
	log_free(&ui->log);
}

struct ui_look ui_look;

int ui_main(const struct ui_options *opt)
{
	static struct ui ui;
	struct state *st = NULL;
	sigset_t open_mask;
	char why[256];
	int sig, status = 3;

	/* It may be called once more, for the next run of a lesson. */
	memset(&ui, 0, sizeof(ui));
	ui.lesson = opt->lesson;
	ui.interval_ms = opt->interval_ms ? opt->interval_ms : 200;
	ui.fit = true;
	ui.cell = 1;
	ui.log_follows = true;
	log_init(&ui.log);
	if (!open_sessions(&ui, opt)) {
		fprintf(stderr, "tagscope: out of memory\n");
		goto out;
	}
	if (opt->replay) {
		ui.replay = opt->replay;
		replay_log(ui.replay, &ui.log);
		st = replay_state(ui.replay);
		if (!st) {
			fprintf(stderr, "tagscope: out of memory\n");
			goto out;
		}
	}
	/* A scenario says itself what it needs; without one there is nothing to show. */
	if (model_open(&ui.model, st, &ui.log) && !opt->nr_runs) {
		fprintf(stderr, "tagscope: %s\n", ui.model.error);
		goto out;
	}
	if (!opt->color)
		ui_look.theme = THEME_NONE;
	if (screen_open(ui_look.theme, why, sizeof(why))) {
		fprintf(stderr, "tagscope: the terminal UI cannot start: %s\n", why);
		goto out;
	}
	ui.letters = !screen_has_color();
	if (ui.lesson)
		tutor_begin(&ui);
	else if (opt->nr_runs)
		ui.view = VIEW_RUN;
	catch_signals(&open_mask);
	sig = loop(&ui, &open_mask);
	screen_close();
	close_sessions(&ui, sig ? "the UI was ended by a signal" : "the user left");
	status = sig ? 128 + sig : sessions_status(ui.sessions, ui.nr_sessions);
out:
	ui_free(&ui);
	return status;
}
