// SPDX-License-Identifier: GPL-2.0-only
/* What "run" and "suite" share: see batch.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/number.h"
#include "base/suggest.h"
#include "commands/batch.h"
#include "commands/progress.h"

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
	report_event(l->rep, ev);
}

static void run_one(const struct run_options *opt, struct listener *l)
{
	struct runner *rn = runner_start(opt, listen, l);

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
		if (runner_waiting(rn)) {
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

/* Where results go: a stream, or memory until all of them are there. */
struct output {
	FILE *f;
	char *text;	/* of the memory */
	size_t len;
	bool whole;
};

/* A new file beside that of this name, with the rights of any new file; -1, with errno. */
static int temporary(const char *name, char *path, size_t size)
{
	mode_t mask = umask(0);
	int fd, err;

	umask(mask);
	if ((size_t)snprintf(path, size, "%s.XXXXXX", name) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0 && fchmod(fd, 0666 & ~mask)) {
		err = errno;
		close(fd);
		unlink(path);
		errno = err;
		return -1;
	}
	return fd;
}

/*
 * Results of a format that is of use only as a whole get their file when they are complete:
 * whoever finds it can use it, however this ends. Until then there is none, lest an
 * older one be taken for it. 0 or -errno.
 */
static int output_open(struct output *out, const struct batch *ex)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	/* What is no file, or the name of another, stays: a pipe, /dev/stdout. */
	out->whole = ex->format && ex->format->whole &&
		     (lstat(ex->output, &st) || S_ISREG(st.st_mode));
	if (!out->whole) {
		out->f = fopen(ex->output, "we");
		return out->f ? 0 : -errno;
	}
	/* That it cannot be written is better known now than after hours. */
	fd = temporary(ex->output, path, sizeof(path));
	if (fd < 0)
		return -errno;
	close(fd);
	if (unlink(path) || (unlink(ex->output) && errno != ENOENT))
		return -errno;
	out->f = open_memstream(&out->text, &out->len);
	return out->f ? 0 : -errno;
}

/* Give what is in memory its file. 0 or -errno. */
static int output_keep(const struct output *out, const char *name)
{
	char path[PATH_MAX];
	int fd = temporary(name, path, sizeof(path)), err = 0;
	FILE *f;

	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		err = -errno;
		close(fd);
	} else {
		if (fwrite(out->text, 1, out->len, f) != out->len)
			err = -errno;
		if (fclose(f) && !err)
			err = -errno;
	}
	if (!err && rename(path, name))
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

/* 0 or -errno. */
static int output_close(struct output *out, const char *name, bool complete)
{
	int err = fclose(out->f) ? -errno : 0;

	if (out->whole && complete && !err)
		err = output_keep(out, name);
	free(out->text);
	return err;
}

int batch_run(struct batch *ex, const struct command *cmd)
{
	struct report rep = { .format = ex->format, .out = stdout };
	struct listener l = { .rep = &rep };
	struct sigaction sa = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	struct output output = { .f = NULL };
	bool complete = false;
	sigset_t blocked;
	uint32_t random;
	int status, err;

	if (ex->output) {
		err = output_open(&output, ex);
		if (err) {
			status = problem(cmd, EXIT_NOT_HERE, "cannot write to %s: %s", ex->output,
					 strerror(-err));
			goto out;
		}
		rep.out = output.f;
	}
	if (!ex->have_seed) {
		/* Short enough to type again. */
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			random = (uint32_t)now_ns();
		ex->seed = random;
	}
	if (!rep.format)
		rep.format = format_default(rep.out);
	rep.color = ex->color && strcmp(ex->color, "auto") ? !strcmp(ex->color, "always") :
							    color_wanted(rep.out);
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
	report_plan(&rep, (unsigned int)ex->nr_runs);
	progress_begin(&l.progress, !isatty(fileno(rep.out)) && (ex->output || rep.format->whole ||
								 isatty(STDERR_FILENO)),
		       (unsigned int)ex->nr_runs);
	for (size_t i = 0; i < ex->nr_runs && !interrupted; i++) {
		struct run_options opt = {
			.params = &ex->runs[i],
			.seed = ex->seed + (ex->per_round ? i / ex->per_round : 0),
			.step_mode = ex->step_mode,
			.time_limit_s = ex->time_limit_s,
		};

		run_one(&opt, &l);
	}
	progress_clear(&l.progress);
	complete = !report_end(&rep);
	status = complete && !interrupted ? report_status(&rep) : EXIT_FAILED;
out:
	err = output.f ? output_close(&output, ex->output, complete) : 0;
	if (err)
		status = problem(cmd, EXIT_FAILED, "cannot write to %s: %s", ex->output,
				 strerror(-err));
	batch_free(ex);
	return status;
}
