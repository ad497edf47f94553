// SPDX-License-Identifier: GPL-2.0-only
/* The page of a report: see report.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "output/format.h"
#include "report/report.h"

#define BEFORE 12		/* events that are shown before a failed result */
#define MAX_STILLS 40

/* An element with text in it. */
static void element(FILE *f, const char *tag, const char *text)
{
	fprintf(f, "<%s>", tag);
	text_write_markup(f, text);
	fprintf(f, "</%s>", tag);
}

static void row(FILE *f, const char *name, const char *value)
{
	fputs("<tr>", f);
	fputs("<th scope=\"row\">", f);
	text_write_markup(f, name);
	fputs("</th>", f);
	element(f, "td", *value ? value : "not recorded");
	fputs("</tr>\n", f);
}

/* ---- A run ----------------------------------------------------------------------------- */

/* Entries first to last are those of a run. */
struct part {
	size_t first, last;
};

/* The next run from entry *at on; false: there is none. */
static bool next_run(const struct recording *rec, size_t *at, struct part *run)
{
	bool begun = false;

	for (; *at < rec->nr; ++*at) {
		const struct rec_entry *e = &rec->entry[*at];

		if (e->type != REC_EVENT)
			continue;
		if (e->event->type == EVENT_START) {
			run->first = *at;
			begun = true;
		}
		if (e->event->type == EVENT_END && begun) {
			run->last = (*at)++;
			return true;
		}
	}
	return false;
}

static const struct event *event_at(const struct recording *rec, size_t i)
{
	return rec->entry[i].type == REC_EVENT ? rec->entry[i].event : NULL;
}

static const char *result_word(const struct event *ev)
{
	return ev->skipped ? "skipped" : ev->ok ? "ok" : "failed";
}

/* "role: text" */
static void said(FILE *f, const struct event *ev)
{
	if (*ev->role) {
		text_write_markup(f, ev->role);
		fputs(": ", f);
	}
	text_write_markup(f, ev->text ? ev->text : "");
}

static void put_event(FILE *f, const struct event *ev)
{
	static const char *const words[] = {
		[EVENT_STEP] = "step", [EVENT_RESULT] = "result", [EVENT_MEASURE] = "measure",
		[EVENT_NOTE] = "note", [EVENT_OUTPUT] = "output",
	};
	char value[40];

	if (ev->type < EVENT_STEP || ev->type > EVENT_OUTPUT)
		return;
	fprintf(f, "<li>%.3f s, %s ", (double)ev->t_ns / 1e9, words[ev->type]);
	if (ev->type == EVENT_RESULT)
		fprintf(f, "<b class=\"%s\">%s</b> ", result_word(ev), result_word(ev));
	said(f, ev);
	if (ev->type == EVENT_MEASURE) {
		fprintf(f, " = %s ", format_value(ev->value, value, sizeof(value)));
		text_write_markup(f, ev->unit);
	}
	if (ev->detail) {
		fputs(": ", f);
		text_write_markup(f, ev->detail);
	}
	fputs("</li>\n", f);
}

static void put_results(FILE *f, const struct recording *rec, struct part run)
{
	unsigned int step = 0, results = 0;

	for (size_t i = run.first; i <= run.last; i++) {
		const struct event *ev = event_at(rec, i);

		if (ev && ev->type == EVENT_STEP)
			step = ev->number;
		if (!ev || ev->type != EVENT_RESULT)
			continue;
		if (!results++)
			fputs("<details><summary>All results</summary><table><thead><tr>"
			      "<th scope=\"col\">Step</th><th scope=\"col\">Result</th>"
			      "<th scope=\"col\">What was expected</th></tr></thead><tbody>\n", f);
		fprintf(f, "<tr><td>%u</td><td class=\"%s\">%s</td><td>", step, result_word(ev),
			result_word(ev));
		said(f, ev);
		if (ev->detail) {
			fputs("<br>", f);
			element(f, "small", ev->detail);
		}
		fputs("</td></tr>\n", f);
	}
	if (results)
		fputs("</tbody></table></details>\n", f);
}

