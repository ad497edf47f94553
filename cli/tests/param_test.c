// SPDX-License-Identifier: GPL-2.0-only
/* Values of parameters, near names, and what the registry refuses. */
#include <inttypes.h>
#include <string.h>

#include "tests/unit.h"

#include "base/suggest.h"
#include "run/registry.h"
#include "scenario/confine.h"
#include "base/number.h"
#include "scenario/param.h"

struct number {
	const char *text;
	bool suffix, ok;
	uint64_t value;
};

static const struct number number_texts[] = {
	{ "0", false, true, 0 },
	{ "010", false, true, 10 },
	{ "0x1F", false, true, 31 },
	{ "18446744073709551615", false, true, UINT64_MAX },
	{ "18446744073709551616", false, false, 0 },
	{ "", false, false, 0 },
	{ " 1", false, false, 0 },
	{ "1 ", false, false, 0 },
	{ "-1", false, false, 0 },
	{ "+1", false, false, 0 },
	{ "0x", false, false, 0 },
	{ "0x-1", false, false, 0 },
	{ "1K", false, false, 0 },
	{ "1K", true, true, 1024 },
	{ "2m", true, true, 2 << 20 },
	{ "3G", true, true, 3ULL << 30 },
	{ "1T", true, true, 1ULL << 40 },
	{ "1KB", true, false, 0 },
	{ "1X", true, false, 0 },
	{ "16777216T", true, false, 0 },
	{ "K", true, false, 0 },
};

TEST(numbers)
{
	for (size_t i = 0; i < ARRAY_SIZE(number_texts); i++) {
		uint64_t v = 12345;

		EXPECT_EQ(number_texts[i].ok,
			  parse_u64(number_texts[i].text, number_texts[i].suffix, &v))
		LOG("'%s'", number_texts[i].text);
		if (number_texts[i].ok) {
			EXPECT_EQ(number_texts[i].value, v);
		}
	}
}

TEST(sizes_are_written_short)
{
	char buf[32];

	EXPECT_STREQ("0", format_size(0, buf, sizeof(buf)));
	EXPECT_STREQ("1023", format_size(1023, buf, sizeof(buf)));
	EXPECT_STREQ("4K", format_size(4096, buf, sizeof(buf)));
	EXPECT_STREQ("5G", format_size(5ULL << 30, buf, sizeof(buf)));
	EXPECT_STREQ("2048T", format_size(2048ULL << 40, buf, sizeof(buf)));
}

TEST(values_by_type)
{
	static const struct param u = P_UINT("u", "2", 1, 10, "x");
	static const struct param s = P_SIZE("s", "4K", 4096, 1 << 20, "x");
	static const struct param b = P_BOOL("b", "no", "x");
	static const struct param e = P_ENUM("e", "one", "one|two", "x");
	char why[200];
	uint64_t v;

	EXPECT_TRUE(param_check(&u, "10", &v, why, sizeof(why)));
	EXPECT_EQ(10, v);
	EXPECT_FALSE(param_check(&u, "11", &v, why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "1 to 10"));
	EXPECT_FALSE(param_check(&u, "0", &v, why, sizeof(why)));
	EXPECT_FALSE(param_check(&u, "ten", &v, why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "'ten'"));
	EXPECT_TRUE(param_check(&s, "1M", &v, why, sizeof(why)));
	EXPECT_EQ(1 << 20, v);
	EXPECT_FALSE(param_check(&s, "2M", &v, why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "4K to 1M"));
	EXPECT_TRUE(param_check(&b, "Yes", &v, why, sizeof(why)));
	EXPECT_EQ(1, v);
	EXPECT_TRUE(param_check(&b, "off", &v, why, sizeof(why)));
	EXPECT_EQ(0, v);
	EXPECT_FALSE(param_check(&b, "2", &v, why, sizeof(why)));
	EXPECT_TRUE(param_check(&e, "two", &v, why, sizeof(why)));
	EXPECT_FALSE(param_check(&e, "tw", &v, why, sizeof(why)));
	EXPECT_FALSE(param_check(&e, "", &v, why, sizeof(why)));
	EXPECT_FALSE(param_check(&e, "one|two", &v, why, sizeof(why)));
}

TEST(edit_distances)
{
	EXPECT_EQ(0, edit_distance("mmap", "mmap"));
	EXPECT_EQ(1, edit_distance("mmap", "map"));
	EXPECT_EQ(1, edit_distance("mmap", "mamp"));
	EXPECT_EQ(4, edit_distance("mmap", ""));
	EXPECT_EQ(3, edit_distance("kitten", "sitting"));
	EXPECT_LT(5, edit_distance("a-name-that-is-much-longer-than-any-name-there-is", "mmap"));
}

