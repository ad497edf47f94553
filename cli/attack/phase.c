// SPDX-License-Identifier: GPL-2.0-only
/* One thing after the other: see phase.h. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "attack/fill.h"
#include "attack/phase.h"

void phases_new(struct run *r, struct phase *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (struct phase){ .begin = gate_new(r), .done = gate_new(r) };
}

void phase_wait(struct run *r, const struct phase *p)
{
	if (!gate_wait(p->begin, PATIENCE_MS))
		bail(r, "nobody told this role to go on");
}

void phase_await(struct run *r, const struct phase *p, struct child *c, const struct role *role,
		 const char *what)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;

	while (!gate_wait(p->done, 100)) {
		struct role_end end = role_wait(r, c, 0);

		if (end.timed_out && now_ns() < until)
			continue;
		if (gate_wait(p->done, 0))
			return;
		if (end.timed_out) {
			note_stuck(r, role->name, role_pid(c));
			bail(r, "the %s has not %s in time", role->name, what);
		}
		bail(r, "the %s has not %s before it ended, signal %d, status %d", role->name, what,
		     end.signal, end.status);
	}
}

void phase_do(struct run *r, const struct phase *p, struct child *c, const struct role *role,
	      const char *what)
{
	gate_open(p->begin);
	phase_await(r, p, c, role, what);
}

void note_stuck(struct run *r, const char *who, pid_t pid)
{
	static const char *const files[] = { "stat", "wchan", "stack" };
	char path[64], text[700];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		note(r, "the %s's %s: %s", who, path, text);
	}
}