static void put_failures(FILE *f, const struct recording *rec, struct part run)
{
	for (size_t i = run.first; i <= run.last; i++) {
		const struct event *ev = event_at(rec, i);
		size_t from = i, n = 0;

		if (!ev || ev->type != EVENT_RESULT || ev->ok)
			continue;
		fputs("<div class=\"failure\"><h4>Failed: ", f);
		said(f, ev);
		fputs("</h4>\n", f);
		if (ev->detail)
			element(f, "p", ev->detail);
		while (from > run.first && n < BEFORE)
			n += event_at(rec, --from) != NULL;
		fputs("<p>What came before:</p><ol>\n", f);
		for (; from <= i; from++)
			if (event_at(rec, from))
				put_event(f, event_at(rec, from));
		fputs("</ol></div>\n", f);
	}
}

static void put_measures(FILE *f, const struct recording *rec, struct part run)
{
	bool any = false;
	char value[40];

	for (size_t i = run.first; i <= run.last; i++) {
		const struct event *ev = event_at(rec, i);

		if (!ev || ev->type != EVENT_MEASURE)
			continue;
		if (!any)
			fputs("<h4>Measures</h4><table><thead><tr><th scope=\"col\">Measure</th>"
			      "<th scope=\"col\">Value</th><th scope=\"col\">Unit</th></tr></thead>"
			      "<tbody>\n", f);
		any = true;
		fputs("<tr><td>", f);
		said(f, ev);
		fprintf(f, "</td><td class=\"number\">%s</td>",
			format_value(ev->value, value, sizeof(value)));
		element(f, "td", ev->unit);
		fputs("</tr>\n", f);
	}
	if (any)
		fputs("</tbody></table>\n", f);
}

static size_t cells_with(const struct report_frame *fr, char letter)
{
	size_t n = 0;

	for (const char *l = fr->letters; *l; l++)
		n += *l == letter;
	return n;
}

/* The map as step number begins, before this entry. */
static void put_still(FILE *f, const struct report_map *m, size_t entry, unsigned int number)
{
	const struct report_frame *fr = m->nr_frames ? report_map_at(m, entry) : NULL;
	char words[240];

	if (!fr)
		return;
	if (m->owners)
		snprintf(words, sizeof(words),
			 "Whose data lies in tag storage as step %u begins: of %zu cells %zu are the attacker's, and %zu more of the attacker's are needed for tags",
			 number, m->cells, cells_with(fr, 'a'), cells_with(fr, 'A'));
	else
		snprintf(words, sizeof(words),
			 "The map of tag storage as step %u begins: of %zu cells %zu hold tags",
			 number, m->cells, cells_with(fr, BLOCK_RESERVED));
	report_map_still(f, m, fr, words);
}

/* What happened at each step, with the maps as they were when it began. */
static void put_steps(FILE *f, const struct recording *rec, struct part run,
		      const struct report_map *m, const struct report_map *owners)
{
	unsigned int n = 0;

	for (size_t i = run.first; i <= run.last; i++) {
		const struct event *ev = event_at(rec, i);
		size_t next = i + 1;

		if (!ev || ev->type != EVENT_STEP)
			continue;
		if (!n++)
			fputs("<h4>Steps</h4>\n<ol class=\"steps\">\n", f);
		fputs("<li><p>", f);
		said(f, ev);
		fputs("</p>\n", f);
		/* Its own reading comes before what it does. */
		while (next < rec->nr && !event_at(rec, next))
			next++;
		if (n <= MAX_STILLS) {
			fputs("<div class=\"stills\">\n", f);
			put_still(f, m, next, ev->number);
			put_still(f, owners, next, ev->number);
			fputs("</div>\n", f);
		}
		fputs("</li>\n", f);
	}
	if (n)
		fputs("</ol>\n", f);
}

