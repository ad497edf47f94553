// SPDX-License-Identifier: GPL-2.0-only
/* A run in the UI: see session.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "output/format.h"
#include "ui/session.h"

void session_init(struct session *s, struct session_source *src, bool step_mode, struct log *log,
		  struct session_tee tee)
{
	memset(s, 0, sizeof(*s));
	s->src = src;
	s->about = src ? src->ops->about(src) : NULL;
	s->log = log;
	s->phase = src ? SESSION_READY : SESSION_NONE;
	s->step_mode = step_mode;
	s->tee = tee;
	s->verdict = VERDICT_ERROR;
}

static void forget(struct session *s)
{
	for (size_t i = 0; i < s->nr_results; i++) {
		free(s->results[i].text);
		free(s->results[i].detail);
	}
	for (size_t i = 0; i < s->nr_measures; i++) {
		free(s->measures[i].name);
		free(s->measures[i].unit);
	}
	free(s->results);
	free(s->measures);
	free(s->narration);
	s->results = NULL;
	s->measures = NULL;
	s->narration = NULL;
	s->nr_results = 0;
	s->nr_measures = 0;
	s->step = 0;
	s->passed = 0;
	s->failed = 0;
	s->skipped = 0;
	s->changes[0] = '\0';
	s->have_last = false;
	s->waiting = false;
}

void session_free(struct session *s)
{
	forget(s);
}

/* "role: text", or the text. */
static char *said(const struct event *ev)
{
	char *text;

	if (asprintf(&text, "%s%s%s", ev->role ? ev->role : "", ev->role && *ev->role ? ": " : "",
		     ev->text ? ev->text : "") < 0)
		return NULL;
	return text;
}

static void on_result(struct session *s, const struct event *ev)
{
	struct session_result *r = realloc(s->results, (s->nr_results + 1) * sizeof(*r));

	*(ev->skipped ? &s->skipped : ev->ok ? &s->passed : &s->failed) += 1;
	log_add(s->log, ev->skipped ? LOG_NOTE : ev->ok ? LOG_GOOD : LOG_BAD, "%s %s%s%s%s%s",
		ev->skipped ? "skip" : ev->ok ? "ok" : "NOT OK",
		ev->role ? ev->role : "", ev->role && *ev->role ? ": " : "", ev->text,
		ev->detail ? ": " : "", ev->detail ? ev->detail : "");
	if (!r)
		return;
	s->results = r;
	r += s->nr_results++;
	r->step = s->step;
	r->ok = ev->ok;
	r->skipped = ev->skipped;
	r->text = said(ev);
	r->detail = ev->detail ? strdup(ev->detail) : NULL;
}

static void on_measure(struct session *s, const struct event *ev)
{
	struct session_measure *m = realloc(s->measures, (s->nr_measures + 1) * sizeof(*m));
	char value[40];

	log_add(s->log, LOG_NOTE, "%s%s%s = %s %s", ev->role, *ev->role ? "." : "", ev->text,
		format_value(ev->value, value, sizeof(value)),
		strcmp(ev->unit, "1") ? ev->unit : "");
	if (!m)
		return;
	s->measures = m;
	m += s->nr_measures++;
	if (asprintf(&m->name, "%s%s%s", ev->role, *ev->role ? "." : "", ev->text) < 0)
		m->name = NULL;
	m->unit = strdup(strcmp(ev->unit, "1") ? ev->unit : "");
	m->value = ev->value;
}

static void note_changes(struct session *s, const struct event *ev)
{
	if (!ev->state)
		return;
	s->changes[0] = '\0';
	if (s->have_last)
		state_changes(&s->last, ev->state, s->changes, sizeof(s->changes));
	s->last = *ev->state;
	s->have_last = true;
}

