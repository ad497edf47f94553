// SPDX-License-Identifier: GPL-2.0-only
/* What came out of many runs: see results.h. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "commands/results.h"
#include "event/reader.h"

/* What every machine is unless it is said; its name is left out. */
#define PLAIN_MACHINE "patched"

static struct result_run *add_run(struct results *r)
{
	struct result_run *more = realloc(r->runs, (r->nr_runs + 1) * sizeof(*more));

	if (!more)
		return NULL;
	r->runs = more;
	more += r->nr_runs++;
	*more = (struct result_run){ .key = NULL };
	return more;
}

/* false: out of memory. */
static bool add_failure(struct result_run *run, const char *text, const char *detail)
{
	size_t n = 0;
	char **more, *line;

	while (run->failures && run->failures[n])
		n++;
	more = realloc(run->failures, (n + 2) * sizeof(*more));
	if (!more)
		return false;
	run->failures = more;
	more[n] = NULL;
	if (asprintf(&line, "%s%s%s", text, detail ? ": " : "", detail ? detail : "") < 0)
		return false;
	text_clean(line);
	more[n] = line;
	more[n + 1] = NULL;
	return true;
}

static bool add_sample(struct results *r, const struct result_sample *s)
{
	struct result_sample *more = realloc(r->samples, (r->nr_samples + 1) * sizeof(*more));

	if (!more)
		return false;
	r->samples = more;
	more += r->nr_samples++;
	*more = *s;
	more->key = strdup(s->key);
	more->scenario = strdup(s->scenario);
	more->name = strdup(s->name);
	more->unit = strdup(s->unit);
	if (!more->key || !more->scenario || !more->name || !more->unit)
		return false;
	text_clean(more->name);
	text_clean(more->unit);
	return true;
}

/* The first of what is in that array or object; NULL: there is none. */
static const cJSON *first_of(const cJSON *o, const char *key)
{
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(o, key);

	return all ? all->child : NULL;
}

/* A line of results.jsonl: one object for each run. */
static int add_line(struct results *r, const cJSON *o, enum side side)
{
	const char *scenario = json_string(o, "scenario"), *verdict = json_string(o, "verdict");
	const char *expect = json_string(o, "expect"), *label = json_string(o, "label");
	const char *why = json_string(o, "reason"), *state = json_string(o, "state");
	const cJSON *machine = cJSON_GetObjectItemCaseSensitive(o, "machine");
	const cJSON *icount = cJSON_GetObjectItemCaseSensitive(machine, "icount");
	bool missing = state && !strcmp(state, "missing");
	const cJSON *i;
	struct result_run *run;
	size_t size = 0;
	FILE *key;

	if (!scenario || !expect || !label || (!verdict && !missing))
		return -EPROTO;
	run = add_run(r);
	key = run ? open_memstream(&run->key, &size) : NULL;
	if (!key)
		return -ENOMEM;
	fputs(scenario, key);
	for (i = first_of(o, "params"); i; i = i->next)
		fprintf(key, " %s=%s", i->string, cJSON_IsString(i) ? i->valuestring : "");
	if (strcmp(label, PLAIN_MACHINE))
		fprintf(key, " [%s]", label);
	if (fclose(key))
		return -ENOMEM;
	text_clean(run->key);
	run->side = side;
	run->missing = missing;
	/* scripts/suite knows more: a panic is no expected failure, in quarantine one may fail. */
	if (state && !missing) {
		run->skipped = !strcmp(state, "skipped");
		run->excused = !strcmp(state, "quarantined");
		run->bad = !strcmp(state, "failed") || !strcmp(state, "error");
	} else if (!missing) {
		run->skipped = !strcmp(verdict, "skip") && strcmp(expect, "skip");
		run->bad = !run->skipped && strcmp(verdict, expect);
	}
	run->why = strdup(why ? why : "");
	if (!run->why)
		return -ENOMEM;
	text_clean(run->why);
	for (i = first_of(o, "failures"); i; i = i->next)
		if (cJSON_IsString(i) && !add_failure(run, i->valuestring, NULL))
			return -ENOMEM;
	for (i = first_of(o, "measures"); i; i = i->next) {
		const char *unit = json_string(i, "unit");
		struct result_sample s = {
			.key = run->key,
			.scenario = (char *)(uintptr_t)scenario,
			.name = i->string,
			.unit = (char *)(uintptr_t)(unit ? unit : ""),
			.side = side,
			.exact = cJSON_IsTrue(icount),
		};

		if (json_get_double(cJSON_GetObjectItemCaseSensitive(i, "value"), &s.value) &&
		    !add_sample(r, &s))
			return -ENOMEM;
	}
	return 0;
}

struct listening {
	struct results *r;
	enum side side;
	struct result_run *run;
	uint64_t planned, started;
	int err;
};