static void put_run(FILE *f, const struct recording *rec, struct part run,
		    const struct report_map *m, const struct report_map *owners)
{
	const struct event *start = event_at(rec, run.first), *end = event_at(rec, run.last);
	const char *verdict = verdict_name(end->end->verdict);

	fputs("<section><h3>", f);
	text_write_markup(f, start->scenario);
	fprintf(f, " <span class=\"%s\">%s</span></h3>\n", verdict, verdict);
	element(f, "p", start->start->summary);
	if (*end->end->reason) {
		fputs("<p><b>Why:</b> ", f);
		text_write_markup(f, end->end->reason);
		fputs("</p>\n", f);
	}
	fprintf(f, "<p>Seed %" PRIu64 "; %.3f s; %u steps; %u results held, %u failed, %u were "
		"skipped.", start->start->seed, (double)end->end->ns / 1e9, end->end->steps,
		end->end->passed, end->end->failed, end->end->skipped);
	for (size_t i = 0; i < start->start->nr_params; i++) {
		fputs(i ? ", " : " Parameters: ", f);
		text_write_markup(f, start->start->params[i].name);
		fputc('=', f);
		text_write_markup(f, start->start->params[i].text);
	}
	fputs("</p>\n", f);
	put_failures(f, rec, run);
	put_steps(f, rec, run, m, owners);
	put_measures(f, rec, run);
	put_results(f, rec, run);
	fputs("</section>\n", f);
}

/* ---- A recording --------------------------------------------------------------------------- */

static void put_overview(FILE *f, const struct report_input *in)
{
	const struct recording *rec = in->rec;
	char seconds[40];
	struct part run;
	size_t at = 0;
	bool any = false;

	snprintf(seconds, sizeof(seconds), "%.3f", (double)rec->end / 1e9);
	fputs("<table><tbody>\n", f);
	row(f, "File", in->name);
	row(f, "What ran", rec->command);
	row(f, "Began", rec->started);
	row(f, "Kernel", rec->kernel);
	row(f, "Machine", rec->machine);
	row(f, "tagscope", rec->tagscope);
	row(f, "Seconds", seconds);
	fputs("</tbody></table>\n", f);
	if (in->trouble) {
		fputs("<p class=\"failed\">It is not whole: ", f);
		text_write_markup(f, in->trouble);
		fputs(". What comes before that is here.</p>\n", f);
	}
	while (next_run(rec, &at, &run)) {
		const struct event_end *end = event_at(rec, run.last)->end;

		if (!any)
			fputs("<table><thead><tr><th scope=\"col\">Scenario</th>"
			      "<th scope=\"col\">Verdict</th><th scope=\"col\">Held</th>"
			      "<th scope=\"col\">Failed</th><th scope=\"col\">Skipped</th>"
			      "<th scope=\"col\">Seconds</th></tr></thead><tbody>\n", f);
		any = true;
		fputs("<tr>", f);
		element(f, "td", event_at(rec, run.first)->scenario);
		fprintf(f, "<td class=\"%s\">%s</td><td class=\"number\">%u</td>"
			"<td class=\"number\">%u</td><td class=\"number\">%u</td>"
			"<td class=\"number\">%.3f</td></tr>\n", verdict_name(end->verdict),
			verdict_name(end->verdict), end->passed, end->failed, end->skipped,
			(double)end->ns / 1e9);
	}
	fputs(any ? "</tbody></table>\n" : "<p>Nothing was run in it.</p>\n", f);
}

static void put_legend(FILE *f, const struct report_map *m)
{
	fputs("<ul class=\"legend\">\n", f);
	for (const char *l = m->owners ? OWNER_SHOWN : STATE_LETTERS; *l; l++) {
		fprintf(f, "<li><span class=\"cell b-%c\" aria-hidden=\"true\">%c</span> ",
			report_map_class(*l), *l);
		text_write_markup(f, m->owners ? owner_text(*l) : state_letter_text(*l));
		if (m->owners && isupper((unsigned char)*l))
			fputs(*l == 'T' ? " of the scenario's memory" :
					  ", where tags of the scenario's memory belong", f);
		fputs("</li>\n", f);
	}
	fputs("</ul>\n", f);
}

