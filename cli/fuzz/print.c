// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sequence as a program in C. It begins with the parts of runtime.c that its steps need; then
 * each group is a function that all its processes walk through, each taking its own steps.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz/fuzz.h"

#define PART "/* part: "
#define MAX_PARTS 64
#define ALL_MACROS_MADV(X)                                                                     \
	X(MADV_DONTNEED) X(MADV_FREE) X(MADV_PAGEOUT) X(MADV_COLD) X(MADV_HUGEPAGE)            \
	X(MADV_NOHUGEPAGE) X(MADV_MERGEABLE) X(MADV_UNMERGEABLE) X(MADV_POPULATE_READ)         \
	X(MADV_POPULATE_WRITE) X(MADV_REMOVE) X(MADV_DONTFORK) X(MADV_DOFORK)                  \
	X(MADV_WIPEONFORK) X(MADV_KEEPONFORK)

static const struct {
	const char *function, *args;
	int nr;
} forms[] = {
#define FORM(id_, function_, nr_, args_) { #function_, args_, nr_ },
	CALLS(FORM)
#undef FORM
};

/* A part's text, without its marker, and the words of the marker: its name, what it needs. */
struct part {
	const char *names, *text, *end;
	bool needed;
};

static size_t parts(struct part *p)
{
	const char *at = runtime_text();
	size_t n = 0;

	while ((at = strstr(at, "\n" PART)) && n < MAX_PARTS) {
		if (n)
			p[n - 1].end = at + 1;
		p[n].names = at + 1 + strlen(PART);
		p[n].text = strchr(p[n].names, '\n') + 1;
		p[n].needed = false;
		at = p[n++].text - 1;
	}
	/* The last is a marker of the end. */
	return n ? n - 1 : 0;
}

static bool is_word(const char *at, const char *word, size_t len)
{
	return strcspn(at, " \n") == len && !memcmp(at, word, len);
}

/* With what it needs. */
static void need(struct part *p, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = p[i].names;

		if (p[i].needed || !is_word(at, word, len))
			continue;
		p[i].needed = true;
		for (at += len + 1; *at != '*'; at += strcspn(at, " ") + 1)
			need(p, n, at, strcspn(at, " "));
	}
}

/* Only files that are used. */
static bool needless(const struct fuzz_trace *t, const struct call *c)
{
	if (c->id != CALL_OBJECT)
		return false;
	for (size_t i = 0; i < t->nr; i++)
		if ((t->call[i].id == CALL_MAP_OBJECT && t->call[i].arg[4] == c->arg[0]) ||
		    (t->call[i].id == CALL_PUNCH && t->call[i].arg[0] == c->arg[0]))
			return false;
	return true;
}

static void print_parts(FILE *f, const struct fuzz_result *res, bool common)
{
	struct part p[MAX_PARTS];
	size_t n = parts(p);

	need(p, n, "base", strlen("base"));
	if (common)
		need(p, n, "object", strlen("object"));
	for (unsigned int g = 0; g < FUZZ_GROUPS; g++) {
		const struct fuzz_trace *t = &res->trace[g];

		for (size_t i = 0; i < t->nr; i++)
			if (t->call[i].id < NR_RUNTIME_CALLS && !needless(t, &t->call[i]))
				need(p, n, forms[t->call[i].id].function,
				     strlen(forms[t->call[i].id].function));
	}
	for (size_t i = 0; i < n; i++)
		if (p[i].needed)
			fwrite(p[i].text, 1, (size_t)(p[i].end - p[i].text), f);
}

