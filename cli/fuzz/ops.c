// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each kind of operation does, and what has to come of it. An operation takes steps, and
 * changes the model by what came of them. Where kernels may differ (a request that may
 * be refused), several outcomes are right, and the model follows the one that came.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz/world.h"

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define SOFT_OFFLINE 101
#define HOT 4			/* pages of an area that most operations are about */
#define CHECK_TAGS 1
#define CHECK_EITHER 2
#define FAULT_SEGV SIGNALLED(SIGSEGV)
#define FAULT_BUS SIGNALLED(SIGBUS)
#define FAULT_TAG SIGNALLED(SIGSEGV + TAG_CHECK)

struct want {
	int n, e[MAX_WANT];
};

#define WANT(...)                                                                              \
	((struct want){ sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), { __VA_ARGS__ } })
#define NO_ARGS 0, 0, 0, 0, 0, 0
#define STEP(w_, who_, id_, want_, ...)                                                        \
	take((w_), (who_), (id_), (want_), (const unsigned long[]){ __VA_ARGS__, NO_ARGS })
#define STEP0(w_, who_, id_, want_)                                                            \
	take((w_), (who_), (id_), (want_), (const unsigned long[]){ NO_ARGS })
#define FINE WANT(0)

static bool wanted(const struct call *c)
{
	for (int i = 0; i < c->nr_want; i++)
		if (c->want[i] == c->got || (!c->want[i] && c->got >= 0) ||
		    (c->want[i] == ANY_ERROR && c->got < 0 && c->got > FAULT_SEGV))
			return true;
	return false;
}

static enum fuzz_finding_kind judge(const struct call *c)
{
	switch (c->got) {
	case BAD_DATA:
		return FINDING_DATA;
	case BAD_TAGS:
		return FINDING_TAGS;
	case ACTOR_GONE:
		return FINDING_GONE;
	case ACTOR_HANGS:
		return FINDING_HANG;
	}
	if (c->got <= SIGNALLED(0))
		return FINDING_SIGNAL;
	if (c->want[0] <= SIGNALLED(0))
		return FINDING_NO_SIGNAL;
	return FINDING_ERRNO;
}

/* Steps are taken one by one: what is held now stays so for as long as the next one takes. */
static bool something_is_held(const struct world *w)
{
	for (int who = 0; who < FUZZ_PROCESSES; who++) {
		const struct process *p = &w->process[who];

		if (!p->alive)
			continue;
		if (p->ring_pages)
			return true;
		for (int i = 0; i < PIPES; i++)
			if (p->pipe[i].used)
				return true;
	}
	return false;
}

/* Take a step; after a finding none is taken any more, and all of them fail. */
static int take(struct world *w, int who, enum call_id id, struct want want,
		const unsigned long *arg)
{
	struct fuzz_trace *t = &w->trace;
	struct call c = { .id = id, .who = who, .nr_want = want.n };

	if (w->finding.kind || w->lost)
		return -ECANCELED;
	memcpy(c.arg, arg, sizeof(c.arg));
	memcpy(c.want, want.e, sizeof(c.want));
	c.got = w->fn(w->ctx, &c);
	if (t->nr == t->max) {
		t->max = t->max ? 2 * t->max : 1024;
		t->call = realloc(t->call, t->max * sizeof(*t->call));
		if (!t->call)
			abort();
	}
	t->call[t->nr++] = c;
	if (c.got == FAULT_BUS && !wanted(&c) && w->storage_held && something_is_held(w))
		w->lost = true;
	else if (!wanted(&c))
		w->finding = (struct fuzz_finding){ judge(&c), w->group, w->op, c };
	return c.got;
}

/* ---- Choosing --------------------------------------------------------------------- */

struct range {
	int who;
	struct process *p;
	struct area *a;
	unsigned int first, n;
	unsigned long addr;
	struct entry *e;
};

static int actor(struct world *w, const struct fuzz_op *op)
{
	return w->process[op->who % FUZZ_PROCESSES].alive ? op->who % FUZZ_PROCESSES : 0;
}

/* Pages of an area of this process, at most max. false: there is no area. */
static bool range_of(struct world *w, int who, const struct fuzz_op *op, unsigned int max,
		     struct range *r)
{
	unsigned int n = op->n[2] >> 4;

	r->who = who;
	r->p = &w->process[who];
	r->a = &r->p->area[op->n[0] % SLOTS];
	if (!r->a->pages)
		return false;
	/* What happens to the same pages again and again finds more. */
	r->first = op->n[1] % (op->n[1] >> 30 && r->a->pages > HOT ? HOT : r->a->pages);
	switch (op->n[2] & 3) {
	case 0:
		r->n = 1;
		break;
	case 1:
		r->n = 1 + n % 4;
		break;
	case 2:
		r->n = 1 + n % 16;
		break;
	default:
		r->first = 0;
		r->n = r->a->pages;
	}
	if (r->n > max)
		r->n = max;
	if (r->n > r->a->pages - r->first)
		r->n = r->a->pages - r->first;
	r->e = &r->a->e[r->first];
	r->addr = area_addr(r->p, r->a, r->first);
	return true;
}

static bool range_pick(struct world *w, const struct fuzz_op *op, unsigned int max,
		       struct range *r)
{
	return range_of(w, actor(w, op), op, max, r);
}

static bool is_mapped(const struct entry *e)
{
	return e->mapped;
}

static bool is_readable(const struct entry *e)
{
	return e->readable;
}

static bool is_writable(const struct entry *e)
{
	return e->writable;
}

static bool is_shared(const struct entry *e)
{
	return e->shared;
}

