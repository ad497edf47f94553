// SPDX-License-Identifier: GPL-2.0-only
/*
 * supervise: start QEMU, run one command in its guest through init.c, carry input,
 * output and status, and tell how it ended. scripts/vm calls it and documents it.
 *
 * It adds to QEMU's arguments a serial port for the kernel log and a virtio serial
 * port for the command, over a pipe and a socket pair, so that no file and no port is shared
 * with another run. QEMU dies with it, however it ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

/* Statuses of our own; scripts/vm --help lists them. */
enum {
	ST_USAGE = 2,
	ST_PANIC = 120,
	ST_OOPS = 121,
	ST_TAGS = 122,
	ST_TIMEOUT = 124,
	ST_LOST = 125,
	ST_START = 126,
};

#define TAIL_LINES	24
#define LOG_KEEP	(256 * 1024)
#define LINE_MAX_LEN	1024
#define OUT_LIMIT	(256 * 1024)
#define POWER_OFF_S	20
#define LOG_EVERY_MS	20
#define LOG_PIPE	(256 * 1024)

enum tty_mode { TTY_AUTO, TTY_YES, TTY_NO };

static struct {
	enum tty_mode tty;
	bool interactive, quiet, verbose, no_stdin;
	bool oops_ok;			/* --no-strict: an oops does not count */
	double timeout, boot_timeout;	/* seconds, 0: none */
	const char *log;
	const char *expect;		/* where tags must be, or NULL */
	const char *preload;
	const char *policy;		/* what the kernel must know, or NULL */
	char **env;
	uint32_t envc;
	char **qemu, **cmd;
	int qemuc, cmdc;
} o = { .boot_timeout = 120 };

/* What the kernel says when it panics, and when it complains. */
static const char * const panics[] = { "Kernel panic - not syncing" };

static const char * const oopses[] = {
	"Internal error:", "Unable to handle kernel ", "kernel BUG at ", "WARNING: CPU: ",
	"BUG: ", "WARNING: possible ", "WARNING: inconsistent lock state",
	"WARNING: bad unlock balance", "WARNING: suspicious RCU usage", "WARNING: Nested lock",
	"WARNING: lock held when returning", "WARNING: held lock freed", "INFO: task ",
	"INFO: rcu", "rcu: INFO:", "UBSAN: ", "suspected memory leak", "ODEBUG: ",
	"DEBUG_LOCKS_WARN_ON(",
	"INFO: possible ", "INFO: trying to register non-static key", "*** DEADLOCK ***",
};

/* What it says of mte_tag_storage= if it has no such policy, or does not know it. */
static const char policy_prefix[] = "mte_tag_storage: ";
static const char unknown_policy[] = "mte_tag_storage: unknown policy ";
static const char unknown_word[] = "Unknown kernel command line parameters ";

static struct {
	pid_t qemu;
	int qemu_status;
	bool qemu_gone;
	int ctl, log, err;		/* our ends: command, kernel log, QEMU's stderr */
	FILE *log_file;
	char *log_text;			/* the last LOG_KEEP bytes, or more */
	size_t log_len, log_size;
	size_t line_start;		/* of the line now being received, in log_text */
	char err_text[8192];
	size_t err_len;
	bool panic, oops;
	char oops_line[LINE_MAX_LEN];
	char policy_line[LINE_MAX_LEN];	/* that the kernel has no such policy */
	char *frames;
	size_t frames_len;
	bool hello, running, done;
	int status;
	char where[512];
	uint32_t credit;
	bool use_tty, stdin_open, raw, got_signal;
	int sig;
	bool wrong_tags;
	struct termios saved;
	double started, done_at;
} s = { .ctl = -1, .log = -1, .err = -1 };

struct queue {
	int fd;
	char *data;
	size_t start, len, size;
};

static struct queue q_out = { .fd = STDOUT_FILENO };
static struct queue q_err = { .fd = STDERR_FILENO };
static struct queue q_ctl = { .fd = -1 };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void cooked(void)
{
	if (s.raw && tcsetattr(STDIN_FILENO, TCSADRAIN, &s.saved))
		fprintf(stderr, "vm: cannot restore the terminal: %s\n", strerror(errno));
	s.raw = false;
}

