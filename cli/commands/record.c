// SPDX-License-Identifier: GPL-2.0-only
/* tagscope record */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "base/text.h"
#include "commands/batch.h"
#include "record/recording.h"
#include "record/sampler.h"
#include "record/writer.h"

static const char help[] =
	"Usage: tagscope record [options] FILE -- run|suite|watch [its options and arguments]\n\n"
	"Does what the command behind -- does, and keeps all of it in FILE: what scenarios say\n"
	"and measure, and the counters, the map of blocks and the latencies as they change.\n"
	"'tagscope replay FILE' shows it, on any computer; 'tagscope report' makes a page of it.\n"
	"Whatever ends this, FILE is good up to the last second. The status is the command's.\n\n"
	"  --interval MS  between two readings of the state, 20 to 60000 (100)\n"
	"  --no-wait      scenarios do not wait at each step until the state has been read;\n"
	"                 then the map of a step may be that of a later one\n"
	"  --trace        the kernel's tracepoints, too (they cost time)\n"
	"  --help         this text\n\n"
	"Examples:\n"
	"  tagscope record mmap.rec -- run mmap pages=64\n"
	"  tagscope record --trace mprotect.rec -- run mprotect\n"
	"  tagscope record idle.rec -- watch --plain --count 5\n";

#define STEP_BUDGET_NS 400000000ULL	/* for the map at a step, while the scenario waits */
#define FLUSH_NS 1000000000ULL

/* ---- In the process that runs the command ---------------------------------------------- */

/*
 * Each event goes to the process that records as "TIME {...}\n"; it answers a byte for each
 * step that waits. If it is gone, the run goes on without it.
 */
struct tap {
	int fd;
	uint64_t start;
};

static bool send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void tap_event(void *ctx, const struct event *ev)
{
	struct tap *tap = ctx;
	char *json = tap->fd < 0 ? NULL : event_print(ev), *text = NULL;
	size_t len = 0;
	FILE *f;

	if (!json)
		return;
	f = open_memstream(&text, &len);
	if (f) {
		fprintf(f, "%" PRIu64 " ", now_ns() - tap->start);
		text_write(f, json);
		fputc('\n', f);
		if (fclose(f) || !send_all(tap->fd, text, len)) {
			close(tap->fd);
			tap->fd = -1;
		}
	}
	free(text);
	free(json);
}

static void tap_waits(void *ctx)
{
	struct tap *tap = ctx;
	char c;

	while (tap->fd >= 0 && recv(tap->fd, &c, 1, 0) < 0 && errno == EINTR)
		;
}

static int run_command(const struct command *cmd, char **argv, int fd, uint64_t start, bool wait)
{
	static struct tap tap;
	int argc = 0;

	while (argv[argc])
		argc++;
	tap = (struct tap){ .fd = fd, .start = start };
	batch_tap = (struct batch_tap){ .fn = tap_event, .ctx = &tap,
					.waits = wait ? tap_waits : NULL };
	/* Of the options before this, nothing is to be left: 0 begins anew. */
	optind = 0;
	return cmd->run(cmd, argc, argv);
}

/* ---- In the process that records --------------------------------------------------------- */

struct recorder {
	struct rec_writer *file;
	struct rec_sampler *sampler;
	uint64_t start, last_at;
	uint64_t flushed;	/* now_ns() */
	unsigned int interval_ms;
	int fd;				/* to the command; -1: it is gone */
	char *buf;			/* what came and is no whole line yet */
	size_t len, room;
	int err;			/* of the file */
};