static bool is_locked(const struct entry *e)
{
	return e->locked;
}

static bool is_uffd(const struct entry *e)
{
	return e->uffd;
}

static bool is_plain(const struct entry *e)	/* private and anonymous */
{
	return e->mapped && e->object == NO_OBJECT;
}

static bool is_private_file(const struct entry *e)
{
	return e->object != NO_OBJECT && !e->shared;
}

static bool all(const struct range *r, bool (*is)(const struct entry *e))
{
	for (unsigned int i = 0; i < r->n; i++)
		if (!is(&r->e[i]))
			return false;
	return true;
}

static bool any(const struct range *r, bool (*is)(const struct entry *e))
{
	for (unsigned int i = 0; i < r->n; i++)
		if (is(&r->e[i]))
			return true;
	return false;
}

/* All groups map object 0, and each knows only its own pages of it. */
static bool ours(const struct world *w, int object, unsigned int page)
{
	return object || w->groups == 1 || page % w->groups == w->group;
}

static bool known(const struct world *w, const struct entry *e)
{
	return !e->mapped || e->object == NO_OBJECT || ours(w, e->object, (unsigned int)e->offset);
}

static bool all_known(const struct world *w, const struct range *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		if (!known(w, &r->e[i]))
			return false;
	return true;
}

/* What an access raises. */
static int access_of(const struct entry *e, bool write)
{
	if (!e->mapped || !(write ? e->writable : e->readable))
		return FAULT_SEGV;
	if (e->uffd && (!e->present || (write && e->protected)))
		return FAULT_BUS;
	return 0;
}

/* Of the kernel on behalf of a program. */
static int copy_of(const struct entry *e, bool write)
{
	return access_of(e, write) ? -EFAULT : 0;
}

static unsigned long name(const struct fuzz_op *op, unsigned int i)
{
	return (op->id + 1UL) << 16 | (i + 1);
}

/* A page that was written to is a page of its own from then on. */
static void own_all(struct world *w, struct range *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		if (is_private_file(&r->e[i]) && r->e[i].writable)
			entry_own(w, &r->e[i]);
}

/* ---- Mapping ------------------------------------------------------------------------ */

/* An area ends with a page that is mapped. */
static void trim(struct area *a)
{
	while (a->pages && !a->e[a->pages - 1].mapped)
		a->pages--;
}

static void unmap_range(struct world *w, struct range *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		entry_unmap(w, &r->e[i]);
	trim(r->a);
}

static bool whole(struct world *w, int who, struct area *a, struct range *r)
{
	*r = (struct range){ who, &w->process[who], a, 0, a->pages,
			     area_addr(&w->process[who], a, 0), a->e };
	return a->pages;
}

/* From now on what is mapped here may have large folios. */
static void set_large(struct world *w, const struct range *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		if (r->e[i].object != NO_OBJECT)
			w->object[r->e[i].object].large = true;
}

static unsigned int protection(uint32_t n, bool tags)
{
	static const unsigned char prot[8] = {
		PROT_READ | PROT_WRITE | PROT_MTE, PROT_READ | PROT_WRITE | PROT_MTE,
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_MTE, PROT_READ,
		PROT_NONE, PROT_NONE | PROT_MTE,
	};

	return prot[n % 8] & (tags ? ~0u : ~(unsigned int)PROT_MTE);
}

static void entry_protect(struct entry *e, unsigned int prot)
{
	e->readable = prot & PROT_READ;
	e->writable = prot & PROT_WRITE;
	/* No call takes it away again. */
	e->tagged |= !!(prot & PROT_MTE);
}

static void op_map(struct world *w, const struct fuzz_op *op, int kind)
{
	int who = actor(w, op), object = NO_OBJECT;
	struct process *p = &w->process[who];
	struct area *a = &p->area[op->n[0] % SLOTS];
	unsigned int size = op->n[1] >> 4, prot = protection(op->n[2] % 4, w->tags), first = 0;
	unsigned int flags = MAP_PRIVATE;
	bool huge = (op->n[1] & 15) >= 14, shared;
	struct range r;

	(void)kind;
	if (whole(w, who, a, &r) && STEP(w, who, CALL_UNMAP, FINE, r.addr, r.n) >= 0)
		unmap_range(w, &r);
	if (a->pages)
		return;
	a->shift = huge ? 0 : op->n[3] % 512;
	a->pages = huge ? 512 + size % 513 : (op->n[1] & 15) > 11 ? 32 + size % 64 : 1 + size % 16;
	switch (op->n[2] >> 2 & 7) {
	case 0:
	case 1:
		object = (int)(op->n[3] >> 10) % MEMFDS;
		break;
	case 2:
		object = object_new(w);
		break;
	}
	shared = object >= MEMFDS || (object != NO_OBJECT && (op->n[2] >> 5 & 3));
	if (shared)
		flags = MAP_SHARED;
	if (object != NO_OBJECT && object < MEMFDS) {
		first = huge ? 0 : (op->n[3] >> 16) % (OBJECT_PAGES - a->pages);
		STEP(w, who, CALL_MAP_OBJECT, FINE, area_addr(p, a, 0), a->pages, prot, flags,
		     (unsigned long)object, first);
	} else {
		STEP(w, who, CALL_MAP, FINE, area_addr(p, a, 0), a->pages, prot, flags);
	}
	for (unsigned int i = 0; i < a->pages; i++) {
		a->e[i] = (struct entry){ .mapped = true, .shared = shared,
					  .object = (int16_t)object,
					  .offset = (int16_t)(first + i), .page = NO_PAGE };
		if (object != NO_OBJECT)
			w->object[object].refs++;
		entry_protect(&a->e[i], prot);
	}
	if (huge && whole(w, who, a, &r)) {
		STEP(w, who, CALL_ADVISE, FINE, r.addr, r.n, MADV_HUGEPAGE);
		set_large(w, &r);
	}
}