__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	char buf[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	fprintf(stderr, "vm: %s%s\n", buf, s.raw ? "\r" : "");
}

static void kill_qemu(void)
{
	if (s.qemu > 0 && !s.qemu_gone) {
		kill(s.qemu, SIGKILL);
		if (waitpid(s.qemu, &s.qemu_status, 0) == s.qemu)
			s.qemu_gone = true;
	}
}

static void __attribute__((noreturn, format(printf, 2, 3))) die(int status, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	kill_qemu();
	cooked();
	say("%s", buf);
	exit(status);
}

static void *must_realloc(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p)
		die(ST_START, "out of memory");
	return p;
}

static void queue_add(struct queue *q, const void *data, size_t len)
{
	if (q->start + q->len + len > q->size && q->start) {
		memmove(q->data, q->data + q->start, q->len);
		q->start = 0;
	}
	if (q->len + len > q->size) {
		q->size = (q->len + len) * 2;
		q->data = must_realloc(q->data, q->size);
	}
	memcpy(q->data + q->start + q->len, data, len);
	q->len += len;
}

/* Returns 0, or the errno for which nothing more can be written. */
static int queue_write(struct queue *q)
{
	/*
	 * Our output may be a blocking descriptor that others share: what poll()
	 * promises is room for a page.
	 */
	size_t n = q->len < 4096 ? q->len : 4096;
	ssize_t w;

	if (!n)
		return 0;
	w = write(q->fd, q->data + q->start, n);
	if (w < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : errno;
	q->start += (size_t)w;
	q->len -= (size_t)w;
	if (!q->len)
		q->start = 0;
	return 0;
}

/* The guest's end is closed: what waits to be sent never will be. */
static void lose_ctl(void)
{
	close(s.ctl);
	s.ctl = -1;
	q_ctl.fd = -1;
	q_ctl.len = 0;
}

static void send_frame(enum proto_type type, const void *data, size_t len)
{
	struct proto_header h = { .len = (uint32_t)len, .type = type };

	if (s.ctl < 0)
		return;
	queue_add(&q_ctl, &h, sizeof(h));
	if (len)
		queue_add(&q_ctl, data, len);
}

static struct proto_winsize window(void)
{
	struct proto_winsize w = { 24, 80 };
	struct winsize ws;

	if (!ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) && ws.ws_row && ws.ws_col) {
		w.rows = ws.ws_row;
		w.cols = ws.ws_col;
	}
	return w;
}

static void go_raw(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &s.saved))
		return;
	t = s.saved;
	cfmakeraw(&t);
	if (!o.interactive) {
		/* Ctrl-C is for us: it ends the guest. All else is the command's. */
		t.c_lflag |= ISIG;
		t.c_cc[VQUIT] = _POSIX_VDISABLE;
		t.c_cc[VSUSP] = _POSIX_VDISABLE;
	}
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t))
		return;
	s.raw = true;
}

static void send_run(void)
{
	struct proto_run r = {
		.tty = s.use_tty, .size = window(),
		.argc = (uint32_t)o.cmdc, .envc = o.envc,
	};
	size_t len = sizeof(r), i, at = sizeof(r);
	char *buf;

	for (i = 0; i < r.argc; i++)
		len += strlen(o.cmd[i]) + 1;
	for (i = 0; i < r.envc; i++)
		len += strlen(o.env[i]) + 1;
	if (len > PROTO_RUN_MAX)
		die(ST_USAGE, "the command is %zu bytes long; at most %d can be passed", len,
		    PROTO_RUN_MAX);
	buf = must_realloc(NULL, len);
	memcpy(buf, &r, sizeof(r));
	for (i = 0; i < r.argc + r.envc; i++) {
		const char *w = i < r.argc ? o.cmd[i] : o.env[i - r.argc];

		memcpy(buf + at, w, strlen(w) + 1);
		at += strlen(w) + 1;
	}
	send_frame(PROTO_RUN, buf, len);
	free(buf);
	if (s.use_tty)
		go_raw();
	s.stdin_open = !o.no_stdin;
	if (!s.stdin_open)
		send_frame(PROTO_STDIN, "", 0);
	s.running = true;
}