static const char *name_at(void *list, size_t i)
{
	return ((const char **)list)[i];
}

TEST(suggestions)
{
	const char *names[] = { "mmap", "mprotect", "vmsplice-pin", NULL };
	char buf[200];

	EXPECT_STREQ("; did you mean 'mmap'?",
		     suggest_text("mmpa", name_at, names, buf, sizeof(buf)));
	EXPECT_STREQ("; did you mean 'vmsplice-pin'?",
		     suggest_text("vmsplice", name_at, names, buf, sizeof(buf)));
	EXPECT_STREQ("; there are: mmap, mprotect, vmsplice-pin",
		     suggest_text("zzzzzzzz", name_at, names, buf, sizeof(buf)));
	EXPECT_STREQ("", suggest_text("x", name_at, names + 3, buf, sizeof(buf)));
}

static void nothing(struct run *r)
{
	(void)r;
}

static const struct role quiet = { .name = "quiet", .summary = "x", .syscalls = SYSCALLS("tee") };
static const struct role loose = { .name = "loose", .summary = "x" };

#define GOOD .name = "good", .summary = "s", .explanation = "e", .time_limit_s = 1, .run = nothing

static const struct scenario good_declaration = { GOOD };
static const struct {
	struct scenario s;
	const char *why;
} bad_declarations[] = {
	{ { GOOD, .name = NULL }, "name" },
	{ { GOOD, .name = "Bad" }, "name" },
	{ { GOOD, .name = "a--b" }, "name" },
	{ { GOOD, .name = "-a" }, "name" },
	{ { GOOD, .summary = NULL }, "summary" },
	{ { GOOD, .summary = "a\nb" }, "summary" },
	{ { GOOD, .explanation = "" }, "explanation" },
	{ { GOOD, .time_limit_s = 0 }, "time limit" },
	{ { GOOD, .run = NULL }, "run function" },
	{ { GOOD, .params = PARAMS(P_UINT("n", "0", 1, 2, "h")) }, "default of parameter n" },
	{ { GOOD, .params = PARAMS(P_UINT("n", "1", 1, 2, "h"), P_BOOL("n", "no", "h")) },
	  "twice" },
	{ { GOOD, .params = PARAMS(P_UINT("n", "1", 1, 2, "")) }, "help line" },
	{ { GOOD, .kind = SCENARIO_ADVERSARY }, "system calls" },
	{ { GOOD, .kind = SCENARIO_ADVERSARY, .syscalls = SYSCALLS("tee") }, "role" },
	{ { GOOD, .kind = SCENARIO_ADVERSARY, .syscalls = SYSCALLS("tee"),
	    .roles = ROLES(&quiet, &loose) },
	  "role loose" },
};

TEST(declarations)
{
	char buf[300];

	EXPECT_EQ(NULL, scenario_defect(&good_declaration, buf, sizeof(buf)));
	for (size_t i = 0; i < ARRAY_SIZE(bad_declarations); i++) {
		const char *d = scenario_defect(&bad_declarations[i].s, buf, sizeof(buf));

		ASSERT_NE(NULL, d)
		LOG("declaration %zu, wanted: %s", i, bad_declarations[i].why);
		EXPECT_NE(NULL, strstr(d, bad_declarations[i].why))
		LOG("%s: %s", bad_declarations[i].why, d);
	}
}

/* All scenarios that are built in, and the base lists, name system calls that exist. */
TEST(names_of_system_calls)
{
	EXPECT_EQ(NULL, confine_unknown(confine_role_base))
		LOG("%s", confine_unknown(confine_role_base));
	EXPECT_EQ(NULL, confine_unknown(confine_scenario_base))
		LOG("%s", confine_unknown(confine_scenario_base));
	EXPECT_STREQ("no_such_call", confine_unknown(SYSCALLS("read", "no_such_call")));
	for (const struct scenario *const *s = scenarios(); *s; s++) {
		EXPECT_EQ(NULL, confine_unknown((*s)->syscalls))
			LOG("%s: %s", (*s)->name, confine_unknown((*s)->syscalls));
		for (size_t i = 0; (*s)->roles && (*s)->roles[i]; i++) {
			EXPECT_EQ(NULL, confine_unknown((*s)->roles[i]->syscalls))
				LOG("%s: %s", (*s)->name,
				       confine_unknown((*s)->roles[i]->syscalls));
		}
	}
}