static void op_unmap(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (range_pick(w, op, AREA_PAGES, &r) && STEP(w, r.who, CALL_UNMAP, FINE, r.addr, r.n) >= 0)
		unmap_range(w, &r);
}

static void op_protect(struct world *w, const struct fuzz_op *op, int kind)
{
	unsigned int prot = protection(op->n[3], w->tags);
	struct range r;

	(void)kind;
	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped))
		return;
	if (STEP(w, r.who, CALL_PROTECT, FINE, r.addr, r.n, prot) < 0)
		return;
	for (unsigned int i = 0; i < r.n; i++) {
		bool was = r.e[i].writable;

		entry_protect(&r.e[i], prot);
		/* What is locked is copied when it becomes writable. */
		if (r.e[i].locked && !was && r.e[i].writable && is_private_file(&r.e[i]))
			entry_own(w, &r.e[i]);
	}
}

static void op_resize(struct world *w, const struct fuzz_op *op, int kind)
{
	unsigned int more = 1 + op->n[3] % 16, at, old;
	struct entry *last;
	struct range r;

	(void)kind;
	if (!whole(w, actor(w, op), &w->process[actor(w, op)].area[op->n[0] % SLOTS], &r))
		return;
	old = r.n;
	last = &r.e[old - 1];
	if (op->n[3] & 1 << 20) {
		at = 1 + op->n[1] % old;
		if (at == old || !r.e[0].mapped ||
		    STEP(w, r.who, CALL_RESIZE, FINE, r.addr, old, at) < 0)
			return;
		r.e += at;
		r.n -= at;
		unmap_range(w, &r);
		return;
	}
	if (old + more > AREA_PAGES || last->object >= MEMFDS ||
	    (last->object != NO_OBJECT && last->offset + (int)more >= OBJECT_PAGES))
		return;
	if (STEP(w, r.who, CALL_RESIZE, FINE, area_addr(r.p, r.a, old - 1), 1, 1 + more) < 0)
		return;
	for (unsigned int i = 1; i <= more; i++) {
		struct entry *e = last + i;

		*e = *last;
		e->page = NO_PAGE;
		e->present = e->protected = false;
		e->offset += (int16_t)i;
		if (e->object != NO_OBJECT)
			w->object[e->object].refs++;
	}
	r.a->pages += more;
	r.e = last + 1;
	r.n = more;
	if (last->locked)
		own_all(w, &r);
}

static void op_move(struct world *w, const struct fuzz_op *op, int kind)
{
	bool stay = op->n[3] & 1;
	struct area *to;
	struct range r;

	(void)kind;
	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped))
		return;
	to = &r.p->area[(op->n[3] >> 1) % SLOTS];
	if (to->pages)
		return;
	to->shift = op->n[3] & 1 << 10 ? r.a->shift + r.first : (op->n[3] >> 11) % 512;
	/* Different mappings cannot be moved as one, and only the kernel knows which are. */
	if (STEP(w, r.who, CALL_MOVE, WANT(0, -EFAULT), r.addr, r.n, area_addr(r.p, to, 0),
		 stay ? MREMAP_DONTUNMAP : 0) < 0)
		return;
	to->pages = r.n;
	for (unsigned int i = 0; i < r.n; i++) {
		entry_copy(w, &to->e[i], &r.e[i], false);
		if (stay) {
			entry_forget(w, &r.e[i]);
			r.e[i].locked = false;
		}
	}
	if (!stay)
		unmap_range(w, &r);
}

static void op_lock(struct world *w, const struct fuzz_op *op, int kind)
{
	struct want want = FINE;
	struct range r;

	(void)kind;
	if (!range_pick(w, op, 64, &r) || !all(&r, is_mapped))
		return;
	if (any(&r, is_uffd) || !all(&r, is_readable)) {
		if (any(&r, is_private_file))
			return;
		want = WANT(0, -ENOMEM, -EAGAIN);
	}
	STEP(w, r.who, CALL_LOCK, want, r.addr, r.n);
	for (unsigned int i = 0; i < r.n; i++)
		r.e[i].locked = true;
	own_all(w, &r);
}

static void op_unlock(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped))
		return;
	STEP(w, r.who, CALL_UNLOCK, FINE, r.addr, r.n);
	for (unsigned int i = 0; i < r.n; i++)
		r.e[i].locked = false;
}

