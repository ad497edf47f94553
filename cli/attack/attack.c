// SPDX-License-Identifier: GPL-2.0-only
/* The order of an attack: see attack.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack/attack.h"
#include "attack/choose.h"
#include "attack/blocks.h"
#include "attack/copies.h"
#include "attack/judge.h"
#include "scenario/disk.h"
#include "scenario/memory.h"
#include "vmm/vmm.h"

/* Longest time, beyond what its faults may take, without progress of a healthy victim. */
#define STUCK_MS 30000
/* Until nothing is held any more after the attacker has let go. */
#define RELEASE_MS 10000

const struct mode attack_baseline = {
	.prefix = "baseline",
	.text = "no attack",
	.move_before_pin = true,
	.choose_other_page = true,
	.replace_data_page = true,
	.fault_wait_ms = 1000,
};

/* Where what a fault waits for does not come, nobody need wait for long. */
const struct mode attack_modes[ATTACK_MODES] = {
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
	[ATTACK_CHOOSE_OFF] = {
		.name = "choose-off",
		.prefix = "choose_off",
		.text = "no other page chosen",
		.move_before_pin = true,
		.replace_data_page = true,
		.fault_wait_ms = 200,
	},
	[ATTACK_REPLACE_OFF] = {
		.name = "replace-off",
		.prefix = "replace_off",
		.text = "no data page replaced",
		.move_before_pin = true,
		.choose_other_page = true,
		.fault_wait_ms = 100,
	},
	[ATTACK_OFF] = {
		.name = "off",
		.prefix = "off",
		.text = "all mitigations off",
		.fault_wait_ms = 100,
	},
};

/* What is told of a mode by techniques that have nothing more to tell. */
static const char *const mode_steps[ATTACK_MODES] = {
	[ATTACK_ON] = "The attacker holds what it can while all mitigations are on.",
	[ATTACK_PINS_ALLOWED] = "The same with move_before_pin off: pages are pinned where they are.",
	[ATTACK_CHOOSE_OFF] = "The same with choose_other_page off: new tagged memory takes any page, and so does what moves; whether these have tag storage is a matter of luck.",
	[ATTACK_REPLACE_OFF] = "The same with replace_data_page off: data stays where it is, and gets no tags where its tag storage is held.",
	[ATTACK_OFF] = "The same with all mitigations off: the victim fails where it needs held tag storage.",
};

enum attacker_phase {
	ATTACKER_PLACE,
	ATTACKER_HOLD,
	ATTACKER_HOLD_SHARED,
	ATTACKER_RELEASE,
	ATTACKER_CHECK,
	ATTACKER_PHASES,
};

/* An attacker, and the attack it is part of. */
struct party {
	struct attack *attack;
	struct phase phase[ATTACKER_PHASES];
	struct attacker attacker;
	struct child *child;	/* the scenario's */
};

/* In memory that all processes of the scenario share. */
struct attack {
	const struct technique *technique;	/* NULL: there is no attacker */
	unsigned int nr;			/* attackers */
	struct party party[ATTACK_MAX_ATTACKERS];
	char cgroup[64];			/* "": none */
	struct victim victim;
	struct bystander bystander;
};

/* ---- The attacker ----------------------------------------------------------- */

static void attacker_main(struct run *r, void *arg)
{
	struct party *p = arg;
	struct attacker *a = &p->attacker;
	const struct victim *v = &p->attack->victim;
	const struct technique *t = p->attack->technique;

	for (int phase = 0; phase < ATTACKER_PHASES; phase++) {
		phase_wait(r, &p->phase[phase]);
		switch (phase) {
		case ATTACKER_PLACE:
			t->place(r, a);
			break;
		case ATTACKER_HOLD:
			if (t->hold)
				a->held = t->hold(r, a);
			break;
		case ATTACKER_HOLD_SHARED:
			for (unsigned int i = 0; i < v->n[VICTIM_SHARED] && a->shared; i++)
				t->hold_shared(r, a, page_at(v->page[VICTIM_SHARED][i].addr));
			break;
		case ATTACKER_RELEASE:
			t->release(r, a);
			break;
		case ATTACKER_CHECK:
			place_check(a);
			break;
		}
		gate_open(p->phase[phase].done);
	}
}

