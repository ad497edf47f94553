// SPDX-License-Identifier: GPL-2.0-only
/* The order of an attack: see attack.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/choose.h"
#include "attack/blocks.h"
#include "attack/judge.h"
#include "scenario/memory.h"

/* Longest time, beyond what its faults may take, without progress of a healthy victim. */
#define STUCK_MS 30000
/* Until nothing is held any more after the attacker has let go. */
#define RELEASE_MS 10000

static const struct mode baseline = {
	.prefix = "baseline",
	.text = "no attack",
	.move_before_pin = true,
	.choose_other_page = true,
	.replace_data_page = true,
	.fault_wait_ms = 1000,
};

/* Where what a fault waits for does not come, nobody need wait for long. */
static const struct mode modes[ATTACK_MODES] = {
	[ATTACK_ON] = {
		.name = "on",
		.prefix = "on",
		.text = "all mitigations on",
		.move_before_pin = true,
		.choose_other_page = true,
		.replace_data_page = true,
		.fault_wait_ms = 1000,
	},
	[ATTACK_PINS_ALLOWED] = {
		.name = "pins-allowed",
		.prefix = "pins_allowed",
		.text = "pins allowed in tag storage",
		.choose_other_page = true,
		.replace_data_page = true,
		.fault_wait_ms = 200,
	},
	[ATTACK_OFF] = {
		.name = "off",
		.prefix = "off",
		.text = "all mitigations off",
		.fault_wait_ms = 100,
	},
};

enum attacker_phase {
	ATTACKER_PLACE,
	ATTACKER_HOLD,
	ATTACKER_HOLD_SHARED,
	ATTACKER_RELEASE,
	ATTACKER_CHECK,
	ATTACKER_PHASES,
};

/* In memory that all processes of the scenario share. */
struct attack {
	const struct technique *technique;	/* NULL: there is no attacker */
	struct phase phase[ATTACKER_PHASES];
	struct attacker attacker;
	struct victim victim;
};

/* ---- The attacker ----------------------------------------------------------- */

static void attacker_main(struct run *r, void *arg)
{
	struct attack *k = arg;
	struct attacker *a = &k->attacker;
	const struct technique *t = k->technique;

	for (int phase = 0; phase < ATTACKER_PHASES; phase++) {
		phase_wait(r, &k->phase[phase]);
		switch (phase) {
		case ATTACKER_PLACE:
			t->place(r, a);
			break;
		case ATTACKER_HOLD:
			a->held = t->hold(r, a);
			break;
		case ATTACKER_HOLD_SHARED:
			for (unsigned int i = 0; i < k->victim.n[VICTIM_SHARED]; i++)
				t->hold_shared(r, a,
					       page_at(k->victim.page[VICTIM_SHARED][i].addr));
			break;
		case ATTACKER_RELEASE:
			t->release(r, a);
			break;
		case ATTACKER_CHECK:
			place_check(a);
			break;
		}
		gate_open(k->phase[phase].done);
	}
}

/* ---- The scenario ------------------------------------------------------------ */

static struct attack *attack_new(struct run *r, const struct mode *m, const struct technique *t)
{
	struct attack *k = shared_alloc(r, sizeof(*k));
	struct victim *v = &k->victim;

	k->technique = t;
	phases_new(r, k->phase, ATTACKER_PHASES);
	phases_new(r, v->phase, VICTIM_PHASES);
	v->seed = mix64(run_seed(r));
	v->memory_max = memory_now(r).total / page_size();
	v->memory_first = param_u64(r, "victim-memory") / page_size();
	if (v->memory_first > v->memory_max)
		v->memory_first = v->memory_max;
	v->memory_wanted = v->memory_first;
	k->attacker.seed = v->seed;
	k->attacker.fd = -1;
	k->attacker.shared_fd = -1;
	if (t) {
		k->attacker.want = param_u64(r, "hold");
		k->attacker.max_pages = t->max_pages;
	}
	switch_set(r, "move_before_pin", m->move_before_pin);
	switch_set(r, "choose_other_page", m->choose_other_page);
	switch_set(r, "replace_data_page", m->replace_data_page);
	switch_set(r, "fault_wait_ms", m->fault_wait_ms);
	return k;
}

/* Pages are put there when it is known which blocks are held. */
static void share_memory(struct run *r, struct attack *k)
{
	struct attacker *a = &k->attacker;
	size_t size = k->victim.memory_max * page_size();

	a->shared_fd = memfd_create("shared", MFD_CLOEXEC);
	if (a->shared_fd < 0 || ftruncate(a->shared_fd, (off_t)size))
		bail_errno(r, "memfd_create");
	a->shared = map_memory(r, size, 0, a->shared_fd);
}

