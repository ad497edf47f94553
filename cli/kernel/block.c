// SPDX-License-Identifier: GPL-2.0-only
/* The states of blocks, and which of several a cell is shown as. */
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

char state_more_telling(char a, char b)
{
	/*
	 * What goes on now, then what stands in its way, then tags; then the rest, the
	 * rarer first. Free memory is what all else is seen against.
	 */
	static const char order[] = "iprPcduf";
	const char *at_a = a ? strchr(order, a) : NULL, *at_b = b ? strchr(order, b) : NULL;

	if (!at_a || !at_b)
		return at_a ? a : b;
	return at_a < at_b ? a : b;
}
