// SPDX-License-Identifier: GPL-2.0-only
/* workloads/cow.c: tagged memory through fork(), and what happens when both sides write. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/failures.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define WAIT_MS 60000
#define MAX_CHILDREN 16
/* So many that copies of them need blocks which nobody has reserved yet. */
#define SHORT_PAGES 512

static const struct role child_role = {
	.name = "child",
	.summary = "inherits tagged memory, checks it and writes to it",
	.user = ROLE_ROOT,
};

/*
 * A page's contents are given by a version for its data and one for its tags. All
 * know who has written what, so each can check every page.
 */
struct page_version {
	uint64_t data, tags;	/* seeds; tags 0: all tags are 0 */
};

struct area {
	char *base;
	size_t n;
	struct page_version *v;
};

static char *page_at(const struct area *a, size_t i)
{
	return a->base + i * page_size();
}

static void write_data(struct area *a, size_t i, uint64_t version)
{
	a->v[i].data = version;
	pattern_fill(page_at(a, i), page_size(), version, i);
}

static void write_tags(struct area *a, size_t i, uint64_t version)
{
	a->v[i].tags = version;
	tags_fill(page_at(a, i), page_size(), version, i);
}

/* Whoever says it: the results are those of the scenario or of a role. */
static void expect_contents(struct run *r, const struct area *a, const char *who, const char *when)
{
	struct mismatch data = { .count = 0 }, tags = { .is_tag = true };

	for (size_t i = 0; i < a->n; i++) {
		if (!data.count)
			data = pattern_check(page_at(a, i), page_size(), a->v[i].data, i);
		if (!tags.count)
			tags = a->v[i].tags ?
				       tags_check(page_at(a, i), page_size(), a->v[i].tags, i) :
				       tags_check_same(page_at(a, i), page_size(), 0);
	}
	expect_intact(r, data, "%s sees its own data, %s", who, when);
	expect_intact(r, tags, "%s sees its own tags, %s", who, when);
}

static struct area area_new(struct run *r, size_t n, bool tagged)
{
	struct area a = { .n = n };

	a.base = mte_map(n * page_size(), tagged);
	a.v = calloc(n, sizeof(*a.v));
	if (!a.base || !a.v)
		bail_errno(r, "mmap of %zu pages", n);
	if (madvise(a.base, n * page_size(), MADV_NOHUGEPAGE) && errno != EINVAL)
		bail_errno(r, "MADV_NOHUGEPAGE");
	for (size_t i = 0; i < n; i++) {
		write_data(&a, i, rnd(r) | 1);
		if (tagged)
			write_tags(&a, i, rnd(r) | 1);
	}
	return a;
}

static void area_free(struct run *r, struct area *a)
{
	if (munmap(a->base, a->n * page_size()))
		bail_errno(r, "munmap");
	free(a->v);
}

static size_t bad_storage(struct run *r, pid_t pid, const struct area *a)
{
	return tags_not_stored(r, pid, a->base, a->n, 0);
}

/* How many of the pages two processes have in common. */
static size_t same_pages(struct run *r, const struct area *a, pid_t pid)
{
	size_t same = 0;

	for (size_t i = 0; i < a->n; i++)
		same += page_now(r, 0, page_at(a, i)).pfn == page_now(r, pid, page_at(a, i)).pfn;
	return same;
}

/* ---- Two sides that write --------------------------------------------------- */

struct two_sides {
	struct area a;
	struct gate *check, *checked, *write, *written, *parent_wrote, *end;
};

static bool child_writes(size_t i)
{
	return i % 4 < 2;
}

static void must_wait(struct run *r, struct gate *g)
{
	if (!gate_wait(g, WAIT_MS))
		bail(r, "the other process does not answer");
}

static void side_child(struct run *r, void *arg)
{
	struct two_sides *t = arg;

	must_wait(r, t->check);
	expect_contents(r, &t->a, "the child", "before anybody writes");
	gate_open(t->checked);
	must_wait(r, t->write);
	/* Every fourth page gets new tags only: a store of a tag is a write, too. */
	for (size_t i = 0; i < t->a.n; i++) {
		if (!child_writes(i))
			continue;
		if (i % 4)
			write_data(&t->a, i, rnd(r) | 1);
		write_tags(&t->a, i, rnd(r) | 1);
	}
	gate_open(t->written);
	must_wait(r, t->parent_wrote);
	expect_contents(r, &t->a, "the child", "after both have written");
	must_wait(r, t->end);
	expect_contents(r, &t->a, "the child", "at its end");
}

