// SPDX-License-Identifier: GPL-2.0-only
/* The state of tag storage at a time of a recording: see recording.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "kernel/state_json.h"
#include "record/recording.h"

void playhead_init(struct playhead *p, const struct recording *rec)
{
	memset(p, 0, sizeof(*p));
	p->rec = rec;
	p->max_blocks = RECORDING_MAX_BLOCKS;
}

static void forget_map(struct playhead *p)
{
	free(p->block);
	free(p->generation);
	free(p->owner);
	p->owner = NULL;
	p->block = NULL;
	p->generation = NULL;
	p->blocks = 0;
}

void playhead_rewind(struct playhead *p)
{
	forget_map(p);
	free(p->regions);
	p->regions = NULL;
	p->nr_regions = 0;
	p->next = 0;
	p->have_summary = false;
	memset(&p->summary, 0, sizeof(p->summary));
	p->latency = NULL;
	p->trouble = NULL;
}

void playhead_free(struct playhead *p)
{
	playhead_rewind(p);
}

static int bad(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s", what);
	return -EPROTO;
}

static bool get(const cJSON *o, const char *key, uint64_t *value)
{
	return json_get_u64(cJSON_GetObjectItemCaseSensitive(o, key), value);
}

/* ---- Entries ------------------------------------------------------------------------- */

static int take_summary(struct playhead *p, const cJSON *o, char *why, size_t size)
{
	if (!state_from_json(cJSON_GetObjectItemCaseSensitive(o, "state"), &p->summary))
		return bad(why, size, "'state' is no summary");
	p->have_summary = true;
	p->trouble = NULL;
	return 0;
}

static int take_counters(struct playhead *p, const cJSON *o, char *why, size_t size)
{
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(o, "values"), *item;
	uint64_t value;

	if (!p->have_summary)
		return bad(why, size, "counters before any summary");
	cJSON_ArrayForEach(item, values)
		if (!item->string || !json_get_u64(item, &value) ||
		    !state_counter_set(&p->summary, item->string, value))
			return bad(why, size, "a counter without a name or a number");
	p->trouble = NULL;
	return 0;
}

static int take_regions(struct playhead *p, const cJSON *o, char *why, size_t size)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "regions"), *one;
	int n = cJSON_GetArraySize(list);
	struct state_region *regions = calloc((size_t)n + 1, sizeof(*regions)), *r = regions;

	if (!regions)
		return -ENOMEM;
	cJSON_ArrayForEach(one, list) {
		r->index = (unsigned int)(r - regions);
		if (!get(one, "tag_base", &r->tag_base) || !get(one, "tag_size", &r->tag_size) ||
		    !get(one, "mem_base", &r->mem_base) || !get(one, "mem_size", &r->mem_size) ||
		    !get(one, "block_size", &r->block_size) ||
		    !get(one, "first_block", &r->first_block) || !get(one, "blocks", &r->blocks) ||
		    r->block_size < 4096 || r->tag_size / r->block_size < r->blocks) {
			free(regions);
			return bad(why, size, "a region that cannot be");
		}
		r++;
	}
	free(p->regions);
	p->regions = regions;
	p->nr_regions = (size_t)n;
	return 0;
}

/* A map as the summary says, if there is none; nothing of it is known. */
static int have_map(struct playhead *p, const struct rec_entry *e, char *why, size_t size)
{
	if (!e->text)
		return bad(why, size, "'changes' is no string");
	if (!p->summary.blocks)
		return bad(why, size, "changes where there are no blocks");
	if (p->summary.blocks > p->max_blocks)
		return bad(why, size, "it has more blocks than can be shown");
	if (p->blocks != p->summary.blocks) {
		forget_map(p);
		p->block = calloc(p->summary.blocks + 1, sizeof(*p->block));
		p->generation = calloc(p->summary.blocks + 1, sizeof(*p->generation));
		if (!p->block || !p->generation) {
			forget_map(p);
			return -ENOMEM;
		}
		p->blocks = p->summary.blocks;
	}
	return e->first > p->blocks ? bad(why, size, "there are not so many blocks") : 0;
}

