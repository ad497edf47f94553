// SPDX-License-Identifier: GPL-2.0-only
/* Lessons: their files, their answers, and whether those that ship fit their recordings. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "tests/unit.h"

#include "lesson/done.h"
#include "lesson/facts.h"
#include "lesson/lesson.h"
#include "ui/screen.h"

#define SHIPPED FIXTURES "/../../../docs/lessons"

/* ---- Files ------------------------------------------------------------------------------ */

#define HEAD "# A title\n\n* Run: mmap pages=64\n* Machine: --swap 256M\n* Minutes: 6\n\n"
#define KNOW "## What you know\n\nOne\ntwo.\n\nThree.\n\n"
#define WATCH "## What to watch\n\nIt.\n\n"
#define STOPS                                                                                      \
	"## After step 1\n* Show: block in state r\n\nA.\n\n"                                      \
	"## After step 2\n* Show: counter blocks\n\nB.\n\n"                                        \
	"## After the end\n\nC.\n\n"
#define ASK(answer_) "## Question\n* Answer: " answer_ "\n* Hint: Look.\n\nHow many?\n\n"
#define TAIL "## Why\n\nSo.\n\n## Read next\n\nNext.\n\n## For the instructor\n\nNote.\n"
#define LESSON(answer_) HEAD KNOW WATCH STOPS ASK(answer_) TAIL

static struct lesson *parsed(const char *text)
{
	struct lesson *l;
	char why[400];

	ASSERT_EQ(0, lesson_parse("07-name", text, strlen(text), &l, why, sizeof(why)))
		LOG("%s", why);
	return l;
}

TEST(a_lesson)
{
	struct lesson *l = parsed(LESSON("counter blocks after step 2"));

	EXPECT_EQ(7, l->number);
	EXPECT_EQ(6, l->minutes);
	EXPECT_STREQ("A title", l->title);
	EXPECT_EQ(1, l->nr_runs);
	EXPECT_STREQ("mmap pages=64", l->run[0].command);
	EXPECT_STREQ("--swap 256M", l->run[0].machine);
	EXPECT_STREQ("One two.\nThree.", l->know);
	ASSERT_EQ(3, l->nr_stops);
	EXPECT_EQ(SHOW_STATE, l->stop[0].show);
	EXPECT_EQ('r', l->stop[0].letter);
	EXPECT_STREQ("blocks", l->stop[1].name);
	EXPECT_EQ(SHOW_CHANGES, l->stop[2].show);
	EXPECT_EQ(LESSON_END, l->stop[2].at.step);
	EXPECT_STREQ("C.", l->stop[2].text);
	EXPECT_EQ(ASK_COUNTER, l->question.ask);
	EXPECT_EQ(2, l->question.at.step);
	EXPECT_STREQ("Look.", l->question.hint);
	EXPECT_STREQ("How many?", l->question.text);
	EXPECT_STREQ("Note.", l->instructor);
	lesson_free(l);
}

TEST(lessons_that_are_none)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "there is no '* Run'" },
		{ "text\n", "line 1: the first line is '# TITLE'" },
		{ "# T\ntext\n", "line 2: before the first section" },
		{ "# T\n# U\n", "line 2: a second title" },
		{ "# T\n* Runs: x\n", "line 2: there is no 'Runs' here" },
		{ "# T\n* Run x\n", "line 2: 'Run x'" },
		{ "# T\n* Minutes: 99\n", "1 to 60" },
		{ "# T\n## Whatever\n", "line 2: there is no section 'Whatever'" },
		{ "# T\n## After step 1\n", "there is no run 1" },
		{ HEAD "## After step 1 of run 3\n", "there is no section" },
		{ HEAD "## After step 2\n\nA.\n\n## After step 1\n", "comes before the one" },
		{ HEAD "## After step 2\n* Show: me\n", "'Show: me'" },
		{ HEAD "## After step 2\n* Show: block in state x\n", "block in state LETTER" },
		{ HEAD "## After step 2\n* Show: owner x\n", "owner LETTER" },
		{ HEAD KNOW KNOW, "a second 'What you know'" },
		{ HEAD "## What to watch\n* Hint: x\n", "there is no 'Hint' here" },
		{ HEAD KNOW STOPS ASK("counter blocks") TAIL, "'Answer: counter blocks'" },
		{ HEAD KNOW STOPS ASK("counter blocks from step 3 to step 2") TAIL, "'Answer:" },
		{ HEAD KNOW STOPS ASK("counter blocks after step 2") TAIL, "'## What to watch'" },
		{ HEAD KNOW WATCH ASK("counter blocks after step 2") TAIL, "0 steps" },
		{ HEAD KNOW WATCH STOPS "## Question\n* Hint: x\n\nQ\n\n" TAIL, "'* Answer'" },
		{ LESSON("measure x of run 2"), "about run 2" },
		{ HEAD KNOW WATCH STOPS ASK("block of 0x1") "- (= 1) one\n" TAIL, "" },
		{ HEAD KNOW WATCH STOPS "## Question\n* Answer: block of 1\n* Hint: x\n- (= 1) a\n"
		  "- (= 2) b\n\nQ\n\n" TAIL, "options are for numbers" },
		{ HEAD "## Question\n- (~ 1) a\n", "an option is" },
		{ HEAD "## Question\n- (=> 1) a\n", "compares nothing" },
	};
	char why[400];
	struct lesson *l;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		*why = '\0';
		EXPECT_NE(0, lesson_parse("01-x", bad[i].text, strlen(bad[i].text), &l, why,
					  sizeof(why))) LOG("%s", bad[i].text);
		EXPECT_TRUE(strstr(why, bad[i].why))
			LOG("%zu: wanted '%s', got '%s'", i, bad[i].why, why);
	}
	EXPECT_EQ(-ENOENT, lesson_read("/nonexistent/01-x.md", &l, why, sizeof(why)));
}

