/* SPDX-License-Identifier: GPL-2.0-only */
/* What keys mean. The table in keys.c is all there is: the help screen is made of it. */
#ifndef TAGSCOPE_UI_KEYS_H
#define TAGSCOPE_UI_KEYS_H

#include <stddef.h>

enum action {
	ACT_NONE,
	ACT_QUIT, ACT_HELP, ACT_BACK, ACT_NEXT_VIEW, ACT_REDRAW,
	ACT_MAP, ACT_COUNTERS, ACT_LATENCY, ACT_LOG, ACT_RUN, ACT_LESSON,
	ACT_STEP, ACT_STEP_MODE, ACT_START, ACT_NEXT_RUN, ACT_PREV_RUN,
	ACT_PAUSE, ACT_FASTER, ACT_SLOWER, ACT_STEP_BACK, ACT_STEP_ON,
	ACT_UP, ACT_DOWN, ACT_LEFT, ACT_RIGHT, ACT_PAGE_UP, ACT_PAGE_DOWN, ACT_HOME, ACT_END,
	ACT_ZOOM_IN, ACT_ZOOM_OUT, ACT_FIT, ACT_OPEN, ACT_NEXT, ACT_PREV, ACT_GO_TO,
	ACT_MARK, ACT_CHANGED, ACT_LETTERS, ACT_OWNERS, ACT_THEME, ACT_BIG, ACT_RESET, ACT_TRACE,
};

struct binding {
	enum action action;
	unsigned int views;		/* bits by enum view_id; 0: everywhere */
	const char *help;
	const char *name;		/* how the keys are written */
	int key[4];			/* 0 at the end */
};

extern const struct binding bindings[];
extern const size_t nr_bindings;

/* The action of a key in a view. */
enum action key_action(int key, unsigned int view);

#endif
