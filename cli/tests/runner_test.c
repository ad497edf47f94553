// SPDX-License-Identifier: GPL-2.0-only
/* The runner, on scenarios that behave in one way each (scenarios/behaviours.c). */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit.h"

/* Against what hangs, on a computer however busy. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600

#include "run/registry.h"
#include "run/runner.h"

struct heard {
	unsigned int starts, steps, results, notes, measures, outputs, ends, waits;
	unsigned int passed, failed, skipped;
	enum verdict verdict;
	char reason[1200];
	char details[4096];	/* of failed results */
	char all[16384];	/* all texts, a line each */
	uint64_t ns;
	uint64_t random;
	bool had_state;
};

static void hear(void *ctx, const struct event *ev)
{
	struct heard *h = ctx;
	size_t len = strlen(h->all);

	if (ev->text && len + strlen(ev->text) + strlen(ev->role) + 4 < sizeof(h->all))
		sprintf(h->all + len, "%s|%s\n", ev->role, ev->text);
	switch (ev->type) {
	case EVENT_START:
		h->starts++;
		break;
	case EVENT_STEP:
		h->steps++;
		h->had_state |= ev->state != NULL;
		break;
	case EVENT_RESULT:
		h->results++;
		if (ev->skipped)
			h->skipped++;
		else if (ev->ok)
			h->passed++;
		else
			h->failed++;
		len = strlen(h->details);
		if (ev->detail && len + strlen(ev->detail) + 2 < sizeof(h->details))
			sprintf(h->details + len, "%s\n", ev->detail);
		break;
	case EVENT_MEASURE:
		h->measures++;
		break;
	case EVENT_NOTE:
		h->notes++;
		break;
	case EVENT_OUTPUT:
		h->outputs++;
		break;
	case EVENT_PLAN:
	case EVENT_EXIT:
		exit(1);
	case EVENT_END:
		h->ends++;
		h->verdict = ev->end->verdict;
		h->ns = ev->end->ns;
		snprintf(h->reason, sizeof(h->reason), "%s", ev->end->reason);
		break;
	}
}

static void count_wait(void *ctx)
{
	((struct heard *)ctx)->waits++;
}

/* Run it; set: "a=b" or NULL. */
static struct heard *run_it(const char *name, const char *set, const char *set2, uint64_t seed,
			    bool step_mode)
{
	const struct scenario *s = scenario_find(name);
	struct heard *h = calloc(1, sizeof(*h));
	struct run_params p;
	struct run_options opt = { .params = &p, .seed = seed, .step_mode = step_mode };
	char why[500];
	enum verdict v;

	if (!s || !h || !run_params_init(&p, s) ||
	    (set && !run_params_set(&p, set, why, sizeof(why))) ||
	    (set2 && !run_params_set(&p, set2, why, sizeof(why)))) {
		fprintf(stderr, "cannot set up %s\n", name);
		exit(1);
	}
	v = run_to_end(&opt, hear, count_wait, h);
	run_params_free(&p);
	if (h->starts != 1 || h->ends != 1 || v != h->verdict) {
		fprintf(stderr, "%s: %u starts, %u ends, verdicts %d and %d\n", name, h->starts,
			h->ends, v, h->verdict);
		exit(1);
	}
	return h;
}

struct expected {
	const char *name;
	enum verdict verdict;
	unsigned int passed, failed;
	const char *reason;	/* a part of it */
	const char *heard;	/* a part of what it says, or NULL */
};

