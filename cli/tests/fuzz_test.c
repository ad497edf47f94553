// SPDX-License-Identifier: GPL-2.0-only
/* The fuzzer without a kernel under test: sequences, model, shrinker, printed programs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/unit.h"

#include "fuzz/fuzz.h"

/* What needs no privilege and comes out the same on every kernel. */
#define HARMLESS                                                                              \
	"mmap,munmap,mprotect,resize,punch,store,check,dontneed,free,cold,populate-read,"     \
	"populate-write,remove,dontfork,dofork,wipeonfork,keeponfork,fork,exit,vmsplice,unsplice"

static struct fuzz_sequence *sequence(const char *calls, uint64_t seed, unsigned int groups,
				      size_t ops, bool tags)
{
	struct fuzz_choice choice;
	struct fuzz_sequence *s;
	char why[256];

	ASSERT_TRUE(fuzz_choose(&choice, calls, tags, why, sizeof(why))) LOG("%s", why);
	s = fuzz_generate(&choice, seed, groups, ops, tags);
	ASSERT_TRUE(s);
	return s;
}

static char *text_of(const struct fuzz_sequence *s, const char *prefix)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fuzz_write(f, s, prefix);
	fclose(f);
	return text;
}

TEST(sequence_depends_on_the_seed_alone)
{
	struct fuzz_sequence *a = sequence(NULL, 7, 3, 100, true);
	struct fuzz_sequence *b = sequence(NULL, 7, 3, 100, true);
	struct fuzz_sequence *c = sequence(NULL, 8, 3, 100, true);
	char *ta = text_of(a, ""), *tb = text_of(b, ""), *tc = text_of(c, "");

	EXPECT_EQ(fuzz_ops(a), 300);
	EXPECT_STREQ(ta, tb);
	EXPECT_TRUE(strcmp(ta, tc));
	free(ta);
	free(tb);
	free(tc);
	fuzz_free(a);
	fuzz_free(b);
	fuzz_free(c);
}

TEST(sequence_text_is_read_back)
{
	struct fuzz_sequence *a = sequence(NULL, 9, 2, 50, true), *b;
	char *text = text_of(a, " * "), *again, why[256] = "";
	FILE *f = fmemopen(text, strlen(text), "r");

	b = fuzz_read(f, why, sizeof(why));
	fclose(f);
	ASSERT_TRUE(b) LOG("%s", why);
	again = text_of(b, " * ");
	EXPECT_STREQ(text, again);
	free(again);
	free(text);
	fuzz_free(a);
	fuzz_free(b);
}

#define HEADER "fuzz-sequence 1 seed 1 processes 1 tags 1\n"

static const struct {
	const char *text, *why;
} bad_texts[] = {
	{ "int main(void)\n", "no sequence" },
	{ HEADER, "not complete" },
	{ "fuzz-sequence 1 seed 1 processes 9 tags 1\nend 0\n", "line 1" },
	{ "\n" HEADER "op 0 0 0 nothing 1 2 3 4\nend 1\n", "line 3" },
	{ HEADER "op 1 0 0 mmap 1 2 3 4\nend 1\n", "line 2" },
	{ HEADER "op 0 0 0 mmap 1 2 3 4\nend 2\n", "not 2" },
};

TEST(wrong_texts_are_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_texts); i++) {
		const char *text = bad_texts[i].text;
		FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
		char why[256] = "";
		struct fuzz_sequence *s = fuzz_read(f, why, sizeof(why));

		fclose(f);
		EXPECT_FALSE(s);
		EXPECT_TRUE(strstr(why, bad_texts[i].why)) LOG("%zu: '%s'", i, why);
		fuzz_free(s);
	}
}

