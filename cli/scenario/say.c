// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scenarios and roles say: steps, results, notes, measures, and why they end. All
 * of it goes in JSON objects, one a packet, over one socket; the runner on the other
 * side numbers and judges them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenario/run_private.h"

/* Fill in what is the same for all events, and send it. */
static void say(struct run *r, struct event *ev)
{
	char *text;

	ev->scenario = r->params->scenario->name;
	ev->role = r->role ? r->role->name : "";
	text = event_print(ev);
	if (!text)
		_exit(RUN_EXIT_ENDED);
	/* EPIPE: the runner is gone, and so shall we be. */
	while (send(RUN_FD_SAY, text, strlen(text), MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(RUN_EXIT_ENDED);
	free(text);
}

static void text_va(char *buf, size_t size, const char *fmt, va_list ap)
{
	vsnprintf(buf, size, fmt, ap);
	/* Each text is one line in every format. */
	for (char *c = buf; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
}

#define TEXT(buf, fmt)                                                         \
	do {                                                                   \
		va_list ap_;                                                   \
		va_start(ap_, fmt);                                            \
		text_va(buf, sizeof(buf), fmt, ap_);                           \
		va_end(ap_);                                                   \
	} while (0)

void say_exit(struct run *r, enum event_exit how, const char *text)
{
	struct event ev = { .type = EVENT_EXIT, .how = how, .text = text };

	say(r, &ev);
}

void end_with(struct run *r, enum event_exit how, const char *text)
{
	fflush(NULL);
	say_exit(r, how, text);
	_exit(RUN_EXIT_ENDED);
}

/* The counters as they are now, for whoever shows or records the scenario. */
static const struct state_summary *state_now(struct run *r, struct state_summary *s)
{
	struct state *st = r->role ? NULL : run_reader(r, false);

	return st && !state_read_summary(st, s) ? s : NULL;
}

static void say_note(struct run *r, const char *text)
{
	struct event ev = { .type = EVENT_NOTE, .text = text };

	say(r, &ev);
}

void step(struct run *r, const char *fmt, ...)
{
	struct state_summary now;
	struct event ev = { .type = EVENT_STEP };
	char text[1024], byte;
	ssize_t n;

	TEXT(text, fmt);
	if (r->role) {
		say_note(r, text);
		return;
	}
	ev.text = text;
	ev.waiting = r->control->step_mode;
	ev.state = state_now(r, &now);
	say(r, &ev);
	if (!ev.waiting)
		return;
	do
		n = read(RUN_FD_GO, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(RUN_EXIT_ENDED);
}

void note(struct run *r, const char *fmt, ...)
{
	char text[1024];

	TEXT(text, fmt);
	say_note(r, text);
}

void measure(struct run *r, const char *name, const char *unit, double value)
{
	struct event ev = { .type = EVENT_MEASURE, .text = name, .unit = unit, .value = value };

	say(r, &ev);
}

bool say_result(struct run *r, bool ok, const char *text, const char *detail, const char *what,
		const char *file, int line)
{
	struct event ev = { .type = EVENT_RESULT, .ok = ok, .text = text };
	char full[1024];

	if (!ok) {
		const char *name = strrchr(file, '/');
		const char *folder = name;

		/* The folder and the name are enough, wherever it was built. */
		while (folder && folder > file && folder[-1] != '/')
			folder--;
		snprintf(full, sizeof(full), "%s%s%s, %s:%d", detail, *detail ? "; " : "", what,
			 folder ? folder : file, line);
		ev.detail = full;
	}
	say(r, &ev);
	return ok;
}

void skip_result(struct run *r, const char *reason, const char *fmt, ...)
{
	char text[512];
	struct event ev = { .type = EVENT_RESULT, .ok = true, .skipped = true,
			    .text = text, .detail = reason };

	TEXT(text, fmt);
	say(r, &ev);
}

bool run_expect(struct run *r, const char *file, int line, const char *what, bool cond,
		const char *fmt, ...)
{
	char text[512];

	TEXT(text, fmt);
	return say_result(r, cond, text, "", what, file, line);
}

bool run_expect_range(struct run *r, const char *file, int line, const char *what, uint64_t got,
		      uint64_t lo, uint64_t hi, const char *fmt, ...)
{
	char text[512], detail[160];

	TEXT(text, fmt);
	if (lo == hi)
		snprintf(detail, sizeof(detail), "got %" PRIu64 ", wanted %" PRIu64, got, lo);
	else
		snprintf(detail, sizeof(detail), "got %" PRIu64 ", wanted %" PRIu64 " to %" PRIu64,
			 got, lo, hi);
	return say_result(r, got >= lo && got <= hi, text, detail, what, file, line);
}

bool run_expect_str(struct run *r, const char *file, int line, const char *what, const char *got,
		    const char *want, const char *fmt, ...)
{
	char text[512], detail[400];

	TEXT(text, fmt);
	snprintf(detail, sizeof(detail), "got '%s', wanted '%s'", got, want);
	return say_result(r, !strcmp(got, want), text, detail, what, file, line);
}

bool run_expect_intact(struct run *r, const char *file, int line, struct mismatch m,
		       const char *fmt, ...)
{
	char text[512], detail[256];

	TEXT(text, fmt);
	snprintf(detail, sizeof(detail),
		 "%" PRIu64 " wrong %s, first at offset 0x%zx: got 0x%" PRIx64
		 ", wanted 0x%" PRIx64,
		 m.count, m.is_tag ? "tags" : "words", m.offset, m.got, m.want);
	return say_result(r, !m.count, text, detail, m.is_tag ? "tags" : "data", file, line);
}

void run_stop(struct run *r)
{
	end_with(r, EVENT_EXIT_STOP, "");
}

void skip(struct run *r, const char *fmt, ...)
{
	char text[512];

	TEXT(text, fmt);
	end_with(r, EVENT_EXIT_SKIP, text);
}

void bail(struct run *r, const char *fmt, ...)
{
	char text[1024];

	TEXT(text, fmt);
	end_with(r, EVENT_EXIT_BAIL, text);
}

void bail_errno(struct run *r, const char *fmt, ...)
{
	int err = errno;
	char text[512], full[640];

	TEXT(text, fmt);
	snprintf(full, sizeof(full), "%s: %s", text, strerror(err));
	end_with(r, EVENT_EXIT_BAIL, full);
}

void bail_if_error(struct run *r, int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	bail_errno(r, "%s", what);
}

void say_end(struct run *r)
{
	struct state_summary now;
	struct event ev = { .type = EVENT_EXIT, .how = EVENT_EXIT_DONE, .text = "" };

	ev.state = state_now(r, &now);
	say(r, &ev);
}
