// SPDX-License-Identifier: GPL-2.0-only
/* Events as JSON and back, and formats fed from what was kept of a run. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit.h"

#include "base/text.h"
#include "event/reader.h"
#include "output/format.h"
#include "run/registry.h"
#include "run/runner.h"

static const struct event_param params[] = {
	{ "pages", "uint", "0xffffffffffffffff", "how many", UINT64_MAX },
	{ "size", "size", "4K", "how large", 4096 },
	{ "flag", "bool", "on", "whether", 1 },
	{ "word", "enum", "a", "which", 0 },
	{ "text", "string", "18446744073709551615 \"\\/é", "what", 0 },
};
static const struct event_role roles[] = { { "victim", "has tags" }, { "attacker", "pins" } };
static const struct event_start start = {
	.kind = "adversary", .summary = "a \"summary\"", .explanation = "Because.",
	.seed = UINT64_MAX - 1, .time_limit_s = 7, .params = params, .nr_params = 5,
	.roles = roles, .nr_roles = 2,
};
static const struct event_end end = {
	.verdict = VERDICT_FAIL, .reason = "1 of 9 results failed", .steps = 3, .passed = 8,
	.failed = 1, .ns = (1ULL << 53) + 1,
};

/* A summary whose counters all differ, with some missing and some unknown. */
static struct state_summary a_state(void)
{
	struct state_summary s = { .version = STATE_VERSION, .policy = "cma", .reason = "-" };

	for (size_t i = 0; i < nr_state_counters; i += 2)
		state_counter_set(&s, state_counters[i].name, UINT64_MAX - i);
	state_counter_set(&s, "of_tomorrow", (1ULL << 53) + 1);
	state_counter_set(&s, "and_after", 0);
	return s;
}

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && !strcmp(a, b));
}

static bool same_start(const struct event_start *a, const struct event_start *b)
{
	if (!a || !b)
		return a == b;
	if (!same_text(a->kind, b->kind) || !same_text(a->summary, b->summary) ||
	    !same_text(a->explanation, b->explanation) || a->seed != b->seed ||
	    a->time_limit_s != b->time_limit_s || a->nr_params != b->nr_params ||
	    a->nr_roles != b->nr_roles)
		return false;
	for (size_t i = 0; i < a->nr_params; i++) {
		const struct event_param *p = &a->params[i], *q = &b->params[i];

		if (!same_text(p->name, q->name) || !same_text(p->type, q->type) ||
		    !same_text(p->text, q->text) || !same_text(p->help, q->help) ||
		    p->value != q->value)
			return false;
	}
	for (size_t i = 0; i < a->nr_roles; i++)
		if (!same_text(a->roles[i].name, b->roles[i].name) ||
		    !same_text(a->roles[i].summary, b->roles[i].summary))
			return false;
	return true;
}

static bool same_end(const struct event_end *a, const struct event_end *b)
{
	if (!a || !b)
		return a == b;
	return a->verdict == b->verdict && same_text(a->reason, b->reason) &&
	       a->steps == b->steps && a->passed == b->passed && a->failed == b->failed &&
	       a->skipped == b->skipped && a->ns == b->ns;
}

static bool same(const struct event *a, const struct event *b)
{
	if (!a->state != !b->state || (a->state && memcmp(a->state, b->state, sizeof(*a->state))))
		return false;
	return a->type == b->type && same_text(a->scenario, b->scenario) && a->t_ns == b->t_ns &&
	       same_text(a->role, b->role) && same_text(a->text, b->text) &&
	       a->number == b->number && a->waiting == b->waiting && a->ok == b->ok &&
	       a->skipped == b->skipped && same_text(a->detail, b->detail) &&
	       same_text(a->unit, b->unit) &&
	       (a->value == b->value || (isnan(a->value) && isnan(b->value))) &&
	       a->how == b->how && same_start(a->start, b->start) && same_end(a->end, b->end);
}

/* There and back; NULL, with a message, if it does not come back the same. */
static char *round_trip(const struct event *ev)
{
	char *text = event_print(ev), why[300] = "", *again;
	struct event *back;

	if (event_parse(text, strlen(text), &back, why, sizeof(why))) {
		fprintf(stderr, "# %s: %s\n", text, why);
		return NULL;
	}
	again = event_print(back);
	if (!same(ev, back) || strcmp(text, again)) {
		fprintf(stderr, "# %s\n# became %s\n", text, again);
		free(text);
		text = NULL;
	}
	event_free(back);
	free(again);
	return text;
}