/* An event of a run in one guest. */
static void add_event(void *ctx, const struct event *ev)
{
	struct listening *l = ctx;
	struct result_sample s;
	size_t size = 0;
	FILE *key;

	if (l->err)
		return;
	switch (ev->type) {
	case EVENT_PLAN:
		l->planned = ev->number;
		break;
	case EVENT_START:
		l->started++;
		l->run = add_run(l->r);
		key = l->run ? open_memstream(&l->run->key, &size) : NULL;
		if (!key) {
			l->err = -ENOMEM;
			return;
		}
		fputs(ev->scenario, key);
		for (size_t i = 0; i < ev->start->nr_params; i++)
			fprintf(key, " %s=%s", ev->start->params[i].name,
				ev->start->params[i].text);
		if (fclose(key))
			l->err = -ENOMEM;
		else
			text_clean(l->run->key);
		l->run->side = l->side;
		break;
	case EVENT_RESULT:
		if (!ev->ok && !add_failure(l->run, ev->text, ev->detail))
			l->err = -ENOMEM;
		break;
	case EVENT_MEASURE:
		s = (struct result_sample){
			.key = l->run->key,
			.scenario = (char *)(uintptr_t)ev->scenario,
			.name = (char *)(uintptr_t)ev->text,
			.unit = (char *)(uintptr_t)(ev->unit ? ev->unit : ""),
			.side = l->side,
			.value = ev->value,
		};
		if (isfinite(s.value) && !add_sample(l->r, &s))
			l->err = -ENOMEM;
		break;
	case EVENT_END:
		l->run->skipped = ev->end->verdict == VERDICT_SKIP;
		l->run->bad = !l->run->skipped && ev->end->verdict != VERDICT_PASS;
		l->run->why = strdup(ev->end->reason);
		if (!l->run->why)
			l->err = -ENOMEM;
		break;
	default:
		break;
	}
}

static int read_lines(struct results *r, FILE *f, enum side side, char *why, size_t size)
{
	struct listening l = { .r = r, .side = side };
	char *line = NULL;
	size_t room = 0;
	unsigned int number = 0;
	ssize_t len;
	int err = 0;

	while (!err && (len = getline(&line, &room, f)) >= 0) {
		cJSON *o;

		number++;
		if (len && line[len - 1] == '\n')
			len--;
		o = json_parse(line, (size_t)len);
		if (number == 1 && json_string(o, "event")) {
			cJSON_Delete(o);
			free(line);
			rewind(f);
			err = events_read(f, add_event, &l, why, size);
			if (!err && !l.err && l.started < l.planned) {
				snprintf(why, size, "it ends after %" PRIu64 " of %" PRIu64
					 " scenarios", l.started, l.planned);
				err = -EPROTO;
			}
			return err ? err : l.err;
		}
		err = cJSON_IsObject(o) ? add_line(r, o, side) : -EPROTO;
		cJSON_Delete(o);
	}
	free(line);
	if (err == -ENOMEM) {
		snprintf(why, size, "out of memory");
	} else if (err) {
		snprintf(why, size, "line %u is neither a result of scripts/suite nor an event",
			 number);
	} else if (ferror(f)) {
		err = -errno;
		snprintf(why, size, "%s", strerror(errno));
	} else if (!number) {
		err = -EPROTO;
		snprintf(why, size, "it is empty");
	}
	return err;
}

int results_read(struct results *r, const char *path, enum side side, char *why, size_t size)
{
	char name[PATH_MAX];
	struct stat st;
	FILE *f;
	int err;

	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		int len = snprintf(name, sizeof(name), "%s/results.jsonl", path);

		if ((size_t)len >= sizeof(name)) {
			snprintf(why, size, "%s", strerror(ENAMETOOLONG));
			return -ENAMETOOLONG;
		}
		path = name;
	}
	f = fopen(path, "re");
	if (!f) {
		err = -errno;
		snprintf(why, size, "%s%s", strerror(errno),
			 path == name ? " (results.jsonl; scripts/suite --merge makes it)" : "");
		return err;
	}
	err = read_lines(r, f, side, why, size);
	fclose(f);
	return err;
}

void results_free(struct results *r)
{
	for (size_t i = 0; i < r->nr_runs; i++) {
		for (char **f = r->runs[i].failures; f && *f; f++)
			free(*f);
		free(r->runs[i].failures);
		free(r->runs[i].key);
		free(r->runs[i].why);
	}
	for (size_t i = 0; i < r->nr_samples; i++) {
		free(r->samples[i].key);
		free(r->samples[i].scenario);
		free(r->samples[i].name);
		free(r->samples[i].unit);
	}
	free(r->runs);
	free(r->samples);
	*r = (struct results){ .runs = NULL };
}
