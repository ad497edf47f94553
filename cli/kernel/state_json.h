/* SPDX-License-Identifier: GPL-2.0-only */
/* A summary as JSON: in events, and what "state --json" prints. */
#ifndef TAGSCOPE_STATE_JSON_H
#define TAGSCOPE_STATE_JSON_H

#include <cjson/cJSON.h>

#include "kernel/state.h"

/* Add policy, reason and all counters by name; null is one that this kernel does not offer. */
void state_to_json(const struct state_summary *s, struct cJSON *o);
/* The same back; what is no counter is passed over. false: there is no policy. */
bool state_from_json(const struct cJSON *o, struct state_summary *s);

#endif
