// SPDX-License-Identifier: GPL-2.0-only
/* The state of tag storage, whatever it comes from: see state.h and state_source.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/state_source.h"

#define MAX_SOURCES 8
#define EACH_BLOCKS 4096	/* read at once */

static const struct state_source *sources[MAX_SOURCES] = { &state_source_debugfs };

const char *const state_switches[] = {
	"replace_data_page", "choose_other_page", "move_before_pin", "gather",
	"fault_wait_ms", NULL,
};

int state_fail(struct state *st, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->error, sizeof(st->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *state_error(const struct state *st)
{
	return st ? st->error : "out of memory";
}

const char *state_root(const struct state *st)
{
	return st->root;
}

/* ---- Sources -------------------------------------------------------------- */

void state_source_add(const struct state_source *source)
{
	for (size_t i = 0; i < MAX_SOURCES; i++) {
		if (!sources[i]) {
			sources[i] = source;
			return;
		}
	}
	abort();
}

int state_open_source(const struct state_source *source, const char *argument,
		      struct state **st)
{
	*st = calloc(1, sizeof(**st));
	return *st ? source->open(*st, argument) : -ENOMEM;
}

int state_open(struct state **st)
{
	const char *chosen = getenv("TAGSCOPE_STATE_SOURCE");
	size_t len = chosen ? strcspn(chosen, ":") : 0;

	if (!chosen || !*chosen)
		return state_open_source(&state_source_debugfs, NULL, st);
	for (size_t i = 0; i < MAX_SOURCES && sources[i]; i++)
		if (strlen(sources[i]->name) == len && !strncmp(sources[i]->name, chosen, len))
			return state_open_source(sources[i], chosen[len] ? chosen + len + 1 : NULL,
						 st);
	*st = calloc(1, sizeof(**st));
	return *st ? state_fail(*st, -EINVAL, "TAGSCOPE_STATE_SOURCE: there is no source '%.*s'",
				(int)len, chosen) : -ENOMEM;
}

void state_close(struct state *st)
{
	if (st && st->ops && st->ops->close)
		st->ops->close(st);
	free(st);
}

/* ---- What everybody calls -------------------------------------------------- */

/* The source's answer, if it has any. */
#define ASK(st, op, ...)                                                       \
	((st)->ops && (st)->ops->op ?                                          \
	 (st)->ops->op((st), __VA_ARGS__) :                                    \
	 state_fail((st), -EOPNOTSUPP, "%s: has nothing of this kind", (st)->root))

int state_read_summary(struct state *st, struct state_summary *s)
{
	return ASK(st, read_summary, s);
}

int state_read_regions(struct state *st, struct state_region **regions, size_t *n)
{
	*regions = NULL;
	*n = 0;
	return ASK(st, read_regions, regions, n);
}

int state_read_blocks(struct state *st, uint64_t first, size_t n, struct state_block *b,
		      size_t *got)
{
	*got = 0;
	return n ? ASK(st, read_blocks, first, n, b, got) : 0;
}

int state_each_block(struct state *st, uint64_t first, uint64_t n,
		     void (*fn)(void *ctx, uint64_t block, const struct state_block *b), void *ctx)
{
	struct state_block *b = calloc(EACH_BLOCKS, sizeof(*b));
	int err = b ? 0 : state_fail(st, -ENOMEM, "out of memory");

	for (uint64_t done = 0; !err && done < n;) {
		size_t want = n - done < EACH_BLOCKS ? (size_t)(n - done) : EACH_BLOCKS, got;

		err = state_read_blocks(st, first + done, want, b, &got);
		if (err || !got)
			break;
		for (size_t i = 0; i < got; i++)
			fn(ctx, first + done + i, &b[i]);
		done += got;
	}
	free(b);
	return err;
}

int state_read_kinds(struct state *st, const struct state_region *regions, size_t nr_regions,
		     uint64_t first, size_t n, char *kind)
{
	return ASK(st, read_kinds, regions, nr_regions, first, n, kind);
}

int state_read_owners(struct state *st, const char *kind, char *owner, uint64_t blocks)
{
	return ASK(st, read_owners, kind, owner, blocks);
}

static struct state_where by_pfn(uint64_t pfn)
{
	return (struct state_where){ .by_pfn = true, .pfn = pfn };
}

static struct state_where by_addr(pid_t pid, uint64_t addr)
{
	/* The kernel wants an address as mappings have it, without a tag. */
	return (struct state_where){ .pid = pid ? pid : getpid(),
				     .addr = addr & ~((uint64_t)0xff << 56) };
}

int state_lookup_pfn(struct state *st, uint64_t pfn, struct state_page *page)
{
	struct state_where at = by_pfn(pfn);

	return ASK(st, lookup, &at, page);
}

int state_lookup_addr(struct state *st, pid_t pid, uint64_t addr, struct state_page *page)
{
	struct state_where at = by_addr(pid, addr);

	return ASK(st, lookup, &at, page);
}

int state_tags_pfn(struct state *st, uint64_t pfn, struct state_tags *tags)
{
	struct state_where at = by_pfn(pfn);

	return ASK(st, tags, &at, tags);
}

int state_tags_addr(struct state *st, pid_t pid, uint64_t addr, struct state_tags *tags)
{
	struct state_where at = by_addr(pid, addr);

	return ASK(st, tags, &at, tags);
}

bool state_tags_agree(const struct state_tags *t)
{
	for (size_t i = 0; i < STATE_RAW_PER_PAGE; i++)
		if (t->raw[i] != (t->tags[2 * i] | t->tags[2 * i + 1] << 4))
			return false;
	return true;
}

int state_read_latency(struct state *st, enum state_histogram which, struct state_latency **lat,
		       size_t *n)
{
	*lat = NULL;
	*n = 0;
	return ASK(st, read_latency, which, lat, n);
}

int state_read_replays(struct state *st, struct state_replays **rep, size_t *n)
{
	*rep = NULL;
	*n = 0;
	return ASK(st, read_replays, rep, n);
}

int state_reset_histograms(struct state *st)
{
	return st->ops && st->ops->reset_histograms ? st->ops->reset_histograms(st) :
		state_fail(st, -EOPNOTSUPP, "%s: has no histograms to set to zero", st->root);
}

int state_switch_get(struct state *st, const char *name, uint64_t *value)
{
	return ASK(st, switch_get, name, value);
}

int state_switch_set(struct state *st, const char *name, uint64_t value)
{
	return ASK(st, switch_set, name, value);
}
