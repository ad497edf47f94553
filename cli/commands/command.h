/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands of tagscope. Each is one file, cmd_NAME.c, with one struct. */
#ifndef TAGSCOPE_COMMAND_H
#define TAGSCOPE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TAGSCOPE_VERSION "0.1"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_HERE = 3,
	EXIT_SKIPPED = 4,
};

struct command {
	const char *name;
	const char *summary;		/* one line, for "tagscope help" */
	const char *help;		/* all of --help, with examples */
	/* argv[0] is the command's name; returns an exit status. */
	int (*run)(const struct command *cmd, int argc, char **argv);
};

extern const struct command cmd_list, cmd_describe, cmd_run, cmd_suite, cmd_watch, cmd_record,
	cmd_replay, cmd_report, cmd_compare, cmd_attack, cmd_fuzz, cmd_state, cmd_doctor,
	cmd_completion, cmd_lesson;

/* All of them, NULL at the end. */
extern const struct command *const commands[];

/* A message on stderr, "tagscope NAME: ...", with "try --help"; returns EXIT_USAGE. */
int usage_error(const struct command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A message on stderr, "tagscope NAME: ..."; returns status. */
int problem(const struct command *cmd, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What getopt_long() returned that is no option of the command; returns a status. */
int bad_option(const struct command *cmd, int opt, char **argv);
/* The scenario, or NULL with a message that names near ones. */
struct scenario;
const struct scenario *find_scenario(const struct command *cmd, const char *name);
/* Flush stdout: a full disk or a closed pipe is an error. Returns status, or EXIT_FAILED. */
int flushed(const struct command *cmd, int status);

#endif
