// SPDX-License-Identifier: GPL-2.0-only
/* See sampler.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "kernel/state.h"
#include "kernel/state_json.h"
#include "kernel/trace.h"
#include "record/blocks.h"
#include "record/sampler.h"

#define PIECE 8192		/* blocks that are read together */
/*
 * Free and data are told apart without a counter: what was read this long ago is read again
 * even if no counter tells of a change.
 */
#define MAX_AGE_NS 3000000000ULL
#define NEAR 4			/* blocks between two to be read that are read along with them */
#define SLOW_NS 1000000000ULL	/* between two readings of the histograms */
#define OWNERS_NS 1000000000ULL	/* between two readings of owners, but at steps */
/* What was read rests, but at steps, while the processors do so many times as much ... */
#define MAP_REST 99
#define OWNERS_REST 399
#define IDLE 10			/* ... or so many times longer if they do nothing ... */
#define MAX_REST_NS 4000000000ULL	/* ... but not longer than this */
#define TRACE_LINES 50		/* at a time; more are counted */

struct piece {
	uint64_t changes, read_ns;	/* read_ns 0: never */
};

struct rest {
	uint64_t busy_ns, now_ns;	/* until one of them has come */
};

struct rec_sampler {
	struct state *st;
	struct trace *trace;
	FILE *f;
	uint64_t at_ns;
	struct state_summary last;
	bool have_last;
	uint64_t changes;	/* how often counters had changed */
	char error[800];	/* told last, or "" */

	struct state_region *region;
	size_t nr_regions;
	uint64_t blocks, nr_pieces, next;
	struct rec_block *block;
	struct piece *piece;
	char *kind;		/* of each block, of when its piece was read ... */
	uint64_t kinds_read;	/* pieces of which they were, this time */
	struct rec_block *owner;
	struct rest map_rest, owners_rest;
	uint64_t owners_ns;	/* when they were read; 0: never */
	bool owners_told;	/* why they cannot be read */

	struct state_latency *latency[2];
	size_t nr_latency[2];
	struct state_replays *replays;
	size_t nr_replays;
	uint64_t slow_ns, slow_changes;
};

struct rec_sampler *rec_sampler_open(bool trace, char *why, size_t size)
{
	struct rec_sampler *s = calloc(1, sizeof(*s));

	*why = '\0';
	if (!s)
		return NULL;
	if (state_open(&s->st)) {
		snprintf(why, size, "%s", state_error(s->st));
		state_close(s->st);
		s->st = NULL;
	}
	if (trace && trace_open(&s->trace, TRACE_TAG_STORAGE, why, size))
		s->trace = NULL;
	return s;
}

void rec_sampler_close(struct rec_sampler *s)
{
	if (!s)
		return;
	state_close(s->st);
	trace_close(s->trace);
	free(s->region);
	free(s->block);
	free(s->piece);
	free(s->kind);
	free(s->owner);
	free(s->latency[0]);
	free(s->latency[1]);
	free(s->replays);
	free(s);
}

/* ---- Lines ------------------------------------------------------------------------ */

static cJSON *line_begin(const struct rec_sampler *s, const char *event)
{
	cJSON *o = cJSON_CreateObject();

	json_add_u64(o, "at", s->at_ns);
	cJSON_AddStringToObject(o, "event", event);
	return o;
}

/* Out of memory loses the line, and its end in the file too: so all of it. */
static void line_end(const struct rec_sampler *s, cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	if (text)
		fprintf(s->f, "%s\n", text);
	free(text);
	cJSON_Delete(o);
}

/* ---- Counters ---------------------------------------------------------------------- */

static bool same_kind(const struct state_summary *a, const struct state_summary *b)
{
	if (a->present != b->present || a->nr_extra != b->nr_extra ||
	    strcmp(a->policy, b->policy) || strcmp(a->reason, b->reason))
		return false;
	for (size_t i = 0; i < a->nr_extra; i++)
		if (strcmp(a->extra[i].name, b->extra[i].name))
			return false;
	return true;
}

static void print_summary(const struct rec_sampler *s, const struct state_summary *now)
{
	cJSON *o = line_begin(s, "summary");

	state_to_json(now, cJSON_AddObjectToObject(o, "state"));
	line_end(s, o);
}

/* Whether any changed that may tell of a change of blocks: those of gathering tell of its work. */
static bool print_counters(const struct rec_sampler *s, const struct state_summary *now)
{
	cJSON *o = NULL, *values = NULL;
	bool changed = false;
	uint64_t a, b;

	for (size_t i = 0; i < state_counters_of(now); i++) {
		if (!state_counter_get(now, i, &b) || !state_counter_get(&s->last, i, &a) || a == b)
			continue;
		changed |= strncmp(state_counter_name(now, i), "gather_", 7) != 0;
		if (!o) {
			o = line_begin(s, "counters");
			values = cJSON_AddObjectToObject(o, "values");
		}
		json_add_u64(values, state_counter_name(now, i), b);
	}
	if (o)
		line_end(s, o);
	return changed;
}

