/* SPDX-License-Identifier: GPL-2.0-only */
/* Values of scenarios' parameters, as users write them. */
#ifndef TAGSCOPE_PARAM_H
#define TAGSCOPE_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct param;
struct scenario;

/*
 * Whether text is a value for p. Numbers and booleans are stored in *value (may be
 * NULL). If not, why (size bytes) says what is wrong and what is wanted.
 */
bool param_check(const struct param *p, const char *text, uint64_t *value, char *why, size_t size);

/* "uint", "size", ... */
const char *param_type_name(const struct param *p);

/* What may be given, for help: "1 to 64", "sparse|dense", "yes|no"; in buf. */
const char *param_range(const struct param *p, char *buf, size_t size);

/* The values of a scenario's parameters. */
struct run_params {
	const struct scenario *scenario;
	size_t n;
	struct run_param {
		const struct param *decl;
		char *text;		/* as the user, or the default, wrote it */
		uint64_t value;		/* numbers and booleans */
	} *values;
};

/*
 * Set all to the defaults; false: out of memory. Then set them by "name=value"; false,
 * with the reason and the names there are in why (size bytes), if that is not possible.
 */
bool run_params_init(struct run_params *p, const struct scenario *s);
bool run_params_set(struct run_params *p, const char *assignment, char *why, size_t size);
void run_params_free(struct run_params *p);

#endif
