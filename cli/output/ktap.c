// SPDX-License-Identifier: GPL-2.0-only
/* KTAP, as the kernel's tests print it: a scenario is a test, its results are subtests. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "output/format.h"

/* '#' would begin a directive, and a backslash escape it. */
static void put_text(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '#' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
}

static int ktap_begin(struct report *rep)
{
	unsigned int *number = calloc(1, sizeof(*number));

	if (!number)
		return -ENOMEM;
	rep->priv = number;
	fprintf(rep->out, "KTAP version 1\n1..%u\n", rep->planned);
	return 0;
}

static unsigned int results(const struct event_end *end)
{
	return end->passed + end->failed + end->skipped;
}

static void ktap_event(struct report *rep, const struct event *ev)
{
	unsigned int *number = rep->priv;
	FILE *f = rep->out;
	char value[40];

	switch (ev->type) {
	case EVENT_START:
		fprintf(f, "    KTAP version 1\n    # Subtest: %s\n    # seed %" PRIu64,
			ev->scenario, ev->start->seed);
		for (size_t i = 0; i < ev->start->nr_params; i++)
			fprintf(f, " %s=%s", ev->start->params[i].name,
				ev->start->params[i].text);
		fputc('\n', f);
		break;
	case EVENT_STEP:
		fprintf(f, "    # step %u: %s\n", ev->number, ev->text);
		break;
	case EVENT_RESULT:
		fprintf(f, "    %s %u - %s%s", ev->ok ? "ok" : "not ok", ev->number, ev->role,
			*ev->role ? ": " : "");
		put_text(f, ev->text);
		if (ev->skipped) {
			fputs(" # SKIP ", f);
			put_text(f, ev->detail);
		}
		fputc('\n', f);
		if (ev->detail && !ev->skipped)
			fprintf(f, "    # %s\n", ev->detail);
		break;
	case EVENT_MEASURE:
		fprintf(f, "    # measure %s%s%s %s %s\n", ev->role, *ev->role ? "." : "", ev->text,
			format_value(ev->value, value, sizeof(value)), ev->unit);
		break;
	case EVENT_NOTE:
		fprintf(f, "    # note: %s%s%s\n", ev->role, *ev->role ? ": " : "", ev->text);
		break;
	case EVENT_OUTPUT:
		fprintf(f, "    # output: %s\n", ev->text);
		break;
	case EVENT_PLAN:
	case EVENT_EXIT:
		break;
	case EVENT_END:
		if (results(ev->end))
			fprintf(f, "    1..%u\n", results(ev->end));
		if (ev->end->verdict == VERDICT_FAIL || ev->end->verdict == VERDICT_ERROR)
			fprintf(f, "# %s: %s: %s\n", ev->scenario,
				verdict_name(ev->end->verdict), ev->end->reason);
		fprintf(f, "%s %u - %s",
			ev->end->verdict == VERDICT_PASS || ev->end->verdict == VERDICT_SKIP ?
			"ok" : "not ok", ++*number, ev->scenario);
		if (ev->end->verdict == VERDICT_SKIP) {
			fputs(" # SKIP ", f);
			put_text(f, ev->end->reason);
		}
		fputc('\n', f);
		break;
	}
}

static int ktap_end(struct report *rep)
{
	fprintf(rep->out, "# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:%u\n",
		rep->verdicts[VERDICT_PASS], rep->verdicts[VERDICT_FAIL],
		rep->verdicts[VERDICT_SKIP], rep->verdicts[VERDICT_ERROR]);
	free(rep->priv);
	return 0;
}

const struct format format_ktap = {
	.name = "ktap",
	.summary = "the kernel's test protocol, for test harnesses",
	.begin = ktap_begin,
	.event = ktap_event,
	.end = ktap_end,
};