static bool from_log(void);

static void hello(const char *text, size_t len)
{
	size_t kind;

	if (len >= sizeof(s.where))
		len = sizeof(s.where) - 1;
	memcpy(s.where, text, len);
	s.where[len] = 0;
	kind = strcspn(s.where, " ");
	s.hello = true;
	/* What the kernel wrote before it started init is in the log by now. */
	while (s.log >= 0 && from_log())
		;
	if (s.policy_line[0])
		die(ST_USAGE, "--policy: not on this kernel: %s", s.policy_line);
	if (!o.quiet)
		say("tag storage: %.*s (%s)", (int)kind, s.where,
		    s.where[kind] ? s.where + kind + 1 : "");
	if (o.expect && (strncmp(s.where, o.expect, kind) || strlen(o.expect) != kind))
		s.wrong_tags = true;
	else
		send_run();
}

static void frame(uint32_t type, const char *data, size_t len)
{
	uint32_t credit;
	int32_t status;

	switch (type) {
	case PROTO_HELLO:
		hello(data, len);
		break;
	case PROTO_STDOUT:
		queue_add(&q_out, data, len);
		break;
	case PROTO_STDERR:
		queue_add(&q_err, data, len);
		break;
	case PROTO_CREDIT:
		if (len == sizeof(credit)) {
			memcpy(&credit, data, sizeof(credit));
			s.credit += credit;
		}
		break;
	case PROTO_DONE:
		if (len == sizeof(status)) {
			memcpy(&status, data, sizeof(status));
			s.status = status;
			s.done = true;
			s.done_at = now();
		}
		break;
	default:
		die(ST_LOST, "the guest sent a frame of unknown type %u", type);
	}
}

static void from_guest(void)
{
	struct proto_header h;
	size_t at = 0;
	ssize_t n;

	n = read(s.ctl, s.frames + s.frames_len, PROTO_RUN_MAX + sizeof(h) - s.frames_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose_ctl();
		return;
	}
	s.frames_len += (size_t)n;
	while (s.frames_len - at >= sizeof(h)) {
		memcpy(&h, s.frames + at, sizeof(h));
		if (h.len > PROTO_RUN_MAX)
			die(ST_LOST, "the guest sent a frame of %u bytes", h.len);
		if (s.frames_len - at - sizeof(h) < h.len)
			break;
		frame(h.type, s.frames + at + sizeof(h), h.len);
		at += sizeof(h) + h.len;
	}
	memmove(s.frames, s.frames + at, s.frames_len - at);
	s.frames_len -= at;
}

static bool contains(const char *line, const char * const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strstr(line, list[i]))
			return true;
	return false;
}

static void log_line(const char *line)
{
	const char *text = strstr(line, "] ");

	text = text ? text + 2 : line;
	/* What our init writes there is not the kernel's word. */
	if (!strncmp(text, "init: ", 6))
		return;
	if (!strncmp(text, unknown_policy, strlen(unknown_policy))) {
		const char *why = text + strlen(policy_prefix);

		snprintf(s.policy_line, sizeof(s.policy_line), "%.*s", (int)strcspn(why, ";"),
			 why);
	} else if (o.policy && !strncmp(text, unknown_word, strlen(unknown_word)) &&
		   strstr(text, "mte_tag_storage=")) {
		snprintf(s.policy_line, sizeof(s.policy_line),
			 "it has no policies for tag storage, not '%s' either", o.policy);
	}
	if (contains(text, panics, sizeof(panics) / sizeof(panics[0])))
		s.panic = true;
	if (!s.oops && contains(text, oopses, sizeof(oopses) / sizeof(oopses[0]))) {
		s.oops = true;
		snprintf(s.oops_line, sizeof(s.oops_line), "%s", text);
	}
}

