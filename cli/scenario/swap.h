/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For scenarios: swapping out, and swap devices. Root only. As in scenario.h, what cannot be
 * done ends the scenario with a clear result.
 */
#ifndef TAGSCOPE_SWAP_H
#define TAGSCOPE_SWAP_H

#include "scenario/scenario.h"

/*
 * Have n pages from p of the caller, private or shared, swapped out; true once none of them
 * is in memory any more, in the swap cache neither, within ms milliseconds. Others that
 * map shared pages keep them in memory.
 */
bool swap_out(struct run *r, void *p, size_t n, unsigned int ms);

/* Of n pages, those in memory; of a shared mapping also those that the caller does not map. */
size_t pages_in_memory(struct run *r, void *p, size_t n);

/* Swap that is on: the first so many of /proc/swaps; returns how many there are. */
struct swap_device {
	char path[256];
	int priority;
};
size_t swap_devices(struct run *r, struct swap_device *d, size_t max);
/*
 * Each returns for how many of these it worked. Nothing else comes between them. Who
 * switches swap off declares SETTING_SWAP.
 */
size_t swap_devices_off(struct run *r, const struct swap_device *d, size_t n);
size_t swap_devices_on(const struct swap_device *d, size_t n);

/* For the runner: swap_devices() that returns -errno, and one of them on again. */
int swap_devices_list(struct swap_device *d, size_t max);
int swap_device_on(const struct swap_device *d);

#endif