static void print_advice(FILE *f, unsigned long advice)
{
	switch (advice) {
#define ADVICE(name_)                                                                          \
	case name_:                                                                            \
		fputs(#name_, f);                                                              \
		break;
	ALL_MACROS_MADV(ADVICE)
#undef ADVICE
	case 25:
		fputs("MADV_COLLAPSE", f);
		break;
	case 101:
		fputs("MADV_SOFT_OFFLINE", f);
		break;
	default:
		fprintf(f, "%lu", advice);
	}
}

static void print_arg(FILE *f, char form, unsigned long arg)
{
	switch (form) {
	case 'a':
		fprintf(f, "0x%lxUL", arg);
		break;
	case 'k':
		fprintf(f, arg ? "0x%lxUL" : "%lu", arg);
		break;
	case 'p':
		fprintf(f, "%s%s%s", arg & PROT_READ ? "PROT_READ" : "PROT_NONE",
			arg & PROT_WRITE ? " | PROT_WRITE" : "", arg & 0x20 ? " | PROT_MTE" : "");
		break;
	case 'f':
		fputs(arg == MAP_SHARED ? "MAP_SHARED" : "MAP_PRIVATE", f);
		break;
	case 'm':
		fputs(arg ? "MREMAP_DONTUNMAP" : "0", f);
		break;
	case 'v':
		print_advice(f, arg);
		break;
	default:
		fprintf(f, "%lu", arg);
	}
}

static void print_call(FILE *f, const struct call *c)
{
	fprintf(f, "%s(", forms[c->id].function);
	for (int i = 0; i < forms[c->id].nr; i++) {
		fputs(i ? ", " : "", f);
		print_arg(f, forms[c->id].args[i], c->arg[i]);
	}
	fputc(')', f);
}

static void print_outcome(FILE *f, int value)
{
	int sig = SIGNALLED(value);

	if (value == ANY_ERROR)
		fputs("ANY_ERROR", f);
	else if (value >= 0)
		fputs("0", f);
	else if (value > SIGNALLED(0) && strerrorname_np(-value))
		fprintf(f, "-%s", strerrorname_np(-value));
	else if (sig == SIGSEGV + TAG_CHECK)
		fputs("SIGNALLED(SIGSEGV + TAG_CHECK)", f);
	else if (sig == SIGSEGV || sig == SIGBUS)
		fprintf(f, "SIGNALLED(%s)", sig == SIGBUS ? "SIGBUS" : "SIGSEGV");
	else
		fprintf(f, "%d", value);
}

/* What the steps after it count on came; other outcomes would have been right, too. */
static bool decides(const struct call *c)
{
	return c->id == CALL_MOVE || c->id == CALL_UFFD_MOVE || c->id == CALL_POKE;
}

static void print_step(FILE *f, const struct call *c, bool turns, bool last)
{
	fputc('\t', f);
	if (turns)
		fprintf(f, "BY(%d) ", c->who);
	if (c->id == CALL_EXIT) {
		fputs("leave();\n", f);
		return;
	}
	fputs("TRY(", f);
	print_call(f, c);
	if (decides(c) && !last) {
		fputs(", ", f);
		print_outcome(f, c->got);
	} else {
		for (int i = 0; i < c->nr_want; i++) {
			fputs(", ", f);
			print_outcome(f, c->want[i]);
		}
	}
	fputs(");\n", f);
}

static void print_group(FILE *f, const struct fuzz_result *res, unsigned int g, bool turns)
{
	const struct fuzz_trace *t = &res->trace[g];

	fprintf(f, "\nstatic void group%u(void)\n{\n", g);
	for (size_t i = 0; i < t->nr; i++) {
		bool last = res->finding.kind && res->finding.group == g && i + 1 == t->nr;

		if (needless(t, &t->call[i]))
			continue;
		if (last) {
			fprintf(f, "\t/* %s here: got ", fuzz_finding_name(res->finding.kind));
			print_outcome(f, t->call[i].got);
			fputs(" */\n", f);
		}
		print_step(f, &t->call[i], turns, last);
	}
	fputs("}\n", f);
}

static const char frame[] =
	"\n"
	"#define ANY_ERROR 1\n"
	"#define TRY(call, ...)                                                             \\\n"
	"	judge(#call, (call), (const int[]){ __VA_ARGS__ },                         \\\n"
	"	      sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))\n"
	"/* The processes of a group walk through the same steps; each takes those of its number. */\n"
	"#define BY(who) if (turn(who))\n"
	"\n"
	"static int steps;\n"
	"\n"
	"/* A child goes on while its parent has not got here yet. */\n"
	"static void done(void)\n"
	"{\n"
	"	int old = __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST);\n"
	"\n"
	"	while (old < steps && !__atomic_compare_exchange_n(&shared->done, &old, steps, 0,\n"
	"							   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))\n"
	"		;\n"
	"}\n"
	"\n"
	"static void judge(const char *step, int got, const int *want, size_t n)\n"
	"{\n"
	"	for (size_t i = 0; i < n; i++) {\n"
	"		if (want[i] == got || (!want[i] && got >= 0) ||\n"
	"		    (want[i] == ANY_ERROR && got < 0 && got > -1000)) {\n"
	"			done();\n"
	"			return;\n"
	"		}\n"
	"	}\n"
	"	printf(\"process %d: %s: \", me, step);\n"
	"	if (got == BAD_DATA || got == BAD_TAGS)\n"
	"		printf(\"wrong %s at offset 0x%llx: is 0x%llx, should be 0x%llx\\n\",\n"
	"		       got == BAD_DATA ? \"data\" : \"tag\", (unsigned long long)bad.offset,\n"
	"		       (unsigned long long)bad.got, (unsigned long long)bad.want);\n"
	"	else if (got <= -1000)\n"
	"		printf(\"signal %d\\n\", -1000 - got);\n"
	"	else\n"
	"		printf(\"%d (%s), not %d\\n\", got, got < 0 ? strerror(-got) : \"no error\", *want);\n"
	"	fflush(stdout);\n"
	"	__atomic_store_n(&shared->failed, 1, __ATOMIC_SEQ_CST);\n"
	"	_exit(1);\n"
	"}\n";

static const char turns_text[] =
	"\n"
	"/* After a minute another process is taken to hang, or to be gone. */\n"
	"static void reach(int step)\n"
	"{\n"
	"	for (int i = 0; __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST) < step; i++) {\n"
	"		if (__atomic_load_n(&shared->failed, __ATOMIC_SEQ_CST) || i == 60000)\n"
	"			_exit(1);\n"
	"		usleep(i < 1000 ? 100 : 1000);\n"
	"	}\n"
	"}\n"
	"\n"
	"static int turn(int who)\n"
	"{\n"
	"	reach(who == me ? steps : steps + 1);\n"
	"	steps++;\n"
	"	return who == me;\n"
	"}\n";

static const char leave_text[] =
	"\n"
	"static void leave(void)\n"
	"{\n"
	"	done();\n"
	"	_exit(0);\n"
	"}\n";

static const char main_text[] =
	"\n"
	"/* Runs it N times, or once: PROGRAM [N]. Status 1: it showed. */\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	static void (*const groups[])(void) = { GROUPS };\n"
	"	int nr = sizeof(groups) / sizeof(groups[0]), status, failed = 0;\n"
	"	pid_t pid[sizeof(groups) / sizeof(groups[0])];\n"
	"\n"
	"	for (int n = argc > 1 ? atoi(argv[1]) : 1; n > 0 && !failed; n--) {\n"
	"		COMMON;\n"
	"		for (int g = 0; g < nr; g++) {\n"
	"			pid[g] = fork();\n"
	"			if (pid[g])\n"
	"				continue;\n"
	"			setpgid(0, 0);\n"
	"			alarm(120);\n"
	"			shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,\n"
	"				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n"
	"			process_init();\n"
	"			groups[g]();\n"
	"			_exit(shared->failed);\n"
	"		}\n"
	"		for (int g = 0; g < nr; g++) {\n"
	"			waitpid(pid[g], &status, 0);\n"
	"			failed |= status != 0;\n"
	"			kill(-pid[g], SIGKILL);\n"
	"		}\n"
	"	}\n"
	"	puts(failed ? \"it shows\" : \"it does not show\");\n"
	"	return failed;\n"
	"}\n";

void fuzz_print(FILE *f, const struct fuzz_sequence *s, const struct fuzz_result *res)
{
	bool turns = false, leaves = false, common = false;
	unsigned int groups = 0;

	fprintf(f, "/*\n * Printed by tagscope fuzz: %s, seed %" PRIu64 ".\n",
		fuzz_finding_name(res->finding.kind), s->seed);
	fputs(" * Build: aarch64-linux-gnu-gcc -O2 -static -o repeat FILE; run it as root.\n"
	      " * \"tagscope fuzz --replay FILE\" runs the operations below.\n *\n", f);
	fuzz_write(f, s, " * ");
	fputs(" */\n", f);
	for (unsigned int g = 0; g < s->groups; g++) {
		for (size_t i = 0; i < res->trace[g].nr; i++) {
			turns |= res->trace[g].call[i].who > 0 ||
				 res->trace[g].call[i].id == CALL_SPAWN;
			leaves |= res->trace[g].call[i].id == CALL_EXIT;
			common |= s->groups > 1 && res->trace[g].call[i].id == CALL_MAP_OBJECT &&
				  !res->trace[g].call[i].arg[4];
		}
	}
	print_parts(f, res, common);
	fputs(frame, f);
	if (turns)
		fputs(turns_text, f);
	if (leaves)
		fputs(leave_text, f);
	for (unsigned int g = 0; g < s->groups; g++)
		if (s->group[g].nr)
			print_group(f, res, g, turns);
	fputs("\n#define GROUPS", f);
	for (unsigned int g = 0; g < s->groups; g++)
		if (s->group[g].nr)
			fprintf(f, "%s group%u", groups++ ? "," : "", g);
	fprintf(f, "\n#define COMMON %s\n", common ? "object(0, 1024)" : "(void)0");
	fputs(main_text, f);
}
