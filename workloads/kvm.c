// SPDX-License-Identifier: GPL-2.0-only
/* workloads/kvm.c: KVM guests with MTE: all their memory is tagged. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/failures.h"
#include "scenario/memory.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/swap.h"
#include "scenario/thread.h"
#include "vmm/content.h"
#include "vmm/vmm.h"

#define WAIT_MS 120000
#define RW (PROT_READ | PROT_WRITE)
#define SLOT_SIZE ((size_t)2 << 20)	/* of a huge page, so that KVM looks for one */
#define HUGE_PAGES 512
#define FRESH 8				/* pages that only the guest ever touches */
#define STORED 64			/* pages that begin in tag storage */

/* ---- What the guest should have in its memory ---------------------------- */

static void want_no_tags(struct content *c, size_t n)
{
	memset(c->tags, 0, n * STATE_TAGS_PER_PAGE);
}

static size_t differing(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;
	size_t bad = 0;

	for (size_t i = 0; i < n; i++)
		bad += p[i] != q[i];
	return bad;
}

static void expect_return(struct run *r, struct vmm_end end, const char *name, const char *what)
{
	if (end.exception)
		note(r, "the guest took an exception: ESR %llx, FAR %llx, ELR %llx",
		     (unsigned long long)end.x0, (unsigned long long)end.x1,
		     (unsigned long long)end.x2);
	require(r, !end.exception, "%s: %s, without an exception in the guest", name, what);
	expect_eq_u64(r, (uint64_t)-end.err, 0, "%s: %s, without an error of KVM_RUN", name, what);
	if (end.err)
		run_stop(r);
}

/* The guest writes what content says to the first n pages from ipa on. */
static void guest_sets(struct run *r, struct vmm *v, uint64_t ipa, const struct content *c,
		       size_t n,
		       const char *name, const char *what)
{
	expect_return(r, vmm_set(v, ipa, n, c->tags, c->data), name, what);
}

static void guest_finds(struct run *r, struct vmm *v, uint64_t ipa, struct content *c, size_t n,
			const char *name, const char *what)
{
	expect_return(r, vmm_get(v, ipa, n, c->got_tags, c->got_data), name, what);
	expect_eq_u64(r, differing(c->tags, c->got_tags, n * STATE_TAGS_PER_PAGE), 0,
		      "%s: %s: the tags are right", name, what);
	expect_eq_u64(r, differing(c->data, c->got_data, n * page_size()), 0,
		      "%s: %s: the data is right", name, what);
}

/* Pages of the guest that lack storage, or whose tags in DRAM are not what they should be. */
static size_t bad_storage(struct run *r, const struct content *c, const char *p, size_t n)
{
	struct state_tags tags;
	size_t bad = 0;

	/* The VMM may have no access yet to what the guest uses. */
	for (size_t i = 0; i < n; i++)
		bad += !tags_stored(r, 0, p + i * page_size(), STORED_PERMANENT | STORED_FOA,
				    &tags) ||
		       memcmp(tags.tags, c->tags + i * STATE_TAGS_PER_PAGE, STATE_TAGS_PER_PAGE);
	return bad;
}

static size_t pages_with_storage(struct run *r, const char *p, size_t n)
{
	size_t with = 0;

	for (size_t i = 0; i < n; i++) {
		struct state_page page;

		if (page_present(r, 0, p + i * page_size(), &page))
			with += page.has_storage;
	}
	return with;
}

/* ---- The VMM's memory ---------------------------------------------------- */

enum backing { PRIVATE, SHARED, MEMFD, NR_BACKINGS };
enum protection { PLAIN, TAGGED, LATER, NR_PROTECTIONS };

static const char *const backing_names[NR_BACKINGS] = {
	"private memory", "shared anonymous memory", "a memfd"
};

static const char *const protection_names[NR_PROTECTIONS] = {
	"without PROT_MTE", "with PROT_MTE", "with PROT_MTE by mprotect"
};

struct memory_of_guest {
	char *map;		/* as mapped, to be unmapped */
	char *base;		/* SLOT_SIZE bytes, so aligned */
	int fd;			/* -1, or a memfd */
};

static struct memory_of_guest map_memory(struct run *r, enum backing backing, bool tagged)
{
	struct memory_of_guest m = { .fd = -1 };
	int flags = backing == PRIVATE ? MAP_PRIVATE : MAP_SHARED;
	int prot = RW | (tagged ? PROT_MTE : 0);
	uintptr_t aligned;

	if (backing == MEMFD) {
		m.fd = memfd_create("tagscope-kvm", MFD_CLOEXEC);
		if (m.fd < 0 || ftruncate(m.fd, (off_t)SLOT_SIZE))
			bail_errno(r, "memfd of %zu bytes", SLOT_SIZE);
	}
	m.map = mmap(NULL, 2 * SLOT_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		     -1, 0);
	if (m.map == MAP_FAILED)
		bail_errno(r, "mmap of %zu bytes", 2 * SLOT_SIZE);
	aligned = ((uintptr_t)m.map + SLOT_SIZE - 1) & ~(SLOT_SIZE - 1);
	m.base = mmap((void *)aligned, SLOT_SIZE, prot,
		      flags | MAP_FIXED | (backing == MEMFD ? 0 : MAP_ANONYMOUS), m.fd, 0);
	if (m.base == MAP_FAILED)
		bail_errno(r, "mmap of %zu bytes for the guest", SLOT_SIZE);
	return m;
}

