// SPDX-License-Identifier: GPL-2.0-only
/* A live run as a source of a session: see live.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/registry.h"
#include "ui/live.h"

struct live {
	struct session_source src;	/* first, for the casts below */
	struct run_options opt;
	struct event_start *start;
	struct event about;
	struct runner *rn;		/* NULL: it does not run */
};

static const struct event *live_about(const struct session_source *src)
{
	return &((const struct live *)src)->about;
}

static bool live_start(struct session_source *src, bool step_mode, event_fn fn, void *ctx)
{
	struct live *l = (struct live *)src;

	l->opt.step_mode = step_mode;
	l->rn = runner_start(&l->opt, fn, ctx);
	return l->rn;
}

static void live_go_on(struct session_source *src)
{
	runner_continue(((struct live *)src)->rn);
}

static void live_set_step_mode(struct session_source *src, bool on)
{
	runner_set_step_mode(((struct live *)src)->rn, on);
}

static void live_abort(struct session_source *src, const char *reason)
{
	runner_abort(((struct live *)src)->rn, reason);
}

static int live_fd(const struct session_source *src)
{
	return runner_fd(((const struct live *)src)->rn);
}

static bool live_dispatch(struct session_source *src)
{
	return runner_dispatch(((struct live *)src)->rn);
}

static void live_finish(struct session_source *src)
{
	struct live *l = (struct live *)src;

	runner_free(l->rn);
	l->rn = NULL;
}

/* ---- What to try next ---------------------------------------------------------- */

/* Each other choice of each parameter that has few, one at a time. */
static bool other_choice(const struct run_params *p, unsigned int *i, char *buf, size_t size)
{

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

static bool live_next(const struct session_source *src, unsigned int i, char *buf, size_t size)
{
	const struct live *l = (const struct live *)src;
	const struct scenario *me = l->opt.params->scenario;
	const struct scenario *const *all = scenarios();
	size_t n = 0, at = 0;

	if (!i--) {
		snprintf(buf, size,
			 "tagscope run --seed %" PRIu64 " %s\nthe same once more, as text",
			 l->opt.seed, me->name);
		return true;
	}
	if (other_choice(l->opt.params, &i, buf, size))
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

/* ---- The source ------------------------------------------------------------------ */

static const struct session_ops live_ops = {
	.about = live_about,
	.start = live_start,
	.go_on = live_go_on,
	.set_step_mode = live_set_step_mode,
	.abort = live_abort,
	.fd = live_fd,
	.dispatch = live_dispatch,
	.finish = live_finish,
	.next = live_next,
};

struct session_source *live_new(const struct run_options *opt)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->src.ops = &live_ops;
	l->opt = *opt;
	l->start = run_about(opt);
	if (!l->start) {
		free(l);
		return NULL;
	}
	l->about = (struct event){
		.type = EVENT_START,
		.scenario = opt->params->scenario->name,
		.role = "",
		.start = l->start,
	};
	return &l->src;
}

void live_free(struct session_source *src)
{
	struct live *l = (struct live *)src;

	if (!l)
		return;
	runner_free(l->rn);
	run_about_free(l->start);
	free(l);
}
