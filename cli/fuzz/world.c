// SPDX-License-Identifier: GPL-2.0-only
/* The model of memory: see world.h. Running out of memory ends the program. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/world.h"

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static const struct page zeroes = { .refs = 1, .n = 1 };

unsigned long area_addr(const struct process *p, const struct area *a, unsigned int page)
{
	unsigned long slot = (unsigned long)(a - p->area);

	return BASE + (slot * SLOT_PAGES + a->shift + page) * PAGE_BYTES;
}

static int page_new(struct world *w, const struct page *like)
{
	int i = w->free_hint;

	while (i < w->nr_pages && w->page[i].refs)
		i++;
	if (i == w->max_pages) {
		w->max_pages = w->max_pages ? 2 * w->max_pages : 1024;
		w->page = must(realloc(w->page, (size_t)w->max_pages * sizeof(*w->page)));
	}
	if (i == w->nr_pages)
		w->nr_pages++;
	w->free_hint = i + 1;
	w->page[i] = *like;
	w->page[i].refs = 1;
	return i;
}

void page_hold(struct world *w, int page)
{
	w->page[page].refs++;
}

void page_put(struct world *w, int page)
{
	if (page == NO_PAGE || --w->page[page].refs)
		return;
	if (page < w->free_hint)
		w->free_hint = page;
}

void page_settle(struct page *p)
{
	if (p->n == 2 && p->is[0].data == p->is[1].data && p->is[0].tags == p->is[1].tags)
		p->n = 1;
	if (p->n == 1)
		p->lazy = false;
}

/* A pipe that holds it has what it was when it was pinned, or what it became. */
static void pipes_see(struct world *w, int page, unsigned long data)
{
	for (int who = 0; who < FUZZ_PROCESSES; who++) {
		for (int i = 0; i < PIPES; i++) {
			struct pipe_pin *pin = &w->process[who].pipe[i];

			if (!pin->used || pin->page != page || !pin->n)
				continue;
			if (pin->n < PIPE_DATA)
				pin->data[pin->n++] = data;
			else
				pin->n = 0;
		}
	}
}

void page_wrote(struct world *w, int page, unsigned long data, bool lazy)
{
	struct page *p = &w->page[page];

	p->family = 0;
	p->is[0].data = data;
	if (!lazy)
		p->is[1].data = data;
	p->lazy &= lazy;
	page_settle(p);
	pipes_see(w, page, data);
}

void page_kept(struct world *w, int page)
{
	w->page[page].lazy = false;
	w->page[page].family = 0;
}

static void may_be_zeroes(struct page *p, struct content was)
{
	if (p->lazy)
		return;
	p->n = 2;
	p->is[0] = was;
	p->is[1] = (struct content){ 0, 0 };
	p->lazy = true;
	page_settle(p);
}

void page_freed(struct world *w, int page)
{
	struct content was = w->page[page].is[0];
	int family = w->page[page].family;

	may_be_zeroes(&w->page[page], was);
	for (int i = 0; i < w->nr_pages && family; i++)
		if (w->page[i].refs && w->page[i].family == family)
			may_be_zeroes(&w->page[i], was);
}

void page_tagged(struct world *w, int page, unsigned long tags)
{
	struct page *p = &w->page[page];

	p->family = 0;
	p->is[0].tags = p->is[1].tags = tags;
	p->lazy = false;
	page_settle(p);
}

const struct page *entry_page(struct world *w, const struct entry *e)
{
	int page = e->page;

	if (page == NO_PAGE && e->object != NO_OBJECT)
		page = w->object[e->object].page[e->offset];
	return page == NO_PAGE ? &zeroes : &w->page[page];
}

int entry_own(struct world *w, struct entry *e)
{
	int *page = e->shared ? &w->object[e->object].page[e->offset] : &e->page;
	struct page like;

	if (*page == NO_PAGE) {
		/* page_new() may move the pages. */
		like = *entry_page(w, e);
		*page = page_new(w, &like);
	}
	return *page;
}

void entry_forget(struct world *w, struct entry *e)
{
	page_put(w, e->page);
	e->page = NO_PAGE;
	e->present = e->protected = false;
}

void object_forget(struct world *w, struct object *o, unsigned int page)
{
	page_put(w, o->page[page]);
	o->page[page] = NO_PAGE;
}

void object_punch(struct world *w, int object, unsigned int page)
{
	struct object *o = &w->object[object];
	struct page *p;

	/* What others map the first one with is not known. */
	if (o->page[page] == NO_PAGE || !(o->large || (!object && w->groups > 1))) {
		object_forget(w, o, page);
		return;
	}
	p = &w->page[o->page[page]];
	p->is[1] = (struct content){ 0, p->is[p->n - 1].tags };
	p->is[0] = (struct content){ 0, 0 };
	p->n = 2;
	page_settle(p);
}

