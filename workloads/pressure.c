// SPDX-License-Identifier: GPL-2.0-only
/*
 * All memory is filled with data that can be checked, tag storage included, while
 * tagged memory comes and goes. Whatever tags do to data, or data to tags, shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario/memory.h"
#include "scenario/needs.h"
#include "scenario/page.h"
#include "scenario/scenario.h"

#define MIB ((uint64_t)1 << 20)
#define RW (PROT_READ | PROT_WRITE)
#define MAX_WORKERS 8
#define HUGE_SIZE (2 * MIB)
#define SLOT_PAGES 64
#define PHASE_MS 240000

/* ---- What parent and roles share --------------------------------------------------- */

enum phase { IDLE, FILL, CHURN, CHECK, END };

enum holder_kind { ANON, HUGE, MEMFD, CACHE, NR_HOLDERS };

static const char *const holder_names[NR_HOLDERS] = {
	"anonymous memory",
	"anonymous memory in huge pages",
	"a mapped memfd",
	"page cache written and read by system calls",
};

struct worker {
	char *base;			/* a holder's mapping, for the parent to look up */
	size_t pages;
	struct mismatch data, tags;	/* the first of each */
	uint64_t checked;		/* pages */
	uint64_t tagged, freed;		/* pages a tagger has tagged, and has given back */
	uint64_t sigbus;
	unsigned int done;		/* the last phase number it has finished */
};

struct pressure {
	volatile unsigned int phase;	/* phase number * 8 + enum phase */
	volatile int stop;		/* CHURN ends */
	size_t holder_pages, tagger_pages;
	bool swap;
	unsigned int nr_taggers;
	struct worker holder[NR_HOLDERS], tagger[MAX_WORKERS];
};

struct job {
	struct pressure *p;
	unsigned int nr;
};

static const struct role holder_role = {
	.name = "holder",
	.summary = "keeps untagged data, and checks and changes it",
	.user = ROLE_ROOT,
};

static const struct role tagger_role = {
	.name = "tagger",
	.summary = "tags memory, checks it and gives it back, again and again",
	.user = ROLE_ROOT,
};

static void keep_first(struct mismatch *first, struct mismatch m)
{
	uint64_t count = first->count + m.count;

	if (!first->count)
		*first = m;
	first->count = count;
}

/* The next phase; roles have nothing else to do until it comes. */
static enum phase next_phase(const struct pressure *p, unsigned int *seen)
{
	unsigned int now;

	while ((now = __atomic_load_n(&p->phase, __ATOMIC_ACQUIRE)) == *seen)
		sleep_ms(2);
	*seen = now;
	return (enum phase)(now % 8);
}

/* ---- Holders: data without tags ------------------------------------------------------ */

struct holder {
	struct pressure *p;
	struct worker *w;
	enum holder_kind kind;
	int fd;
	char *base;		/* NULL for CACHE */
	char *buf;		/* a page, for CACHE */
	uint64_t *seed;		/* of each page */
};

static void holder_write(struct run *r, struct holder *h, size_t i)
{
	char *p = h->base ? h->base + i * page_size() : h->buf;

	h->seed[i] = rnd(r);
	pattern_fill(p, page_size(), h->seed[i], i);
	if (!h->base &&
	    pwrite(h->fd, h->buf, page_size(), (off_t)(i * page_size())) != (ssize_t)page_size())
		bail_errno(r, "writing to a memfd");
}

static void holder_check(struct run *r, struct holder *h, size_t i)
{
	const char *p = h->base ? h->base + i * page_size() : h->buf;
	struct mismatch m;

	if (!h->base &&
	    pread(h->fd, h->buf, page_size(), (off_t)(i * page_size())) != (ssize_t)page_size())
		bail_errno(r, "reading from a memfd");
	m = pattern_check(p, page_size(), h->seed[i], i);
	m.offset += i * page_size();
	keep_first(&h->w->data, m);
	h->w->checked++;
}