static void unmap_memory(struct run *r, struct memory_of_guest *m)
{
	if (munmap(m->map, 2 * SLOT_SIZE))
		bail_errno(r, "munmap");
	if (m->fd >= 0)
		close(m->fd);
}

static void give_memory(struct run *r, struct vmm *v, unsigned int slot, uint64_t ipa, void *host,
			size_t len, bool log)
{
	bail_if_error(r, vmm_memory(v, slot, ipa, host, len, log), "KVM_SET_USER_MEMORY_REGION");
}

static void advise(struct run *r, char *p, size_t len, int advice)
{
	if (madvise(p, len, advice))
		bail_errno(r, "madvise %d", advice);
}

/* Swap out n pages of the guest, all of which have storage. */
static void must_swap_out(struct run *r, char *p, size_t n, const char *name, const char *when)
{
	uint64_t before = summary_now(r).reserved_pages;

	require(r, swap_out(r, p, n, WAIT_MS), "%s: the guest's memory is swapped out%s", name,
		when);
	require(r, reserved_pages_wait(r, before - n), "%s: out%s, it has no storage", name,
		when);
}

/* ---- All kinds of memory ------------------------------------------------- */

static void swapped(struct run *r, struct vmm *v, struct content *c,
		    const struct memory_of_guest *m,
		    size_t n, const char *name)
{
	uint64_t seed = rnd(r);

	step(r,
	     "%s: swapped out, the guest's tags go aside, and their storage is free. The VMM asks for the tags, as for a migration: they are there.",
	     name);
	must_swap_out(r, m->base, n, name, "");
	memset(c->got_tags, 0xff, n * STATE_TAGS_PER_PAGE);
	expect_eq_u64(r, (uint64_t)vmm_copy_tags_from(v, VMM_MEMORY, n, c->got_tags),
		      n * page_size(),
		      "%s: KVM_ARM_MTE_COPY_TAGS reads tags of what is swapped out", name);
	expect_eq_u64(r, differing(c->tags, c->got_tags, n * STATE_TAGS_PER_PAGE), 0,
		      "%s: it reads the right ones", name);
	expect_eq_u64(r, bad_storage(r, c, m->base, n), 0, "%s: back in memory, they have storage",
		      name);

	step(r, "%s: out again; the VMM sets other tags, which the guest must find.", name);
	must_swap_out(r, m->base, n, name, " again");
	content_want_tags(c, 0, n, seed);
	expect_eq_u64(r, (uint64_t)vmm_copy_tags_to(v, VMM_MEMORY, n, c->tags), n * page_size(),
		      "%s: KVM_ARM_MTE_COPY_TAGS sets tags of what is swapped out", name);
	expect_eq_u64(r, bad_storage(r, c, m->base, n), 0, "%s: the tags it sets have storage",
		      name);
	guest_finds(r, v, VMM_MEMORY, c, n, name, "the guest reads tags set while it was out");

	step(r, "%s: out a third time; now the guest itself needs its memory, and faults.", name);
	must_swap_out(r, m->base, n, name, " a third time");
	guest_finds(r, v, VMM_MEMORY, c, n, name, "the guest swaps in");
	expect_eq_u64(r, bad_storage(r, c, m->base, n), 0, "%s: what it swapped in has storage",
		      name);
}

static void fresh(struct run *r, struct vmm *v, struct content *c, const struct memory_of_guest *m,
		  size_t n, const char *name)
{
	char *p = m->base + n * page_size();
	uint64_t ipa = VMM_MEMORY + n * page_size(), seed = rnd(r);

	step(r,
	     "%s: pages that nobody has touched. The guest sets the tags of some first, and reads others; the VMM sets those of the rest.",
	     name);
	content_want_data(c, 0, FRESH, seed);
	content_want_tags(c, 0, FRESH, seed);
	guest_sets(r, v, ipa, c, FRESH, name, "the guest tags new pages");
	guest_finds(r, v, ipa, c, FRESH, name, "the guest reads new pages");
	expect_eq_u64(r, bad_storage(r, c, p, FRESH), 0, "%s: new pages have storage", name);

	ipa += FRESH * page_size();
	p += FRESH * page_size();
	memset(c->data, 0, FRESH * page_size());
	want_no_tags(c, FRESH);
	guest_finds(r, v, ipa, c, FRESH, name, "the guest reads pages that are not there");
	content_want_data(c, 0, FRESH, seed + 1);
	content_want_tags(c, 0, FRESH, seed + 1);
	guest_sets(r, v, ipa, c, FRESH, name, "the guest then writes there");
	guest_finds(r, v, ipa, c, FRESH, name, "the guest reads what it wrote there");
	expect_eq_u64(r, bad_storage(r, c, p, FRESH), 0, "%s: these pages have storage", name);

	ipa += FRESH * page_size();
	p += FRESH * page_size();
	memset(c->data, 0, FRESH * page_size());
	content_want_tags(c, 0, FRESH, seed + 2);
	expect_eq_u64(r, (uint64_t)vmm_copy_tags_to(v, ipa, FRESH, c->tags), FRESH * page_size(),
		      "%s: KVM_ARM_MTE_COPY_TAGS sets tags of new pages", name);
	expect_eq_u64(r, bad_storage(r, c, p, FRESH), 0, "%s: those have storage, too", name);
	guest_finds(r, v, ipa, c, FRESH, name, "the guest reads pages the VMM has tagged");
}

