// SPDX-License-Identifier: GPL-2.0-only
/* What the UI knows of the machine: see model.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/model.h"
#include "scenario/scenario.h"

#define TRACE_LINES 100		/* at a refresh */

int model_open(struct model *m, struct state *st, struct log *log)
{
	int err = 0;

	memset(m, 0, sizeof(*m));
	m->log = log;
	m->st = st;
	m->block.number = -1;
	m->page_size = 4096;
	m->history = calloc((nr_state_counters + STATE_MAX_EXTRA) * HISTORY, sizeof(*m->history));
	if (!m->history) {
		snprintf(m->error, sizeof(m->error), "out of memory");
		return -ENOMEM;
	}
	if (!st)
		err = state_open(&m->st);
	if (!err)
		err = state_read_summary(m->st, &m->now);
	m->ok = !err;
	if (err)
		snprintf(m->error, sizeof(m->error), "%s", state_error(m->st));
	return err;
}

static void forget_owners(struct model *m)
{
	free(m->owner);
	m->owner = NULL;
	m->owners_due = 0;
	m->owners_error[0] = '\0';
}

void model_forget(struct model *m)
{
	/* The next refresh begins another map. */
	map_free(&m->map);
	forget_owners(m);
	m->samples = 0;
}

void model_close(struct model *m)
{
	state_close(m->st);
	trace_close(m->trace);
	map_free(&m->map);
	free(m->owner);
	free(m->regions);
	free(m->history);
	free(m->latency[0]);
	free(m->latency[1]);
	free(m->replays);
	memset(m, 0, sizeof(*m));
}

bool model_is_gauge(const struct model *m, size_t counter)
{
	const char *name = state_counter_name(&m->now, counter);

	return !strncmp(name, "block", 5) || !strncmp(name, "reserved_pages", 14) ||
	       !strcmp(name, "regions");
}

size_t model_history(const struct model *m, size_t counter, uint64_t *v, size_t n)
{
	bool gauge = model_is_gauge(m, counter);
	uint64_t have = m->samples < HISTORY ? m->samples : HISTORY;
	const uint64_t *h = m->history + counter * HISTORY;

	if (!gauge && have)
		have--;
	if (n > have)
		n = have;
	for (size_t i = 0; i < n; i++) {
		uint64_t at = m->samples - n + i, now = h[at % HISTORY];

		v[i] = now;
		if (!gauge) {
			uint64_t before = h[(at - 1) % HISTORY];

			v[i] = now > before ? now - before : 0;
		}
	}
	return n;
}

const char *format_ns(uint64_t ns, char *buf, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double v = (double)ns;
	size_t u = 0;

	for (; v >= 999.5 && u < 3; u++)
		v /= 1000;
	snprintf(buf, size, "%.*f %s", u && v < 99.5 ? 1 : 0, v, units[u]);
	return buf;
}

/* ---- Regions ------------------------------------------------------------------ */

const struct state_region *model_region(const struct model *m, uint64_t block)
{
	for (size_t i = 0; i < m->nr_regions; i++)
		if (block >= m->regions[i].first_block &&
		    block - m->regions[i].first_block < m->regions[i].blocks)
			return &m->regions[i];
	return NULL;
}

uint64_t model_block_rows(const struct model *m, uint64_t block)
{
	const struct state_region *r = model_region(m, block);

	return r ? r->block_size / m->page_size * (1 + STATE_DATA_PER_TAG) : 0;
}

static int read_regions(struct model *m)
{
	struct state_region *regions;
	size_t n;
	int err = state_read_regions(m->st, &regions, &n);

	if (err)
		return err;
	free(m->regions);
	m->regions = regions;
	m->nr_regions = n;
	if (n && m->now.block_pages && regions[0].block_size / m->now.block_pages >= 4096)
		m->page_size = regions[0].block_size / m->now.block_pages;
	return 0;
}

/* ---- One block ------------------------------------------------------------------ */

static void read_page(struct model *m, const struct block_facts *f, uint64_t row,
		      struct page_row *out)
{
	out->is_tag_page = row < f->tag_pages;
	out->pfn = out->is_tag_page ? f->tag_base / m->page_size + row :
				      f->data_base / m->page_size + row - f->tag_pages;
	out->err = state_lookup_pfn(m->st, out->pfn, &out->page);
}

static int read_block(struct model *m, const struct model_needs *needs)
{
	struct block_facts *f = &m->block;
	uint64_t index, total;
	size_t got;

	f->number = -1;
	f->rows = 0;
	f->tags_err = 1;
	if (needs->block < 0 || (uint64_t)needs->block >= m->now.blocks)
		return 0;
	f->number = needs->block;
	f->region = model_region(m, (uint64_t)f->number);
	f->err = state_read_blocks(m->st, (uint64_t)f->number, 1, &f->block, &got);
	if (!f->err && !got)
		f->err = -ENODATA;
	if (f->err || !f->region)
		return f->err;
	index = (uint64_t)f->number - f->region->first_block;
	f->tag_pages = f->region->block_size / m->page_size;
	f->tag_base = f->region->tag_base + index * f->region->block_size;
	f->data_pages = f->tag_pages * STATE_DATA_PER_TAG;
	f->data_base = f->region->mem_base + index * f->region->block_size * STATE_DATA_PER_TAG;
	read_page(m, f, 0, &f->own);
	total = f->tag_pages + f->data_pages;
	f->first_row = needs->row;
	for (uint64_t i = 0; i < needs->rows && i < BLOCK_ROWS && needs->row + i < total; i++) {
		read_page(m, f, needs->row + i, &f->row[i]);
		f->rows = i + 1;
	}
	if (needs->want_tags && needs->selected < total) {
		struct page_row r;

		read_page(m, f, needs->selected, &r);
		f->tags_row = needs->selected;
		f->tags_err = state_tags_pfn(m->st, r.pfn, &f->tags);
	}
	return 0;
}

