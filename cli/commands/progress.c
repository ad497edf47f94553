// SPDX-License-Identifier: GPL-2.0-only
/* See progress.h. */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "commands/progress.h"

#define TTY_MS 1000
#define LINES_MS 10000

void progress_begin(struct progress *p, bool wanted, unsigned int planned)
{
	*p = (struct progress){
		.on = wanted,
		.tty = isatty(STDERR_FILENO),
		.planned = planned,
		.last = now_ns(),
	};
}

static void show(struct progress *p)
{
	unsigned int width = 80;
	struct winsize ws;
	char line[256];

	p->last = now_ns();
	snprintf(line, sizeof(line), "[%u/%u] %s: step %u, %.0f s; %u failed", p->ended + 1,
		 p->planned, p->name, p->step, (double)(p->last - p->start) / 1e9, p->failed);
	if (!p->tty) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col)
		width = ws.ws_col;
	/* Not to the last column, where some terminals begin a new line; then clear the rest. */
	fprintf(stderr, "\r%.*s\033[K", (int)width - 1, line);
	fflush(stderr);
}

void progress_event(struct progress *p, const struct event *ev)
{
	switch (ev->type) {
	case EVENT_START:
		snprintf(p->name, sizeof(p->name), "%s", ev->scenario);
		p->step = 0;
		p->start = now_ns();
		break;
	case EVENT_STEP:
		p->step = ev->number;
		break;
	case EVENT_END:
		p->ended++;
		p->failed += ev->end->verdict == VERDICT_FAIL || ev->end->verdict == VERDICT_ERROR;
		p->name[0] = '\0';
		break;
	default:
		break;
	}
	/* Of what is over soon a terminal shall see the name at least. */
	if (p->on && p->tty && ev->type == EVENT_START)
		show(p);
}

int progress_tick(struct progress *p)
{
	uint64_t interval = p->tty ? TTY_MS : LINES_MS, since;

	if (!p->on)
		return -1;
	since = (now_ns() - p->last) / 1000000;
	if (since >= interval && *p->name) {
		show(p);
		since = 0;
	}
	return since < interval ? (int)(interval - since) : (int)interval;
}

void progress_clear(struct progress *p)
{
	if (p->on && p->tty)
		fputs("\r\033[K", stderr);
}
