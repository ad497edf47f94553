// SPDX-License-Identifier: GPL-2.0-only
/* Lessons as their files have them: see lesson.h. */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "base/text.h"
#include "kernel/state.h"
#include "lesson/lesson.h"

#define MAX_FILE 65536

/* ---- Reading a file --------------------------------------------------------------------- */

struct reader {
	struct lesson *l;
	unsigned int line;
	char **text;			/* of the section that is read; NULL: there is none yet */
	struct lesson_stop *stop;	/* it is of this stop, or NULL */
	bool in_question;
	bool apart;			/* what comes next begins a paragraph */
	int err;
	char why[300];
};

static bool fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	r->err = -EPROTO;
	return false;
}

static bool set(struct reader *r, char **to, const char *text, const char *what)
{
	if (*to)
		return fail(r, "a second %s", what);
	*to = strdup(text);
	return *to || fail(r, "out of memory");
}

/* Lines of a paragraph are joined, paragraphs are lines. */
static bool add_text(struct reader *r, const char *line)
{
	size_t had = *r->text ? strlen(*r->text) : 0, len = strlen(line);
	char *more = realloc(*r->text, had + len + 2);

	if (!more)
		return fail(r, "out of memory");
	*r->text = more;
	if (had)
		more[had++] = r->apart ? '\n' : ' ';
	memcpy(more + had, line, len + 1);
	r->apart = false;
	return true;
}

/* " of run 2" behind something, or nothing: run 1. */
static bool take_run(const char *text, size_t *run)
{
	unsigned int n = 1;
	int len = 0;

	if (*text && (sscanf(text, " of run %u%n", &n, &len) != 1 || text[len]))
		return false;
	*run = n - 1;
	return n && n <= LESSON_RUNS;
}

/* "after step 3", "after the end"; with "of run 2" behind. */
static bool take_place(const char *text, struct lesson_place *at)
{
	unsigned int step = 0;
	int n = 0;

	*at = (struct lesson_place){ 0 };
	if (!strncmp(text, "after the end", 13)) {
		step = LESSON_END;
		n = 13;
	} else if (sscanf(text, "after step %u%n", &step, &n) != 1) {
		return false;
	}
	at->step = step;
	return take_run(text + n, &at->run) && (step <= 1000 || step == LESSON_END);
}

static bool is_letter(const char *text)
{
	return *text && !text[1] && state_letter_number(*text) >= 0;
}

static bool take_show(struct reader *r, const char *value)
{
	struct lesson_stop *s = r->stop;

	if (!s)
		return fail(r, "'Show' is for a step");
	if (!strcmp(value, "changes")) {
		s->show = SHOW_CHANGES;
	} else if (!strcmp(value, "latencies")) {
		s->show = SHOW_LATENCIES;
	} else if (!strcmp(value, "log")) {
		s->show = SHOW_LOG;
	} else if (!strncmp(value, "block in state ", 15) && is_letter(value + 15)) {
		s->show = SHOW_STATE;
		s->letter = value[15];
	} else if (!strncmp(value, "owner ", 6) && value[6] && !value[7] &&
		   strchr(OWNER_SHOWN, value[6])) {
		s->show = SHOW_OWNER;
		s->letter = value[6];
	} else if (!strncmp(value, "block of ", 9) && parse_u64(value + 9, false, &s->address)) {
		s->show = SHOW_ADDRESS;
	} else if (!strncmp(value, "counter ", 8) && value[8] && !strchr(value + 8, ' ')) {
		s->show = SHOW_COUNTER;
		return set(r, &s->name, value + 8, "Show");
	} else {
		return fail(r, "'Show: %s': it is changes, latencies, log, block in state "
			    "LETTER, owner LETTER, block of ADDRESS or counter NAME", value);
	}
	return true;
}

