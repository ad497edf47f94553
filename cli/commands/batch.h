/* SPDX-License-Identifier: GPL-2.0-only */
/* What "run" and "suite" share: options, and running what was chosen. */
#ifndef TAGSCOPE_BATCH_H
#define TAGSCOPE_BATCH_H

#include "commands/command.h"
#include "output/format.h"
#include "output/results_file.h"
#include "run/runner.h"

struct batch {
	const struct format *format;	/* NULL: the default for where it goes */
	const char *output;		/* a file; NULL: stdout */
	const char *color;		/* "auto", "always", "never" */
	uint64_t seed;
	bool have_seed, step_mode;
	unsigned int time_limit_s;
	struct run_params *runs;	/* what to run, in order */
	size_t nr_runs;
	size_t per_round;		/* after so many the seed goes up by one; 0: never */
	struct results_file file;	/* of output, while it is written */
};

#define BATCH_OPTIONS                                                        \
	{ "format", required_argument, NULL, 'f' },                            \
	{ "output", required_argument, NULL, 'o' },                            \
	{ "color", required_argument, NULL, 'c' },                             \
	{ "seed", required_argument, NULL, 's' },                              \
	{ "time-limit", required_argument, NULL, 't' }

#define BATCH_HELP                                                           \
	"  --format FORMAT   pretty, ktap, json or junit (pretty on a terminal, else ktap)\n" \
	"  --output FILE     write there instead of to the terminal\n"         \
	"  --color WHEN      auto, always or never; NO_COLOR in the environment is heeded\n" \
	"  --seed N          repeat a run: random choices come from this number\n" \
	"  --time-limit S    seconds a scenario may take, instead of its own limit\n"

/* Of the UI. */
#define LOOK_OPTIONS                                                         \
	{ "big", no_argument, NULL, 'B' },                                     \
	{ "theme", required_argument, NULL, 'T' }

#define LOOK_HELP                                                            \
	"  --big             in the UI: a large map, to be seen from afar (key B)\n" \
	"  --theme THEME     dark (default), light, colour-blind or none (key T)\n"

/* Take one of these two. EXIT_OK, or EXIT_USAGE with a message given. */
int look_option(const struct command *cmd, int opt, const char *value);

/*
 * Take one of these options, or of those above. EXIT_OK, or an exit status with a message
 * given; -1 if opt is none of them.
 */
int batch_option(struct batch *ex, const struct command *cmd, int opt, const char *value);

/* Add a run; its parameters are the defaults. NULL: out of memory, with a message. */
struct run_params *batch_add(struct batch *ex, const struct command *cmd,
			       const struct scenario *s);

/*
 * For who runs them elsewhere: choose seed, format and colours, and open the output, with
 * *rep ready for its plan; then the options of run i; then close it all, which gives the
 * exit status of what was reported. EXIT_OK, or an exit status with a message given.
 */
int batch_begin(struct batch *ex, const struct command *cmd, struct report *rep);
struct run_options batch_options(const struct batch *ex, size_t i);
int batch_end(struct batch *ex, const struct command *cmd, struct report *rep);
bool batch_color(const struct batch *ex, FILE *out);

/*
 * Who hears all that is reported besides, also of the UI, once it is set: "record". waits,
 * if it is set, is called when a scenario waits at a step that nobody else wants to see; all
 * of them do then.
 */
struct batch_tap {
	event_fn fn;
	void (*waits)(void *ctx);
	void *ctx;
};
extern struct batch_tap batch_tap;
/* The plan, and each event: to the report, if it has an output, and to the tap. */
void batch_plan(struct report *rep, unsigned int planned);
void batch_event(struct report *rep, const struct event *ev);

/* Run all that was added; an exit status. Frees the runs. */
int batch_run(struct batch *ex, const struct command *cmd);
void batch_free(struct batch *ex);

#endif
