// SPDX-License-Identifier: GPL-2.0-only
/* workloads/shared.c: shared memory, some of its mappings tagged and some not. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/failures.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/thread.h"

#define WAIT_MS 60000
#define RW (PROT_READ | PROT_WRITE)

static const struct role other_role = {
	.name = "other",
	.summary = "maps the same memory, with or without PROT_MTE",
	.user = ROLE_ROOT,
};

static const struct role racer_role = {
	.name = "racer",
	.summary = "touches each page at the same moment as its twin",
	.user = ROLE_ROOT,
};

static void *map_fd(struct run *r, int fd, size_t len, bool tagged)
{
	void *p = mmap(NULL, len, RW | (tagged ? PROT_MTE : 0),
		       fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		bail_errno(r, "mmap of %zu shared bytes", len);
	return p;
}

static int memfd_new(struct run *r, size_t len)
{
	int fd = memfd_create("tagscope-shared", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)len))
		bail_errno(r, "memfd of %zu bytes", len);
	return fd;
}

static struct mismatch check_data(const char *p, size_t n, uint64_t seed)
{
	struct mismatch m = { .count = 0 };

	for (size_t i = 0; i < n && !m.count; i++)
		m = pattern_check(p + i * page_size(), page_size(), seed, i);
	return m;
}

static struct mismatch check_tags(const char *p, size_t n, uint64_t seed)
{
	struct mismatch m = { .is_tag = true };

	for (size_t i = 0; i < n && !m.count; i++)
		m = tags_check(p + i * page_size(), page_size(), seed, i);
	return m;
}

static void fill_data(char *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		pattern_fill(p + i * page_size(), page_size(), seed, i);
}

static void fill_tags(char *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		tags_fill(p + i * page_size(), page_size(), seed, i);
}

/* ---- One memory, mapped twice, and two processes --------------------------------- */

struct twice {
	const char *kind;
	int fd;			/* -1: MAP_SHARED | MAP_ANONYMOUS, no second mapping */
	char *tagged, *plain;
	size_t n;
	uint64_t data, tags, tags2;
	struct gate *go, *set, *look, *looked;
};

static void must_wait(struct run *r, struct gate *g)
{
	if (!gate_wait(g, WAIT_MS))
		bail(r, "the other process does not answer");
}

static void other_side(struct run *r, void *arg)
{
	struct twice *t = arg;
	char *own = t->tagged;

	must_wait(r, t->go);
	/* A mapping of its own, at another address, where there can be one. */
	if (t->fd >= 0)
		own = map_fd(r, t->fd, t->n * page_size(), true);
	expect_intact(r, check_tags(own, t->n, t->tags), "%s: the other process sees the tags",
		      t->kind);
	expect_intact(r, check_data(own, t->n, t->data), "%s: the other process sees the data",
		      t->kind);
	fill_tags(own, t->n, t->tags2);
	gate_open(t->set);
	must_wait(r, t->look);
	expect_intact(r, check_data(own, t->n, t->data + 1),
		      "%s: the other process sees the new data", t->kind);
	expect_intact(r, check_tags(own, t->n, t->tags2),
		      "%s: new data leaves the tags as they are", t->kind);
	gate_open(t->looked);
}

