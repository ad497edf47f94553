/* SPDX-License-Identifier: GPL-2.0-only */
/* Confining processes to the system calls they declared. */
#ifndef TAGSCOPE_CONFINE_H
#define TAGSCOPE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

/* What the API itself needs: in any role, and in the scenario's own process besides. */
extern const char *const confine_role_base[];
extern const char *const confine_scenario_base[];

/*
 * Allow the calls named in lists[0 .. n - 1] (each ends with NULL) to this process
 * and its children from now on; sets no_new_privs. Any other raises SIGSYS, for which
 * denied(name of the call) is called; it must not return. A name that this
 * architecture does not have is passed over; one that none has is an error.
 * false: why (size bytes) has the reason.
 */
bool confine(const char *const *const *lists, size_t n, void (*denied)(const char *name),
	     char *why, size_t size);

/* NULL, or the first name in the list that is no system call anywhere. */
const char *confine_unknown(const char *const *list);

/*
 * Become an ordinary user: uid and gid 1000, no groups, no capabilities, the limits
 * of a login. A process that is not root stays who it is. false: why has the reason.
 */
bool become_user(char *why, size_t size);

#endif