static void op_punch(struct world *w, const struct fuzz_op *op, int kind)
{
	unsigned int n = 1 + op->n[2] % (op->n[2] & 3 ? 8 : 600);
	unsigned int object = op->n[0] % MEMFDS;
	unsigned int first = op->n[1] % OBJECT_PAGES;
	struct object *o = &w->object[object];

	(void)kind;
	if (!ours(w, (int)object, first))
		return;
	if (!object && w->groups > 1)
		n = 1;
	if (n > OBJECT_PAGES - first)
		n = OBJECT_PAGES - first;
	if (!object_may_punch(w, o))
		return;
	if (STEP(w, 0, CALL_PUNCH, FINE, object, first, n) < 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		object_punch(w, (int)object, first + i);
}

/* ---- Contents ------------------------------------------------------------------------ */

static void store_page(struct world *w, struct range *r, unsigned int i, unsigned long data)
{
	struct entry *e = &r->e[i];
	int fault = access_of(e, true);

	if (known(w, e) && STEP(w, r->who, CALL_STORE, WANT(fault), r->addr + i * PAGE_BYTES,
				data) >= 0 && !fault)
		page_wrote(w, entry_own(w, e), data, false);
}

static void op_store(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (range_pick(w, op, op->n[3] & 7 ? 4 : 64, &r))
		for (unsigned int i = 0; i < r.n; i++)
			store_page(w, &r, i, op->n[3] % 16 == 9 ? 0 : name(op, i));
}

static void op_set_tags(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (!range_pick(w, op, op->n[3] & 7 ? 4 : 64, &r))
		return;
	for (unsigned int i = 0; i < r.n; i++) {
		struct entry *e = &r.e[i];
		unsigned long tags = name(op, i) << 12 | (op->n[3] & 0xfff);
		int fault = access_of(e, true);

		if (!e->tagged || !known(w, e))
			continue;
		if (op->n[3] % 16 == 9)
			tags = 0;
		if (STEP(w, r.who, CALL_SET_TAGS, WANT(fault), r.addr + i * PAGE_BYTES,
			 tags) >= 0 && !fault)
			page_tagged(w, entry_own(w, e), tags);
	}
}

static void check_page(struct world *w, struct range *r, unsigned int i)
{
	struct entry *e = &r->e[i];
	const struct page *p = entry_page(w, e);
	int fault = access_of(e, false), got;
	unsigned long how = e->tagged ? CHECK_TAGS : 0;
	struct page *own;

	if (!known(w, e))
		return;
	if (p->n == 2)
		how |= CHECK_EITHER;
	got = STEP(w, r->who, CALL_CHECK, WANT(fault), r->addr + i * PAGE_BYTES, how, p->is[0].data,
		   p->is[0].tags, p->n == 2 ? p->is[1].data : 0, p->n == 2 ? p->is[1].tags : 0);
	/* It is what it is now, unless it can still change. */
	if (got < 0 || fault || p->n != 2 || p->lazy || !(how & CHECK_TAGS))
		return;
	own = &w->page[entry_own(w, e)];
	own->is[0] = own->is[got];
	own->n = 1;
}

static void op_check(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (range_pick(w, op, op->n[3] & 7 ? 8 : 64, &r))
		for (unsigned int i = 0; i < r.n; i++)
			check_page(w, &r, i);
}

/* The same mixing as tag_of() of runtime.c: only what is the same for all granules. */
static int tag_of_all(unsigned long tags)
{
	if (!tags)
		return 0;
	return tags & 3 ? -1 : (int)(tags >> 2 & 7) + 1;
}

static void op_tag_check(struct world *w, const struct fuzz_op *op, int kind)
{
	const struct page *p;
	struct range r;
	int tag, fault;

	(void)kind;
	if (!range_pick(w, op, 1, &r) || !r.e->tagged || !known(w, r.e))
		return;
	p = entry_page(w, r.e);
	tag = tag_of_all(p->is[0].tags);
	fault = access_of(r.e, false);
	if (p->n != 1 || tag < 0)
		return;
	STEP(w, r.who, CALL_LOAD_TAGGED, WANT(fault), r.addr + op->n[3] % 256 * 16,
	     (unsigned long)tag);
	if (!fault)
		fault = FAULT_TAG;
	STEP(w, r.who, CALL_LOAD_TAGGED, WANT(fault), r.addr + op->n[3] % 256 * 16,
	     (unsigned long)tag ^ 9);
}

/* ---- madvise ------------------------------------------------------------------------- */

/* Some of the range has it and some has not: how far the call gets is left open. */
static bool mixed(const struct range *r, bool (*is)(const struct entry *e))
{
	return any(r, is) && !all(r, is);
}

static void op_dontneed(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped) || mixed(&r, is_locked))
		return;
	if (STEP(w, r.who, CALL_ADVISE, WANT(is_locked(r.e) ? -EINVAL : 0), r.addr, r.n,
		 MADV_DONTNEED) < 0)
		return;
	for (unsigned int i = 0; i < r.n; i++)
		if (!r.e[i].shared)
			entry_forget(w, &r.e[i]);
}

static void op_free(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;
	bool no;

	(void)kind;
	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped) || mixed(&r, is_locked) ||
	    mixed(&r, is_plain) || any(&r, is_uffd))
		return;
	for (unsigned int i = 0; i < r.n; i++) {
		const struct page *p = entry_page(w, &r.e[i]);

		/* Three possibilities are too many. */
		if (p->n == 2 && !p->lazy)
			return;
	}
	no = is_locked(r.e) || !is_plain(r.e);
	if (STEP(w, r.who, CALL_ADVISE, WANT(no ? -EINVAL : 0), r.addr, r.n, MADV_FREE) < 0)
		return;
	for (unsigned int i = 0; i < r.n; i++)
		if (r.e[i].page != NO_PAGE)
			page_freed(w, r.e[i].page);
}

/* What may not change anything that can be seen. */
static void op_advise(struct world *w, const struct fuzz_op *op, int kind)
{
	struct want want = FINE;
	struct range r;

	if (!range_pick(w, op, kind == SOFT_OFFLINE ? 1 : AREA_PAGES, &r))
		return;
	/* Less than a huge page is never collapsed. */
	if (kind == MADV_COLLAPSE && r.a->pages >= 512)
		whole(w, r.who, r.a, &r);
	if (!all(&r, is_mapped))
		return;
	switch (kind) {
	case MADV_PAGEOUT:
	case MADV_COLD:
		if (mixed(&r, is_locked))
			return;
		if (is_locked(r.e))
			want = WANT(-EINVAL);
		break;
	case MADV_COLLAPSE:
	case SOFT_OFFLINE:
		want = WANT(0, ANY_ERROR);
		break;
	}
	STEP(w, r.who, CALL_ADVISE, want, r.addr, r.n, (unsigned long)kind);
	if (kind == MADV_HUGEPAGE || kind == MADV_COLLAPSE)
		set_large(w, &r);
}

