// SPDX-License-Identifier: GPL-2.0-only
/*
 * The conversation with the guest's init (proto.h): where the tags are, the command,
 * its input, output and status.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervise.h"

/* While that much waits for our reader, nothing more is taken from the guest. */
#define OUT_LIMIT	(256 * 1024)

struct command c;

static int ctl = -1;
static char *frames;			/* received, and not yet complete */
static size_t frames_len;
static uint32_t credit;			/* bytes of input that init has room for */
static bool stdin_open;
static struct queue q_out = { .fd = STDOUT_FILENO };
static struct queue q_err = { .fd = STDERR_FILENO };
static struct queue q_ctl = { .fd = -1 };

void command_open(int fd)
{
	ctl = fd;
	q_ctl.fd = fd;
	frames = must_realloc(NULL, PROTO_RUN_MAX + sizeof(struct proto_header));
}

int command_fd(short *events)
{
	bool room = q_out.len < OUT_LIMIT && q_err.len < OUT_LIMIT;

	*events = (room ? POLLIN : 0) | (q_ctl.len ? POLLOUT : 0);
	return *events ? ctl : -1;
}

int command_out_fd(void)
{
	return q_out.len ? q_out.fd : -1;
}

int command_err_fd(void)
{
	return q_err.len ? q_err.fd : -1;
}

int command_stdin_fd(void)
{
	return c.running && stdin_open && credit && !c.done ? STDIN_FILENO : -1;
}

bool command_ended(void)
{
	return ctl < 0 && !q_out.len && !q_err.len;
}

/* The guest's end is closed: what waits to be sent never will be. */
static void lose_ctl(void)
{
	close(ctl);
	ctl = -1;
	q_ctl.fd = -1;
	q_ctl.len = 0;
}

static void send_frame(enum proto_type type, const void *data, size_t len)
{
	struct proto_header h = { .len = (uint32_t)len, .type = type };

	if (ctl < 0)
		return;
	queue_add(&q_ctl, &h, sizeof(h));
	if (len)
		queue_add(&q_ctl, data, len);
}

static void send_run(void)
{
	struct proto_run r = {
		.tty = c.use_tty, .size = terminal_size(),
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
	if (c.use_tty)
		terminal_raw();
	stdin_open = !o.no_stdin;
	if (!stdin_open)
		send_frame(PROTO_STDIN, "", 0);
	c.running = true;
}

static void hello(const char *text, size_t len)
{
	size_t kind;

	if (len >= sizeof(c.where))
		len = sizeof(c.where) - 1;
	memcpy(c.where, text, len);
	c.where[len] = 0;
	kind = strcspn(c.where, " ");
	c.hello = true;
	/* What the kernel wrote before it started init is in the log by now. */
	while (log_fd() >= 0 && log_read())
		;
	if (log_no_policy())
		die(ST_USAGE, "--policy: not on this kernel: %s", log_no_policy());
	if (!o.quiet)
		say("tag storage: %.*s (%s)", (int)kind, c.where,
		    c.where[kind] ? c.where + kind + 1 : "");
	if (o.expect && (strncmp(c.where, o.expect, kind) || strlen(o.expect) != kind))
		c.wrong_tags = true;
	else
		send_run();
}

static void frame(uint32_t type, const char *data, size_t len)
{
	uint32_t more;
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
		if (len == sizeof(more)) {
			memcpy(&more, data, sizeof(more));
			credit += more;
		}
		break;
	case PROTO_DONE:
		if (len == sizeof(status)) {
			memcpy(&status, data, sizeof(status));
			c.status = status;
			c.done = true;
			c.done_at = now();
			c.done_waited = qemu_waited();
		}
		break;
	default:
		die(ST_LOST, "the guest sent a frame of unknown type %u", type);
	}
}

void command_read(void)
{
	struct proto_header h;
	size_t at = 0;
	ssize_t n;

	n = read(ctl, frames + frames_len, PROTO_RUN_MAX + sizeof(h) - frames_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose_ctl();
		return;
	}
	frames_len += (size_t)n;
	while (frames_len - at >= sizeof(h)) {
		memcpy(&h, frames + at, sizeof(h));
		if (h.len > PROTO_RUN_MAX)
			die(ST_LOST, "the guest sent a frame of %u bytes", h.len);
		if (frames_len - at - sizeof(h) < h.len)
			break;
		frame(h.type, frames + at + sizeof(h), h.len);
		at += sizeof(h) + h.len;
	}
	memmove(frames, frames + at, frames_len - at);
	frames_len -= at;
}

bool command_read_stdin(void)
{
	char buf[PROTO_DATA_MAX];
	size_t max = credit < sizeof(buf) ? credit : sizeof(buf);
	ssize_t n = read(STDIN_FILENO, buf, max);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		stdin_open = false;
		send_frame(PROTO_STDIN, "", 0);
		return false;
	}
	if (terminal_is_raw() && o.interactive && memchr(buf, 0x1d, (size_t)n))
		return true;	/* Ctrl-] */
	credit -= (uint32_t)n;
	send_frame(PROTO_STDIN, buf, (size_t)n);
	return false;
}

void command_write(void)
{
	if (ctl >= 0 && queue_write(&q_ctl))
		lose_ctl();
}

int command_write_out(void)
{
	return queue_write(&q_out);
}

void command_write_err(void)
{
	if (queue_write(&q_err))
		q_err.len = 0;	/* nowhere left to say so */
}

void command_resize(void)
{
	struct proto_winsize ws = terminal_size();

	if (c.running && c.use_tty)
		send_frame(PROTO_WINSIZE, &ws, sizeof(ws));
}