static int take_blocks(struct playhead *p, const struct rec_entry *e, char *why, size_t size)
{
	int err = have_map(p, e, why, size);

	if (err)
		return err;
	return rec_blocks_apply(e->text, STATE_LETTERS, p->block + e->first,
				p->generation + e->first, p->blocks - e->first,
				p->summary.generation, why, size) ? 0 : -EPROTO;
}

static int take_owners(struct playhead *p, const struct rec_entry *e, char *why, size_t size)
{
	int err = have_map(p, e, why, size);

	if (err)
		return err;
	if (!p->owner)
		p->owner = calloc(p->blocks + 1, sizeof(*p->owner));
	if (!p->owner)
		return -ENOMEM;
	return rec_blocks_apply(e->text, OWNER_LETTERS OWNER_NEEDED, p->owner + e->first, NULL,
				p->blocks - e->first, 0, why, size) ? 0 : -EPROTO;
}

static bool good_latencies(const cJSON *list)
{
	const cJSON *one;
	uint64_t v;

	cJSON_ArrayForEach(one, list)
		if (!json_string(one, "cause") || !json_string(one, "outcome") ||
		    !get(one, "count", &v) || !get(one, "total_ns", &v) || !get(one, "max_ns", &v))
			return false;
	return true;
}

static int take_latency(struct playhead *p, const cJSON *o, char *why, size_t size)
{
	const cJSON *one;
	uint64_t v;

	if (!good_latencies(cJSON_GetObjectItemCaseSensitive(o, "reserve")) ||
	    !good_latencies(cJSON_GetObjectItemCaseSensitive(o, "replay")))
		return bad(why, size, "a latency that says not all");
	cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(o, "replays"))
		if (!get(one, "replays", &v) || !get(one, "count", &v))
			return bad(why, size, "replays that are no numbers");
	p->latency = o;
	return 0;
}

int playhead_take(struct playhead *p, char *why, size_t size)
{
	const struct rec_entry *e = &p->rec->entry[p->next];
	int err = 0;

	switch (e->type) {
	case REC_SUMMARY:
		err = take_summary(p, e->json, why, size);
		break;
	case REC_COUNTERS:
		err = take_counters(p, e->json, why, size);
		break;
	case REC_REGIONS:
		err = take_regions(p, e->json, why, size);
		break;
	case REC_BLOCKS:
		err = take_blocks(p, e, why, size);
		break;
	case REC_OWNERS:
		err = take_owners(p, e, why, size);
		break;
	case REC_LATENCY:
		err = take_latency(p, e->json, why, size);
		break;
	case REC_TROUBLE:
		p->trouble = e->text ? e->text : "";
		break;
	case REC_EVENT:
	case REC_TRACE:
		break;
	}
	p->next++;
	if (!err && p->passed)
		p->passed(p->ctx, e);
	return err;
}

void playhead_go_to(struct playhead *p, size_t n)
{
	char why[240];

	if (n < p->next)
		playhead_rewind(p);
	/* All that is in a recording could be done when it was read. */
	while (p->next < n)
		playhead_take(p, why, sizeof(why));
}

/* ---- As a source of the state ----------------------------------------------------------- */

struct source {
	struct playhead *head;
	void (*before_reading)(void *ctx);
	void *ctx;
};

static struct playhead *head_of(struct state *st)
{
	return ((struct source *)st->priv)->head;
}

static int read_summary(struct state *st, struct state_summary *s)
{
	const struct source *src = st->priv;
	const struct playhead *p = src->head;

	if (src->before_reading)
		src->before_reading(src->ctx);
	if (p->trouble)
		return state_fail(st, -EIO, "recorded: %s", p->trouble);
	if (!p->have_summary)
		return state_fail(st, -ENODATA, "the recording has no state of tag storage here");
	*s = p->summary;
	return 0;
}

