/* SPDX-License-Identifier: GPL-2.0-only */
/* User namespaces, in which an ordinary user has capabilities. For the attacker. */
#ifndef TAGSCOPE_ATTACK_USERNS_H
#define TAGSCOPE_ATTACK_USERNS_H

#include "scenario/scenario.h"

/*
 * Go to a new user namespace, and to others as for unshare(). The scenario is skipped where an
 * ordinary user cannot. "unshare" is for .syscalls of the role.
 */
void userns_enter(struct run *r, int others);

#endif
