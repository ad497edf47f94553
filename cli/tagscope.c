// SPDX-License-Identifier: GPL-2.0-only
/* tagscope: the command line. */
#include <stdio.h>

#include "registry.h"

int main(void)
{
	for (const struct scenario *const *s = scenarios(); *s; s++)
		printf("%-20s %s\n", (*s)->name, (*s)->summary);
	return 0;
}