TEST(there_and_back)
{
	struct state_summary state = a_state();
	const struct event events[] = {
		{ EVENT_PLAN, "", .number = 3, .role = "" },
		{ EVENT_START, "mmap", .role = "", .start = &start },
		{ EVENT_STEP, "mmap", UINT64_MAX, "", "Now \"this\".", 4, .state = &state },
		{ EVENT_STEP, "mmap", 1ULL << 60, "", "Now.", 4, .waiting = true },
		{ EVENT_RESULT, "mmap", 12, "victim", "it holds", 5, .ok = true },
		{ EVENT_RESULT, "mmap", 12, "", "it does not", 6, .detail = "got 1" },
		{ EVENT_RESULT, "mmap", 12, "", "", 7 },
		{ EVENT_RESULT, "mmap", 12, "", "left out", 8, .ok = true, .skipped = true,
		  .detail = "no zram here" },
		{ EVENT_MEASURE, "mmap", 13, "", "time", .unit = "ns", .value = 1.0 / 3 },
		{ EVENT_MEASURE, "mmap", 13, "", "time", .unit = "ns", .value = -1e300 },
		{ EVENT_MEASURE, "mmap", 13, "", "t", .unit = "1", .value = 12345678901234568.0 },
		{ EVENT_MEASURE, "mmap", 13, "", "time", .unit = "1", .value = NAN },
		{ EVENT_NOTE, "mmap", 14, "attacker", "a note: ö, 漢, \U0001f600" },
		{ EVENT_OUTPUT, "mmap", 15, "", "" },
		{ EVENT_END, "mmap", 16, "", .end = &end, .state = &state },
		{ EVENT_EXIT, "mmap", 0, "", "", .how = EVENT_EXIT_DONE, .state = &state },
		{ EVENT_EXIT, "mmap", 0, "victim", "why", .how = EVENT_EXIT_CRASH },
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		char *text = round_trip(&events[i]);

		EXPECT_NE(NULL, text) LOG("event %zu", i);
		EXPECT_EQ(NULL, text ? strchr(text, '\n') : NULL);
		free(text);
	}
}

/* As programs read it: values of their type, counters by name, exact. */
TEST(what_it_looks_like)
{
	struct state_summary state = a_state();
	struct event ev = { EVENT_START, "mmap", .role = "", .start = &start };
	char *text = event_print(&ev);

	EXPECT_NE(NULL, strstr(text, "\"seed\":18446744073709551614,"));
	EXPECT_NE(NULL, strstr(text, "\"params\":{\"pages\":18446744073709551615,\"size\":4096,"
				     "\"flag\":true,\"word\":\"a\","));
	free(text);
	ev = (struct event){ EVENT_STEP, "mmap", .role = "", .text = "x", .state = &state };
	text = event_print(&ev);
	EXPECT_NE(NULL, strstr(text, "\"state\":{\"policy\":\"cma\",\"reason\":\"-\","
				     "\"generation\":18446744073709551615,\"regions\":null,"));
	EXPECT_NE(NULL, strstr(text, "\"of_tomorrow\":9007199254740993,\"and_after\":0}"));
	free(text);
}

TEST(what_is_not_known_is_passed_over)
{
	static const char text[] =
		"{\"event\":\"note\",\"of_tomorrow\":[{}],\"scenario\":\"x\",\"text\":\"y\","
		"\"t_ns\":3,\"state\":{\"policy\":\"p\",\"n\":1,\"list\":[1],\"word\":\"w\"}} ";
	struct event *ev;
	char why[200];

	ASSERT_EQ(0, event_parse(text, strlen(text), &ev, why, sizeof(why))) LOG("%s", why);
	EXPECT_STREQ("y", ev->text);
	ASSERT_NE(NULL, ev->state);
	EXPECT_EQ(1, ev->state->nr_extra);
	event_free(ev);
	EXPECT_EQ(-ENOMSG, event_parse("{\"event\":\"totals\"}", 18, &ev, why, sizeof(why)));
}