static void mapped_twice(struct run *r, size_t n, bool memfd)
{
	struct state_summary start = summary_now(r);
	struct twice t = {
		.kind = memfd ? "memfd" : "shared anonymous",
		.fd = memfd ? memfd_new(r, n * page_size()) : -1,
		.n = n,
		.data = rnd(r),
		.tags = rnd(r),
		.tags2 = rnd(r),
		.go = gate_new(r),
		.set = gate_new(r),
		.look = gate_new(r),
		.looked = gate_new(r),
	};
	size_t len = n * page_size(), storage = 0;
	struct state_page page;
	struct child *c;

	if (memfd) {
		step(r,
		     "The program fills a memfd of %zu pages through a mapping without PROT_MTE: plain data, no tag storage.",
		     n);
		t.plain = map_fd(r, t.fd, len, false);
		fill_data(t.plain, n, t.data);
		for (size_t i = 0; i < n; i++)
			storage += page_now(r, 0, t.plain + i * page_size()).has_storage;
		expect_eq_u64(r, storage, 0,
			      "memfd: data of an untagged mapping has no tag storage");
		expect_eq_u64(r, summary_now(r).reserved_pages, start.reserved_pages,
			      "memfd: it reserves nothing");

		step(r,
		     "It maps the memfd once more, with PROT_MTE, and reads. These pages were allocated for an untagged mapping: each gets its storage as it is mapped here.");
		t.tagged = map_fd(r, t.fd, len, true);
		expect_intact(r, check_data(t.tagged, n, t.data),
			      "memfd: the tagged mapping sees the data");
		for (size_t i = 0, bad = 0; i < n; i++) {
			const char *p = t.tagged + i * page_size();

			bad += tags_check_same(p, page_size(), 0).count != 0;
			if (i == n - 1)
				expect_eq_u64(r, bad, 0, "memfd: its tags begin as 0");
		}
	} else {
		step(r,
		     "Now memory shared by MAP_SHARED and MAP_ANONYMOUS, which only a child can share: mapped with PROT_MTE from the start.");
		t.tagged = map_fd(r, -1, len, true);
		fill_data(t.tagged, n, t.data);
	}
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "%s: each page has tag storage", t.kind);
	fill_tags(t.tagged, n, t.tags);
	expect_eq_u64(r, tags_not_stored(r, 0, t.tagged, n, 0), 0,
		      "%s: the tags are in tag storage", t.kind);
	if (memfd) {
		page = page_now(r, 0, t.plain);
		expect(r, page.tagged && page.has_storage && !page.vma_tagged && !page.foa,
		       "memfd: by the untagged mapping it is the same, tagged, page");
		expect_intact(r, check_data(t.plain, n, t.data),
			      "memfd: the untagged mapping sees the data");
	}

	step(r,
	     "A second process maps the same memory with PROT_MTE. It sees the tags, and sets others, which the first must see.");
	c = role_spawn(r, &other_role, other_side, &t);
	gate_open(t.go);
	must_wait(r, t.set);
	expect_intact(r, check_tags(t.tagged, n, t.tags2),
		      "%s: tags set by the other are seen here",
		      t.kind);
	expect_eq_u64(r, tags_not_stored(r, 0, t.tagged, n, 0), 0,
		      "%s: those tags are in tag storage", t.kind);
	expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
		      "%s: it takes no more storage for two", t.kind);
	/* Data comes in by whatever way there is that is not the tagged mapping. */
	fill_data(memfd ? t.plain : t.tagged, n, t.data + 1);
	gate_open(t.look);
	must_wait(r, t.looked);
	expect_role_done(r, c, WAIT_MS);
	expect_intact(r, check_tags(t.tagged, n, t.tags2), "%s: the tags survive the other process",
		      t.kind);

	if (memfd) {
		step(r,
		     "The tagged mapping goes away. The pages stay, in the memfd; and so do their tags: a new tagged mapping finds them.");
		if (munmap(t.tagged, len))
			bail_errno(r, "munmap");
		expect_eq_u64(r, summary_now(r).reserved_pages - start.reserved_pages, n,
			      "memfd: without a tagged mapping the pages keep their storage");
		expect_intact(r, check_data(t.plain, n, t.data + 1),
			      "memfd: the data is still there");
		t.tagged = map_fd(r, t.fd, len, true);
		expect_intact(r, check_tags(t.tagged, n, t.tags2),
			      "memfd: a new mapping finds the tags");

		step(r,
		     "A hole is punched into the memfd: those pages are freed, and their storage with them.");
		if (fallocate(t.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      (off_t)(n / 2 * page_size())))
			bail_errno(r, "fallocate");
		expect(r, reserved_pages_wait(r, start.reserved_pages + n - n / 2),
		       "memfd: the pages of the hole have no storage any more");
		expect_intact(r, tags_check_same(t.tagged, n / 2 * page_size(), 0),
			      "memfd: touched again, their tags are 0");
		munmap(t.plain, len);
		close(t.fd);
	}
	if (munmap(t.tagged, len))
		bail_errno(r, "munmap");
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "%s: unmapped and closed, all is given back",
	       t.kind);
}

