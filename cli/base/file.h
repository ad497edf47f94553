/* SPDX-License-Identifier: GPL-2.0-only */
/* Files. */
#ifndef TAGSCOPE_FILE_H
#define TAGSCOPE_FILE_H

#include <stddef.h>

/* All of it, in as many writes as that takes: 0 or -errno. A signal handler may call it. */
int write_all(int fd, const void *p, size_t size);

#endif