static const struct {
	const char *text, *why;
} wrong[] = {
	{ "", "JSON" },
	{ "null", "JSON" },
	{ "[]", "JSON" },
	{ "{}", "'event'" },
	{ "{\"event\":1}", "'event'" },
	{ "{\"event\":\"note\"", "JSON" },
	{ "{\"event\":\"totals\"} {", "JSON" },
	{ "{\"event\":\"note\",\"text\":\"x\"}", "'scenario'" },
	{ "{\"event\":\"note\",\"scenario\":\"x\"}", "'text'" },
	{ "{\"event\":\"note\",\"scenario\":\"x\",\"text\":{}}", "'text'" },
	{ "{\"event\":\"note\",\"scenario\":\"x\",\"text\":\"y\",\"t_ns\":-1}", "'t_ns'" },
	{ "{\"event\":\"note\",\"scenario\":\"x\",\"text\":\"y\",\"t_ns\":1.5}", "'t_ns'" },
	{ "{\"event\":\"note\",\"scenario\":\"x\",\"text\":\"y\",\"t_ns\":18446744073709551616}",
	  "'t_ns'" },
	{ "{\"event\":\"note\",\"scenario\":\"x\",\"text\":\"y\",\"t_ns\":1e400}", "'t_ns'" },
	{ "{\"event\":\"step\",\"scenario\":\"x\",\"text\":\"y\",\"number\":4294967296}",
	  "'number'" },
	{ "{\"event\":\"result\",\"scenario\":\"x\",\"text\":\"y\"}", "'ok'" },
	{ "{\"event\":\"measure\",\"scenario\":\"x\",\"name\":\"y\",\"unit\":\"1\"}", "'value'" },
	{ "{\"event\":\"measure\",\"scenario\":\"x\",\"name\":\"y\",\"value\":1}", "'unit'" },
	{ "{\"event\":\"end\",\"scenario\":\"x\",\"verdict\":\"great\",\"reason\":\"\"}",
	  "great" },
	{ "{\"event\":\"end\",\"scenario\":\"x\",\"verdict\":\"pass\",\"reason\":\"\"}",
	  "'steps'" },
	{ "{\"event\":\"exit\",\"scenario\":\"x\",\"how\":\"so\",\"text\":\"\"}", "'so'" },
	{ "{\"event\":\"plan\",\"number\":1}", "'version'" },
	{ "{\"event\":\"plan\",\"version\":2}",
	  "version 2 of events; this tagscope knows version 1" },
	{ "{\"event\":\"start\",\"scenario\":\"x\"}", "'kind'" },
	{ "{\"event\":\"start\",\"scenario\":\"x\",\"kind\":\"\",\"summary\":\"\",\"explanation\":"
	  "\"\",\"seed\":1,\"time_limit_s\":1,\"parameters\":[{\"name\":\"p\",\"type\":\"uint\",\"text\":"
	  "\"1\",\"help\":\"\"}]}", "parameter 'p' has no value" },
	{ "{\"event\":\"start\",\"scenario\":\"x\",\"kind\":\"\",\"summary\":\"\",\"explanation\":"
	  "\"\",\"seed\":1,\"time_limit_s\":1,\"roles\":[1]}", "'name'" },
};

TEST(what_is_wrong_is_told)
{
	struct event *ev;
	char why[300];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EPROTO, event_parse(wrong[i].text, strlen(wrong[i].text), &ev, why,
					       sizeof(why))) LOG("%s", wrong[i].text);
		EXPECT_EQ(NULL, ev);
		EXPECT_NE(NULL, strstr(why, wrong[i].why)) LOG("%s: %s", wrong[i].text, why);
	}
}

/* Cut short anywhere, and with any one byte another: an error or an event, never worse. */
TEST(damaged)
{
	struct state_summary state = a_state();
	struct event ev = { EVENT_START, "mmap", .role = "", .start = &start, .state = &state };
	char *text = event_print(&ev), *copy, why[300];
	size_t len = strlen(text);
	struct event *back;

	for (size_t i = 0; i < len; i++) {
		/* On the heap and no longer, so that the sanitizer sees reading beyond. */
		copy = malloc(i + 1);
		memcpy(copy, text, i);
		EXPECT_NE(0, event_parse(copy, i, &back, why, sizeof(why)));
		free(copy);
	}
	srand(1);
	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)rand() % len;
		char *shown;

		copy = malloc(len);
		memcpy(copy, text, len);
		copy[at] = (char)rand();
		if (!event_parse(copy, len, &back, why, sizeof(why))) {
			shown = event_print(back);
			EXPECT_NE(NULL, shown);
			free(shown);
			event_free(back);
		}
		free(copy);
	}
	free(text);
}