static void op_populate(struct world *w, const struct fuzz_op *op, int kind)
{
	bool write = kind == MADV_POPULATE_WRITE;
	bool (*can)(const struct entry *e) = write ? is_writable : is_readable;
	struct want want = FINE;
	struct range r;

	if (!range_pick(w, op, 128, &r) || !all(&r, is_mapped))
		return;
	if (!all(&r, can) || any(&r, is_uffd)) {
		if (any(&r, is_private_file))
			return;
		want = all(&r, can) ? WANT(0, -EFAULT) : WANT(-EFAULT, -EINVAL);
	}
	STEP(w, r.who, CALL_ADVISE, want, r.addr, r.n, (unsigned long)kind);
	if (write)
		own_all(w, &r);
}

static void op_remove(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;

	(void)kind;
	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped) || !all(&r, is_shared) ||
	    !all(&r, is_writable) || any(&r, is_locked))
		return;
	if (!all_known(w, &r))
		r.n = 1;
	if (!all_known(w, &r))
		return;
	for (unsigned int i = 0; i < r.n; i++)
		if (!object_may_punch(w, &w->object[r.e[i].object]))
			return;
	if (STEP(w, r.who, CALL_ADVISE, FINE, r.addr, r.n, MADV_REMOVE) < 0)
		return;
	for (unsigned int i = 0; i < r.n; i++)
		object_punch(w, r.e[i].object, (unsigned int)r.e[i].offset);
}

static void op_fork_advice(struct world *w, const struct fuzz_op *op, int kind)
{
	bool wipe = kind == MADV_WIPEONFORK;
	struct range r;

	if (!range_pick(w, op, AREA_PAGES, &r) || !all(&r, is_mapped) ||
	    (wipe && mixed(&r, is_plain)))
		return;
	if (STEP(w, r.who, CALL_ADVISE, WANT(wipe && !is_plain(r.e) ? -EINVAL : 0), r.addr, r.n,
		 (unsigned long)kind) < 0)
		return;
	for (unsigned int i = 0; i < r.n; i++) {
		if (kind == MADV_DONTFORK || kind == MADV_DOFORK)
			r.e[i].no_fork = kind == MADV_DONTFORK;
		else if (is_plain(&r.e[i]))
			r.e[i].wipe = wipe;
	}
}

/* ---- Processes ------------------------------------------------------------------------ */

static void op_fork(struct world *w, const struct fuzz_op *op, int kind)
{
	int who = actor(w, op), child = 1;
	struct process *from = &w->process[who], *to;

	(void)kind;
	while (child < FUZZ_PROCESSES && w->process[child].alive)
		child++;
	if (child == FUZZ_PROCESSES ||
	    STEP(w, who, CALL_SPAWN, FINE, (unsigned long)child) < 0)
		return;
	to = &w->process[child];
	to->alive = true;
	for (int i = 0; i < SLOTS; i++) {
		to->area[i].shift = from->area[i].shift;
		to->area[i].pages = from->area[i].pages;
		for (unsigned int j = 0; j < from->area[i].pages; j++) {
			struct entry *e = &to->area[i].e[j];

			if (from->area[i].e[j].no_fork)
				*e = (struct entry){ .object = NO_OBJECT, .page = NO_PAGE };
			else
				entry_copy(w, e, &from->area[i].e[j], true);
		}
		trim(&to->area[i]);
	}
}

static void op_exit(struct world *w, const struct fuzz_op *op, int kind)
{
	int who = actor(w, op);

	(void)kind;
	if (who && STEP0(w, who, CALL_EXIT, FINE) >= 0)
		process_end(w, &w->process[who]);
}

/* Another process that is alive, or the same one. */
static int other(struct world *w, const struct fuzz_op *op)
{
	int who = (int)(op->n[3] >> 16) % FUZZ_PROCESSES;

	return w->process[who].alive ? who : 0;
}

static void op_vm_read(struct world *w, const struct fuzz_op *op, int kind)
{
	const struct page *p;
	struct range r;

	(void)kind;
	if (!range_of(w, other(w, op), op, 1, &r) || !known(w, r.e))
		return;
	p = entry_page(w, r.e);
	STEP(w, actor(w, op), CALL_VM_READ, WANT(copy_of(r.e, false)), (unsigned long)r.who, r.addr,
	     p->is[0].data, p->is[p->n - 1].data);
}

static void op_vm_write(struct world *w, const struct fuzz_op *op, int kind)
{
	struct range r;
	int fault;

	(void)kind;
	if (!range_of(w, other(w, op), op, 1, &r) || !known(w, r.e))
		return;
	fault = copy_of(r.e, true);
	if (STEP(w, actor(w, op), CALL_VM_WRITE, WANT(fault), (unsigned long)r.who, r.addr,
		 name(op, 0)) >= 0 && !fault)
		page_wrote(w, entry_own(w, r.e), name(op, 0), false);
}

/* ptrace is allowed more than the program itself; how much is left open. */
static struct want trace_want(const struct entry *e, bool write)
{
	if (!e->tagged || (e->uffd && (!e->present || (write && e->protected))))
		return WANT(-EIO);
	if (!e->readable || (write && !e->writable))
		return WANT(0, -EIO);
	return FINE;
}

