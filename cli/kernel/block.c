// SPDX-License-Identifier: GPL-2.0-only
/* The states of blocks and whose they are, and which of several a cell is shown as. */
#include <ctype.h>
#include <string.h>

#include "kernel/state.h"

const char *state_letter_text(char letter)
{
	switch (letter) {
	case BLOCK_FREE:
		return "free: its pages are free memory";
	case BLOCK_DATA:
		return "data: holds somebody's data, which can be moved";
	case BLOCK_PINNED:
		return "pinned: holds somebody's data, which cannot be moved";
	case BLOCK_CACHED:
		return "cached: holds clean copies that can be dropped";
	case BLOCK_ISOLATING:
		return "isolating: is being emptied";
	case BLOCK_RESERVED:
		return "reserved: holds tags";
	case BLOCK_PERMANENT:
		return "permanent: holds tags for ever";
	case BLOCK_UNUSABLE:
		return "unusable: given to nobody";
	}
	return NULL;
}

int state_letter_number(char letter)
{
	const char *at = letter ? strchr(STATE_LETTERS, letter) : NULL;

	return at ? (int)(at - STATE_LETTERS) : -1;
}

/* Of what stands earlier in the order. */
static char earlier(const char *order, char a, char b)
{
	const char *at_a = a ? strchr(order, a) : NULL, *at_b = b ? strchr(order, b) : NULL;

	if (!at_a || !at_b)
		return at_a ? a : b;
	return at_a < at_b ? a : b;
}

char state_more_telling(char a, char b)
{
	/*
	 * What goes on now, then what stands in its way, then tags; then the rest, the
	 * rarer first. Free memory is what all else is seen against.
	 */
	return earlier("iprPcduf", a, b);
}

int64_t state_block_of(const struct state_region *regions, size_t n, uint64_t address)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t off = address - regions[i].mem_base;

		if (off < regions[i].mem_size && regions[i].block_size)
			return (int64_t)(regions[i].first_block +
					 off / (regions[i].block_size * STATE_DATA_PER_TAG));
	}
	return -1;
}

/* ---- Owners -------------------------------------------------------------------- */

char owner_shown(char letter, char owner)
{
	bool needed = isupper((unsigned char)owner);
	char shown = (char)tolower((unsigned char)owner);

	if (!owner || !letter)
		return 0;
	switch (letter) {
	case BLOCK_FREE:
		return needed ? 'F' : '.';
	case BLOCK_UNUSABLE:
		return 'u';
	case BLOCK_RESERVED:
	case BLOCK_PERMANENT:
		shown = 't';
		break;
	case BLOCK_CACHED:
		shown = OWNER_CACHE;
		break;
	default:
		/* It is in use, and nobody who can be asked has it. */
		if (shown == OWNER_NOBODY)
			shown = OWNER_OTHERS;
		break;
	}
	return needed ? (char)toupper((unsigned char)shown) : shown;
}

const char *owner_text(char shown)
{
	switch (tolower((unsigned char)shown)) {
	case OWNER_ATTACKER:
		return "the attacker's data";
	case OWNER_VICTIM:
		return "the victim's data";
	case OWNER_SCENARIO:
		return "data of the scenario";
	case OWNER_HELD:
		return "held, and mapped by nobody";
	case OWNER_OTHERS:
		return "data of others, or of the kernel";
	case OWNER_CACHE:
		return "page cache, or shared memory";
	case 't':
		return "tags";
	case 'u':
		return "unusable";
	case 'f':
	case '.':
		return "free";
	}
	return "not known";
}

char owner_more_telling(char a, char b)
{
	return earlier(OWNER_SHOWN, a, b);
}