TEST(calls_are_chosen_by_name)
{
	struct fuzz_choice c;
	char why[1024];
	unsigned int chosen = 0;

	EXPECT_TRUE(fuzz_choose(&c, "mmap,soft-offline", true, why, sizeof(why)));
	for (size_t i = 0; i < fuzz_nr_kinds(); i++)
		chosen += c.weight[i] > 0;
	EXPECT_EQ(chosen, 2);
	EXPECT_FALSE(fuzz_choose(&c, "mmap,stor", true, why, sizeof(why)));
	EXPECT_TRUE(strstr(why, "'stor'") && strstr(why, "store")) LOG("%s", why);
	EXPECT_FALSE(fuzz_choose(&c, "tag", false, why, sizeof(why)));
	EXPECT_TRUE(fuzz_choose(&c, "-tag", true, why, sizeof(why)));
	for (size_t i = 0; i < fuzz_nr_kinds(); i++)
		EXPECT_EQ(c.weight[i],
			  strcmp(fuzz_kinds[i].name, "tag") ? fuzz_kinds[i].weight : 0);
}

/* A kernel that does what it should, but for one step. */
struct fake {
	uint64_t steps, wrong_at;
	enum call_id wrong_call;	/* the first of these; NR_RUNTIME_CALLS: wrong_at */
	int wrong;
	uint32_t seen;
};

static int fake_step(void *ctx, struct call *c)
{
	struct fake *f = ctx;

	c->got = c->want[0] == ANY_ERROR ? 0 : c->want[0];
	if (f->wrong && (f->wrong_call == c->id || f->steps == f->wrong_at)) {
		c->got = f->wrong;
		f->wrong = 0;
	}
	f->steps++;
	return c->got;
}

/* Each group by itself. */
static void run_fake(const struct fuzz_sequence *s, struct fake *fake, struct fuzz_result *res)
{
	memset(res, 0, sizeof(*res));
	for (unsigned int g = 0; g < s->groups; g++) {
		struct world *w = world_new(g, s->groups, s->tags, fake_step, fake);
		const struct fuzz_trace *t;

		for (size_t i = 0; i < s->group[g].nr; i++)
			if (!world_do(w, &s->group[g].op[i]))
				break;
		world_check(w);
		t = world_trace(w);
		res->trace[g].nr = t->nr;
		res->trace[g].call = calloc(t->nr + 1, sizeof(*t->call));
		memcpy(res->trace[g].call, t->call, t->nr * sizeof(*t->call));
		if (!res->finding.kind)
			res->finding = *world_finding(w);
		res->done += world_done(w);
		world_free(w);
	}
}

TEST(every_call_is_taken)
{
	bool seen[NR_CALLS] = { false };

	for (uint64_t seed = 0; seed < 40; seed++) {
		struct fuzz_sequence *s = sequence(NULL, seed, 1, 400, true);
		struct fake fake = { .wrong = 0 };
		struct fuzz_result res;

		run_fake(s, &fake, &res);
		EXPECT_EQ(res.finding.kind, FINDING_NONE);
		/* Most operations have to mean something. */
		EXPECT_LT(200, res.done);
		for (size_t i = 0; i < res.trace[0].nr; i++)
			seen[res.trace[0].call[i].id] = true;
		fuzz_result_free(&res);
		fuzz_free(s);
	}
	for (int i = 0; i < NR_CALLS; i++)
		EXPECT_TRUE(seen[i]) LOG("call %d was never made", i);
}

static const struct {
	enum call_id call;
	int outcome;
	enum fuzz_finding_kind kind;
} wrongs[] = {
	{ CALL_CHECK, -2000, FINDING_DATA },
	{ CALL_CHECK, -2001, FINDING_TAGS },
	{ CALL_STORE, -1000 - SIGBUS, FINDING_SIGNAL },
	{ CALL_PROTECT, -ENOMEM, FINDING_ERRNO },
	{ CALL_SPAWN, ACTOR_GONE, FINDING_GONE },
	{ CALL_ADVISE, ACTOR_HANGS, FINDING_HANG },
};

TEST(every_wrong_outcome_is_a_finding)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		struct fuzz_sequence *s = sequence(NULL, i, 1, 300, true);
		struct fake fake = { .wrong = wrongs[i].outcome, .wrong_call = wrongs[i].call,
				     .wrong_at = UINT64_MAX };
		struct fuzz_result res;

		run_fake(s, &fake, &res);
		EXPECT_EQ(res.finding.kind, wrongs[i].kind);
		EXPECT_EQ(res.finding.call.id, wrongs[i].call);
		/* Nothing comes after it. */
		EXPECT_EQ(res.trace[0].call[res.trace[0].nr - 1].got, wrongs[i].outcome);
		fuzz_result_free(&res);
		fuzz_free(s);
	}
}