static void both_write(struct run *r, size_t n)
{
	struct state_summary start = summary_now(r), s;
	struct two_sides t = {
		.a = area_new(r, n, true),
		.check = gate_new(r),
		.checked = gate_new(r),
		.write = gate_new(r),
		.written = gate_new(r),
		.parent_wrote = gate_new(r),
		.end = gate_new(r),
	};
	size_t by_child = 0;
	struct child *c;
	pid_t pid;

	for (size_t i = 0; i < n; i++)
		by_child += child_writes(i);
	step(r,
	     "The program has %zu tagged pages, and forks. Both processes have the same pages now, write-protected: not one page or block more is needed.",
	     n);
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "before fork, each page has tag storage");
	c = role_spawn(r, &child_role, side_child, &t);
	pid = role_pid(c);
	gate_open(t.check);
	must_wait(r, t.checked);
	expect_eq_u64(r, same_pages(r, &t.a, pid), n, "after fork, they share all pages");
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "fork reserves nothing");
	expect_eq_u64(r, bad_storage(r, pid, &t.a), 0,
		      "seen from the child, each page has its tag storage");
	expect_contents(r, &t.a, "the parent", "before anybody writes");

	step(r,
	     "The child writes to half of the pages, to some only tags. The kernel copies each such page with its tags; the copy needs tag storage of its own.");
	gate_open(t.write);
	must_wait(r, t.written);
	expect_eq_u64(r, same_pages(r, &t.a, pid), n - by_child,
		      "what the child wrote to is not shared any more, the rest is");
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n + by_child,
		      "each copy has tag storage of its own");
	expect_contents(r, &t.a, "the parent", "after the child has written");
	expect_eq_u64(r, bad_storage(r, pid, &t.a), 0, "the child's pages have tag storage");
	expect_eq_u64(r, bad_storage(r, 0, &t.a), 0, "the parent's pages have tag storage");

	step(r,
	     "The parent writes to the other half, and to some of the pages it has for itself already.");
	for (size_t i = 0; i < n; i++) {
		if (child_writes(i) && i % 8)
			continue;
		if (i % 3)
			write_data(&t.a, i, rnd(r) | 1);
		write_tags(&t.a, i, rnd(r) | 1);
	}
	expect_eq_u64(r, same_pages(r, &t.a, pid), 0, "no page is shared any more");
	/* The page that was copied may wait in a batch to be freed. */
	expect(r, reserved_pages_wait(r, start.reserved_pages + 2 * n), "all pages of both have tag storage");
	gate_open(t.parent_wrote);
	expect_contents(r, &t.a, "the parent", "after both have written");
	expect_eq_u64(r, bad_storage(r, pid, &t.a), 0, "the child's pages still have tag storage");
	expect_eq_u64(r, bad_storage(r, 0, &t.a), 0, "the parent's pages still have tag storage");

	step(r,
	     "The child ends, and the storage of its copies is given back; the parent's is not.");
	gate_open(t.end);
	expect_role_done(r, c, WAIT_MS);
	expect(r, reserved_pages_wait(r, start.reserved_pages + n),
	       "when the child is gone, only the parent's pages have tag storage");
	expect_contents(r, &t.a, "the parent", "when the child is gone");
	s = summary_now(r);
	area_free(r, &t.a);
	expect(r, reserved_pages_wait(r, start.reserved_pages), "unmapped, none of them has");
	expect_range(r, summary_now(r).release, s.release + 1, UINT64_MAX,
		     "blocks were given back");
}

/* ---- The parent unmaps first ------------------------------------------------ */

struct heir {
	struct area a;
	struct gate *ready, *alone;
};