/* All attackers, one after the other, if it is a question of who gets memory. */
static void attackers_do(struct run *r, struct attack *k, enum attacker_phase phase,
			 const char *what)
{
	for (unsigned int i = 0; i < k->nr; i++)
		phase_do(r, &k->party[i].phase[phase], k->party[i].child, &k->technique->role,
			 what);
}

/* Where they have their memory, or what they hold. */
static struct blocks attackers_blocks(struct run *r, const struct attack *k, bool held)
{
	struct blocks b = blocks_new(r);

	for (unsigned int i = 0; i < k->nr; i++) {
		const struct party *p = &k->party[i];
		pid_t pid = role_pid(p->child);

		if (held)
			blocks_add_held(r, k->technique, &p->attacker, pid, &b);
		else
			blocks_add_memory(r, &p->attacker, pid, &b);
	}
	return b;
}

static bool all_held(const struct attack *k)
{
	for (unsigned int i = 0; i < k->nr; i++)
		if (k->party[i].attacker.held != k->party[i].attacker.pages)
			return false;
	return true;
}

/* ---- Where it attacks from ----------------------------------------------------- */

/* A memory cgroup for the attackers; it is empty, and goes, after the attack. */
static void cgroup_new(struct run *r, struct attack *k)
{
	if (kernel_write(r, ATTACK_CGROUP_SETTING, "+memory"))
		skip(r, "there are no memory cgroups here: %s", strerror(errno));
	snprintf(k->cgroup, sizeof(k->cgroup), "/sys/fs/cgroup/attack-%d", getpid());
	if (mkdir(k->cgroup, 0755))
		bail_errno(r, "%s", k->cgroup);
}

static void cgroup_add(struct run *r, const struct attack *k, pid_t pid)
{
	char path[128], text[32];
	int fd, n = snprintf(text, sizeof(text), "%d", pid);

	snprintf(path, sizeof(path), "%s/cgroup.procs", k->cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		bail_errno(r, "%s", path);
	close(fd);
}

/* A file that anybody may read and nobody else than root write. */
static int file_of_root(struct run *r, size_t pages)
{
	int fd = memfd_create("root's", MFD_CLOEXEC), read_only;
	char path[64];

	if (fd < 0 || ftruncate(fd, (off_t)(pages * page_size())) || fchmod(fd, 0444))
		bail_errno(r, "memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	if (read_only < 0)
		bail_errno(r, "%s", path);
	close(fd);
	return read_only;
}

/* A file on a slow disk, which is gone when it is closed. */
static int file_on_disk(struct run *r, size_t pages)
{
	int fd = open(DISK_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)(pages * page_size())))
		bail_errno(r, "a file on " DISK_DIR);
	return fd;
}

static int device_open(struct run *r, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
		skip(r, "there is no %s here", path);
	if (fd < 0)
		bail_errno(r, "%s", path);
	return fd;
}

static void attackers_new(struct run *r, struct attack *k, const struct technique *t)
{
	k->technique = t;
	k->nr = t->attackers ? t->attackers : 1;
	for (unsigned int i = 0; i < k->nr; i++) {
		struct party *p = &k->party[i];

		p->attack = k;
		phases_new(r, p->phase, ATTACKER_PHASES);
		p->attacker = (struct attacker){
			.number = i, .seed = k->victim.seed + i, .fd = -1, .shared_fd = -1,
			.want = param_u64(r, "hold") / k->nr, .max_pages = t->max_pages / k->nr,
		};
		if (t->root_file)
			p->attacker.fd = file_of_root(r, t->max_pages);
		if (t->disk_file)
			p->attacker.fd = file_on_disk(r, t->max_pages);
		if (t->device)
			p->attacker.device = device_open(r, t->device);
	}
	if (t->cgroup)
		cgroup_new(r, k);
}

static void attackers_start(struct run *r, struct attack *k)
{
	for (unsigned int i = 0; i < k->nr; i++) {
		struct party *p = &k->party[i];

		p->child = role_spawn(r, &k->technique->role, attacker_main, p);
		if (*k->cgroup)
			cgroup_add(r, k, role_pid(p->child));
	}
}