static int read_regions(struct state *st, struct state_region **regions, size_t *n)
{
	const struct playhead *p = head_of(st);

	*regions = calloc(p->nr_regions + 1, sizeof(**regions));
	if (!*regions)
		return state_fail(st, -ENOMEM, "out of memory");
	if (p->nr_regions)
		memcpy(*regions, p->regions, p->nr_regions * sizeof(**regions));
	*n = p->nr_regions;
	return 0;
}

static int read_blocks(struct state *st, uint64_t first, size_t n, struct state_block *b,
		       size_t *got)
{
	const struct playhead *p = head_of(st);

	for (*got = 0; *got < n && first + *got < p->summary.blocks; ++*got) {
		uint64_t i = first + *got;

		/* Without a letter: nothing was read of it until now. */
		b[*got] = (struct state_block){ .letter = 0 };
		if (i < p->blocks)
			b[*got] = (struct state_block){
				.letter = p->block[i].letter,
				.tagged = p->block[i].tagged,
				.free = p->block[i].free,
				.generation = p->generation[i],
			};
	}
	return 0;
}

static int read_owners(struct state *st, const char *kind, char *owner, uint64_t blocks)
{
	const struct playhead *p = head_of(st);

	(void)kind;
	if (!p->owner)
		return state_fail(st, -ENODATA, "the recording does not say whose data it is here");
	for (uint64_t i = 0; i < blocks; i++)
		owner[i] = i < p->blocks ? p->owner[i].letter : 0;
	return 0;
}

/* A copy of a name of the recording. */
static void word(const cJSON *o, const char *key, char *buf, size_t size)
{
	snprintf(buf, size, "%s", json_string(o, key));
	text_clean(buf);
}

static int read_latency(struct state *st, enum state_histogram which, struct state_latency **lat,
			size_t *n)
{
	const cJSON *list, *one, *bucket;
	struct state_latency *l;

	list = cJSON_GetObjectItemCaseSensitive(head_of(st)->latency,
						which == STATE_RESERVE_LATENCY ? "reserve" :
										 "replay");
	l = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*l));
	if (!l)
		return state_fail(st, -ENOMEM, "out of memory");
	*lat = l;
	cJSON_ArrayForEach(one, list) {
		size_t i = 0;

		word(one, "cause", l->cause, sizeof(l->cause));
		word(one, "outcome", l->outcome, sizeof(l->outcome));
		get(one, "count", &l->count);
		get(one, "total_ns", &l->total_ns);
		get(one, "max_ns", &l->max_ns);
		cJSON_ArrayForEach(bucket, cJSON_GetObjectItemCaseSensitive(one, "buckets"))
			if (i < STATE_BUCKETS)
				json_get_u64(bucket, &l->bucket[i++]);
		l++;
	}
	*n = (size_t)(l - *lat);
	return 0;
}

static int read_replays(struct state *st, struct state_replays **rep, size_t *n)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(head_of(st)->latency, "replays"), *one;
	struct state_replays *r = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*r));

	if (!r)
		return state_fail(st, -ENOMEM, "out of memory");
	*rep = r;
	cJSON_ArrayForEach(one, list) {
		get(one, "replays", &r->replays);
		get(one, "count", &r->count);
		r++;
	}
	*n = (size_t)(r - *rep);
	return 0;
}

static void source_close(struct state *st)
{
	free(st->priv);
}

struct state *playhead_state(struct playhead *p, void (*before_reading)(void *ctx), void *ctx)
{
	static const struct state_ops ops = {
		.read_summary = read_summary,
		.read_regions = read_regions,
		.read_blocks = read_blocks,
		.read_owners = read_owners,
		.read_latency = read_latency,
		.read_replays = read_replays,
		.close = source_close,
	};
	struct state *st = calloc(1, sizeof(*st));
	struct source *src = calloc(1, sizeof(*src));

	if (!st || !src) {
		free(st);
		free(src);
		return NULL;
	}
	*src = (struct source){ .head = p, .before_reading = before_reading, .ctx = ctx };
	st->ops = &ops;
	st->priv = src;
	snprintf(st->root, sizeof(st->root), "the recording");
	return st;
}