static void heir_child(struct run *r, void *arg)
{
	struct heir *h = arg;

	gate_open(h->ready);
	must_wait(r, h->alone);
	expect_contents(r, &h->a, "the child", "when the parent has unmapped");
	for (size_t i = 0; i < h->a.n; i += 2) {
		write_data(&h->a, i, rnd(r) | 1);
		write_tags(&h->a, i, rnd(r) | 1);
	}
	expect_contents(r, &h->a, "the child", "after it has written");
}

static void parent_lets_go(struct run *r, size_t n)
{
	struct state_summary start = summary_now(r);
	struct heir h = { .a = area_new(r, n, true), .ready = gate_new(r), .alone = gate_new(r) };
	struct child *c;

	step(r,
	     "Now the parent unmaps its memory first. The pages, and their tag storage, are the child's alone then; when it writes there is nothing to copy.");
	c = role_spawn(r, &child_role, heir_child, &h);
	must_wait(r, h.ready);
	if (munmap(h.a.base, n * page_size()))
		bail_errno(r, "munmap");
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "the child's pages keep their tag storage");
	expect_eq_u64(r, bad_storage(r, role_pid(c), &h.a), 0,
		      "each page of the child has tag storage");
	gate_open(h.alone);
	expect_role_done(r, c, WAIT_MS);
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "when the child has ended, all is given back");
	free(h.a.v);
}

/* ---- Many children ------------------------------------------------------------- */

struct crowd {
	struct area a;
	struct gate *go, *end;
	unsigned int rounds;
	volatile unsigned int done;	/* shared: how many have written */
};

static void crowd_child(struct run *r, void *arg)
{
	struct crowd *c = *(struct crowd **)arg;
	struct mismatch data = { .count = 0 }, tags = { .is_tag = true };
	struct area a = { .base = c->a.base, .n = c->a.n };

	a.v = malloc(a.n * sizeof(*a.v));
	if (!a.v)
		bail(r, "out of memory");
	memcpy(a.v, c->a.v, a.n * sizeof(*a.v));
	must_wait(r, c->go);
	for (unsigned int round = 0; round < c->rounds; round++) {
		for (size_t i = 0; i < a.n; i++) {
			switch (rnd_below(r, 4)) {
			case 0:
				write_data(&a, i, rnd(r) | 1);
				break;
			case 1:
				write_tags(&a, i, rnd(r) | 1);
				break;
			case 2:
				write_data(&a, i, rnd(r) | 1);
				write_tags(&a, i, rnd(r) | 1);
				break;
			}
		}
		for (size_t i = 0; i < a.n; i++) {
			if (!data.count)
				data = pattern_check(page_at(&a, i), page_size(), a.v[i].data, i);
			if (!tags.count)
				tags = tags_check(page_at(&a, i), page_size(), a.v[i].tags, i);
		}
	}
	expect_intact(r, data, "its data is its own, whatever the others write");
	expect_intact(r, tags, "its tags are its own, whatever the others set");
	/* For the map: all copies exist at once. */
	__atomic_add_fetch(&c->done, 1, __ATOMIC_ACQ_REL);
	must_wait(r, c->end);
	free(a.v);
}

static void many_children(struct run *r, size_t n, unsigned int children)
{
	struct state_summary start = summary_now(r);
	struct crowd *c = shared_alloc(r, sizeof(*c));
	struct child *child[MAX_CHILDREN];

	step(r,
	     "%u children at once write to random pages of the same memory: data, tags or both. Each checks that it sees what it wrote itself, and else what it inherited.",
	     children);
	c->a = area_new(r, n, true);
	c->go = gate_new(r);
	c->end = gate_new(r);
	c->rounds = 3;
	for (unsigned int i = 0; i < children; i++)
		child[i] = role_spawn(r, &child_role, crowd_child, &c);
	gate_open(c->go);
	expect(r, eventually(WAIT_MS, __atomic_load_n(&c->done, __ATOMIC_ACQUIRE) == children),
	       "all children have written");
	expect_range(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		     n * (children + 1), "their copies and the parent's pages have tag storage");
	expect_contents(r, &c->a, "the parent", "after all children have written");
	for (unsigned int i = 0; i < children; i++)
		expect_eq_u64(r, bad_storage(r, role_pid(child[i]), &c->a), 0,
			      "child %u: each of its pages has tag storage", i);
	gate_open(c->end);
	for (unsigned int i = 0; i < children; i++)
		expect_role_done(r, child[i], WAIT_MS);
	area_free(r, &c->a);
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "when all are gone, all is given back");
}

