// SPDX-License-Identifier: GPL-2.0-only
/* For people at a terminal: narration, results, and what changed in tag storage. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "output/format.h"

struct pretty {
	struct state_summary last;	/* at the step before */
	bool have_last;
	unsigned int width;
};

enum paint { BOLD, GREEN, RED, YELLOW, DIM, NR_PAINTS };

static const char *paint(const struct report *rep, enum paint p)
{
	static const char *const codes[NR_PAINTS] = { "\033[1m", "\033[32m", "\033[1;31m",
						      "\033[33m", "\033[2m" };

	return rep->color ? codes[p] : "";
}

static const char *plain(const struct report *rep)
{
	return rep->color ? "\033[0m" : "";
}

static int pretty_begin(struct report *rep)
{
	struct pretty *p = calloc(1, sizeof(*p));
	struct winsize ws;

	if (!p)
		return -ENOMEM;
	p->width = 80;
	if (!ioctl(fileno(rep->out), TIOCGWINSZ, &ws) && ws.ws_col >= 40)
		p->width = ws.ws_col < 100 ? ws.ws_col : 100;
	rep->priv = p;
	return 0;
}

/* Text, wrapped, each line after the first indented by indent. */
static void wrap(const struct report *rep, const char *text, unsigned int column,
		 unsigned int indent)
{
	const struct pretty *p = rep->priv;
	bool first = true;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (!first && column + 1 + word > p->width) {
			fprintf(rep->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', rep->out);
			column++;
		}
		first = false;
		fprintf(rep->out, "%.*s", (int)word, text);
		column += (unsigned int)word;
		text += word;
		while (*text == ' ')
			text++;
	}
	fputc('\n', rep->out);
}

/* What the last step changed: "reserved_pages 0 -> 32". */
static void changes(struct report *rep, const struct state_summary *now)
{
	struct pretty *p = rep->priv;
	char line[1024];

	if (!now)
		return;
	if (p->have_last && *state_changes(&p->last, now, line, sizeof(line))) {
		fprintf(rep->out, "   %stag storage: ", paint(rep, DIM));
		wrap(rep, line, 16, 16);
		fputs(plain(rep), rep->out);
	}
	p->last = *now;
	p->have_last = true;
}

static void start(struct report *rep, const struct event *ev)
{
	struct pretty *p = rep->priv;

	p->have_last = false;
	fprintf(rep->out, "%s%s%s: %s\n", paint(rep, BOLD), ev->scenario, plain(rep),
		ev->start->summary);
	fprintf(rep->out, "   %sseed %" PRIu64, paint(rep, DIM), ev->start->seed);
	for (size_t i = 0; i < ev->start->nr_params; i++)
		fprintf(rep->out, " %s=%s", ev->start->params[i].name, ev->start->params[i].text);
	fprintf(rep->out, "%s\n", plain(rep));
}

static void finished(struct report *rep, const struct event_end *end, const char *name)
{
	static const enum paint color[] = { [VERDICT_PASS] = GREEN, [VERDICT_FAIL] = RED,
					    [VERDICT_ERROR] = RED, [VERDICT_SKIP] = YELLOW };

	fprintf(rep->out, "\n%s%s%s %s", paint(rep, color[end->verdict]),
		end->verdict == VERDICT_PASS ? "PASSED" :
		end->verdict == VERDICT_FAIL ? "FAILED" :
		end->verdict == VERDICT_SKIP ? "SKIPPED" : "ERROR", plain(rep), name);
	if (end->passed + end->failed)
		fprintf(rep->out, ": %u of %u results ok", end->passed,
			end->passed + end->failed);
	if (end->skipped)
		fprintf(rep->out, "%s %u skipped", end->passed + end->failed ? "," : ":",
			end->skipped);
	if (end->passed + end->failed + end->skipped)
		fprintf(rep->out, ", %.1f s", (double)end->ns / 1e9);
	fputc('\n', rep->out);
	if (*end->reason) {
		fputs("   ", rep->out);
		wrap(rep, end->reason, 3, 3);
	}
}

static void pretty_event(struct report *rep, const struct event *ev)
{
	char text[1400], value[40];

	switch (ev->type) {
	case EVENT_START:
		start(rep, ev);
		break;
	case EVENT_STEP:
		changes(rep, ev->state);
		fprintf(rep->out, "\n%s%2u.%s ", paint(rep, BOLD), ev->number, plain(rep));
		wrap(rep, ev->text, 4, 4);
		break;
	case EVENT_RESULT:
		fprintf(rep->out, "   %s%s%s ",
			paint(rep, ev->skipped ? YELLOW : ev->ok ? GREEN : RED),
			ev->skipped ? "skip  " : ev->ok ? "ok    " : "NOT OK", plain(rep));
		snprintf(text, sizeof(text), "%s%s%s", ev->role, *ev->role ? ": " : "", ev->text);
		wrap(rep, text, 10, 10);
		if (ev->detail) {
			fputs("          ", rep->out);
			wrap(rep, ev->detail, 10, 10);
		}
		break;
	case EVENT_MEASURE:
		fprintf(rep->out, "   %s%s%s = %s %s\n", ev->role, *ev->role ? "." : "", ev->text,
			format_value(ev->value, value, sizeof(value)),
			strcmp(ev->unit, "1") ? ev->unit : "");
		break;
	case EVENT_NOTE:
	case EVENT_OUTPUT:
		fprintf(rep->out, "   %s", paint(rep, DIM));
		snprintf(text, sizeof(text), "%s%s%s%s", ev->type == EVENT_OUTPUT ? "output: " : "",
			 ev->role, *ev->role ? ": " : "", ev->text);
		wrap(rep, text, 3, 3);
		fputs(plain(rep), rep->out);
		break;
	case EVENT_PLAN:
	case EVENT_EXIT:
		break;
	case EVENT_END:
		changes(rep, ev->state);
		finished(rep, ev->end, ev->scenario);
		break;
	}
}

static int pretty_end(struct report *rep)
{
	if (rep->planned > 1)
		fprintf(rep->out, "\n%u passed, %u failed, %u skipped, %u with an error\n",
			rep->verdicts[VERDICT_PASS], rep->verdicts[VERDICT_FAIL],
			rep->verdicts[VERDICT_SKIP], rep->verdicts[VERDICT_ERROR]);
	free(rep->priv);
	return 0;
}

const struct format format_pretty = {
	.name = "pretty",
	.summary = "for people at a terminal",
	.begin = pretty_begin,
	.event = pretty_event,
	.end = pretty_end,
};
