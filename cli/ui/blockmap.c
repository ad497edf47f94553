// SPDX-License-Identifier: GPL-2.0-only
/* The block map as far as it is known: see blockmap.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ui/blockmap.h"
#include "scenario/scenario.h"

#define MAP_CHANGED 0x80
#define LETTER_MASK 0x0f
#define RUN_CHUNKS 16		/* read at once */
/*
 * Free and data are told apart without a lock and without a generation, so what is
 * shown of them is read again now and then even if the generation stands still.
 */
#define MAX_AGE_MS 1500

int map_init(struct blockmap *map, uint64_t blocks)
{
	memset(map, 0, sizeof(*map));
	if (blocks > MAP_MAX_BLOCKS)
		return -EFBIG;
	map->nr_chunks = (blocks + MAP_CHUNK - 1) / MAP_CHUNK;
	map->letter = calloc(blocks + 1, sizeof(*map->letter));
	map->tagged = calloc(blocks + 1, sizeof(*map->tagged));
	map->chunk = calloc(map->nr_chunks + 1, sizeof(*map->chunk));
	if (!map->letter || !map->tagged || !map->chunk) {
		map_free(map);
		return -ENOMEM;
	}
	map->blocks = blocks;
	return 0;
}

void map_free(struct blockmap *map)
{
	free(map->letter);
	free(map->tagged);
	free(map->chunk);
	memset(map, 0, sizeof(*map));
}

static void store(struct blockmap *map, uint64_t c, const struct state_block *b, size_t n,
		  uint64_t generation)
{
	struct map_chunk *chunk = &map->chunk[c];
	bool first_time = !chunk->generation;

	/* A recording that has not come to it yet. */
	if (!b[0].letter)
		return;
	memset(chunk->count, 0, sizeof(chunk->count));
	chunk->changed = 0;
	chunk->tagged = 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t *letter = &map->letter[c * MAP_CHUNK + i];
		int number = state_letter_number(b[i].letter);
		uint8_t now = number < 0 ? NR_LETTERS - 1 : (uint8_t)number;

		if (first_time)
			*letter = now;
		else if ((*letter & LETTER_MASK) != now)
			*letter = now | MAP_CHANGED;
		map->tagged[c * MAP_CHUNK + i] =
			b[i].tagged > UINT16_MAX ? UINT16_MAX : (uint16_t)b[i].tagged;
		chunk->count[now]++;
		chunk->changed += !!(*letter & MAP_CHANGED);
		chunk->tagged += b[i].tagged;
	}
	chunk->generation = generation + 1;
	chunk->read_ms = now_ns() / 1000000;
}

/* Read nr chunks from c on. */
static int read_chunks(struct blockmap *map, struct state *st, uint64_t c, uint64_t nr,
		       uint64_t generation)
{
	static struct state_block b[RUN_CHUNKS * MAP_CHUNK];
	uint64_t first = c * MAP_CHUNK, n = nr * MAP_CHUNK;
	size_t got;
	int err;

	if (n > map->blocks - first)
		n = map->blocks - first;
	err = state_read_blocks(st, first, (size_t)n, b, &got);
	if (err)
		return err;
	if (got < n)
		return -ENODATA;
	map->reads += n;
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t left = n - i * MAP_CHUNK;

		store(map, c + i, b + i * MAP_CHUNK, left < MAP_CHUNK ? left : MAP_CHUNK,
		      generation);
	}
	return 0;
}

static void window_chunks(const struct blockmap *map, const struct map_window *win,
			  uint64_t *from, uint64_t *to)
{
	uint64_t end = win->first + win->count;

	if (end > map->blocks)
		end = map->blocks;
	*from = win->first / MAP_CHUNK;
	*to = win->first < end ? (end + MAP_CHUNK - 1) / MAP_CHUNK : *from;
}