/* What the VMM sees of the guest by its own mapping, and the guest of the VMM. */
static void seen_by_vmm(struct run *r, struct vmm *v, struct content *c,
			const struct memory_of_guest *m, size_t n, bool tags, const char *name)
{
	struct mismatch wrong = { .count = 0 };
	uint64_t seed = rnd(r);
	size_t bad;

	bad = differing(c->data, m->base, n * page_size());
	expect_eq_u64(r, bad, 0, "%s: the VMM sees the guest's data", name);
	if (!tags)
		return;
	for (size_t i = 0; i < n * STATE_TAGS_PER_PAGE; i++)
		bad += tag_load(m->base + i * MTE_GRANULE) != c->tags[i];
	expect_eq_u64(r, bad, 0, "%s: the VMM sees the guest's tags", name);

	content_want_tags(c, 0, n, seed);
	for (size_t i = 0; i < n * STATE_TAGS_PER_PAGE; i++)
		tag_store(m->base + i * MTE_GRANULE, c->tags[i]);
	for (size_t i = 0; i < n && !wrong.count; i++)
		wrong = tags_check(m->base + i * page_size(), page_size(), seed, i);
	expect_intact(r, wrong, "%s: the VMM sets tags", name);
	guest_finds(r, v, VMM_MEMORY, c, n, name, "the guest reads tags set by the VMM");
}

static void one_kind(struct run *r, struct vmm *v, size_t n, enum backing backing,
		     enum protection prot)
{
	uint64_t start = summary_now(r).reserved_pages, seed = rnd(r);
	struct memory_of_guest m = map_memory(r, backing, prot == TAGGED);
	struct content c = content_new(r);
	char name[80];
	bool at_once;

