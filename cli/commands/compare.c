// SPDX-License-Identifier: GPL-2.0-only
/* tagscope compare */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "commands/command.h"
#include "commands/results.h"
#include "output/format.h"

#define DEFAULT_THRESHOLD 25.0		/* % */
/* Less says nothing of the noise of a time. */
#define ENOUGH_SAMPLES 3
/* As often as this chance may make two rates differ, or a rate may be called another. */
#define CHANCE 0.05

static const char help[] =
	"Usage: tagscope compare [options] OLD NEW\n\n"
	"Compares the results of two runs: what broke, what was mended, and which measures\n"
	"moved beyond their noise. OLD and NEW are folders of scripts/suite, or files that\n"
	"--format json has written. Runs of one scenario with the same parameters on the same\n"
	"kind of machine are repetitions, whatever their seeds.\n\n"
	"A measure has moved if its median changed by more than the threshold and no value of\n"
	"NEW lies among those of OLD. A time counts only with 3 repetitions or more on both\n"
	"sides, or if instructions were counted (icount). Thresholds come from the suite file\n"
	"of NEW; without one it is 25%. 'worse' is what takes longer, unless that file says\n"
	"otherwise; 'moved' is what is neither better nor worse.\n\n"
	"  --threshold P%    instead of all of those\n"
	"  --json            as one JSON object\n"
	"  --help            this text\n\n"
	"'missing' is what NEW was to run, and has not. 'only in OLD' is no longer in its suite.\n\n"
	"Exit status: 0 nothing is worse; 1 something broke, is worse, is missing, or was run in\n"
	"OLD and skipped in NEW; 3 the results cannot be read.\n\n"
	"Examples:\n"
	"  tagscope compare results-old.json results-new.json\n"
	"  tagscope compare --json results-old.json results-new.json\n";

enum change {
	BROKE,
	MORE_OFTEN,
	WORSE,
	LOST,
	MISSING,
	QUARANTINED,
	MENDED,
	LESS_OFTEN,
	BETTER,
	MOVED,
	ONLY_OLD,
	ONLY_NEW,
	NR_CHANGES,
};

static const struct {
	const char *word, *json;
} changes[NR_CHANGES] = {
	[BROKE] = { "broke", "broke" },
	[MORE_OFTEN] = { "more often", "fails_more_often" },
	[WORSE] = { "worse", "worse" },
	[LOST] = { "skipped", "skipped" },
	[MISSING] = { "missing", "missing" },
	[QUARANTINED] = { "quarantined", "quarantined" },
	[MENDED] = { "mended", "mended" },
	[LESS_OFTEN] = { "less often", "fails_less_often" },
	[BETTER] = { "better", "better" },
	[MOVED] = { "moved", "moved" },
	[ONLY_OLD] = { "only in OLD", "only_old" },
	[ONLY_NEW] = { "only in NEW", "only_new" },
};

enum direction { BY_UNIT, MORE_IS_WORSE, LESS_IS_WORSE, ANY_IS_WORSE, NONE_IS_WORSE };

struct rule {
	char *scenario, *name;
	double threshold;
	enum direction worse;
};

struct comparison {
	struct results r;
	struct rule *rules;
	size_t nr_rules;
	double threshold;
	bool forced;			/* the threshold is the user's, rules do not count */
	cJSON *json;			/* NULL: text */
	cJSON *lists[NR_CHANGES];
	unsigned int counts[NR_CHANGES];
	size_t compared;
};

/* ---- Thresholds ------------------------------------------------------------ */

static const char *const directions[] = { "unit", "more", "less", "any", "none" };

