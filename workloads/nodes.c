// SPDX-License-Identifier: GPL-2.0-only
/*
 * workloads/nodes.c: a machine with several memory nodes, one of which has no storage for tags
 * left. Who is bound to that node gets pages of another, and no error, nor waits for ever.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/page.h"

#define WRITER_MS 120000

/* The node of a page of the caller that is there. */
static int node_of(struct run *r, void *page)
{
	int node = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0))
		bail_errno(r, "move_pages");
	return node;
}

static size_t pages_on(struct run *r, const struct area *a, int node)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += node_of(r, area_page(a, i)) == node;
	return n;
}

static void bind(struct run *r, const struct area *a, int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_mbind, a->base, area_len(a), MPOL_BIND, &mask, sizeof(mask) * 8, 0))
		bail_errno(r, "mbind");
}

/*
 * Tagged memory on a node, of which one page in eight stays: blocks that are reserved, and serve
 * pages that are free.
 */
static struct area thin_out(struct run *r, int node, size_t n)
{
	struct area a = area_map(r, n, true);

	bind(r, &a, node);
	area_write_tags(r, &a);
	for (size_t i = 0; i < n; i++)
		if (i % 8 && madvise(area_page(&a, i), page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	drain_free_lists(r);
	return a;
}

static const struct role writer_role = {
	.name = "writer",
	.summary = "writes to memory that it shares with its parent until then",
	.user = ROLE_ROOT,
};

struct written {
	struct area a;
	uint64_t slowest;
	size_t failed;
};

/* The slowest access, and how many ended in a signal. */
static void write_all(struct written *w)
{
	for (size_t i = 0; i < w->a.n; i++) {
		struct probe p = probe_store(area_page(&w->a, i), 1);

		w->failed += p.signal != 0;
		if (p.ns > w->slowest)
			w->slowest = p.ns;
	}
}

static void copy_on_write(struct run *r, void *arg)
{
	(void)r;
	write_all(arg);
}

static void nodes_run(struct run *r)
{
	struct written w = {}, *copied = shared_alloc(r, sizeof(*copied));
	struct child *writer;
	struct area thin;
	size_t elsewhere;

	if (access("/sys/devices/system/node/node1", F_OK) || summary_now(r).regions != 2)
		skip(r, "needs two memory nodes, each with a region of tag storage: scripts/vm --regions 2 --append numa=fake=2, and a kernel with CONFIG_NUMA_EMU");

	step(r, "Tagged memory is bound to each node: it lies there, and its tags are stored.");
	for (int node = 0; node < 2; node++) {
		struct area a = area_map(r, 64, true);

		bind(r, &a, node);
		area_write(r, &a);
		expect_eq_u64(r, pages_on(r, &a, node), a.n, "node %d: the pages are there", node);
		expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "node %d: all have storage", node);
		area_expect(r, &a, node ? "on node 1" : "on node 0");
		area_unmap(r, &a);
	}

	if (!failures_known(r, "storage of one node is not enough"))
		return;
	step(r,
	     "No block can be taken any more. Some of those that are reserved serve free pages, but on node 1 only. A program that is bound to node 0 touches tagged memory.");
	gather_nothing(r);
	thin = thin_out(r, 1, 8 * param_u64(r, "pages"));
	w.a = area_map(r, param_u64(r, "pages"), true);
	bind(r, &w.a, 0);
	storage_shortage(r, STORAGE_HELD);
	write_all(&w);
	elsewhere = pages_on(r, &w.a, 1);
	measure(r, "elsewhere", "pages", (double)elsewhere);
	measure(r, "slowest", "ns", (double)w.slowest);
	expect_range(r, elsewhere, 1, w.a.n, "pages come from the other node");
	expect_eq_u64(r, w.failed, 0, "each access succeeds");
	area_write(r, &w.a);
	expect_eq_u64(r, area_bad_storage(r, 0, &w.a), 0, "all have storage");
	area_expect(r, &w.a, "where storage of its node was held");

	step(r, "Its child writes to that memory, and needs copies, bound to the same node.");
	copied->a = w.a;
	writer = role_spawn(r, &writer_role, copy_on_write, copied);
	expect_role_done(r, writer, WRITER_MS);
	measure(r, "slowest_copy", "ns", (double)copied->slowest);
	expect_eq_u64(r, copied->failed, 0, "each copy succeeds");
	area_expect(r, &w.a, "of the parent, after it was copied");
	storage_shortage(r, STORAGE_NORMAL);
	area_unmap(r, &w.a);
	area_unmap(r, &thin);
}

static const struct scenario nodes_scenario = {
	.name = "nodes",
	.kind = SCENARIO_WORKLOAD,
	.summary = "a memory node without tag storage left, and programs bound to it",
	.explanation =
		"In a machine with several memory nodes the tags of one can be out of storage while another has plenty. "
		"Whoever looks for storage has to look where the page would be taken from, and in the end on other nodes: an answer about another node than the one that is needed is of no use, however often it is asked for.",
	.params = PARAMS(P_UINT("pages", "64", 8, 4096, "tagged pages that are touched")),
	.needs = NEED_POLICY_CMA,
	.min_memory = 512 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS(FAILURE_SETTINGS, FREE_LIST_SETTINGS),
	.roles = ROLES(&writer_role),
	.run = nodes_run,
};
SCENARIO(nodes_scenario);
