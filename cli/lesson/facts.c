// SPDX-License-Identifier: GPL-2.0-only
/* What happened in the runs of a lesson, and its answer: see facts.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "lesson/facts.h"
#include "output/format.h"

#define CHUNK 4096

struct measure {
	char *name;
	double value;
};

struct run_facts {
	unsigned int steps;		/* that have begun */
	bool ended;
	/* The state after each step: before the next, or at the end. */
	struct after {
		bool known;
		struct state_summary state;
	} *after;
	size_t room;
	struct measure *measure;
	size_t nr_measures;
};

struct facts {
	const struct lesson *l;
	struct run_facts run[LESSON_RUNS];
	char *map;			/* at the question's place, if it asks for it */
	uint64_t blocks;
	int64_t block_of;		/* the question's address; -1: not known */
	bool no_memory;
};

/* ---- Gathering -------------------------------------------------------------------------- */

struct facts *facts_new(const struct lesson *l)
{
	struct facts *f = calloc(1, sizeof(*f));

	if (f) {
		f->l = l;
		f->block_of = -1;
	}
	return f;
}

static void forget(struct run_facts *r)
{
	for (size_t i = 0; i < r->nr_measures; i++)
		free(r->measure[i].name);
	free(r->measure);
	free(r->after);
	*r = (struct run_facts){ 0 };
}

void facts_free(struct facts *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < LESSON_RUNS; i++)
		forget(&f->run[i]);
	free(f->map);
	free(f);
}

char *facts_map(struct state *st, uint64_t *n)
{
	struct state_summary s;
	struct state_block *b;
	char *map;
	size_t got;

	if (!st || state_read_summary(st, &s) || s.blocks > RECORDING_MAX_BLOCKS)
		return NULL;
	*n = s.blocks;
	map = calloc(s.blocks + 1, 1);
	b = calloc(CHUNK, sizeof(*b));
	for (uint64_t at = 0; map && b && at < *n; at += got) {
		size_t want = *n - at < CHUNK ? (size_t)(*n - at) : CHUNK;

		if (state_read_blocks(st, at, want, b, &got) || !got) {
			free(map);
			map = NULL;
			break;
		}
		for (size_t i = 0; i < got; i++)
			map[at + i] = b[i].letter ? b[i].letter : ' ';
	}
	if (!b) {
		free(map);
		map = NULL;
	}
	free(b);
	return map;
}

static int64_t block_of(struct state *st, uint64_t address)
{
	struct state_region *r;
	int64_t block = -1;
	size_t n;

	if (!st || state_read_regions(st, &r, &n))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (address >= r[i].mem_base && address - r[i].mem_base < r[i].mem_size &&
		    r[i].block_size)
			block = (int64_t)(r[i].first_block + (address - r[i].mem_base) /
					  (r[i].block_size * STATE_DATA_PER_TAG));
	free(r);
	return block;
}

/* Steps up to this one are over. */
static void over(struct facts *f, size_t run, unsigned int step, const struct event *ev,
		 struct state *st)
{
	struct run_facts *r = &f->run[run];
	const struct lesson_place *at = &f->l->question.at;

	if (step >= r->room) {
		size_t room = step + 64;
		struct after *after = realloc(r->after, room * sizeof(*after));

		if (!after) {
			f->no_memory = true;
			return;
		}
		r->after = after;
		memset(after + r->room, 0, (room - r->room) * sizeof(*after));
		r->room = room;
	}
	r->after[step].known = ev->state;
	if (ev->state)
		r->after[step].state = *ev->state;
	if (f->l->question.ask == ASK_ANY_BLOCK && at->run == run &&
	    (at->step == step || (at->step == LESSON_END && ev->type == EVENT_END))) {
		free(f->map);
		f->map = facts_map(st, &f->blocks);
	}
	if (f->l->question.ask == ASK_BLOCK_OF && f->block_of < 0)
		f->block_of = block_of(st, f->l->question.address);
}

static void add_measure(struct facts *f, struct run_facts *r, const struct event *ev)
{
	struct measure *m = realloc(r->measure, (r->nr_measures + 1) * sizeof(*m));

	f->no_memory |= !m;
	if (!m)
		return;
	r->measure = m;
	m += r->nr_measures;
	if (asprintf(&m->name, "%s%s%s", ev->role, *ev->role ? "." : "", ev->text) < 0)
		f->no_memory = true;
	else
		r->nr_measures++;
	m->value = ev->value;
}

void facts_event(struct facts *f, size_t run, const struct event *ev, struct state *st)
{
	struct run_facts *r = &f->run[run];

	if (ev->type == EVENT_START) {
		forget(r);
	} else if (ev->type == EVENT_STEP) {
		over(f, run, r->steps, ev, st);
		r->steps = ev->number;
	} else if (ev->type == EVENT_MEASURE) {
		add_measure(f, r, ev);
	} else if (ev->type == EVENT_END) {
		over(f, run, r->steps, ev, st);
		r->ended = true;
	}
}