/* ---- vfork ---------------------------------------------------------------------- */

/* The child borrows the memory, the parent sleeps: nothing is copied. */
static int __attribute__((noinline)) tag_in_vfork(char *p, size_t len, unsigned int tag)
{
	int status = -1;
	pid_t pid = vfork();

	if (!pid) {
		tag_store_range(p, len, tag);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static void vforked(struct run *r)
{
	struct state_summary start = summary_now(r);
	struct area a = area_new(r, 4, true);
	uint64_t pfn = page_now(r, 0, a.base).pfn;

	step(r,
	     "A child made by vfork() works in its parent's memory: the tags it sets are the parent's, and nothing is copied.");
	expect_eq_u64(r, (uint64_t)tag_in_vfork(a.base, page_size(), 9), 0,
		      "the child of vfork ended well");
	expect_intact(r, tags_check_same(a.base, page_size(), 9),
		      "the parent has the tags that it set");
	expect_eq_u64(r, page_now(r, 0, a.base).pfn, pfn, "in the very same page");
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, 4,
		      "no page was copied");
	area_free(r, &a);
	expect(r, reserved_pages_wait(r, start.reserved_pages), "after vfork, all is given back");
}

/* ---- fork between mprotect() and the first access --------------------------------- */

struct pending {
	struct area a;
	struct gate *go, *read, *write;
};

static void pending_child(struct run *r, void *arg)
{
	struct pending *p = arg;

	must_wait(r, p->go);
	expect_contents(r, &p->a, "the child", "reading what was inaccessible");
	gate_open(p->read);
	must_wait(r, p->write);
	for (size_t i = 0; i < p->a.n; i += 2) {
		write_data(&p->a, i, rnd(r) | 1);
		write_tags(&p->a, i, rnd(r) | 1);
	}
	expect_contents(r, &p->a, "the child", "after writing to what was inaccessible");
}

static void forked_while_pending(struct run *r, size_t n)
{
	struct state_summary start = summary_now(r);
	struct pending p = {
		.a = area_new(r, n, false),
		.go = gate_new(r),
		.read = gate_new(r),
		.write = gate_new(r),
	};
	size_t foa = 0, without = 0;
	struct child *c;

	step(r,
	     "Data first, then mprotect() with PROT_MTE while tag storage is full, then fork, before any page was accessed: both inherit inaccessible pages without tag storage.");
	if (!mprotect_storage_full(r, p.a.base, n * page_size())) {
		area_free(r, &p.a);
		return;
	}
	c = role_spawn(r, &child_role, pending_child, &p);
	for (size_t i = 0; i < n; i++) {
		struct state_page mine = page_now(r, 0, page_at(&p.a, i));
		struct state_page other = page_now(r, role_pid(c), page_at(&p.a, i));

		foa += mine.foa && other.foa;
		without += (mine.foa && mine.has_storage) || (!other.foa && !other.has_storage);
	}
	expect_range(r, foa, n / 2, n, "after fork, pages are inaccessible in both");
	expect_eq_u64(r, without, 0,
		      "what is accessible has tag storage, and what is not has none");

	step(r,
	     "The child reads them: each page gets tag storage, once, for both.");
	gate_open(p.go);
	must_wait(r, p.read);
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "one page with tag storage for each that the child read");
	expect_contents(r, &p.a, "the parent", "reading after the child");
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "the parent's reading reserves nothing more");
	gate_open(p.write);
	for (size_t i = 1; i < n; i += 2) {
		write_tags(&p.a, i, rnd(r) | 1);
		write_data(&p.a, i, rnd(r) | 1);
	}
	expect_role_done(r, c, WAIT_MS);
	expect_contents(r, &p.a, "the parent", "after both wrote to what was inaccessible");
	expect_eq_u64(r, bad_storage(r, 0, &p.a), 0,
		      "the parent's pages have tag storage at the end");
	area_free(r, &p.a);
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "of what was inaccessible, all is given back");
}