/* ---- Owners ----------------------------------------------------------------------- */

/* A tenth of the time at most goes into it: a process may have much memory. */
static void read_owners(struct model *m)
{
	uint64_t begin = now_ns();
	char *owner;

	if (begin < m->owners_due)
		return;
	forget_owners(m);
	if (m->now.blocks > MAX_OWNERS) {
		snprintf(m->owners_error, sizeof(m->owners_error),
			 "there are too many blocks to ask whose each is");
		return;
	}
	owner = calloc(m->now.blocks + 1, 1);
	if (!owner) {
		snprintf(m->owners_error, sizeof(m->owners_error), "out of memory");
		return;
	}
	if (state_read_owners(m->st, NULL, owner, m->now.blocks)) {
		snprintf(m->owners_error, sizeof(m->owners_error), "%s", state_error(m->st));
		free(owner);
		return;
	}
	m->owner = owner;
	m->owners_due = now_ns() + 9 * (now_ns() - begin);
}

char model_owner(const struct model *m, uint64_t block)
{
	int letter = map_letter(&m->map, block);

	return m->owner && letter >= 0 && block < m->now.blocks ?
		       owner_shown(STATE_LETTERS[letter], m->owner[block]) : 0;
}

/* ---- All of it -------------------------------------------------------------------- */

static int read_latencies(struct model *m)
{
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		struct state_latency *lat;
		size_t n;

		err = state_read_latency(m->st, (enum state_histogram)i, &lat, &n);
		if (err)
			break;
		free(m->latency[i]);
		m->latency[i] = lat;
		m->nr_latency[i] = n;
	}
	if (!err) {
		struct state_replays *rep;
		size_t n;

		err = state_read_replays(m->st, &rep, &n);
		if (err)
			return err;
		free(m->replays);
		m->replays = rep;
		m->nr_replays = n;
	}
	return err;
}

static int read_summary(struct model *m)
{
	struct state_summary s;
	char text[900];
	int err = state_read_summary(m->st, &s);

	if (err)
		return err;
	if (m->samples && *state_changes(&m->now, &s, text, sizeof(text)))
		log_add(m->log, LOG_STATE, "%s", text);
	for (size_t i = 0; i < state_counters_of(&s); i++) {
		uint64_t *history = m->history + i * HISTORY;

		/* One that was another before, or not there, has no past. */
		if (i >= state_counters_of(&m->now) ||
		    strcmp(state_counter_name(&m->now, i), state_counter_name(&s, i)))
			memset(history, 0, HISTORY * sizeof(*history));
		state_counter_get(&s, i, &history[m->samples % HISTORY]);
	}
	m->now = s;
	m->samples++;
	return 0;
}

static int refresh(struct model *m, const struct model_needs *needs)
{
	int err = read_summary(m);

	if (err)
		return err;
	/* They come from the device tree: only another machine has other ones. */
	if (!m->nr_regions && m->now.regions)
		err = read_regions(m);
	if (!err && m->map.blocks != m->now.blocks) {
		map_free(&m->map);
		forget_owners(m);
		if (map_init(&m->map, m->now.blocks)) {
			snprintf(m->error, sizeof(m->error),
				 "no memory for a map of %" PRIu64 " blocks", m->now.blocks);
			return -ENOMEM;
		}
	}
	m->window = needs->window;
	if (!err && needs->window.count)
		err = map_refresh(&m->map, m->st, &needs->window, m->now.generation,
				  needs->budget_ns);
	if (err == -ENODATA) {
		snprintf(m->error, sizeof(m->error),
			 "%s/blocks: has fewer records than the summary says (%" PRIu64 ")",
			 state_root(m->st), m->now.blocks);
		return err;
	}
	if (!err)
		err = read_block(m, needs);
	if (!err && needs->owners)
		read_owners(m);
	if (!err && needs->latencies)
		err = read_latencies(m);
	return err;
}

int model_trace(struct model *m, bool on, char *why, size_t size)
{
	trace_close(m->trace);
	m->trace = NULL;
	return on ? trace_open(&m->trace, TRACE_TAG_STORAGE, why, size) : 0;
}

/* A storm of events must not keep the keys waiting, nor push all else out of the log. */
static void read_trace(struct model *m)
{
	unsigned int lines = 0, more = 0;
	const char *line;

	if (!m->trace)
		return;
	while (more < 20000 && (line = trace_next(m->trace))) {
		if (lines < TRACE_LINES) {
			log_add(m->log, LOG_TRACE, "%s", line);
			lines++;
		} else {
			more++;
		}
	}
	if (more)
		log_add(m->log, LOG_TRACE, "... and %s%u others", more < 20000 ? "" : "at least ",
			more);
}

void model_refresh(struct model *m, const struct model_needs *needs)
{
	char before[sizeof(m->error)];
	int err;

	read_trace(m);
	if (!m->st)
		return;
	memcpy(before, m->error, sizeof(before));
	m->error[0] = '\0';
	err = refresh(m, needs);
	if (err && !m->error[0])
		snprintf(m->error, sizeof(m->error), "%s", state_error(m->st));
	if (!err)
		m->ok = true;
	/* Once, not at each refresh. */
	if (err && strcmp(before, m->error))
		log_add(m->log, LOG_BAD, "%s", m->error);
}