bool each_event(const struct recording *rec,
		void (*fn)(void *ctx, const struct event *ev, struct state *st), void *ctx)
{
	struct playhead p;
	struct state *st;

	playhead_init(&p, rec);
	st = playhead_state(&p, NULL, NULL);
	for (size_t i = 0; st && i < rec->nr; i++) {
		size_t to = i + 1;

		if (rec->entry[i].type != REC_EVENT)
			continue;
		if (rec->entry[i].event->type == EVENT_STEP ||
		    rec->entry[i].event->type == EVENT_END)
			to = recording_reading_after(rec, to);
		/* Never back: an end may come at the time of what is before it. */
		if (to > p.next)
			playhead_go_to(&p, to);
		fn(ctx, rec->entry[i].event, st);
	}
	state_close(st);
	playhead_free(&p);
	return st;
}

struct feeding {
	struct facts *f;
	size_t run;
};

static void feed(void *ctx, const struct event *ev, struct state *st)
{
	struct feeding *fd = ctx;

	facts_event(fd->f, fd->run, ev, st);
}

bool facts_recording(struct facts *f, size_t run, const struct recording *rec)
{
	struct feeding fd = { f, run };

	return each_event(rec, feed, &fd) && !f->no_memory;
}

unsigned int facts_steps(const struct facts *f, size_t run)
{
	return f->run[run].ended ? f->run[run].steps : 0;
}

/* ---- What a stop points at -------------------------------------------------------------- */

int64_t stop_block(const struct lesson_stop *stop, struct state *st, const char *was)
{
	int64_t block = -1;
	uint64_t n = 0;
	char *map;

	if (stop->show == SHOW_ADDRESS)
		return block_of(st, stop->address);
	if (stop->show != SHOW_STATE && stop->show != SHOW_CHANGES)
		return -1;
	map = facts_map(st, &n);
	for (uint64_t i = 0; map && i < n && block < 0; i++) {
		if (stop->show == SHOW_STATE ? map[i] == stop->letter : was && was[i] != map[i])
			block = (int64_t)i;
		/* The maps are of one machine, but one may be shorter. */
		if (was && !was[i])
			break;
	}
	free(map);
	return block;
}

/* ---- The answer ------------------------------------------------------------------------- */

static bool counter_after(const struct facts *f, const struct lesson_question *q,
			  unsigned int step, double *value, char *why, size_t size)
{
	const struct run_facts *r = &f->run[q->at.run];
	uint64_t n;
	ssize_t i;

	if (step == LESSON_END && r->ended)
		step = r->steps;
	if (step > r->steps || step >= r->room || !r->after[step].known) {
		snprintf(why, size, "step %u was not there", step);
		return false;
	}
	i = state_counter_find(&r->after[step].state, q->name);
	if (i >= 0 && state_counter_get(&r->after[step].state, (size_t)i, &n)) {
		*value = (double)n;
		return true;
	}
	snprintf(why, size, "there was no counter %s", q->name);
	return false;
}

bool answer_value(const struct facts *f, double *value, char *why, size_t size)
{
	const struct lesson_question *q = &f->l->question;
	const struct run_facts *r = &f->run[q->at.run];
	double from;

	switch (q->ask) {
	case ASK_COUNTER:
		if (!counter_after(f, q, q->at.step, value, why, size))
			return false;
		if (q->has_from) {
			if (!counter_after(f, q, q->from, &from, why, size))
				return false;
			*value -= from;
		}
		return true;
	case ASK_MEASURE:
		for (size_t i = r->nr_measures; i > 0; i--) {
			if (strcmp(r->measure[i - 1].name, q->name))
				continue;
			*value = r->measure[i - 1].value;
			if (isfinite(*value))
				return true;
		}
		snprintf(why, size, "there was no measure %s", q->name);
		return false;
	case ASK_BLOCK_OF:
		*value = (double)f->block_of;
		if (f->block_of < 0)
			snprintf(why, size, "no region has 0x%" PRIx64, q->address);
		return f->block_of >= 0;
	case ASK_ANY_BLOCK:
		break;
	}
	snprintf(why, size, "it asks for no number");
	return false;
}

static bool holds(const struct lesson_option *o, double v)
{
	bool less = v < o->value, more = v > o->value;

	if (!strcmp(o->op, "="))
		return !less && !more;
	if (!strcmp(o->op, "!="))
		return less || more;
	if (*o->op == '<')
		return less || (o->op[1] && !more);
	return more || (o->op[1] && !less);
}

/* The option that is right, from 1 on; 0: none, or several. */
static unsigned int right_option(const struct lesson_question *q, double v)
{
	unsigned int found = 0;

	for (size_t i = 0; i < q->nr_options; i++) {
		if (!holds(&q->option[i], v))
			continue;
		if (found)
			return 0;
		found = (unsigned int)i + 1;
	}
	return found;
}