/* What scripts/suite took from the suite file; none if there is no such file. */
static int read_rules(struct comparison *c, const char *dir, char *why, size_t size)
{
	char path[PATH_MAX], *text = NULL;
	cJSON *o = NULL;
	const cJSON *i, *measures;
	size_t room = 0;
	ssize_t len;
	FILE *f;
	int err = -EPROTO;

	if ((size_t)snprintf(path, sizeof(path), "%s/compare.json", dir) >= sizeof(path))
		return 0;
	f = fopen(path, "re");
	if (!f)
		return 0;
	len = getdelim(&text, &room, '\0', f);
	fclose(f);
	if (len > 0)
		o = json_parse(text, (size_t)len);
	free(text);
	if (!json_get_double(cJSON_GetObjectItemCaseSensitive(o, "threshold"), &c->threshold))
		goto out;
	measures = cJSON_GetObjectItemCaseSensitive(o, "measures");
	for (i = measures ? measures->child : NULL; i; i = i->next) {
		const char *scenario = json_string(i, "scenario"), *name = json_string(i, "name");
		const char *worse = json_string(i, "worse");
		struct rule *more = realloc(c->rules, (c->nr_rules + 1) * sizeof(*more));
		struct rule rule = { .worse = BY_UNIT };

		if (!more) {
			err = -ENOMEM;
			goto out;
		}
		c->rules = more;
		if (!scenario || !name || !worse ||
		    !json_get_double(cJSON_GetObjectItemCaseSensitive(i, "threshold"),
				     &rule.threshold))
			goto out;
		while (rule.worse <= NONE_IS_WORSE && strcmp(directions[rule.worse], worse))
			rule.worse++;
		if (rule.worse > NONE_IS_WORSE)
			goto out;
		rule.scenario = strdup(scenario);
		rule.name = strdup(name);
		c->rules[c->nr_rules++] = rule;
		if (!rule.scenario || !rule.name) {
			err = -ENOMEM;
			goto out;
		}
	}
	err = 0;
out:
	cJSON_Delete(o);
	if (err)
		snprintf(why, size, "compare.json: %s",
			 err == -ENOMEM ? "out of memory" :
					  "no thresholds as scripts/suite writes them");
	return err;
}

static const struct rule *rule_of(const struct comparison *c, const struct result_sample *s)
{
	for (size_t i = 0; !c->forced && i < c->nr_rules; i++)
		if (!fnmatch(c->rules[i].scenario, s->scenario, 0) &&
		    !fnmatch(c->rules[i].name, s->name, 0))
			return &c->rules[i];
	return NULL;
}

static bool is_time(const char *unit)
{
	static const char *const units[] = { "ns", "us", "ms", "s", "instructions" };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(unit, units[i]))
			return true;
	return false;
}

/* ---- What is found --------------------------------------------------------- */

/* A new entry of that list; NULL: the output is text. */
static cJSON *found(struct comparison *c, enum change what, const char *key)
{
	cJSON *o;

	c->counts[what]++;
	if (!c->json) {
		printf("%-12s%s", changes[what].word, key);
		return NULL;
	}
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "run", key);
	cJSON_AddItemToArray(c->lists[what], o);
	return o;
}

/*
 * How likely chance alone makes at least b of m runs fail, where a of n others failed:
 * Fisher's exact test, one-sided.
 */
static double chance(unsigned int a, unsigned int n, unsigned int b, unsigned int m)
{
	unsigned int k = a + b;
	double weight = 1, tail = 0, all = 0;

	/* Of i failures among the m; each weight comes from the one before. */
	for (unsigned int i = k > n ? k - n : 0; i <= m && i <= k; i++) {
		all += weight;
		if (i >= b)
			tail += weight;
		if (weight > 1e200) {
			weight /= 1e200;
			tail /= 1e200;
			all /= 1e200;
		}
		weight *= (double)(m - i) * (k - i) / ((double)(i + 1) * ((double)n + i + 1 - k));
	}
	return tail / all;
}

/* All repetitions of one on one side; runs: without those that are missing. */
struct tally {
	unsigned int runs, bad, excused, skipped, missing;
};

static void print_tally(const struct tally *t)
{
	printf("%u of %u failed", t->bad, t->runs - t->skipped);
	if (t->excused)
		printf(" and %u in quarantine", t->excused);
	if (t->missing)
		printf(" and %u missing", t->missing);
}

