// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scenarios that behave in one way each, for the tests of the runner. They need
 * nothing and run on any machine; only the test program has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/scenario.h"

#define BEHAVIOUR(fn, name_, limit, ...)                                       \
	static const struct scenario fn##_scenario = {                         \
		.name = name_,                                                 \
		.summary = "for tests of the runner",                          \
		.explanation = "Nothing for a class.",                         \
		.groups = "behaviour",                                         \
		.time_limit_s = limit,                                         \
		.run = fn,                                                     \
		__VA_ARGS__                                                    \
	};                                                                     \
	SCENARIO(fn##_scenario)

static void passes(struct run *r)
{
	step(r, "First, <&\"> and # \\ are said.");
	expect(r, true, "one is one # not a directive");
	measure(r, "answer", "1", 42);
	measure(r, "third", "ns", 1.0 / 3);
	note(r, "seed %" PRIu64 ", random %" PRIu64, run_seed(r), rnd_below(r, 1000000));
	step(r, "Second.");
	expect_eq_u64(r, param_u64(r, "n") * 2, 2 * param_u64(r, "n"), "twice is twice");
	expect_range(r, param_u64(r, "size"), 4096, 1 << 30, "the size is in range");
	expect_str(r, param_str(r, "word"), param_bool(r, "flag") ? "b" : "a", "the word fits the flag");
	printf("a line on stdout\n\ttab\001\nwithout an end");
}
BEHAVIOUR(passes, "passes", 60,
	  .params = PARAMS(P_UINT("n", "3", 1, 9, "a number"),
			   P_SIZE("size", "4K", 4096, 1 << 30, "a size"),
			   P_BOOL("flag", "no", "a flag"), P_ENUM("word", "a", "a|b", "a word")));

static void fails(struct run *r)
{
	step(r, "It fails.");
	expect(r, true, "this holds");
	expect_eq_u64(r, 1, 2, "one is two");
	expect_range(r, 5, 6, 7, "five is six or seven");
	expect_str(r, "x", "y", "x is y");
	expect(r, errno == -1, "a condition");
}
BEHAVIOUR(fails, "fails", 60);

static void requires(struct run *r)
{
	require(r, true, "this holds");
	require(r, false, "this does not");
	expect(r, true, "never said");
}
BEHAVIOUR(requires, "requires", 60);

/* Not a constant, of which the compiler would complain. */
static volatile int *volatile nowhere = (volatile int *)0x18;

static void crashes(struct run *r)
{
	expect(r, true, "before the crash");
	*nowhere = 1;
	expect(r, true, "never said");
}
BEHAVIOUR(crashes, "crashes", 60);

static void aborts(struct run *r)
{
	expect(r, true, "before the abort");
	abort();
}
BEHAVIOUR(aborts, "aborts", 60);

static void exits(struct run *r)
{
	expect(r, true, "before the exit");
	exit(0);
}
BEHAVIOUR(exits, "exits", 60);

static void hangs(struct run *r)
{
	expect(r, true, "before it hangs");
	step(r, "Now it hangs.");
	for (;;)
		pause();
}
BEHAVIOUR(hangs, "hangs", 10);

static void says_nothing(struct run *r)
{
	note(r, "nothing is checked");
}
BEHAVIOUR(says_nothing, "says-nothing", 60);

static void skips(struct run *r)
{
	skip(r, "there is no %s here", "moon");
}
BEHAVIOUR(skips, "skips", 60);

static void bails(struct run *r)
{
	expect(r, true, "before it bails");
	errno = ENOSPC;
	bail_errno(r, "writing the file");
}
BEHAVIOUR(bails, "bails", 60);

static void wrong_param(struct run *r)
{
	expect(r, true, "before");
	param_u64(r, "undeclared");
}
BEHAVIOUR(wrong_param, "wrong-param", 60);

static void needs_kvm_and_more(struct run *r)
{
	expect(r, false, "never run");
}
BEHAVIOUR(needs_kvm_and_more, "needs-memory", 60, .min_memory = 1ULL << 60);

static void probes(struct run *r)
{
	char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("empty", 0);
	char *beyond = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	struct probe a = probe_load(p), b = probe_store(p, 1), c = probe_load(beyond);

	expect_eq_u64(r, (uint64_t)a.signal, 0, "a load works");
	expect(r, b.signal == SIGSEGV && b.code == SEGV_ACCERR && b.addr == p,
	       "a store to read-only memory is SIGSEGV there");
	expect(r, c.signal == SIGBUS, "a load beyond the end of a file is SIGBUS");
	/* Handlers are as before: this would be a crash of the scenario. */
	expect(r, probe_load(p).signal == 0, "and after that a load works again");
}
BEHAVIOUR(probes, "probes", 60);

static void patterns(struct run *r)
{
	static uint64_t a[512], b[512];
	struct mismatch m;

	pattern_fill(a, sizeof(a), 1, 7);
	pattern_fill(b, sizeof(b), 1, 8);
	expect_intact(r, pattern_check(a, sizeof(a), 1, 7), "what was written is found");
	expect(r, pattern_check(a, sizeof(a), 1, 8).count == 512, "another id is another pattern");
	expect(r, pattern_check(a, sizeof(a), 2, 7).count == 512, "another seed is another pattern");
	expect(r, pattern_check(a + 1, 8, 1, 7).count == 1, "another offset is another word");
	a[100] ^= 1ULL << 63;
	m = pattern_check(a, sizeof(a), 1, 7);
	expect(r, m.count == 1 && m.offset == 800 && m.got == a[100] && !m.is_tag,
	       "one wrong bit is found, and where");
}
BEHAVIOUR(patterns, "patterns", 60);

/* ---- Roles ------------------------------------------------------------------ */

static const struct role user = {
	.name = "user",
	.summary = "an ordinary user",
	.syscalls = SYSCALLS("getresuid", "capget", "getgroups", "setresuid", "getrlimit",
			     "prlimit64"),
};
static const struct role hanger = { .name = "hanger",
				    .summary = "hangs",
				    .syscalls = SYSCALLS("pause", "ppoll") };
static const struct role free_role = { .name = "free", .summary = "not confined" };

struct shared {
	struct gate *hello, *bye;
	uint64_t random[2], uid, back, no_new_privs, files;
};

static void be_user(struct run *r, void *arg)
{
	struct shared *s = arg;
	struct rlimit rl = { 0 };

	s->uid = getuid();
	s->back = setresuid(0, 0, 0) == 0;
	s->no_new_privs = (uint64_t)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	s->random[0] = rnd(r);
	getrlimit(RLIMIT_NOFILE, &rl);
	s->files = rl.rlim_cur;
	note(r, "the user is here");
	measure(r, "uid", "1", (double)s->uid);
	expect(r, true, "the user can say things");
	gate_open(s->hello);
	if (!gate_wait(s->bye, 30000))
		bail(r, "the gate stays closed");
}

static void roles(struct run *r)
{
	struct shared *s = shared_alloc(r, sizeof(*s));
	struct child *c;

	s->hello = gate_new(r);
	s->bye = gate_new(r);
	expect(r, !gate_wait(s->hello, 10), "a closed gate is closed");
	c = role_spawn(r, &user, be_user, s);
	require(r, gate_wait(s->hello, 30000), "the user opened the gate");
	expect(r, role_wait(r, c, 20).timed_out, "the user still runs");
	expect_eq_u64(r, s->uid, geteuid() ? geteuid() : 1000, "the user is an ordinary one");
	if (!geteuid())
		expect(r, !s->back, "the user cannot become root again");
	expect_eq_u64(r, s->no_new_privs, 1, "no_new_privs is set");
	expect_range(r, s->files, 1, 1024, "the user may open 1024 files at most");
	expect(r, s->random[0] != rnd(r), "the user has random numbers of its own");
	gate_open(s->bye);
	expect_role_done(r, c, 30000);
	expect_eq_u64(r, (uint64_t)role_wait(r, c, 0).status, 0, "its status can be asked again");
}
BEHAVIOUR(roles, "roles", 60, .roles = ROLES(&user));

static void ask_for_more(struct run *r, void *arg)
{
	(void)arg;
	note(r, "about to call getcwd");
	syscall(SYS_getcwd, NULL, 0);
	expect(r, false, "never said");
}

static void denied_role(struct run *r)
{
	struct child *c = role_spawn(r, &user, ask_for_more, NULL);

	role_wait(r, c, 30000);
	expect(r, true, "never said");
}
BEHAVIOUR(denied_role, "denied-role", 60, .kind = SCENARIO_ADVERSARY,
	  .syscalls = SYSCALLS("memfd_create"), .roles = ROLES(&user));

static void denied_self(struct run *r)
{
	expect(r, true, "before the call");
	syscall(SYS_getcwd, NULL, 0);
	expect(r, true, "never said");
}
BEHAVIOUR(denied_self, "denied-self", 60, .kind = SCENARIO_ADVERSARY,
	  .syscalls = SYSCALLS("memfd_create"), .roles = ROLES(&user));

static void do_crash(struct run *r, void *arg)
{
	(void)r;
	(void)arg;
	*nowhere = 1;
}

static void role_crashes(struct run *r)
{
	struct child *c = role_spawn(r, &user, do_crash, NULL);
	siginfo_t si;

	/* Behind the API's back, which must then find it out by itself. */
	if (waitid(P_PID, (id_t)role_pid(c), &si, WEXITED | WNOWAIT))
		bail_errno(r, "waitid");
	expect(r, true, "the scenario did not look");
}
BEHAVIOUR(role_crashes, "role-crashes", 60, .roles = ROLES(&user));

static void role_crash_seen(struct run *r)
{
	struct child *c = role_spawn(r, &user, do_crash, NULL);

	expect_eq_u64(r, (uint64_t)role_wait(r, c, 30000).signal, SIGSEGV, "the role died of SIGSEGV");
}
BEHAVIOUR(role_crash_seen, "role-crash-seen", 60, .roles = ROLES(&user));

static void hang_for_ever(struct run *r, void *arg)
{
	(void)r;
	(void)arg;
	for (;;)
		pause();
}

/* Without O_CREAT, which in /tmp the kernel refuses for others' files. */
static FILE *append_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	return fd < 0 ? NULL : fdopen(fd, "a");
}