static int sample_summary(struct rec_sampler *s)
{
	struct state_summary now;
	int err = state_read_summary(s->st, &now);

	if (err)
		return err;
	if (!s->have_last || !same_kind(&s->last, &now)) {
		print_summary(s, &now);
		s->changes++;
	} else if (print_counters(s, &now)) {
		s->changes++;
	}
	s->last = now;
	s->have_last = true;
	return 0;
}

/* ---- Regions ------------------------------------------------------------------------ */

static int sample_regions(struct rec_sampler *s)
{
	struct state_region *r;
	cJSON *o, *list;
	size_t n;
	int err;

	free(s->region);
	s->region = NULL;
	err = state_read_regions(s->st, &r, &n);
	s->region = r;
	s->nr_regions = n;

	if (err)
		return err;
	o = line_begin(s, "regions");
	list = cJSON_AddArrayToObject(o, "regions");
	for (size_t i = 0; i < n; i++) {
		cJSON *one = cJSON_CreateObject();

		json_add_u64(one, "tag_base", r[i].tag_base);
		json_add_u64(one, "tag_size", r[i].tag_size);
		json_add_u64(one, "mem_base", r[i].mem_base);
		json_add_u64(one, "mem_size", r[i].mem_size);
		json_add_u64(one, "block_size", r[i].block_size);
		json_add_u64(one, "first_block", r[i].first_block);
		json_add_u64(one, "blocks", r[i].blocks);
		cJSON_AddItemToArray(list, one);
	}
	line_end(s, o);
	return 0;
}

/* ---- The map ------------------------------------------------------------------------- */

/* As many as the summary says now, none known. */
static int new_map(struct rec_sampler *s)
{
	int err;

	free(s->block);
	free(s->piece);
	free(s->kind);
	free(s->owner);
	s->blocks = s->last.blocks;
	s->nr_pieces = (s->blocks + PIECE - 1) / PIECE;
	s->next = 0;
	s->block = calloc(s->blocks + 1, sizeof(*s->block));
	s->piece = calloc(s->nr_pieces + 1, sizeof(*s->piece));
	s->kind = malloc(s->blocks + 1);
	s->owner = calloc(s->blocks + 1, sizeof(*s->owner));
	if (!s->block || !s->piece || !s->kind || !s->owner) {
		s->blocks = 0;
		return -ENOMEM;
	}
	memset(s->kind, OWNER_NOBODY, s->blocks);
	err = sample_regions(s);
	if (err)
		s->blocks = 0;
	return err;
}

/* A line of what changed from was to now, from block first on; was is now then. */
static int put_changes(const struct rec_sampler *s, const char *event, uint64_t first,
		       struct rec_block *was, const struct rec_block *now, size_t n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool any;

	if (!f)
		return -ENOMEM;
	any = rec_blocks_print(f, was, now, n);
	if (fclose(f)) {
		free(text);
		return -ENOMEM;
	}
	if (any)
		fprintf(s->f, "{\"at\":%" PRIu64 ",\"event\":\"%s\",\"first\":%" PRIu64
			",\"changes\":\"%s\"}\n", s->at_ns, event, first, text);
	free(text);
	memcpy(was, now, n * sizeof(*now));
	return 0;
}

/*
 * The kernel prints a record in some 1800 instructions, and page flags in 350. So of what
 * they can tell no record is read: a block all pages of which are free is free, and one that
 * held tags holds as many until a counter changes, unless its pages are free. Everything
 * else can have become pinned, or not, at any time.
 */
static bool must_read(const struct rec_sampler *s, uint64_t block, bool changed)
{
	switch (s->block[block].letter) {
	case BLOCK_RESERVED:
	case BLOCK_PERMANENT:
	case BLOCK_UNUSABLE:
		return changed;
	}
	return true;
}

