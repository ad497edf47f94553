// SPDX-License-Identifier: GPL-2.0-only
/* The scenario that runs in the UI: see session.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/format.h"
#include "run/registry.h"
#include "ui/session.h"

void session_init(struct session *s, const struct run_options *opt, struct log *log)
{
	memset(s, 0, sizeof(*s));
	s->opt = opt;
	s->log = log;
	s->phase = opt ? SESSION_READY : SESSION_NONE;
	s->step_mode = opt && opt->step_mode;
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
	if (s->rn)
		runner_free(s->rn);
	s->rn = NULL;
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

/* What the scenario did to switches is put back now, not when the user leaves. */
static void finished(struct session *s)
{
	if (s->phase == SESSION_ENDED && s->rn) {
		runner_free(s->rn);
		s->rn = NULL;
	}
}

void session_start(struct session *s)
{
	if (s->phase != SESSION_READY && s->phase != SESSION_ENDED)
		return;
	forget(s);
	s->run = *s->opt;
	s->run.step_mode = s->step_mode;
	s->phase = SESSION_RUNNING;
	s->rn = runner_start(&s->run, on_event, s);
	if (!s->rn) {
		s->phase = SESSION_ENDED;
		s->verdict = VERDICT_ERROR;
		snprintf(s->reason, sizeof(s->reason), "out of memory");
	}
	finished(s);
}

void session_continue(struct session *s)
{
	if (!s->rn || !runner_waiting(s->rn))
		return;
	s->waiting = false;
	runner_continue(s->rn);
}

void session_set_step_mode(struct session *s, bool on)
{
	s->step_mode = on;
	if (!s->rn)
		return;
	runner_set_step_mode(s->rn, on);
	if (!on)
		session_continue(s);
}

void session_abort(struct session *s, const char *reason)
{
	if (!s->rn)
		return;
	runner_abort(s->rn, reason);
	while (s->phase == SESSION_RUNNING && runner_dispatch(s->rn))
		sleep_ms(1);
	finished(s);
}

int session_fd(const struct session *s)
{
	return s->rn && s->phase == SESSION_RUNNING ? runner_fd(s->rn) : -1;
}

void session_dispatch(struct session *s)
{
	if (s->rn)
		runner_dispatch(s->rn);
	finished(s);
}

int session_status(const struct session *s)
{
	return s->phase == SESSION_NONE ? 0 :
	       s->phase == SESSION_ENDED ? (int)s->verdict : (int)VERDICT_SKIP;
}

const struct scenario *session_scenario(const struct session *s)
{
	return s->opt ? s->opt->params->scenario : NULL;
}

/* ---- What to try next ------------------------------------------------------------ */

/* Each other choice of each parameter that has few, one at a time. */
static bool other_choice(const struct session *s, unsigned int *i, char *buf, size_t size)
{
	const struct run_params *p = s->opt->params;

	for (size_t k = 0; k < p->n; k++) {
		const struct param *d = p->values[k].decl;
		const char *choices = d->type == PARAM_ENUM ? d->choices :
				      d->type == PARAM_BOOL ? "yes|no" : "";

		while (*choices) {
			size_t len = strcspn(choices, "|");
			bool is_now = d->type == PARAM_BOOL ?
				(*choices == 'y') == (p->values[k].value != 0) :
				strlen(p->values[k].text) == len &&
				!strncmp(p->values[k].text, choices, len);

			if (!is_now && !(*i)--) {
				snprintf(buf, size, "tagscope run --ui %s %s=%.*s\n%s",
					 p->scenario->name, d->name, (int)len, choices, d->help);
				return true;
			}
			choices += len + (choices[len] == '|');
		}
	}
	return false;
}

bool session_next(const struct session *s, unsigned int i, char *buf, size_t size)
{
	const struct scenario *me = session_scenario(s);
	const struct scenario *const *all = scenarios();
	size_t n = 0, at = 0;

	if (!me)
		return false;
	if (!i--) {
		snprintf(buf, size,
			 "tagscope run --seed %" PRIu64 " %s\nthe same once more, as text",
			 s->opt->seed, me->name);
		return true;
	}
	if (other_choice(s, &i, buf, size))
		return true;
	for (; all[n]; n++)
		if (all[n] == me)
			at = n;
	/* The scenario after this one, and the next of the other kind. */
	for (size_t k = 1; k < n; k++) {
		const struct scenario *o = all[(at + k) % n];
		bool first_other = o->kind != me->kind;

		for (size_t j = 1; j < k && first_other; j++)
			first_other = all[(at + j) % n]->kind == me->kind;
		if ((k == 1 || first_other) && !i--) {
			snprintf(buf, size, "tagscope run --ui %s\n%s", o->name, o->summary);
			return true;
		}
	}
	return false;
}