/* All of it, or a random quarter that is freed first, to come to lie elsewhere. */
static void holder_fill(struct run *r, struct holder *h, bool all)
{
	bool *renew = calloc(h->p->holder_pages, sizeof(*renew));

	if (!renew)
		bail(r, "out of memory");
	for (size_t i = 0; i < h->p->holder_pages; i++) {
		renew[i] = all || !rnd_below(r, 4);
		if (all || !renew[i])
			continue;
		holder_check(r, h, i);
		if (h->fd >= 0 ? fallocate(h->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   (off_t)(i * page_size()), (off_t)page_size()) :
				 madvise(h->base + i * page_size(), page_size(), MADV_DONTNEED))
			bail_errno(r, "freeing a page");
	}
	for (size_t i = 0; i < h->p->holder_pages; i++)
		if (renew[i])
			holder_write(r, h, i);
	free(renew);
}

static void holder_start(struct run *r, struct holder *h)
{
	size_t len = h->p->holder_pages * page_size();

	h->seed = calloc(h->p->holder_pages, sizeof(*h->seed));
	h->buf = malloc(page_size());
	if (!h->seed || !h->buf)
		bail(r, "out of memory");
	if (h->kind == MEMFD || h->kind == CACHE) {
		h->fd = memfd_create("tagscope-pressure", MFD_CLOEXEC);
		if (h->fd < 0 || ftruncate(h->fd, (off_t)len))
			bail_errno(r, "memfd of %zu bytes", len);
	}
	if (h->kind == CACHE)
		return;
	if (h->kind == MEMFD) {
		h->base = mmap(NULL, len, RW, MAP_SHARED, h->fd, 0);
	} else {
		h->base = mmap(NULL, len + HUGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (h->base != MAP_FAILED)
			h->base += -(uintptr_t)h->base % HUGE_SIZE;
	}
	if (h->base == MAP_FAILED)
		bail_errno(r, "mmap of %zu bytes", len);
	if (h->kind != MEMFD &&
	    madvise(h->base, len, h->kind == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    errno != EINVAL)
		bail_errno(r, "madvise for huge pages");
	h->w->base = h->base;
}

static void holder_run(struct run *r, void *arg)
{
	const struct job *job = arg;
	struct holder h = {
		.p = job->p,
		.w = &job->p->holder[job->nr],
		.kind = (enum holder_kind)job->nr,
		.fd = -1,
	};
	size_t n = h.p->holder_pages;
	unsigned int seen = 0;

	holder_start(r, &h);
	for (;;) {
		enum phase phase = next_phase(h.p, &seen);

		if (phase == END)
			break;
		if (phase == FILL) {
			holder_fill(r, &h, !h.w->pages);
			h.w->pages = n;
		}
		/* Looking more often than changing; and not so that it takes all time. */
		while (phase == CHURN && !h.p->stop) {
			size_t i = rnd_below(r, n);

			holder_check(r, &h, i);
			if (!rnd_below(r, 4))
				holder_write(r, &h, i);
			if (!rnd_below(r, 64))
				sleep_ms(1);
			if (h.p->swap && h.base && h.kind != HUGE && !rnd_below(r, 256))
				madvise(h.base + i * page_size(), page_size(), MADV_PAGEOUT);
		}
		for (size_t i = 0; phase == CHECK && i < n; i++)
			holder_check(r, &h, i);
		__atomic_store_n(&h.w->done, seen, __ATOMIC_RELEASE);
	}
	free(h.seed);
	free(h.buf);
}

/* ---- Taggers: memory that comes and goes ----------------------------------------------- */

struct slot {
	char *base;		/* NULL: unused */
	size_t pages;
	bool shared;
	uint64_t data, tags;	/* seeds */
};

struct tagger {
	struct pressure *p;
	struct worker *w;
	struct slot *slot;
	size_t nr_slots, used;	/* used: pages */
};

static size_t slot_len(const struct slot *s)
{
	return s->pages * page_size();
}

static void slot_data(struct run *r, struct slot *s)
{
	s->data = rnd(r);
	for (size_t i = 0; i < s->pages; i++)
		pattern_fill(s->base + i * page_size(), page_size(), s->data, i);
}

static void slot_tags(struct run *r, struct slot *s)
{
	s->tags = rnd(r);
	for (size_t i = 0; i < s->pages; i++)
		tags_fill(s->base + i * page_size(), page_size(), s->tags, i);
}

static void slot_check(struct worker *w, const struct slot *s)
{
	for (size_t i = 0; i < s->pages; i++) {
		const char *p = s->base + i * page_size();

		keep_first(&w->data, pattern_check(p, page_size(), s->data, i));
		keep_first(&w->tags, tags_check(p, page_size(), s->tags, i));
	}
	w->checked += s->pages;
}

static void slot_new(struct run *r, struct tagger *t, struct slot *s)
{
	unsigned int how = (unsigned int)rnd_below(r, 3);
	int fd;

	s->pages = 1 + rnd_below(r, SLOT_PAGES);
	s->shared = how == 2;
	if (s->shared) {
		fd = memfd_create("tagscope-tagged", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)slot_len(s)))
			bail_errno(r, "memfd of %zu bytes", slot_len(s));
		s->base = mmap(NULL, slot_len(s), RW | PROT_MTE, MAP_SHARED, fd, 0);
		close(fd);
	} else {
		s->base = mmap(NULL, slot_len(s), how == 0 ? RW | PROT_MTE : RW,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	if (s->base == MAP_FAILED)
		bail_errno(r, "mmap of %zu bytes", slot_len(s));
	slot_data(r, s);
	/* Data first, tags later. */
	if (how == 1 && mprotect(s->base, slot_len(s), RW | PROT_MTE))
		bail_errno(r, "mprotect with PROT_MTE");
	slot_tags(r, s);
	t->used += s->pages;
	t->w->tagged += s->pages;
}

static void slot_free(struct run *r, struct tagger *t, struct slot *s)
{
	slot_check(t->w, s);
	if (munmap(s->base, slot_len(s)))
		bail_errno(r, "munmap");
	t->used -= s->pages;
	t->w->freed += s->pages;
	s->base = NULL;
}

/* A child checks what it inherits, and changes it for itself; memfds it shares. */
static void slot_fork(struct run *r, struct tagger *t, struct slot *s)
{
	struct worker *w = t->w;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		bail_errno(r, "fork");
	if (!pid) {
		slot_check(w, s);
		if (!s->shared) {
			slot_tags(r, s);
			slot_data(r, s);
			slot_check(w, s);
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		bail(r, "a child of the tagger ended with wait status 0x%x", status);
	slot_tags(r, s);
}

static void tagger_step(struct run *r, struct tagger *t)
{
	struct slot *s = &t->slot[rnd_below(r, t->nr_slots)];

	if (!s->base) {
		if (t->used + SLOT_PAGES <= t->p->tagger_pages)
			slot_new(r, t, s);
		return;
	}
	switch (rnd_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		slot_free(r, t, s);
		break;
	case 3:
		slot_tags(r, s);
		break;
	case 4:
		slot_data(r, s);
		break;
	case 5:
		slot_fork(r, t, s);
		break;
	case 6:
		if (t->p->swap)
			madvise(s->base, slot_len(s), MADV_PAGEOUT);
		break;
	default:
		slot_check(t->w, s);
	}
}

static void tagger_run(struct run *r, void *arg)
{
	const struct job *job = arg;
	struct tagger t = { .p = job->p, .w = &job->p->tagger[job->nr] };
	unsigned int seen = 0;

	/* Half the slots are in use, on average, when the budget is. */
	t.nr_slots = t.p->tagger_pages / SLOT_PAGES * 4 + 1;
	t.slot = calloc(t.nr_slots, sizeof(*t.slot));
	if (!t.slot)
		bail(r, "out of memory");
	for (;;) {
		enum phase phase = next_phase(t.p, &seen);

		while (phase == CHURN && !t.p->stop)
			tagger_step(r, &t);
		for (size_t i = 0; i < t.nr_slots; i++) {
			if (phase == CHECK && t.slot[i].base)
				slot_check(t.w, &t.slot[i]);
			if (phase == END && t.slot[i].base)
				slot_free(r, &t, &t.slot[i]);
		}
		__atomic_store_n(&t.w->done, seen, __ATOMIC_RELEASE);
		if (phase == END)
			break;
	}
	free(t.slot);
}

/* ---- The scenario ------------------------------------------------------------------------ */

struct all {
	struct run *r;
	struct pressure *p;
	struct child *child[NR_HOLDERS + MAX_WORKERS];
	struct job job[NR_HOLDERS + MAX_WORKERS];
	struct ballast *b;
	unsigned int number;		/* of the phase */
	bool state;
	bool moves;	/* data lies in tag storage, and has to move */
	uint64_t reserve, room;
	struct state_summary start;
};

static void begin(struct all *a, enum phase phase)
{
	__atomic_store_n(&a->p->phase, ++a->number * 8 + phase, __ATOMIC_RELEASE);
}

/* Wait until all roles have done the phase; if one dies, there is no point in going on. */
static void finish(struct all *a)
{
	uint64_t until = now_ns() + PHASE_MS * 1000000ULL;
	unsigned int want = a->p->phase, left;

	do {
		left = 0;
		for (unsigned int i = 0; i < NR_HOLDERS + a->p->nr_taggers; i++) {
			const struct worker *w = i < NR_HOLDERS ? &a->p->holder[i] :
								  &a->p->tagger[i - NR_HOLDERS];

			if (__atomic_load_n(&w->done, __ATOMIC_ACQUIRE) == want)
				continue;
			left++;
			if (!role_wait(a->r, a->child[i], 0).timed_out)
				require(a->r, false, "no %s dies (of SIGBUS, or out of memory)",
					i < NR_HOLDERS ? "holder" : "tagger");
		}
		if (left)
			sleep_ms(10);
	} while (left && now_ns() < until);
	if (left)
		require(a->r, false, "all processes go on");
}

static size_t data_in_tag_storage(struct all *a)
{
	size_t n = ballast_in_tag_storage(a->r, a->b);

	for (int i = 0; i < NR_HOLDERS; i++)
		if (a->p->holder[i].base)
			n += pages_in_tag_storage(a->r, role_pid(a->child[i]),
						  a->p->holder[i].base, a->p->holder[i].pages);
	return n;
}

/*
 * Fill memory to the brim, and give back at once what the taggers need: when it is that
 * full, anything that asks for memory which cannot come from tag storage may bring the
 * OOM killer. What is given back is old, so it is not what lies in tag storage.
 */
static void fill_memory(struct all *a, unsigned int round)
{
	if (!round) {
		/* What is given back later comes first: it lies in ordinary memory. */
		ballast_grow(a->r, a->b, a->room, a->reserve);
		ballast_grow(a->r, a->b, UINT64_MAX, 2 * a->reserve +
			     NR_HOLDERS * a->p->holder_pages * page_size());
		begin(a, FILL);
		finish(a);
	}
	ballast_grow(a->r, a->b, UINT64_MAX, a->reserve);
	ballast_shrink(a->r, a->b, 2 * a->reserve + a->room);
}

static uint64_t tagged_so_far(const struct pressure *p)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < p->nr_taggers; i++)
		n += __atomic_load_n(&p->tagger[i].tagged, __ATOMIC_RELAXED);
	return n;
}

/* Whether tags have taken the place of data yet, and have left it, in any round. */
static bool has_emptied(struct all *a)
{
	return !a->moves || summary_now(a->r).reserve_migrated > a->start.reserve_migrated;
}

static bool has_released(struct all *a)
{
	return !a->state || summary_now(a->r).release > a->start.release;
}

static void one_round(struct all *a, unsigned int round, uint64_t ms)
{
	struct run *r = a->r;
	struct state_summary before = { .version = 0 }, after;
	uint64_t until;
	size_t there;

	if (round) {
		step(r, "The owners of data free a quarter of it, and write it anew.");
		begin(a, FILL);
		finish(a);
	}
	step(r,
	     "Memory is filled with data until hardly any is free, so that some of it comes to lie in tag storage. Then some is given back, elsewhere.");
	fill_memory(a, round);
	if (a->moves) {
		before = summary_now(r);
		there = data_in_tag_storage(a);
		measure(r, "data_in_tag_storage", "pages", (double)there);
		/* Or nothing is proved here. */
		expect_range(r, there, before.blocks * before.block_pages / 16, UINT64_MAX,
			     "round %u: data lies in tag storage", round + 1);
	}
	measure(r, "filled", "MiB", (double)(ballast_pages(a->b) * page_size() / MIB));

	step(r,
	     "%u processes tag memory and give it back, while the owners of data check and change it. Each tag needs a place where data lies now.",
	     a->p->nr_taggers);
	a->p->stop = 0;
	begin(a, CHURN);
	until = now_ns() + ms * 1000000;
	/* On a slow machine it takes longer until enough has happened. */
	while (now_ns() < until ||
	       ((tagged_so_far(a->p) < a->p->tagger_pages * (round + 1) / 2 || !has_emptied(a) ||
		 !has_released(a)) &&
		now_ns() < until + PHASE_MS * 1000000ULL))
		sleep_ms(50);
	a->p->stop = 1;
	finish(a);
	if (a->state) {
		after = summary_now(r);
		measure(r, "tagged_now", "pages", (double)after.reserved_pages);
		measure(r, "blocks_emptied", "blocks",
			(double)(after.reserve_migrated - before.reserve_migrated));
		measure(r, "data_still_in_tag_storage", "pages", (double)data_in_tag_storage(a));
		expect_eq_u64(r, after.foa_sigbus, before.foa_sigbus,
			      "round %u: no access ended in SIGBUS", round + 1);
	}

	step(r, "Now everybody checks all of it.");
	begin(a, CHECK);
	expect_intact(r, ballast_check(a->b), "round %u: the data that fills memory is intact",
		      round + 1);
	finish(a);
}

static void start_roles(struct all *a)
{
	struct run *r = a->r;

	for (unsigned int i = 0; i < NR_HOLDERS + a->p->nr_taggers; i++) {
		bool holder = i < NR_HOLDERS;

		a->job[i] = (struct job){ .p = a->p, .nr = holder ? i : i - NR_HOLDERS };
		a->child[i] = role_spawn(r, holder ? &holder_role : &tagger_role,
					 holder ? holder_run : tagger_run, &a->job[i]);
	}
}

static void verdicts(struct all *a)
{
	struct mismatch data = { .count = 0 }, tags = { .is_tag = true };
	uint64_t checked = 0, tagged = 0, freed = 0;

	for (int i = 0; i < NR_HOLDERS; i++) {
		checked += a->p->holder[i].checked;
		expect_intact(a->r, a->p->holder[i].data, "the data is intact in %s",
			      holder_names[i]);
	}
	for (unsigned int i = 0; i < a->p->nr_taggers; i++) {
		struct worker *w = &a->p->tagger[i];

		w->tags.is_tag = true;
		keep_first(&data, w->data);
		keep_first(&tags, w->tags);
		checked += w->checked;
		tagged += w->tagged;
		freed += w->freed;
	}
	expect_intact(a->r, data, "the data is intact in tagged memory");
	expect_intact(a->r, tags, "the tags are those the programs set");
	expect_range(a->r, tagged, a->p->tagger_pages / 2, UINT64_MAX,
		     "tagged memory came and went");
	measure(a->r, "pages_checked", "pages", (double)checked);
	measure(a->r, "pages_tagged", "pages", (double)tagged);
	measure(a->r, "pages_given_back", "pages", (double)freed);
}

static void pressure_run(struct run *r)
{
	struct all a = { .r = r, .state = param_bool(r, "state") };
	unsigned int rounds = (unsigned int)param_u64(r, "rounds");
	struct memory m = memory_now(r);
	struct state_summary start = { .block_pages = 1 };
	uint64_t tagged, storage;
	char why[1024];

	if (a.state && !have_tag_storage(&start, why, sizeof(why)))
		skip(r, "%s (state=no checks data and tags alone, on any kernel)", why);
	if (a.state && !have_dram_tags(why, sizeof(why))) {
		note(r, "%s", why);
		/* Then tags and data could not meet, whatever the kernel does. */
		require(r, false, "tags are in DRAM, where the device tree says");
	}
	a.start = start;
	a.moves = a.state && storage_takes_data(r, "data lies in tag storage, and has to move");
	a.reserve = memory_reserve(r);
	tagged = m.total / 100 * param_u64(r, "tagged");
	/* At worst each tagged page costs a block, whose data needs another place. */
	storage = tagged * start.block_pages < m.total / 32 ? tagged * start.block_pages :
							     m.total / 32;
	a.room = tagged + storage + 16 * MIB;
	if (m.free < 4 * a.reserve + 2 * a.room)
		skip(r,
		     "%" PRIu64 " MiB of free memory are too few: tagged=%" PRIu64 " needs %" PRIu64
		     " MiB",
		     m.free / MIB, param_u64(r, "tagged"), (4 * a.reserve + 2 * a.room) / MIB);

	a.p = shared_alloc(r, sizeof(*a.p));
	a.p->nr_taggers = (unsigned int)param_u64(r, "workers");
	a.p->tagger_pages = tagged / page_size() / a.p->nr_taggers;
	a.p->holder_pages = m.total / 100 * param_u64(r, "data") / page_size() / NR_HOLDERS;
	a.p->swap = m.swap_free > 64 * MIB;
	/* Before the ballast, which they must not inherit: it could not be given back. */
	start_roles(&a);
	a.b = ballast_new(r);
	for (unsigned int i = 0; i < rounds; i++)
		one_round(&a, i, param_u64(r, "seconds") * 1000 / rounds);

	expect(r, has_emptied(&a), "data had to move out of tag storage");
	expect(r, has_released(&a), "tag storage was given back");
	step(r, "All is given back.");
	ballast_free(a.b);
	begin(&a, END);
	for (unsigned int i = 0; i < NR_HOLDERS + a.p->nr_taggers; i++)
		expect_role_done(r, a.child[i], 60000);
	verdicts(&a);
	if (a.state)
		expect(r, reserved_pages_wait(r, start.reserved_pages),
		       "no more pages have tag storage than at the start");
}

static const struct scenario pressure_scenario = {
	.name = "pressure",
	.kind = SCENARIO_WORKLOAD,
	.summary = "all memory full of checked data while tagged memory comes and goes",
	.explanation =
		"If the kernel used tag storage for data while it holds tags, setting a tag would change somebody's data, and writing data somebody's tags. "
		"So this scenario fills all memory with data that can be checked, until some lies in tag storage, "
		"and then has several processes tag memory, check it and give it back, which drives that data from place to place. "
		"One wrong byte or tag, anywhere, fails it. It trusts nothing that the kernel says of itself: with state=no it runs on any kernel.",
	.groups = "stress",
	.params = PARAMS(
		P_UINT("seconds", "10", 1, 86400, "how long tagged memory comes and goes, in all"),
		P_UINT("rounds", "2", 1, 1000, "how often memory is filled anew"),
		P_UINT("workers", "2", 1, MAX_WORKERS, "processes that tag memory"),
		P_UINT("tagged", "4", 1, 20, "tagged at most, percent of memory"),
		P_UINT("data", "8", 1, 40, "changing data of four kinds, percent of memory"),
		P_BOOL("state", "yes", "look at the kernel's state, too; no: any kernel will do")),
	.needs = NEED_MTE | NEED_ROOT,
	.min_memory = 400 << 20,
	.time_limit_s = 900,
	.roles = ROLES(&holder_role, &tagger_role),
	.run = pressure_run,
};
SCENARIO(pressure_scenario);
