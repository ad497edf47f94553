// SPDX-License-Identifier: GPL-2.0-only
/* What a scenario says in packets, and what it prints, made events. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/number.h"
#include "run/runner_private.h"

static void take_state(struct runner *rn, const cJSON *o)
{
	const cJSON *counters = cJSON_GetObjectItem(o, "counters"), *c;
	const char *policy = cJSON_GetStringValue(cJSON_GetObjectItem(o, "policy"));
	size_t i = 0;

	rn->have_state = false;
	if (!policy || !cJSON_IsArray(counters))
		return;
	memset(&rn->state, 0, sizeof(rn->state));
	rn->state.version = STATE_VERSION;
	snprintf(rn->state.policy, sizeof(rn->state.policy), "%s", policy);
	cJSON_ArrayForEach(c, counters) {
		const char *number = cJSON_GetStringValue(c);

		if (i == nr_state_counters || !number ||
		    !parse_u64(number, false,
			       (uint64_t *)((char *)&rn->state + state_counters[i].offset)))
			return;
		i++;
	}
	rn->have_state = i == nr_state_counters;
}

static void take_step(struct runner *rn, const cJSON *o, const char *text)
{
	struct event ev = { .type = EVENT_STEP, .text = text };

	take_state(rn, o);
	snprintf(rn->step, sizeof(rn->step), "%s", text);
	ev.number = ++rn->steps;
	ev.state = rn->have_state ? &rn->state : NULL;
	ev.waiting = cJSON_IsTrue(cJSON_GetObjectItem(o, "wait"));
	if (ev.waiting) {
		rn->paused_at = now_ns();
		rn->waiting = true;
		runner_arm_timer(rn);
	}
	runner_emit(rn, &ev);
}

static const char *str(const cJSON *o, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));

	return s ? s : "";
}

static void take_packet(struct runner *rn, const char *packet, size_t len)
{
	cJSON *o = cJSON_ParseWithLength(packet, len);
	const char *type = str(o, "type"), *text = str(o, "text"), *role = str(o, "role");
	char buf[400];

	if (!strcmp(type, "step")) {
		take_step(rn, o, text);
	} else if (!strcmp(type, "result") && *str(o, "skipped")) {
		add_skipped_result(rn, role, text, str(o, "skipped"));
	} else if (!strcmp(type, "result")) {
		add_result(rn, role, cJSON_IsTrue(cJSON_GetObjectItem(o, "ok")), text,
			   str(o, "detail"));
	} else if (!strcmp(type, "note")) {
		struct event ev = { .type = EVENT_NOTE, .role = role, .text = text };

		runner_emit(rn, &ev);
	} else if (!strcmp(type, "measure")) {
		const cJSON *value = cJSON_GetObjectItem(o, "value");
		struct event ev = {
			.type = EVENT_MEASURE,
			.role = role,
			.text = text,
			.unit = str(o, "unit"),
			.value = cJSON_IsNumber(value) ? value->valuedouble : 0,
		};

		runner_emit(rn, &ev);
	} else if (!strcmp(type, "end")) {
		take_state(rn, o);
		rn->ended = true;
	} else if (!strcmp(type, "skip")) {
		conclude(rn, VERDICT_SKIP, "%s", text);
		rn->ended = true;
	} else if (!strcmp(type, "bail")) {
		conclude(rn, VERDICT_ERROR, "%s%s%s", role, *role ? ": " : "", text);
		rn->ended = true;
	} else if (!strcmp(type, "stop")) {
		conclude(rn, VERDICT_FAIL, "it could not go on after a failed result");
		rn->ended = true;
	} else if (!strcmp(type, "denied")) {
		snprintf(buf, sizeof(buf), "%s%s makes only the system calls it declared",
			 *role ? "the " : "the scenario", role);
		add_result(rn, role, false, buf, text);
		conclude(rn, VERDICT_FAIL,
			 "%s%s made the system call %s, which is not in its list", *role ? "role " :
			 "the scenario", role, text);
		rn->ended = true;
	} else if (!strcmp(type, "crash")) {
		if (*role)
			snprintf(buf, sizeof(buf), "the %s crashed: %s", role, text);
		else
			snprintf(buf, sizeof(buf), "it crashed: %s", text);
		/* A role's death may be what the scenario waits for; then it says so. */
		if (*role) {
			struct event ev = { .type = EVENT_NOTE, .role = role, .text = buf };

			runner_emit(rn, &ev);
		} else {
			conclude(rn, VERDICT_FAIL, "%s", buf);
		}
	} else {
		conclude(rn, VERDICT_ERROR, "the scenario said something unknown: %.*s",
			 (int)(len < 80 ? len : 80), packet);
		rn->ended = true;
	}
	cJSON_Delete(o);
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
		unsigned char c = (unsigned char)buf[i];

		if (c != '\n')
			rn->line[rn->line_len++] = c == '\t'	       ? ' ' :
						   c < ' ' || c == 127 ? '?' :
									 (char)c;
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