static const struct expected expected[] = {
	{ "passes", VERDICT_PASS, 4, 0, "", "|one is one # not a directive" },
	{ "fails", VERDICT_FAIL, 1, 4, "4 of 5 results failed", NULL },
	{ "requires", VERDICT_FAIL, 1, 1, "could not go on", NULL },
	{ "crashes", VERDICT_FAIL, 1, 0, "Segmentation fault at address 0x18", NULL },
	{ "aborts", VERDICT_FAIL, 1, 0, "signal 6", NULL },
	{ "exits", VERDICT_FAIL, 1, 0, "exited, status 0, before its end", NULL },
	{ "says-nothing", VERDICT_FAIL, 0, 0, "without having checked anything", NULL },
	{ "skips", VERDICT_SKIP, 0, 0, "there is no moon here", NULL },
	{ "bails", VERDICT_ERROR, 1, 0, "writing the file: No space left on device", NULL },
	{ "wrong-param", VERDICT_ERROR, 1, 0, "'undeclared', which it did not declare", NULL },
	{ "skips-result", VERDICT_PASS, 2, 0, "", "|the tide is in at 12" },
	{ "skips-each", VERDICT_SKIP, 0, 0, "each of its results was skipped", NULL },
	{ "changes", VERDICT_SKIP, 0, 0, "this kernel has no setting*", NULL },
	{ "changes-undeclared", VERDICT_ERROR, 1, 0,
	  "it changes /proc/sys/vm/no-such-file, which it did not declare", NULL },
	{ "spoils", VERDICT_SKIP, 0, 0, "cannot be undone", NULL },
	{ "needs-memory", VERDICT_SKIP, 0, 0, "MiB of memory are too few", NULL },
	{ "probes", VERDICT_PASS, 4, 0, "", NULL },
	{ "patterns", VERDICT_PASS, 5, 0, "", NULL },
	{ "denied-role", VERDICT_FAIL, 0, 1, "role user made the system call getcwd",
	  "user|about to call" },
	{ "denied-self", VERDICT_FAIL, 1, 1, "made the system call getcwd", NULL },
	{ "role-crashes", VERDICT_FAIL, 1, 1, "1 of 2 results failed",
	  "user|the user crashed: Segmentation" },
	{ "role-crash-seen", VERDICT_PASS, 1, 0, "", NULL },
	{ "role-killed", VERDICT_PASS, 2, 0, "", NULL },
	{ "role-bails", VERDICT_ERROR, 1, 0, "user: the role has had enough", NULL },
	{ "floods", VERDICT_PASS, 5000, 0, "", NULL },
};

TEST(behaviours)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct expected *e = &expected[i];
		struct heard *h = run_it(e->name, NULL, NULL, 1, false);

		EXPECT_EQ(e->verdict, h->verdict) LOG("%s: %s", e->name, h->reason);
		EXPECT_EQ(e->passed, h->passed) LOG("%s", e->name);
		EXPECT_EQ(e->failed, h->failed) LOG("%s: %s", e->name, h->details);
		EXPECT_NE(NULL, strstr(h->reason, e->reason)) LOG("%s: %s", e->name, h->reason);
		EXPECT_EQ(!*e->reason, !*h->reason) LOG("%s: %s", e->name, h->reason);
		if (e->heard) {
			EXPECT_NE(NULL, strstr(h->all, e->heard)) LOG("%s: %s", e->name, h->all);
		}
		EXPECT_EQ(NULL, strstr(h->all, "never said")) LOG("%s: %s", e->name, h->all);
		free(h);
	}
}

TEST(details_of_failures)
{
	struct heard *h = run_it("fails", NULL, NULL, 1, false);

	EXPECT_NE(NULL, strstr(h->details, "got 1, wanted 2; 1, scenarios/behaviours.c:"))
		LOG("%s", h->details);
	EXPECT_NE(NULL, strstr(h->details, "got 5, wanted 6 to 7; "));
	EXPECT_NE(NULL, strstr(h->details, "got 'x', wanted 'y'; "));
	EXPECT_NE(NULL, strstr(h->details, "errno == -1, scenarios/"));
	free(h);
}

TEST(output_is_captured_line_by_line)
{
	struct heard *h = run_it("passes", NULL, NULL, 1, false);

	EXPECT_EQ(3, h->outputs);
	EXPECT_NE(NULL, strstr(h->all, "|a line on stdout\n| tab?\n|without an end\n"))
		LOG("%s", h->all);
	free(h);
	h = run_it("floods", NULL, NULL, 1, false);
	EXPECT_EQ(2000, h->outputs);
	free(h);
}

TEST(a_time_limit)
{
	struct heard *h = run_it("hangs", NULL, NULL, 1, false);

	EXPECT_EQ(VERDICT_FAIL, h->verdict);
	EXPECT_STREQ("its time limit of 10 s is over, in the step \"Now it hangs.\"", h->reason);
	EXPECT_EQ(1, h->passed);
	EXPECT_LE(10000000000, h->ns);
	EXPECT_GT(100000000000, h->ns);
	free(h);
}