/* Whether a registered buffer has it. */
static bool ring_has(const struct world *w, int page)
{
	for (int who = 0; who < FUZZ_PROCESSES; who++)
		for (unsigned int i = 0; i < w->process[who].ring_pages; i++)
			if (w->process[who].ring[i] == page)
				return true;
	return false;
}

static bool pipes_have(const struct world *w, int page)
{
	for (int who = 0; who < FUZZ_PROCESSES; who++)
		for (int i = 0; i < PIPES; i++)
			if (w->process[who].pipe[i].used && w->process[who].pipe[i].page == page)
				return true;
	return false;
}

bool object_may_punch(const struct world *w, const struct object *o)
{
	for (unsigned int i = 0; i < OBJECT_PAGES; i++)
		if (o->page[i] != NO_PAGE && (ring_has(w, o->page[i]) || pipes_have(w, o->page[i])))
			return false;
	return true;
}

static void object_put(struct world *w, int object)
{
	struct object *o;

	if (object == NO_OBJECT)
		return;
	o = &w->object[object];
	if (--o->refs || object < MEMFDS)
		return;
	for (unsigned int i = 0; i < OBJECT_PAGES; i++)
		object_forget(w, o, i);
	o->exists = false;
}

int object_new(struct world *w)
{
	for (int i = MEMFDS; i < OBJECTS; i++) {
		struct object *o = &w->object[i];

		if (o->exists)
			continue;
		if (!o->page)
			o->page = must(malloc(OBJECT_PAGES * sizeof(*o->page)));
		memset(o->page, 0xff, OBJECT_PAGES * sizeof(*o->page));
		o->exists = true;
		o->large = false;
		o->refs = 0;
		return i;
	}
	return -1;
}

void entry_unmap(struct world *w, struct entry *e)
{
	if (!e->mapped)
		return;
	entry_forget(w, e);
	object_put(w, e->object);
	*e = (struct entry){ .object = NO_OBJECT, .page = NO_PAGE };
}

void entry_copy(struct world *w, struct entry *to, const struct entry *from, bool fork)
{
	struct page like;

	*to = *from;
	if (!to->mapped)
		return;
	if (to->object != NO_OBJECT)
		w->object[to->object].refs++;
	to->uffd = to->protected = false;
	to->page = NO_PAGE;
	if (fork)
		to->locked = false;
	if (from->page == NO_PAGE || (fork && from->wipe))
		return;
	if (fork) {
		if (!w->page[from->page].family)
			w->page[from->page].family = ++w->nr_families;
		like = w->page[from->page];
		to->page = page_new(w, &like);
	} else {
		to->page = from->page;
		page_hold(w, to->page);
	}
}

void process_end(struct world *w, struct process *p)
{
	for (int i = 0; i < SLOTS; i++) {
		for (unsigned int j = 0; j < p->area[i].pages; j++)
			entry_unmap(w, &p->area[i].e[j]);
		p->area[i].pages = 0;
	}
	for (int i = 0; i < PIPES; i++) {
		if (p->pipe[i].used)
			page_put(w, p->pipe[i].page);
		p->pipe[i].used = false;
	}
	for (unsigned int i = 0; i < p->ring_pages; i++)
		page_put(w, p->ring[i]);
	p->ring_pages = 0;
	p->alive = false;
}

struct world *world_new(unsigned int group, unsigned int groups, bool tags, fuzz_step_fn fn,
			void *ctx)
{
	struct world *w = must(calloc(1, sizeof(*w)));

	w->group = group;
	w->groups = groups;
	w->tags = tags;
	w->fn = fn;
	w->ctx = ctx;
	w->process[0].alive = true;
	for (int i = 0; i < MEMFDS; i++) {
		w->object[i].page = must(malloc(OBJECT_PAGES * sizeof(int)));
		memset(w->object[i].page, 0xff, OBJECT_PAGES * sizeof(int));
	}
	return w;
}

void world_storage_held(struct world *w)
{
	w->storage_held = true;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	for (int i = 0; i < OBJECTS; i++)
		free(w->object[i].page);
	free(w->page);
	free(w->trace.call);
	free(w);
}

const struct fuzz_finding *world_finding(const struct world *w)
{
	return &w->finding;
}

const struct fuzz_trace *world_trace(const struct world *w)
{
	return &w->trace;
}

uint64_t world_done(const struct world *w)
{
	return w->done;
}