/* Leaves all kinds of processes behind; their numbers go to a file, for the test. */
static void leave_behind(struct run *r, void *arg)
{
	const char *path = arg;
	FILE *f = append_to(path);
	pid_t pid;

	if (!f)
		bail_errno(r, "%s", path);
	pid = fork();
	if (!pid) {
		/* Out of the group, and its parent will be gone. */
		setsid();
		signal(SIGTERM, SIG_IGN);
		pid = fork();
		for (;;)
			pause();
	}
	fprintf(f, "%d\n%d\n", getpid(), pid);
	fclose(f);
}

static void orphans(struct run *r)
{
	char *path = strdup(param_str(r, "file"));
	struct child *c = role_spawn(r, &free_role, leave_behind, path);
	FILE *f;

	role_spawn(r, &hanger, hang_for_ever, NULL);
	expect_role_done(r, c, 30000);
	f = append_to(path);
	if (!f)
		bail_errno(r, "%s", path);
	fprintf(f, "%d\n", getpid());
	fclose(f);
	if (param_bool(r, "crash"))
		raise(SIGKILL);
	if (param_bool(r, "hang"))
		hang_for_ever(r, NULL);
}
BEHAVIOUR(orphans, "orphans", 10, .roles = ROLES(&free_role, &hanger),
	  .params = PARAMS(P_STRING("file", "/dev/null", "where to write the numbers"),
			   P_BOOL("crash", "no", "die of SIGKILL"),
			   P_BOOL("hang", "no", "do not end")));