TEST(steps_wait)
{
	struct heard *h = run_it("passes", NULL, NULL, 1, true);

	EXPECT_EQ(2, h->steps);
	EXPECT_EQ(2, h->waits);
	EXPECT_EQ(VERDICT_PASS, h->verdict);
	free(h);
	h = run_it("passes", NULL, NULL, 1, false);
	EXPECT_EQ(0, h->waits);
	free(h);
}

/* As the terminal UI does: waiting is longer than the time limit, and does not count. */
TEST(waiting_does_not_count)
{
	struct heard *h = calloc(1, sizeof(*h));
	struct run_params p;
	struct run_options opt = { .params = &p, .step_mode = true, .time_limit_s = 8 };
	struct runner *rn;

	ASSERT_NE(NULL, h);
	ASSERT_TRUE(run_params_init(&p, scenario_find("passes")));
	rn = runner_start(&opt, hear, h);
	ASSERT_NE(NULL, rn);
	while (runner_dispatch(rn)) {
		struct pollfd pfd = { .fd = runner_fd(rn), .events = POLLIN };

		if (runner_waiting(rn) && !h->waits) {
			h->waits++;
			/* Nothing happens meanwhile, and the descriptor says so. */
			EXPECT_EQ(0, poll(&pfd, 1, 8500));
			EXPECT_TRUE(runner_dispatch(rn));
			EXPECT_TRUE(runner_waiting(rn));
			EXPECT_EQ(1, h->steps);
			/* The rest goes through without. */
			runner_set_step_mode(rn, false);
			runner_continue(rn);
		}
		ASSERT_EQ(1, poll(&pfd, 1, 60000));
	}
	runner_free(rn);
	EXPECT_EQ(VERDICT_PASS, h->verdict) LOG("%s", h->reason);
	EXPECT_EQ(2, h->steps);
	EXPECT_GT(8000000000, h->ns);
	run_params_free(&p);
	free(h);
}

static bool alive(int pid)
{
	char path[64], stat[256] = "", *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	fclose(f);
	p = strrchr(stat, ')');
	return p && p[2] != 'Z';
}

TEST(aborting)
{
	struct heard *h = calloc(1, sizeof(*h));
	struct run_params p;
	struct run_options opt = { .params = &p };
	struct runner *rn;
	pid_t pid;

	ASSERT_TRUE(run_params_init(&p, scenario_find("hangs")));
	rn = runner_start(&opt, hear, h);
	ASSERT_NE(NULL, rn);
	ASSERT_LT(0, runner_pid(rn));
	runner_abort(rn, "enough");
	while (runner_dispatch(rn)) {
		struct pollfd pfd = { .fd = runner_fd(rn), .events = POLLIN };

		ASSERT_EQ(1, poll(&pfd, 1, 60000));
	}
	EXPECT_EQ(VERDICT_FAIL, h->verdict);
	EXPECT_STREQ("enough", h->reason);
	EXPECT_EQ(0, runner_pid(rn));
	runner_free(rn);
	/* Freed amid its life it dies too, without an event. */
	memset(h, 0, sizeof(*h));
	rn = runner_start(&opt, hear, h);
	ASSERT_NE(NULL, rn);
	pid = runner_pid(rn);
	runner_free(rn);
	EXPECT_EQ(0, h->ends);
	EXPECT_FALSE(alive(pid));
	run_params_free(&p);
	free(h);
}

TEST(a_seed_repeats_a_run)
{
	struct heard *a = run_it("passes", NULL, NULL, 5, false);
	struct heard *b = run_it("passes", NULL, NULL, 5, false);
	struct heard *c = run_it("passes", NULL, NULL, 6, false);

	EXPECT_NE(NULL, strstr(a->all, "seed 5, random"));
	EXPECT_STREQ(a->all, b->all);
	EXPECT_NE(0, strcmp(strstr(a->all, "random"), strstr(c->all, "random")));
	free(a);
	free(b);
	free(c);
}

TEST(parameters_reach_the_scenario)
{
	struct heard *h = run_it("passes", "flag=yes", NULL, 1, false);
	struct run_params p;
	char why[500];

	EXPECT_EQ(VERDICT_FAIL, h->verdict);
	EXPECT_NE(NULL, strstr(h->details, "got 'a', wanted 'b'"));
	free(h);
	h = run_it("passes", "flag=yes", "word=b", 1, false);
	EXPECT_EQ(VERDICT_PASS, h->verdict);
	free(h);
	ASSERT_TRUE(run_params_init(&p, scenario_find("passes")));
	EXPECT_FALSE(run_params_set(&p, "wurd=b", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "did you mean 'word'?")) LOG("%s", why);
	EXPECT_FALSE(run_params_set(&p, "n=10", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "1 to 9")) LOG("%s", why);
	EXPECT_FALSE(run_params_set(&p, "n", why, sizeof(why)));
	run_params_free(&p);
}

