// SPDX-License-Identifier: GPL-2.0-only
/* User namespaces: see userns.h. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "attack/userns.h"

void userns_enter(struct run *r, int others)
{
	if (!unshare(CLONE_NEWUSER | others))
		return;
	if (errno == EPERM || errno == ENOSPC || errno == EINVAL)
		skip(r, "ordinary users cannot make user namespaces here: %s", strerror(errno));
	bail_errno(r, "unshare");
}
