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
#include "commands/progress.h"
#include "ui/ui.h"

/*
 * Signals are blocked but while this waits for something, so that none can come between a
 * look at "interrupted" and the wait.
 */
static volatile sig_atomic_t interrupted;
static sigset_t unblocked;

static void on_signal(int sig)
{
	interrupted = sig;
}

static const char *format_name_at(void *list, size_t i)
{
	(void)list;
	return formats[i] ? formats[i]->name : NULL;
}

struct batch_tap batch_tap;

void batch_event(struct report *rep, const struct event *ev)
{
	if (batch_tap.fn)
		batch_tap.fn(batch_tap.ctx, ev);
	if (rep->out)
		report_event(rep, ev);
}

void batch_plan(struct report *rep, unsigned int planned)
{
	struct event plan = { .type = EVENT_PLAN, .scenario = "", .role = "", .number = planned };

	batch_event(rep, &plan);
}

int look_option(const struct command *cmd, int opt, const char *value)
{
	if (opt == 'B') {
		ui_look.big = true;
		return EXIT_OK;
	}
	for (int i = 0; i < NR_THEMES; i++) {
		if (!strcmp(value, theme_names[i])) {
			ui_look.theme = (enum theme)i;
			return EXIT_OK;
		}
	}
	return usage_error(cmd, "--theme is dark, light, colour-blind or none, not '%s'", value);
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
	case 'B':
	case 'T':
		return look_option(cmd, opt, value);
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
		struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

		if (interrupted || (ppoll(&pfd, 1, NULL, &unblocked) < 0 && errno != EINTR))
			c = 'q';
		else if (pfd.revents && read(STDIN_FILENO, &c, 1) != 1)
			c = 'q';
	} while (!c || !strchr(" \n\rgqGQ", c));
	if (tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
	/* Take the prompt away again. */
	fprintf(stderr, "\r%*s\r", (int)sizeof(prompt), "");
	return c;
}

/* The results, and how far they are. */
struct listener {
	struct report *rep;
	struct progress progress;
};

static void listen(void *ctx, const struct event *ev)
{
	struct listener *l = ctx;

	progress_event(&l->progress, ev);
	batch_event(l->rep, ev);
}

static void run_one(const struct run_options *wanted, struct listener *l)
{
	bool for_tap = batch_tap.waits && !wanted->step_mode;
	struct run_options opt = *wanted;
	struct runner *rn;

	opt.step_mode |= for_tap;
	rn = runner_start(&opt, listen, l);
	if (!rn) {
		fprintf(stderr, "tagscope: out of memory\n");
		l->rep->verdicts[VERDICT_ERROR]++;
		return;
	}
	while (runner_dispatch(rn)) {
		struct pollfd pfd = { .fd = runner_fd(rn), .events = POLLIN };
		struct timespec ts;
		int ms;

		if (interrupted)
			runner_abort(rn, "it was interrupted");
		if (runner_waiting(rn) && for_tap) {
			batch_tap.waits(batch_tap.ctx);
			runner_continue(rn);
		} else if (runner_waiting(rn)) {
			int key;

			progress_clear(&l->progress);
			key = wait_key();
			if (key == 'g' || key == 'G')
				runner_set_step_mode(rn, false);
			if (key == 'q' || key == 'Q') {
				runner_abort(rn, interrupted ? "it was interrupted" :
							       "it was ended by the user");
				interrupted = SIGINT;
			}
			runner_continue(rn);
		}
		ms = progress_tick(&l->progress);
		ts = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
		/* When it was told once, more signals change nothing. */
		if (ppoll(&pfd, 1, ms < 0 ? NULL : &ts, interrupted ? NULL : &unblocked) < 0 &&
		    errno != EINTR)
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
	struct listener l = { .rep = &rep };
	sigset_t blocked;
	int status = batch_begin(ex, cmd, &rep);

	if (status)
		goto out;
	if (ex->step_mode && !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
		problem(cmd, 0, "there is no terminal to wait for keys on: going through without waiting");
		ex->step_mode = false;
	}
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGHUP);
	sigprocmask(SIG_BLOCK, &blocked, &unblocked);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGTTOU, &ignore, NULL);
	batch_plan(&rep, (unsigned int)ex->nr_runs);
	progress_begin(&l.progress, !isatty(fileno(rep.out)) && (ex->output || rep.format->whole ||
								 isatty(STDERR_FILENO)),
		       (unsigned int)ex->nr_runs);
	for (size_t i = 0; i < ex->nr_runs && !interrupted; i++) {
		struct run_options opt = batch_options(ex, i);

		run_one(&opt, &l);
	}
	progress_clear(&l.progress);
	status = batch_end(ex, cmd, &rep);
	if (interrupted)
		status = EXIT_FAILED;
out:
	batch_free(ex);
	return status;
}
