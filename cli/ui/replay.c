// SPDX-License-Identifier: GPL-2.0-only
/* A recording in the UI: see replay.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "ui/replay.h"

#define MIN_SPEED 0.05
#define MAX_SPEED 200.0

struct run {
	struct session_source src;	/* first, for the casts below */
	struct replay *r;
	size_t first, last;		/* entries: its start, its end */
	event_fn fn;
	void *ctx;
};

struct replay {
	const struct recording *rec;
	struct playhead head;
	struct log *log;
	size_t next;			/* the first entry that has not happened */
	uint64_t pos, real;		/* ns in the recording; now_ns() when it was there */
	double speed;
	bool paused, waiting, step_mode;
	int64_t go_to;			/* for the next start of a run; -1: its beginning */
	const struct run *current;	/* the one that goes on, or NULL */
	int timer;
	struct run *runs;
	struct session_source **sources;
	size_t nr_runs;
};

static const struct rec_entry *entry(const struct replay *r, size_t i)
{
	return &r->rec->entry[i];
}

static bool is_event(const struct replay *r, size_t i, enum event_type type)
{
	return entry(r, i)->type == REC_EVENT && entry(r, i)->event->type == type;
}

/* ---- The clock ----------------------------------------------------------------------- */

static bool stands(const struct replay *r)
{
	return r->paused || r->waiting || (r->nr_runs && !r->current);
}

static void advance(struct replay *r)
{
	uint64_t now = now_ns();

	if (!stands(r))
		r->pos += (uint64_t)((double)(now - r->real) * r->speed);
	if (r->pos > r->rec->end)
		r->pos = r->rec->end;
	r->real = now;
}

/* When the next entry is due, dispatch() is. */
static void arm(struct replay *r)
{
	struct itimerspec it = { .it_value = { 0 } };
	double left;

	if (!stands(r) && r->next < r->rec->nr) {
		uint64_t due = entry(r, r->next)->at;

		left = due > r->pos ? (double)(due - r->pos) / r->speed : 0;
		it.it_value.tv_sec = (time_t)(left / 1e9);
		it.it_value.tv_nsec = (long)(left - (double)it.it_value.tv_sec * 1e9) + 1;
		if (it.it_value.tv_nsec >= 1000000000)
			it.it_value.tv_nsec = 999999999;
	}
	timerfd_settime(r->timer, 0, &it, NULL);
}

/* ---- Over all of it -------------------------------------------------------------------- */

static const cJSON *counters_of(const struct rec_entry *e)
{
	if (e->type != REC_SUMMARY && e->type != REC_COUNTERS)
		return NULL;
	return cJSON_GetObjectItemCaseSensitive(e->json,
						e->type == REC_SUMMARY ? "state" : "values");
}

static int column_of(uint64_t at, double width, int n)
{
	double column = (double)at / width;

	return column < n ? (int)column : n - 1;
}

int replay_history(const struct replay *r, const char *counter, bool gauge, uint64_t *v, int n,
		   int *here)
{
	double width = ((double)r->rec->end + 1) / n;
	uint64_t was = 0, now;
	bool known = false;
	int column = 0, next;

	memset(v, 0, (size_t)n * sizeof(*v));
	for (size_t i = 0; i < r->rec->nr; i++) {
		const cJSON *o = counters_of(entry(r, i));

		if (!json_get_u64(cJSON_GetObjectItemCaseSensitive(o, counter), &now))
			continue;
		next = column_of(entry(r, i)->at, width, n);
		for (; gauge && column < next; column++)
			v[column + 1] = was;
		if (gauge)
			v[next] = now;
		else if (known && now > was)
			v[next] += now - was;
		column = next;
		was = now;
		known = true;
	}
	for (; gauge && column + 1 < n; column++)
		v[column + 1] = was;
	*here = column_of(r->pos, width, n);
	return n;
}

/* ---- A run as a source of a session ---------------------------------------------------- */

static const struct event *run_about_it(const struct session_source *src)
{
	const struct run *run = (const struct run *)src;

	return entry(run->r, run->first)->event;
}

/* What the state was read for is the step before it; so it belongs to the step. */
static void take_sample(struct replay *r)
{
	uint64_t at = r->next < r->rec->nr ? entry(r, r->next)->at : 0;

	r->next = recording_reading_after(r->rec, r->next);
	if (r->pos < at)
		r->pos = at;
	playhead_go_to(&r->head, r->next);
}

/* The next entry happens. false: the run has ended with it. */
static bool happen(struct run *run, bool stop)
{
	struct replay *r = run->r;
	const struct rec_entry *e = entry(r, r->next++);
	struct event ev;

	if (r->pos < e->at)
		r->pos = e->at;
	playhead_go_to(&r->head, r->next);
	if (e->type != REC_EVENT)
		return true;
	ev = *e->event;
	ev.waiting = ev.type == EVENT_STEP && r->step_mode && stop;
	if (ev.waiting) {
		take_sample(r);
		r->waiting = true;
	}
	if (ev.type == EVENT_END) {
		take_sample(r);
		r->current = NULL;
	}
	run->fn(run->ctx, &ev);
	return ev.type != EVENT_END;
}