static struct fuzz_op op_of(const char *name, uint32_t n2)
{
	struct fuzz_op op = { .n = { 0, 0, n2, 1 } };

	while (strcmp(fuzz_kinds[op.kind].name, name))
		op.kind++;
	return op;
}

#define PRIVATE_MEMORY 12	/* of mmap: one page, PROT_MTE */
#define READ_IN 1		/* of io-uring, once a buffer is registered */

/* Whether either of two contents is right when the page is looked at last. */
static bool has_two_contents(const struct fuzz_op *op, size_t nr)
{
	struct fake fake = { .wrong = 0 };
	struct world *w = world_new(0, 1, true, fake_step, &fake);
	const struct fuzz_trace *t = world_trace(w);
	bool two;

	for (size_t i = 0; i < nr; i++)
		ASSERT_TRUE(world_do(w, &op[i]));
	EXPECT_EQ(t->call[t->nr - 1].id, CALL_CHECK);
	two = t->call[t->nr - 1].arg[1] & 2;
	world_free(w);
	return two;
}

/* MADV_FREE comes before or after the registration, which writes to the pages. */
TEST(what_is_read_into_a_registered_page_stays)
{
	const struct fuzz_op before[] = {
		op_of("mmap", PRIVATE_MEMORY), op_of("store", 0), op_of("free", 0),
		op_of("io-uring", 0), op_of("io-uring", READ_IN), op_of("check", 0),
	};
	const struct fuzz_op after[] = {
		op_of("mmap", PRIVATE_MEMORY), op_of("store", 0), op_of("io-uring", 0),
		op_of("free", 0), op_of("io-uring", READ_IN), op_of("check", 0),
	};

	EXPECT_FALSE(has_two_contents(before, ARRAY_SIZE(before)));
	EXPECT_TRUE(has_two_contents(after, ARRAY_SIZE(after)));
}

static struct fuzz_op by(uint8_t who, struct fuzz_op op)
{
	op.who = who;
	return op;
}

/* One page for both processes, and clean: what one of them does not need goes from both. */
TEST(what_is_freed_in_one_process_may_go_in_others)
{
	const struct fuzz_op shared[] = {
		op_of("mmap", PRIVATE_MEMORY), op_of("store", 0), op_of("fork", 0),
		op_of("free", 0), by(1, op_of("check", 0)),
	};
	const struct fuzz_op written[] = {
		op_of("mmap", PRIVATE_MEMORY), op_of("store", 0), op_of("fork", 0),
		by(1, op_of("store", 0)), op_of("free", 0), by(1, op_of("check", 0)),
	};

	EXPECT_TRUE(has_two_contents(shared, ARRAY_SIZE(shared)));
	EXPECT_FALSE(has_two_contents(written, ARRAY_SIZE(written)));
}

#define SHARED_FILE 32		/* of mmap: one page of a memfd, PROT_MTE */

/* A large folio that cannot be split just then keeps its tags where a hole is. */
TEST(a_hole_in_a_large_folio_may_keep_its_tags)
{
	const struct fuzz_op small[] = {
		op_of("mmap", SHARED_FILE), op_of("tag", 0), op_of("punch", 1),
		op_of("check", 0),
	};
	const struct fuzz_op large[] = {
		op_of("mmap", SHARED_FILE), op_of("tag", 0), op_of("hugepage", 0),
		op_of("punch", 1), op_of("check", 0),
	};

	EXPECT_FALSE(has_two_contents(small, ARRAY_SIZE(small)));
	EXPECT_TRUE(has_two_contents(large, ARRAY_SIZE(large)));
}

static bool has(const struct fuzz_sequence *s, uint32_t id)
{
	for (unsigned int g = 0; g < s->groups; g++)
		for (size_t i = 0; i < s->group[g].nr; i++)
			if (s->group[g].op[i].id == id)
				return true;
	return false;
}

