// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's switches go back to what they were, however a scenario ends. */
#include "run/runner_private.h"

void restore_switches(struct runner *rn)
{
	for (size_t i = 0; i < MAX_SWITCHES && state_switches[i]; i++) {
		uint64_t now;

		if (!rn->switch_known[i])
			continue;
		if (!state_switch_get(rn->reader, state_switches[i], &now) &&
		    now == rn->switches[i])
			continue;
		if (state_switch_set(rn->reader, state_switches[i], rn->switches[i]))
			conclude(rn, VERDICT_ERROR, "cannot restore a switch: %s",
				 state_error(rn->reader));
	}
}

void save_switches(struct runner *rn)
{
	/* Where there are none, nobody can change them. */
	if (state_open(&rn->reader))
		return;
	for (size_t i = 0; i < MAX_SWITCHES && state_switches[i]; i++)
		rn->switch_known[i] =
			!state_switch_get(rn->reader, state_switches[i], &rn->switches[i]);
}