/* "counter NAME after ..., counter NAME from step N to step M, measure NAME", ... */
static bool take_answer(struct reader *r, const char *value)
{
	struct lesson_question *q = &r->l->question;
	char name[100], letter[3];
	unsigned int from, to;
	size_t run;
	int n = 0;

	if (!r->in_question)
		return fail(r, "'Answer' is for the question");
	if (sscanf(value, "counter %99s from step %u to step %u%n", name, &from, &to, &n) == 3 &&
	    take_run(value + n, &run) && from < to) {
		q->ask = ASK_COUNTER;
		q->has_from = true;
		q->from = from;
		q->at = (struct lesson_place){ .run = run, .step = to };
	} else if (sscanf(value, "counter %99s %n", name, &n) == 1 && n &&
		   take_place(value + n, &q->at)) {
		q->ask = ASK_COUNTER;
	} else if (sscanf(value, "measure %99s%n", name, &n) == 1 &&
		   take_run(value + n, &run)) {
		q->ask = ASK_MEASURE;
		q->at.run = run;
	} else if (!strncmp(value, "block of ", 9) && parse_u64(value + 9, false, &q->address)) {
		q->ask = ASK_BLOCK_OF;
		return true;
	} else if (sscanf(value, "any block in state %2s %n", letter, &n) == 1 && n &&
		   is_letter(letter) && take_place(value + n, &q->at)) {
		q->ask = ASK_ANY_BLOCK;
		q->letter = *letter;
		return true;
	} else {
		return fail(r, "'Answer: %s': it is counter NAME after step N, counter NAME from "
			    "step N to step M, measure NAME, block of ADDRESS, or any block in "
			    "state LETTER after step N; with 'of run 2' behind", value);
	}
	return set(r, &q->name, name, "Answer");
}

/* "- (>= 3) text" */
static bool take_option(struct reader *r, const char *line)
{
	struct lesson_question *q = &r->l->question;
	struct lesson_option *o = &q->option[q->nr_options];
	static const char *const ops[] = { "=", "!=", "<", "<=", ">", ">=" };
	char op[3];
	double value;
	int n = 0;

	if (q->nr_options == LESSON_OPTIONS)
		return fail(r, "more than %d options", LESSON_OPTIONS);
	if (sscanf(line, "- (%2[=!<>] %lf) %n", op, &value, &n) != 2 || !n || !line[n])
		return fail(r, "an option is '- (> 3) TEXT': when it is the right one, and what "
			    "it says");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i], op))
			continue;
		memcpy(o->op, op, sizeof(op));
		o->value = value;
		o->text = strdup(line + n);
		q->nr_options++;
		return o->text || fail(r, "out of memory");
	}
	return fail(r, "'%s' compares nothing: = != < <= > >=", op);
}

static bool take_key(struct reader *r, char *line)
{
	struct lesson *l = r->l;
	char *value = strstr(line, ": ");
	uint64_t n;

	if (!value)
		return fail(r, "'%s': a line that begins with * is '* KEY: VALUE'", line);
	*value = '\0';
	value += 2;
	if (!strcmp(line, "Run") && !r->text) {
		if (l->nr_runs == LESSON_RUNS)
			return fail(r, "more than %d runs", LESSON_RUNS);
		return set(r, &l->run[l->nr_runs++].command, value, "Run");
	}
	if (!strcmp(line, "Machine") && !r->text && l->nr_runs)
		return set(r, &l->run[l->nr_runs - 1].machine, value, "Machine of a run");
	if (!strcmp(line, "Minutes") && !r->text) {
		if (!parse_u64(value, false, &n) || !n || n > 60)
			return fail(r, "'Minutes: %s': 1 to 60", value);
		l->minutes = (unsigned int)n;
		return true;
	}
	if (!strcmp(line, "Show"))
		return take_show(r, value);
	if (!strcmp(line, "Answer"))
		return take_answer(r, value);
	if (!strcmp(line, "Hint") && r->in_question)
		return set(r, &l->question.hint, value, "Hint");
	return fail(r, "there is no '%s' here", line);
}

static bool begin_stop(struct reader *r, const struct lesson_place *at)
{
	struct lesson *l = r->l;
	const struct lesson_stop *before = l->nr_stops ? &l->stop[l->nr_stops - 1] : NULL;

	if (l->nr_stops == LESSON_STOPS)
		return fail(r, "more than %d steps", LESSON_STOPS);
	if (at->run >= l->nr_runs)
		return fail(r, "there is no run %zu", at->run + 1);
	if (before && (before->at.run > at->run ||
		       (before->at.run == at->run && before->at.step >= at->step)))
		return fail(r, "it comes before the one above");
	r->stop = &l->stop[l->nr_stops++];
	r->stop->at = *at;
	r->text = &r->stop->text;
	return true;
}

