// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages, and the ends they tell of.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "supervise.h"

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void say(const char *fmt, ...)
{
	char buf[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	fprintf(stderr, "vm: %s%s\n", buf, terminal_is_raw() ? "\r" : "");
}

void die(int status, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	qemu_kill();
	terminal_restore();
	say("%s", buf);
	exit(status);
}

void *must_realloc(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p)
		die(ST_START, "out of memory");
	return p;
}