static void op_trace(struct world *w, const struct fuzz_op *op, int kind)
{
	int who = actor(w, op);
	const struct page *p;
	unsigned long tags = name(op, 0) << 12 | (op->n[3] & 0xfff);
	struct range r;

	if (!range_of(w, other(w, op), op, 1, &r) || r.who == who || !known(w, r.e))
		return;
	/* If it is refused, the page may have been copied all the same. */
	if (kind == CALL_POKE && is_private_file(r.e) && !(r.e->tagged && r.e->writable))
		return;
	p = entry_page(w, r.e);
	if (kind == CALL_PEEK)
		STEP(w, who, CALL_PEEK, trace_want(r.e, false), (unsigned long)r.who, r.addr,
		     p->is[0].tags, p->is[p->n - 1].tags);
	else if (STEP(w, who, CALL_POKE, trace_want(r.e, true), (unsigned long)r.who, r.addr,
		      tags) >= 0)
		page_tagged(w, entry_own(w, r.e), tags);
}

/* ---- What holds pages ------------------------------------------------------------------ */

static void op_pin(struct world *w, const struct fuzz_op *op, int kind)
{
	unsigned int number = op->n[3] % PIPES;
	struct pipe_pin *pin;
	const struct page *p;
	struct entry *e;
	struct range r;
	int fault;

	(void)kind;
	if (!range_pick(w, op, 1, &r) || r.p->pipe[number].used || !known(w, r.e))
		return;
	pin = &r.p->pipe[number];
	e = r.e;
	fault = copy_of(e, false);
	if (STEP(w, r.who, CALL_PIN, WANT(fault), number, r.addr) < 0 || fault)
		return;
	/* Of a private mapping that was not written to it is the file's page. */
	if (is_private_file(e) && e->page == NO_PAGE) {
		struct entry file = *e;

		file.shared = true;
		pin->page = entry_own(w, &file);
	} else {
		pin->page = entry_own(w, e);
	}
	page_hold(w, pin->page);
	p = &w->page[pin->page];
	pin->used = true;
	pin->n = p->n;
	pin->data[0] = p->is[0].data;
	pin->data[1] = p->is[1].data;
	/* It may be the page of zeroes, and stay that when the program writes. */
}

static void op_unpin(struct world *w, const struct fuzz_op *op, int kind)
{
	unsigned int number = op->n[3] % PIPES;
	int who = actor(w, op);
	struct pipe_pin *pin = &w->process[who].pipe[number];

	(void)kind;
	if (!pin->used)
		return;
	STEP(w, who, CALL_UNPIN, FINE, number, (unsigned long)pin->n, pin->data[0], pin->data[1],
	     pin->data[2], pin->data[3]);
	pin->used = false;
	page_put(w, pin->page);
}

static void op_ring(struct world *w, const struct fuzz_op *op, int kind)
{
	int who = actor(w, op);
	struct process *p = &w->process[who];
	unsigned int i;
	const struct page *page;
	struct range r;

	(void)kind;
	if (!p->ring_pages) {
		if (!range_pick(w, op, RING_PAGES, &r) || !all(&r, is_writable) ||
		    any(&r, is_uffd) || !all_known(w, &r))
			return;
		if (STEP(w, who, CALL_RING_REGISTER, FINE, r.addr, r.n) < 0)
			return;
		p->ring_pages = r.n;
		p->ring_addr = r.addr;
		for (i = 0; i < r.n; i++) {
			p->ring[i] = entry_own(w, &r.e[i]);
			page_hold(w, p->ring[i]);
			page_kept(w, p->ring[i]);
		}
		return;
	}
	i = op->n[1] % p->ring_pages;
	page = &w->page[p->ring[i]];
	switch (op->n[2] % 4) {
	case 0:
		if (STEP0(w, who, CALL_RING_UNREGISTER, FINE) < 0)
			return;
		for (i = 0; i < p->ring_pages; i++)
			page_put(w, p->ring[i]);
		p->ring_pages = 0;
		break;
	case 1:
		/* What the program said it does not need is not written back for this. */
		if (STEP(w, who, CALL_RING_IN, FINE, p->ring_addr + i * PAGE_BYTES,
			 name(op, 0)) >= 0)
			page_wrote(w, p->ring[i], name(op, 0), page->lazy);
		break;
	default:
		STEP(w, who, CALL_RING_OUT, FINE, p->ring_addr + i * PAGE_BYTES, page->is[0].data,
		     page->is[page->n - 1].data);
	}
}

static void op_direct(struct world *w, const struct fuzz_op *op, int kind)
{
	bool in = op->n[3] & 1;
	const struct page *p;
	struct range r;
	unsigned long place;
	int fault;

	(void)kind;
	if (!range_pick(w, op, 1, &r) || !known(w, r.e))
		return;
	place = w->group * FUZZ_PROCESSES + (unsigned int)r.who;
	fault = copy_of(r.e, in);
	p = entry_page(w, r.e);
	if (!in)
		STEP(w, r.who, CALL_DIRECT_OUT, WANT(fault), r.addr, place, p->is[0].data,
		     p->is[p->n - 1].data);
	else if (STEP(w, r.who, CALL_DIRECT_IN, WANT(fault), r.addr, place, name(op, 0)) >= 0 &&
		 !fault)
		page_wrote(w, entry_own(w, r.e), name(op, 0), false);
}

/* ---- userfaultfd ------------------------------------------------------------------------ */

