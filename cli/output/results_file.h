/* SPDX-License-Identifier: GPL-2.0-only */
/* The file that results go to. */
#ifndef TAGSCOPE_RESULTS_FILE_H
#define TAGSCOPE_RESULTS_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct results_file {
	FILE *f;
	char *text;	/* of what is kept in memory until all is there */
	size_t len;
	bool whole;
};

/*
 * Results of a format that is of use only as a whole get their file when they are complete:
 * whoever finds it can use it, however this ends. Until then there is none, lest an
 * older one be taken for it. 0 or -errno.
 */
int results_open(struct results_file *out, const char *name, bool whole);
int results_close(struct results_file *out, const char *name, bool complete);

#endif