static void put_map(FILE *f, const struct recording *rec, const struct report_map *m, size_t n)
{
	const char *title = m->owners ? "Whose data lies in tag storage" : "The map of tag storage";
	char id[40];

	if (!m->nr_frames) {
		fputs(m->owners ? "<p>It was not recorded whose data lies in tag storage.</p>\n" :
				  "<p>There was no map of tag storage to record.</p>\n", f);
		return;
	}
	fprintf(f, "<h3>%s</h3>\n<p>Each cell is %" PRIu64 " block%s. Move the "
		"slider, with the arrow keys too, to go through time.</p>\n", title, m->per_cell,
		m->per_cell == 1 ? "" : "s");
	snprintf(id, sizeof(id), "%s-%zu", m->owners ? "owners" : "map", n);
	fprintf(f, "<div class=\"map\" data-map=\"%s\" data-count=\"%s\" data-title=\"%s\">"
		"<canvas width=\"768\" height=\"%zu\" role=\"img\" aria-label=\"%s\"></canvas>"
		"<p class=\"controls\"><button type=\"button\">Play</button> "
		"<label>Time <input type=\"range\" min=\"0\" max=\"%zu\" value=\"0\"></label> "
		"<output aria-live=\"polite\"></output></p></div>\n", id,
		m->owners ? "aA are the attacker's;A of these are needed for tags" : "r hold tags",
		title, (m->cells + m->columns - 1) / m->columns * 768 / m->columns, title,
		m->nr_frames - 1);
	put_legend(f, m);
	report_map_data(f, m, rec, id);
}

static int put_input(FILE *f, const struct report_input *in, size_t n)
{
	struct report_map m, owners;
	struct part run;
	size_t at = 0;

	if (!report_map_make(&m, in->rec, false))
		return -ENOMEM;
	if (!report_map_make(&owners, in->rec, true)) {
		report_map_free(&m);
		return -ENOMEM;
	}
	fprintf(f, "<section id=\"r%zu\"><h2>", n);
	text_write_markup(f, in->name);
	fputs("</h2>\n", f);
	put_overview(f, in);
	put_map(f, in->rec, &m, n);
	if (m.nr_frames)
		put_map(f, in->rec, &owners, n);
	if (in->rec->has_state) {
		fputs("<h3>Counters and latencies</h3>\n", f);
		report_plots(f, in->rec, &m);
	}
	while (next_run(in->rec, &at, &run))
		put_run(f, in->rec, run, &m, &owners);
	fputs("</section>\n", f);
	report_map_free(&m);
	report_map_free(&owners);
	return 0;
}

/* ---- Two of them ---------------------------------------------------------------------- */

/* The same result or measure of the same run (the n-th of that scenario) elsewhere, or NULL. */
static const struct event *counterpart(const struct recording *rec, const struct event *ev,
				       unsigned int nth_run, unsigned int nth)
{
	unsigned int run = 0, seen = 0;

	for (size_t i = 0; i < rec->nr; i++) {
		const struct event *o = event_at(rec, i);

		if (!o || strcmp(o->scenario, ev->scenario))
			continue;
		run += o->type == EVENT_START;
		if (run == nth_run && o->type == ev->type && ev->text && o->text &&
		    !strcmp(o->text, ev->text) && !strcmp(o->role, ev->role) && ++seen == nth)
			return o;
	}
	return NULL;
}

/* Which run of its scenario, and which of its name in that run, entry i is. */
static void which(const struct recording *rec, size_t i, unsigned int *nth_run, unsigned int *nth)
{
	const struct event *ev = event_at(rec, i);

	*nth_run = 0;
	*nth = 0;
	for (size_t k = 0; k <= i; k++) {
		const struct event *o = event_at(rec, k);

		if (!o || strcmp(o->scenario, ev->scenario))
			continue;
		if (o->type == EVENT_START) {
			++*nth_run;
			*nth = 0;
		}
		*nth += o->type == ev->type && o->text && !strcmp(o->text, ev->text) &&
			!strcmp(o->role, ev->role);
	}
}

static void put_value(FILE *f, const struct event *ev)
{
	char value[40];

	if (!ev)
		fputs("<td>not there</td>", f);
	else if (ev->type == EVENT_RESULT)
		fprintf(f, "<td class=\"%s\">%s</td>", result_word(ev), result_word(ev));
	else
		fprintf(f, "<td class=\"number\">%s</td>",
			format_value(ev->value, value, sizeof(value)));
}

