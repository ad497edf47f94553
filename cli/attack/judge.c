// SPDX-License-Identifier: GPL-2.0-only
/* What has to come out of an attack: see judge.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attack/explain.h"
#include "attack/judge.h"

/*
 * A fault is sent back when what it has found is no longer so, which happens a few times while
 * it waits; a signal does that, too, but there is none here.
 */
#define MAX_REPLAYS 8
/* A copy on write, or a swap in, tries again to find a page for it, but not more often. */
#define COPY_TRY_MS 4

struct tally {
	unsigned int done, signals, data_bad, tags_bad, again_bad;
	struct latency latency;
};

static struct tally tally(const struct victim *v, enum victim_way way)
{
	uint64_t ns[VICTIM_MAX_PAGES];
	struct tally t = { 0 };

	for (unsigned int i = 0; i < v->n[way]; i++) {
		const struct victim_page *p = &v->page[way][i];

		if (!p->done)
			continue;
		ns[t.done++] = p->ns;
		t.signals += !!p->signal;
		t.data_bad += p->data_bad;
		t.tags_bad += p->tags_bad;
		t.again_bad += !!p->again;
	}
	t.latency = latency_of(ns, t.done);
	return t;
}

void measure_mode(struct run *r, const struct mode *m, const char *name, const char *unit,
		  double value)
{
	char full[128];

	snprintf(full, sizeof(full), "%s_%s", m->prefix, name);
	measure(r, full, unit, value);
}

static void measure_way(struct run *r, const struct mode *m, enum victim_way way,
			const char *name, const char *unit, double value)
{
	char full[96];

	snprintf(full, sizeof(full), "%s_%s", victim_kinds[way].name, name);
	measure_mode(r, m, full, unit, value);
}

void judge_held(struct run *r, const struct mode *m, const struct technique *t,
		bool all, enum attack_effect effect, const struct blocks *placed,
		const struct blocks *held, const struct state_summary *before)
{
	if (!t->is_held) {
		note(r, "%" PRIu64 " of %" PRIu64 " blocks had the attacker's data, %" PRIu64
		     " when it holds its pages", placed->blocks, placed->nr_blocks, held->blocks);
		measure_mode(r, m, "placed_blocks", "blocks", (double)placed->blocks);
		if (!t->partly)
			expect(r, all, "%s: the attacker holds all its pages", m->text);
	} else {
		note(r, "of %" PRIu64 " blocks the attacker holds %" PRIu64, held->nr_blocks,
		     held->blocks);
	}
	measure_mode(r, m, "held_blocks", "blocks", (double)held->blocks);
	if (effect == MAY_HOLD)
		return;
	if (effect == HOLDS_STORAGE) {
		require(r, held->pages > t->strays, "%s: held pages lie in tag storage", m->text);
		if (!t->looks_movable)
			expect_eq_u64(r, held->shown, held->blocks,
				      "%s: the block map shows their blocks as pinned", m->text);
		return;
	}
	expect_range(r, held->pages, 0, t->strays, "%s: no held page lies in tag storage", m->text);
	if (effect == MOVED_FIRST)
		expect_range(r, summary_now(r).pin_moved - before->pin_moved,
			     t->partly ? 1 : placed->pages, UINT64_MAX,
			     "%s: they were moved out when they were pinned", m->text);
}

static void measure_latency(struct run *r, const struct mode *m, const char *who,
			    struct latency l)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_p50", who);
	measure_mode(r, m, name, "ns", (double)l.p50);
	snprintf(name, sizeof(name), "%s_p99", who);
	measure_mode(r, m, name, "ns", (double)l.p99);
	snprintf(name, sizeof(name), "%s_max", who);
	measure_mode(r, m, name, "ns", (double)l.max);
}

void judge_bystander(struct run *r, const struct mode *m, struct latency l)
{
	measure_latency(r, m, "bystander", l);
	expect_range(r, l.max, 1, ACCESS_SLACK_MS * 1000000ULL,
		     "%s: somebody who tags nothing gets memory in time", m->text);
}

