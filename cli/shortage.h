/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: tag storage that is short, at will, by the kernel's fault injection.
 * Whether a path has found storage before it may no longer sleep shows only where
 * storage is not simply there. Root only.
 */
#ifndef TAGSCOPE_SHORTAGE_H
#define TAGSCOPE_SHORTAGE_H

#include "scenario.h"

enum shortage {
	STORAGE_NORMAL,	/* as it is */
	STORAGE_FULL,	/* a block that stores no tags has to be emptied first, which may sleep */
	STORAGE_HELD,	/* it cannot be had at all; what is reserved already can be shared */
	STORAGE_MISS,	/* the next block that is asked for cannot be had; others can */
};

/*
 * From now on, for this process and the children it makes then; nothing is left behind
 * when it ends. False, with a note, if the kernel has no fault injection: then nothing has
 * changed, and what is about shortage is to be left out.
 */
bool storage_shortage(struct run *r, enum shortage how);

#endif
