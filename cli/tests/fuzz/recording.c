// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever is in a recording: it is read, or refused, and what was read can be shown. For
 * libFuzzer. The first byte says whether the rest is what zstd packed or what is in it, which
 * no mutation of a packed file would come to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "output/format.h"
#include "record/recording.h"

#define MAX_BLOCKS 4096
#define MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static FILE *nowhere;

static void show_state(struct state *st)
{
	static struct state_block b[MAX_BLOCKS];
	static char owner[MAX_BLOCKS];
	struct state_summary s;
	struct state_region *r;
	struct state_latency *lat;
	struct state_replays *rep;
	struct state_page page;
	size_t n, got;

	if (state_read_summary(st, &s))
		return;
	state_read_blocks(st, 1, MAX_BLOCKS, b, &got);
	if (!state_read_owners(st, NULL, owner, MAX_BLOCKS))
		for (size_t i = 0; i < got; i++)
			owner_text(owner_shown(b[i].letter, owner[i]));
	state_read_regions(st, &r, &n);
	free(r);
	state_read_latency(st, STATE_RESERVE_LATENCY, &lat, &n);
	free(lat);
	state_read_latency(st, STATE_REPLAY_LATENCY, &lat, &n);
	free(lat);
	state_read_replays(st, &rep, &n);
	free(rep);
	/* There are none in a recording. */
	if (!state_lookup_pfn(st, 1, &page))
		abort();
}

static void show(const struct recording *rec, uint8_t how)
{
	struct report rep = { .format = formats[how % 4], .out = nowhere };
	struct playhead p;
	struct state *st;

	playhead_init(&p, rec);
	st = playhead_state(&p, NULL, NULL);
	playhead_go_to(&p, rec->nr);
	show_state(st);
	playhead_go_to(&p, rec->nr / 2);
	show_state(st);
	playhead_go_to(&p, recording_after(rec, rec->end / 2));
	state_close(st);
	playhead_free(&p);
	if (!rec->has_events)
		return;
	for (size_t i = 0; i < rec->nr; i++)
		if (rec->entry[i].type == REC_EVENT)
			report_event(&rep, rec->entry[i].event);
	report_end(&rep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char packed[ZSTD_COMPRESSBOUND(MAX_BYTES)];
	const void *in = data + 1;
	struct recording *rec;
	size_t in_len = len - 1;
	char why[300] = "";
	int err;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	if (!len || len > MAX_BYTES || !nowhere)
		return 0;
	if (data[0] & 1) {
		in_len = ZSTD_compress(packed, sizeof(packed), in, in_len, -5);
		in = packed;
	}
	err = recording_parse(in, in_len, MAX_BYTES, MAX_BLOCKS, &rec, why, sizeof(why));
	/* Who is refused is told why. */
	if (err && !*why)
		abort();
	if (rec)
		show(rec, data[0] >> 1);
	recording_free(rec);
	return 0;
}