/* ---- Answers ---------------------------------------------------------------------------- */

#define STATE(n_, blocks_, tagged_)                                                                \
	"\"state\":{\"policy\":\"cma\",\"reason\":\"-\",\"generation\":" n_ ",\"blocks\":8,"       \
	"\"blocks_reserved\":" blocks_ ",\"reserved_pages\":" tagged_ "}"
#define STEP(at_, n_, blocks_, tagged_)                                                            \
	"{\"at\":" at_ ",\"event\":\"step\",\"scenario\":\"a\",\"t_ns\":0,\"number\":" n_          \
	",\"text\":\"t\",\"waiting\":true," STATE(n_, blocks_, tagged_) "}\n"
#define MAP(at_, text_)                                                                            \
	"{\"at\":" at_ ",\"event\":\"blocks\",\"first\":0,\"changes\":\"" text_ "\"}\n"

/* Two steps; after step 1 block 3 has tags, after step 2 block 5, at the end none. */
static const char text[] =
	"{\"event\":\"recording\",\"version\":1,\"command\":[\"run\",\"a\"]}\n"
	"{\"at\":5,\"event\":\"summary\"," STATE("1", "0", "1") "}\n"
	"{\"at\":5,\"event\":\"regions\",\"regions\":[{\"tag_base\":1048576,\"tag_size\":32768,"
	"\"mem_base\":0,\"mem_size\":1048576,\"block_size\":4096,\"first_block\":0,\"blocks\":8}]}\n"
	MAP("5", "8*f")
	"{\"at\":6,\"event\":\"plan\",\"version\":1,\"number\":1,\"t_ns\":0}\n"
	"{\"at\":10,\"event\":\"start\",\"scenario\":\"a\",\"t_ns\":0,\"kind\":\"workload\","
	"\"summary\":\"s\",\"explanation\":\"e\",\"seed\":1,\"time_limit_s\":9,\"params\":{},"
	"\"parameters\":[],\"roles\":[]}\n"
	STEP("100", "1", "0", "1")
	"{\"at\":150,\"event\":\"measure\",\"scenario\":\"a\",\"t_ns\":0,\"name\":\"m\","
	"\"value\":12.345,\"unit\":\"pages\"}\n"
	STEP("200", "2", "1", "33") MAP("210", "+3 r32")
	"{\"at\":900,\"event\":\"end\",\"scenario\":\"a\",\"t_ns\":9,\"verdict\":\"pass\","
	"\"reason\":\"\",\"steps\":2,\"passed\":1,\"failed\":0,\"skipped\":0,\"ns\":9,"
	STATE("3", "1", "2") "}\n"
	MAP("905", "+3 f +1 r1")
	"{\"at\":1000,\"event\":\"recorded\",\"status\":0}\n";

static struct recording *recorded(void)
{
	struct recording *rec;
	char packed[20000], why[300];
	size_t n = ZSTD_compress(packed, sizeof(packed), text, strlen(text), 3);

	ASSERT_TRUE(!ZSTD_isError(n));
	ASSERT_EQ(0, recording_parse(packed, n, 0, 0, &rec, why, sizeof(why))) LOG("%s", why);
	return rec;
}

/* What the text is as the answer to this question. */
static enum answer answered(const char *lesson, const char *answer)
{
	struct recording *rec = recorded();
	struct lesson *l = parsed(lesson);
	struct facts *f = facts_new(l);
	enum answer a;
	char why[300] = "";