TEST(text_that_is_fit_to_be_shown)
{
	static const struct {
		const char *from, *to;
	} texts[] = {
		{ "", "" },
		{ "a\tb\r\nc", "a b  c" },
		{ "\033[2Jx\177", "?[2Jx?" },
		{ "é漢\U0001f600", "é漢\U0001f600" },
		{ "\xff\xc3", "??" },
		{ "\xc3(", "?(" },
		{ "\xc0\xaf", "??" },			/* longer than need be */
		{ "\xed\xa0\x80", "???" },		/* half of a pair */
		{ "\xf4\x90\x80\x80", "????" },		/* beyond the last */
		{ "\xc2\x9bx", "??x" },			/* a control character, too */
		{ "\xe2\x80\xaex", "???x" },		/* turns the direction of writing */
		{ "\xe6\xbc", "??" },			/* cut short */
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *text = strdup(texts[i].from);

		text_clean(text);
		EXPECT_STREQ(texts[i].to, text);
		free(text);
	}
	{
		static const char json[] =
			"{\"event\":\"note\",\"scenario\":\"x\","
			"\"text\":\"\\u001b]0;\\u0007\xff\"}";
		char why[200];
		struct event *ev;

		ASSERT_EQ(0, event_parse(json, strlen(json), &ev, why, sizeof(why)));
		EXPECT_STREQ("?]0;??", ev->text);
		event_free(ev);
	}
}

/* ---- Formats ------------------------------------------------------------------- */

/* A report into memory, and what came of it. */
struct sheet {
	struct report rep;
	char *text;
	size_t len;
};

static void sheet_open(struct sheet *s, const struct format *format)
{
	memset(s, 0, sizeof(*s));
	s->rep.format = format;
	s->rep.color = true;
	s->rep.out = open_memstream(&s->text, &s->len);
	if (!s->rep.out)
		exit(1);
}

static void sheet_close(struct sheet *s)
{
	if (report_end(&s->rep) || fclose(s->rep.out))
		exit(1);
}

struct tee {
	struct sheet kept, live[8];
	size_t n;
};

static void tee_event(void *ctx, const struct event *ev)
{
	struct tee *t = ctx;

	report_event(&t->kept.rep, ev);
	for (size_t i = 0; i < t->n; i++)
		report_event(&t->live[i].rep, ev);
}

/*
 * Scenarios that end in every way there is, with all formats at once; then each format
 * again, from nothing but what JSON has kept.
 */
TEST(formats_need_nothing_but_events)
{
	static const char *const names[] = { "passes", "fails", "skips", "bails", "crashes",
					     "denied-role", "role-crashes", "role-bails",
					     "says-nothing", "roles" };
	char why[300] = "";
	struct tee t = { .n = 0 };

	ASSERT_EQ(0, setenv("TAGSCOPE_DEBUGFS", FIXTURES "/good", 1));
	sheet_open(&t.kept, format_find("json"));
	for (; formats[t.n]; t.n++)
		sheet_open(&t.live[t.n], formats[t.n]);
	tee_event(&t, &(struct event){ EVENT_PLAN, "", .role = "", .number = ARRAY_SIZE(names) });
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct run_params p;
		struct run_options opt = { .params = &p, .seed = UINT64_MAX - i };

		ASSERT_TRUE(run_params_init(&p, scenario_find(names[i])));
		run_to_end(&opt, tee_event, NULL, &t);
		run_params_free(&p);
	}
	sheet_close(&t.kept);
	for (size_t i = 0; i < t.n; i++) {
		FILE *f = fmemopen(t.kept.text, t.kept.len, "r");
		struct sheet again;

		sheet_close(&t.live[i]);
		sheet_open(&again, formats[i]);
		EXPECT_EQ(0, events_read(f, report_event, &again.rep, why, sizeof(why)))
			LOG("%s", why);
		sheet_close(&again);
		EXPECT_LT(1000, t.live[i].len);
		EXPECT_STREQ(t.live[i].text, again.text) LOG("%s", formats[i]->name);
		EXPECT_EQ(report_status(&t.live[i].rep), report_status(&again.rep));
		free(t.live[i].text);
		free(again.text);
		fclose(f);
	}
	free(t.kept.text);
}

/* ---- Reading what was kept ------------------------------------------------------- */

#define PLAN "{\"event\":\"plan\",\"version\":1,\"number\":1}\n"
#define START(name) "{\"event\":\"start\",\"scenario\":\"" name "\",\"kind\":\"workload\"," \
	"\"summary\":\"\",\"explanation\":\"\",\"seed\":1,\"time_limit_s\":1}\n"