static int sample_piece(struct rec_sampler *s, uint64_t p)
{
	static struct state_block b[PIECE];
	static struct rec_block now[PIECE];
	uint64_t first = p * PIECE, left = s->blocks - first;
	size_t n = left < PIECE ? (size_t)left : PIECE, from = 0, to = 0, got = 0;
	bool changed = !s->piece[p].read_ns || s->piece[p].changes != s->changes ||
		       now_ns() - s->piece[p].read_ns > MAX_AGE_NS;
	bool have_kinds = !state_read_kinds(s->st, s->region, s->nr_regions, first, n,
					    s->kind + first);
	int err = 0;

	s->kinds_read += have_kinds;
	memcpy(now, s->block + first, n * sizeof(*now));
	for (size_t i = 0; i <= n && !err; i++) {
		if (i < n && have_kinds && s->kind[first + i] == BLOCK_FREE) {
			now[i] = (struct rec_block){ .letter = BLOCK_FREE,
						     .free = (uint16_t)s->last.block_pages };
			continue;
		}
		if (i < n && have_kinds && !must_read(s, first + i, changed))
			continue;
		/* What is near goes along: another call costs as much. */
		if (i < n && to && i - to <= NEAR) {
			to = i + 1;
			continue;
		}
		if (to)
			err = state_read_blocks(s->st, first + from, to - from, b, &got);
		for (size_t k = 0; to && !err && k < got; k++)
			now[from + k] = rec_block_of(&b[k]);
		from = i;
		to = i + 1;
	}
	if (!err)
		err = put_changes(s, "blocks", first, s->block + first, now, n);
	if (err)
		return err;
	s->piece[p].changes = s->changes;
	s->piece[p].read_ns = now_ns();
	return 0;
}

static int sample_blocks(struct rec_sampler *s, uint64_t budget_ns, bool anew)
{
	uint64_t start = now_ns(), now = start;
	int err = 0;

	if (s->last.blocks != s->blocks)
		err = new_map(s);
	for (uint64_t i = 0; i < s->nr_pieces && !err && s->blocks; i++) {
		const struct piece *p = &s->piece[s->next];

		if (anew || !p->read_ns || p->changes != s->changes ||
		    start - p->read_ns > MAX_AGE_NS) {
			if (now - start > budget_ns)
				break;
			err = sample_piece(s, s->next);
			now = now_ns();
		}
		s->next = (s->next + 1) % s->nr_pieces;
	}
	return err;
}

/*
 * A line for each piece that changed. That owners cannot be read is told once, and all else is
 * recorded nevertheless: they are root's to know.
 */
static int sample_owners(struct rec_sampler *s)
{
	static struct rec_block now[PIECE];
	char *owner = malloc(s->blocks + 1);
	int err;

	if (!owner)
		return -ENOMEM;
	err = state_read_owners(s->st, s->kinds_read == s->nr_pieces ? s->kind : NULL, owner,
				s->blocks);
	if (err && !s->owners_told) {
		cJSON *o = line_begin(s, "no_owners");

		cJSON_AddStringToObject(o, "text", state_error(s->st));
		line_end(s, o);
	}
	s->owners_told = err;
	for (uint64_t at = 0; at < s->blocks && !err; at += PIECE) {
		size_t n = s->blocks - at < PIECE ? (size_t)(s->blocks - at) : PIECE;

		for (size_t i = 0; i < n; i++)
			now[i] = (struct rec_block){ .letter = owner[at + i] };
		err = put_changes(s, "owners", at, s->owner + at, now, n);
	}
	free(owner);
	return err == -ENOMEM ? err : 0;
}

/* ---- Histograms ----------------------------------------------------------------------- */

static void print_latency(cJSON *o, const char *name, const struct state_latency *lat, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(o, name);

	for (size_t i = 0; i < n; i++) {
		char buckets[STATE_BUCKETS * 21 + 2] = "[";
		cJSON *one = cJSON_CreateObject();
		size_t len = 1;

		cJSON_AddStringToObject(one, "cause", lat[i].cause);
		cJSON_AddStringToObject(one, "outcome", lat[i].outcome);
		json_add_u64(one, "count", lat[i].count);
		json_add_u64(one, "total_ns", lat[i].total_ns);
		json_add_u64(one, "max_ns", lat[i].max_ns);
		for (size_t k = 0; k < STATE_BUCKETS; k++)
			len += (size_t)snprintf(buckets + len, sizeof(buckets) - len,
						"%" PRIu64 "%c", lat[i].bucket[k],
						k + 1 < STATE_BUCKETS ? ',' : ']');
		cJSON_AddRawToObject(one, "buckets", buckets);
		cJSON_AddItemToArray(list, one);
	}
}

static bool same_array(const void *a, size_t na, const void *b, size_t nb, size_t size)
{
	return na == nb && (!na || !memcmp(a, b, na * size));
}

