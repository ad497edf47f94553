// SPDX-License-Identifier: GPL-2.0-only
/* workloads/uffd.c: tagged memory whose faults a program handles itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario/area.h"
#include "scenario/failures.h"
#include "scenario/page.h"
#include "scenario/scenario.h"
#include "scenario/thread.h"

/* So many that they need blocks which nobody has reserved yet. */
#define SHORT_PAGES 512

#ifndef UFFDIO_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

static int uffd_open(struct run *r, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		bail_errno(r, "userfaultfd");
	if (ioctl(fd, UFFDIO_API, &api)) {
		if (errno == EINVAL)
			skip(r, "this kernel's userfaultfd lacks features 0x%llx",
			     (unsigned long long)features);
		bail_errno(r, "UFFDIO_API");
	}
	return fd;
}

static void uffd_register(struct run *r, int fd, const struct area *a, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)a->base, .len = area_len(a) },
		.mode = mode,
	};

	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		bail_errno(r, "UFFDIO_REGISTER");
}

/* Returns 0 or the error. */
static int uffd_move(int fd, const struct area *to, const struct area *from)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)to->base, .src = (uintptr_t)from->base, .len = area_len(to),
	};

	while (ioctl(fd, UFFDIO_MOVE, &move)) {
		if (errno != EAGAIN)
			return errno;
		/* The rest: what was moved is told. */
		if (move.move > 0) {
			move.dst += (uint64_t)move.move;
			move.src += (uint64_t)move.move;
			move.len -= (uint64_t)move.move;
		}
		move.move = 0;
	}
	return 0;
}

/* ---- Who handles faults -------------------------------------------------------- */

struct handler {
	struct run *r;
	int fd;
	const struct area *area, *source;	/* source: its pages are copied */
	volatile int end;
	uint64_t faults, wp_faults;
};

static void *handle(void *arg)
{
	struct handler *h = arg;
	size_t ps = page_size();

	while (!h->end) {
		struct pollfd pfd = { .fd = h->fd, .events = POLLIN };
		struct uffd_msg msg;
		uint64_t addr;

		if (poll(&pfd, 1, 20) <= 0 || read(h->fd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		addr = msg.arg.pagefault.address & ~(uint64_t)(ps - 1);
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			struct uffdio_writeprotect wp = { .range = { .start = addr, .len = ps } };

			h->wp_faults++;
			if (ioctl(h->fd, UFFDIO_WRITEPROTECT, &wp))
				bail_errno(h->r, "UFFDIO_WRITEPROTECT");
		} else {
			struct uffdio_copy copy = {
				.dst = addr, .len = ps,
				.src = (uintptr_t)h->source->base + addr -
				       (uintptr_t)h->area->base,
			};

			h->faults++;
			/* EEXIST: somebody was faster. */
			if (ioctl(h->fd, UFFDIO_COPY, &copy) && errno != EEXIST)
				bail_errno(h->r, "UFFDIO_COPY");
		}
	}
	return NULL;
}

static void stop_handler(struct handler *h, pthread_t t)
{
	h->end = 1;
	pthread_join(t, NULL);
}

/* ---- Each way a page can come --------------------------------------------------- */

static void by_copy(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area source = area_map(r, n, true), a = area_map(r, n, true);
	int fd = uffd_open(r, 0);
	struct handler h = { .r = r, .fd = fd, .area = &a, .source = &source };
	pthread_t t;

	step(r,
	     "The program registers tagged memory with userfaultfd, and touches it: by a load, by a store, and by the store of a tag. A handler copies data there for each fault (UFFDIO_COPY). The new page needs tag storage before it is mapped; its tags are 0, whatever those of the source are.");
	area_write(r, &source);
	uffd_register(r, fd, &a, UFFDIO_REGISTER_MODE_MISSING);
	t = thread_start(r, handle, &h);
	for (size_t i = 0; i < n; i++) {
		char *p = area_page(&a, i);

		if (i % 3 == 0)
			*(volatile char *)p;
		else if (i % 3 == 1)
			pattern_fill(p, 8, source.data, i);
		else
			tag_store(p, 0);
	}
	stop_handler(&h, t);
	a.data = source.data;
	a.tags = 0;
	expect_eq_u64(r, h.faults, n, "the handler was asked for each page");
	area_expect(r, &a, "copied by UFFDIO_COPY");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "copied: the tags are in tag storage");
	expect_eq_u64(r, summary_now(r).reserved_pages - start, 2 * n,
		      "copied: both areas have tag storage, page by page");
	area_write_tags(r, &a);
	area_expect(r, &a, "after new tags were set on the copies");
	area_expect(r, &source, "in the source of the copies");
	close(fd);
	area_unmap(r, &a);
	area_unmap(r, &source);
	expect(r, reserved_pages_wait(r, start), "copied: unmapped, none has tag storage");
}

