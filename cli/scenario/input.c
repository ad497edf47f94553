// SPDX-License-Identifier: GPL-2.0-only
/* What a run is given: the values of its parameters, and random numbers from its seed. */
#include <string.h>

#include "scenario/run_private.h"

static const struct run_param *param(struct run *r, const char *name, bool number, bool boolean)
{
	for (size_t i = 0; i < r->params->n; i++) {
		const struct run_param *p = &r->params->values[i];
		bool is_bool = p->decl->type == PARAM_BOOL;
		bool is_number = p->decl->type == PARAM_UINT || p->decl->type == PARAM_SIZE;

		if (strcmp(p->decl->name, name))
			continue;
		if (is_bool != boolean || is_number != number)
			bail(r, "the scenario asks for parameter '%s' as another type", name);
		return p;
	}
	bail(r, "the scenario asks for parameter '%s', which it did not declare", name);
}

uint64_t param_u64(struct run *r, const char *name)
{
	return param(r, name, true, false)->value;
}

bool param_bool(struct run *r, const char *name)
{
	return param(r, name, false, true)->value;
}

const char *param_str(struct run *r, const char *name)
{
	return param(r, name, false, false)->text;
}

uint64_t run_seed(const struct run *r)
{
	return r->seed;
}

uint64_t rnd(struct run *r)
{
	return mix64(r->rnd++);
}

uint64_t rnd_below(struct run *r, uint64_t n)
{
	uint64_t limit, x;

	if (!n)
		bail(r, "rnd_below(0)");
	/* Leave out the last, incomplete, run of n, or small numbers come more often. */
	limit = UINT64_MAX - UINT64_MAX % n;
	do
		x = rnd(r);
	while (x >= limit);
	return x % n;
}
