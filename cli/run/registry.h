/* SPDX-License-Identifier: GPL-2.0-only */
/* The scenarios that are built in. */
#ifndef TAGSCOPE_REGISTRY_H
#define TAGSCOPE_REGISTRY_H

#include "scenario/scenario.h"

/*
 * All scenarios, workloads first, each kind by name; NULL at the end. The list is
 * made, and each declaration checked, at the first call; a scenario that is declared
 * wrongly ends the program with a line that says how.
 */
const struct scenario *const *scenarios(void);

/* NULL if there is none of that name. */
const struct scenario *scenario_find(const char *name);

/* "workload" or "adversary". */
const char *scenario_kind_name(enum scenario_kind kind);

/*
 * What is wrong with a declaration, in buf (size bytes), or NULL. For the
 * registry and its tests.
 */
const char *scenario_defect(const struct scenario *s, char *buf, size_t size);

#endif
