// SPDX-License-Identifier: GPL-2.0-only
/* The scenarios that are built in: see registry.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/registry.h"
#include "scenario/param.h"

/* The linker makes these for a section whose name is a C identifier; absent if it is empty. */
extern const struct scenario *const __start_tagscope_scenarios[] __attribute__((weak));
extern const struct scenario *const __stop_tagscope_scenarios[] __attribute__((weak));

const char *scenario_kind_name(enum scenario_kind kind)
{
	return kind == SCENARIO_ADVERSARY ? "adversary" : "workload";
}

/* Words of a-z and 0-9, joined by single characters of joints. */
static bool word_ok(const char *s, const char *joints)
{
	bool joint = true;

	if (!s || !*s)
		return false;
	for (; *s; s++) {
		if (strchr(joints, *s)) {
			if (joint)
				return false;
			joint = true;
		} else if ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9')) {
			joint = false;
		} else {
			return false;
		}
	}
	return !joint;
}

static bool one_line(const char *s)
{
	return s && *s && !strchr(s, '\n');
}

const char *scenario_defect(const struct scenario *s, char *buf, size_t size)
{
	const struct param *p, *q;
	char why[160];

	if (!word_ok(s->name, "-"))
		return "its name is not made of words of a-z and 0-9 joined by '-'";
	if (!one_line(s->summary))
		return "it has no summary of one line";
	if (!s->explanation || !*s->explanation)
		return "it has no explanation";
	if (!s->time_limit_s)
		return "it has no time limit";
	if (!s->run)
		return "it has no run function";
	for (p = s->params; p && p->name; p++) {
		if (!word_ok(p->name, "_-") || !one_line(p->help) || !p->def) {
			snprintf(buf, size, "parameter %s: needs a name of a-z and 0-9 joined by '_' or '-', a help line and a default",
				 p->name);
			return buf;
		}
		if (!param_check(p, p->def, NULL, why, sizeof(why))) {
			snprintf(buf, size, "the default of parameter %s: %s", p->name, why);
			return buf;
		}
		for (q = s->params; q < p; q++) {
			if (!strcmp(q->name, p->name)) {
				snprintf(buf, size, "parameter %s is declared twice", p->name);
				return buf;
			}
		}
	}
	for (const struct setting *c = s->save_restore; c && c->path; c++)
		if (c->flags & SETTING_LASTING && !(s->needs & NEED_DISPOSABLE))
			return "what it changes cannot be put back, "
			       "and it does not need a disposable machine";
	if (s->kind == SCENARIO_ADVERSARY) {
		if (!s->syscalls)
			return "an adversary must declare the system calls it makes";
		if (!s->roles || !s->roles[0])
			return "an adversary must have a role that attacks";
	}
	for (size_t i = 0; s->roles && s->roles[i]; i++) {
		const struct role *role = s->roles[i];

		if (!word_ok(role->name, "-"))
			return "a role has no name";
		if (!one_line(role->summary) ||
		    (s->kind == SCENARIO_ADVERSARY && !role->syscalls)) {
			snprintf(buf, size, "role %s: needs a summary%s", role->name,
				 s->kind == SCENARIO_ADVERSARY ? " and a list of system calls" : "");
			return buf;
		}
	}
	return NULL;
}

static int by_kind_and_name(const void *a, const void *b)
{
	const struct scenario *x = *(const struct scenario *const *)a;
	const struct scenario *y = *(const struct scenario *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->name, y->name);
}

const struct scenario *const *scenarios(void)
{
	static const struct scenario **list;
	const struct scenario *const *entry;
	size_t n = 0;

	if (list)
		return list;
	/* The linker lets both point into one array, its section. */
	if (__start_tagscope_scenarios)
		/* cppcheck-suppress comparePointers */
		n = (size_t)(__stop_tagscope_scenarios - __start_tagscope_scenarios);
	list = calloc(n + 1, sizeof(*list));
	if (!list) {
		fprintf(stderr, "tagscope: out of memory\n");
		exit(3);
	}
	n = 0;
	/* cppcheck-suppress comparePointers */
	for (entry = __start_tagscope_scenarios; entry && entry < __stop_tagscope_scenarios;
	     entry++) {
		char buf[256];
		const char *defect = scenario_defect(*entry, buf, sizeof(buf));

		if (defect) {
			fprintf(stderr, "tagscope: scenario %s is declared wrongly: %s\n",
				(*entry)->name ? (*entry)->name : "(no name)", defect);
			exit(3);
		}
		list[n++] = *entry;
	}
	qsort(list, n, sizeof(*list), by_kind_and_name);
	for (size_t i = 0; i + 1 < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			if (!strcmp(list[i]->name, list[j]->name)) {
				fprintf(stderr, "tagscope: two scenarios are called %s\n",
					list[i]->name);
				exit(3);
			}
		}
	}
	return list;
}

const struct scenario *scenario_find(const char *name)
{
	const struct scenario *const *s;

	for (s = scenarios(); *s; s++)
		if (!strcmp((*s)->name, name))
			return *s;
	return NULL;
}
