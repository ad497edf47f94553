/* SPDX-License-Identifier: GPL-2.0-only */
/* Time as it passes, whatever the date is set to (CLOCK_MONOTONIC). */
#ifndef TAGSCOPE_CLOCK_H
#define TAGSCOPE_CLOCK_H

#include <stdint.h>

uint64_t now_ns(void);
void sleep_ms(unsigned int ms);

#endif
