// SPDX-License-Identifier: GPL-2.0-only
/*
 * A source of the state for tests: TAGSCOPE_STATE_SOURCE=fixture:DIR. DIR has files like the
 * kernel's, which a test changes while they are read; but an ordinary file cannot answer
 * requests, so answers are files, too. About page frame N that is
 * DIR/answers/lookup.0xN, else DIR/answers/lookup.default after a line with the number;
 * about an address: DIR/answers/lookup.PID.0xADDRESS. "tags" likewise. None: ENXIO, EFAULT.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernel/state_parse.h"
#include "kernel/state_source.h"

/* Append a file of DIR/answers to text; false: there is none. */
static bool append(struct state *st, const char *name, char *text, size_t size)
{
	size_t len = strlen(text);
	char path[700];
	FILE *f;

	snprintf(path, sizeof(path), "%s/answers/%s", st->root, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	len += fread(text + len, 1, size - len - 1, f);
	text[len] = '\0';
	fclose(f);
	return true;
}

static int answer(struct state *st, const char *file, const struct state_where *at, char *text,
		  size_t size)
{
	char name[100];

	*text = '\0';
	if (!at->by_pfn) {
		snprintf(name, sizeof(name), "%s.%d.0x%" PRIx64, file, (int)at->pid, at->addr);
		return append(st, name, text, size) ? 0 :
			state_fail(st, -EFAULT, "%s/answers/%s: no page is present there", st->root,
				   name);
	}
	snprintf(name, sizeof(name), "%s.0x%" PRIx64, file, at->pfn);
	if (append(st, name, text, size))
		return 0;
	snprintf(text, size, "pfn 0x%" PRIx64 "\n", at->pfn);
	snprintf(name, sizeof(name), "%s.default", file);
	return append(st, name, text, size) ? 0 :
		state_fail(st, -ENXIO, "%s/answers/%s: no such page frame", st->root, name);
}

static int lookup(struct state *st, const struct state_where *at, struct state_page *page)
{
	char text[4096], why[256];
	int err = answer(st, "lookup", at, text, sizeof(text));

	if (!err && state_parse_page(text, !at->by_pfn, page, why, sizeof(why)))
		err = state_fail(st, -EPROTO, "%s/answers: lookup: %s", st->root, why);
	return err;
}

static int tags(struct state *st, const struct state_where *at, struct state_tags *out)
{
	char text[4096], why[256];
	int err = answer(st, "tags", at, text, sizeof(text));

	if (!err && state_parse_tags(text, out, why, sizeof(why)))
		err = state_fail(st, -EPROTO, "%s/answers: tags: %s", st->root, why);
	return err;
}

static int fixture_open(struct state *st, const char *dir)
{
	static struct state_ops ops;

	ops = state_files_ops;
	ops.lookup = lookup;
	ops.tags = tags;
	st->ops = &ops;
	snprintf(st->root, sizeof(st->root), "%s", dir ? dir : "?");
	return 0;
}

static const struct state_source fixture = { .name = "fixture", .open = fixture_open };

static void __attribute__((constructor)) add(void)
{
	state_source_add(&fixture);
}
