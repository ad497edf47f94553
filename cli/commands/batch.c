// SPDX-License-Identifier: GPL-2.0-only
/* What "run" and "suite" share: see batch.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

#include "base/number.h"
#include "base/suggest.h"
#include "commands/batch.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static const char *format_name_at(void *list, size_t i)
{
	(void)list;
	return formats[i] ? formats[i]->name : NULL;
}

int batch_option(struct batch *ex, const struct command *cmd, int opt, const char *value)
{
	char near[256];
	uint64_t n;

	switch (opt) {
	case 'f':
		ex->format = format_find(value);
		if (!ex->format)
			return usage_error(cmd, "there is no format '%s'%s", value,
					   suggest_text(value, format_name_at, NULL, near,
						     sizeof(near)));
		return EXIT_OK;
	case 'o':
		ex->output = value;
		return EXIT_OK;
	case 'c':
		if (strcmp(value, "auto") && strcmp(value, "always") && strcmp(value, "never"))
			return usage_error(cmd, "--color is auto, always or never, not '%s'",
					   value);
		ex->color = value;
		return EXIT_OK;
	case 's':
		if (!parse_u64(value, false, &ex->seed))
			return usage_error(cmd, "--seed wants a number, not '%s'", value);
		ex->have_seed = true;
		return EXIT_OK;
	case 't':
		if (!parse_u64(value, false, &n) || !n || n > 1000000)
			return usage_error(cmd, "--time-limit wants seconds, 1 to 1000000, not '%s'",
					   value);
		ex->time_limit_s = (unsigned int)n;
		return EXIT_OK;
	}
	return -1;
}

struct run_params *batch_add(struct batch *ex, const struct command *cmd,
			       const struct scenario *s)
{
	struct run_params *more = realloc(ex->runs, (ex->nr_runs + 1) * sizeof(*more));

	if (more)
		ex->runs = more;
	if (!more || !run_params_init(&ex->runs[ex->nr_runs], s)) {
		problem(cmd, EXIT_NOT_HERE, "out of memory");
		return NULL;
	}
	return &ex->runs[ex->nr_runs++];
}

void batch_free(struct batch *ex)
{
	for (size_t i = 0; i < ex->nr_runs; i++)
		run_params_free(&ex->runs[i]);
	free(ex->runs);
	ex->runs = NULL;
	ex->nr_runs = 0;
}

/* Wait for a key; 'q' ends it, 'g' goes on without waiting. */
static int wait_key(void)
{
	static const char prompt[] = "   [space: go on, g: go on to the end, q: quit] ";
	struct termios old, raw;
	char c = 0;
	bool tty = !tcgetattr(STDIN_FILENO, &old);

	fputs(prompt, stderr);
	fflush(stderr);
	if (tty) {
		raw = old;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	do {
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n == 0 || (n < 0 && errno != EINTR) || (n < 0 && interrupted))
			c = 'q';
	} while (!c || !strchr(" \n\rgqGQ", c));
	if (tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
	/* Take the prompt away again. */
	fprintf(stderr, "\r%*s\r", (int)sizeof(prompt), "");
	return c;
}

static void run_one(const struct run_options *opt, struct report *rep)
{
	struct runner *rn = runner_start(opt, report_event, rep);

	if (!rn) {
		fprintf(stderr, "tagscope: out of memory\n");
		rep->verdicts[VERDICT_ERROR]++;
		return;
	}
	while (runner_dispatch(rn)) {
		struct pollfd pfd = { .fd = runner_fd(rn), .events = POLLIN };

		if (interrupted)
			runner_abort(rn, "it was interrupted");
		if (runner_waiting(rn)) {
			int key = wait_key();

			if (key == 'g' || key == 'G')
				runner_set_step_mode(rn, false);
			if (key == 'q' || key == 'Q') {
				runner_abort(rn, "it was ended by the user");
				interrupted = SIGINT;
			}
			runner_continue(rn);
		}
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			runner_abort(rn, "poll failed");
	}
	runner_free(rn);
}

int batch_begin(struct batch *ex, const struct command *cmd, struct report *rep)
{
	uint32_t random;
	int err = 0;

	*rep = (struct report){ .format = ex->format, .out = stdout };
	if (ex->output)
		err = results_open(&ex->file, ex->output, ex->format && ex->format->whole);
	if (err)
		return problem(cmd, EXIT_NOT_HERE, "cannot write to %s: %s", ex->output,
			       strerror(-err));
	if (ex->output)
		rep->out = ex->file.f;
	if (!ex->have_seed) {
		/* Short enough to type again. */
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			random = (uint32_t)now_ns();
		ex->seed = random;
	}
	if (!rep->format)
		rep->format = format_default(rep->out);
	rep->color = batch_color(ex, rep->out);
	return EXIT_OK;
}

bool batch_color(const struct batch *ex, FILE *out)
{
	return ex->color && strcmp(ex->color, "auto") ? !strcmp(ex->color, "always") :
							color_wanted(out);
}

struct run_options batch_options(const struct batch *ex, size_t i)
{
	return (struct run_options){
		.params = &ex->runs[i],
		.seed = ex->seed + (ex->per_round ? i / ex->per_round : 0),
		.step_mode = ex->step_mode,
		.time_limit_s = ex->time_limit_s,
	};
}

int batch_end(struct batch *ex, const struct command *cmd, struct report *rep)
{
	bool complete = !report_end(rep);
	int status = complete ? report_status(rep) : EXIT_FAILED;
	int err = ex->file.f ? results_close(&ex->file, ex->output, complete) : 0;

	if (err)
		status = problem(cmd, EXIT_FAILED, "cannot write to %s: %s", ex->output,
				 strerror(-err));
	return status;
}

int batch_run(struct batch *ex, const struct command *cmd)
{
	struct sigaction sa = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	struct report rep;
	int status = batch_begin(ex, cmd, &rep);

	if (status)
		goto out;
	if (ex->step_mode && !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
		problem(cmd, 0, "there is no terminal to wait for keys on: going through without waiting");
		ex->step_mode = false;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGTTOU, &ignore, NULL);
	report_plan(&rep, (unsigned int)ex->nr_runs);
	for (size_t i = 0; i < ex->nr_runs && !interrupted; i++) {
		struct run_options opt = batch_options(ex, i);

		run_one(&opt, &rep);
	}
	status = batch_end(ex, cmd, &rep);
	if (interrupted)
		status = EXIT_FAILED;
out:
	batch_free(ex);
	return status;
}
