/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unit tests, for programs that include this once. Each TEST() runs in a process of its
 * own, so that a crash is its result only; results are KTAP. It needs nothing but libc,
 * since some tests are built for arm64 too.
 *
 *	TEST(name) { EXPECT_EQ(4, two() + 2) LOG("after %s", what); }
 *
 * ASSERT_... ends the test, EXPECT_... goes on. Numbers are compared as long long. What
 * follows the macro is done when it does not hold.
 */
#ifndef UNIT_H
#define UNIT_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a_) (sizeof(a_) / sizeof((a_)[0]))

enum {
	UNIT_MAX = 100,
	UNIT_TIME_LIMIT_S = 120, /* of one test, on a busy computer */
	UNIT_SKIPPED = 4,
};

static struct {
	const char *name;
	void (*run)(void);
} unit_tests[UNIT_MAX];
static unsigned int unit_count;
static bool unit_failed;

static inline void unit_add(const char *name, void (*run)(void))
{
	if (unit_count == UNIT_MAX)
		abort();
	unit_tests[unit_count].name = name;
	unit_tests[unit_count++].run = run;
}

#define UNIT_ADD(name_)                                                                            \
	static void name_(void);                                                                   \
	__attribute__((constructor)) static void name_##_add(void)                                 \
	{                                                                                          \
		unit_add(#name_, name_);                                                           \
	}

#define TEST(name_)                                                                                \
	UNIT_ADD(name_)                                                                            \
	static void name_(void)

/* FIXTURE(f) { members }, then FIXTURE_SETUP(f), FIXTURE_TEARDOWN(f), TEST_F(f, name): with self */
#define FIXTURE(f_) struct f_##_fixture
#define FIXTURE_SETUP(f_) static void f_##_setup(struct f_##_fixture *self)
#define FIXTURE_TEARDOWN(f_) static void f_##_teardown(struct f_##_fixture *self)
#define TEST_F(f_, name_)                                                                          \
	static void f_##_##name_##_body(struct f_##_fixture *self);                                \
	UNIT_ADD(f_##_##name_)                                                                     \
	static void f_##_##name_(void)                                                             \
	{                                                                                          \
		static struct f_##_fixture self;                                                   \
		f_##_setup(&self);                                                                 \
		f_##_##name_##_body(&self);                                                        \
		f_##_teardown(&self);                                                              \
	}                                                                                          \
	static void f_##_##name_##_body(__attribute__((unused)) struct f_##_fixture *self)

/* LOG(format, ...): a comment line, or several. */
__attribute__((format(printf, 1, 2))) static inline void unit_log(const char *format, ...)
{
	char text[4096], *line = text, *end;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	do {
		end = strchrnul(line, '\n');
		printf("# %.*s\n", (int)(end - line), line);
		line = end + 1;
	} while (*end);
	fflush(stdout);
}
#define LOG(...) unit_log(__VA_ARGS__)

/* SKIP(reason): ends the test. */
__attribute__((noreturn)) static inline void unit_skip(const char *reason)
{
	LOG("skipped: %s", reason);
	_exit(UNIT_SKIPPED);
}
#define SKIP(reason_) unit_skip(reason_)

static inline bool unit_wrong(bool holds, const char *file, int line, const char *what, long long a,
			      long long b)
{
	if (holds)
		return false;
	LOG("%s:%d: %s does not hold: %lld (%#llx), %lld (%#llx)", file, line, what, a,
	    (unsigned long long)a, b, (unsigned long long)b);
	unit_failed = true;
	return true;
}

static inline bool unit_wrong_text(const char *file, int line, const char *wanted, const char *got)
{
	if (wanted && got && !strcmp(wanted, got))
		return false;
	LOG("%s:%d: wanted '%s', got '%s'", file, line, wanted ? wanted : "(NULL)",
	    got ? got : "(NULL)");
	unit_failed = true;
	return true;
}

/* Once, if it does not hold: first the user's statement, then AFTER. */
#define UNIT_WHEN(wrong_, after_) for (bool unit_w = (wrong_); unit_w; unit_w = false, after_)
#define UNIT_COMPARE(a_, op_, b_)                                                                  \
	({                                                                                         \
		long long unit_a = (long long)(a_), unit_b = (long long)(b_);                      \
		unit_wrong(unit_a op_ unit_b, __FILE__, __LINE__, #a_ " " #op_ " " #b_,            \
			   unit_a, unit_b);                                                        \
	})
#define UNIT_GO_ON ((void)0)
#define UNIT_LEAVE _exit(1)

#define EXPECT_EQ(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, ==, b_), UNIT_GO_ON)
#define EXPECT_NE(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, !=, b_), UNIT_GO_ON)
#define EXPECT_LT(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, <, b_), UNIT_GO_ON)
#define EXPECT_LE(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, <=, b_), UNIT_GO_ON)
#define EXPECT_GT(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, >, b_), UNIT_GO_ON)
#define EXPECT_TRUE(a_) UNIT_WHEN(UNIT_COMPARE(!(a_), ==, false), UNIT_GO_ON)
#define EXPECT_FALSE(a_) UNIT_WHEN(UNIT_COMPARE(!(a_), ==, true), UNIT_GO_ON)
#define EXPECT_STREQ(a_, b_) UNIT_WHEN(unit_wrong_text(__FILE__, __LINE__, a_, b_), UNIT_GO_ON)
#define ASSERT_EQ(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, ==, b_), UNIT_LEAVE)
#define ASSERT_NE(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, !=, b_), UNIT_LEAVE)
#define ASSERT_LT(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, <, b_), UNIT_LEAVE)
#define ASSERT_LE(a_, b_) UNIT_WHEN(UNIT_COMPARE(a_, <=, b_), UNIT_LEAVE)
#define ASSERT_TRUE(a_) UNIT_WHEN(UNIT_COMPARE(!(a_), ==, false), UNIT_LEAVE)

/* Run test number I in a child, and say what came of it: true unless it failed. */
static bool unit_run(unsigned int i)
{
	const char *name = unit_tests[i].name;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* What it leaves running goes with it. */
		setpgid(0, 0);
		alarm(UNIT_TIME_LIMIT_S);
		unit_tests[i].run();
		fflush(stdout);
		_exit(unit_failed);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		printf("# no process for it\nnot ok %u %s\n", i + 1, name);
		return false;
	}
	kill(-pid, SIGKILL);
	if (WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == UNIT_SKIPPED)) {
		printf("ok %u %s%s\n", i + 1, name, WEXITSTATUS(status) ? " # SKIP see above" : "");
		return true;
	}
	if (WIFSIGNALED(status))
		printf("# ended by signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ", its time limit" : "");
	printf("not ok %u %s\n", i + 1, name);
	return false;
}

int main(void)
{
	bool passed = true;

	printf("KTAP version 1\n1..%u\n", unit_count);
	for (unsigned int i = 0; i < unit_count; i++)
		passed &= unit_run(i);
	return !passed;
}

#endif
