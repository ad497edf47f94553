// SPDX-License-Identifier: GPL-2.0-only
/* See counter_lines.h. */
#include "commands/counter_lines.h"

void counter_line(struct counter_lines *l, uint64_t at_ns, const struct state_summary *s)
{
	static const struct {
		const char *title, *counter;
	} columns[] = {
		{ "available", "blocks_available" }, { "isolating", "blocks_isolating" },
		{ "reserved", "blocks_reserved" },   { "tagged", "reserved_pages" },
		{ "busy", "reserve_busy" },	     { "foa", "foa_fault" },
		{ "replayed", "foa_replayed" },	     { "sigbus", "foa_sigbus" },
	};
	char value[32];

	if (!(l->nr++ % 20)) {
		fprintf(l->f, "%8s", "seconds");
		for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
			fprintf(l->f, " %10s", columns[c].title);
		fputc('\n', l->f);
	}
	fprintf(l->f, "%8.1f", (double)at_ns / 1e9);
	for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
		fprintf(l->f, " %10s",
			state_counter_named(s, columns[c].counter, value, sizeof(value)));
	fputc('\n', l->f);
}