/* Replays by cause, where there were any. */
static void measure_replays(struct run *r, const struct mode *m, enum victim_way way,
			    const struct counted *c)
{
	char name[64];

	for (size_t i = 0; i < c->nr_causes; i++) {
		const struct state_latency *l = &c->causes[i];

		if (strcmp(l->outcome, "replayed") || !l->count)
			continue;
		snprintf(name, sizeof(name), "replayed_%s", l->cause);
		measure_way(r, m, way, name, "1", (double)l->count);
	}
}

/* For a page that is just moved to be there again; what was swapped out is not. */
#define MOVING_MS 100
#define MANY_ABSENT 8

/* Its pages: with storage, and not in tag storage themselves. */
static void judge_pages(struct run *r, const struct mode *m, const struct victim *v,
			enum victim_way way, pid_t pid)
{
	/* A block serves so many pages. */
	size_t size = victim_page_size(way), step = STATE_DATA_PER_TAG * page_size();
	unsigned int without = 0, in_storage = 0, huge = 0, absent = 0, looked_at = 0;

	for (unsigned int i = 0; i < v->n[way]; i++) {
		if (!v->page[way][i].done || v->page[way][i].signal)
			continue;
		for (size_t at = 0; at < size; at += step) {
			void *addr = page_at(v->page[way][i].addr + at);
			struct state_page page = { .block = -1 };

			/* One that is being moved comes back; one that is swapped out does not. */
			if (!eventually(absent > MANY_ABSENT ? 1 : MOVING_MS,
					page_present(r, pid, addr, &page))) {
				absent++;
				continue;
			}
			looked_at++;
			without += !page.has_storage;
			in_storage += page.in_tag_storage;
			huge += !at && page.order;
		}
	}
	if (absent)
		note(r, "%s, %s: %u pages are not there any more", m->text,
		     victim_kinds[way].name, absent);
	if (absent && !looked_at) {
		skip_result(r, "none is there any more", "%s, %s: its pages have tag storage",
			    m->text, victim_kinds[way].name);
		return;
	}
	if (size > page_size())
		measure_way(r, m, way, "still_huge", "1", huge);
	expect_eq_u64(r, without, 0, "%s, %s: its pages have tag storage", m->text,
		      victim_kinds[way].name);
	expect_eq_u64(r, in_storage, 0, "%s, %s: its pages do not lie in tag storage", m->text,
		      victim_kinds[way].name);
}

/* The first page that failed, if that should not be, or it is asked for. */
static void explain_way(struct run *r, const struct mode *m, const struct victim *v,
			enum victim_way way, enum failing fails, pid_t pid)
{
	char who[64];

	if (fails != FAILS_NOT && !param_bool(r, "explain"))
		return;
	for (unsigned int i = 0; i < v->n[way]; i++) {
		if (!v->page[way][i].signal)
			continue;
		snprintf(who, sizeof(who), "%s, %s", m->text, victim_kinds[way].name);
		explain_failure(r, who, pid, page_at(v->page[way][i].addr));
		return;
	}
}

static void judge_way(struct run *r, const struct mode *m, const struct victim *v,
		      enum victim_way way, enum failing fails, pid_t pid,
		      const struct counted *c)
{
	struct tally t = tally(v, way);
	const char *name = victim_kinds[way].name;
	uint64_t bound_ms = m->fault_wait_ms + ACCESS_SLACK_MS;

	if (!v->n[way])
		return;
	measure_way(r, m, way, "pages", "pages", t.done);
	measure_latency(r, m, name, t.latency);
	measure_way(r, m, way, "sigbus", "1", t.signals);
	measure_replays(r, m, way, c);

	expect_range(r, t.latency.max, 0, bound_ms * 1000000, "%s, %s: every access ends in time",
		     m->text, name);
	if (fails == FAILS)
		expect(r, t.signals, "%s, %s: the victim is told by %s", m->text, name,
		       victim_kinds[way].guest ? "KVM_RUN" : "SIGBUS");
	else if (fails == FAILS_NOT)
		expect_eq_u64(r, t.signals, 0, "%s, %s: the victim gets all its %smemory",
			      m->text, name, victim_kinds[way].untagged ? "" : "tagged ");
	explain_way(r, m, v, way, fails, pid);
	if (t.signals == t.done)
		return;
	if (!victim_kinds[way].untagged)
		judge_pages(r, m, v, way, pid);
	expect_eq_u64(r, t.data_bad, 0, "%s, %s: its data is intact", m->text, name);
	if (!victim_kinds[way].untagged)
		expect_eq_u64(r, t.tags_bad, 0, "%s, %s: its tags are intact", m->text, name);
}