bool answer_right(const struct facts *f, char *buf, size_t size, char *why, size_t why_size)
{
	const struct lesson_question *q = &f->l->question;
	unsigned int option;
	const char *at;
	double v;

	if (q->ask == ASK_ANY_BLOCK) {
		at = f->map ? strchr(f->map, q->letter) : NULL;
		if (!at) {
			snprintf(why, why_size, f->map ? "no block is in state %c there" :
							 "there is no map to find a block on",
				 q->letter);
			return false;
		}
		snprintf(buf, size, "%td", at - f->map);
		return true;
	}
	if (!answer_value(f, &v, why, why_size))
		return false;
	if (!q->nr_options) {
		format_value(v, buf, size);
		return true;
	}
	option = right_option(q, v);
	if (!option) {
		snprintf(why, why_size, "of its options not one is right: the number is %g", v);
		return false;
	}
	snprintf(buf, size, "%u", option);
	return true;
}

const char *answer_kind(const struct lesson *l)
{
	static const char *const options[] = { "", "", "1 or 2", "1, 2 or 3", "1, 2, 3 or 4" };
	const struct lesson_question *q = &l->question;

	if (q->nr_options)
		return options[q->nr_options];
	return q->ask == ASK_ANY_BLOCK || q->ask == ASK_BLOCK_OF ? "a block's number" : "a number";
}

enum answer answer_check(const struct facts *f, const char *text, char *why, size_t size)
{
	const struct lesson_question *q = &f->l->question;
	char right[40], *end;
	uint64_t block;
	double v, wanted, near;

	if (!answer_right(f, right, sizeof(right), why, size))
		return ANSWER_NONE;
	while (isspace((unsigned char)*text))
		text++;
	v = strtod(text, &end);
	while (isspace((unsigned char)*end))
		end++;
	if (end == text || *end || !isfinite(v)) {
		snprintf(why, size, "'%s' is no answer: it is %s", text, answer_kind(f->l));
		return ANSWER_NONE;
	}
	if (q->nr_options && (v < 1 || v > (double)q->nr_options)) {
		snprintf(why, size, "'%s' is no answer: it is %s", text, answer_kind(f->l));
		return ANSWER_NONE;
	}
	if (q->ask == ASK_ANY_BLOCK) {
		block = v >= 0 && v < (double)f->blocks ? (uint64_t)v : f->blocks;
		if (block == f->blocks || v > (double)block) {
			snprintf(why, size, "'%s' is no block: they are 0 to %" PRIu64, text,
				 f->blocks - 1);
			return ANSWER_NONE;
		}
		return f->map[block] == q->letter ? ANSWER_RIGHT : ANSWER_WRONG;
	}
	wanted = strtod(right, NULL);
	/* Nobody types all digits of a measure. */
	near = q->ask == ASK_MEASURE && !q->nr_options ? fabs(wanted) / 100 : 0;
	return fabs(v - wanted) <= near ? ANSWER_RIGHT : ANSWER_WRONG;
}

/* ---- A lesson and its recordings -------------------------------------------------------- */

struct fitting {
	const struct lesson *l;
	size_t run, stop;
	unsigned int steps;
	char *was;		/* the map at the stop before */
	char what[240];		/* that does not fit */
};

static void fit(void *ctx, const struct event *ev, struct state *st)
{
	struct fitting *fit = ctx;
	const struct lesson_stop *s = &fit->l->stop[fit->stop];
	unsigned int over = fit->steps;
	uint64_t n;

	if (ev->type == EVENT_START)
		fit->was = facts_map(st, &n);
	if (ev->type == EVENT_STEP)
		fit->steps = ev->number;
	if ((ev->type != EVENT_STEP && ev->type != EVENT_END) || *fit->what ||
	    fit->stop == fit->l->nr_stops || s->at.run != fit->run ||
	    (s->at.step != over && (s->at.step != LESSON_END || ev->type != EVENT_END)))
		return;
	if ((s->show == SHOW_CHANGES || s->show == SHOW_STATE || s->show == SHOW_ADDRESS) &&
	    stop_block(s, st, fit->was) < 0)
		snprintf(fit->what, sizeof(fit->what),
			 "after step %u of run %zu there is no block that it could show", over,
			 fit->run + 1);
	free(fit->was);
	fit->was = facts_map(st, &n);
	fit->stop++;
}

bool lesson_fits(const struct lesson *l, const struct recording *const *rec, char *why,
		 size_t size)
{
	struct facts *f = facts_new(l);
	bool fits = f;
	char right[40];

	snprintf(why, size, "out of memory");
	for (size_t run = 0; fits && run < l->nr_runs && run < LESSON_RUNS; run++) {
		struct fitting fg = { .l = l, .run = run, .stop = lesson_first_stop(l, run) };

		fits = each_event(rec[run], fit, &fg) && facts_recording(f, run, rec[run]);
		free(fg.was);
		if (!fits)
			break;
		if (*fg.what) {
			snprintf(why, size, "%s", fg.what);
			fits = false;
		} else if (fg.stop < l->nr_stops && l->stop[fg.stop].at.run == run) {
			snprintf(why, size, "step %u of run %zu is not there: it has %u",
				 l->stop[fg.stop].at.step, run + 1, fg.steps);
			fits = false;
		}
	}
	if (fits)
		fits = answer_right(f, right, sizeof(right), why, size);
	if (fits)
		snprintf(why, size, "%s", right);
	facts_free(f);
	return fits;
}