TEST(roles)
{
	struct heard *h = run_it("roles", NULL, NULL, 1, false);

	EXPECT_EQ(VERDICT_PASS, h->verdict) LOG("%s\n%s", h->reason, h->details);
	EXPECT_NE(NULL, strstr(h->all, "user|the user is here"));
	EXPECT_NE(NULL, strstr(h->all, "user|uid"));
	EXPECT_NE(NULL, strstr(h->all, "user|the user can say things"));
	free(h);
}

/* Whatever way it ends, nothing that it started is left. */
TEST(nothing_is_left_behind)
{
	static const struct {
		const char *set;
		enum verdict verdict;
	} ways[] = { { NULL, VERDICT_PASS },
		     { "crash=yes", VERDICT_FAIL },
		     { "hang=yes", VERDICT_FAIL } };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		char path[] = "/tmp/tagscope-pids-XXXXXX", set[64];
		int fd = mkstemp(path), pid, n = 0;
		struct heard *h;
		FILE *f;

		ASSERT_LE(0, fd);
		/* For the ordinary user that a role is. */
		ASSERT_EQ(0, fchmod(fd, 0666));
		close(fd);
		snprintf(set, sizeof(set), "file=%s", path);
		h = run_it("orphans", set, ways[i].set, 1, false);
		EXPECT_EQ(ways[i].verdict, h->verdict) LOG("%s", h->reason);
		f = fopen(path, "r");
		ASSERT_NE(NULL, f);
		while (fscanf(f, "%d", &pid) == 1) {
			n++;
			EXPECT_FALSE(alive(pid)) LOG("process %d lives", pid);
		}
		EXPECT_EQ(3, n);
		fclose(f);
		unlink(path);
		free(h);
	}
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static const char *read_text(const char *path)
{
	static char text[64];
	FILE *f = fopen(path, "r");

	memset(text, 0, sizeof(text));
	if (f) {
		if (fread(text, 1, sizeof(text) - 1, f) == 0)
			text[0] = '\0';
		fclose(f);
	}
	return text;
}

/* In a folder of their own, where the scenario finds them by their names. */
static void make_settings(char *dir)
{
	if (!mkdtemp(dir) || chdir(dir)) {
		perror(dir);
		exit(1);
	}
	write_text("setting", "old\n");
	write_text("setting-2", "0\n");
	write_text("choice", "always [sometimes] never\n");
}

static void remove_settings(const char *dir)
{
	unlink("setting");
	unlink("setting-2");
	unlink("choice");
	if (chdir("/") || rmdir(dir)) {
		perror(dir);
		exit(1);
	}
}

TEST(settings_are_restored)
{
	static const struct {
		const char *set;
		enum verdict verdict;
	} ways[] = { { NULL, VERDICT_PASS },
		     { "end=kill", VERDICT_FAIL },
		     { "end=hang", VERDICT_FAIL },
		     { "end=skip", VERDICT_SKIP } };
	char dir[] = "/tmp/tagscope-test-XXXXXX";

	make_settings(dir);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct heard *h = run_it("changes", ways[i].set, NULL, 1, false);

		EXPECT_EQ(ways[i].verdict, h->verdict) LOG("%s\n%s", h->reason, h->details);
		EXPECT_STREQ("old\n", read_text("setting"));
		EXPECT_STREQ("0\n", read_text("setting-2"));
		/* What is written is the choice; the kernel would show the others with it. */
		EXPECT_STREQ("sometimes\n", read_text("choice"));
		free(h);
	}
	remove_settings(dir);
}

