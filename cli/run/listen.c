// SPDX-License-Identifier: GPL-2.0-only
/* What a scenario says in packets, and what it prints, made events. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "run/runner_private.h"

static void take_state(struct runner *rn, const struct event *said)
{
	rn->have_state = said->state != NULL;
	if (said->state)
		rn->state = *said->state;
}

static void take_step(struct runner *rn, const struct event *said)
{
	struct event ev = { .type = EVENT_STEP, .text = said->text, .waiting = said->waiting };

	take_state(rn, said);
	snprintf(rn->step, sizeof(rn->step), "%s", said->text);
	ev.number = ++rn->steps;
	ev.state = rn->have_state ? &rn->state : NULL;
	if (ev.waiting) {
		rn->paused_at = now_ns();
		rn->waiting = true;
		runner_arm_timer(rn);
	}
	runner_emit(rn, &ev);
}

static void take_crash(struct runner *rn, const char *role, const char *text)
{
	char buf[400];

	if (!*role) {
		conclude(rn, VERDICT_FAIL, "it crashed: %s", text);
		return;
	}
	/* A role's death may be what the scenario waits for; then it says so. */
	snprintf(buf, sizeof(buf), "the %s crashed: %s", role, text);
	runner_emit(rn, &(struct event){ .type = EVENT_NOTE, .role = role, .text = buf });
}

static void take_exit(struct runner *rn, const struct event *said)
{
	const char *role = said->role, *text = said->text;
	char buf[400];

	rn->ended = rn->ended || said->how != EVENT_EXIT_CRASH;
	switch (said->how) {
	case EVENT_EXIT_DONE:
		take_state(rn, said);
		break;
	case EVENT_EXIT_SKIP:
		conclude(rn, VERDICT_SKIP, "%s", text);
		break;
	case EVENT_EXIT_BAIL:
		conclude(rn, VERDICT_ERROR, "%s%s%s", role, *role ? ": " : "", text);
		break;
	case EVENT_EXIT_STOP:
		conclude(rn, VERDICT_FAIL, "it could not go on after a failed result");
		break;
	case EVENT_EXIT_DENIED:
		snprintf(buf, sizeof(buf), "%s%s makes only the system calls it declared",
			 *role ? "the " : "the scenario", role);
		add_result(rn, role, false, buf, text);
		conclude(rn, VERDICT_FAIL, "%s%s made the system call %s, which is not in its list",
			 *role ? "role " : "the scenario", role, text);
		break;
	case EVENT_EXIT_CRASH:
		take_crash(rn, role, text);
		break;
	}
}

static void take_packet(struct runner *rn, const char *packet, size_t len)
{
	struct event *said;
	char why[256];

	if (event_parse(packet, len, &said, why, sizeof(why))) {
		conclude(rn, VERDICT_ERROR, "the scenario said something unknown: %s", why);
		rn->ended = true;
		return;
	}
	switch (said->type) {
	case EVENT_STEP:
		take_step(rn, said);
		break;
	case EVENT_RESULT:
		if (said->skipped)
			add_skipped_result(rn, said->role, said->text, said->detail);
		else
			add_result(rn, said->role, said->ok, said->text, said->detail);
		break;
	case EVENT_NOTE:
	case EVENT_MEASURE:
		runner_emit(rn, said);
		break;
	case EVENT_EXIT:
		take_exit(rn, said);
		break;
	case EVENT_PLAN:
	case EVENT_START:
	case EVENT_OUTPUT:
	case EVENT_END:
		conclude(rn, VERDICT_ERROR, "the scenario said what only the runner says");
		rn->ended = true;
		break;
	}
	event_free(said);
}

/* Its other end is closed, so it would be readable for ever. */
static void unwatch(struct runner *rn, int fd)
{
	epoll_ctl(rn->epoll, EPOLL_CTL_DEL, fd, NULL);
}

bool read_packet(struct runner *rn)
{
	static char packet[RUN_MAX_PACKET];
	ssize_t n = recv(rn->say, packet, sizeof(packet) - 1, MSG_DONTWAIT);

	if (n <= 0) {
		if (!n)
			unwatch(rn, rn->say);
		return false;
	}
	packet[n] = '\0';
	take_packet(rn, packet, (size_t)n);
	return true;
}

static void emit_line(struct runner *rn)
{
	struct event ev = { .type = EVENT_OUTPUT, .text = rn->line };

	rn->line[rn->line_len] = '\0';
	rn->line_len = 0;
	text_clean(rn->line);
	runner_emit(rn, &ev);
}

/* What it wrote to stdout and stderr, line by line. */
bool read_output(struct runner *rn)
{
	char buf[2048];
	ssize_t n = read(rn->out, buf, sizeof(buf));

	if (!n)
		unwatch(rn, rn->out);
	for (ssize_t i = 0; i < n; i++) {
		char c = buf[i];

		if (c != '\n')
			rn->line[rn->line_len++] = c ? c : '?';
		if (c == '\n' || rn->line_len == sizeof(rn->line) - 1)
			emit_line(rn);
	}
	return n > 0;
}

void flush_output(struct runner *rn)
{
	if (rn->line_len)
		emit_line(rn);
}