/* No block is free at once: storage must be found where the kernel can wait for it. */
static void copied_when_full(struct run *r)
{
	struct area source = area_map(r, SHORT_PAGES, false), a = area_map(r, SHORT_PAGES, true);
	struct uffdio_copy copy = {
		.dst = (uintptr_t)a.base, .src = (uintptr_t)source.base, .len = area_len(&a),
	};
	struct state_summary before, after;
	int fd = uffd_open(r, 0);

	step(r,
	     "The same while data lies everywhere in tag storage, as far as the kernel can see. It has to be moved out of the way before a page is mapped, not when the page is accessed.");
	area_write_data(r, &source);
	uffd_register(r, fd, &a, UFFDIO_REGISTER_MODE_MISSING);
	before = summary_now(r);
	if (!failures_known(r, "copied, storage full: no page was mapped without storage"))
		goto out;
	storage_shortage(r, STORAGE_FULL);
	if (ioctl(fd, UFFDIO_COPY, &copy))
		bail_errno(r, "UFFDIO_COPY");
	storage_shortage(r, STORAGE_NORMAL);
	after = summary_now(r);
	expect_eq_u64(r, after.foa_set - before.foa_set, 0,
		      "copied, storage full: no page was mapped without storage");
	expect_eq_u64(r, after.reserved_pages - before.reserved_pages, SHORT_PAGES,
		      "copied, storage full: each page has storage");
	expect_range(r, after.reserve_migrated - before.reserve_migrated, 1, UINT64_MAX,
		     "copied, storage full: blocks were emptied for them");
	a.data = source.data;
	a.tags = 0;
	area_expect(r, &a, "copied by UFFDIO_COPY when storage is full");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0,
		      "copied, storage full: the tags are in tag storage");
out:
	close(fd);
	area_unmap(r, &a);
	area_unmap(r, &source);
	expect(r, reserved_pages_wait(r, before.reserved_pages),
	       "copied, storage full: unmapped, none has tag storage");
}

static void by_zeropage(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area a = area_map(r, n, true);
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)a.base, .len = area_len(&a) },
	};
	struct mismatch m = { .count = 0 };
	int fd = uffd_open(r, 0);
	size_t bad = 0;

	step(r,
	     "UFFDIO_ZEROPAGE maps the zero page into tagged memory. Its tags are 0 and have their place for ever; a write gets a page with storage of its own.");
	uffd_register(r, fd, &a, UFFDIO_REGISTER_MODE_MISSING);
	if (ioctl(fd, UFFDIO_ZEROPAGE, &zero))
		bail_errno(r, "UFFDIO_ZEROPAGE");
	for (size_t i = 0; i < n; i++) {
		struct state_page page = page_now(r, 0, area_page(&a, i));

		bad += page.block_state != BLOCK_PERMANENT;
	}
	expect_eq_u64(r, bad, 0, "zero page: its block is permanent");
	expect_eq_u64(r, summary_now(r).reserved_pages, start, "zero page: nothing is reserved");
	for (size_t i = 0; i < area_len(&a) && !m.count; i += 8)
		m.count += *(uint64_t *)(void *)(a.base + i) != 0;
	expect_intact(r, m, "zero page: the data is 0");
	expect_intact(r, tags_check_same(a.base, area_len(&a), 0), "zero page: the tags are 0");
	area_write(r, &a);
	area_expect(r, &a, "written over the zero page");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0,
		      "written over the zero page: the tags are in tag storage");
	close(fd);
	area_unmap(r, &a);
	expect(r, reserved_pages_wait(r, start), "zero page: unmapped, none has tag storage");
}

/* Pages that move from one mapping to another, with and without storage for their tags. */
static void by_move(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages, *was, *is, faults;
	struct area a = area_map(r, n, true), from = area_map(r, n, true);
	struct area pending = area_map(r, n, false), plain = area_map(r, n, false);
	int fd = uffd_open(r, UFFD_FEATURE_MOVE);
	size_t moved = 0;

	step(r,
	     "UFFDIO_MOVE takes whole pages out of one mapping and puts them into another. Their tags stay where they are, because the pages do.");
	area_write(r, &from);
	was = area_locations(r, 0, &from);
	uffd_register(r, fd, &a, UFFDIO_REGISTER_MODE_MISSING);
	expect_eq_u64(r, (uint64_t)uffd_move(fd, &a, &from), 0, "moved: pages with tags");
	is = area_locations(r, 0, &a);
	for (size_t i = 0; i < n; i++)
		moved += is[i] == was[i];
	expect_eq_u64(r, moved, n, "moved: they are the same pages");
	expect_eq_u64(r, pages_present(r, 0, from.base, n), 0, "moved: nothing is left behind");
	a.data = from.data;
	a.tags = from.tags;
	area_expect(r, &a, "moved");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0, "moved: the tags are in tag storage");
	free(was);
	free(is);

	step(r,
	     "Now pages that were made taggable by mprotect() and not accessed since: their entries are inaccessible until there is storage, and so they must be where they are moved to.");
	if (madvise(a.base, area_len(&a), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	area_write_data(r, &pending);
	mprotect_storage_full(r, pending.base, area_len(&pending));
	expect_eq_u64(r, (uint64_t)uffd_move(fd, &a, &pending), 0,
		      "moved: pages that wait for storage");
	a.data = pending.data;
	a.tags = 0;
	faults = summary_now(r).foa_fault;
	area_expect(r, &a, "moved before they had storage");
	measure(r, "faults_after_move", "1", (double)(summary_now(r).foa_fault - faults));
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0,
		      "moved before they had storage: the tags are in tag storage now");

	step(r, "From a mapping without PROT_MTE nothing can be moved to one with it.");
	if (madvise(a.base, area_len(&a), MADV_DONTNEED))
		bail_errno(r, "MADV_DONTNEED");
	area_write_data(r, &plain);
	expect_eq_u64(r, (uint64_t)uffd_move(fd, &a, &plain), EINVAL,
		      "moved: not from untagged to tagged memory");
	expect_intact(r, area_check_data(&plain), "moved: the data that was refused is intact");
	close(fd);
	area_unmap(r, &a);
	area_unmap(r, &from);
	area_unmap(r, &pending);
	area_unmap(r, &plain);
	expect(r, reserved_pages_wait(r, start), "moved: unmapped, none has tag storage");
}

