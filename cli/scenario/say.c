// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scenarios and roles say: steps, results, notes, measures, and why they end. All
 * of it goes in JSON objects, one a packet, over one socket; the runner on the other
 * side numbers and judges them.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenario/run_private.h"

static void say_json(struct run *r, cJSON *o)
{
	char *text;

	if (r->role)
		cJSON_AddStringToObject(o, "role", r->role->name);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	if (!text)
		_exit(RUN_EXIT_ENDED);
	/* EPIPE: the runner is gone, and so shall we be. */
	while (send(RUN_FD_SAY, text, strlen(text), MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(RUN_EXIT_ENDED);
	free(text);
}

static cJSON *object(const char *type)
{
	cJSON *o = cJSON_CreateObject();

	if (!o || !cJSON_AddStringToObject(o, "type", type))
		_exit(RUN_EXIT_ENDED);
	return o;
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

void say(struct run *r, const char *type, const char *text)
{
	cJSON *o = object(type);

	cJSON_AddStringToObject(o, "text", text);
	say_json(r, o);
}

void end_with(struct run *r, const char *type, const char *text)
{
	fflush(NULL);
	say(r, type, text);
	_exit(RUN_EXIT_ENDED);
}

/* The counters as they are now, for whoever shows or records the scenario. */
static void add_state(struct run *r, cJSON *o)
{
	struct state *st = r->role ? NULL : run_reader(r, false);
	struct state_summary s;
	cJSON *counters;

	if (!st || state_read_summary(st, &s))
		return;
	cJSON_AddStringToObject(o, "policy", s.policy);
	counters = cJSON_AddArrayToObject(o, "counters");
	for (size_t i = 0; i < nr_state_counters; i++) {
		char number[32];

		/* A double would lose the last bits of a 64-bit number. */
		snprintf(number, sizeof(number), "%" PRIu64,
			 state_counter_value(&s, &state_counters[i]));
		cJSON_AddItemToArray(counters, cJSON_CreateString(number));
	}
}

void step(struct run *r, const char *fmt, ...)
{
	char text[1024], byte;
	ssize_t n;
	cJSON *o;
	bool wait = !r->role && r->control->step_mode;

	TEXT(text, fmt);
	if (r->role) {
		say(r, "note", text);
		return;
	}
	o = object("step");
	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddBoolToObject(o, "wait", wait);
	add_state(r, o);
	say_json(r, o);
	if (!wait)
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
	say(r, "note", text);
}

void measure(struct run *r, const char *name, const char *unit, double value)
{
	cJSON *o = object("measure");

	cJSON_AddStringToObject(o, "text", name);
	cJSON_AddStringToObject(o, "unit", unit);
	cJSON_AddNumberToObject(o, "value", value);
	say_json(r, o);
}

bool say_result(struct run *r, bool ok, const char *text, const char *detail, const char *what,
		const char *file, int line)
{
	cJSON *o = object("result");
	char full[1024];

	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddBoolToObject(o, "ok", ok);
	if (!ok) {
		const char *name = strrchr(file, '/');
		const char *folder = name;

		/* The folder and the name are enough, wherever it was built. */
		while (folder && folder > file && folder[-1] != '/')
			folder--;
		snprintf(full, sizeof(full), "%s%s%s, %s:%d", detail, *detail ? "; " : "", what,
			 folder ? folder : file, line);
		cJSON_AddStringToObject(o, "detail", full);
	}
	say_json(r, o);
	return ok;
}

void skip_result(struct run *r, const char *reason, const char *fmt, ...)
{
	cJSON *o = object("result");
	char text[512];

	TEXT(text, fmt);
	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddStringToObject(o, "skipped", reason);
	say_json(r, o);
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
	end_with(r, "stop", "");
}

void skip(struct run *r, const char *fmt, ...)
{
	char text[512];

	TEXT(text, fmt);
	end_with(r, "skip", text);
}

void bail(struct run *r, const char *fmt, ...)
{
	char text[1024];

	TEXT(text, fmt);
	end_with(r, "bail", text);
}

void bail_errno(struct run *r, const char *fmt, ...)
{
	int err = errno;
	char text[512], full[640];

	TEXT(text, fmt);
	snprintf(full, sizeof(full), "%s: %s", text, strerror(err));
	end_with(r, "bail", full);
}

void say_end(struct run *r)
{
	cJSON *o = object("end");

	add_state(r, o);
	say_json(r, o);
}