static void attack_free(struct attack *k)
{
	struct attacker *a = &k->attacker;

	if (a->shared) {
		munmap(a->shared, k->victim.memory_max * page_size());
		close(a->shared_fd);
	}
	munmap(k, sizeof(*k));
}

/* Wait until the victim has done its phase, as long as it goes on making progress. */
static bool watch(struct run *r, const struct mode *m, struct victim *v, struct child *c,
		  enum victim_phase phase)
{
	uint64_t seen = 0, since = now_ns();
	uint64_t limit_ms = m->fault_wait_ms + STUCK_MS;
	struct gate *done = v->phase[phase].done;
	bool stuck = false, gone = false;

	gate_open(v->phase[phase].begin);
	while (!stuck && !gone && !gate_wait(done, 20)) {
		uint64_t progress = __atomic_load_n(&v->progress, __ATOMIC_ACQUIRE);

		if (progress != seen) {
			seen = progress;
			since = now_ns();
		}
		stuck = now_ns() - since > limit_ms * 1000000;
		gone = !role_wait(r, c, 0).timed_out && !gate_wait(done, 0);
	}
	if (stuck)
		note_stuck(r, "victim", role_pid(c));
	return expect(r, !stuck && !gone, "%s: the victim never gets stuck", m->text);
}

/* Whoever waits in a fault can be killed. */
static void kill_who_waits(struct run *r, const struct mode *m, struct victim *v)
{
	uint64_t faults = summary_now(r).foa_fault, start;
	struct gate *done = v->phase[VICTIM_KILL].done;

	switch_set(r, "fault_wait_ms", 60000);
	v->child_waits = true;
	gate_open(v->phase[VICTIM_KILL].begin);
	if (!eventually(PATIENCE_MS, __atomic_load_n(&v->child, __ATOMIC_ACQUIRE)))
		bail(r, "the victim has started no child");
	/* The fault is counted when it begins, and is given time to come to its wait. */
	eventually(STUCK_MS, summary_now(r).foa_fault > faults);
	sleep_ms(200);
	if (gate_wait(done, 0)) {
		expect(r, false, "%s: a fault waits as long as it may", m->text);
		return;
	}
	start = now_ns();
	if (kill(v->child, SIGKILL))
		bail_errno(r, "kill");
	gate_wait(done, ACCESS_SLACK_MS);
	measure_mode(r, m, "kill_delay", "ns", (double)(now_ns() - start));
	if (!expect(r, v->child_signal == SIGKILL, "%s: who waits in a fault can be killed",
		    m->text))
		note_stuck(r, "victim's child", v->child);
	switch_set(r, "fault_wait_ms", m->fault_wait_ms);
}

static uint64_t most_replays(struct run *r, struct state *st)
{
	struct state_replays *rep;
	uint64_t most = 0;
	size_t n;

	if (state_read_replays(st, &rep, &n))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++)
		if (rep[i].count && rep[i].replays > most)
			most = rep[i].replays;
	free(rep);
	return most;
}

/* Let it have memory, choose its pages, and see what becomes of them. True: it has ended. */
static bool run_victim(struct run *r, const struct mode *m, struct attack *k, struct child *c,
		       const struct blocks *held, const struct expected *want)
{
	unsigned int per_way = (unsigned int)param_u64(r, "victim-pages");
	struct victim *v = &k->victim;
	struct counted counted;
	struct state *st;
	bool done;

	phase_await(r, &v->phase[VICTIM_FILL], c, &victim_role, "filled its memory");
	if (held && held->blocks)
		choose_held(r, v, held, c, per_way);
	else
		choose_any(r, v, role_pid(c), per_way);
	note(r, "the victim has %llu pages; chosen for mmap %u, for mprotect %u, shared %u",
	     (unsigned long long)v->memory_pages, v->n[VICTIM_MMAP], v->n[VICTIM_MPROTECT],
	     v->n[VICTIM_SHARED]);
	require(r, v->n[VICTIM_MMAP] && v->n[VICTIM_MPROTECT],
		"%s: the victim has pages whose tags belong where the attacker's data is or was",
		m->text);

	if (state_open(&st) || state_reset_histograms(st))
		bail(r, "%s", state_error(st));
	counted.before = summary_now(r);
	done = watch(r, m, v, c, VICTIM_TAG);
	counted.after = summary_now(r);
	counted.replays = most_replays(r, st);
	state_close(st);
	if (done)
		judge_victim(r, m, v, role_pid(c), want, &counted);
	if (done && want->victim_fails)
		kill_who_waits(r, m, v);
	else
		gate_open(v->phase[VICTIM_KILL].begin);
	return done;
}