static void judge_runs(struct comparison *c, const struct result_run *runs, size_t n)
{
	struct tally t[2] = { { 0 } };
	const struct result_run *first = NULL;
	unsigned int old_ran, new_ran;
	enum change what;
	cJSON *o;

	for (size_t i = 0; i < n; i++) {
		const struct result_run *r = &runs[i];

		t[r->side].runs += !r->missing;
		t[r->side].bad += r->bad;
		t[r->side].excused += r->excused;
		t[r->side].skipped += r->skipped;
		t[r->side].missing += r->missing;
		if (!first && r->side == SIDE_NEW && (r->bad || r->excused || r->skipped))
			first = r;
	}
	c->compared += t[SIDE_OLD].runs && t[SIDE_NEW].runs;
	old_ran = t[SIDE_OLD].runs - t[SIDE_OLD].skipped;
	new_ran = t[SIDE_NEW].runs - t[SIDE_NEW].skipped;
	if (!t[SIDE_OLD].bad && t[SIDE_NEW].bad)
		what = BROKE;
	else if (t[SIDE_NEW].missing)
		what = MISSING;
	else if (!t[SIDE_OLD].runs && t[SIDE_NEW].runs)
		what = ONLY_NEW;
	else if (t[SIDE_OLD].runs && !t[SIDE_NEW].runs)
		what = ONLY_OLD;
	else if (old_ran && !new_ran)
		what = LOST;
	else if (t[SIDE_OLD].bad && !t[SIDE_NEW].bad && t[SIDE_NEW].excused)
		what = QUARANTINED;
	else if (t[SIDE_OLD].bad && !t[SIDE_NEW].bad && new_ran)
		what = MENDED;
	else if (t[SIDE_OLD].bad && t[SIDE_NEW].bad &&
		 chance(t[SIDE_OLD].bad, old_ran, t[SIDE_NEW].bad, new_ran) < CHANCE)
		what = MORE_OFTEN;
	else if (t[SIDE_OLD].bad && t[SIDE_NEW].bad &&
		 chance(t[SIDE_NEW].bad, new_ran, t[SIDE_OLD].bad, old_ran) < CHANCE)
		what = LESS_OFTEN;
	else
		return;
	o = found(c, what, runs->key);
	if (o) {
		cJSON_AddNumberToObject(o, "old_runs", old_ran);
		cJSON_AddNumberToObject(o, "old_failed", t[SIDE_OLD].bad);
		cJSON_AddNumberToObject(o, "old_quarantined", t[SIDE_OLD].excused);
		cJSON_AddNumberToObject(o, "new_runs", new_ran);
		cJSON_AddNumberToObject(o, "new_failed", t[SIDE_NEW].bad);
		cJSON_AddNumberToObject(o, "new_quarantined", t[SIDE_NEW].excused);
		cJSON_AddNumberToObject(o, "new_missing", t[SIDE_NEW].missing);
		if (first) {
			cJSON *list = cJSON_AddArrayToObject(o, "failures");

			cJSON_AddStringToObject(o, "why", first->why);
			for (char **f = first->failures; f && *f; f++)
				cJSON_AddItemToArray(list, cJSON_CreateString(*f));
		}
		return;
	}
	if (what == ONLY_OLD || what == ONLY_NEW) {
		putchar('\n');
		return;
	}
	printf(": ");
	print_tally(&t[SIDE_NEW]);
	printf(", was ");
	if (t[SIDE_OLD].runs)
		print_tally(&t[SIDE_OLD]);
	else
		printf("not run");
	putchar('\n');
	if (first && what != LESS_OFTEN) {
		if (*first->why)
			printf("            %s\n", first->why);
		for (char **f = first->failures; f && *f; f++)
			printf("            %s\n", *f);
	}
}