int map_refresh(struct blockmap *map, struct state *st, const struct map_window *win,
		uint64_t generation, uint64_t budget_ns)
{
	uint64_t now = now_ns(), ms = now / 1000000, until = now + budget_ns;
	uint64_t old_until = now + budget_ns / 4, from, to, left;
	int err;

	window_chunks(map, win, &from, &to);
	if (from == to)
		return 0;
	/* Something in each cell first. */
	if (win->cell >= 2 * MAP_CHUNK) {
		for (uint64_t c = from; c < to && now_ns() < until; c += win->cell / MAP_CHUNK) {
			if (map->chunk[c].generation)
				continue;
			err = read_chunks(map, st, c, 1, generation);
			if (err)
				return err;
		}
	}
	if (map->next < from || map->next >= to)
		map->next = from;
	for (left = to - from; left;) {
		uint64_t c = map->next, n = 0;
		bool changed = false;

		for (; n < RUN_CHUNKS && n < left && c + n < to; n++) {
			const struct map_chunk *k = &map->chunk[c + n];

			if (k->generation != generation + 1)
				changed = true;
			else if (ms - k->read_ms <= MAX_AGE_MS)
				break;
		}
		if (n) {
			err = read_chunks(map, st, c, n, generation);
			if (err)
				return err;
		}
		n = n ? n : 1;
		left -= n;
		map->next = c + n < to ? c + n : from;
		if (now_ns() >= (changed ? until : old_until))
			break;
	}
	return 0;
}

unsigned int map_progress(const struct blockmap *map, const struct map_window *win,
			  uint64_t generation)
{
	uint64_t from, to, fresh = 0;

	window_chunks(map, win, &from, &to);
	for (uint64_t c = from; c < to; c++)
		fresh += map->chunk[c].generation == generation + 1;
	return from == to ? 100 : (unsigned int)(fresh * 100 / (to - from));
}

int map_letter(const struct blockmap *map, uint64_t block)
{
	if (block >= map->blocks || !map->chunk[block / MAP_CHUNK].generation)
		return -1;
	return map->letter[block] & LETTER_MASK;
}

static void add_block(const struct blockmap *map, uint64_t block, struct map_cell *cell)
{
	int letter = map_letter(map, block);

	if (letter < 0)
		return;
	cell->known++;
	cell->count[letter]++;
	cell->tagged += map->tagged[block];
	cell->changed += !!(map->letter[block] & MAP_CHANGED);
}

void map_cell(const struct blockmap *map, uint64_t first, uint64_t n, struct map_cell *cell)
{
	uint64_t i = first, end = first + n;

	memset(cell, 0, sizeof(*cell));
	if (end > map->blocks)
		end = map->blocks;
	cell->blocks = first < end ? end - first : 0;
	while (i < end) {
		const struct map_chunk *k = &map->chunk[i / MAP_CHUNK];
		uint64_t nr = map->blocks - i < MAP_CHUNK ? map->blocks - i : MAP_CHUNK;

		if (i % MAP_CHUNK || end - i < nr) {
			add_block(map, i++, cell);
			continue;
		}
		if (k->generation) {
			cell->known += nr;
			for (int l = 0; l < NR_LETTERS; l++)
				cell->count[l] += k->count[l];
			cell->tagged += k->tagged;
			cell->changed += k->changed;
		}
		i += nr;
	}
}

int map_cell_state(const struct map_cell *cell)
{
	char best = 0;

	for (size_t i = 0; i < NR_LETTERS; i++)
		if (cell->count[i])
			best = state_more_telling(best, STATE_LETTERS[i]);
	return state_letter_number(best);
}

int64_t map_next_changed(const struct blockmap *map, uint64_t from)
{
	for (uint64_t i = from; i < map->blocks; i++) {
		if (!map->chunk[i / MAP_CHUNK].changed)
			i |= MAP_CHUNK - 1;
		else if (map->letter[i] & MAP_CHANGED)
			return (int64_t)i;
	}
	return -1;
}

void map_mark(struct blockmap *map)
{
	for (uint64_t c = 0; c < map->nr_chunks; c++) {
		uint64_t n = map->blocks - c * MAP_CHUNK;

		if (!map->chunk[c].changed)
			continue;
		map->chunk[c].changed = 0;
		for (uint64_t i = 0; i < n && i < MAP_CHUNK; i++)
			map->letter[c * MAP_CHUNK + i] &= LETTER_MASK;
	}
}
