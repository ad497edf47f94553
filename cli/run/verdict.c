// SPDX-License-Identifier: GPL-2.0-only
/* The verdict on a run: what was seen, and the first reason for its end. */
#include <stdarg.h>
#include <stdio.h>

#include "run/runner_private.h"

void conclude(struct runner *rn, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	if (rn->verdict_set)
		return;
	rn->verdict_set = 1;
	rn->verdict = v;
	va_start(ap, fmt);
	vsnprintf(rn->reason, sizeof(rn->reason), fmt, ap);
	va_end(ap);
}

void conclude_further(struct runner *rn, const char *fmt, ...)
{
	char more[900], old[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(more, sizeof(more), fmt, ap);
	va_end(ap);
	snprintf(old, sizeof(old), "%.799s", rn->reason);
	rn->verdict_set = 0;
	conclude(rn, VERDICT_FAIL, "%s%s%s", old, *old ? "; " : "", more);
}

void add_result(struct runner *rn, const char *role, bool ok, const char *text,
		const char *detail)
{
	struct event ev = {
		.type = EVENT_RESULT,
		.role = role,
		.ok = ok,
		.text = text,
		.detail = ok ? NULL : detail,
	};

	if (ok)
		rn->passed++;
	else
		rn->failed++;
	ev.number = rn->passed + rn->failed + rn->skipped;
	runner_emit(rn, &ev);
}

void add_skipped_result(struct runner *rn, const char *role, const char *text,
			const char *reason)
{
	struct event ev = {
		.type = EVENT_RESULT,
		.role = role,
		.ok = true,
		.skipped = true,
		.text = text,
		.detail = reason,
	};

	rn->skipped++;
	ev.number = rn->passed + rn->failed + rn->skipped;
	runner_emit(rn, &ev);
}

void judge(struct runner *rn)
{
	struct event_end end = { .steps = rn->steps };
	struct event ev = { .type = EVENT_END, .end = &end };
	char then[900];

	/* Whatever ended it: what was seen to be wrong stays wrong. */
	if (rn->failed && (!rn->verdict_set || rn->verdict != VERDICT_FAIL)) {
		snprintf(then, sizeof(then), "%.899s", rn->reason);
		rn->verdict_set = 0;
		conclude(rn, VERDICT_FAIL, "%u of %u results failed%s%s", rn->failed,
			 rn->failed + rn->passed, *then ? "; then: " : "", then);
	}
	if (!rn->passed && !rn->failed && rn->skipped)
		conclude(rn, VERDICT_SKIP, "each of its results was skipped");
	if (!rn->passed && !rn->failed)
		conclude(rn, VERDICT_FAIL, "it ended without having checked anything");
	conclude(rn, VERDICT_PASS, "%s", "");
	rn->finished = true;
	end.verdict = rn->verdict;
	end.reason = rn->reason;
	end.passed = rn->passed;
	end.failed = rn->failed;
	end.skipped = rn->skipped;
	end.ns = runner_elapsed(rn);
	ev.state = rn->have_state ? &rn->state : NULL;
	runner_emit(rn, &ev);
}