static void write_protected(struct run *r, size_t n)
{
	uint64_t start = summary_now(r).reserved_pages;
	struct area a = area_map(r, n, true), pending = area_map(r, n, false);
	int fd = uffd_open(r, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct handler h = { .r = r, .fd = fd, .area = &a };
	pthread_t t;

	step(r,
	     "The program has its tagged memory write-protected (UFFDIO_WRITEPROTECT), and stores tags: each first store in a page is told to the handler, which lets it pass.");
	area_write(r, &a);
	uffd_register(r, fd, &a, UFFDIO_REGISTER_MODE_WP);
	wp.range.start = (uintptr_t)a.base;
	wp.range.len = area_len(&a);
	if (ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		bail_errno(r, "UFFDIO_WRITEPROTECT");
	t = thread_start(r, handle, &h);
	area_expect(r, &a, "write-protected");
	expect_eq_u64(r, h.wp_faults, 0, "write-protected: reading is not told");
	area_write_tags(r, &a);
	expect_eq_u64(r, h.wp_faults, n, "write-protected: the first tag in each page is told");
	area_write_data(r, &a);
	stop_handler(&h, t);
	expect_eq_u64(r, h.wp_faults, n, "write-protected: once for each page");
	area_expect(r, &a, "after write protection");
	expect_eq_u64(r, area_bad_storage(r, 0, &a), 0,
		      "write-protected: the tags are in tag storage");

	step(r,
	     "Write-protected data becomes taggable by mprotect(). Finding storage for it must not lift the protection.");
	area_write_data(r, &pending);
	uffd_register(r, fd, &pending, UFFDIO_REGISTER_MODE_WP);
	wp.range.start = (uintptr_t)pending.base;
	wp.range.len = area_len(&pending);
	if (ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		bail_errno(r, "UFFDIO_WRITEPROTECT");
	mprotect_storage_full(r, pending.base, area_len(&pending));
	pending.tags = 0;
	h = (struct handler){ .r = r, .fd = fd, .area = &pending };
	t = thread_start(r, handle, &h);
	area_expect(r, &pending, "write-protected, then made taggable");
	expect_eq_u64(r, h.wp_faults, 0, "made taggable: reading is not told");
	expect_eq_u64(r, area_bad_storage(r, 0, &pending), 0,
		      "made taggable: the tags are in tag storage");
	area_write_tags(r, &pending);
	stop_handler(&h, t);
	expect_eq_u64(r, h.wp_faults, n, "made taggable: the first tag in each page is told");
	area_expect(r, &pending, "with its first tags");
	close(fd);
	area_unmap(r, &a);
	area_unmap(r, &pending);
	expect(r, reserved_pages_wait(r, start), "write-protected: unmapped, none has tag storage");
}

static void uffd_run(struct run *r)
{
	uint64_t sigbus = summary_now(r).foa_sigbus;
	size_t n = param_u64(r, "pages");

	/* A page that is being moved counts twice. */
	gather_nothing(r);
	by_copy(r, n);
	copied_when_full(r);
	by_zeropage(r, n);
	by_move(r, n);
	write_protected(r, n);
	expect_eq_u64(r, summary_now(r).foa_sigbus, sigbus, "no access ended in SIGBUS");
}

static const struct scenario uffd_scenario = {
	.name = "uffd",
	.kind = SCENARIO_WORKLOAD,
	.summary = "userfaultfd on tagged memory: COPY, ZEROPAGE, MOVE and write protection",
	.explanation =
		"With userfaultfd a program fills its own memory: pages come from an ioctl() instead of a fault, move between mappings, or are protected so that writes are told. "
		"None of these ways goes through the usual fault, and each makes page table entries in a tagged mapping, so each has to see to it that there is storage for the tags.",
	.groups = "quick",
	.params = PARAMS(P_UINT("pages", "48", 3, 65536, "pages that are handled in each way")),
	.needs = NEED_TAG_STORAGE | NEED_UFFD,
	.min_memory = 256 << 20,
	.time_limit_s = 300,
	.save_restore = SETTINGS(FAILURE_SETTINGS),
	.run = uffd_run,
};
SCENARIO(uffd_scenario);