static void uffd_register(struct world *w, struct range *r)
{
	if (!all(r, is_plain) || any(r, is_locked))
		return;
	if (STEP(w, r->who, CALL_UFFD_REGISTER, FINE, r->addr, r->n) < 0)
		return;
	/*
	 * Nobody knows what a huge page has filled in until now. From here on khugepaged
	 * fills in nothing.
	 */
	if (STEP(w, r->who, CALL_ADVISE, FINE, r->addr, r->n, MADV_DONTNEED) < 0)
		return;
	for (unsigned int i = 0; i < r->n; i++) {
		entry_forget(w, &r->e[i]);
		r->e[i].uffd = true;
	}
}

static void uffd_move(struct world *w, const struct fuzz_op *op, struct range *r)
{
	struct area *a = &r->p->area[(op->n[3] >> 4) % SLOTS];
	unsigned int from = (op->n[3] >> 8) % HOT;
	struct entry *e = &a->e[from], *to = r->e;

	if (from >= a->pages || e == to || !is_plain(e) || e->page == NO_PAGE ||
	    w->page[e->page].lazy)
		return;
	/* Pages that are shared, held or of another kind of mapping are refused. */
	if (STEP(w, r->who, CALL_UFFD_MOVE,
		 to->present ? WANT(-EEXIST, -EINVAL, -EBUSY, -EAGAIN) :
			       WANT(0, -EINVAL, -EBUSY, -EAGAIN),
		 r->addr, area_addr(r->p, a, from)) < 0)
		return;
	to->page = e->page;
	to->present = true;
	to->protected = false;
	e->page = NO_PAGE;
	e->present = e->protected = false;
}

static void op_uffd(struct world *w, const struct fuzz_op *op, int kind)
{
	bool protect = op->n[3] & 1 << 20;
	struct range r;

	(void)kind;
	if (!range_pick(w, op, 32, &r))
		return;
	if (!is_uffd(r.e)) {
		if (!any(&r, is_uffd))
			uffd_register(w, &r);
		return;
	}
	switch (op->n[3] % 8) {
	case 0:
		if (!all(&r, is_uffd) ||
		    STEP(w, r.who, CALL_UFFD_UNREGISTER, FINE, r.addr, r.n) < 0)
			return;
		for (unsigned int i = 0; i < r.n; i++)
			r.e[i].uffd = r.e[i].protected = false;
		break;
	case 1:
	case 2:
	case 3:
		if (STEP(w, r.who, CALL_UFFD_COPY, WANT(r.e->present ? -EEXIST : 0), r.addr,
			 name(op, 0), protect) < 0)
			return;
		page_wrote(w, entry_own(w, r.e), name(op, 0), false);
		r.e->present = true;
		r.e->protected = protect;
		break;
	case 4:
		if (STEP(w, r.who, CALL_UFFD_ZERO, WANT(r.e->present ? -EEXIST : 0), r.addr) >= 0)
			r.e->present = true;
		break;
	case 5:
	case 6:
		uffd_move(w, op, &r);
		break;
	default:
		if (!all(&r, is_uffd) ||
		    STEP(w, r.who, CALL_UFFD_PROTECT, FINE, r.addr, r.n, protect) < 0)
			return;
		for (unsigned int i = 0; i < r.n; i++)
			if (r.e[i].present)
				r.e[i].protected = protect;
	}
}

/* ---- The machine ------------------------------------------------------------------------ */

static void op_machine(struct world *w, const struct fuzz_op *op, int kind)
{
	/* Others may switch the same swap off, or there may not be room for all of it. */
	STEP0(w, actor(w, op), (enum call_id)kind,
	      kind == CALL_SWAP_OFF_ON ? WANT(0, -EINVAL, -ENOMEM, -EBUSY) : FINE);
}

/* ---- All of them ------------------------------------------------------------------------- */

typedef void (*op_fn)(struct world *w, const struct fuzz_op *op, int kind);

