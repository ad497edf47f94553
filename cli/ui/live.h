/* SPDX-License-Identifier: GPL-2.0-only */
/* A live run as a source of a session: see session.h. */
#ifndef TAGSCOPE_UI_LIVE_H
#define TAGSCOPE_UI_LIVE_H

#include "run/runner.h"
#include "ui/session.h"

/* Nothing is started yet. The options' parameters must outlive it. NULL: out of memory. */
struct session_source *live_new(const struct run_options *opt);
/* NULL is allowed; what runs is killed. */
void live_free(struct session_source *src);

#endif