/* Whether all have ended as they should. */
static bool attackers_end(struct run *r, struct attack *k, const struct mode *m)
{
	uint64_t damaged = 0;
	bool ended = true, have_data = false;

	for (unsigned int i = 0; i < k->nr; i++) {
		struct party *p = &k->party[i];

		gate_open(p->phase[ATTACKER_CHECK].begin);
		ended &= expect_role_done(r, p->child, PATIENCE_MS);
		damaged += p->attacker.damaged;
		have_data |= p->attacker.pages != 0;
	}
	if (have_data)
		expect_eq_u64(r, damaged, 0, "%s: the attacker's own data is intact", m->text);
	/* Its processes are gone a little later. */
	if (*k->cgroup)
		expect(r, eventually(RELEASE_MS, !rmdir(k->cgroup)),
		       "%s: nothing of the attacker is left in its cgroup", m->text);
	return ended;
}

/* ---- The scenario ------------------------------------------------------------ */

/* Those of parameter "victims", and what cannot be had here. */
static void choose_ways(struct run *r, struct victim *v)
{
	char list[256], *save = NULL;
	const char *all = param_str(r, "victims");

	snprintf(list, sizeof(list), "%s", all);
	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		bool known = !strcmp(word, "all");

		for (int way = 0; way < VICTIM_WAYS; way++) {
			bool is = !strcmp(word, victim_kinds[way].name);

			v->asked[way] |= is || !strcmp(word, "all");
			known |= is;
		}
		if (!known)
			bail(r, "there is no victim '%s'", word);
	}
	memcpy(v->wants, v->asked, sizeof(v->wants));
	if (v->wants[VICTIM_SWAPIN] && !memory_now(r).swap_total)
		v->wants[VICTIM_SWAPIN] = false;
	if (v->wants[VICTIM_HUGE] && !huge_pages_here())
		v->wants[VICTIM_HUGE] = false;
	if (v->wants[VICTIM_KVM] || v->wants[VICTIM_KVM_PLAIN])
		v->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (v->kvm < 0)
		v->wants[VICTIM_KVM] = v->wants[VICTIM_KVM_PLAIN] = false;
	if (v->wants[VICTIM_HUGE])
		v->huge_pages = memory_now(r).free / 4 / VICTIM_HUGE_SIZE;
}

static void set_switch(struct run *r, const char *name, uint64_t value)
{
	if (switch_get(r, name) != value)
		switch_set(r, name, value);
}

static void set_switches(struct run *r, const struct mode *m)
{
	set_switch(r, "move_before_pin", m->move_before_pin);
	set_switch(r, "choose_other_page", m->choose_other_page);
	set_switch(r, "replace_data_page", m->replace_data_page);
	set_switch(r, "fault_wait_ms", m->fault_wait_ms);
}

static struct attack *attack_new(struct run *r, const struct mode *m, const struct technique *t)
{
	struct attack *k = shared_alloc(r, sizeof(*k));
	struct victim *v = &k->victim;

	phases_new(r, v->phase, VICTIM_PHASES);
	v->seed = mix64(run_seed(r));
	v->kvm = -1;
	v->memory_max = memory_now(r).total / page_size();
	v->memory_first = param_u64(r, "victim-memory") / page_size();
	if (v->memory_first > v->memory_max)
		v->memory_first = v->memory_max;
	v->memory_wanted = v->memory_first;
	choose_ways(r, v);
	if (t)
		attackers_new(r, k, t);
	set_switches(r, m);
	return k;
}

/* Pages are put there when it is known which blocks are held. */
static void share_memory(struct run *r, struct attack *k)
{
	struct attacker *a = &k->party[0].attacker;
	size_t size = k->victim.memory_max * page_size();

	a->shared_fd = memfd_create("shared", MFD_CLOEXEC);
	if (a->shared_fd < 0 || ftruncate(a->shared_fd, (off_t)size))
		bail_errno(r, "memfd_create");
	a->shared = map_memory(r, size, 0, a->shared_fd);
}