/* Take what there is of the kernel log. Returns whether there may be more. */
static bool from_log(void)
{
	char buf[8192], line[LINE_MAX_LEN];
	ssize_t n, i;

	n = read(s.log, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(s.log);
		s.log = -1;
		return false;
	}
	if (s.log_len + (size_t)n + 1 > s.log_size) {
		if (s.log_len > LOG_KEEP && s.line_start > LOG_KEEP / 2) {
			size_t cut = s.line_start - LOG_KEEP / 2;

			memmove(s.log_text, s.log_text + cut, s.log_len - cut);
			s.log_len -= cut;
			s.line_start -= cut;
		}
		s.log_size = s.log_len + (size_t)n + LOG_KEEP;
		s.log_text = must_realloc(s.log_text, s.log_size);
	}
	for (i = 0; i < n; i++) {
		if (buf[i] == '\r' || !buf[i])
			continue;
		s.log_text[s.log_len++] = buf[i];
		if (s.log_file)
			fputc(buf[i], s.log_file);
		if (buf[i] != '\n')
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)(s.log_len - 1 - s.line_start),
			 s.log_text + s.line_start);
		s.line_start = s.log_len;
		log_line(line);
		if (o.verbose)
			fprintf(stderr, "%s%s\n", line, s.raw ? "\r" : "");
	}
	if (s.log_file)
		fflush(s.log_file);
	return n == (ssize_t)sizeof(buf);
}

static void from_qemu_stderr(void)
{
	char buf[4096];
	ssize_t n = read(s.err, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(s.err);
		s.err = -1;
		return;
	}
	if ((size_t)n > sizeof(s.err_text) - 1 - s.err_len)
		n = (ssize_t)(sizeof(s.err_text) - 1 - s.err_len);
	memcpy(s.err_text + s.err_len, buf, (size_t)n);
	s.err_len += (size_t)n;
}

static void from_stdin(void)
{
	char buf[PROTO_DATA_MAX];
	size_t max = s.credit < sizeof(buf) ? s.credit : sizeof(buf);
	ssize_t n = read(STDIN_FILENO, buf, max);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		s.stdin_open = false;
		send_frame(PROTO_STDIN, "", 0);
		return;
	}
	if (s.raw && o.interactive && memchr(buf, 0x1d, (size_t)n)) {
		s.got_signal = true;	/* Ctrl-] */
		s.sig = SIGINT;
		return;
	}
	s.credit -= (uint32_t)n;
	send_frame(PROTO_STDIN, buf, (size_t)n);
}

static void on_signal(int fd)
{
	struct signalfd_siginfo si;
	struct proto_winsize ws;

	while (read(fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGCHLD:
			if (waitpid(s.qemu, &s.qemu_status, WNOHANG) == s.qemu)
				s.qemu_gone = true;
			break;
		case SIGWINCH:
			if (s.running && s.use_tty) {
				ws = window();
				send_frame(PROTO_WINSIZE, &ws, sizeof(ws));
			}
			break;
		default:
			s.got_signal = true;
			s.sig = (int)si.ssi_signo;
		}
	}
}

