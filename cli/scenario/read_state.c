// SPDX-License-Identifier: GPL-2.0-only
/* The state of tag storage, and the kernel's switches, as scenarios read and set them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "scenario/run_private.h"

struct state *run_reader(struct run *r, bool must)
{
	if (r->state && r->pid == getpid())
		return r->state;
	if (state_open(&r->state)) {
		char text[800];

		snprintf(text, sizeof(text), "%s", state_error(r->state));
		if (must)
			end_with(r, EVENT_EXIT_BAIL, text);
		state_close(r->state);
		r->state = NULL;
	}
	return r->state;
}

static struct state *must_read(struct run *r)
{
	return run_reader(r, true);
}

static void check(struct run *r, int err)
{
	if (err)
		bail(r, "%s", state_error(r->state));
}

struct state_summary summary_now(struct run *r)
{
	const char *missing;
	struct state_summary s;

	check(r, state_read_summary(must_read(r), &s));
	/* It would read as 0, and a scenario that looks at it might pass for that. */
	missing = state_counter_missing(&s);
	if (missing)
		skip(r, "this kernel does not offer the counter %s", missing);
	return s;
}

struct state_block block_now(struct run *r, uint64_t block)
{
	struct state_block b;
	size_t got;

	check(r, state_read_blocks(must_read(r), block, 1, &b, &got));
	if (got != 1)
		bail(r, "there is no block %" PRIu64, block);
	return b;
}

bool page_present(struct run *r, pid_t pid, const void *addr, struct state_page *page)
{
	int err = state_lookup_addr(must_read(r), pid, (uintptr_t)addr, page);

	if (err == -EFAULT)
		return false;
	check(r, err);
	return true;
}

struct state_page page_now(struct run *r, pid_t pid, const void *addr)
{
	struct state_page page;

	check(r, state_lookup_addr(must_read(r), pid, (uintptr_t)addr, &page));
	return page;
}

struct state_page pfn_now(struct run *r, uint64_t pfn)
{
	struct state_page page;

	check(r, state_lookup_pfn(must_read(r), pfn, &page));
	return page;
}

struct state_tags tags_now(struct run *r, pid_t pid, const void *addr)
{
	struct state_tags tags;

	check(r, state_tags_addr(must_read(r), pid, (uintptr_t)addr, &tags));
	return tags;
}

uint64_t switch_get(struct run *r, const char *name)
{
	uint64_t value;

	check(r, state_switch_get(must_read(r), name, &value));
	return value;
}

void switch_set(struct run *r, const char *name, uint64_t value)
{
	check(r, state_switch_set(must_read(r), name, value));
	note(r, "switch %s is now %" PRIu64, name, value);
}

void gather_nothing(struct run *r)
{
	check(r, state_switch_set(must_read(r), "gather", 0));
}
