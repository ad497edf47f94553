// SPDX-License-Identifier: GPL-2.0-only
/* What happened in the runs of a lesson, and its answer: see facts.h. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lesson/facts.h"
#include "output/format.h"

/* The state at a place that the question asks for. */
struct then {
	bool known;
	struct state_summary state;
};

/* Of the run that the question is about, and of that no more than it asks for. */
struct facts {
	const struct lesson *l;
	unsigned int steps;		/* that have begun */
	bool ended;
	struct then from, at;
	bool have_measure;
	double measure;
	char *map;			/* at the question's place, if it asks for it */
	uint64_t blocks;
	int64_t block_of;		/* the question's address; -1: not known */
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

void facts_free(struct facts *f)
{
	if (!f)
		return;
	free(f->map);
	free(f);
}

static void keep_letter(void *ctx, uint64_t block, const struct state_block *b)
{
	((char *)ctx)[block] = b->letter ? b->letter : ' ';
}

char *facts_map(struct state *st, uint64_t *n)
{
	struct state_summary s;
	char *map;

	if (!st || state_read_summary(st, &s) || s.blocks > RECORDING_MAX_BLOCKS)
		return NULL;
	*n = s.blocks;
	map = calloc(s.blocks + 1, 1);
	if (map && (state_each_block(st, 0, *n, keep_letter, map) || strlen(map) != *n)) {
		free(map);
		map = NULL;
	}
	return map;
}

static int64_t block_of(struct state *st, uint64_t address)
{
	struct state_region *r;
	int64_t block;
	size_t n;

	if (!st || state_read_regions(st, &r, &n))
		return -1;
	block = state_block_of(r, n, address);
	free(r);
	return block;
}

static void keep(struct then *t, const struct event *ev)
{
	t->known = ev->state;
	if (ev->state)
		t->state = *ev->state;
}

/* The steps that have begun are over. */
static void over(struct facts *f, const struct event *ev, struct state *st)
{
	const struct lesson_question *q = &f->l->question;

	if (q->has_from && f->steps == q->from)
		keep(&f->from, ev);
	if (place_is(&q->at, q->at.run, f->steps, ev->type == EVENT_END)) {
		keep(&f->at, ev);
		if (q->ask == ASK_ANY_BLOCK) {
			free(f->map);
			f->map = facts_map(st, &f->blocks);
		}
	}
	if (q->ask == ASK_BLOCK_OF && f->block_of < 0)
		f->block_of = block_of(st, q->address);
}

/* Whether the event is the measure of that name: "role.text", or "text". */
static bool is_measure(const struct event *ev, const char *name)
{
	size_t len = strlen(ev->role);

	if (len && (strncmp(name, ev->role, len) || name[len++] != '.'))
		return false;
	return !strcmp(name + len, ev->text);
}

void facts_event(struct facts *f, size_t run, const struct event *ev, struct state *st)
{
	const struct lesson_question *q = &f->l->question;

	if (run != q->at.run)
		return;
	if (ev->type == EVENT_START) {
		f->steps = 0;
		f->ended = f->from.known = f->at.known = f->have_measure = false;
	} else if (ev->type == EVENT_STEP) {
		over(f, ev, st);
		f->steps = ev->number;
	} else if (ev->type == EVENT_MEASURE) {
		if (q->ask == ASK_MEASURE && isfinite(ev->value) && is_measure(ev, q->name)) {
			f->measure = ev->value;
			f->have_measure = true;
		}
	} else if (ev->type == EVENT_END) {
		over(f, ev, st);
		f->ended = true;
	}
}

bool each_event(const struct recording *rec,
		void (*fn)(void *ctx, const struct event *ev, struct state *st), void *ctx)
{
	struct playhead p;
	struct state *st;
	bool good;

	playhead_init(&p, rec);
	st = playhead_state(&p, NULL, NULL);
	good = st;
	for (size_t i = 0; good && i < rec->nr; i++) {
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
	return good;
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

	return each_event(rec, feed, &fd);
}

/* ---- What a stop points at -------------------------------------------------------------- */

/* The first block that the map of owners shows as this letter; -1: none. */
static int64_t block_of_owner(struct state *st, const char *map, char letter)
{
	size_t n = map ? strlen(map) : 0;
	char *owner = map ? calloc(n + 1, 1) : NULL;
	int64_t found = -1;

	if (owner && !state_read_owners(st, NULL, owner, n))
		for (size_t i = 0; i < n && found < 0; i++)
			if (owner_shown(map[i], owner[i]) == letter)
				found = (int64_t)i;
	free(owner);
	return found;
}

int64_t stop_block(const struct lesson_stop *stop, struct state *st, const char *was,
		   const char *now)
{
	if (stop->show == SHOW_ADDRESS)
		return block_of(st, stop->address);
	if (stop->show == SHOW_OWNER)
		return block_of_owner(st, now, stop->letter);
	if ((stop->show != SHOW_STATE && stop->show != SHOW_CHANGES) || !now)
		return -1;
	/* The maps are of one machine, but one may be shorter. */
	for (size_t i = 0; now[i] && (!was || was[i]); i++)
		if (stop->show == SHOW_STATE ? now[i] == stop->letter : was && was[i] != now[i])
			return (int64_t)i;
	return -1;
}

/* ---- The answer ------------------------------------------------------------------------- */

static bool counter_then(const struct facts *f, const struct then *then, unsigned int step,
			 double *value, char *why, size_t size)
{
	const char *name = f->l->question.name;
	uint64_t n;
	ssize_t i;

	if (!then->known) {
		if (step == LESSON_END)
			snprintf(why, size, "the scenario has not ended yet");
		else
			snprintf(why, size, "step %u was not there", step);
		return false;
	}
	i = state_counter_find(&then->state, name);
	if (i >= 0 && state_counter_get(&then->state, (size_t)i, &n)) {
		*value = (double)n;
		return true;
	}
	snprintf(why, size, "there was no counter %s", name);
	return false;
}

/*
 * The number that the question asks for, or of which its options say something. false: it is
 * not known, and why (size bytes) says what lacks.
 */
static bool answer_value(const struct facts *f, double *value, char *why, size_t size)
{
	const struct lesson_question *q = &f->l->question;
	double from;

	switch (q->ask) {
	case ASK_COUNTER:
		if (!counter_then(f, &f->at, q->at.step, value, why, size))
			return false;
		if (q->has_from) {
			if (!counter_then(f, &f->from, q->from, &from, why, size))
				return false;
			*value -= from;
		}
		return true;
	case ASK_MEASURE:
		*value = f->measure;
		if (!f->have_measure)
			snprintf(why, size, "there %s no measure %s",
				 f->ended ? "was" : "is still", q->name);
		return f->have_measure;
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
	struct facts *f;
	size_t run, stop;
	unsigned int steps;
	char *was;		/* the map at the stop before */
	char what[240];		/* that does not fit */
};

static void fit_stop(struct fitting *fit, const struct lesson_stop *s, struct state *st)
{
	char place[80];
	uint64_t n;
	char *now = facts_map(st, &n);

	if ((s->show == SHOW_CHANGES || s->show == SHOW_STATE || s->show == SHOW_ADDRESS ||
	     s->show == SHOW_OWNER) &&
	    stop_block(s, st, fit->was, now) < 0)
		snprintf(fit->what, sizeof(fit->what),
			 "%s of run %zu there is no block that it could show",
			 place_text(&s->at, place, sizeof(place)), fit->run + 1);
	free(fit->was);
	fit->was = now;
}

static void fit(void *ctx, const struct event *ev, struct state *st)
{
	struct fitting *fit = ctx;
	const struct lesson *l = fit->f->l;
	uint64_t n;

	facts_event(fit->f, fit->run, ev, st);
	if (ev->type == EVENT_START) {
		free(fit->was);
		fit->was = facts_map(st, &n);
	}
	if (ev->type != EVENT_STEP && ev->type != EVENT_END)
		return;
	while (!*fit->what && fit->stop < l->nr_stops &&
	       place_is(&l->stop[fit->stop].at, fit->run, fit->steps, ev->type == EVENT_END))
		fit_stop(fit, &l->stop[fit->stop++], st);
	if (ev->type == EVENT_STEP)
		fit->steps = ev->number;
}

bool lesson_fits(const struct lesson *l, const struct recording *const *rec, char *why,
		 size_t size)
{
	struct facts *f = facts_new(l);
	bool fits = f;
	char right[40], place[80];

	snprintf(why, size, "out of memory");
	for (size_t run = 0; fits && run < l->nr_runs && run < LESSON_RUNS; run++) {
		struct fitting fg = { .f = f, .run = run, .stop = lesson_first_stop(l, run) };

		fits = each_event(rec[run], fit, &fg);
		free(fg.was);
		if (!fits)
			break;
		if (*fg.what) {
			snprintf(why, size, "%s", fg.what);
			fits = false;
		} else if (fg.stop < l->nr_stops && l->stop[fg.stop].at.run == run) {
			snprintf(why, size, "the stop %s of run %zu is not reached: it has %u steps",
				 place_text(&l->stop[fg.stop].at, place, sizeof(place)), run + 1,
				 fg.steps);
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
