// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop that carries everything, its limits, and what came of it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

#define POWER_OFF_S	20
#define LOG_EVERY_MS	20

static double started;
static int sig;				/* that ends the guest, or 0 */

static void on_signal(int fd)
{
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGCHLD:
			qemu_reap();
			break;
		case SIGWINCH:
			command_resize();
			break;
		default:
			sig = (int)si.ssi_signo;
		}
	}
}

enum ending { END_NORMAL, END_TIMEOUT, END_BOOT, END_POWER_OFF, END_SIGNAL, END_PIPE, END_TAGS };

/*
 * When a limit of that many seconds is reached, as far as can be told now; < 0: never.
 * Fair: without what QEMU waits for a processor. A busy computer is no hang.
 */
static double deadline(double seconds, bool fair)
{
	if (!(seconds > 0))
		return -1;
	return started + seconds + (fair ? qemu_waited() : 0);
}

/*
 * Milliseconds until a limit is reached, -1 if there is none; 0, and in *why what limit
 * it was. Looks once a second, as qemu_waited() wants.
 */
static int until_limit(enum ending *why)
{
	static double next;
	static bool was_done;
	double limit, boot, left, t = now();

	*why = END_TIMEOUT;
	/* Only our own reader can be slow now, and it may be as slow as it likes. */
	if (qemu_gone())
		return -1;
	if (next > t && was_done == c.done)
		return (int)((next - t) * 1000) + 1;
	was_done = c.done;
	limit = deadline(o.timeout, o.fair);
	boot = c.hello ? -1 : deadline(o.boot_timeout, true);
	if (boot >= 0 && (limit < 0 || boot < limit)) {
		limit = boot;
		*why = END_BOOT;
	}
	if (c.done) {
		limit = c.done_at + POWER_OFF_S + qemu_waited() - c.done_waited;
		*why = END_POWER_OFF;
	}
	if (limit < 0)
		return -1;
	left = limit - t;
	if (left <= 0)
		return 0;
	/* Until then, what limits hold may be another one. */
	next = left > 1 ? t + 1 : limit;
	return (int)((next - t) * 1000) + 1;
}

static enum ending loop(int sigs)
{
	for (;;) {
		enum ending why;
		short ctl_events;
		int ctl = command_fd(&ctl_events);
		int ms, e, i;

		if (sig)
			return END_SIGNAL;
		if (c.wrong_tags)
			return END_TAGS;
		/* All its output has been read when its channels are closed. */
		if (qemu_gone() && command_ended() && log_fd() < 0 && qemu_err_fd() < 0)
			return END_NORMAL;
		ms = until_limit(&why);
		if (!ms)
			return why;
		/*
		 * The kernel log comes byte by byte: being woken for each would take
		 * more time than the guest needs to boot. QEMU can write ahead.
		 */
		if (log_fd() >= 0 && !qemu_gone() && (ms < 0 || ms > LOG_EVERY_MS))
			ms = LOG_EVERY_MS;
		struct pollfd p[] = {
			{ sigs, POLLIN, 0 },
			{ ctl, ctl_events, 0 },
			{ qemu_err_fd(), POLLIN, 0 },
			{ qemu_gone() ? log_fd() : -1, POLLIN, 0 },
			{ command_out_fd(), POLLOUT, 0 },
			{ command_err_fd(), POLLOUT, 0 },
			{ command_stdin_fd(), POLLIN, 0 },
		};

		if (poll(p, sizeof(p) / sizeof(p[0]), ms) < 0) {
			if (errno == EINTR)
				continue;
			die(ST_START, "poll: %s", strerror(errno));
		}
		if (p[0].revents)
			on_signal(sigs);
		/* A bounded share: a guest that floods its log must not keep us here. */
		for (i = 0; i < 16 && log_fd() >= 0 && log_read(); i++)
			;
		if (p[2].revents)
			qemu_read_err();
		if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
			command_read();
		if (p[1].revents & POLLOUT)
			command_write();
		e = p[4].revents ? command_write_out() : 0;
		if (e == EPIPE)
			return END_PIPE;
		if (e)
			die(1, "cannot write the command's output: %s", strerror(e));
		if (p[5].revents)
			command_write_err();
		if (p[6].revents && command_read_stdin())
			sig = SIGINT;
	}
}

