// SPDX-License-Identifier: GPL-2.0-only
/* Tag storage full of copies of page cache: see copies.h. */
#include <stdlib.h>

#include "attack/copies.h"
#include "scenario/disk.h"
#include "scenario/memory.h"

struct copies {
	struct disk_file *f;
	uint64_t recalled;		/* before */
	struct state_summary before;
};

struct copies *copies_new(struct run *r)
{
	struct copies *c;
	char dev[64];
	size_t n;

	if (!disk_find(dev, sizeof(dev))) {
		skip_result(r, "no disk; in the machine: scripts/vm --disk 128M",
			    "tag storage is full of copies");
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		bail(r, "out of memory");
	/* A page that was taken may be filled as soon as it is free. */
	disk_refill_at_once(r);
	disk_mount(r, NULL);
	n = disk_pages_for_copies(r);
	if (!n) {
		skip_result(r, "the disk is smaller than tag storage",
			    "tag storage is full of copies");
		free(c);
		return NULL;
	}
	c->f = disk_file_new(r, "copied", n);
	return c;
}

void copies_fill(struct run *r, struct copies *c)
{
	uint64_t stored;

	if (!c)
		return;
	stored = disk_file_store(r, c->f, "before the victim");
	note(r, "%llu pages of a file were copied to tag storage", (unsigned long long)stored);
	c->before = summary_now(r);
	c->recalled = vmstat_now(r, "cleancache_recall");
}

void copies_judge(struct run *r, struct copies *c, const struct mode *m, bool needed)
{
	struct state_summary now = summary_now(r);
	uint64_t recalled;

	if (!c)
		return;
	recalled = vmstat_now(r, "cleancache_recall") - c->recalled;
	measure_mode(r, m, "recalled", "pages", (double)recalled);
	if (needed)
		expect_range(r, recalled, 1, UINT64_MAX,
			     "%s: copies were in the way, and had to go", m->text);
	expect_eq_u64(r, now.reserve_busy - c->before.reserve_busy, 0,
		      "%s: no reservation failed", m->text);
	expect_eq_u64(r, now.foa_set - c->before.foa_set, 0,
		      "%s: no entry was made to fault on access", m->text);
	expect_eq_u64(r, disk_file_wrong(r, c->f, false) + disk_file_wrong(r, c->f, true), 0,
		      "%s: the file that was copied is what was written", m->text);
}

void copies_free(struct run *r, struct copies *c)
{
	if (!c)
		return;
	/* The mount goes with the scenario: a process of the attacker may still have it busy. */
	disk_file_free(r, c->f);
	free(c);
}
