/* SPDX-License-Identifier: GPL-2.0-only */
/* The terminal UI, as the command line sees it. */
#ifndef TAGSCOPE_UI_H
#define TAGSCOPE_UI_H

#include "ui/session.h"

struct replay;

struct ui_options {
	struct session_source **runs;	/* that can be run in it, one after the other */
	size_t nr_runs;			/* 0: only watch */
	struct session_tee tee;		/* hears all; what is not begun is a skip */
	struct replay *replay;		/* whose runs and state they are; NULL: this machine's */
	unsigned int interval_ms;	/* between two readings of the state */
	bool color;
};

/*
 * Take over the terminal until the user leaves. Returns an exit status: that of all
 * runs, 0 if there are none; 128 and more for a signal; 3 if the terminal or the state
 * cannot be used, with a message on stderr.
 */
int ui_main(const struct ui_options *opt);

#endif