	snprintf(name, sizeof(name), "%s %s", backing_names[backing], protection_names[prot]);
	step(r,
	     "A VMM fills %s %s, and gives it to a guest with MTE. Whatever the VMM does, the guest may set tags: its pages need storage before the guest can get at them.",
	     backing_names[backing], protection_names[prot]);
	content_want_data(&c, 0, n, seed);
	memcpy(m.base, c.data, n * page_size());
	if (prot == LATER)
		mprotect_storage_full(r, m.base, SLOT_SIZE);
	/* With cleancache storage cannot be short: mprotect() finds it, and puts nothing off. */
	at_once = prot == TAGGED || (prot == LATER && policy_is_cleancache(r));
	/* Where others have storage a page of such a block has it, too. */
	expect_range(r, pages_with_storage(r, m.base, n), at_once ? n : 0,
		     at_once ? n : prot == LATER ? n / 2 : 0,
		     "%s: before the guest comes, pages have storage if the VMM tags", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	want_no_tags(&c, n);
	guest_finds(r, v, VMM_MEMORY, &c, n, name, "the guest reads");
	expect_eq_u64(r, bad_storage(r, &c, m.base, n), 0,
		      "%s: what the guest has read has storage", name);

	step(r, "%s: the guest sets tags and data.", name);
	content_want_data(&c, 0, n, seed + 1);
	content_want_tags(&c, 0, n, seed + 1);
	guest_sets(r, v, VMM_MEMORY, &c, n, name, "the guest writes");
	guest_finds(r, v, VMM_MEMORY, &c, n, name, "the guest reads what it wrote");
	expect_eq_u64(r, bad_storage(r, &c, m.base, n), 0,
		      "%s: the guest's tags are in tag storage", name);
	seen_by_vmm(r, v, &c, &m, n, prot != PLAIN, name);

	step(r, "%s: the VMM copies the tags, from the guest and to it.", name);
	memset(c.got_tags, 0xff, n * STATE_TAGS_PER_PAGE);
	expect_eq_u64(r, (uint64_t)vmm_copy_tags_from(v, VMM_MEMORY, n, c.got_tags),
		      n * page_size(),
		      "%s: KVM_ARM_MTE_COPY_TAGS reads tags", name);
	expect_eq_u64(r, differing(c.tags, c.got_tags, n * STATE_TAGS_PER_PAGE), 0,
		      "%s: they are the guest's", name);
	content_want_tags(&c, 0, n, seed + 2);
	expect_eq_u64(r, (uint64_t)vmm_copy_tags_to(v, VMM_MEMORY, n, c.tags), n * page_size(),
		      "%s: KVM_ARM_MTE_COPY_TAGS sets tags", name);
	guest_finds(r, v, VMM_MEMORY, &c, n, name, "the guest reads tags that were copied");

	swapped(r, v, &c, &m, n, name);
	fresh(r, v, &c, &m, n, name);

	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
	expect(r, reserved_pages_wait(r, start),
	       "%s: taken back, it has no storage any more", name);
	content_free(&c);
}

/* ---- What the guest itself sees of MTE ----------------------------------- */

static void in_the_guest(struct run *r, struct vmm *v)
{
	struct memory_of_guest m = map_memory(r, PRIVATE, false);
	unsigned int exclude = 0x8001;
	struct vmm_end end;

	step(r,
	     "The guest has MTE like any computer: IRG makes random tags, and a load by the wrong tag is an exception, in the guest.");
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	end = vmm_call(v, VMM_RANDOM, VMM_MEMORY, 4, exclude, 0);
	expect_return(r, end, "in the guest", "IRG");
	expect_eq_u64(r, end.x0, 0,
		      "in the guest: tags made by IRG are set, and none is an excluded one");
	expect_eq_u64(r, end.x1, 0xffff & ~exclude, "in the guest: IRG makes all others");
	for (unsigned int i = 0; i < page_size() / MTE_GRANULE; i += 17) {
		unsigned int tag = (unsigned int)tags_now(r, 0, m.base).tags[i];
		uint64_t addr = VMM_MEMORY + (uint64_t)i * MTE_GRANULE;

		end = vmm_call(v, VMM_LOAD, addr | (uint64_t)tag << 56, 0, 0, 0);
		expect(r, !end.err && !end.exception,
		       "in the guest: a load by the right tag works");
		end = vmm_call(v, VMM_LOAD, addr | (uint64_t)(tag ^ 1) << 56, 0, 0, 0);
		/* Data abort without a change of level, synchronous tag check fault. */
		expect(r,
		       !end.err && end.exception && end.x0 >> 26 == 0x25 && (end.x0 & 0x3f) == 0x11,
		       "in the guest: a load by the wrong tag is a tag check fault");
	}
	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
}

/* What was never written is the zero page, in stage 2 as well. */
static void zero_page(struct run *r, struct vmm *v)
{
	struct memory_of_guest m = map_memory(r, PRIVATE, false);
	struct state_page zero;
	struct vmm_end end;

	step(r,
	     "The guest reads memory that was never written. It gets the zero page, which all programs share, and which is not a tagged page: its tags are 0 for ever.");
	advise(r, m.base, SLOT_SIZE, MADV_NOHUGEPAGE);
	expect_eq_u64(r, *(volatile uint8_t *)m.base, 0, "zero page: the VMM reads 0");
	zero = page_now(r, 0, m.base);
	expect(r, !zero.tagged, "zero page: it is not tagged to begin with");
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	for (unsigned int i = 0; i < 4; i++) {
		end = vmm_call(v, VMM_LOAD, VMM_MEMORY + i * page_size(), 0, 0, 0);
		expect(r, !end.err && !end.exception && !end.x0, "zero page: the guest reads 0");
	}
	expect(r, !pfn_now(r, zero.pfn).tagged, "zero page: it is not tagged when a guest has it");
	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
}

/* ---- Huge pages ---------------------------------------------------------- */

/* Private memory in one huge page. False if the kernel has none. */
/* What: a result that is skipped if there is no huge page; NULL: nothing. */
static bool huge_memory(struct run *r, struct memory_of_guest *m, const char *what)
{
	for (int tries = 0; tries < 10; tries++) {
		*m = map_memory(r, PRIVATE, false);
		advise(r, m->base, SLOT_SIZE, MADV_HUGEPAGE);
		memset(m->base, 0, SLOT_SIZE);
		if (page_now(r, 0, m->base).order == 9)
			return true;
		unmap_memory(r, m);
		drain_lru(r);
	}
	if (what)
		skip_result(r, "no huge page is available", "%s", what);
	return false;
}

static size_t tagged_pages(struct run *r, const char *p, size_t n)
{
	size_t tagged = 0;

	for (size_t i = 0; i < n; i++) {
		struct state_page page = page_now(r, 0, p + i * page_size());

		tagged += page.tagged && page.has_storage;
	}
	return tagged;
}

/*
 * The storage of the rest of a huge page is not available. Which attempts fail is chosen, so
 * that nothing depends on what else there is in memory.
 */
static void huge_in_part(struct run *r, struct vmm *v)
{
	const char *name = "a huge page with storage for a part";
	uint64_t start = summary_now(r).reserved_pages, seed = rnd(r);
	struct content c = content_new(r);
	struct memory_of_guest m;
	size_t tagged = 0;

	step(r,
	     "The VMM has a huge page again, but only the first three of its tag blocks are available. KVM must not map all of it: a small page will do, and the guest gets the others one by one, as soon as there is storage.");
	if (!failures_known(r, "a huge page with storage for a part: the guest stores") ||
	    !huge_memory(r, &m, "a huge page with storage for a part: the guest stores")) {
		content_free(&c);
		return;
	}
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	fail_attempts(r, FAIL_ISOLATE, 100, 0);
	fail_attempts(r, FAIL_RESERVE, 100, 3);
	expect_return(r, vmm_call(v, VMM_STORE, VMM_MEMORY + 7 * page_size(), 0, 0, 0), name,
		      "the guest stores");
	fail_attempts(r, FAIL_ISOLATE, 0, 0);
	fail_attempts(r, FAIL_RESERVE, 0, 0);
	for (size_t i = 0; i < HUGE_PAGES; i++)
		tagged += page_now(r, 0, m.base + i * page_size()).tagged;
	expect_eq_u64(r, tagged, 1, "%s: only the page that the guest stored to is tagged", name);
	expect_eq_u64(r, tagged_pages(r, m.base, HUGE_PAGES), 1, "%s: and has storage", name);
	content_want_data(&c, 0, HUGE_PAGES, seed);
	content_want_tags(&c, 0, HUGE_PAGES, seed);
	guest_sets(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest writes all of it");
	guest_finds(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest reads all of it");
	expect_eq_u64(r, bad_storage(r, &c, m.base, HUGE_PAGES), 0,
		      "%s: the tags are in tag storage", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
	expect(r, reserved_pages_wait(r, start), "%s: freed, it has no storage any more", name);
	content_free(&c);
}

static void huge(struct run *r, struct vmm *v)
{
	uint64_t start = summary_now(r).reserved_pages, seed = rnd(r);
	struct content c = content_new(r);
	struct memory_of_guest m;
	const char *name = "a huge page";

	step(r,
	     "The VMM has a huge page. The guest stores to one place, and KVM maps all of it: so it needs storage for the tags of all 512 pages.");
	if (!huge_memory(r, &m, "a huge page: the guest stores")) {
		content_free(&c);
		return;
	}
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	expect_return(r, vmm_call(v, VMM_STORE, VMM_MEMORY + 7 * page_size(), 0, 0, 0), name,
		      "the guest stores");
	expect_eq_u64(r, tagged_pages(r, m.base, HUGE_PAGES), HUGE_PAGES,
		      "%s: all its pages are tagged, and have storage", name);
	content_want_data(&c, 0, HUGE_PAGES, seed);
	content_want_tags(&c, 0, HUGE_PAGES, seed);
	guest_sets(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest writes all of it");
	expect_eq_u64(r, bad_storage(r, &c, m.base, HUGE_PAGES), 0,
		      "%s: the tags are in tag storage", name);
	must_swap_out(r, m.base, HUGE_PAGES, name, "");
	guest_finds(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest swaps it in");
	expect_eq_u64(r, bad_storage(r, &c, m.base, HUGE_PAGES), 0,
		      "%s: what came back has storage", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
	expect(r, reserved_pages_wait(r, start), "%s: freed, it has no storage any more", name);

	/*
	 * While it logs, KVM maps small pages. What makes it map the huge page later is
	 * a fault for permission to write, on one page that is mapped already.
	 */
	name = "a huge page after logging";
	step(r,
	     "While a VM is migrated, KVM maps small pages, write-protected. If the migration is given up, it maps the huge page again, at the guest's next store to a page it has: the other 511 are new to the guest.");
	if (!huge_memory(r, &m, "a huge page after logging: the guest stores to it")) {
		content_free(&c);
		return;
	}
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, true);
	memset(c.data, 0, HUGE_PAGES * page_size());
	want_no_tags(&c, HUGE_PAGES);
	guest_finds(r, v, VMM_MEMORY, &c, 1, name, "the guest reads one page");
	expect_eq_u64(r, tagged_pages(r, m.base, HUGE_PAGES), 1, "%s: one page is tagged", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	expect_return(r, vmm_call(v, VMM_STORE, VMM_MEMORY, 0, 0, 0), name,
		      "the guest stores to it");
	guest_finds(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest reads all of it");
	content_want_data(&c, 0, HUGE_PAGES, seed + 1);
	content_want_tags(&c, 0, HUGE_PAGES, seed + 1);
	guest_sets(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest writes all of it");
	expect_eq_u64(r, bad_storage(r, &c, m.base, HUGE_PAGES), 0,
		      "%s: the tags are in tag storage", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
	expect(r, reserved_pages_wait(r, start), "%s: freed, it has no storage any more", name);
	content_free(&c);
	huge_in_part(r, v);
}

/* ---- Memory in tag storage, and pins ------------------------------------- */

#define MAX_PINS 4096

/* Pages of ballast as guest memory: the guest must leave them as they are. */
static void stored_content(struct content *c, char *const *pages, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		memcpy(c->data + i * page_size(), pages[i], page_size());
	content_want_tags(c, 0, n, seed);
}

static size_t count_stored(struct run *r, char *const *pages, size_t n)
{
	size_t in = 0;

	for (size_t i = 0; i < n; i++)
		in += page_now(r, 0, pages[i]).in_tag_storage;
	return in;
}

static size_t bad_pages(struct run *r, const struct content *c, char *const *pages, size_t n)
{
	size_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		struct content one = *c;

		one.tags += i * STATE_TAGS_PER_PAGE;
		bad += bad_storage(r, &one, pages[i], 1);
	}
	return bad;
}

static void moved_out(struct run *r, struct vmm *v, char *const *pages, size_t n, bool before_pin)
{
	const char *name = before_pin ? "memory in tag storage" :
					"memory in tag storage that get_user_pages() leaves there";
	struct content c = content_new(r);

	switch_set(r, "move_before_pin", before_pin);
	for (size_t i = 0; i < n; i++)
		give_memory(r, v, (unsigned int)i, VMM_MEMORY + i * page_size(), pages[i],
			    page_size(),
			    false);
	expect_eq_u64(r, count_stored(r, pages, n), n, "%s: it is there", name);
	stored_content(&c, pages, n, rnd(r));
	guest_sets(r, v, VMM_MEMORY, &c, n, name, "the guest writes");
	expect_eq_u64(r, count_stored(r, pages, n), 0, "%s: it was moved out for the guest", name);
	guest_finds(r, v, VMM_MEMORY, &c, n, name, "the guest reads");
	expect_eq_u64(r, bad_pages(r, &c, pages, n), 0, "%s: the tags are in tag storage", name);
	for (size_t i = 0; i < n; i++)
		give_memory(r, v, (unsigned int)i, VMM_MEMORY + i * page_size(), pages[i], 0,
			    false);
	switch_set(r, "move_before_pin", 1);
	content_free(&c);
}

/* A page that cannot be tagged where it is, and cannot be moved. */
static void stuck(struct run *r, struct vmm *v, char *page)
{
	const unsigned int wait_ms = 200;
	struct pins *pins;
	struct content c = content_new(r);
	const char *name = "a pinned page in tag storage";
	struct vmm_end end;
	uint64_t t;
	long ret;

	step(r,
	     "A page of the VMM lies in tag storage and is pinned there. The guest cannot have it: KVM_RUN says so, and where, in bounded time, and the VMM decides.");
	switch_set(r, "move_before_pin", 0);
	switch_set(r, "fault_wait_ms", wait_ms);
	pins = pin_pages(r, &page, 1);
	require(r, page_now(r, 0, page).in_tag_storage, "%s: it is there", name);
	give_memory(r, v, 0, VMM_MEMORY, page, page_size(), false);
	stored_content(&c, &page, 1, rnd(r));
	end = vmm_set(v, VMM_MEMORY, 1, c.tags, c.data);
	expect_eq_u64(r, (uint64_t)-end.err, EFAULT, "%s: KVM_RUN fails with EFAULT", name);
	expect_eq_u64(r, end.fault_size, page_size(),
		      "%s: the exit is a memory fault, of a page", name);
	expect_eq_u64(r, end.fault_gpa, VMM_MEMORY, "%s: it tells which page of the guest", name);
	/* The upper bound is for a busy machine. */
	expect_range(r, end.ns / 1000000, wait_ms / 2, wait_ms + 20000,
		     "%s: it waits no longer than fault_wait_ms says", name);
	measure(r, "pinned_page_fault", "ns", (double)end.ns);
	t = now_ns();
	ret = vmm_copy_tags_to(v, VMM_MEMORY, 1, c.tags);
	t = now_ns() - t;
	expect_eq_u64(r, (uint64_t)-ret, EBUSY, "%s: KVM_ARM_MTE_COPY_TAGS fails with EBUSY", name);
	expect_range(r, t / 1000000, wait_ms / 2, wait_ms + 20000,
		     "%s: it waits no longer, either", name);
	ret = vmm_copy_tags_from(v, VMM_MEMORY, 1, c.got_tags);
	expect(r, ret == (long)page_size() && !c.got_tags[0] &&
	       !memcmp(c.got_tags, c.got_tags + 1, STATE_TAGS_PER_PAGE - 1),
	       "%s: it reads tags of 0 from it", name);

	step(r,
	     "The pin is gone, and the VMM has the guest try again: it goes on where it stopped.");
	unpin_pages(pins);
	end = vmm_again(v);
	expect_return(r, end, name, "not pinned any more, the guest goes on");
	guest_finds(r, v, VMM_MEMORY, &c, 1, name, "the guest then reads");
	expect_eq_u64(r, bad_pages(r, &c, &page, 1), 0, "%s: then its tags are in tag storage",
		      name);
	give_memory(r, v, 0, VMM_MEMORY, page, 0, false);
	switch_set(r, "move_before_pin", 1);
	switch_set(r, "fault_wait_ms", 1000);
	content_free(&c);
}

/*
 * Every second block is held that can be; the guest's huge page needs some of those.
 * What is free is in one piece, as the oldest of the ballast was: not all of its blocks
 * may be held, or there would be no place for anything tagged.
 */
static void amid_pins(struct run *r, struct vmm *v, struct memory_of_guest *m, char *const *pages,
		      size_t n)
{
	const char *name = "a huge page amid pins";
	struct content c = content_new(r);
	uint64_t seed = rnd(r);
	int64_t held = -1;
	struct pins *pins;

	step(r,
	     "%zu pages in tag storage are pinned, and the guest's huge page needs some of it. It is mapped in small pages, and those whose tags cannot be stored move.",
	     n);
	switch_set(r, "move_before_pin", 0);
	pins = pin_pages(r, pages, n);
	require(r, count_stored(r, pages, n), "%s: there are pins in tag storage", name);
	for (size_t i = 0; i < HUGE_PAGES && held < 0; i++) {
		struct state_page page = page_now(r, 0, m->base + i * page_size());

		if (page.block_state == BLOCK_PINNED)
			held = page.block;
	}
	give_memory(r, v, 0, VMM_MEMORY, m->base, SLOT_SIZE, false);
	content_want_data(&c, 0, HUGE_PAGES, seed);
	content_want_tags(&c, 0, HUGE_PAGES, seed);
	guest_sets(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest writes all of it");
	guest_finds(r, v, VMM_MEMORY, &c, HUGE_PAGES, name, "the guest reads all of it");
	expect_eq_u64(r, bad_storage(r, &c, m->base, HUGE_PAGES), 0,
		      "%s: the tags are in tag storage", name);
	/* Others' references, which come and go, look like pins. */
	if (held >= 0 && block_now(r, (uint64_t)held).letter == BLOCK_PINNED)
		expect(r, page_now(r, 0, m->base).order != 9,
		       "%s: it is not in one piece any more", name);
	else
		skip_result(r, "none of the pins is in the tag storage of the huge page",
			    "%s: it is not in one piece any more", name);
	give_memory(r, v, 0, VMM_MEMORY, m->base, 0, false);
	unpin_pages(pins);
	switch_set(r, "move_before_pin", 1);
	content_free(&c);
}

/* ---- While the kernel takes the memory away ------------------------------ */

struct thief {
	char *p;
	size_t len;
	int compact;
	bool stop;
	uint64_t rounds;
};

static void *steal(void *arg)
{
	struct thief *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		/* What cannot be done now is done next time. */
		(void)madvise(t->p, t->len, MADV_PAGEOUT);
		if (t->compact >= 0 && t->rounds % 8 == 0)
			(void)!write(t->compact, "1", 1);
		t->rounds++;
	}
	return NULL;
}

static void stolen(struct run *r, struct vmm *v, size_t n, unsigned int rounds,
		   enum backing backing)
{
	uint64_t start = summary_now(r).reserved_pages, bad_tags = 0, bad_data = 0, errors = 0;
	struct memory_of_guest m = map_memory(r, backing, false);
	struct content c = content_new(r);
	struct thief thief = { .p = m.base, .len = n * page_size() };
	const char *name = backing_names[backing];
	pthread_t thread;

	step(r,
	     "%s: the guest works, while another thread has its memory swapped out and moved about, again and again.",
	     name);
	thief.compact = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
	if (thief.compact < 0)
		skip_result(r, "no compaction", "%s: its memory is moved about", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, SLOT_SIZE, false);
	thread = thread_start(r, steal, &thief);
	for (unsigned int i = 0; i < rounds && !errors; i++) {
		uint64_t seed = rnd(r);
		struct vmm_end end;

		content_want_data(&c, 0, n, seed);
		content_want_tags(&c, 0, n, seed);
		end = vmm_set(v, VMM_MEMORY, n, c.tags, c.data);
		errors += end.err || end.exception;
		if (i % 4 == 3) {
			content_want_tags(&c, 0, n, seed + 1);
			errors += vmm_copy_tags_to(v, VMM_MEMORY, n,
						   c.tags) != (long)(n * page_size());
		}
		end = vmm_get(v, VMM_MEMORY, n, c.got_tags, c.got_data);
		errors += end.err || end.exception;
		bad_tags += differing(c.tags, c.got_tags, n * STATE_TAGS_PER_PAGE);
		bad_data += differing(c.data, c.got_data, n * page_size());
		errors += vmm_copy_tags_from(v, VMM_MEMORY, n,
					     c.got_tags) != (long)(n * page_size());
		bad_tags += differing(c.tags, c.got_tags, n * STATE_TAGS_PER_PAGE);
	}
	__atomic_store_n(&thief.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	if (thief.compact >= 0)
		close(thief.compact);
	note(r, "%u rounds of the guest, %llu of reclaim and compaction", rounds,
	     (unsigned long long)thief.rounds);
	expect_eq_u64(r, errors, 0, "%s taken away: no call fails", name);
	expect_eq_u64(r, bad_tags, 0, "%s taken away: no tag is lost", name);
	expect_eq_u64(r, bad_data, 0, "%s taken away: no data is lost", name);
	give_memory(r, v, 0, VMM_MEMORY, m.base, 0, false);
	unmap_memory(r, &m);
	expect(r, reserved_pages_wait(r, start), "%s taken away: in the end it has no storage",
	       name);
	content_free(&c);
}

/* ---- All of it ----------------------------------------------------------- */

#define HUGE_CHOICE 8

/* Take n pages that are in tag storage still: finding storage for others moves some. */
static void take_stored(struct run *r, char *const *pages, size_t nr, size_t *next, char **some,
			size_t n)
{
	size_t got = 0;

	while (got < n && *next < nr) {
		char *p = pages[(*next)++];

		if (page_now(r, 0, p).in_tag_storage)
			some[got++] = p;
	}
	if (got < n)
		bail(r, "only %zu of %zu pages are in tag storage", got, n);
}

/* Leave of the huge pages only the one most of whose blocks hold data, if there is one. */
static bool choose_huge(struct run *r, struct memory_of_guest *huge, size_t n,
			struct memory_of_guest *chosen)
{
	size_t best = 0, most = 0;

	for (size_t k = 0; k < n; k++) {
		size_t held = 0;

		for (size_t i = 0; i < HUGE_PAGES; i++) {
			char state = page_now(r, 0, huge[k].base + i * page_size()).block_state;

			held += state == BLOCK_DATA || state == BLOCK_PINNED;
		}
		if (held > most && page_now(r, 0, huge[k].base).order == 9) {
			most = held;
			best = k;
		}
	}
	for (size_t k = 0; k < n; k++) {
		if (most && k == best)
			*chosen = huge[k];
		else
			unmap_memory(r, &huge[k]);
	}
	return most > 0;
}

static void pinned(struct run *r, struct vmm *v)
{
	uint64_t start = summary_now(r).reserved_pages;
	size_t want = summary_now(r).blocks / 2 * summary_now(r).block_pages, n;
	size_t next = 0, held = 0, nr_huge = 0;
	struct memory_of_guest huge[HUGE_CHOICE], m = { .fd = -1 };
	char *some[STORED], **pages;
	struct ballast *b;

	step(r,
	     "Memory is filled, so that data lies in tag storage: some of it will be the guest's.");
	/* Before memory is full of small pages. */
	while (nr_huge < HUGE_CHOICE && huge_memory(r, &huge[nr_huge], NULL))
		nr_huge++;
	if (want > MAX_PINS)
		want = MAX_PINS;
	pages = calloc(want, sizeof(*pages));
	if (!pages)
		bail_errno(r, "memory");
	b = ballast_new(r);
	n = ballast_into_tag_storage(r, b, want, (uint64_t)128 << 20, pages, want);
	drain_lru(r);
	take_stored(r, pages, n, &next, some, STORED);
	moved_out(r, v, some, STORED, true);
	take_stored(r, pages, n, &next, some, STORED);
	moved_out(r, v, some, STORED, false);
	take_stored(r, pages, n, &next, some, 1);
	stuck(r, v, some[0]);
	for (; next < n; next++)
		if (page_now(r, 0, pages[next]).own_block % 2 == 0)
			pages[held++] = pages[next];
	if (choose_huge(r, huge, nr_huge, &m)) {
		amid_pins(r, v, &m, pages, held);
		unmap_memory(r, &m);
	} else {
		skip_result(r, "no huge page has data in its tag storage",
			    "a huge page amid pins: the guest writes all of it");
	}
	expect_intact(r, ballast_check(b),
		      "memory that was in the way of the guest's tags is as it was");
	ballast_free(b);
	free(pages);
	expect(r, reserved_pages_wait(r, start), "after this, no storage is left reserved");
}

static bool part(struct run *r, const char *name)
{
	const char *only = param_str(r, "only");

	return !strcmp(only, "all") || !strcmp(only, name);
}

static void kvm_run(struct run *r)
{
	struct state_summary start = summary_now(r);
	size_t n = param_u64(r, "pages");
	int kvm = vmm_device(r);
	struct vmm *v = vmm_new(r, kvm, true);

	/* First of all: a page that has been tagged stays so. */
	if (part(r, "guest"))
		zero_page(r, v);
	for (enum backing b = PRIVATE; b < NR_BACKINGS && part(r, "kinds"); b++)
		for (enum protection p = PLAIN; p < NR_PROTECTIONS; p++)
			one_kind(r, v, n, b, p);
	if (part(r, "guest"))
		in_the_guest(r, v);
	if (part(r, "huge"))
		huge(r, v);
	for (enum backing b = PRIVATE; b < NR_BACKINGS && part(r, "stolen"); b++)
		stolen(r, v, n, (unsigned int)param_u64(r, "rounds"), b);
	if (part(r, "pinned") && storage_takes_data(r, "memory in tag storage, and pins"))
		pinned(r, v);
	vmm_free(v);
	close(kvm);
	expect(r, reserved_pages_wait(r, start.reserved_pages),
	       "without the guest all is given back");
	expect_eq_u64(r, summary_now(r).foa_sigbus, start.foa_sigbus, "no access ended in SIGBUS");
}

static const struct scenario kvm_scenario = {
	.name = "kvm",
	.kind = SCENARIO_WORKLOAD,
	.summary = "KVM guests with MTE, their memory of all kinds, swapped, moved and pinned",
	.explanation =
		"A guest with MTE can set the tags of all its memory, and the host does not see when it does: all of it counts as tagged. "
		"The VMM need not use tags itself, so its pages come without tag storage, and may even lie in tag storage; and there is no fault on access in a guest. "
		"KVM has to find storage, or another page, before it maps a page for the guest, and before it takes any lock. "
		"What it cannot have in bounded time the VMM is told: KVM_RUN fails with KVM_EXIT_MEMORY_FAULT, and can be tried again.",
	.groups = "kvm",
	.params = PARAMS(
		P_ENUM("only", "all", "all|kinds|guest|huge|stolen|pinned",
		       "one part: kinds of memory, MTE in the guest, huge pages, zapping, pins"),
		P_UINT("pages", "40", 2, 400, "pages of each kind of memory the guest uses"),
		P_UINT("rounds", "20", 1, 100000,
		       "how often the guest uses memory that is taken away")),
	.needs = NEED_KVM | NEED_DRAM_TAGS | NEED_ZRAM,
	.min_memory = 400 << 20,
	.time_limit_s = 1200,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.run = kvm_run,
};
SCENARIO(kvm_scenario);