/* What takes no value is an error, also of what was skipped, or would have passed. */
TEST(settings_that_cannot_be_restored)
{
	static const char *const ways[] = { NULL, "end=skip" };
	char dir[] = "/tmp/tagscope-test-XXXXXX";

	make_settings(dir);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct heard *h = run_it("changes", ways[i], "spoil=yes", 1, false);

		EXPECT_EQ(VERDICT_ERROR, h->verdict) LOG("%s\n%s", h->reason, h->details);
		EXPECT_NE(NULL, strstr(h->reason, "cannot put back choice to 'sometimes'"))
			LOG("%s", h->reason);
		EXPECT_STREQ("old\n", read_text("setting"));
		EXPECT_EQ(0, rmdir("choice"));
		write_text("choice", "always [sometimes] never\n");
		free(h);
	}
	remove_settings(dir);
}

/* Killed, the runner can do nothing any more; another does. */
TEST(settings_are_restored_when_killed)
{
	char dir[] = "/tmp/tagscope-test-XXXXXX";
	int status;
	pid_t pid;

	make_settings(dir);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		run_it("changes", "end=hang", NULL, 1, false);
		_exit(0);
	}
	for (int i = 0; i < 6000 && strcmp(read_text("setting-2"), "1\n"); i++)
		usleep(10000);
	EXPECT_STREQ("1\n", read_text("setting-2"));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	for (int i = 0; i < 6000 && strcmp(read_text("setting"), "old\n"); i++)
		usleep(10000);
	EXPECT_STREQ("old\n", read_text("setting"));
	EXPECT_STREQ("0\n", read_text("setting-2"));
	remove_settings(dir);
}

static void read_mounts(char *buf, size_t size)
{
	FILE *f = fopen("/proc/self/mounts", "r");

	buf[f ? fread(buf, 1, size - 1, f) : 0] = '\0';
	if (f)
		fclose(f);
}

TEST(a_mount_goes_with_the_scenario)
{
	static char before[65536], after[65536];
	char dir[] = "/tmp/tagscope-test-XXXXXX";
	int status;
	pid_t pid;

	if (geteuid())
		SKIP("only root mounts");
	make_settings(dir);
	ASSERT_EQ(0, mkdir("mount-point", 0700));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* What it leaves behind, if it does, must not be left on this machine. */
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(2);
		read_mounts(before, sizeof(before));
		if (run_it("mounts", NULL, NULL, 1, false)->verdict != VERDICT_PASS)
			_exit(3);
		read_mounts(after, sizeof(after));
		_exit(*before && !strcmp(before, after) ? 0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, rmdir("mount-point"));
	remove_settings(dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		SKIP("no mount namespaces here");
	EXPECT_EQ(0, status);
}

TEST(a_disposable_machine_says_so)
{
	struct heard *h;

	ASSERT_EQ(0, setenv("TAGSCOPE_DISPOSABLE", "1", 1));
	h = run_it("spoils", NULL, NULL, 1, false);
	EXPECT_EQ(VERDICT_PASS, h->verdict) LOG("%s", h->reason);
	free(h);
	ASSERT_EQ(0, setenv("TAGSCOPE_DISPOSABLE", "0", 1));
	h = run_it("spoils", NULL, NULL, 1, false);
	EXPECT_EQ(VERDICT_SKIP, h->verdict);
	free(h);
}

TEST(switches_are_restored)
{
	static const char *const ways[] = { NULL, "crash=yes" };
	char dir[] = "/tmp/tagscope-test-XXXXXX", cmd[600];
	struct state *st;
	uint64_t v;

	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(cmd, sizeof(cmd), "cp -r '%s/good/.' '%s'", FIXTURES, dir);
	ASSERT_EQ(0, system(cmd));
	ASSERT_EQ(0, setenv("TAGSCOPE_DEBUGFS", dir, 1));
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct heard *h = run_it("sets-switch", ways[i], NULL, 1, false);

		EXPECT_EQ(ways[i] ? VERDICT_FAIL : VERDICT_PASS, h->verdict)
			LOG("%s\n%s", h->reason, h->details);
		EXPECT_EQ(2, h->passed);
		EXPECT_NE(NULL, strstr(h->all, "switch choose_other_page is now 1"));
		ASSERT_EQ(0, state_open(&st));
		ASSERT_EQ(0, state_switch_get(st, "choose_other_page", &v));
		EXPECT_EQ(0, v);
		state_close(st);
		free(h);
	}
	/* With a state to be read, steps carry it. */
	{
		struct heard *h = run_it("passes", NULL, NULL, 1, false);

		EXPECT_TRUE(h->had_state);
		free(h);
	}
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", dir);
	EXPECT_EQ(0, system(cmd));
}