static void retry_victim(struct run *r, const struct mode *m, struct attack *k, struct child *c,
			 bool done)
{
	gate_open(k->victim.phase[VICTIM_RETRY].begin);
	if (!expect_role_done(r, c, done ? PATIENCE_MS : STUCK_MS))
		note_stuck(r, "victim", role_pid(c));
	if (done)
		judge_retry(r, m, &k->victim);
}

static void run_baseline(struct run *r)
{
	struct attack *k = attack_new(r, &baseline, NULL);
	struct child *c = role_spawn(r, &victim_role, victim_main, &k->victim);
	bool done = run_victim(r, &baseline, k, c, NULL, &(struct expected){ .held = false });

	retry_victim(r, &baseline, k, c, done);
	attack_free(k);
}

static bool nothing_held(struct run *r, const struct attack *k, pid_t pid)
{
	struct blocks held = held_now(r, k->technique, &k->attacker, pid);

	blocks_free(&held);
	return held.pages <= k->technique->strays;
}

static void run_mode(struct run *r, const struct technique *t, enum attack_mode mode)
{
	const struct mode *m = &modes[mode];
	enum attack_effect effect = t->mode[mode].effect;
	struct expected want = { .held = effect == HOLDS_STORAGE };
	struct attack *k = attack_new(r, m, t);
	struct blocks placed = { .map = NULL }, held;
	const struct role *role = &t->role;
	struct state_summary before;
	struct child *c, *vc;
	bool done;

	want.victim_fails = want.held && !m->replace_data_page;
	/* Data page and tag storage both held: where else the victim does not fail. */
	if (want.held && !want.victim_fails && t->hold_shared)
		share_memory(r, k);
	c = role_spawn(r, role, attacker_main, k);
	phase_do(r, &k->phase[ATTACKER_PLACE], c, role, "filled memory");
	if (!t->is_held) {
		placed = held_now(r, t, &k->attacker, role_pid(c));
		require(r, placed.pages, "%s: the attacker has pages in tag storage", m->text);
	}
	before = summary_now(r);
	phase_do(r, &k->phase[ATTACKER_HOLD], c, role, "held its pages");
	held = held_now(r, t, &k->attacker, role_pid(c));
	judge_held(r, m, t, &k->attacker, effect, &placed, &held, &before);

	if (k->attacker.shared) {
		choose_shared(r, &k->victim, &k->attacker, &held);
		phase_do(r, &k->phase[ATTACKER_HOLD_SHARED], c, role, "held the shared pages");
		choose_shared_again(r, &k->victim, &held);
	} else {
		phase_do(r, &k->phase[ATTACKER_HOLD_SHARED], c, role, "gone on");
	}
	vc = role_spawn(r, &victim_role, victim_main, &k->victim);
	done = run_victim(r, m, k, vc, &held, &want);
	phase_do(r, &k->phase[ATTACKER_RELEASE], c, role, "released what it held");
	retry_victim(r, m, k, vc, done);
	if (k->attacker.shared)
		expect_eq_u64(r, k->victim.n[VICTIM_SHARED], SHARED_PAGES,
			      "%s: the worst case, data page and tag storage both held, was seen",
			      m->text);
	if (t->is_held)
		expect(r, eventually(RELEASE_MS, nothing_held(r, k, role_pid(c))),
		       "%s: nothing in tag storage stays held", m->text);
	gate_open(k->phase[ATTACKER_CHECK].begin);
	expect_role_done(r, c, PATIENCE_MS);
	if (k->attacker.pages)
		expect_eq_u64(r, k->attacker.damaged, 0, "%s: the attacker's own data is intact",
			      m->text);
	blocks_free(&placed);
	blocks_free(&held);
	attack_free(k);
}

void attack_run(struct run *r, const struct technique *t)
{
	const char *wanted = param_str(r, "mitigations");

	step(r, "For comparison, a victim takes tagged memory by mmap and by mprotect while nobody attacks it.");
	run_baseline(r);
	for (int mode = 0; mode < ATTACK_MODES; mode++) {
		if (t->mode[mode].effect == NOT_TRIED ||
		    (strcmp(wanted, "all") && strcmp(wanted, modes[mode].name)))
			continue;
		step(r, "%s", t->mode[mode].step);
		run_mode(r, t, (enum attack_mode)mode);
	}
}