/* ---- Both at once ------------------------------------------------------------------ */

/*
 * Two processes, in lockstep, touch the same page for the first time: one sets the
 * tags of the even granules, and writes there, the other those of the odd ones.
 * Whoever is late must not clear what the first has set already.
 */
enum start_state {
	FRESH,		/* no page yet */
	POPULATED,	/* by an untagged mapping, or write() */
	PENDING,	/* mapped tagged by mprotect(), so inaccessible */
	NR_STARTS,
};

static const char *const start_names[NR_STARTS] = {
	"pages that nobody has touched",
	"pages that hold data",
	"pages made inaccessible by mprotect",
};

struct race {
	char *base;
	size_t n;
	bool pending;		/* the racers make it taggable themselves */
	uint64_t seed;
	unsigned int parties;
	volatile unsigned int arrived;	/* counts on, n * parties in all */
	unsigned int started;		/* how many have begun */
};

static void meet(struct race *c, unsigned int number)
{
	unsigned int want = (number + 1) * c->parties;

	__atomic_add_fetch(&c->arrived, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&c->arrived, __ATOMIC_ACQUIRE) < want)
		if (sysconf(_SC_NPROCESSORS_ONLN) == 1)
			sched_yield();
}

static unsigned int half_tag(const struct race *c, size_t page, size_t granule)
{
	/* Never 0, which is what a lost tag looks like. */
	return 1 + tags_pattern_at(c->seed, page, granule * MTE_GRANULE) % 15;
}