static bool run_start(struct session_source *src, bool step_mode, event_fn fn, void *ctx)
{
	struct run *run = (struct run *)src;
	struct replay *r = run->r;
	size_t to = r->go_to >= 0 ? (size_t)r->go_to : run->first + 1;
	bool goes_on = true;

	run->fn = fn;
	run->ctx = ctx;
	r->step_mode = step_mode;
	r->waiting = false;
	r->current = run;
	r->next = run->first;
	r->pos = entry(r, run->first)->at;
	playhead_go_to(&r->head, run->first);
	/* A place after its end is still of this run: there is none before the next. */
	while (goes_on && r->next < to && r->next <= run->last) {
		size_t next_event = r->next + 1;

		/* Only where it goes to does a step wait. */
		while (next_event < to && entry(r, next_event)->type != REC_EVENT)
			next_event++;
		goes_on = happen(run, next_event >= to);
	}
	if (r->go_to >= 0 && goes_on) {
		r->next = r->next > to ? r->next : to;
		playhead_go_to(&r->head, r->next);
	}
	r->go_to = -1;
	r->real = now_ns();
	arm(r);
	return true;
}

static void run_go_on(struct session_source *src)
{
	struct replay *r = ((struct run *)src)->r;

	r->waiting = false;
	r->real = now_ns();
	arm(r);
}

static void run_set_step_mode(struct session_source *src, bool on)
{
	((struct run *)src)->r->step_mode = on;
}

/* Whoever leaves it still is told how it ended. */
static void run_abort(struct session_source *src, const char *reason)
{
	struct run *run = (struct run *)src;

	(void)reason;
	run->r->next = run->last;
	happen(run, false);
}

static int run_fd(const struct session_source *src)
{
	return ((const struct run *)src)->r->timer;
}

static bool run_dispatch(struct session_source *src)
{
	struct run *run = (struct run *)src;
	struct replay *r = run->r;
	bool goes_on = true;

	advance(r);
	while (goes_on && !r->waiting && r->next < r->rec->nr && entry(r, r->next)->at <= r->pos)
		goes_on = happen(run, true);
	arm(r);
	return goes_on;
}

static void run_finish(struct session_source *src)
{
	struct replay *r = ((struct run *)src)->r;

	r->current = NULL;
	r->waiting = false;
	arm(r);
}

static const struct session_ops run_ops = {
	.about = run_about_it,
	.start = run_start,
	.go_on = run_go_on,
	.set_step_mode = run_set_step_mode,
	.abort = run_abort,
	.fd = run_fd,
	.dispatch = run_dispatch,
	.finish = run_finish,
};

/* ---- All of it --------------------------------------------------------------------------- */

static void passed(void *ctx, const struct rec_entry *e)
{
	struct replay *r = ctx;

	if (!r->log)
		return;
	if (e->type == REC_TRACE && e->text)
		log_add(r->log, LOG_TRACE, "%s", e->text);
	else if (e->type == REC_TRACE)
		log_add(r->log, LOG_TRACE, "... and %llu others", (unsigned long long)e->first);
}

static bool find_runs(struct replay *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->rec->nr; i++)
		n += is_event(r, i, EVENT_START);
	r->runs = calloc(n + 1, sizeof(*r->runs));
	r->sources = calloc(n + 1, sizeof(struct session_source *));
	if (!r->runs || !r->sources)
		return false;
	for (size_t i = 0; i < r->rec->nr; i++) {
		if (is_event(r, i, EVENT_START)) {
			struct run *run = &r->runs[r->nr_runs];

			*run = (struct run){ .src.ops = &run_ops, .r = r, .first = i, .last = i };
			r->sources[r->nr_runs++] = &run->src;
		} else if (is_event(r, i, EVENT_END) && r->nr_runs) {
			r->runs[r->nr_runs - 1].last = i;
		}
	}
	return true;
}

struct replay *replay_new(const struct recording *rec, double speed)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->rec = rec;
	r->speed = speed;
	r->go_to = -1;
	r->real = now_ns();
	playhead_init(&r->head, rec);
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->timer < 0 || !find_runs(r)) {
		replay_free(r);
		return NULL;
	}
	r->head.passed = passed;
	r->head.ctx = r;
	/* What was there before the first run began. */
	while (r->next < rec->nr && entry(r, r->next)->type != REC_EVENT && r->nr_runs)
		r->next++;
	/* And where nothing ran, the first state there is. */
	if (!r->nr_runs && rec->nr)
		r->pos = entry(r, 0)->at;
	playhead_go_to(&r->head, r->next);
	return r;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	if (r->timer >= 0)
		close(r->timer);
	playhead_free(&r->head);
	free(r->runs);
	free(r->sources);
	free(r);
}

