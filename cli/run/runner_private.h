/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the runner share: see runner.h. */
#ifndef TAGSCOPE_RUNNER_PRIVATE_H
#define TAGSCOPE_RUNNER_PRIVATE_H

#include "run/runner.h"
#include "scenario/child.h"

#define MAX_SWITCHES 16

struct runner {
	event_fn fn;
	void *ctx;
	const struct run_params *params;
	struct event_start *about;
	struct run_control *control;
	pid_t pid;			/* 0: reaped */
	int say, go, out, pidfd, timer, epoll;
	uint64_t start, limit_ns, paused_at, paused_ns;
	bool waiting, ended, finished, killed, sending_steps;
	unsigned int steps, passed, failed, skipped;
	char step[256];			/* where it is, for a message */
	char role[64];
	char verdict_set;
	enum verdict verdict;
	char reason[1200];
	char line[1024];		/* of its output, not complete yet */
	size_t line_len;
	struct state_summary state;
	bool have_state;
	uint64_t switches[MAX_SWITCHES];
	bool switch_known[MAX_SWITCHES];
	struct state *reader;
	struct saved *saved;		/* settings.c */
	struct saved_swap *saved_swap;
	pid_t keeper;			/* 0: there is none */
	int keeper_fd;
};

/* ---- runner.c: time, and what the embedder hears ---------------------------- */

/* Nanoseconds since the start, without waiting for keys. */
uint64_t runner_elapsed(const struct runner *rn);
/* Fill in what is the same for all events, and deliver it. */
void runner_emit(struct runner *rn, struct event *ev);
/* Time runs, or it stands still while the scenario waits for a key. */
void runner_arm_timer(struct runner *rn);

/* ---- verdict.c -------------------------------------------------------------- */

/* The first reason counts: what follows is mostly its consequence. */
void conclude(struct runner *rn, enum verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Say more: it did that, and now this. Always a failure. */
void conclude_further(struct runner *rn, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void add_result(struct runner *rn, const char *role, bool ok, const char *text,
		const char *detail);
void add_skipped_result(struct runner *rn, const char *role, const char *text,
			const char *reason);
/* Nothing more will come: make up the verdict, and deliver EVENT_END. */
void judge(struct runner *rn);

/* ---- listen.c: what the scenario says, and what it prints -------------------- */

/* true: something was read. */
bool read_packet(struct runner *rn);
bool read_output(struct runner *rn);
/* The last line may have no end. */
void flush_output(struct runner *rn);

/* ---- process.c -------------------------------------------------------------- */

/* Fork, watch its descriptors. false: errno says why; kill_all() what was started. */
bool start_child(struct runner *rn);
void kill_all(struct runner *rn);
/*
 * Kill all processes whose parent we are, now that the scenario's own is gone: its
 * orphans. false: one does not die.
 */
bool kill_orphans(const struct runner *rn);
/* Where in the kernel it sits, in buf. */
const char *stuck_where(const struct runner *rn, char *buf, size_t size);

/* ---- settings.c ------------------------------------------------------------- */

/* Remember what the scenario may change. false: it cannot be, and conclude() was told why. */
bool settings_save(struct runner *rn);
/* Whether the scenario declares this one. */
bool settings_include(const struct runner *rn, const char *path);
/* The scenario's process is there now. */
void settings_belong_to(struct runner *rn);
/* Put all back; what cannot be is an error. Once; more do nothing. */
void settings_restore(struct runner *rn);

/* ---- switches.c ------------------------------------------------------------- */

void save_switches(struct runner *rn);
void restore_switches(struct runner *rn);

#endif
