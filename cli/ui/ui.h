/* SPDX-License-Identifier: GPL-2.0-only */
/* The terminal UI, as the command line sees it. */
#ifndef TAGSCOPE_UI_H
#define TAGSCOPE_UI_H

#include "run/runner.h"

struct ui_options {
	const struct run_options *run;	/* run this in it; NULL: only watch */
	unsigned int interval_ms;	/* between two readings of the state */
	bool color;
};

/*
 * Take over the terminal until the user leaves. Returns an exit status: that of the
 * scenario if one was run, else 0; 3 if the terminal or the state cannot be used,
 * with a message on stderr.
 */
int ui_main(const struct ui_options *opt);

#endif
