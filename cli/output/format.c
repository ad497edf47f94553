// SPDX-License-Identifier: GPL-2.0-only
/* How results are shown: what the formats share. See format.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output/format.h"

const struct format *const formats[] = {
	&format_pretty, &format_ktap, &format_json, &format_junit, NULL,
};

const struct format *format_find(const char *name)
{
	for (const struct format *const *f = formats; *f; f++)
		if (!strcmp((*f)->name, name))
			return *f;
	return NULL;
}

const struct format *format_default(FILE *out)
{
	return isatty(fileno(out)) ? &format_pretty : &format_ktap;
}

bool color_wanted(FILE *out)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(out)) && !(no && *no) && term && strcmp(term, "dumb");
}

void report_event(void *ctx, const struct event *ev)
{
	struct report *rep = ctx;

	if (ev->type == EVENT_PLAN) {
		rep->planned = ev->number;
		if (rep->format->begin)
			rep->err = rep->format->begin(rep);
	} else if (!rep->err) {
		if (ev->type == EVENT_END)
			rep->verdicts[ev->end->verdict]++;
		rep->format->event(rep, ev);
	}
	/* Whoever watches wants to see it when it happens. */
	fflush(rep->out);
}

int report_end(struct report *rep)
{
	int err = rep->err;

	if (!err && rep->format->end)
		err = rep->format->end(rep);
	if (!err && (fflush(rep->out) || ferror(rep->out)))
		err = errno ? -errno : -EIO;
	if (err)
		fprintf(stderr, "tagscope: cannot write the results: %s\n", strerror(-err));
	return err;
}

int report_status(const struct report *rep)
{
	bool seen[VERDICT_SKIP + 1];

	for (size_t v = 0; v <= VERDICT_SKIP; v++)
		seen[v] = rep->verdicts[v] != 0;
	return verdict_of_all(seen);
}

const char *format_value(double value, char *buf, size_t size)
{
	snprintf(buf, size, "%.15g", isfinite(value) ? value : 0.0);
	return buf;
}