static bool shows_three(void *ctx, const struct fuzz_sequence *s)
{
	++*(unsigned int *)ctx;
	return has(s, 3) && has(s, 57) && has(s, 1000044);
}

TEST(shrinking_leaves_what_matters)
{
	struct fuzz_sequence *s = sequence(NULL, 1, 3, 100, true);
	unsigned int runs = 0;

	fuzz_shrink(s, shows_three, &runs);
	EXPECT_EQ(fuzz_ops(s), 3);
	EXPECT_TRUE(shows_three(&runs, s));
	EXPECT_LT(runs, 200);
	fuzz_free(s);
}

/* ---- Printed programs ------------------------------------------------------------ */

static char dir[] = "/tmp/fuzz-test-XXXXXX";

/* The status of a shell command in the folder of the program. */
static void shell(int want, const char *script)
{
	char command[512], line[256];
	FILE *f;
	int status;

	snprintf(command, sizeof(command), "cd %s && %s", dir, script);
	f = popen(command, "r");
	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f))
		LOG("%s", line);
	status = pclose(f);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == want)
		LOG("%s: status 0x%x", command, status);
}

static void print_to_file(const struct fuzz_sequence *s, const struct fuzz_result *res)
{
	char path[64];
	FILE *f;

	ASSERT_TRUE(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/p.c", dir);
	f = fopen(path, "w");
	ASSERT_TRUE(f);
	fuzz_print(f, s, res);
	ASSERT_EQ(fclose(f), 0);
}

#define COMPILE "cc -O2 -Wall -Wextra -Werror -o p p.c 2>&1"
#define CLEAN "rm -r \"$PWD\""

TEST(printed_program_of_all_calls_compiles)
{
	struct fuzz_sequence *s = sequence(NULL, 5, 2, 1000, true);
	struct fake fake = { .wrong = 0 };
	struct fuzz_result res;

	run_fake(s, &fake, &res);
	print_to_file(s, &res);
	shell(0, COMPILE);
	shell(0, CLEAN);
	fuzz_result_free(&res);
	fuzz_free(s);
}

static const char *const forms[] = {
#define FORM(id_, function_, nr_, args_) args_,
	CALLS(FORM)
#undef FORM
};

/* The steps of one call at a time: no part may miss what it uses, or have what is not used. */
TEST(printed_program_of_each_call_compiles)
{
	struct fuzz_sequence *s = sequence("mmap", 5, 1, 1, true);
	struct fuzz_result res = { .finding = { 0 } };
	struct call call = { .nr_want = 1 };

	res.trace[0] = (struct fuzz_trace){ &call, 1, 1 };
	for (int i = 0; i < NR_RUNTIME_CALLS; i++) {
		/* A file that nobody maps is left out. */
		if (i == CALL_OBJECT)
			continue;
		for (size_t j = 0; forms[i][j]; j++)
			call.arg[j] = forms[i][j] == 'a' ? 0x1000000000 : 1;
		call.id = (enum call_id)i;
		memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
		print_to_file(s, &res);
		shell(0, COMPILE);
		shell(0, CLEAN);
	}
	fuzz_free(s);
}

static void run_printed(int wrong, int status)
{
	struct fuzz_sequence *s = sequence(HARMLESS, 11, 2, 150, false);
	struct fake fake = { .wrong = wrong, .wrong_call = CALL_CHECK, .wrong_at = UINT64_MAX };
	struct fuzz_result res;

	run_fake(s, &fake, &res);
	EXPECT_LT(wrong ? 0 : 200, res.done);
	if (wrong) {
		/* The last step wants what is not there. */
		res.trace[0].call[res.trace[0].nr - 1].arg[2] = 0x1234;
		EXPECT_EQ(res.finding.group, 0);
	}
	print_to_file(s, &res);
	shell(0, COMPILE);
	shell(status, "./p 3");
	shell(0, CLEAN);
	fuzz_result_free(&res);
	fuzz_free(s);
}

TEST(printed_program_repeats_what_is_right)
{
	run_printed(0, 0);
}

TEST(printed_program_shows_what_is_wrong)
{
	run_printed(-2000, 1);
}