static int by_value(const void *a, const void *b)
{
	const struct result_sample *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* Of n sorted ones. */
static double median(const struct result_sample *s, size_t n)
{
	return n % 2 ? s[n / 2].value : (s[n / 2 - 1].value + s[n / 2].value) / 2;
}

static bool is_worse(enum direction worse, const char *unit, bool more)
{
	switch (worse) {
	case BY_UNIT:
		return is_time(unit) && more;
	case MORE_IS_WORSE:
		return more;
	case LESS_IS_WORSE:
		return !more;
	case ANY_IS_WORSE:
		return true;
	case NONE_IS_WORSE:
		break;
	}
	return false;
}

/* Samples of one measure, OLD's before NEW's: nr_old and nr_new of them. */
static void judge_samples(struct comparison *c, struct result_sample *s, size_t nr_old,
			  size_t nr_new)
{
	struct result_sample *new = s + nr_old;
	const struct rule *rule = rule_of(c, s);
	double threshold = rule ? rule->threshold : c->threshold;
	enum direction worse = rule ? rule->worse : BY_UNIT;
	bool few = nr_old < ENOUGH_SAMPLES || nr_new < ENOUGH_SAMPLES;
	double was, is, percent;
	char old_text[32], new_text[32];
	enum change what;
	cJSON *o;

	if (!rule && !c->forced && is_time(s->unit) && few && !s->exact)
		return;
	qsort(s, nr_old, sizeof(*s), by_value);
	qsort(new, nr_new, sizeof(*s), by_value);
	was = median(s, nr_old);
	is = median(new, nr_new);
	/* Not if any of the new lies among the old. */
	if (new[nr_new - 1].value >= s[0].value && new[0].value <= s[nr_old - 1].value)
		return;
	percent = fabs(was) > 0 ? (is - was) / fabs(was) * 100 : is > 0 ? 100 : -100;
	if (fabs(percent) <= threshold)
		return;
	if (is_worse(worse, s->unit, is > was))
		what = WORSE;
	else if (is_worse(worse, s->unit, is < was))
		what = BETTER;
	else
		what = MOVED;
	o = found(c, what, s->key);
	if (o) {
		cJSON_AddStringToObject(o, "measure", s->name);
		cJSON_AddStringToObject(o, "unit", s->unit);
		cJSON_AddNumberToObject(o, "old", was);
		cJSON_AddNumberToObject(o, "new", is);
		cJSON_AddNumberToObject(o, "percent", percent);
		cJSON_AddNumberToObject(o, "threshold", threshold);
		cJSON_AddNumberToObject(o, "old_samples", (double)nr_old);
		cJSON_AddNumberToObject(o, "new_samples", (double)nr_new);
		return;
	}
	printf(": %s %s -> %s %s (%+.0f%%, threshold %g%%; %zu and %zu values)\n", s->name,
	       format_value(was, old_text, sizeof(old_text)),
	       format_value(is, new_text, sizeof(new_text)), s->unit, percent, threshold, nr_old,
	       nr_new);
}

static int by_run(const void *a, const void *b)
{
	return strcmp(((const struct result_run *)a)->key, ((const struct result_run *)b)->key);
}

static int by_measure(const void *a, const void *b)
{
	const struct result_sample *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	if (!order)
		order = strcmp(x->name, y->name);
	if (!order)
		order = strcmp(x->unit, y->unit);
	return order ? order : (int)x->side - (int)y->side;
}

static bool same_measure(const struct result_sample *a, const struct result_sample *b)
{
	return !strcmp(a->key, b->key) && !strcmp(a->name, b->name) && !strcmp(a->unit, b->unit);
}

static void compare(struct comparison *c)
{
	struct results *r = &c->r;
	size_t first, i;

	/* realloc(NULL, 0) has made no array of none. */
	if (r->nr_runs)
		qsort(r->runs, r->nr_runs, sizeof(*r->runs), by_run);
	for (first = 0; first < r->nr_runs; first = i) {
		for (i = first + 1; i < r->nr_runs && !by_run(&r->runs[first], &r->runs[i]);)
			i++;
		judge_runs(c, r->runs + first, i - first);
	}
	if (r->nr_samples)
		qsort(r->samples, r->nr_samples, sizeof(*r->samples), by_measure);
	for (first = 0; first < r->nr_samples; first = i) {
		struct result_sample *s = r->samples + first;
		size_t n[2] = { 0 };

		for (i = first; i < r->nr_samples && same_measure(s, &r->samples[i]); i++)
			n[r->samples[i].side]++;
		if (n[SIDE_OLD] && n[SIDE_NEW])
			judge_samples(c, s, n[SIDE_OLD], n[SIDE_NEW]);
	}
}

/* ---- The command ----------------------------------------------------------- */

static bool parse_percent(const char *text, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	return end != text && !errno && isfinite(*value) && *value >= 0 &&
	       (!*end || !strcmp(end, "%"));
}

static int print_json(const struct command *cmd, const struct comparison *c, bool failed)
{
	char *text;

	cJSON_AddNumberToObject(c->json, "compared", (double)c->compared);
	cJSON_AddBoolToObject(c->json, "ok", !failed);
	text = cJSON_Print(c->json);
	if (!text)
		return problem(cmd, EXIT_NOT_HERE, "out of memory");
	puts(text);
	free(text);
	return EXIT_OK;
}

static void print_totals(const struct comparison *c)
{
	bool any = false;

	printf("%zu compared: ", c->compared);
	for (int i = 0; i < NR_CHANGES; i++) {
		if (c->counts[i])
			printf("%s%u %s", any ? ", " : "", c->counts[i], changes[i].word);
		any |= c->counts[i] != 0;
	}
	puts(any ? "" : "nothing changed");
}

static int compare_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "threshold", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct comparison c = { .threshold = DEFAULT_THRESHOLD };
	int opt, status = EXIT_OK;
	char why[300];
	bool failed;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'j') {
			c.json = cJSON_CreateObject();
		} else if (opt == 't' && parse_percent(optarg, &c.threshold)) {
			c.forced = true;
		} else {
			cJSON_Delete(c.json);
			if (opt != 't')
				return bad_option(cmd, opt, argv);
			return usage_error(cmd, "--threshold wants a percentage, not '%s'", optarg);
		}
	}
	if (argc - optind != 2) {
		cJSON_Delete(c.json);
		return usage_error(cmd, "which two? OLD and NEW are wanted, not %d", argc - optind);
	}
	for (int i = 0; c.json && i < NR_CHANGES; i++)
		c.lists[i] = cJSON_AddArrayToObject(c.json, changes[i].json);
	for (int side = SIDE_OLD; side <= SIDE_NEW && !status; side++)
		if (results_read(&c.r, argv[optind + side], (enum side)side, why,
				 sizeof(why)))
			status = problem(cmd, EXIT_NOT_HERE, "%s: %s", argv[optind + side], why);
	if (!status && !c.forced && read_rules(&c, argv[optind + 1], why, sizeof(why)))
		status = problem(cmd, EXIT_NOT_HERE, "%s: %s", argv[optind + 1], why);
	if (status)
		goto out;
	compare(&c);
	failed = c.counts[BROKE] || c.counts[MORE_OFTEN] || c.counts[WORSE] || c.counts[LOST] ||
		 c.counts[MISSING];
	if (c.json)
		status = print_json(cmd, &c, failed);
	else
		print_totals(&c);
	if (!status)
		status = flushed(cmd, failed ? EXIT_FAILED : EXIT_OK);
out:
	cJSON_Delete(c.json);
	for (size_t i = 0; i < c.nr_rules; i++) {
		free(c.rules[i].scenario);
		free(c.rules[i].name);
	}
	free(c.rules);
	results_free(&c.r);
	return status;
}

const struct command cmd_compare = {
	.name = "compare",
	.summary = "compare the results of two runs: what broke, what is slower",
	.help = help,
	.run = compare_run,
};