static void start_qemu(void)
{
	int ctl[2], log[2], err[2], i, n = 0;
	char chr[2][64], preload[4200];
	pid_t parent = getpid();
	char **argv;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl) ||
	    pipe2(log, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die(ST_START, "cannot make channels: %s", strerror(errno));
	/*
	 * QEMU writes the log byte by byte. A pipe gathers that; each byte in a socket
	 * would take the room of a packet, and QEMU would soon have to wait for us. If
	 * the kernel grants no larger pipe, the usual size will do.
	 */
	(void)fcntl(log[1], F_SETPIPE_SZ, LOG_PIPE);
	snprintf(chr[0], sizeof(chr[0]), "file,id=log,path=/proc/self/fd/%d", log[1]);
	snprintf(chr[1], sizeof(chr[1]), "socket,id=ctl,fd=%d", ctl[1]);
	argv = must_realloc(NULL, sizeof(*argv) * (size_t)(o.qemuc + 16));
	for (i = 0; i < o.qemuc; i++)
		argv[n++] = o.qemu[i];
	argv[n++] = (char *)"-chardev";
	argv[n++] = chr[0];
	argv[n++] = (char *)"-serial";
	argv[n++] = (char *)"chardev:log";
	argv[n++] = (char *)"-chardev";
	argv[n++] = chr[1];
	argv[n++] = (char *)"-device";
	argv[n++] = (char *)"virtio-serial-device,max_ports=2";
	argv[n++] = (char *)"-device";
	argv[n++] = (char *)"virtserialport,chardev=ctl,name=" PROTO_PORT;
	argv[n] = NULL;

	s.qemu = fork();
	if (s.qemu < 0)
		die(ST_START, "fork: %s", strerror(errno));
	if (!s.qemu) {
		sigset_t none;
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* Ctrl-C and a closing terminal are our business. */
		setsid();
		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(err[1], 2) < 0 ||
		    fcntl(ctl[1], F_SETFD, 0) || fcntl(log[1], F_SETFD, 0))
			_exit(1);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		if (o.preload) {
			snprintf(preload, sizeof(preload), "%s", o.preload);
			setenv("LD_PRELOAD", preload, 1);
		}
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	free(argv);
	close(ctl[1]);
	close(log[1]);
	close(err[1]);
	s.ctl = ctl[0];
	q_ctl.fd = ctl[0];
	s.log = log[0];
	s.err = err[0];
	if (fcntl(s.ctl, F_SETFL, O_NONBLOCK) || fcntl(s.log, F_SETFL, O_NONBLOCK) ||
	    fcntl(s.err, F_SETFL, O_NONBLOCK))
		die(ST_START, "fcntl: %s", strerror(errno));
}

enum ending { END_NORMAL, END_TIMEOUT, END_BOOT, END_POWER_OFF, END_SIGNAL, END_PIPE, END_TAGS };

static enum ending loop(int sigs)
{
	for (;;) {
		double t = now(), limit = -1, left;
		enum ending why = END_TIMEOUT;
		bool room = q_out.len < OUT_LIMIT && q_err.len < OUT_LIMIT;
		int ms = -1, e, i;

		if (s.got_signal)
			return END_SIGNAL;
		if (s.wrong_tags)
			return END_TAGS;
		/* All its output has been read when its channels are closed. */
		if (s.qemu_gone && s.ctl < 0 && s.log < 0 && s.err < 0 &&
		    !q_out.len && !q_err.len)
			return END_NORMAL;
		if (o.timeout > 0)
			limit = s.started + o.timeout;
		if (!s.hello && o.boot_timeout > 0 &&
		    (limit < 0 || s.started + o.boot_timeout < limit)) {
			limit = s.started + o.boot_timeout;
			why = END_BOOT;
		}
		if (s.done) {
			limit = s.done_at + POWER_OFF_S;
			why = END_POWER_OFF;
		}
		/* Only our own reader can be slow now, and it may be as slow as it likes. */
		if (s.qemu_gone)
			limit = -1;
		if (limit >= 0) {
			left = limit - t;
			if (left <= 0)
				return why;
			ms = left > 1e6 ? 1000000000 : (int)(left * 1000) + 1;
		}
		/*
		 * The kernel log comes byte by byte: being woken for each would take
		 * more time than the guest needs to boot. QEMU can write ahead.
		 */
		if (s.log >= 0 && !s.qemu_gone && (ms < 0 || ms > LOG_EVERY_MS))
			ms = LOG_EVERY_MS;
		struct pollfd p[] = {
			{ sigs, POLLIN, 0 },
			{ s.ctl, (room ? POLLIN : 0) | (q_ctl.len ? POLLOUT : 0), 0 },
			{ s.err, POLLIN, 0 },
			{ s.qemu_gone ? s.log : -1, POLLIN, 0 },
			{ q_out.len ? q_out.fd : -1, POLLOUT, 0 },
			{ q_err.len ? q_err.fd : -1, POLLOUT, 0 },
			{ s.running && s.stdin_open && s.credit && !s.done ? STDIN_FILENO : -1,
			  POLLIN, 0 },
		};
		if (!p[1].events)
			p[1].fd = -1;

		if (poll(p, sizeof(p) / sizeof(p[0]), ms) < 0) {
			if (errno == EINTR)
				continue;
			die(ST_START, "poll: %s", strerror(errno));
		}
		if (p[0].revents)
			on_signal(sigs);
		/* A bounded share: a guest that floods its log must not keep us here. */
		for (i = 0; i < 16 && s.log >= 0 && from_log(); i++)
			;
		if (p[2].revents)
			from_qemu_stderr();
		if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
			from_guest();
		if (s.ctl >= 0 && p[1].revents & POLLOUT && queue_write(&q_ctl))
			lose_ctl();
		e = p[4].revents ? queue_write(&q_out) : 0;
		if (e == EPIPE)
			return END_PIPE;
		if (e)
			die(1, "cannot write the command's output: %s", strerror(e));
		e = p[5].revents ? queue_write(&q_err) : 0;
		if (e)
			q_err.len = 0;	/* nowhere left to say so */
		if (p[6].revents)
			from_stdin();
	}
}

