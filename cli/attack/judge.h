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

/* A generous bound on what one access may take beyond fault_wait_ms, in milliseconds. */
#define ACCESS_SLACK_MS 10000

struct expected {
	bool held;		/* the attacker holds tag storage that others need, */
	bool victim_fails;	/* and the victim fails where it needs that */
};

/* How the attack has changed the kernel's counters, and its most often replayed fault. */
struct counted {
	struct state_summary before, after;
	uint64_t replays;
};

/* What placing and holding came to; before: the counters before it held anything. */
void judge_held(struct run *r, const struct mode *m, const struct technique *t,
		const struct attacker *a, enum attack_effect effect, const struct blocks *placed,
		const struct blocks *held, const struct state_summary *before);

/* The victim's accesses, while it and the attacker still have their memory. */
void judge_victim(struct run *r, const struct mode *m, const struct victim *v, pid_t pid,
		  const struct expected *want, const struct counted *c);
/* The second try of what failed. */
void judge_retry(struct run *r, const struct mode *m, const struct victim *v);

/* measure(), its name with the prefix of the mode. */
void measure_mode(struct run *r, const struct mode *m, const char *name, const char *unit,
		  double value);

#endif
