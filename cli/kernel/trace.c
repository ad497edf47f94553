// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's tracepoints of tag storage: see trace.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/trace.h"

#define PREFIX "tagscope-"

struct trace {
	char dir[600];		/* the instance */
	char enable[64];	/* switches its events on and off */
	int fd;			/* its trace_pipe */
	char buf[16384];
	size_t len, used;	/* in buf: bytes there, bytes given out */
	char line[512];
	char irq;		/* of the flags of the last line: which interrupt it is */
};

static int write_file(const char *dir, const char *name, const char *text)
{
	char path[700];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/* Instances of processes that were killed: their events would go on costing time. */
static void remove_stale(const char *instances)
{
	DIR *d = opendir(instances);
	struct dirent *e;
	char path[1024];

	if (!d)
		return;
	while ((e = readdir(d))) {
		long pid;

		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)))
			continue;
		pid = strtol(e->d_name + strlen(PREFIX), NULL, 10);
		if (pid <= 0 || !kill((pid_t)pid, 0) || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", instances, e->d_name);
		rmdir(path);
	}
	closedir(d);
}

static const char *find_root(void)
{
	static const char *const usual[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	const char *root = getenv("TAGSCOPE_TRACEFS");
	char path[100];

	if (root && *root)
		return root;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		snprintf(path, sizeof(path), "%s/instances", usual[i]);
		if (!access(path, F_OK))
			return usual[i];
	}
	return NULL;
}

int trace_open(struct trace **out, const char *events, char *why, size_t size)
{
	const char *root = find_root();
	struct trace *t = calloc(1, sizeof(*t));
	char path[700];
	int err, n;

	*out = NULL;
	if (!t) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	t->fd = -1;
	if (!root) {
		free(t);
		snprintf(why, size,
			 "no tracefs here: 'mount -t tracefs none /sys/kernel/tracing' helps, if this kernel has it");
		return -ENOENT;
	}
	snprintf(path, sizeof(path), "%.512s/instances", root);
	remove_stale(path);
	n = snprintf(t->dir, sizeof(t->dir), "%.512s/instances/" PREFIX "%d", root, (int)getpid());
	if (n < 0 || (mkdir(t->dir, 0700) && errno != EEXIST)) {
		err = -errno;
		snprintf(why, size, "%s: %s", t->dir, strerror(-err));
		free(t);
		return err;
	}
	snprintf(t->enable, sizeof(t->enable), "events/%.40s/enable", events);
	err = write_file(t->dir, t->enable, "1");
	if (err) {
		snprintf(why, size, "%s/%s: %s", t->dir, t->enable, strerror(-err));
		trace_close(t);
		return err;
	}
	snprintf(path, sizeof(path), "%s/trace_pipe", t->dir);
	t->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0) {
		err = -errno;
		snprintf(why, size, "%s: %s", path, strerror(-err));
		trace_close(t);
		return err;
	}
	*out = t;
	return 0;
}

void trace_close(struct trace *t)
{
	if (!t)
		return;
	/* The folder is busy as long as its pipe is open. */
	if (t->fd >= 0)
		close(t->fd);
	write_file(t->dir, t->enable, "0");
	rmdir(t->dir);
	free(t);
}

/*
 * "   comm-123   [000] d..1.   12.345678: mts_reserve: pfn=..." without what is the same
 * for all or tells nobody anything: the processor, flags and time.
 */
static const char *shorten(struct trace *t, const char *line)
{
	const char *cpu, *time, *event, *flags;

	line += strspn(line, " ");
	cpu = strstr(line, " [");
	time = cpu ? strstr(cpu, ": ") : NULL;
	event = time ? time + 2 : NULL;
	/* "[000] d.h1.": interrupts off, to be rescheduled, interrupt, ... */
	flags = cpu ? strstr(cpu, "] ") : NULL;
	t->irq = '.';
	if (flags && strnlen(flags, 5) == 5)
		t->irq = flags[4];
	if (!event) {
		snprintf(t->line, sizeof(t->line), "%s", line);
		return t->line;
	}
	while (cpu > line && cpu[-1] == ' ')
		cpu--;
	snprintf(t->line, sizeof(t->line), "%.*s %s", (int)(cpu - line), line, event);
	return t->line;
}

const char *trace_next(struct trace *t)
{
	for (;;) {
		char *line = t->buf + t->used;
		char *end = memchr(line, '\n', t->len - t->used);
		ssize_t n;

		if (end) {
			*end = '\0';
			t->used = (size_t)(end - t->buf) + 1;
			if (*line)
				return shorten(t, line);
			continue;
		}
		memmove(t->buf, line, t->len - t->used);
		t->len -= t->used;
		t->used = 0;
		if (t->len == sizeof(t->buf))	/* no line is that long */
			t->len = 0;
		n = read(t->fd, t->buf + t->len, sizeof(t->buf) - t->len);
		if (n <= 0)
			return NULL;
		t->len += (size_t)n;
	}
}

enum trace_context trace_context(const struct trace *t)
{
	switch (t->irq) {
	case 's':
		return TRACE_SOFTIRQ;
	/* H: a hard interrupt in a soft one. */
	case 'h':
	case 'H':
		return TRACE_HARDIRQ;
	default:
		return TRACE_TASK;
	}
}