static void tail_log(void)
{
	size_t at = s.log_len, lines = 0;

	/* With --verbose it has been seen. */
	if (o.verbose || !s.log_len)
		return;
	while (at && lines <= TAIL_LINES)
		if (s.log_text[--at] == '\n' && at + 1 < s.log_len)
			lines++;
	if (at)
		at++;
	say("the end of the kernel log%s%s:", o.log ? ", the whole is in " : "",
	    o.log ? o.log : "");
	for (; at < s.log_len; at++)
		fputc(s.log_text[at], stderr);
	if (s.log_text[s.log_len - 1] != '\n')
		fputc('\n', stderr);
}

static void qemu_words(void)
{
	if (!s.err_len)
		return;
	say("QEMU said:");
	fwrite(s.err_text, 1, s.err_len, stderr);
	if (s.err_text[s.err_len - 1] != '\n')
		fputc('\n', stderr);
}

/* Take what is left in the channels of a QEMU that is gone or was killed. */
static void drain(void)
{
	while (s.log >= 0) {
		struct pollfd p = { s.log, POLLIN, 0 };

		if (poll(&p, 1, 0) <= 0)
			break;
		from_log();
	}
	while (s.err >= 0) {
		struct pollfd p = { s.err, POLLIN, 0 };

		if (poll(&p, 1, 0) <= 0)
			break;
		from_qemu_stderr();
	}
}

static int verdict(enum ending why)
{
	double t = now() - s.started;

	if (s.panic) {
		tail_log();
		say("the guest's kernel panicked after %.1f s", t);
		return ST_PANIC;
	}
	if (s.oops && !o.oops_ok) {
		tail_log();
		say("the guest's kernel complained: %s", s.oops_line);
		if (s.done)
			say("the command itself ended with status %d", s.status);
		return ST_OOPS;
	}
	switch (why) {
	case END_TAGS:
		say("wrong: tag storage is %.*s, and was to be %s", (int)strcspn(s.where, " "),
		    s.where, o.expect);
		qemu_words();
		return ST_TAGS;
	case END_TIMEOUT:
		tail_log();
		say("no end of the command within %g s (--timeout)", o.timeout);
		return ST_TIMEOUT;
	case END_BOOT:
		tail_log();
		say("the guest did not start its init within %g s", o.boot_timeout);
		return ST_TIMEOUT;
	case END_POWER_OFF:
		tail_log();
		say("the command ended with status %d, but the guest did not power off within %d s",
		    s.status, POWER_OFF_S);
		return ST_TIMEOUT;
	default:
		break;
	}
	if (s.done) {
		if (s.oops)
			say("warning: the guest's kernel complained: %s", s.oops_line);
		return s.status;
	}
	if (!s.hello && !s.log_len) {
		qemu_words();
		if (WIFSIGNALED(s.qemu_status))
			say("QEMU was killed by signal %d before the guest said anything",
			    WTERMSIG(s.qemu_status));
		else
			say("QEMU ended with status %d before the guest said anything",
			    WEXITSTATUS(s.qemu_status));
		return ST_START;
	}
	tail_log();
	qemu_words();
	if (WIFSIGNALED(s.qemu_status))
		say("QEMU was killed by signal %d after %.1f s: console lost",
		    WTERMSIG(s.qemu_status), t);
	else
		say("the guest ended after %.1f s and told no status: console lost", t);
	return ST_LOST;
}