#define NOTE(name, t) "{\"event\":\"note\",\"scenario\":\"" name "\",\"text\":\"n\",\"t_ns\":" t "}\n"
#define RESULT(ok) "{\"event\":\"result\",\"scenario\":\"a\",\"text\":\"n\",\"t_ns\":5,\"ok\":" ok "}\n"
#define END(name) "{\"event\":\"end\",\"scenario\":\"" name "\",\"verdict\":\"pass\",\"reason\":\"\"," \
	"\"steps\":0,\"passed\":0,\"failed\":0,\"skipped\":0,\"ns\":1,\"t_ns\":9}\n"

struct counts {
	unsigned int plans, starts, ends, others;
	enum verdict verdict;
};

static void count(void *ctx, const struct event *ev)
{
	struct counts *c = ctx;

	if (ev->type == EVENT_END)
		c->verdict = ev->end->verdict;
	*(ev->type == EVENT_PLAN ? &c->plans : ev->type == EVENT_START ? &c->starts :
	  ev->type == EVENT_END ? &c->ends : &c->others) += 1;
}

static const struct {
	const char *text;
	int err;
	const char *why;
	struct counts heard;
} kept[] = {
	{ "", -EPROTO, "nothing in it", { 0 } },
	{ PLAN, 0, "", { 1, 0, 0, 0 } },
	{ PLAN START("a") NOTE("a", "1") END("a"), 0, "", { 1, 1, 1, 1 } },
	{ PLAN START("a") END("a") START("b") NOTE("b", "1") END("b"), 0, "", { 1, 2, 2, 1 } },
	{ PLAN "{\"event\":\"of tomorrow\"}\n" START("a") END("a"), 0, "", { 1, 1, 1, 0 } },
	{ START("a") END("a"), -EPROTO, "line 1: no plan", { 0 } },
	{ PLAN PLAN, -EPROTO, "line 2: a second plan", { 1, 0, 0, 0 } },
	{ PLAN NOTE("a", "1"), -EPROTO, "line 2: an event of a scenario that has not begun",
	  { 1, 0, 0, 0 } },
	{ PLAN START("a") NOTE("b", "1"), -EPROTO, "line 3: an event of a scenario that",
	  { 1, 1, 1, 0, VERDICT_ERROR } },
	{ PLAN START("a") START("a"), -EPROTO, "line 3: a scenario begins amid another",
	  { 1, 1, 1, 0, VERDICT_ERROR } },
	{ PLAN START("a") NOTE("a", "2") NOTE("a", "1"), -EPROTO, "line 4: time goes back",
	  { 1, 1, 1, 1, VERDICT_ERROR } },
	/* Cut short: what is there is heard, and the scenario ends. */
	{ PLAN START("a") RESULT("true"), -EPROTO, "amid the scenario a",
	  { 1, 1, 1, 1, VERDICT_ERROR } },
	{ PLAN START("a") RESULT("false"), -EPROTO, "amid the scenario a",
	  { 1, 1, 1, 1, VERDICT_FAIL } },
	{ PLAN START("a") NOTE("a", "1") "{\"event\":", -EPROTO, "line 4: cut short",
	  { 1, 1, 1, 1, VERDICT_ERROR } },
	{ PLAN "\n", -EPROTO, "line 2: not one whole object", { 1, 0, 0, 0 } },
	{ PLAN "{\"event\":\"exit\",\"scenario\":\"a\",\"how\":\"done\",\"text\":\"\"}\n", -EPROTO,
	  "line 2: an event of a scenario's process", { 1, 0, 0, 0 } },
};

TEST(reading)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		FILE *f = tmpfile();
		struct counts c = { 0 };
		char why[300] = "";

		ASSERT_NE(NULL, f);
		fputs(kept[i].text, f);
		rewind(f);
		EXPECT_EQ(kept[i].err, events_read(f, count, &c, why, sizeof(why)))
			LOG("%s: %s", kept[i].text, why);
		EXPECT_NE(NULL, strstr(why, kept[i].why)) LOG("%s: %s", kept[i].text, why);
		EXPECT_EQ(0, memcmp(&c, &kept[i].heard, sizeof(c)))
			LOG("%s: %u %u %u %u %d", kept[i].text, c.plans, c.starts, c.ends,
			       c.others, c.verdict);
		fclose(f);
	}
}

TEST(a_line_without_end)
{
	FILE *f = tmpfile();
	struct counts c = { 0 };
	char why[300];

	ASSERT_NE(NULL, f);
	fputs(PLAN, f);
	for (int i = 0; i < 3 << 20; i++)
		putc('x', f);
	rewind(f);
	EXPECT_EQ(-EPROTO, events_read(f, count, &c, why, sizeof(why)));
	EXPECT_STREQ("line 2: longer than any event", why);
	fclose(f);
}
