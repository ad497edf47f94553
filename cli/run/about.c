// SPDX-License-Identifier: GPL-2.0-only
/* What a run is, by names and values. */
#include <stdlib.h>

#include "run/registry.h"
#include "run/runner.h"

/* Scenario and parameters outlive whatever is said of them; only the lists are made. */
struct event_start *run_about(const struct run_options *opt)
{
	const struct run_params *p = opt->params;
	const struct scenario *s = p->scenario;
	struct event_start *about = calloc(1, sizeof(*about));
	struct event_param *params = calloc(p->n + 1, sizeof(*params));
	struct event_role *roles;
	size_t n = 0;

	while (s->roles && s->roles[n])
		n++;
	roles = calloc(n + 1, sizeof(*roles));
	if (!about || !params || !roles) {
		free(about);
		free(params);
		free(roles);
		return NULL;
	}
	for (size_t i = 0; i < p->n; i++)
		params[i] = (struct event_param){
			.name = p->values[i].decl->name,
			.type = param_type_name(p->values[i].decl),
			.text = p->values[i].text,
			.help = p->values[i].decl->help,
			.value = p->values[i].value,
		};
	for (size_t i = 0; i < n; i++)
		roles[i] = (struct event_role){ s->roles[i]->name, s->roles[i]->summary };
	*about = (struct event_start){
		.kind = scenario_kind_name(s->kind),
		.summary = s->summary,
		.explanation = s->explanation,
		.seed = opt->seed,
		.time_limit_s = opt->time_limit_s ? opt->time_limit_s : s->time_limit_s,
		.params = params,
		.nr_params = p->n,
		.roles = roles,
		.nr_roles = n,
	};
	return about;
}

void run_about_free(struct event_start *about)
{
	if (!about)
		return;
	free((void *)about->params);
	free((void *)about->roles);
	free(about);
}