static bool begin_section(struct reader *r, char *title)
{
	struct lesson *l = r->l;
	const struct {
		const char *title;
		char **text;
	} sections[] = {
		{ "What you know", &l->know },	     { "What to watch", &l->watch },
		{ "Question", &l->question.text },   { "Why", &l->right },
		{ "Read next", &l->next },	     { "For the instructor", &l->instructor },
	};
	struct lesson_place at;

	r->stop = NULL;
	r->in_question = false;
	r->apart = false;
	if (!strncmp(title, "After ", 6)) {
		*title = 'a';
		if (take_place(title, &at))
			return begin_stop(r, &at);
		*title = 'A';
	}
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (strcmp(sections[i].title, title))
			continue;
		if (*sections[i].text)
			return fail(r, "a second '%s'", title);
		r->text = sections[i].text;
		r->in_question = r->text == &l->question.text;
		return true;
	}
	return fail(r, "there is no section '%s': What you know, What to watch, After step N, "
		    "Question, Why, Read next, For the instructor", title);
}

static bool take_line(struct reader *r, char *line)
{
	size_t len = strlen(line);

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	text_clean(line);
	if (!*line) {
		r->apart = true;
		return true;
	}
	if (!strncmp(line, "# ", 2))
		return set(r, &r->l->title, line + 2, "title");
	if (!r->l->title)
		return fail(r, "the first line is '# TITLE'");
	if (!strncmp(line, "## ", 3))
		return begin_section(r, line + 3);
	if (!strncmp(line, "* ", 2) && (!r->text || !*r->text))
		return take_key(r, line + 2);
	if (!r->text)
		return fail(r, "before the first section there are only '* KEY: VALUE'");
	if (r->in_question && !strncmp(line, "- ", 2))
		return take_option(r, line);
	return add_text(r, line);
}

/* What no lesson can be without. */
static bool whole(struct reader *r)
{
	const struct lesson *l = r->l;
	const struct lesson_question *q = &l->question;
	const struct {
		const char *name;
		bool there;
	} needs[] = {
		{ "* Run", l->nr_runs },
		{ "* Minutes", l->minutes },
		{ "## What you know", l->know },
		{ "## What to watch", l->watch },
		{ "## Question", q->text },
		{ "* Answer", q->name || q->letter || q->ask == ASK_BLOCK_OF },
		{ "* Hint", q->hint },
		{ "## Why", l->right },
		{ "## Read next", l->next },
		{ "## For the instructor", l->instructor },
	};

	r->line = 0;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!needs[i].there)
			return fail(r, "there is no '%s'", needs[i].name);
	if (l->nr_stops < 3)
		return fail(r, "%zu steps; a lesson has 3 to %d", l->nr_stops, LESSON_STOPS);
	for (size_t i = 0; i < l->nr_stops; i++)
		if (!l->stop[i].text)
			return fail(r, "nothing is said after step %u", l->stop[i].at.step);
	for (size_t run = 0; run < l->nr_runs; run++) {
		size_t first = lesson_first_stop(l, run);

		if (first == l->nr_stops || l->stop[first].at.run != run)
			return fail(r, "no step is of run %zu", run + 1);
	}
	if (q->nr_options == 1)
		return fail(r, "one option only");
	if (q->nr_options && (q->ask == ASK_ANY_BLOCK || q->ask == ASK_BLOCK_OF))
		return fail(r, "options are for numbers");
	if (q->at.run >= l->nr_runs)
		return fail(r, "the question is about run %zu, which there is not", q->at.run + 1);
	return true;
}

int lesson_parse(const char *name, const char *text, size_t len, struct lesson **out, char *why,
		 size_t size)
{
	struct reader r = { .l = calloc(1, sizeof(*r.l)) };
	char *copy = malloc(len + 1), *next;
	bool good;

	*out = NULL;
	if (!r.l || !copy) {
		free(r.l);
		free(copy);
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	r.l->number = (unsigned int)strtoul(name, NULL, 10);
	good = set(&r, &r.l->name, name, "name");
	for (char *line = copy; good && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r.line++;
		good = take_line(&r, line);
	}
	free(copy);
	good = good && whole(&r);
	for (size_t i = 0; good && i < r.l->nr_runs; i++)
		if (!r.l->run[i].machine)
			good = set(&r, &r.l->run[i].machine, "", "Machine");
	if (!good) {
		if (r.line)
			snprintf(why, size, "line %u: %s", r.line, r.why);
		else
			snprintf(why, size, "%s", r.why);
		lesson_free(r.l);
		return r.err;
	}
	*out = r.l;
	return 0;
}

int lesson_read(const char *path, struct lesson **out, char *why, size_t size)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	char *text = malloc(MAX_FILE), name[NAME_MAX];
	FILE *f = fopen(path, "re");
	size_t len;
	int err = 0;

	*out = NULL;
	if (!f || !text) {
		err = f ? -ENOMEM : -errno;
		snprintf(why, size, "%s", strerror(-err));
	} else {
		len = fread(text, 1, MAX_FILE, f);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
		if (ferror(f)) {
			err = -EIO;
			snprintf(why, size, "it cannot be read");
		} else if (len == MAX_FILE) {
			err = -EFBIG;
			snprintf(why, size, "larger than any lesson");
		} else {
			err = lesson_parse(name, text, len, out, why, size);
		}
	}
	if (f)
		fclose(f);
	free(text);
	return err;
}