/* Take what is left in the channels of a QEMU that is gone or was killed. */
static void drain(void)
{
	while (log_fd() >= 0) {
		struct pollfd p = { log_fd(), POLLIN, 0 };

		if (poll(&p, 1, 0) <= 0)
			break;
		log_read();
	}
	while (qemu_err_fd() >= 0) {
		struct pollfd p = { qemu_err_fd(), POLLIN, 0 };

		if (poll(&p, 1, 0) <= 0)
			break;
		qemu_read_err();
	}
}

static int verdict(enum ending why)
{
	double t = now() - started;

	if (log_panic()) {
		log_tail();
		say("the guest's kernel panicked after %.1f s", t);
		return ST_PANIC;
	}
	if (log_oops() && !o.oops_ok) {
		log_tail();
		say("the guest's kernel complained: %s", log_oops());
		if (c.done)
			say("the command itself ended with status %d", c.status);
		return ST_OOPS;
	}
	switch (why) {
	case END_TAGS:
		say("wrong: tag storage is %.*s, and was to be %s", (int)strcspn(c.where, " "),
		    c.where, o.expect);
		qemu_show_err();
		return ST_TAGS;
	case END_TIMEOUT:
		log_tail();
		say("no end of the command within %g s (%s)", o.timeout,
		    o.fair ? "--fair-timeout" : "--timeout");
		return ST_TIMEOUT;
	case END_BOOT:
		log_tail();
		say("the guest did not start its init within %g s (--boot-timeout)",
		    o.boot_timeout);
		return ST_TIMEOUT;
	case END_POWER_OFF:
		log_tail();
		say("the command ended with status %d, but the guest did not power off within %d s",
		    c.status, POWER_OFF_S);
		return ST_TIMEOUT;
	default:
		break;
	}
	if (c.done) {
		if (log_oops())
			say("warning: the guest's kernel complained: %s", log_oops());
		return c.status;
	}
	if (!c.hello && log_empty()) {
		qemu_show_err();
		if (WIFSIGNALED(qemu_status()))
			say("QEMU was killed by signal %d before the guest said anything",
			    WTERMSIG(qemu_status()));
		else
			say("QEMU ended with status %d before the guest said anything",
			    WEXITSTATUS(qemu_status()));
		return ST_START;
	}
	log_tail();
	qemu_show_err();
	if (WIFSIGNALED(qemu_status()))
		say("QEMU was killed by signal %d after %.1f s: console lost",
		    WTERMSIG(qemu_status()), t);
	else
		say("the guest ended after %.1f s and told no status: console lost", t);
	return ST_LOST;
}

int main(int argc, char **argv)
{
	enum ending why;
	int ctl, log, sigs, status;
	sigset_t set;

	options(argc, argv);
	if (isatty(STDIN_FILENO) && !terminal_foreground())
		o.no_stdin = true;
	c.use_tty = o.tty == TTY_YES || (o.tty == TTY_AUTO && !o.no_stdin &&
					 isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
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
	if (o.log)
		log_keep(o.log);
	started = now();
	qemu_start(&ctl, &log);
	log_open(log);
	command_open(ctl);
	why = loop(sigs);
	qemu_kill();
	drain();
	terminal_restore();
	if (why == END_SIGNAL || why == END_PIPE) {
		if (why == END_PIPE)
			sig = SIGPIPE;
		else
			say("ended by %s", sig == SIGINT ? "Ctrl-C" : strsignal(sig));
		/* As the shell expects of a program that a signal ended. */
		return 128 + sig;
	}
	status = verdict(why);
	log_close();
	return status;
}
