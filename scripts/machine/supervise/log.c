// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel log: kept, shown, and watched for what must not be in it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervise.h"

#define TAIL_LINES	24
#define LOG_KEEP	(256 * 1024)
#define LINE_MAX_LEN	1024

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

static int fd = -1;
static FILE *file;
static char *text;			/* the last LOG_KEEP bytes, or more */
static size_t len, size;
static size_t line_start;		/* of the line now being received, in text */
static bool panic, oops;
static char oops_line[LINE_MAX_LEN];
static char policy_line[LINE_MAX_LEN];	/* that the kernel has no such policy */

void log_keep(const char *path)
{
	file = fopen(path, "we");
	if (!file)
		die(ST_USAGE, "--log: cannot write %s: %s", path, strerror(errno));
}

void log_open(int from)
{
	fd = from;
}

int log_fd(void)
{
	return fd;
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
	const char *words = strstr(line, "] ");

	words = words ? words + 2 : line;
	/* What our init writes there is not the kernel's word. */
	if (!strncmp(words, "init: ", 6))
		return;
	if (!strncmp(words, unknown_policy, strlen(unknown_policy))) {
		const char *why = words + strlen(policy_prefix);

		snprintf(policy_line, sizeof(policy_line), "%.*s", (int)strcspn(why, ";"),
			 why);
	} else if (o.policy && !strncmp(words, unknown_word, strlen(unknown_word)) &&
		   strstr(words, "mte_tag_storage=")) {
		snprintf(policy_line, sizeof(policy_line),
			 "it has no policies for tag storage, not '%s' either", o.policy);
	}
	if (contains(words, panics, sizeof(panics) / sizeof(panics[0])))
		panic = true;
	if (!oops && contains(words, oopses, sizeof(oopses) / sizeof(oopses[0]))) {
		oops = true;
		snprintf(oops_line, sizeof(oops_line), "%s", words);
	}
}

bool log_read(void)
{
	char buf[8192], line[LINE_MAX_LEN];
	ssize_t n, i;

	n = read(fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(fd);
		fd = -1;
		return false;
	}
	if (len + (size_t)n + 1 > size) {
		if (len > LOG_KEEP && line_start > LOG_KEEP / 2) {
			size_t cut = line_start - LOG_KEEP / 2;

			memmove(text, text + cut, len - cut);
			len -= cut;
			line_start -= cut;
		}
		size = len + (size_t)n + LOG_KEEP;
		text = must_realloc(text, size);
	}
	for (i = 0; i < n; i++) {
		if (buf[i] == '\r' || !buf[i])
			continue;
		text[len++] = buf[i];
		if (file)
			fputc(buf[i], file);
		if (buf[i] != '\n')
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)(len - 1 - line_start),
			 text + line_start);
		line_start = len;
		log_line(line);
		if (o.verbose)
			fprintf(stderr, "%s%s\n", line, terminal_is_raw() ? "\r" : "");
	}
	if (file)
		fflush(file);
	return n == (ssize_t)sizeof(buf);
}

void log_tail(void)
{
	size_t at = len, lines = 0;

	/* With --verbose it has been seen. */
	if (o.verbose || !len)
		return;
	while (at && lines <= TAIL_LINES)
		if (text[--at] == '\n' && at + 1 < len)
			lines++;
	if (at)
		at++;
	say("the end of the kernel log%s%s:", o.log ? ", the whole is in " : "",
	    o.log ? o.log : "");
	for (; at < len; at++)
		fputc(text[at], stderr);
	if (text[len - 1] != '\n')
		fputc('\n', stderr);
}

void log_close(void)
{
	if (file && fclose(file))
		say("--log: %s: %s", o.log, strerror(errno));
	file = NULL;
}

bool log_empty(void)
{
	return !len;
}

bool log_panic(void)
{
	return panic;
}

const char *log_oops(void)
{
	return oops ? oops_line : NULL;
}

const char *log_no_policy(void)
{
	return policy_line[0] ? policy_line : NULL;
}