/* ---- When storage is short ---------------------------------------------------------- */

static void protect(struct run *r, const struct area *a, bool tagged)
{
	if (mprotect(a->base, a->n * page_size(),
		     PROT_READ | PROT_WRITE | (tagged ? PROT_MTE : 0)))
		bail_errno(r, "mprotect");
}

static bool intact(const struct area *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (pattern_check(page_at(a, i), page_size(), a->v[i].data, i).count ||
		    tags_check(page_at(a, i), page_size(), a->v[i].tags, i).count)
			return false;
	return true;
}

struct file_area {
	struct area shared, own;	/* a mapping with PROT_MTE, and a private one without */
	int fd;
};

/*
 * A file in memory with data and tags, and a private mapping of it that does not show
 * them. Copies of its pages need storage for tags, though nothing in the mapping says so.
 */
static struct file_area file_new(struct run *r, size_t n)
{
	struct file_area f = { .shared.n = n, .own.n = n };
	size_t len = n * page_size();

	f.fd = memfd_create("tagscope-cow", MFD_CLOEXEC);
	if (f.fd < 0 || ftruncate(f.fd, (off_t)len))
		bail_errno(r, "memfd of %zu bytes", len);
	f.shared.base = mmap(NULL, len, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED, f.fd, 0);
	f.own.base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, f.fd, 0);
	f.shared.v = calloc(n, sizeof(*f.shared.v));
	f.own.v = calloc(n, sizeof(*f.own.v));
	if (f.shared.base == MAP_FAILED || f.own.base == MAP_FAILED || !f.shared.v || !f.own.v)
		bail_errno(r, "mmap of a memfd");
	for (size_t i = 0; i < n; i++) {
		write_data(&f.shared, i, rnd(r) | 1);
		write_tags(&f.shared, i, rnd(r) | 1);
		f.own.v[i] = f.shared.v[i];
	}
	return f;
}

static void file_free(struct run *r, struct file_area *f)
{
	area_free(r, &f->shared);
	area_free(r, &f->own);
	close(f->fd);
}

/* A store to each page of the private mapping makes a copy of it. Returns what failed. */
static size_t copy_all(const struct file_area *f)
{
	size_t failed = 0;

	for (size_t i = 0; i < f->own.n; i++) {
		/* The same byte as before: it is the store that matters. */
		uint8_t byte = *(volatile uint8_t *)page_at(&f->shared, i);

		failed += probe_store(page_at(&f->own, i), byte).signal != 0;
	}
	return failed;
}

static void copied_from_file(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct file_area f = file_new(r, SHORT_PAGES);
	size_t failed;

	step(r,
	     "A memfd with tags is mapped privately, without PROT_MTE, and written to, half of it unread before. Data lies everywhere in tag storage, as far as the kernel can see. Each copy is of a page with tags, and has to have them when the private mapping becomes tagged; the memfd stays as it is.");
	for (size_t i = 0; i < f.own.n / 2; i++)
		(void)*(volatile char *)page_at(&f.own, i);
	storage_shortage(r, STORAGE_FULL);
	failed = copy_all(&f);
	storage_shortage(r, STORAGE_NORMAL);
	expect_eq_u64(r, failed, 0, "private: all pages can be written to when storage is full");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, 2 * SHORT_PAGES,
		      "private: each copy has storage");
	protect(r, &f.own, true);
	expect_contents(r, &f.own, "the private mapping", "made tagged");
	expect_eq_u64(r, bad_storage(r, 0, &f.own), 0, "private: the tags are in tag storage");
	for (size_t i = 0; i < f.own.n; i++)
		write_tags(&f.own, i, rnd(r) | 1);
	expect_contents(r, &f.own, "the private mapping", "with other tags");
	expect_contents(r, &f.shared, "the memfd", "after the private mapping was changed");
	file_free(r, &f);
	expect(r, reserved_pages_wait(r, start),
	       "private: unmapped and closed, none has tag storage");
}