/* Name, weight, whether it needs MTE, what it does, function, and what that is told. */
#define KINDS(X)                                                                               \
	X("mmap", 12, false, "map private, shared or file memory", op_map, 0)                  \
	X("munmap", 3, false, "unmap a range", op_unmap, 0)                                    \
	X("mprotect", 14, false, "PROT_MTE, read-write, read-only, none", op_protect, 0)       \
	X("resize", 3, false, "mremap in place: grow, shrink", op_resize, 0)                   \
	X("mremap", 6, false, "mremap: move, DONTUNMAP", op_move, 0)                           \
	X("mlock", 2, false, "mlock a range", op_lock, 0)                                      \
	X("munlock", 2, false, "munlock a range", op_unlock, 0)                                \
	X("punch", 3, false, "punch a hole into a memfd", op_punch, 0)                         \
	X("store", 24, false, "write pages", op_store, 0)                                      \
	X("tag", 20, true, "set tags of pages", op_set_tags, 0)                                \
	X("check", 18, false, "compare data and tags with the model", op_check, 0)             \
	X("tagcheck", 4, true, "load with the right tag and a wrong one", op_tag_check, 0)     \
	X("dontneed", 5, false, "MADV_DONTNEED", op_dontneed, 0)                               \
	X("free", 4, false, "MADV_FREE", op_free, 0)                                           \
	X("pageout", 10, false, "MADV_PAGEOUT", op_advise, MADV_PAGEOUT)                       \
	X("cold", 2, false, "MADV_COLD", op_advise, MADV_COLD)                                 \
	X("collapse", 5, false, "MADV_COLLAPSE", op_advise, MADV_COLLAPSE)                     \
	X("hugepage", 3, false, "MADV_HUGEPAGE", op_advise, MADV_HUGEPAGE)                     \
	X("nohugepage", 1, false, "MADV_NOHUGEPAGE", op_advise, MADV_NOHUGEPAGE)               \
	X("mergeable", 3, false, "MADV_MERGEABLE: KSM", op_advise, MADV_MERGEABLE)             \
	X("unmergeable", 1, false, "MADV_UNMERGEABLE", op_advise, MADV_UNMERGEABLE)            \
	X("populate-read", 3, false, "MADV_POPULATE_READ", op_populate, MADV_POPULATE_READ)    \
	X("populate-write", 3, false, "MADV_POPULATE_WRITE", op_populate, MADV_POPULATE_WRITE) \
	X("remove", 2, false, "MADV_REMOVE", op_remove, 0)                                     \
	X("dontfork", 1, false, "MADV_DONTFORK", op_fork_advice, MADV_DONTFORK)                \
	X("dofork", 1, false, "MADV_DOFORK", op_fork_advice, MADV_DOFORK)                      \
	X("wipeonfork", 1, false, "MADV_WIPEONFORK", op_fork_advice, MADV_WIPEONFORK)          \
	X("keeponfork", 1, false, "MADV_KEEPONFORK", op_fork_advice, MADV_KEEPONFORK)          \
	X("soft-offline", 0, false, "MADV_SOFT_OFFLINE: takes memory", op_advise, SOFT_OFFLINE) \
	X("fork", 6, false, "fork a process", op_fork, 0)                                      \
	X("exit", 4, false, "end a process", op_exit, 0)                                       \
	X("vm-read", 4, false, "process_vm_readv from another process", op_vm_read, 0)         \
	X("vm-write", 4, false, "process_vm_writev to another process", op_vm_write, 0)        \
	X("peek", 4, true, "ptrace: read tags of another process", op_trace, CALL_PEEK)        \
	X("poke", 4, true, "ptrace: write tags of another process", op_trace, CALL_POKE)       \
	X("vmsplice", 5, false, "have a pipe hold a page", op_pin, 0)                          \
	X("unsplice", 4, false, "read what a pipe holds", op_unpin, 0)                         \
	X("io-uring", 8, false, "registered buffers: register, read, write", op_ring, 0)       \
	X("direct", 5, false, "read and write with O_DIRECT", op_direct, 0)                    \
	X("uffd", 14, false, "userfaultfd: register, COPY, ZEROPAGE, MOVE, WP", op_uffd, 0)    \
	X("compact", 2, false, "compact memory", op_machine, CALL_COMPACT)                     \
	X("drop-caches", 1, false, "drop clean caches", op_machine, CALL_DROP_CACHES)          \
	X("swapoff", 1, false, "swap off and on again", op_machine, CALL_SWAP_OFF_ON)

const struct fuzz_kind fuzz_kinds[] = {
#define KIND(name_, weight_, tags_, what_, fn_, arg_) { name_, weight_, tags_, what_ },
	KINDS(KIND)
#undef KIND
};

static const struct {
	op_fn fn;
	int arg;
} functions[] = {
#define FUNCTION(name_, weight_, tags_, what_, fn_, arg_) { fn_, arg_ },
	KINDS(FUNCTION)
#undef FUNCTION
};

size_t fuzz_nr_kinds(void)
{
	return sizeof(functions) / sizeof(functions[0]);
}

/* Processes have the files of those they come from. Object 0 of several groups is there. */
static void begin(struct world *w)
{
	for (unsigned int i = 0; i < MEMFDS; i++) {
		if (i || w->groups == 1)
			STEP(w, 0, CALL_OBJECT, FINE, i, OBJECT_PAGES);
		w->object[i].exists = true;
	}
}

bool world_do(struct world *w, const struct fuzz_op *op)
{
	size_t steps;

	w->op = op->id;
	if (!w->object[0].exists)
		begin(w);
	steps = w->trace.nr;
	functions[op->kind].fn(w, op, functions[op->kind].arg);
	w->done += w->trace.nr > steps;
	return !w->finding.kind && !w->lost;
}

/* Something was written there; of the rest one in 16 is enough. */
static bool worth_a_look(struct world *w, const struct entry *e, unsigned int i)
{
	return e->mapped && (e->page != NO_PAGE || !(i % 16) ||
			     (e->object != NO_OBJECT &&
			      w->object[e->object].page[e->offset] != NO_PAGE));
}

bool world_check(struct world *w)
{
	struct range r;

	for (int who = 0; who < FUZZ_PROCESSES && !w->finding.kind; who++) {
		for (int i = 0; i < SLOTS; i++) {
			if (!whole(w, who, &w->process[who].area[i], &r))
				continue;
			for (unsigned int j = 0; j < r.n; j++) {
				struct entry *e = &r.e[j];

				if (!worth_a_look(w, e, j))
					continue;
				if (!e->readable &&
				    STEP(w, who, CALL_PROTECT, FINE, r.addr + j * PAGE_BYTES, 1,
					 PROT_READ) >= 0)
					entry_protect(e, PROT_READ);
				check_page(w, &r, j);
			}
		}
	}
	return !w->finding.kind;
}

const char *fuzz_finding_name(enum fuzz_finding_kind kind)
{
	static const char *const names[] = {
		[FINDING_NONE] = "nothing",
		[FINDING_DATA] = "wrong data",
		[FINDING_TAGS] = "wrong tags",
		[FINDING_SIGNAL] = "unexpected signal",
		[FINDING_NO_SIGNAL] = "signal that did not come",
		[FINDING_ERRNO] = "unexpected result",
		[FINDING_GONE] = "process that ended",
		[FINDING_HANG] = "step that does not end",
		[FINDING_KERNEL] = "complaint of the kernel",
	};

	return names[kind];
}