static bool differ(const struct event *a, const struct event *b)
{
	if (!a || !b)
		return a != b;
	if (a->type == EVENT_RESULT)
		return a->ok != b->ok || a->skipped != b->skipped;
	return a->value < b->value || a->value > b->value;
}

static void put_difference(FILE *f, const struct event *what, const struct event *a,
			   const struct event *b)
{
	fputs("<tr>", f);
	element(f, "td", what->scenario);
	fputs("<td>", f);
	said(f, what);
	if (what->type == EVENT_MEASURE && strcmp(what->unit, "1")) {
		fputs(", ", f);
		text_write_markup(f, what->unit);
	}
	fputs("</td>", f);
	put_value(f, a);
	put_value(f, b);
	if (a && b && what->type == EVENT_MEASURE && a->value > 0)
		fprintf(f, "<td class=\"number\">%+.1f %%</td>",
			(b->value - a->value) / a->value * 100);
	else
		fputs("<td></td>", f);
	fputs("</tr>\n", f);
}

static void put_differences(FILE *f, const struct report_input *a, const struct report_input *b)
{
	const struct recording *const rec[2] = { a->rec, b->rec };
	unsigned int n = 0;

	fputs("<section id=\"differences\"><h2>What differs</h2>\n<p>In results and in measures, "
	      "from ", f);
	text_write_markup(f, a->name);
	fputs(" to ", f);
	text_write_markup(f, b->name);
	fputs(". Of measures that are times small differences are usual.</p>\n", f);
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i < rec[side]->nr; i++) {
			const struct event *ev = event_at(rec[side], i), *other;
			unsigned int nth_run, nth;

			if (!ev || (ev->type != EVENT_RESULT && ev->type != EVENT_MEASURE))
				continue;
			which(rec[side], i, &nth_run, &nth);
			other = counterpart(rec[!side], ev, nth_run, nth);
			/* What both have was told from the first. */
			if ((side && other) || !differ(ev, other))
				continue;
			if (!n++)
				fputs("<table><thead><tr><th scope=\"col\">Scenario</th>"
				      "<th scope=\"col\">Result or measure</th>"
				      "<th scope=\"col\">First</th><th scope=\"col\">Second</th>"
				      "<th scope=\"col\">Change</th></tr></thead><tbody>\n", f);
			put_difference(f, ev, side ? NULL : ev, side ? ev : other);
		}
	}
	fputs(n ? "</tbody></table>\n" : "<p>Nothing differs.</p>\n", f);
	fputs("</section>\n", f);
}

/* ---- The page ------------------------------------------------------------------------- */

int report_page(FILE *f, const struct report_input *in, size_t n)
{
	int err = 0;

	fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
		"<link rel=\"icon\" href=\"data:,\">\n"
		"<title>tagscope: ");
	text_write_markup(f, in[0].name);
	fprintf(f, "</title>\n<style>%s</style>\n</head>\n<body>\n<header><h1>tagscope report</h1>\n"
		"</header>\n", report_style);
	if (n > 1) {
		fputs("<nav aria-label=\"Recordings\"><ul>\n", f);
		for (size_t i = 0; i < n; i++) {
			fprintf(f, "<li><a href=\"#r%zu\">", i);
			text_write_markup(f, in[i].name);
			fputs("</a></li>\n", f);
		}
		fputs("<li><a href=\"#differences\">What differs</a></li></ul></nav>\n", f);
	}
	fputs("<main>\n", f);
	for (size_t i = 1; i < n; i++)
		put_differences(f, &in[0], &in[i]);
	if (n > 1)
		fputs("<div class=\"beside\">\n", f);
	for (size_t i = 0; i < n && !err; i++)
		err = put_input(f, &in[i], i);
	fprintf(f, "%s</main>\n<script>%s</script>\n</body>\n</html>\n", n > 1 ? "</div>\n" : "",
		report_script);
	return err;
}
