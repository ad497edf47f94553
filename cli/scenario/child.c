// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scenarios call (scenario.h), inside of the scenario's process and its roles.
 * All of them say what happens in JSON objects, one a packet, over one socket; the
 * runner on the other side numbers and judges them.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenario/child.h"
#include "scenario/confine.h"

struct child {
	struct child *next;
	const struct role *role;
	pid_t pid;
	bool reaped, told;	/* told: the scenario knows how it ended */
	int wstatus;
};

struct run {
	const struct run_params *params;
	struct run_control *control;
	uint64_t seed, rnd;
	const struct role *role;	/* NULL: the scenario's own process */
	pid_t pid;
	struct state *state;
	struct child *children;
	unsigned int roles;
};

/* For handlers, which have no argument. */
static struct run *the_run;

/* ---- Saying things -------------------------------------------------------- */

static void say_json(struct run *r, cJSON *o)
{
	char *text;

	if (r->role)
		cJSON_AddStringToObject(o, "role", r->role->name);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	if (!text)
		_exit(RUN_EXIT_ENDED);
	/* EPIPE: the runner is gone, and so shall we be. */
	while (send(RUN_FD_SAY, text, strlen(text), MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(RUN_EXIT_ENDED);
	free(text);
}

static cJSON *object(const char *type)
{
	cJSON *o = cJSON_CreateObject();

	if (!o || !cJSON_AddStringToObject(o, "type", type))
		_exit(RUN_EXIT_ENDED);
	return o;
}

static void text_va(char *buf, size_t size, const char *fmt, va_list ap)
{
	vsnprintf(buf, size, fmt, ap);
	/* Each text is one line in every format. */
	for (char *c = buf; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
}

#define TEXT(buf, fmt)                                                         \
	do {                                                                   \
		va_list ap_;                                                   \
		va_start(ap_, fmt);                                            \
		text_va(buf, sizeof(buf), fmt, ap_);                           \
		va_end(ap_);                                                   \
	} while (0)

static void say(struct run *r, const char *type, const char *text)
{
	cJSON *o = object(type);

	cJSON_AddStringToObject(o, "text", text);
	say_json(r, o);
}

/* End this process, and with it the scenario: the runner kills the rest. */
static void __attribute__((noreturn)) end_with(struct run *r, const char *type, const char *text)
{
	fflush(NULL);
	say(r, type, text);
	_exit(RUN_EXIT_ENDED);
}

static struct state *reader(struct run *r, bool must)
{
	if (r->state && r->pid == getpid())
		return r->state;
	if (state_open(&r->state)) {
		char text[800];

		snprintf(text, sizeof(text), "%s", state_error(r->state));
		if (must)
			end_with(r, "bail", text);
		state_close(r->state);
		r->state = NULL;
	}
	return r->state;
}

/* The counters as they are now, for whoever shows or records the scenario. */
static void add_state(struct run *r, cJSON *o)
{
	struct state *st = r->role ? NULL : reader(r, false);
	struct state_summary s;
	cJSON *counters;

	if (!st || state_read_summary(st, &s))
		return;
	cJSON_AddStringToObject(o, "policy", s.policy);
	counters = cJSON_AddArrayToObject(o, "counters");
	for (size_t i = 0; i < nr_state_counters; i++) {
		char number[32];

		/* A double would lose the last bits of a 64-bit number. */
		snprintf(number, sizeof(number), "%" PRIu64,
			 state_counter_value(&s, &state_counters[i]));
		cJSON_AddItemToArray(counters, cJSON_CreateString(number));
	}
}

void step(struct run *r, const char *fmt, ...)
{
	char text[1024], byte;
	ssize_t n;
	cJSON *o;
	bool wait = !r->role && r->control->step_mode;

	TEXT(text, fmt);
	if (r->role) {
		say(r, "note", text);
		return;
	}
	o = object("step");
	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddBoolToObject(o, "wait", wait);
	add_state(r, o);
	say_json(r, o);
	if (!wait)
		return;
	do
		n = read(RUN_FD_GO, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(RUN_EXIT_ENDED);
}

void note(struct run *r, const char *fmt, ...)
{
	char text[1024];

	TEXT(text, fmt);
	say(r, "note", text);
}

void measure(struct run *r, const char *name, const char *unit, double value)
{
	cJSON *o = object("measure");

	cJSON_AddStringToObject(o, "text", name);
	cJSON_AddStringToObject(o, "unit", unit);
	cJSON_AddNumberToObject(o, "value", value);
	say_json(r, o);
}

static bool result(struct run *r, bool ok, const char *text, const char *detail, const char *what,
		   const char *file, int line)
{
	cJSON *o = object("result");
	char full[1024];

	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddBoolToObject(o, "ok", ok);
	if (!ok) {
		const char *name = strrchr(file, '/');
		const char *folder = name;

		/* The folder and the name are enough, wherever it was built. */
		while (folder && folder > file && folder[-1] != '/')
			folder--;
		snprintf(full, sizeof(full), "%s%s%s, %s:%d", detail, *detail ? "; " : "", what,
			 folder ? folder : file, line);
		cJSON_AddStringToObject(o, "detail", full);
	}
	say_json(r, o);
	return ok;
}

bool run_expect(struct run *r, const char *file, int line, const char *what, bool cond,
		const char *fmt, ...)
{
	char text[512];

	TEXT(text, fmt);
	return result(r, cond, text, "", what, file, line);
}

bool run_expect_range(struct run *r, const char *file, int line, const char *what, uint64_t got,
		      uint64_t lo, uint64_t hi, const char *fmt, ...)
{
	char text[512], detail[160];

	TEXT(text, fmt);
	if (lo == hi)
		snprintf(detail, sizeof(detail), "got %" PRIu64 ", wanted %" PRIu64, got, lo);
	else
		snprintf(detail, sizeof(detail), "got %" PRIu64 ", wanted %" PRIu64 " to %" PRIu64,
			 got, lo, hi);
	return result(r, got >= lo && got <= hi, text, detail, what, file, line);
}

bool run_expect_str(struct run *r, const char *file, int line, const char *what, const char *got,
		    const char *want, const char *fmt, ...)
{
	char text[512], detail[400];

	TEXT(text, fmt);
	snprintf(detail, sizeof(detail), "got '%s', wanted '%s'", got, want);
	return result(r, !strcmp(got, want), text, detail, what, file, line);
}

bool run_expect_intact(struct run *r, const char *file, int line, struct mismatch m,
		       const char *fmt, ...)
{
	char text[512], detail[256];

	TEXT(text, fmt);
	snprintf(detail, sizeof(detail),
		 "%" PRIu64 " wrong %s, first at offset 0x%zx: got 0x%" PRIx64
		 ", wanted 0x%" PRIx64,
		 m.count, m.is_tag ? "tags" : "words", m.offset, m.got, m.want);
	return result(r, !m.count, text, detail, m.is_tag ? "tags" : "data", file, line);
}

void run_stop(struct run *r)
{
	end_with(r, "stop", "");
}

void skip(struct run *r, const char *fmt, ...)
{
	char text[512];

	TEXT(text, fmt);
	end_with(r, "skip", text);
}

void bail(struct run *r, const char *fmt, ...)
{
	char text[1024];

	TEXT(text, fmt);
	end_with(r, "bail", text);
}

void bail_errno(struct run *r, const char *fmt, ...)
{
	int err = errno;
	char text[512], full[640];

	TEXT(text, fmt);
	snprintf(full, sizeof(full), "%s: %s", text, strerror(err));
	end_with(r, "bail", full);
}

/* ---- Parameters, random numbers, time -------------------------------------- */

static const struct run_param *param(struct run *r, const char *name, bool number, bool boolean)
{
	for (size_t i = 0; i < r->params->n; i++) {
		const struct run_param *p = &r->params->values[i];
		bool is_bool = p->decl->type == PARAM_BOOL;
		bool is_number = p->decl->type == PARAM_UINT || p->decl->type == PARAM_SIZE;

		if (strcmp(p->decl->name, name))
			continue;
		if (is_bool != boolean || is_number != number)
			bail(r, "the scenario asks for parameter '%s' as another type", name);
		return p;
	}
	bail(r, "the scenario asks for parameter '%s', which it did not declare", name);
}

uint64_t param_u64(struct run *r, const char *name)
{
	return param(r, name, true, false)->value;
}

bool param_bool(struct run *r, const char *name)
{
	return param(r, name, false, true)->value;
}

const char *param_str(struct run *r, const char *name)
{
	return param(r, name, false, false)->text;
}

uint64_t run_seed(const struct run *r)
{
	return r->seed;
}

uint64_t rnd(struct run *r)
{
	return mix64(r->rnd++);
}

uint64_t rnd_below(struct run *r, uint64_t n)
{
	uint64_t limit, x;

	if (!n)
		bail(r, "rnd_below(0)");
	/* Leave out the last, incomplete, run of n, or small numbers come more often. */
	limit = UINT64_MAX - UINT64_MAX % n;
	do
		x = rnd(r);
	while (x >= limit);
	return x % n;
}

/* ---- State ------------------------------------------------------------------ */

static struct state *must_read(struct run *r)
{
	return reader(r, true);
}

static void check(struct run *r, int err)
{
	if (err)
		bail(r, "%s", state_error(r->state));
}

struct state_summary summary_now(struct run *r)
{
	struct state_summary s;

	check(r, state_read_summary(must_read(r), &s));
	return s;
}

struct state_block block_now(struct run *r, uint64_t block)
{
	struct state_block b;
	size_t got;

	check(r, state_read_blocks(must_read(r), block, 1, &b, &got));
	if (got != 1)
		bail(r, "there is no block %" PRIu64, block);
	return b;
}

bool page_present(struct run *r, pid_t pid, const void *addr, struct state_page *page)
{
	int err = state_lookup_addr(must_read(r), pid, (uintptr_t)addr, page);

	if (err == -EFAULT)
		return false;
	check(r, err);
	return true;
}

struct state_page page_now(struct run *r, pid_t pid, const void *addr)
{
	struct state_page page;

	check(r, state_lookup_addr(must_read(r), pid, (uintptr_t)addr, &page));
	return page;
}

struct state_page pfn_now(struct run *r, uint64_t pfn)
{
	struct state_page page;

	check(r, state_lookup_pfn(must_read(r), pfn, &page));
	return page;
}

struct state_tags tags_now(struct run *r, pid_t pid, const void *addr)
{
	struct state_tags tags;

	check(r, state_tags_addr(must_read(r), pid, (uintptr_t)addr, &tags));
	return tags;
}

int kernel_write(const char *path, const char *fmt, ...)
{
	char text[256];
	int fd, err = 0;
	va_list args;
	ssize_t n;
	size_t len;

	va_start(args, fmt);
	len = (size_t)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= sizeof(text)) {
		errno = E2BIG;
		return -errno;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		err = n < 0 ? errno : EIO;
	close(fd);
	if (err)
		errno = err;
	return -err;
}

#define DROP_CACHES "/proc/sys/vm/drop_caches"

void drain_lru(struct run *r)
{
	/* Of all that drains the batches of all CPUs this has the least side effects. */
	if (kernel_write(DROP_CACHES, "1"))
		bail_errno(r, "%s", DROP_CACHES);
}

uint64_t switch_get(struct run *r, const char *name)
{
	uint64_t value;

	check(r, state_switch_get(must_read(r), name, &value));
	return value;
}

void switch_set(struct run *r, const char *name, uint64_t value)
{
	check(r, state_switch_set(must_read(r), name, value));
	note(r, "switch %s is now %" PRIu64, name, value);
}

/* ---- Roles ------------------------------------------------------------------ */

static void denied(const char *name)
{
	end_with(the_run, "denied", name);
}

/* A crash is a result; say where before dying of it. */
static void crashed(int sig, siginfo_t *si, void *context)
{
	char text[160];

	(void)context;
	snprintf(text, sizeof(text), "%s at address %p%s", strsignal(sig), si->si_addr,
		 sig == SIGSEGV && si->si_code == SEGV_MTESERR ? " (tag check)" :
		 sig == SIGSEGV && si->si_code == SEGV_MTEAERR ? " (asynchronous tag check)" : "");
	say(the_run, "crash", text);
	/* SA_RESETHAND: the default action comes when this returns, or now. */
	raise(sig);
}

static void catch_crashes(struct run *r)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = {
		.sa_sigaction = crashed,
		.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_ONSTACK,
	};
	stack_t stack = { .ss_size = 64 * 1024 };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		bail_errno(r, "stack for signal handlers");
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (sigaction(fatal[i], &sa, NULL))
			bail_errno(r, "sigaction");
}

static void die_with(struct run *r, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		bail_errno(r, "PR_SET_PDEATHSIG");
	/* It may have died before. */
	if (getppid() != parent)
		_exit(RUN_EXIT_ENDED);
}

static void __attribute__((noreturn))
role_main(struct run *r, const struct role *role, unsigned int number, pid_t parent,
	  void (*fn)(struct run *r, void *arg), void *arg)
{
	char why[256];

	r->role = role;
	r->pid = getpid();
	r->state = NULL;	/* the parent's; its memory is freed when this ends */
	r->children = NULL;
	r->rnd = mix64(r->seed + number);
	die_with(r, parent);
	if (role->user == ROLE_USER) {
		if (!become_user(why, sizeof(why)))
			bail(r, "cannot become an ordinary user: %s", why);
		/* The change of user cleared it. */
		die_with(r, parent);
	}
	if (role->syscalls) {
		const char *const *lists[] = { confine_role_base,
					       role->user == ROLE_ROOT ? confine_scenario_base :
									 NULL,
					       role->syscalls,
					       SYSCALLS("sendto", "sendmsg") };

		if (!confine(lists, sizeof(lists) / sizeof(lists[0]), denied, why, sizeof(why)))
			bail(r, "cannot confine role %s: %s", role->name, why);
	}
	fn(r, arg);
	fflush(NULL);
	_exit(0);
}

struct child *role_spawn(struct run *r, const struct role *role,
			 void (*fn)(struct run *r, void *arg), void *arg)
{
	struct child *c = calloc(1, sizeof(*c));
	pid_t parent = getpid();

	if (r->role)
		bail(r, "a role cannot spawn roles");
	if (!c)
		bail(r, "out of memory");
	c->role = role;
	r->roles++;
	fflush(NULL);
	c->pid = fork();
	if (c->pid < 0)
		bail_errno(r, "fork");
	if (!c->pid)
		role_main(r, role, r->roles, parent, fn, arg);
	c->next = r->children;
	r->children = c;
	return c;
}

pid_t role_pid(const struct child *c)
{
	return c->pid;
}

static bool reap(struct run *r, struct child *c)
{
	pid_t pid;

	if (c->reaped)
		return true;
	pid = waitpid(c->pid, &c->wstatus, WNOHANG);
	if (pid < 0 && errno != EINTR)
		bail_errno(r, "waitpid for role %s", c->role->name);
	c->reaped = pid == c->pid;
	return c->reaped;
}

struct role_end role_wait(struct run *r, struct child *c, unsigned int ms)
{
	struct role_end end = { .status = -1 };

	end.timed_out = !eventually(ms, reap(r, c));
	if (end.timed_out)
		return end;
	c->told = true;
	if (WIFEXITED(c->wstatus))
		end.status = WEXITSTATUS(c->wstatus);
	if (WIFSIGNALED(c->wstatus))
		end.signal = WTERMSIG(c->wstatus);
	/* It ended the scenario; the runner is about to kill us. pause() may be filtered. */
	while (end.status == RUN_EXIT_ENDED)
		sleep_ms(1000);
	return end;
}

static void how_it_ended(const struct child *c, char *buf, size_t size)
{
	if (!c->reaped)
		snprintf(buf, size, "it still runs");
	else if (WIFSIGNALED(c->wstatus))
		snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(c->wstatus),
			 strsignal(WTERMSIG(c->wstatus)));
	else
		snprintf(buf, size, "exit status %d", WEXITSTATUS(c->wstatus));
}

bool expect_role_done(struct run *r, struct child *c, unsigned int ms)
{
	struct role_end end = role_wait(r, c, ms);
	char text[160], detail[160];

	snprintf(text, sizeof(text), "the %s ended by itself", c->role->name);
	how_it_ended(c, detail, sizeof(detail));
	return result(r, !end.timed_out && end.status == 0, text, detail, "role",
		      __FILE__, __LINE__);
}

void role_kill(struct run *r, struct child *c)
{
	c->told = true;
	if (reap(r, c))
		return;
	if (kill(c->pid, SIGKILL))
		bail_errno(r, "cannot kill role %s", c->role->name);
	if (!eventually(10000, reap(r, c)))
		bail(r, "role %s does not die of SIGKILL", c->role->name);
}

static void finish_roles(struct run *r)
{
	for (struct child *c = r->children; c; c = c->next) {
		if (reap(r, c) && !c->told && WIFSIGNALED(c->wstatus)) {
			char text[160], detail[160];

			snprintf(text, sizeof(text), "the %s did not crash", c->role->name);
			how_it_ended(c, detail, sizeof(detail));
			result(r, false, text, detail, "role", __FILE__, __LINE__);
		}
	}
	for (struct child *c = r->children; c; c = c->next)
		role_kill(r, c);
}

void *shared_alloc(struct run *r, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %zu shared bytes", size);
	return p;
}

struct gate {
	volatile int open;
};

struct gate *gate_new(struct run *r)
{
	return shared_alloc(r, sizeof(struct gate));
}

void gate_open(struct gate *g)
{
	__atomic_store_n(&g->open, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &g->open, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

bool gate_wait(struct gate *g, unsigned int ms)
{
	uint64_t until = now_ns() + (uint64_t)ms * 1000000;

	while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE)) {
		uint64_t now = now_ns();
		struct timespec ts;

		if (now >= until)
			return false;
		ts.tv_sec = (time_t)((until - now) / 1000000000);
		ts.tv_nsec = (long)((until - now) % 1000000000);
		syscall(SYS_futex, &g->open, FUTEX_WAIT, 0, &ts, NULL, 0);
	}
	return true;
}

/* ---- Accesses that may fault ------------------------------------------------ */

static sigjmp_buf probe_back;
static volatile sig_atomic_t probe_signal, probe_code;
static void *volatile probe_addr;

static void probe_handler(int sig, siginfo_t *si, void *context)
{
	(void)context;
	probe_signal = sig;
	probe_code = si->si_code;
	probe_addr = si->si_addr;
	siglongjmp(probe_back, 1);
}

struct probe probe_call(void (*fn)(void *arg), void *arg)
{
	struct sigaction sa = { .sa_sigaction = probe_handler,
				.sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction old_segv, old_bus;
	struct probe p = { .signal = 0 };
	volatile uint64_t start;

	probe_signal = 0;
	sigaction(SIGSEGV, &sa, &old_segv);
	sigaction(SIGBUS, &sa, &old_bus);
	start = now_ns();
	if (!sigsetjmp(probe_back, 1))
		fn(arg);
	p.ns = now_ns() - start;
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	if (probe_signal) {
		p.signal = probe_signal;
		p.code = probe_code;
		p.addr = probe_addr;
	}
	return p;
}

struct one_access {
	volatile uint8_t *p;
	uint8_t value;
};

static void load_one(void *arg)
{
	struct one_access *a = arg;

	a->value = *a->p;
}

static void store_one(void *arg)
{
	struct one_access *a = arg;

	*a->p = a->value;
}

struct probe probe_load(const volatile void *p)
{
	struct one_access a = { .p = (volatile uint8_t *)(uintptr_t)p };

	return probe_call(load_one, &a);
}

struct probe probe_store(volatile void *p, uint8_t value)
{
	struct one_access a = { .p = p, .value = value };

	return probe_call(store_one, &a);
}

/* ---- The scenario's process -------------------------------------------------- */

void run_child(const struct run_params *params, uint64_t seed, struct run_control *control)
{
	const struct scenario *s = params->scenario;
	struct run r = {
		.params = params,
		.control = control,
		.seed = seed,
		.rnd = mix64(seed),
		.pid = getpid(),
	};
	struct rlimit no_core = { 0, 0 };
	cJSON *o;

	the_run = &r;
	setrlimit(RLIMIT_CORE, &no_core);
	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_crashes(&r);
	/*
	 * Pages that others have freed may wait in batches, with their tag storage: freed
	 * while this runs, they would be in its counts. Who may not do it has no counts.
	 */
	if (s->needs & (NEED_TAG_STORAGE | NEED_DRAM_TAGS) && kernel_write(DROP_CACHES, "1"))
		perror(DROP_CACHES);
	if (s->syscalls) {
		const char *const *lists[16] = { confine_role_base, confine_scenario_base,
						 SYSCALLS("sendto", "sendmsg"), s->syscalls };
		size_t n = 4;
		char why[256];

		/* Filters add up, so the roles' calls have to be let through here. */
		for (size_t i = 0; s->roles && s->roles[i]; i++) {
			if (n == sizeof(lists) / sizeof(lists[0]))
				bail(&r, "too many roles");
			lists[n++] = s->roles[i]->syscalls;
		}
		if (!confine(lists, n, denied, why, sizeof(why)))
			bail(&r, "cannot confine the scenario: %s", why);
	}
	s->run(&r);
	finish_roles(&r);
	fflush(NULL);
	o = object("end");
	add_state(&r, o);
	say_json(&r, o);
	state_close(r.state);
	_exit(0);
}