void lesson_free(struct lesson *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < LESSON_RUNS; i++) {
		free(l->run[i].command);
		free(l->run[i].machine);
	}
	for (size_t i = 0; i < LESSON_STOPS; i++) {
		free(l->stop[i].name);
		free(l->stop[i].text);
	}
	for (size_t i = 0; i < LESSON_OPTIONS; i++)
		free(l->question.option[i].text);
	free(l->question.name);
	free(l->question.text);
	free(l->question.hint);
	free(l->name);
	free(l->title);
	free(l->know);
	free(l->watch);
	free(l->right);
	free(l->next);
	free(l->instructor);
	free(l);
}

bool place_is(const struct lesson_place *at, size_t run, unsigned int steps, bool end)
{
	return at->run == run && (at->step == steps || (end && at->step == LESSON_END));
}

const char *place_text(const struct lesson_place *at, char *buf, size_t size)
{
	if (at->step == LESSON_END)
		snprintf(buf, size, "at the end");
	else if (at->step)
		snprintf(buf, size, "after step %u", at->step);
	else
		snprintf(buf, size, "before it begins");
	return buf;
}

size_t lesson_first_stop(const struct lesson *l, size_t run)
{
	size_t i = 0;

	while (i < l->nr_stops && l->stop[i].at.run < run)
		i++;
	return i;
}

/* ---- All of them ------------------------------------------------------------------------ */

static bool has_lessons(const char *folder)
{
	char pattern[PATH_MAX];
	bool any;
	glob_t g;

	snprintf(pattern, sizeof(pattern), "%s/[0-9][0-9]-*.md", folder);
	any = !glob(pattern, 0, NULL, &g);
	globfree(&g);
	return any;
}

bool lesson_folder(char *buf, size_t size)
{
	/* From the program: PREFIX/bin, build/host, build/host/test. */
	static const char *const places[] = {
		"../share/tagscope/lessons", "../../docs/lessons", "../../../docs/lessons",
	};
	const char *env = getenv("TAGSCOPE_LESSONS");
	char self[PATH_MAX], *end;
	ssize_t n;

	if (env) {
		snprintf(buf, size, "%s", env);
		return has_lessons(buf);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	end = strrchr(self, '/');
	if (end)
		*end = '\0';
	for (size_t i = 0; end && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(buf, size, "%s/%s", self, places[i]);
		if (has_lessons(buf))
			return true;
	}
	return false;
}

int lessons_read(const char *folder, struct lesson ***out, size_t *n, char *why, size_t size)
{
	char pattern[PATH_MAX], what[400];
	int err = 0;
	glob_t g;

	*n = 0;
	*out = NULL;
	snprintf(pattern, sizeof(pattern), "%s/[0-9][0-9]-*.md", folder);
	if (glob(pattern, 0, NULL, &g)) {
		snprintf(why, size, "there is no lesson in %s", folder);
		globfree(&g);
		return -ENOENT;
	}
	*out = calloc(g.gl_pathc + 1, sizeof(struct lesson *));
	if (!*out)
		err = -ENOMEM;
	for (size_t i = 0; i < g.gl_pathc && !err; i++) {
		err = lesson_read(g.gl_pathv[i], &(*out)[*n], what, sizeof(what));
		if (err)
			snprintf(why, size, "%s: %s", g.gl_pathv[i], what);
		else
			++*n;
	}
	globfree(&g);
	if (err) {
		lessons_free(*out, *n);
		*out = NULL;
		*n = 0;
	}
	return err;
}

void lessons_free(struct lesson **l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lesson_free(l[i]);
	free(l);
}

const char *lesson_recording(const struct lesson *l, size_t run, const char *folder, char *buf,
			     size_t size)
{
	if (run)
		snprintf(buf, size, "%s/%s.%zu.rec", folder, l->name, run + 1);
	else
		snprintf(buf, size, "%s/%s.rec", folder, l->name);
	return buf;
}
