// SPDX-License-Identifier: GPL-2.0-only
/* JUnit XML: a scenario is a test suite, a result a test case. Printed at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "output/format.h"

/*
 * The counts stand in the opening tag of each suite, so its cases are kept until it
 * ends, and the suites until all end.
 */
struct junit {
	char *suites, *properties, *cases, *output;
	size_t suites_len, properties_len, cases_len, output_len;
	FILE *suites_f, *properties_f, *cases_f, *output_f;
	uint64_t last_ns;
	unsigned int tests, failures, skipped, errors;
	double seconds;
};

static int junit_begin(struct report *rep)
{
	struct junit *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	rep->priv = j;
	j->suites_f = open_memstream(&j->suites, &j->suites_len);
	return j->suites_f ? 0 : -ENOMEM;
}

static void put_case(struct junit *j, const struct event *ev, const char *name)
{
	fputs("    <testcase classname=\"", j->cases_f);
	text_write_markup(j->cases_f, ev->scenario);
	fputs("\" name=\"", j->cases_f);
	text_write_markup(j->cases_f, ev->role);
	fputs(*ev->role ? ": " : "", j->cases_f);
	text_write_markup(j->cases_f, name);
	fprintf(j->cases_f, "\" time=\"%.6f\"", (double)(ev->t_ns - j->last_ns) / 1e9);
	j->last_ns = ev->t_ns;
	j->tests++;
}

static void end_suite(struct junit *j, const struct event *ev)
{
	const struct event_end *end = ev->end;
	unsigned int tests = end->passed + end->failed + end->skipped;
	unsigned int failures = end->failed, errors = 0, skipped = end->skipped;

	/* A suite that ended otherwise than by its results says so as a case of its own. */
	if (end->verdict == VERDICT_SKIP || end->verdict == VERDICT_ERROR ||
	    (end->verdict == VERDICT_FAIL && !end->failed)) {
		static const char *const element[] = {
			[VERDICT_SKIP] = "skipped",
			[VERDICT_ERROR] = "error",
			[VERDICT_FAIL] = "failure",
		};

		put_case(j, ev, "the scenario runs to its end");
		fprintf(j->cases_f, ">\n      <%s message=\"", element[end->verdict]);
		text_write_markup(j->cases_f, end->reason);
		fputs("\"/>\n    </testcase>\n", j->cases_f);
		tests++;
		skipped += end->verdict == VERDICT_SKIP;
		errors = end->verdict == VERDICT_ERROR;
		failures += end->verdict == VERDICT_FAIL;
	}
	fclose(j->properties_f);
	fclose(j->cases_f);
	fclose(j->output_f);
	fputs("  <testsuite name=\"", j->suites_f);
	text_write_markup(j->suites_f, ev->scenario);
	fprintf(j->suites_f,
		"\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.6f\">\n"
		"    <properties>\n%s    </properties>\n",
		tests, failures, errors, skipped, (double)end->ns / 1e9,
		j->properties ? j->properties : "");
	if (j->cases)
		fputs(j->cases, j->suites_f);
	fputs("    <system-out>", j->suites_f);
	if (j->output)
		text_write_markup(j->suites_f, j->output);
	fputs("</system-out>\n  </testsuite>\n", j->suites_f);
	j->failures += failures;
	j->errors += errors;
	j->skipped += skipped;
	j->seconds += (double)end->ns / 1e9;
	free(j->properties);
	free(j->cases);
	free(j->output);
	j->properties = j->cases = j->output = NULL;
	j->properties_f = j->cases_f = j->output_f = NULL;
}

static void begin_suite(struct junit *j, const struct event_start *start)
{
	j->last_ns = 0;
	j->properties_f = open_memstream(&j->properties, &j->properties_len);
	j->cases_f = open_memstream(&j->cases, &j->cases_len);
	j->output_f = open_memstream(&j->output, &j->output_len);
	if (!j->properties_f || !j->cases_f || !j->output_f) {
		fprintf(stderr, "tagscope: out of memory\n");
		exit(VERDICT_ERROR);
	}
	fprintf(j->properties_f, "      <property name=\"seed\" value=\"%" PRIu64 "\"/>\n",
		start->seed);
	for (size_t i = 0; i < start->nr_params; i++) {
		fputs("      <property name=\"param.", j->properties_f);
		text_write_markup(j->properties_f, start->params[i].name);
		fputs("\" value=\"", j->properties_f);
		text_write_markup(j->properties_f, start->params[i].text);
		fputs("\"/>\n", j->properties_f);
	}
}

static void junit_event(struct report *rep, const struct event *ev)
{
	struct junit *j = rep->priv;
	char value[40];

	switch (ev->type) {
	case EVENT_PLAN:
	case EVENT_EXIT:
		break;
	case EVENT_START:
		begin_suite(j, ev->start);
		break;
	case EVENT_STEP:
		fprintf(j->output_f, "step %u: %s\n", ev->number, ev->text);
		break;
	case EVENT_RESULT:
		put_case(j, ev, ev->text);
		if (ev->ok && !ev->skipped) {
			fputs("/>\n", j->cases_f);
			break;
		}
		fprintf(j->cases_f, ">\n      <%s message=\"", ev->ok ? "skipped" : "failure");
		if (ev->detail)
			text_write_markup(j->cases_f, ev->detail);
		fputs("\"/>\n    </testcase>\n", j->cases_f);
		break;
	case EVENT_MEASURE:
		fprintf(j->output_f, "measure %s%s%s %s %s\n", ev->role, *ev->role ? "." : "",
			ev->text, format_value(ev->value, value, sizeof(value)), ev->unit);
		break;
	case EVENT_NOTE:
	case EVENT_OUTPUT:
		fprintf(j->output_f, "%s%s%s\n", ev->role, *ev->role ? ": " : "", ev->text);
		break;
	case EVENT_END:
		end_suite(j, ev);
		break;
	}
}

static int junit_end(struct report *rep)
{
	struct junit *j = rep->priv;
	int err = fclose(j->suites_f) ? -ENOMEM : 0;

	fprintf(rep->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites name=\"tagscope\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.6f\">\n%s</testsuites>\n",
		j->tests, j->failures, j->errors, j->skipped, j->seconds,
		j->suites ? j->suites : "");
	free(j->suites);
	free(j);
	return err;
}

const struct format format_junit = {
	.name = "junit",
	.summary = "JUnit XML, for CI systems; printed when all has run",
	.whole = true,
	.begin = junit_begin,
	.event = junit_event,
	.end = junit_end,
};