static void attack_free(struct attack *k)
{
	for (unsigned int i = 0; i < k->nr; i++) {
		struct attacker *a = &k->party[i].attacker;

		if (a->shared) {
			munmap(a->shared, k->victim.memory_max * page_size());
			close(a->shared_fd);
		}
		if (k->technique->root_file || k->technique->disk_file)
			close(a->fd);
		if (k->technique->device)
			close(a->device);
	}
	if (k->victim.kvm >= 0)
		close(k->victim.kvm);
	munmap(k, sizeof(*k));
}

/*
 * Wait until the victim has done its phase, as long as it goes on making progress; no
 * fault of its waits longer than wait_ms.
 */
static bool watch(struct run *r, struct victim *v, struct child *c, enum victim_phase phase,
		  unsigned int wait_ms)
{
	uint64_t seen = 0, since = now_ns();
	uint64_t limit_ms = wait_ms + STUCK_MS;
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
	return !stuck && !gone;
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

static void count_begin(struct run *r, struct state *st, struct counted *c)
{
	if (state_reset_histograms(st))
		bail(r, "%s", state_error(st));
	c->before = summary_now(r);
}

static void count_end(struct run *r, struct state *st, struct counted *c)
{
	struct state_replays *rep;
	size_t n;

	c->after = summary_now(r);
	if (state_read_replays(st, &rep, &n) ||
	    state_read_latency(st, STATE_REPLAY_LATENCY, &c->causes, &c->nr_causes))
		bail(r, "%s", state_error(st));
	for (size_t i = 0; i < n; i++)
		if (rep[i].count && rep[i].replays > c->replays)
			c->replays = rep[i].replays;
	free(rep);
}

/* The victim makes its accesses, way by way. True: it has come to its end. */
static bool count_victim(struct run *r, const struct mode *m, struct victim *v, struct child *c,
			 struct counted *all, struct counted *way)
{
	struct state *st;
	bool done = true;

	if (state_open(&st))
		bail(r, "%s", state_error(st));
	all->before = summary_now(r);
	for (int i = 0; i < VICTIM_WAYS && done; i++) {
		count_begin(r, st, &way[i]);
		done = watch(r, v, c, VICTIM_TAG + i, m->fault_wait_ms);
		count_end(r, st, &way[i]);
		if (way[i].replays > all->replays)
			all->replays = way[i].replays;
	}
	done = done && watch(r, v, c, VICTIM_CHECK, m->fault_wait_ms);
	all->after = summary_now(r);
	state_close(st);
	return expect(r, done, "%s: the victim never gets stuck", m->text);
}

/* Which ways cannot be tried, and why. */
static void tell_skipped(struct run *r, const struct mode *m, const struct victim *v)
{
	for (int way = 0; way < VICTIM_WAYS; way++) {
		const struct victim_kind *kind = &victim_kinds[way];
		const char *why = NULL;

		/* What is shared with the attacker is not for all techniques and modes. */
		if (v->n[way] || kind->source == FROM_SHARED || !v->asked[way])
			continue;
		if (way == VICTIM_SWAPIN)
			why = v->wants[way] ? "no page was swapped out" : "no swap is on";
		else if (way == VICTIM_HUGE)
			why = v->wants[way] ? "no huge page has its tags there" :
					      "no transparent huge pages here";
		else if (kind->guest && !v->wants[way])
			why = "no KVM here";
		if (why)
			skip_result(r, why, "%s, %s: the victim gets all its tagged memory",
				    m->text, kind->name);
	}
}

/* So few, side by side, may be for the tags of the kernel's own memory alone. */
#define FEW_BLOCKS 128

/* Pages for each way: those that need what is held; any, too, where it may come and go. */
static void choose_pages(struct run *r, const struct mode *m, struct victim *v, struct child *c,
			 const struct blocks *held, bool stays)
{
	unsigned int per_way = (unsigned int)param_u64(r, "victim-pages"), missing = 0;

	if (held)
		choose_held(r, v, held, c, per_way, stays);
	if (!stays)
		choose_any(r, v, role_pid(c), per_way);
	for (int i = 0; i < VICTIM_WAYS; i++) {
		if (!v->wants[i] || victim_kinds[i].source != FROM_MEMORY || v->n[i])
			continue;
		if (held && held->blocks <= FEW_BLOCKS)
			skip_result(r, "the few blocks held are for tags of memory that it cannot have",
				    "%s, %s: the victim gets all its tagged memory", m->text,
				    victim_kinds[i].name);
		else
			missing++;
	}
	require(r, !missing,
		"%s: the victim has pages whose tags belong where the attacker's data is or was",
		m->text);
}

/*
 * Let it have memory, choose its pages, those that need these blocks, and see what becomes of
 * them. True: it has ended.
 */
static bool run_victim(struct run *r, const struct mode *m, struct attack *k, struct child *c,
		       const struct blocks *needed, const struct expected *want)
{
	struct counted all = { 0 }, way[VICTIM_WAYS] = { 0 };
	struct victim *v = &k->victim;
	bool done;

	phase_await(r, &v->phase[VICTIM_FILL], c, &victim_role, "filled its memory");
	choose_pages(r, m, v, c, needed,
		     want->held || (k->technique && k->technique->gives_way));
	/* What it has before was there before, or elsewhere. */
	set_switches(r, &attack_baseline);
	phase_do(r, &v->phase[VICTIM_PREPARE], c, &victim_role, "prepared its pages");
	set_switches(r, m);
	choose_swapped(r, v, role_pid(c));
	note(r, "the victim has %llu pages", (unsigned long long)v->memory_pages);
	for (int i = 0; i < VICTIM_WAYS; i++)
		if (v->n[i])
			note(r, "%s: %u pages; it %s", victim_kinds[i].name, v->n[i],
			     victim_kinds[i].text);
	for (int i = 0; i < VICTIM_WAYS; i++)
		if (v->wants[i] && victim_kinds[i].has_tags)
			expect_eq_u64(r, v->unprepared[i], 0,
				      "%s, %s: the victim gets the tagged pages it starts from",
				      m->text, victim_kinds[i].name);
	tell_skipped(r, m, v);

	done = count_victim(r, m, v, c, &all, way);
	if (done)
		judge_victim(r, m, v, role_pid(c), want, &all, way);
	for (int i = 0; i < VICTIM_WAYS; i++)
		free(way[i].causes);
	if (done && want->fails[VICTIM_MPROTECT] == FAILS && v->n[VICTIM_MPROTECT])
		kill_who_waits(r, m, v);
	else
		gate_open(v->phase[VICTIM_KILL].begin);
	return done;
}

/* Whether all works that has failed, and the victim ends. */
static bool retry_victim(struct run *r, const struct mode *m, struct attack *k, struct child *c,
			 bool done)
{
	bool ended;

	gate_open(k->victim.phase[VICTIM_RETRY].begin);
	ended = expect_role_done(r, c, done ? PATIENCE_MS : STUCK_MS);
	if (!ended)
		note_stuck(r, "victim", role_pid(c));
	return done && judge_retry(r, m, &k->victim) && ended;
}

/* Whether the victim took memory that needs blocks which stored no tags before. */
static bool needs_blocks(const struct attack *k)
{
	bool needed = false;

	for (int way = 0; way < VICTIM_WAYS; way++)
		needed |= k->victim.n[way] && victim_kinds[way].source == FROM_MEMORY &&
			  !victim_kinds[way].untagged;
	return needed;
}

/* copies: of policy cleancache, or NULL. */
static void run_baseline(struct run *r, struct copies *copies)
{
	struct attack *k = attack_new(r, &attack_baseline, NULL);
	struct child *b = bystander_start(r, &k->bystander);
	struct child *c = role_spawn(r, &victim_role, victim_main, &k->victim);
	bool done;

	copies_fill(r, copies);
	bystander_count(&k->bystander);
	done = run_victim(r, &attack_baseline, k, c, NULL, &(struct expected){ .held = false });
	copies_judge(r, copies, &attack_baseline, needs_blocks(k));
	judge_bystander(r, &attack_baseline, bystander_end(r, &k->bystander, b));
	retry_victim(r, &attack_baseline, k, c, done);
	attack_free(k);
}

static bool nothing_held(struct run *r, const struct attack *k, const struct blocks *held)
{
	struct blocks now;

	if (!k->technique->is_held)
		return !blocks_pinned(r, held);
	now = attackers_blocks(r, k, true);
	blocks_free(&now);
	return now.pages <= k->technique->strays;
}

static enum failing failing_in(const struct mode *m, const struct victim_kind *kind)
{
	/* Data page and tag storage both held: nothing is left to do. */
	if (kind->source == FROM_SHARED)
		return FAILS;
	if (!m->choose_other_page && !m->replace_data_page)
		return kind->retries ? FAILS_MAYBE : FAILS;
	/* What data moves to is not chosen either, and may be as bad. */
	if (!m->choose_other_page)
		return FAILS_MAYBE;
	return m->replace_data_page || kind->chooses ? FAILS_NOT : FAILS;
}

static struct expected expected_in(const struct technique *t, const struct mode *m,
				   enum attack_effect effect)
{
	struct expected want = { .held = effect == HOLDS_STORAGE, .passes = t->passes };

	for (int way = 0; way < VICTIM_WAYS && (want.held || effect == MAY_HOLD); way++) {
		if (victim_kinds[way].untagged)
			continue;
		want.fails[way] = failing_in(m, &victim_kinds[way]);
		if ((effect == MAY_HOLD || t->passes) && want.fails[way] == FAILS)
			want.fails[way] = FAILS_MAYBE;
	}
	return want;
}

/* Of the blocks that had the attacker's data, those that have none any more. */
static void judge_moved(struct run *r, const struct mode *m, const struct attack *k,
			const struct blocks *placed)
{
	struct blocks now = attackers_blocks(r, k, false);
	uint64_t moved = 0;

	for (uint64_t i = 0; i < placed->nr_blocks; i++)
		moved += placed->map[i] && !now.map[i];
	blocks_free(&now);
	measure_mode(r, m, "moved_blocks", "blocks", (double)moved);
	if (needs_blocks(k))
		expect(r, moved, "%s: what the attacker has there moves when others need the blocks",
		       m->text);
}

/*
 * immune: with policy cleancache; copies: in tag storage then, or NULL. Returns whether the
 * attacker held anything.
 */
static bool run_mode(struct run *r, const struct technique *t, enum attack_mode mode,
		     bool immune, struct copies *copies)
{
	const struct mode *m = &attack_modes[mode];
	enum attack_effect effect = immune ? HOLDS_NOTHING : attack_effect_in(t, mode);
	struct expected want = expected_in(t, m, effect);
	struct attack *k = attack_new(r, m, t);
	struct attacker *first = &k->party[0].attacker;
	struct blocks placed = { .map = NULL }, held;
	struct state_summary before;
	struct child *vc, *b;
	bool done, released, recovered, any;

	if (!immune)
		step(r, "%s", t->mode[mode].step ? t->mode[mode].step : mode_steps[mode]);
	/* Where the victim does not fail anyhow. */
	if (want.held && m->replace_data_page && t->hold_shared && k->victim.wants[VICTIM_SHARED])
		share_memory(r, k);
	b = bystander_start(r, &k->bystander);
	attackers_start(r, k);
	attackers_do(r, k, ATTACKER_PLACE, "filled memory");
	if (!t->is_held) {
		placed = attackers_blocks(r, k, false);
		if (immune)
			expect_eq_u64(r, placed.pages, 0,
				      "%s: the attacker has no pages in tag storage", m->text);
		else
			require(r, placed.pages, "%s: the attacker has pages in tag storage",
				m->text);
	}
	before = summary_now(r);
	attackers_do(r, k, ATTACKER_HOLD, "held its pages");
	/* What waits in batches of the CPUs is referenced by these, and looks pinned. */
	if (t->gives_way)
		drain_lru(r);
	held = attackers_blocks(r, k, true);
	judge_held(r, m, t, all_held(k), effect, &placed, &held, &before);
	any = held.pages > t->strays;

	if (first->shared)
		choose_shared(r, &k->victim, first, &held);
	attackers_do(r, k, ATTACKER_HOLD_SHARED, "held the shared pages");
	copies_fill(r, copies);
	if (first->shared)
		choose_shared_again(r, &k->victim, &held);
	/* So that who looks on can see it. */
	step(r, "%s: the attacker holds %" PRIu64 " blocks of tag storage now. The victim takes tagged memory in each way there is.",
	     m->text, held.blocks);
	vc = role_spawn(r, &victim_role, victim_main, &k->victim);
	bystander_count(&k->bystander);
	done = run_victim(r, m, k, vc, t->gives_way ? &placed : &held, &want);
	copies_judge(r, copies, m, needs_blocks(k));
	judge_bystander(r, m, bystander_end(r, &k->bystander, b));
	if (t->gives_way && !immune)
		judge_moved(r, m, k, &placed);
	step(r, "%s: the attacker lets go of what it holds, and the victim tries again where it failed.",
	     m->text);
	attackers_do(r, k, ATTACKER_RELEASE, "released what it held");
	recovered = retry_victim(r, m, k, vc, done);
	if (first->shared)
		expect_eq_u64(r, k->victim.n[VICTIM_SHARED], SHARED_PAGES,
			      "%s: the worst case, data page and tag storage both held, was seen",
			      m->text);
	released = eventually(RELEASE_MS, nothing_held(r, k, &held));
	expect(r, released, "%s: nothing in tag storage stays held", m->text);
	recovered &= attackers_end(r, k, m);
	measure_mode(r, m, "recovered", "1", recovered && released);
	blocks_free(&placed);
	blocks_free(&held);
	attack_free(k);
	return any;
}

/* Each mitigation by itself switched off only where one is needed at all. */
static void run_needed(struct run *r, const struct technique *t)
{
	run_mode(r, t, ATTACK_ON, false, NULL);
	if (!run_mode(r, t, ATTACK_OFF, false, NULL)) {
		note(r, "without mitigations nothing is held: none is switched off by itself");
		return;
	}
	for (int mode = ATTACK_ON + 1; mode < ATTACK_OFF; mode++)
		run_mode(r, t, (enum attack_mode)mode, false, NULL);
}

enum attack_effect attack_effect_in(const struct technique *t, enum attack_mode mode)
{
	/* Pins, which only move_before_pin stops, and what nothing stops. */
	if (t->mode[mode].effect != AS_OTHERS)
		return t->mode[mode].effect;
	return t->mode[mode == ATTACK_PINS_ALLOWED ? ATTACK_OFF : ATTACK_ON].effect;
}

/*
 * Policy cleancache: whatever the attacker holds does not lie in tag storage, and the
 * mitigations have nothing to do.
 */
static void run_immune(struct run *r, const struct technique *t)
{
	struct copies *copies = copies_new(r);

	run_baseline(r, copies);
	step(r,
	     "The attacker holds what it can. Policy cleancache gives tag storage to nobody: there are only copies of page cache, which nobody but the kernel can refer to, so that nothing can be held.");
	run_mode(r, t, ATTACK_ON, true, copies);
	copies_free(r, copies);
}

void attack_run(struct run *r, const struct technique *t)
{
	const char *wanted = param_str(r, "mitigations");

	/*
	 * The lists of the CPUs as short as they can be: the longer they are, the more memory
	 * is neither counted as free nor used, and the less sure is what is served next.
	 */
	if (kernel_write(r, FREE_LISTS, "1000000"))
		bail_errno(r, FREE_LISTS);
	if (t->disk_file) {
		if (policy_is_cleancache(r))
			skip(r, "the disk cannot be slow and have files that are copied");
		if (!disk_is_slow(r))
			skip(r, "the disk is not slow: scripts/vm --disk-rate");
		disk_mount(r, NULL);
	}
	step(r, "For comparison, a victim takes tagged memory in all ways there are while nobody attacks it.");
	if (policy_is_cleancache(r)) {
		run_immune(r, t);
		return;
	}
	run_baseline(r, NULL);
	if (!strcmp(wanted, "needed")) {
		run_needed(r, t);
		return;
	}
	for (int mode = 0; mode < ATTACK_MODES; mode++) {
		bool all = t->mode[mode].effect != AS_OTHERS && !strcmp(wanted, "all");

		if (!all && strcmp(wanted, "each") && strcmp(wanted, attack_modes[mode].name))
			continue;
		run_mode(r, t, (enum attack_mode)mode, false, NULL);
	}
}