	ASSERT_TRUE(f && facts_recording(f, 0, rec));
	a = answer_check(f, answer, why, sizeof(why));
	EXPECT_EQ(a == ANSWER_NONE, *why != '\0') LOG("%s", why);
	facts_free(f);
	lesson_free(l);
	recording_free(rec);
	return a;
}

TEST(answers)
{
	static const struct {
		const char *lesson, *right, *wrong;
	} q[] = {
		{ LESSON("counter reserved_pages after step 0"), "1", "2" },
		{ LESSON("counter reserved_pages after step 1"), "33", "1" },
		{ LESSON("counter reserved_pages after step 2"), " 2 ", "33" },
		{ LESSON("counter reserved_pages after the end"), "2.0", "-2" },
		{ LESSON("counter reserved_pages from step 0 to step 1"), "32", "33" },
		{ LESSON("counter reserved_pages from step 1 to step 2"), "-31", "31" },
		{ LESSON("measure m"), "12.3", "12" },
		{ LESSON("measure m of run 1"), "12.345", "13" },
		{ LESSON("block of 0x40000"), "2", "1" },
		{ LESSON("any block in state r after step 1"), "3", "5" },
		{ LESSON("any block in state r after step 2"), "5", "3" },
		{ LESSON("any block in state f after the end"), "7", "5" },
		{ HEAD KNOW WATCH STOPS "## Question\n* Answer: counter reserved_pages after step 1\n"
		  "* Hint: x\n- (< 33) a\n- (>= 33) b\n- (= 3) c\n\nQ\n\n" TAIL, "2", "3" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(q); i++) {
		EXPECT_EQ(ANSWER_RIGHT, answered(q[i].lesson, q[i].right)) LOG("%zu", i);
		EXPECT_EQ(ANSWER_WRONG, answered(q[i].lesson, q[i].wrong)) LOG("%zu", i);
		EXPECT_EQ(ANSWER_NONE, answered(q[i].lesson, "many")) LOG("%zu", i);
		EXPECT_EQ(ANSWER_NONE, answered(q[i].lesson, "")) LOG("%zu", i);
	}
	/* No block, no option. */
	EXPECT_EQ(ANSWER_NONE, answered(q[9].lesson, "8"));
	EXPECT_EQ(ANSWER_NONE, answered(q[9].lesson, "3.5"));
	EXPECT_EQ(ANSWER_NONE, answered(q[12].lesson, "4"));
	/* What is not in the recording has no answer. */
	EXPECT_EQ(ANSWER_NONE, answered(LESSON("counter reserved_pages after step 3"), "2"));
	EXPECT_EQ(ANSWER_NONE, answered(LESSON("counter nothing after step 1"), "2"));
	EXPECT_EQ(ANSWER_NONE, answered(LESSON("measure nothing"), "2"));
	EXPECT_EQ(ANSWER_NONE, answered(LESSON("block of 0x40000000"), "2"));
	EXPECT_EQ(ANSWER_NONE, answered(LESSON("any block in state p after step 1"), "2"));
}

static bool fits(const char *lesson, char *why, size_t size)
{
	const struct recording *rec[] = { recorded() };
	struct lesson *l = parsed(lesson);
	bool is = lesson_fits(l, rec, why, size);

	lesson_free(l);
	recording_free((struct recording *)(uintptr_t)rec[0]);
	return is;
}

#define FIT(stops_, answer_) HEAD KNOW WATCH stops_ ASK(answer_) TAIL
#define THREE(a_, b_) "## After step 0\n* Show: block of 0\n\nA.\n\n## After step 1\n" a_          \
	"\n\nB.\n\n## After " b_ "\n* Show: counter blocks\n\nC.\n\n"

TEST(lessons_and_recordings)
{
	char why[400];

	EXPECT_TRUE(fits(FIT(THREE("* Show: block in state r", "the end"), "measure m"), why,
			 sizeof(why))) LOG("%s", why);
	EXPECT_TRUE(fits(FIT(THREE("* Show: changes", "step 2"), "measure m"), why, sizeof(why)))
		LOG("%s", why);
	EXPECT_FALSE(fits(FIT(THREE("* Show: changes", "step 3"), "measure m"), why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "after step 3 of run 1 is not reached: it has 2 steps"))
		LOG("%s", why);
	/* The recording does not say whose the blocks are. */
	EXPECT_FALSE(fits(FIT(THREE("* Show: owner A", "the end"), "measure m"), why, sizeof(why)));
	EXPECT_FALSE(fits(FIT(THREE("* Show: block in state p", "the end"), "measure m"), why,
			  sizeof(why)));
	EXPECT_TRUE(strstr(why, "after step 1 of run 1 there is no block")) LOG("%s", why);
	EXPECT_FALSE(fits(FIT(THREE("* Show: changes", "the end"), "measure n"), why, sizeof(why)));
	EXPECT_FALSE(fits(HEAD KNOW WATCH THREE("* Show: changes", "the end")
			  "## Question\n* Answer: measure m\n* Hint: x\n- (< 12) a\n- (> 13) b\n\nQ\n\n"
			  TAIL, why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "not one is right")) LOG("%s", why);
}

/* ---- Those that ship -------------------------------------------------------------------- */

/* Paragraphs, for a terminal of 80 columns. */
static int lines(const char *paragraphs)
{
	return screen_wrap((struct rect){ .w = 80 }, 0, 0, paragraphs);
}

static void check_shipped(const struct lesson *l)
{
	struct recording *rec[LESSON_RUNS] = { NULL };
	struct facts *f = facts_new(l);
	char path[PATH_MAX], why[400], right[40], wrong[40];
	const struct lesson_question *q = &l->question;

	ASSERT_TRUE(f);
	for (size_t i = 0; i < l->nr_runs; i++) {
		lesson_recording(l, i, SHIPPED, path, sizeof(path));
		ASSERT_EQ(0, recording_read(path, &rec[i], why, sizeof(why)))
			LOG("%s: %s", path, why);
		EXPECT_EQ(0, rec[i]->status) LOG("%s", path);
		ASSERT_TRUE(facts_recording(f, i, rec[i]));
	}
	EXPECT_TRUE(lesson_fits(l, (const struct recording *const *)rec, why, sizeof(why)))
		LOG("%s: %s", l->name, why);
	ASSERT_TRUE(answer_right(f, right, sizeof(right), why, sizeof(why))) LOG("%s", why);
	LOG("%s: %s", l->name, right);
	EXPECT_EQ(ANSWER_RIGHT, answer_check(f, right, why, sizeof(why))) LOG("%s", l->name);
	/* Block 0 is never one that is asked for, nor the option after the right one. */
	if (q->ask == ASK_ANY_BLOCK)
		strcpy(wrong, "0");
	else if (q->nr_options)
		snprintf(wrong, sizeof(wrong), "%zu", (size_t)atoi(right) % q->nr_options + 1);
	else
		snprintf(wrong, sizeof(wrong), "%g", strtod(right, NULL) * 2 + 1);
	EXPECT_EQ(ANSWER_WRONG, answer_check(f, wrong, why, sizeof(why)))
		LOG("%s: %s is taken for right", l->name, wrong);
	for (size_t i = 0; i < l->nr_stops; i++)
		EXPECT_LE(lines(l->stop[i].text), LESSON_STOP_LINES)
			LOG("%s, step %u: too long to stand below the map", l->name,
			    l->stop[i].at.step);
	facts_free(f);
	for (size_t i = 0; i < l->nr_runs; i++)
		recording_free(rec[i]);
}

TEST(shipped_lessons)
{
	struct lesson **l;
	char why[600];
	size_t n;

	ASSERT_EQ(0, lessons_read(SHIPPED, &l, &n, why, sizeof(why))) LOG("%s", why);
	EXPECT_EQ(12, n);
	for (size_t i = 0; i < n; i++) {
		EXPECT_EQ(i + 1, l[i]->number);
		check_shipped(l[i]);
	}
	lessons_free(l, n);
}

/* ---- What is done ----------------------------------------------------------------------- */

TEST(done_lessons)
{
	char dir[] = "/tmp/lesson_test.XXXXXX", path[PATH_MAX], wanted[PATH_MAX];
	struct stat sb;

	ASSERT_TRUE(mkdtemp(dir));
	setenv("XDG_STATE_HOME", dir, 1);
	EXPECT_FALSE(done_has("01-tags"));
	EXPECT_EQ(0, done_add("01-tags"));
	EXPECT_EQ(0, done_add("03-block"));
	EXPECT_EQ(0, done_add("01-tags"));
	EXPECT_TRUE(done_has("01-tags"));
	EXPECT_TRUE(done_has("03-block"));
	EXPECT_FALSE(done_has("01"));
	/* Once each. */
	ASSERT_EQ(0, stat(done_path(path, sizeof(path)), &sb));
	EXPECT_EQ(8 + 9, sb.st_size);
	unlink(path);
	snprintf(path, sizeof(path), "%s/tagscope", dir);
	rmdir(path);
	rmdir(dir);
	setenv("XDG_STATE_HOME", "relative", 1);
	setenv("HOME", "/home/x", 1);
	snprintf(wanted, sizeof(wanted), "/home/x/.local/state/tagscope/lessons");
	EXPECT_STREQ(wanted, done_path(path, sizeof(path)));
	unsetenv("HOME");
	EXPECT_STREQ("", done_path(path, sizeof(path)));
	EXPECT_EQ(-ENOENT, done_add("01-tags"));
}