static void put_header(struct recorder *r, char **argv)
{
	cJSON *o = cJSON_CreateObject(), *command;
	time_t now = time(NULL);
	struct utsname u;
	char date[40], *text;
	struct tm tm;

	cJSON_AddStringToObject(o, "event", "recording");
	json_add_u64(o, "version", RECORDING_VERSION);
	cJSON_AddStringToObject(o, "tagscope", TAGSCOPE_VERSION);
	/* A machine without a clock believes that it is 1970. */
	if (now > 1000000000 && gmtime_r(&now, &tm) &&
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm))
		cJSON_AddStringToObject(o, "started", date);
	if (!uname(&u)) {
		cJSON_AddStringToObject(o, "kernel", u.release);
		cJSON_AddStringToObject(o, "machine", u.machine);
	}
	json_add_u64(o, "interval_ms", r->interval_ms);
	command = cJSON_AddArrayToObject(o, "command");
	for (; *argv; argv++)
		cJSON_AddItemToArray(command, cJSON_CreateString(*argv));
	text = cJSON_PrintUnformatted(o);
	if (text) {
		text_write(rec_lines(r->file), text);
		fputc('\n', rec_lines(r->file));
	}
	free(text);
	cJSON_Delete(o);
}

static uint64_t now_at(struct recorder *r)
{
	uint64_t at = now_ns() - r->start;

	if (at > r->last_at)
		r->last_at = at;
	return r->last_at;
}

static void sample(struct recorder *r, uint64_t budget_ns, bool anew)
{
	rec_sample(r->sampler, rec_lines(r->file), now_at(r), budget_ns, anew);
}

/* "TIME {...}". Its sample may have been taken before it came: time does not go back. */
static void take_event(struct recorder *r, char *line)
{
	FILE *f = rec_lines(r->file);
	uint64_t at = strtoull(line, &line, 10);

	if (at > r->last_at)
		r->last_at = at;
	fprintf(f, "{\"at\":%" PRIu64 ",%s\n", r->last_at, line + 2);
	/* The scenario waits, if it does, until the state of this step is there. */
	if (!strncmp(line, " {\"event\":\"step\"", 16)) {
		sample(r, STEP_BUDGET_NS, true);
		if (strstr(line, ",\"waiting\":true"))
			send(r->fd, "", 1, MSG_NOSIGNAL);
	}
}