static int sample_histograms(struct rec_sampler *s)
{
	struct state_latency *lat[2] = { NULL, NULL };
	struct state_replays *rep = NULL;
	size_t n[2] = { 0, 0 }, nr_rep = 0;
	cJSON *o, *list;
	int err = 0;

	for (int i = 0; i < 2 && !err; i++)
		err = state_read_latency(s->st, (enum state_histogram)i, &lat[i], &n[i]);
	if (!err)
		err = state_read_replays(s->st, &rep, &nr_rep);
	if (err || (s->slow_ns &&
		    same_array(lat[0], n[0], s->latency[0], s->nr_latency[0], sizeof(*lat[0])) &&
		    same_array(lat[1], n[1], s->latency[1], s->nr_latency[1], sizeof(*lat[1])) &&
		    same_array(rep, nr_rep, s->replays, s->nr_replays, sizeof(*rep)))) {
		free(lat[0]);
		free(lat[1]);
		free(rep);
		return err;
	}
	o = line_begin(s, "latency");
	print_latency(o, "reserve", lat[STATE_RESERVE_LATENCY], n[STATE_RESERVE_LATENCY]);
	print_latency(o, "replay", lat[STATE_REPLAY_LATENCY], n[STATE_REPLAY_LATENCY]);
	list = cJSON_AddArrayToObject(o, "replays");
	for (size_t i = 0; i < nr_rep; i++) {
		cJSON *one = cJSON_CreateObject();

		json_add_u64(one, "replays", rep[i].replays);
		json_add_u64(one, "count", rep[i].count);
		cJSON_AddItemToArray(list, one);
	}
	line_end(s, o);
	for (int i = 0; i < 2; i++) {
		free(s->latency[i]);
		s->latency[i] = lat[i];
		s->nr_latency[i] = n[i];
	}
	free(s->replays);
	s->replays = rep;
	s->nr_replays = nr_rep;
	return 0;
}

/* ---- Tracepoints ------------------------------------------------------------------------ */

static void sample_trace(const struct rec_sampler *s)
{
	unsigned int more = 0;
	const char *line;
	cJSON *o;

	for (unsigned int i = 0; (line = trace_next(s->trace)) && i < 20000; i++) {
		if (i >= TRACE_LINES) {
			more++;
			continue;
		}
		o = line_begin(s, "trace");
		cJSON_AddStringToObject(o, "text", line);
		line_end(s, o);
	}
	if (!more)
		return;
	o = line_begin(s, "trace");
	json_add_u64(o, "more", more);
	line_end(s, o);
}

/* ---- All of it ---------------------------------------------------------------------------- */

/* The time in which processors of this machine had something to do; 0: not known. */
static uint64_t busy_ns(void)
{
	double up, idle;
	FILE *f = fopen("/proc/uptime", "re");
	int got;

	if (!f)
		return 0;
	got = fscanf(f, "%lf %lf", &up, &idle);
	fclose(f);
	up *= (double)sysconf(_SC_NPROCESSORS_ONLN);
	return got == 2 && up > idle ? (uint64_t)((up - idle) * 1e9) : 0;
}

static bool rested(const struct rest *r)
{
	return now_ns() >= r->now_ns || busy_ns() >= r->busy_ns;
}

static void rest(struct rest *r, uint64_t since, unsigned int times)
{
	uint64_t ns = (now_ns() - since) * times;

	r->busy_ns = busy_ns() + ns;
	r->now_ns = now_ns() + (ns * IDLE < MAX_REST_NS ? ns * IDLE : MAX_REST_NS);
}

/* Once, not each time. */
static void tell(struct rec_sampler *s, int err)
{
	const char *why = err == -ENOMEM ? "out of memory" : err ? state_error(s->st) : "";
	cJSON *o;

	if (!strcmp(why, s->error))
		return;
	snprintf(s->error, sizeof(s->error), "%s", why);
	if (!err)
		return;
	o = line_begin(s, "trouble");
	cJSON_AddStringToObject(o, "text", why);
	line_end(s, o);
}

void rec_sample(struct rec_sampler *s, FILE *f, uint64_t at_ns, uint64_t budget_ns, bool anew)
{
	uint64_t now = now_ns(), begin;
	int err;

	s->f = f;
	s->at_ns = at_ns;
	if (s->trace)
		sample_trace(s);
	if (!s->st)
		return;
	s->kinds_read = 0;
	err = sample_summary(s);
	if (!err && (anew || rested(&s->map_rest))) {
		begin = now_ns();
		err = sample_blocks(s, budget_ns, anew);
		rest(&s->map_rest, begin, MAP_REST);
	}
	if (!err && s->blocks &&
	    (anew || (now - s->owners_ns >= OWNERS_NS && rested(&s->owners_rest)))) {
		begin = now_ns();
		err = sample_owners(s);
		rest(&s->owners_rest, begin, OWNERS_REST);
		s->owners_ns = now;
	}
	/* Whatever is in a histogram is in a counter, too. */
	if (!err && (!s->slow_ns || budget_ns == UINT64_MAX ||
		     (now - s->slow_ns >= SLOW_NS && s->slow_changes != s->changes))) {
		err = sample_histograms(s);
		s->slow_ns = now;
		s->slow_changes = s->changes;
	}
	tell(s, err);
}