struct session_source **replay_runs(struct replay *r, size_t *n)
{
	*n = r->nr_runs;
	return r->sources;
}

/* Without a run nobody else tells the time. */
static void before_reading(void *ctx)
{
	struct replay *r = ctx;

	if (r->nr_runs)
		return;
	advance(r);
	r->next = recording_after(r->rec, r->pos);
	playhead_go_to(&r->head, r->next);
}

struct state *replay_state(struct replay *r)
{
	return playhead_state(&r->head, before_reading, r);
}

static uint64_t log_clock(void *ctx)
{
	return ((const struct replay *)ctx)->pos;
}

void replay_log(struct replay *r, struct log *log)
{
	r->log = log;
	log->clock = log_clock;
	log->ctx = r;
}

void replay_where(const struct replay *r, uint64_t *at_ns, uint64_t *end_ns, double *speed,
		  bool *paused)
{
	*at_ns = r->pos;
	*end_ns = r->rec->end;
	*speed = r->speed;
	*paused = r->paused;
}

void replay_pause(struct replay *r, bool paused)
{
	advance(r);
	r->paused = paused;
	arm(r);
}

double replay_set_speed(struct replay *r, bool faster)
{
	advance(r);
	r->speed = faster ? r->speed * 2 : r->speed / 2;
	if (r->speed < MIN_SPEED)
		r->speed = MIN_SPEED;
	if (r->speed > MAX_SPEED)
		r->speed = MAX_SPEED;
	arm(r);
	return r->speed;
}

/* ---- Places --------------------------------------------------------------------------------- */

int64_t replay_time(const struct replay *r, uint64_t at_ns)
{
	/* Without a run there is nothing to see before the first state. */
	if (!r->nr_runs && r->rec->nr && at_ns < entry(r, 0)->at)
		at_ns = entry(r, 0)->at;
	return (int64_t)recording_after(r->rec, at_ns);
}

/* After event number of that type of the run. */
static int64_t find(const struct replay *r, size_t run, enum event_type type, unsigned int number)
{
	for (size_t i = r->runs[run].first; i <= r->runs[run].last; i++)
		if (is_event(r, i, type) && entry(r, i)->event->number == number)
			return (int64_t)i + 1;
	return -1;
}

int64_t replay_step(const struct replay *r, size_t run, unsigned int number)
{
	return r->nr_runs ? find(r, run, EVENT_STEP, number) : -1;
}

int64_t replay_result(const struct replay *r, size_t run, unsigned int number)
{
	return r->nr_runs ? find(r, run, EVENT_RESULT, number) : -1;
}

int64_t replay_after_step(const struct replay *r, size_t run, unsigned int number)
{
	int64_t next = number == UINT32_MAX ? -1 : replay_step(r, run, number + 1);

	if (next >= 0 || !r->nr_runs)
		return next;
	/* The last is over when the run is. */
	if (number != UINT32_MAX && number && replay_step(r, run, number) < 0)
		return -1;
	return (int64_t)r->runs[run].last + 1;
}

int64_t replay_next_step(const struct replay *r, size_t run, int by)
{
	int64_t at = (int64_t)r->next;
	bool past_one = false;
	const struct run *of;

	if (!r->nr_runs) {
		uint64_t second = 1000000000;

		return replay_time(r, by > 0 ? r->pos + second :
					       r->pos > second ? r->pos - second : 0);
	}
	of = &r->runs[run];
	if (by > 0) {
		for (size_t i = (size_t)at; i < of->last; i++)
			if (i >= of->first && is_event(r, i, EVENT_STEP))
				return (int64_t)i + 1;
		return (int64_t)of->last + 1;
	}
	/* The one it is in, and the one before that; after the end, the last. */
	past_one = at > (int64_t)of->last;
	for (int64_t i = at - 1; i > (int64_t)of->first; i--) {
		if (!is_event(r, (size_t)i, EVENT_STEP))
			continue;
		if (past_one)
			return i + 1;
		past_one = true;
	}
	return (int64_t)of->first + 1;
}

size_t replay_run_of(const struct replay *r, int64_t place)
{
	for (size_t i = 0; i < r->nr_runs; i++)
		if (place <= (int64_t)r->runs[i].last + 1 || i + 1 == r->nr_runs)
			return i;
	return r->nr_runs;
}

void replay_go_to(struct replay *r, int64_t place)
{
	r->go_to = place;
	if (r->nr_runs)
		return;
	r->go_to = -1;
	r->next = (size_t)place;
	r->pos = place ? entry(r, (size_t)place - 1)->at : 0;
	r->real = now_ns();
}