void judge_victim(struct run *r, const struct mode *m, const struct victim *v, pid_t pid,
		  const struct expected *want, const struct counted *all,
		  const struct counted *way)
{
	const struct state_summary *a = &all->before, *b = &all->after;
	uint64_t without = b->alloc_without - a->alloc_without;
	uint64_t accesses = 0, signals = 0, guests = 0;
	bool fails = false;

	for (int i = 0; i < VICTIM_WAYS; i++) {
		struct tally t = tally(v, (enum victim_way)i);

		accesses += t.done;
		signals += t.signals;
		if (victim_kinds[i].guest)
			guests += t.signals;
		else
			fails |= want->fails[i] == FAILS && v->n[i];
		judge_way(r, m, v, (enum victim_way)i, want->fails[i], pid, &way[i]);
	}
#define COUNTER(name) measure_mode(r, m, #name, "1", (double)(b->name - a->name))
	COUNTER(reserve_migrated);
	COUNTER(reserve_busy);
	COUNTER(alloc_other_page);
	COUNTER(alloc_searched);
	COUNTER(alloc_without);
	COUNTER(foa_fault);
	COUNTER(foa_replaced);
	COUNTER(foa_replayed);
	COUNTER(foa_sigbus);
#undef COUNTER
	expect_range(r, b->foa_replayed - a->foa_replayed, 0,
		     accesses * (MAX_REPLAYS + m->fault_wait_ms / COPY_TRY_MS),
		     "%s: no access is replayed without bound", m->text);
	expect_range(r, all->replays, 0, MAX_REPLAYS, "%s: no fault is replayed more than %d times",
		     m->text, MAX_REPLAYS);
	/* KVM_RUN tells the VMM, who may do better than to end. */
	expect_eq_u64(r, b->foa_sigbus - a->foa_sigbus, signals - guests,
		      "%s: the kernel has counted each SIGBUS", m->text);
	if (fails)
		expect(r, b->foa_replayed > a->foa_replayed, "%s: faults had to be replayed",
		       m->text);
	if (m->choose_other_page)
		expect_eq_u64(r, without, 0, "%s: every tagged allocation finds tag storage",
			      m->text);
	if (!want->held || want->passes)
		return;
	if (v->n[VICTIM_MMAP]) {
		const struct state_summary *x = &way[VICTIM_MMAP].before;
		const struct state_summary *y = &way[VICTIM_MMAP].after;

		if (m->choose_other_page)
			expect(r, y->alloc_other_page > x->alloc_other_page,
			       "%s: tagged allocations take other pages than those whose tag storage is held",
			       m->text);
		else
			expect(r, y->alloc_without > x->alloc_without,
			       "%s: allocations had to go without tag storage", m->text);
	}
	if (v->n[VICTIM_MPROTECT] && m->replace_data_page && m->choose_other_page)
		expect(r, way[VICTIM_MPROTECT].after.foa_replaced >
			  way[VICTIM_MPROTECT].before.foa_replaced,
		       "%s: populated pages move to where tag storage is not held", m->text);
}

bool judge_retry(struct run *r, const struct mode *m, const struct victim *v)
{
	unsigned int failed = 0, bad = 0;

	for (int way = 0; way < VICTIM_WAYS; way++) {
		struct tally t = tally(v, (enum victim_way)way);

		failed += t.signals;
		bad += t.again_bad + t.data_bad + t.tags_bad;
	}
	return !failed || expect_eq_u64(r, bad, 0,
					"%s: what failed works, intact, after the attack", m->text);
}