/* The child has copies; what of them is wrong is its exit status. */
static void pinned_child(struct run *r, const struct area *a, const int *ready, const int *go)
{
	char c = 0;
	bool good;

	protect(r, a, true);
	good = intact(a);
	for (size_t i = 0; i < a->n; i++)
		tag_store_range(page_at(a, i), page_size(), 3);
	if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
		_exit(2);
	_exit(good ? 0 : 1);
}

/* The pages stay the parent's, because a device may write to them: fork() makes copies. */
static void forked_while_pinned(struct run *r)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct file_area f = file_new(r, SHORT_PAGES);
	struct iovec iov = { f.own.base, f.own.n * page_size() };
	int err, ready[2], go[2], status = -1;
	struct io_uring ring;
	char c = 0;
	pid_t pid;

	step(r,
	     "Such copies are pinned, as a buffer of io_uring, and the program forks. Pinned pages are not shared: the child gets copies at once, with data, tags and storage.");
	err = io_uring_queue_init(2, &ring, 0);
	if (err) {
		skip_result(r, "no io_uring", "pinned: fork works when storage is full");
		goto out;
	}
	expect_eq_u64(r, copy_all(&f), 0, "pinned: the private mapping can be written to");
	err = io_uring_register_buffers(&ring, &iov, 1);
	bail_if_error(r, err, "io_uring_register_buffers");
	if (pipe(ready) || pipe(go))
		bail_errno(r, "pipe");
	storage_shortage(r, STORAGE_FULL);
	pid = fork();
	if (!pid)
		pinned_child(r, &f.own, ready, go);
	storage_shortage(r, STORAGE_NORMAL);
	if (expect(r, pid > 0, "pinned: fork works when storage is full")) {
		if (read(ready[0], &c, 1) != 1)
			bail(r, "the child does not answer");
		protect(r, &f.own, true);
		expect_eq_u64(r, same_pages(r, &f.own, pid), 0,
			      "pinned: the child shares none of the pages");
		expect_eq_u64(r, bad_storage(r, pid, &f.own), 0,
			      "pinned: the child's copies have tag storage");
		expect_contents(r, &f.own, "the parent", "whose pages were pinned at fork");
		expect_eq_u64(r, bad_storage(r, 0, &f.own), 0,
			      "pinned: the parent's pages have tag storage");
		if (write(go[1], &c, 1) != 1 || waitpid(pid, &status, 0) != pid)
			bail_errno(r, "waiting for the child");
		expect(r, WIFEXITED(status) && !WEXITSTATUS(status),
		       "pinned: the child's copies have data and tags");
	}
	io_uring_queue_exit(&ring);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
out:
	file_free(r, &f);
	expect(r, reserved_pages_wait(r, start), "pinned: unmapped, none has tag storage");
}

static void cow_run(struct run *r)
{
	size_t n = param_u64(r, "pages");
	struct state_summary start = summary_now(r), end;

	/* A page that is being moved counts twice. */
	gather_nothing(r);
	both_write(r, n);
	parent_lets_go(r, n);
	many_children(r, n, (unsigned int)param_u64(r, "children"));
	vforked(r);
	forked_while_pending(r, n);
	copied_from_file(r);
	forked_while_pinned(r);
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "no more blocks are reserved than at the start");
	end = summary_now(r);
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
}

static const struct scenario cow_scenario = {
	.name = "cow",
	.kind = SCENARIO_WORKLOAD,
	.summary = "tagged memory through fork: shared, then copied on write",
	.explanation =
		"After fork() parent and child share their pages until one of them writes; then that page is copied, and its tags with it. "
		"The copy is another page, so its tags lie in another place, which has to be reserved before the copy is made, "
		"at a moment when the kernel holds locks and cannot wait long. "
		"This scenario lets both sides write data and tags, in every order, and checks that each sees its own.",
	.groups = "quick",
	.params = PARAMS(
		P_UINT("pages", "64", 8, 65536, "how many pages are shared"),
		P_UINT("children", "4", 1, MAX_CHILDREN, "how many children write at once")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 180,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.roles = ROLES(&child_role),
	.run = cow_run,
};
SCENARIO(cow_scenario);