/* All that is there; false: there will be nothing more. */
static bool take_events(struct recorder *r)
{
	for (;;) {
		char *end, *line;
		ssize_t n;

		if (r->room - r->len < 65536) {
			char *more = realloc(r->buf, r->room + 131072);

			if (!more)
				return false;
			r->buf = more;
			r->room += 131072;
		}
		n = recv(r->fd, r->buf + r->len, r->room - r->len, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		r->len += (size_t)n;
		line = r->buf;
		while ((end = memchr(line, '\n', r->len - (size_t)(line - r->buf)))) {
			*end = '\0';
			take_event(r, line);
			line = end + 1;
		}
		r->len -= (size_t)(line - r->buf);
		memmove(r->buf, line, r->len);
	}
}

static void flush(struct recorder *r, const struct command *cmd, const char *path, bool now)
{
	int err = now || now_ns() - r->flushed >= FLUSH_NS ? rec_flush(r->file) :
							     rec_flush_much(r->file);

	if (now || now_ns() - r->flushed >= FLUSH_NS)
		r->flushed = now_ns();
	if (err && !r->err)
		problem(cmd, 0, "cannot write to %s: %s; what was recorded until now is good", path,
			strerror(-err));
	r->err = err;
}

/* Until the command has ended: its wait status. */
static int record(struct recorder *r, const struct command *cmd, const char *path, pid_t pid,
		  int sigs)
{
	int status = 0;

	for (;;) {
		struct pollfd fds[2] = { { .fd = sigs, .events = POLLIN },
					 { .fd = r->fd, .events = POLLIN } };
		struct signalfd_siginfo sig;
		uint64_t now;

		poll(fds, 2, (int)r->interval_ms);
		if (r->fd >= 0 && !take_events(r)) {
			close(r->fd);
			r->fd = -1;
		}
		while (read(sigs, &sig, sizeof(sig)) == sizeof(sig))
			/* What a terminal sends, the command has got itself. */
			if (sig.ssi_signo == SIGTERM || sig.ssi_signo == SIGHUP)
				kill(pid, (int)sig.ssi_signo);
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		now = now_ns();
		if (now - r->start - r->last_at >= r->interval_ms * 1000000ULL)
			sample(r, r->interval_ms * 1000000ULL / 20, false);
		flush(r, cmd, path, false);
	}
	if (r->fd >= 0)
		take_events(r);
	sample(r, UINT64_MAX, true);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fprintf(rec_lines(r->file), "{\"at\":%" PRIu64 ",\"event\":\"recorded\",\"status\":%d}\n",
		now_at(r), status);
	flush(r, cmd, path, true);
	return status;
}

static int record_command(const struct command *cmd, struct recorder *r, const char *path,
			  const struct command *what, char **argv, bool trace, bool wait)
{
	int pair[2], sigs, status, err;
	char why[900];
	sigset_t set;
	pid_t pid;

	r->sampler = rec_sampler_open(trace, why, sizeof(why));
	if (!r->sampler)
		return problem(cmd, EXIT_NOT_HERE, "out of memory");
	if (*why)
		problem(cmd, 0, "not recorded: %s", why);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return problem(cmd, EXIT_NOT_HERE, "socketpair: %s", strerror(errno));
	fflush(stdout);
	put_header(r, argv);
	/* So that there is something before it. */
	sample(r, STEP_BUDGET_NS, true);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigs = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	pid = sigs < 0 ? -1 : fork();
	if (pid < 0)
		return problem(cmd, EXIT_NOT_HERE, "cannot start a process: %s", strerror(errno));
	if (!pid) {
		close(pair[0]);
		close(sigs);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		status = run_command(what, argv, pair[1], r->start, wait);
		fflush(stdout);
		exit(status);
	}
	close(pair[1]);
	r->fd = pair[0];
	status = record(r, cmd, path, pid, sigs);
	close(sigs);
	if (r->fd >= 0)
		close(r->fd);
	err = r->err;
	return err && status == EXIT_OK ? EXIT_FAILED : status;
}

static const struct command *to_record(const char *name)
{
	static const struct command *const all[] = { &cmd_run, &cmd_suite, &cmd_watch };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}

static int record_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "no-wait", no_argument, NULL, 'w' },
		{ "trace", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct recorder r = { .interval_ms = 100, .fd = -1 };
	bool trace = false, wait = true;
	const struct command *what;
	const char *path;
	uint64_t n;
	int opt, status, err;

	while ((opt = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			if (!parse_u64(optarg, false, &n) || n < 20 || n > 60000)
				return usage_error(cmd, "--interval wants 20 to 60000 ms, not '%s'",
						   optarg);
			r.interval_ms = (unsigned int)n;
			break;
		case 'w':
			wait = false;
			break;
		case 't':
			trace = true;
			break;
		default:
			return bad_option(cmd, opt, argv);
		}
	}
	if (optind == argc)
		return usage_error(cmd, "which file?");
	path = argv[optind++];
	if (optind < argc && !strcmp(argv[optind], "--"))
		optind++;
	if (optind == argc)
		return usage_error(cmd, "what is to be recorded? For example: tagscope record %s -- run mmap",
				   path);
	what = to_record(argv[optind]);
	if (!what)
		return usage_error(cmd, "'%s' cannot be recorded: run, suite and watch can",
				   argv[optind]);
	/* Nothing to record, and no file to be made anew. */
	for (int i = optind + 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return what->run(what, 2, (char *[]){ argv[optind], argv[i], NULL });
	r.start = now_ns();
	r.flushed = r.start;
	err = rec_create(path, &r.file);
	if (err)
		return problem(cmd, EXIT_NOT_HERE, "cannot write to %s: %s", path, strerror(-err));
	status = record_command(cmd, &r, path, what, argv + optind, trace, wait);
	rec_sampler_close(r.sampler);
	err = rec_close(r.file);
	if (err && !r.err)
		status = problem(cmd, EXIT_FAILED, "cannot write to %s: %s", path, strerror(-err));
	free(r.buf);
	return status;
}

const struct command cmd_record = {
	.name = "record",
	.summary = "run or watch, and keep all of it in a file",
	.help = help,
	.run = record_run,
};
