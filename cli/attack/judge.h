/* SPDX-License-Identifier: GPL-2.0-only */
/* What has to come out of an attack: results and measures. */
#ifndef TAGSCOPE_ATTACK_JUDGE_H
#define TAGSCOPE_ATTACK_JUDGE_H

#include "attack/attack.h"
#include "attack/blocks.h"

/* The kernel's switches in a mode. */
struct mode {
	const char *name;		/* value of parameter "mitigations" */
	const char *prefix;		/* of measures */
	const char *text;		/* what results begin with */
	bool move_before_pin;		/* the switches of docs/debugfs-abi.md */
	bool choose_other_page;
	bool replace_data_page;
	unsigned int fault_wait_ms;
};

extern const struct mode attack_baseline;		/* no attack */
extern const struct mode attack_modes[ATTACK_MODES];

/* A generous bound on what one access may take beyond fault_wait_ms, in milliseconds. */
#define ACCESS_SLACK_MS 10000

enum failing {
	FAILS_NOT,
	FAILS_MAYBE,		/* that depends on which page the allocator has next */
	FAILS,
};

struct expected {
	bool held;			/* the attacker holds tag storage that others need ... */
	bool passes;			/* ... but perhaps not until the last of them */
	enum failing fails[VICTIM_WAYS];	/* the victim, where it needs that */
};

/*
 * How the victim's accesses have changed the kernel's counters, its most often replayed
 * fault, and the replays by cause.
 */
struct counted {
	struct state_summary before, after;
	uint64_t replays;
	struct state_latency *causes;
	size_t nr_causes;
};

/*
 * What placing and holding came to; all: each attacker holds all its pages; before: the
 * counters before it held anything.
 */
void judge_held(struct run *r, const struct mode *m, const struct technique *t,
		bool all, enum attack_effect effect, const struct blocks *placed,
		const struct blocks *held, const struct state_summary *before);

/*
 * The victim's accesses, while it and the attacker still have their memory; way[] are for
 * the accesses of each way, all for what came after them, too.
 */
void judge_victim(struct run *r, const struct mode *m, const struct victim *v, pid_t pid,
		  const struct expected *want, const struct counted *all,
		  const struct counted *way);
/* Somebody who tags nothing. */
void judge_bystander(struct run *r, const struct mode *m, struct latency l);
/* The second try of what failed; whether all of it works. */
bool judge_retry(struct run *r, const struct mode *m, const struct victim *v);

/* measure(), its name with the prefix of the mode. */
void measure_mode(struct run *r, const struct mode *m, const char *name, const char *unit,
		  double value);

#endif
