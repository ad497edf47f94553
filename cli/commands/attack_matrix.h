/* SPDX-License-Identifier: GPL-2.0-only */
/* What attacks came to: techniques x mitigations x victims, and how that is shown. */
#ifndef TAGSCOPE_ATTACK_MATRIX_H
#define TAGSCOPE_ATTACK_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "attack/judge.h"
#include "event/event.h"

#define MATRIX_CAUSES 4
/* Mode of what was measured without an attack; else enum attack_mode. */
#define MATRIX_BASELINE ATTACK_MODES
/* Who is told of: the victims, and the bystander. */
#define MATRIX_BYSTANDER VICTIM_WAYS

struct matrix_cell {
	bool done;
	double p50, p99, max;		/* ns */
	unsigned int pages, sigbus;
	unsigned int nr_causes;		/* of replays */
	struct {
		char cause[16];
		uint64_t count;
	} replays[MATRIX_CAUSES];
};

struct matrix_mode {
	bool done;
	bool recovered;
	double placed, held;		/* blocks; placed is negative if that is not known */
	double recalled;		/* copies taken meanwhile; negative: there were none */
	struct matrix_cell cell[VICTIM_WAYS + 1];
};

/* A technique. */
struct matrix_row {
	const char *name;
	enum verdict verdict;
	char reason[256];		/* why it is not a pass */
	double seconds;
	struct matrix_mode mode[ATTACK_MODES + 1];
};

/* Take what an event tells into a row. */
void matrix_event(struct matrix_row *row, const struct event *ev);

/* Print all of it. */
void matrix_table(const struct matrix_row *row, size_t n);
void matrix_markdown(const struct matrix_row *row, size_t n);
/* false: out of memory. */
bool matrix_json(const struct matrix_row *row, size_t n);

#endif