static void role_skips(struct run *r)
{
	expect(r, true, "before");
	role_kill(r, role_spawn(r, &hanger, hang_for_ever, NULL));
	expect(r, true, "a role that hangs can be killed");
}
BEHAVIOUR(role_skips, "role-killed", 60, .roles = ROLES(&hanger));

static void do_bail(struct run *r, void *arg)
{
	(void)arg;
	bail(r, "the role has had enough");
}

static void role_bails(struct run *r)
{
	struct child *c;

	expect(r, true, "before");
	c = role_spawn(r, &user, do_bail, NULL);
	role_wait(r, c, 30000);
	expect(r, true, "never said");
}
BEHAVIOUR(role_bails, "role-bails", 60, .roles = ROLES(&user));

/* Its own stderr, and that of a program it starts. */
static void grumbles(struct run *r)
{
	step(r, "It complains.");
	fprintf(stderr, "a complaint\n");
	expect_eq_u64(r, (uint64_t)system("echo one of a child >&2"), 0, "the child ends well");
}
BEHAVIOUR(grumbles, "grumbles", 60);

/* Every byte, and then what is text. */
static void babbles(struct run *r)
{
	for (int c = 1; c < 256; c++)
		if (c != '\n')
			putchar(c);
	printf("\n\xe2\x82 \xc0\xaf \xed\xa0\x80 \xef\xbf\xbf \xf4\x90\x80\x80 \xc3");
	printf("\n\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n");
	note(r, "a note with \xff and \033");
	expect(r, false, "a result with \xff and \x01 and \xc3\xa9");
}
BEHAVIOUR(babbles, "babbles", 60,
	  .params = PARAMS(P_STRING("text", "", "shown with the results")));

