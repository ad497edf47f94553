// SPDX-License-Identifier: GPL-2.0-only
/* Events from a file: see reader.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event/reader.h"

struct events {
	event_fn fn;
	void *ctx;
	bool planned;
	char *running;		/* the scenario that has begun and not ended, or NULL */
	struct event_end end;	/* what is known of it */
	uint64_t t_ns;
};

static void deliver(struct events *r, const struct event *ev)
{
	r->t_ns = ev->t_ns;
	if (ev->type == EVENT_STEP)
		r->end.steps++;
	if (ev->type == EVENT_RESULT)
		*(ev->skipped ? &r->end.skipped : ev->ok ? &r->end.passed : &r->end.failed) += 1;
	r->fn(r->ctx, ev);
}

static void end_it(struct events *r)
{
	struct event ev = { .type = EVENT_END, .scenario = r->running, .role = "",
			    .t_ns = r->t_ns, .end = &r->end };

	r->end.verdict = r->end.failed ? VERDICT_FAIL : VERDICT_ERROR;
	r->end.reason = "what was kept of it stops before its end";
	r->end.ns = r->t_ns;
	r->fn(r->ctx, &ev);
}

/* What is wrong with an event at this place, or NULL. */
static const char *out_of_place(const struct events *r, const struct event *ev)
{
	if (ev->type == EVENT_EXIT)
		return "an event of a scenario's process";
	if ((ev->type == EVENT_PLAN) == r->planned)
		return r->planned ? "a second plan" : "no plan: this is not the beginning";
	if (ev->type == EVENT_PLAN)
		return NULL;
	if (ev->type == EVENT_START)
		return r->running ? "a scenario begins amid another" : NULL;
	if (!r->running || strcmp(r->running, ev->scenario))
		return "an event of a scenario that has not begun";
	return ev->t_ns < r->t_ns ? "time goes back" : NULL;
}

struct events *events_begin(event_fn fn, void *ctx)
{
	struct events *r = calloc(1, sizeof(*r));

	if (r) {
		r->fn = fn;
		r->ctx = ctx;
	}
	return r;
}

int events_take(struct events *r, const char *line, size_t len, char *why, size_t size)
{
	struct event *ev;
	int err = event_parse(line, len, &ev, why, size);
	const char *wrong;

	if (err == -ENOMSG)
		return 0;
	if (err)
		return err;
	wrong = out_of_place(r, ev);
	if (wrong) {
		snprintf(why, size, "%s", wrong);
		err = -EPROTO;
		goto out;
	}
	r->planned = true;
	if (ev->type == EVENT_START) {
		r->running = strdup(ev->scenario);
		memset(&r->end, 0, sizeof(r->end));
		err = r->running ? 0 : -ENOMEM;
	}
	if (!err)
		deliver(r, ev);
	if (ev->type == EVENT_END) {
		free(r->running);
		r->running = NULL;
		r->t_ns = 0;
	}
out:
	event_free(ev);
	return err;
}

int events_end(struct events *r, char *why, size_t size)
{
	int err = 0;

	if (!r->planned || r->running) {
		err = -EPROTO;
		snprintf(why, size, r->planned ? "it ends amid the scenario %s" :
						 "there is nothing in it%s",
			 r->planned ? r->running : "");
	}
	if (r->running)
		end_it(r);
	free(r->running);
	free(r);
	return err;
}

/* The next line, without its newline, in line; its length, -1: none, or *what is wrong. */
static ssize_t next_line(FILE *f, char *line, const char **wrong)
{
	ssize_t len = 0;
	int c;

	*wrong = NULL;
	while ((c = getc(f)) != '\n' && c != EOF) {
		if (len == EVENTS_MAX_LINE) {
			*wrong = "longer than any event";
			return -1;
		}
		line[len++] = (char)c;
	}
	if (c == EOF && len)
		*wrong = "cut short";
	return c == EOF ? -1 : len;
}

int events_read(FILE *f, event_fn fn, void *ctx, char *why, size_t size)
{
	struct events *r = events_begin(fn, ctx);
	char *line = malloc(EVENTS_MAX_LINE), what[200] = "out of memory";
	unsigned int number = 0;
	const char *wrong;
	ssize_t len;
	int err = line && r ? 0 : -ENOMEM, incomplete;

	while (!err && (len = next_line(f, line, &wrong)) >= 0) {
		number++;
		err = events_take(r, line, (size_t)len, what, sizeof(what));
	}
	if (!err && ferror(f)) {
		err = -EIO;
		wrong = strerror(errno);
	} else if (!err && wrong) {
		err = -EPROTO;
		number++;
	} else {
		wrong = what;
	}
	if (err)
		snprintf(why, size, "line %u: %s", number, wrong);
	incomplete = r ? events_end(r, what, sizeof(what)) : 0;
	if (!err && incomplete) {
		err = incomplete;
		snprintf(why, size, "%s", what);
	}
	free(line);
	return err;
}
