/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether things are here. Each returns true, or false with the reason, and where
 * possible the cure, in why (size bytes). Shared by the runner and "doctor".
 */
#ifndef TAGSCOPE_NEEDS_H
#define TAGSCOPE_NEEDS_H

#include "base/verdict.h"
#include "kernel/state.h"
#include "scenario/scenario.h"

/* A kernel with the series, its policy not off; *s is its summary. Needs root. */
bool have_tag_storage(struct state_summary *s, char *why, size_t size);
/* The same, and the policy is this one. */
bool have_policy(const char *policy, char *why, size_t size);
/* Sets tags and looks for them where the device tree says they are. Needs root. */
bool have_dram_tags(char *why, size_t size);
bool have_swap(bool zram, char *why, size_t size);
bool have_fuse(char *why, size_t size);
bool have_kvm(char *why, size_t size);
bool have_io_uring(char *why, size_t size);
bool have_uffd(char *why, size_t size);
/*
 * The machine says that it is disposable: by the word tagscope.disposable in the kernel's
 * command line, or by TAGSCOPE_DISPOSABLE=1 in the environment.
 */
bool have_disposable(char *why, size_t size);

/* The bits of enum need that it asks for, with those that they imply. */
unsigned int needs_all(const struct scenario *s);
/*
 * Whether the needs are met here. If not, the reason in why (size bytes), and
 * *verdict is VERDICT_SKIP, or VERDICT_ERROR where nothing of the kind can ever run.
 */
bool needs_met(const struct scenario *s, enum verdict *verdict, char *why, size_t size);
/* "a swap device", for one bit of enum need. */
const char *need_text(enum need need);

#endif
