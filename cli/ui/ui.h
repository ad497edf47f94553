/* SPDX-License-Identifier: GPL-2.0-only */
/* The terminal UI, as the command line sees it. */
#ifndef TAGSCOPE_UI_H
#define TAGSCOPE_UI_H

#include "lesson/facts.h"
#include "ui/screen.h"
#include "ui/session.h"

struct replay;

/* A lesson that the user is led through; a run of it each time that the UI is begun. */
struct ui_lesson {
	const struct lesson *l;
	size_t run;			/* this one; it is the only one of the options */
	const char *from;		/* why it is a recording; NULL: it is live */
	struct facts *facts;		/* of all runs until now */
	/* What came of it: */
	bool shown;			/* there was a UI; else the status says why not */
	bool next_run;			/* the user went on to the next one */
	enum answer answer;		/* the last that was given */
};

struct ui_options {
	struct session_source **runs;	/* that can be run in it, one after the other */
	size_t nr_runs;			/* 0: only watch */
	struct session_tee tee;		/* hears all; what is not begun is a skip */
	struct ui_lesson *lesson;	/* NULL: none */
	struct replay *replay;		/* whose runs and state they are; NULL: this machine's */
	unsigned int interval_ms;	/* between two readings of the state */
	bool color;
};

/* How it looks: options and keys set it, and it stays for what comes next. */
struct ui_look {
	bool big;			/* for a projector: large cells, far apart */
	enum theme theme;
};
extern struct ui_look ui_look;

/*
 * Take over the terminal until the user leaves. Returns an exit status: that of all
 * runs, 0 if there are none; 128 and more for a signal; 3 if the terminal or the state
 * cannot be used, with a message on stderr.
 */
int ui_main(const struct ui_options *opt);

#endif