static void floods(struct run *r)
{
	for (int i = 0; i < 5000; i++)
		expect(r, true, "result %d", i);
	for (int i = 0; i < 2000; i++)
		printf("output %d\n", i);
}
BEHAVIOUR(floods, "floods", 60);

static void skips_a_result(struct run *r)
{
	expect(r, true, "this holds");
	skip_result(r, "no moon, #1", "the tide is in at %d", 12);
	expect(r, !param_bool(r, "fail"), "this holds, too");
}
BEHAVIOUR(skips_a_result, "skips-result", 60,
	  .params = PARAMS(P_BOOL("fail", "no", "the other result fails")));

static void skips_each_result(struct run *r)
{
	skip_result(r, "no moon", "the tide is in");
}
BEHAVIOUR(skips_each_result, "skips-each", 60);

/* The test makes these in its working directory. */
static void changes(struct run *r)
{
	const char *end = param_str(r, "end");

	/* Not by kernel_write(), which would complain of one of them. */
	expect(r, !system("echo new >setting; echo other >choice; echo 1 >setting-2"),
	       "settings are changed");
	if (param_bool(r, "spoil"))
		expect_eq_u64(r, (uint64_t)system("rm choice && mkdir choice"), 0, "one is spoilt");
	step(r, "They are changed.");
	if (!strcmp(end, "kill"))
		raise(SIGKILL);
	if (!strcmp(end, "skip"))
		skip(r, "skipped after the change");
	while (!strcmp(end, "hang"))
		pause();
}
BEHAVIOUR(changes, "changes", 10,
	  .save_restore = SETTINGS({ "setting*" }, { "choice" },
				   { "missing", SETTING_OPTIONAL }),
	  .params = PARAMS(P_ENUM("end", "well", "well|kill|hang|skip", "how it ends"),
			   P_BOOL("spoil", "no", "one of them takes no value any more")));

static void changes_undeclared(struct run *r)
{
	expect(r, true, "before");
	/* Not there, and not declared: the latter counts. */
	kernel_write(r, "/proc/sys/vm/no-such-file", "1");
	expect(r, false, "never said");
}
BEHAVIOUR(changes_undeclared, "changes-undeclared", 60,
	  .save_restore = SETTINGS({ "/proc/sys/vm/*/*", SETTING_OPTIONAL }));

static void spoils_the_machine(struct run *r)
{
	expect(r, true, "it may");
}
BEHAVIOUR(spoils_the_machine, "spoils", 60, .needs = NEED_DISPOSABLE);

/* On a folder of the test's, in its working directory. */
static void mounts(struct run *r)
{
	if (access("mount-point", F_OK))
		skip(r, "there is no mount-point");
	expect_eq_u64(r, (uint64_t)mount("left", "mount-point", "tmpfs", 0, NULL), 0,
		      "it can mount something");
}
BEHAVIOUR(mounts, "mounts", 60, .needs = NEED_ROOT);

static void sets_switch(struct run *r)
{
	expect_eq_u64(r, switch_get(r, "choose_other_page"), 0, "the switch is as the fixture says");
	switch_set(r, "choose_other_page", 1);
	expect_eq_u64(r, summary_now(r).reserved_pages, 1010, "the summary is the fixture's");
	if (param_bool(r, "crash"))
		raise(SIGKILL);
}
BEHAVIOUR(sets_switch, "sets-switch", 60,
	  .params = PARAMS(P_BOOL("crash", "no", "die of SIGKILL")));