static double seconds(const char *opt, const char *arg)
{
	char *end;
	double d;

	errno = 0;
	d = strtod(arg, &end);
	if (errno || end == arg || *end || !(d >= 0) || d > 1e8)
		die(ST_USAGE, "--%s: '%s' is no number of s", opt, arg);
	return d;
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tty", no_argument, NULL, 't' },
		{ "no-tty", no_argument, NULL, 'T' },
		{ "interactive", no_argument, NULL, 'i' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "no-stdin", no_argument, NULL, 'n' },
		{ "no-strict", no_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 'w' },
		{ "boot-timeout", required_argument, NULL, 'b' },
		{ "log", required_argument, NULL, 'l' },
		{ "expect", required_argument, NULL, 'x' },
		{ "preload", required_argument, NULL, 'p' },
		{ "policy", required_argument, NULL, 'P' },
		{ "env", required_argument, NULL, 'e' },
		{ "command-words", required_argument, NULL, 'c' },
		{ 0 },
	};
	int c, words = 0;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			o.tty = TTY_YES;
			break;
		case 'T':
			o.tty = TTY_NO;
			break;
		case 'i':
			o.interactive = true;
			break;
		case 'q':
			o.quiet = true;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'n':
			o.no_stdin = true;
			break;
		case 's':
			o.oops_ok = true;
			break;
		case 'w':
			o.timeout = seconds("timeout", optarg);
			break;
		case 'b':
			o.boot_timeout = seconds("boot-timeout", optarg);
			break;
		case 'l':
			o.log = optarg;
			break;
		case 'x':
			o.expect = optarg;
			break;
		case 'p':
			o.preload = optarg;
			break;
		case 'P':
			o.policy = optarg;
			break;
		case 'e':
			o.env = must_realloc(o.env, sizeof(*o.env) * (o.envc + 1));
			o.env[o.envc++] = optarg;
			break;
		case 'c':
			words = atoi(optarg);
			break;
		default:
			exit(ST_USAGE);
		}
	}
	if (words < 1 || words > argc - optind - 1)
		die(ST_USAGE, "supervise is called by scripts/vm");
	o.cmd = argv + optind;
	o.cmdc = words;
	o.qemu = o.cmd + words;
	o.qemuc = argc - optind - words;
}

/* In the background the terminal is not ours: reading from it would stop us. */
static bool foreground(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

int main(int argc, char **argv)
{
	enum ending why;
	sigset_t set;
	int sigs, status;

	options(argc, argv);
	if (isatty(STDIN_FILENO) && !foreground())
		o.no_stdin = true;
	s.use_tty = o.tty == TTY_YES || (o.tty == TTY_AUTO && !o.no_stdin &&
					 isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	if (o.log) {
		s.log_file = fopen(o.log, "we");
		if (!s.log_file)
			die(ST_USAGE, "--log: cannot write %s: %s", o.log, strerror(errno));
	}
	s.frames = must_realloc(NULL, PROTO_RUN_MAX + sizeof(struct proto_header));
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigs = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigs < 0)
		die(ST_START, "signalfd: %s", strerror(errno));
	s.started = now();
	start_qemu();
	why = loop(sigs);
	kill_qemu();
	drain();
	cooked();
	if (why == END_SIGNAL || why == END_PIPE) {
		if (why == END_PIPE)
			s.sig = SIGPIPE;
		else
			say("ended by %s", s.sig == SIGINT ? "Ctrl-C" : strsignal(s.sig));
		/* As the shell expects of a program that a signal ended. */
		return 128 + s.sig;
	}
	status = verdict(why);
	if (s.log_file && fclose(s.log_file))
		say("--log: %s: %s", o.log, strerror(errno));
	return status;
}