static void on_event(void *ctx, const struct event *ev)
{
	struct session *s = ctx;
	char *text;

	if (s->tee.fn && !s->told)
		s->tee.fn(s->tee.ctx, ev);
	switch (ev->type) {
	case EVENT_START:
		log_add(s->log, LOG_STEP, "%s: %s (seed %" PRIu64 ")", ev->scenario,
			ev->start->summary, ev->start->seed);
		break;
	case EVENT_STEP:
		note_changes(s, ev);
		free(s->narration);
		s->narration = strdup(ev->text);
		s->step = ev->number;
		s->waiting = ev->waiting;
		s->new_step = true;
		log_add(s->log, LOG_STEP, "step %u: %s", ev->number, ev->text);
		break;
	case EVENT_RESULT:
		on_result(s, ev);
		break;
	case EVENT_MEASURE:
		on_measure(s, ev);
		break;
	case EVENT_NOTE:
	case EVENT_OUTPUT:
		text = said(ev);
		log_add(s->log, LOG_NOTE, "%s%s", ev->type == EVENT_OUTPUT ? "output: " : "",
			text ? text : "");
		free(text);
		break;
	case EVENT_PLAN:
	case EVENT_EXIT:
		break;
	case EVENT_END:
		note_changes(s, ev);
		s->phase = SESSION_ENDED;
		s->told = true;
		s->waiting = false;
		s->verdict = ev->end->verdict;
		s->ns = ev->end->ns;
		snprintf(s->reason, sizeof(s->reason), "%s", ev->end->reason);
		log_add(s->log, s->verdict == VERDICT_PASS ? LOG_GOOD : LOG_BAD, "%s: %s%s%s",
			ev->scenario, verdict_name(s->verdict), *s->reason ? ": " : "",
			s->reason);
		break;
	}
}

/* What the run did to the machine is put back now, not when the user leaves. */
static void finished(struct session *s)
{
	if (s->phase == SESSION_ENDED)
		s->src->ops->finish(s->src);
}

void session_rewind(struct session *s)
{
	if (s->phase == SESSION_NONE)
		return;
	if (s->phase == SESSION_RUNNING)
		s->src->ops->finish(s->src);
	forget(s);
	s->phase = SESSION_READY;
}

void session_start(struct session *s)
{
	if (s->phase != SESSION_READY && s->phase != SESSION_ENDED)
		return;
	forget(s);
	s->phase = SESSION_RUNNING;
	if (!s->src->ops->start(s->src, s->step_mode, on_event, s)) {
		s->phase = SESSION_ENDED;
		s->verdict = VERDICT_ERROR;
		snprintf(s->reason, sizeof(s->reason), "out of memory");
	}
	finished(s);
}

void session_continue(struct session *s)
{
	if (!s->waiting)
		return;
	s->waiting = false;
	s->src->ops->go_on(s->src);
}

void session_set_step_mode(struct session *s, bool on)
{
	s->step_mode = on;
	if (s->phase != SESSION_RUNNING)
		return;
	s->src->ops->set_step_mode(s->src, on);
	if (!on)
		session_continue(s);
}

void session_abort(struct session *s, const char *reason)
{
	if (s->phase != SESSION_RUNNING)
		return;
	s->src->ops->abort(s->src, reason);
	while (s->phase == SESSION_RUNNING && s->src->ops->dispatch(s->src))
		sleep_ms(1);
	finished(s);
}

int session_fd(const struct session *s)
{
	return s->phase == SESSION_RUNNING ? s->src->ops->fd(s->src) : -1;
}

void session_dispatch(struct session *s)
{
	if (s->phase == SESSION_RUNNING)
		s->src->ops->dispatch(s->src);
	finished(s);
}

void session_leave(struct session *s)
{
	struct event_end end = { .verdict = VERDICT_SKIP, .reason = "it was not begun" };
	struct event ev = { .type = EVENT_END, .role = "", .end = &end };

	if (s->phase != SESSION_READY || !s->tee.fn)
		return;
	ev.scenario = s->about->scenario;
	s->tee.fn(s->tee.ctx, s->about);
	s->tee.fn(s->tee.ctx, &ev);
}

int sessions_status(const struct session *s, size_t n)
{
	bool seen[VERDICT_SKIP + 1] = { false };

	if (s->phase == SESSION_NONE)
		return 0;
	for (size_t i = 0; i < n; i++)
		seen[s[i].phase == SESSION_ENDED ? s[i].verdict : VERDICT_SKIP] = true;
	return verdict_of_all(seen);
}
