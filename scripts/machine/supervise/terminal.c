// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's terminal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "supervise.h"

static struct termios saved;
static bool raw;

void terminal_raw(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &saved))
		return;
	t = saved;
	cfmakeraw(&t);
	if (!o.interactive) {
		/* Ctrl-C is for us: it ends the guest. All else is the command's. */
		t.c_lflag |= ISIG;
		t.c_cc[VQUIT] = _POSIX_VDISABLE;
		t.c_cc[VSUSP] = _POSIX_VDISABLE;
	}
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t))
		return;
	raw = true;
}

void terminal_restore(void)
{
	if (raw && tcsetattr(STDIN_FILENO, TCSADRAIN, &saved))
		fprintf(stderr, "vm: cannot restore the terminal: %s\n", strerror(errno));
	raw = false;
}

bool terminal_is_raw(void)
{
	return raw;
}

struct proto_winsize terminal_size(void)
{
	struct proto_winsize w = { 24, 80 };
	struct winsize ws;

	if (!ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) && ws.ws_row && ws.ws_col) {
		w.rows = ws.ws_row;
		w.cols = ws.ws_col;
	}
	return w;
}

bool terminal_foreground(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}