static void race_run(struct run *r, void *arg)
{
	struct race *c = arg;
	unsigned int half = __atomic_fetch_add(&c->started, 1, __ATOMIC_ACQ_REL) % 2;

	/* Entries must be there, for mprotect() to make them inaccessible. */
	for (size_t i = 0; c->pending && i < c->n; i++)
		*(volatile char *)(c->base + i * page_size());
	if (c->pending && mprotect(c->base, c->n * page_size(), RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	for (size_t i = 0; i < c->n; i++) {
		char *p = c->base + i * page_size();

		meet(c, (unsigned int)i);
		for (size_t g = half; g < page_size() / MTE_GRANULE; g += 2) {
			tag_store(p + g * MTE_GRANULE, half_tag(c, i, g));
			*(volatile uint8_t *)(p + g * MTE_GRANULE) = (uint8_t)(i + g);
		}
	}
}

static void race_once(struct run *r, struct race *c, enum start_state how, uint64_t *lost_tags,
		      uint64_t *lost_data, uint64_t *bad)
{
	struct child *racer[2];
	size_t len = c->n * page_size();
	int fd = memfd_new(r, len);
	char *plain;

	if (how != FRESH) {
		plain = map_fd(r, fd, len, false);
		fill_data(plain, c->n, c->seed);
		munmap(plain, len);
	}
	c->arrived = c->started = 0;
	c->parties = 2;
	c->seed = rnd(r);
	c->pending = how == PENDING;
	c->base = map_fd(r, fd, len, how != PENDING);
	/* Or mprotect() takes what is free; the accesses may empty a block. */
	if (how == PENDING)
		storage_shortage(r, STORAGE_FULL);
	for (int k = 0; k < 2; k++)
		racer[k] = role_spawn(r, &racer_role, race_run, c);
	for (int k = 0; k < 2; k++) {
		struct role_end end = role_wait(r, racer[k], WAIT_MS);

		if (end.timed_out || end.status)
			bail(r, "a racer did not end well (signal %d)", end.signal);
	}
	if (how == PENDING)
		storage_shortage(r, STORAGE_NORMAL);
	if (how == PENDING && mprotect(c->base, len, RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	for (size_t i = 0; i < c->n; i++) {
		char *p = c->base + i * page_size();

		for (size_t g = 0; g < page_size() / MTE_GRANULE; g++) {
			*lost_tags += tag_load(p + g * MTE_GRANULE) != half_tag(c, i, g);
			*lost_data += *(uint8_t *)(p + g * MTE_GRANULE) != (uint8_t)(i + g);
		}
	}
	*bad += tags_not_stored(r, 0, c->base, c->n, 0);
	if (munmap(c->base, len))
		bail_errno(r, "munmap");
	close(fd);
}

static void races(struct run *r, size_t n, unsigned int rounds)
{
	struct state_summary start = summary_now(r);
	struct race *c = shared_alloc(r, sizeof(*c));

	step(r,
	     "Two processes touch the same page at the same moment, each for the first time. The tags are initialised once; what one has set, the other must not clear.");
	c->n = n;
	for (int how = 0; how < NR_STARTS; how++) {
		uint64_t lost_tags = 0, lost_data = 0, bad = 0, faults = summary_now(r).foa_fault;

		for (unsigned int i = 0; i < rounds; i++)
			race_once(r, c, (enum start_state)how, &lost_tags, &lost_data, &bad);
		expect_eq_u64(r, lost_tags, 0, "race for %s: no tag is lost", start_names[how]);
		expect_eq_u64(r, lost_data, 0, "race for %s: no data is lost", start_names[how]);
		expect_eq_u64(r, bad, 0, "race for %s: each page has tag storage",
			      start_names[how]);
		if (how == PENDING && failures_known(r, "race for pages without storage: faults"))
			expect_range(r, summary_now(r).foa_fault - faults, (uint64_t)n * rounds,
				     UINT64_MAX, "race for %s: they took faults", start_names[how]);
	}
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "after the races, all is given back");
}

/* ---- Many at once, where storage is held --------------------------------- */

#define CROWD 4			/* threads */
#define CROWD_PAGES 64

struct crowd {
	char *base;
	pthread_barrier_t together;
};

struct one_of_crowd {
	struct crowd *c;
	unsigned int me;
	pthread_t thread;
};

static void *touch_all(void *arg)
{
	struct one_of_crowd *o = arg;

	for (size_t i = 0; i < CROWD_PAGES; i++) {
		pthread_barrier_wait(&o->c->together);
		tag_store(o->c->base + i * page_size() + (size_t)o->me * MTE_GRANULE, o->me + 1);
	}
	return NULL;
}

/* Tagged pages far from each other: free pages beside them can be tagged whatever happens. */
static char *make_room(struct run *r, size_t len)
{
	size_t apart = (size_t)STATE_DATA_PER_TAG * page_size();
	char *p = mte_map(len, false);

	if (!p)
		bail_errno(r, "mmap");
	memset(p, 1, len);
	for (size_t off = 0; off < len; off += apart) {
		if (mprotect(p + off, page_size(), RW | PROT_MTE))
			bail_errno(r, "mprotect");
		tag_store(p + off, 1);
		if (madvise(p + off + page_size(), apart - page_size(), MADV_DONTNEED))
			bail_errno(r, "MADV_DONTNEED");
	}
	return p;
}

static void crowd_once(struct run *r, struct crowd *c)
{
	struct one_of_crowd one[CROWD];

	storage_shortage(r, STORAGE_HELD);
	for (unsigned int i = 0; i < CROWD; i++) {
		one[i] = (struct one_of_crowd){ .c = c, .me = i };
		one[i].thread = thread_start(r, touch_all, &one[i]);
	}
	for (unsigned int i = 0; i < CROWD; i++)
		pthread_join(one[i].thread, NULL);
	storage_shortage(r, STORAGE_NORMAL);
}

/*
 * No block is available, so each page has to move, which it cannot while anybody has a
 * reference to it: that must not be those who wait for it.
 */
static void crowd(struct run *r, unsigned int rounds)
{
	size_t room_len = (size_t)8 * STATE_DATA_PER_TAG * page_size();
	uint64_t lost_tags = 0, lost_data = 0, bad = 0;
	size_t len = CROWD_PAGES * page_size();
	struct state_summary start, end;
	struct crowd c;
	char *room;

	step(r,
	     "Four threads touch the same page at the same moment, and its block is not available: the page has to move, and none of them may be what keeps it from moving.");
	if (!failures_known(r, "a crowd: pages were moved"))
		return;
	room = make_room(r, room_len);
	if (pthread_barrier_init(&c.together, NULL, CROWD))
		bail(r, "no barrier");
	start = summary_now(r);
	for (unsigned int k = 0; k < rounds; k++) {
		c.base = mte_map(len, false);
		if (!c.base)
			bail_errno(r, "mmap");
		for (size_t i = 0; i < CROWD_PAGES; i++)
			pattern_fill(c.base + i * page_size(), page_size(), k, i);
		mprotect_storage_full(r, c.base, len);
		/* So that what is free beside tagged pages is found. */
		drain_free_lists(r);
		crowd_once(r, &c);
		for (size_t i = 0; i < CROWD_PAGES; i++)
			for (unsigned int t = 0; t < CROWD; t++)
				lost_tags += tag_load(c.base + i * page_size() +
						      (size_t)t * MTE_GRANULE) != t + 1;
		lost_data += check_data(c.base, CROWD_PAGES, k).count;
		bad += tags_not_stored(r, 0, c.base, CROWD_PAGES, 0);
		if (munmap(c.base, len))
			bail_errno(r, "munmap");
	}
	end = summary_now(r);
	measure(r, "crowd_replayed", "1", (double)(end.foa_replayed - start.foa_replayed));
	expect_eq_u64(r, end.foa_sigbus - start.foa_sigbus, 0, "a crowd: no access ended in SIGBUS");
	/* Some may lie in blocks that are reserved already. */
	expect_range(r, end.foa_replaced - start.foa_replaced, 1, rounds * CROWD_PAGES,
		     "a crowd: pages were moved");
	expect_eq_u64(r, lost_tags, 0, "a crowd: no tag is lost");
	expect_eq_u64(r, lost_data, 0, "a crowd: no data is lost");
	expect_eq_u64(r, bad, 0, "a crowd: each page has tag storage");
	pthread_barrier_destroy(&c.together);
	if (munmap(room, room_len))
		bail_errno(r, "munmap");
}

static void shared_run(struct run *r)
{
	struct state_summary start = summary_now(r), end;
	size_t n = param_u64(r, "pages");

	/* A page that is being moved counts twice. */
	gather_nothing(r);
	mapped_twice(r, n, true);
	mapped_twice(r, n, false);
	races(r, param_u64(r, "race_pages"), (unsigned int)param_u64(r, "rounds"));
	crowd(r, (unsigned int)param_u64(r, "rounds"));
	expect(r, reserved_blocks_wait(r, start.blocks_reserved),
	       "no more blocks are reserved than at the start");
	end = summary_now(r);
	expect_eq_u64(r, end.foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
}

static const struct scenario shared_scenario = {
	.name = "shared",
	.kind = SCENARIO_WORKLOAD,
	.summary = "memfd and shared anonymous memory, mapped tagged and untagged",
	.explanation =
		"Shared memory belongs to no single mapping: its pages are allocated before anybody knows whether a tagged mapping will come. "
		"Tags belong to the page, so all tagged mappings of it, in all processes, see the same ones, and they outlive each mapping. "
		"Two processes may also need the storage for one page's tags at the same moment, and initialise them at the same moment; "
		"then one of them must not clear what the other has set already.",
	.groups = "quick",
	.params = PARAMS(
		P_UINT("pages", "64", 2, 65536, "how many pages are shared"),
		P_UINT("race_pages", "128", 1, 4096, "pages that are raced for, in a round"),
		P_UINT("rounds", "8", 1, 100000, "rounds of the race, for each kind of page")),
	.needs = NEED_TAG_STORAGE,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS(FAILURE_SETTINGS, FREE_LIST_SETTINGS),
	.roles = ROLES(&other_role, &racer_role),
	.run = shared_run,
};
SCENARIO(shared_scenario);
