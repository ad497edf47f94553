/* SPDX-License-Identifier: GPL-2.0-only */
/* The parsers behind state.h, apart so that tests can give them text. */
#ifndef TAGSCOPE_STATE_PARSE_H
#define TAGSCOPE_STATE_PARSE_H

#include "kernel/state.h"

#define STATE_BLOCK_RECORD 32

/*
 * Each returns 0 or -EPROTO with the reason in why (size bytes): "line 3: ...".
 * text ends with a NUL; with_addr: the answer to "pid PID ADDRESS".
 */
int state_parse_summary(const char *text, struct state_summary *s, char *why, size_t size);
int state_parse_page(const char *text, bool with_addr, struct state_page *p, char *why,
		     size_t size);
int state_parse_tags(const char *text, struct state_tags *t, char *why, size_t size);
int state_parse_block(const char record[STATE_BLOCK_RECORD], struct state_block *b, char *why,
		      size_t size);

#endif
