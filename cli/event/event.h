/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens in a run, as events. An event says all of itself by names and values; it
 * points to nothing of the program that made it, so it is the same whether it comes from a
 * scenario's process, from the runner, or from a file. As JSON: docs/manual.md, "Events".
 */
#ifndef TAGSCOPE_EVENT_H
#define TAGSCOPE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/verdict.h"
#include "kernel/state.h"

#define EVENT_VERSION 1

enum event_type {
	EVENT_PLAN,	/* .number scenarios will be run; the first of a stream, once */
	EVENT_START,	/* .start */
	EVENT_STEP,	/* .text, .number, .waiting, .state */
	EVENT_RESULT,	/* .text, .number, .ok, .detail if it is not ok; or .skipped, .detail */
	EVENT_MEASURE,	/* .text is the name, .unit, .value */
	EVENT_NOTE,	/* .text */
	EVENT_OUTPUT,	/* .text: a line it wrote to stdout or stderr */
	EVENT_END,	/* .end, .state */
	EVENT_EXIT,	/* .how, .text, .state: only from a scenario's process to the runner */
};

struct event_param {
	const char *name;
	const char *type;	/* "uint", "size", "bool", "enum", "string" */
	const char *text;	/* as the user, or the default, wrote it */
	const char *help;
	uint64_t value;		/* of numbers and booleans */
};

struct event_role {
	const char *name, *summary;
};

/* What is run. */
struct event_start {
	const char *kind;	/* "workload", "adversary" */
	const char *summary, *explanation;
	uint64_t seed;
	unsigned int time_limit_s;
	const struct event_param *params;
	size_t nr_params;
	const struct event_role *roles;
	size_t nr_roles;
};

struct event_end {
	enum verdict verdict;
	const char *reason;	/* one line: why it is not a pass; "" if it is */
	unsigned int steps, passed, failed, skipped;	/* the latter three: results */
	uint64_t ns;		/* how long it ran, without waiting for keys */
};

/* How a process of the scenario ends what it has to say. */
enum event_exit {
	EVENT_EXIT_DONE,	/* the scenario came to its end; .state */
	EVENT_EXIT_SKIP,	/* what it needs is not here: .text */
	EVENT_EXIT_BAIL,	/* its environment broke it: .text */
	EVENT_EXIT_STOP,	/* it cannot go on after a failed result */
	EVENT_EXIT_DENIED,	/* .text is the system call that its filter denied */
	EVENT_EXIT_CRASH,	/* .text: it is dying of a signal */
};

/*
 * What an event has besides is NULL or 0; scenario and role are never NULL. It is valid
 * during the call that delivers it; event_parse() makes one that is its owner's.
 */
struct event {
	enum event_type type;
	const char *scenario;	/* its name; "" for EVENT_PLAN */
	uint64_t t_ns;		/* since the start */
	const char *role;	/* who said it: a role's name, or "" for the scenario */
	const char *text;
	unsigned int number;	/* steps and results each count from 1 */
	bool waiting;		/* a step, in step mode: it goes on when it is told to */
	bool ok;
	bool skipped;		/* a result that is not possible here; .ok is true, too */
	/* "got 0, wanted 1 (page.has_storage, workloads/mmap.c:40)", or why it was skipped */
	const char *detail;
	const char *unit;
	double value;		/* not finite: the measure is of no use */
	enum event_exit how;
	const struct state_summary *state;	/* as it was at that moment; NULL: not known */
	const struct event_start *start;
	const struct event_end *end;
};

typedef void (*event_fn)(void *ctx, const struct event *ev);

/* One line of JSON without its newline, to be freed; NULL: out of memory. */
char *event_print(const struct event *ev);

/*
 * The event that len bytes of text say, in *ev, to be freed with event_free(). Text in it
 * is fit to be shown (text_clean()). 0; -ENOMEM; -ENOMSG: it is an event that this tagscope
 * does not know, or no event of a run, like the totals; -EPROTO: it is none, and why (size
 * bytes) says what is wrong.
 */
int event_parse(const char *text, size_t len, struct event **ev, char *why, size_t size);
void event_free(struct event *ev);

#endif
