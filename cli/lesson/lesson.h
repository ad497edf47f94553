/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lesson as its file has it (docs/lessons/NN-name.md; docs/lessons.md says how one is
 * written). It points at steps of scenarios, and knows nothing of where these come from.
 */
#ifndef TAGSCOPE_LESSON_H
#define TAGSCOPE_LESSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LESSON_RUNS 2		/* scenarios in one lesson, at most */
#define LESSON_STOPS 6
#define LESSON_OPTIONS 4
#define LESSON_STOP_LINES 8	/* of 80 columns: what fits below the map of a small terminal */

/* Where in the scenarios: step 0 is before the first, LESSON_END after the last. */
#define LESSON_END UINT32_MAX
struct lesson_place {
	size_t run;
	unsigned int step;	/* it is over */
};

/* What a stop points at. */
enum lesson_show {
	SHOW_CHANGES,		/* the first block that changed since the stop before */
	SHOW_STATE,		/* the first block in .letter */
	SHOW_OWNER,		/* the first that the map of owners shows as .letter */
	SHOW_ADDRESS,		/* the block with the tags of .address */
	SHOW_COUNTER,		/* .name */
	SHOW_LATENCIES,
	SHOW_LOG,
};

struct lesson_stop {
	struct lesson_place at;
	enum lesson_show show;
	char letter;
	uint64_t address;
	char *name;
	char *text;		/* here and below: paragraphs, a line each */
};

enum lesson_ask {
	ASK_COUNTER,		/* .name at the place, or how much it rose from .from to there */
	ASK_MEASURE,		/* the last of .name in the run */
	ASK_BLOCK_OF,		/* the number of the block with the tags of .address */
	ASK_ANY_BLOCK,		/* each block in .letter at the place is right */
};

struct lesson_option {
	char op[3];		/* "=", "!=", "<", "<=", ">", ">=" */
	double value;
	char *text;
};

struct lesson_question {
	enum lesson_ask ask;
	struct lesson_place at;
	bool has_from;
	unsigned int from;
	char letter;
	uint64_t address;
	char *name;
	char *text, *hint;
	/* With options the one that holds for the number is the answer. */
	struct lesson_option option[LESSON_OPTIONS];
	size_t nr_options;
};

struct lesson_run {
	char *command;		/* scenario and parameters */
	char *machine;		/* options that scripts/vm needs for it, "" if none */
};

struct lesson {
	unsigned int number, minutes;
	char *name;		/* "01-tags" */
	char *title;
	struct lesson_run run[LESSON_RUNS];
	size_t nr_runs;
	char *know, *watch, *right, *next, *instructor;
	struct lesson_stop stop[LESSON_STOPS];	/* in order of their places */
	size_t nr_stops;
	struct lesson_question question;
};

/* 0, or -errno with the reason, and the line if it has one, in why (size bytes). */
int lesson_parse(const char *name, const char *text, size_t len, struct lesson **out, char *why,
		 size_t size);
int lesson_read(const char *path, struct lesson **out, char *why, size_t size);
void lesson_free(struct lesson *l);

/* Whether so many steps of the run, which may be at its end, are at the place. */
bool place_is(const struct lesson_place *at, size_t run, unsigned int steps, bool end);
/* "after step 3", "before it begins", "at the end"; in buf. */
const char *place_text(const struct lesson_place *at, char *buf, size_t size);

/* The first stop of a run, .nr_stops if there is none from there on; they lie together. */
size_t lesson_first_stop(const struct lesson *l, size_t run);

/*
 * The folder with lessons and their recordings, in buf: TAGSCOPE_LESSONS, else what was
 * installed with this program, else that of the checkout it was built in. false: none is there.
 */
bool lesson_folder(char *buf, size_t size);
/* All in it by number, *n of them and NULL, to be freed with lessons_free(). 0 or -errno. */
int lessons_read(const char *folder, struct lesson ***out, size_t *n, char *why, size_t size);
void lessons_free(struct lesson **l, size_t n);
/* "FOLDER/01-tags.rec", "FOLDER/12-policies.2.rec" for run 1; in buf. */
const char *lesson_recording(const struct lesson *l, size_t run, const char *folder, char *buf,
			     size_t size);

#endif
