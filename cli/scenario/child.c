// SPDX-License-Identifier: GPL-2.0-only
/* The life of a scenario's own process: see child.h. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scenario/confine.h"
#include "scenario/needs.h"
#include "scenario/page.h"
#include "scenario/run_private.h"

/*
 * What others left with tag storage would be in the counts, if it went while the scenario
 * runs: pages that were freed and wait in batches, and the huge zero page, which is kept
 * until the kernel looks for memory. Who may not drop them has no counts.
 */
static void drop_leftovers(struct run *r)
{
	const uint64_t huge = page_size() / sizeof(uint64_t); /* a table of entries */

	if (kernel_write(r, DROP_CACHES, "1"))
		perror(DROP_CACHES);
	if (summary_now(r).reserved_pages >= huge && kernel_write(r, DROP_CACHES, "2"))
		perror(DROP_CACHES);
	r->swap_cache_left = pages_left_in_swap_cache(r);
}

void run_child(const struct run_params *params, uint64_t seed, struct run_control *control)
{
	const struct scenario *s = params->scenario;
	struct run r = {
		.params = params,
		.control = control,
		.seed = seed,
		.rnd = mix64(seed),
		.pid = getpid(),
	};
	struct rlimit core;

	process_name("scenario");
	/* Who wants a core dump can have it. */
	if (!getrlimit(RLIMIT_CORE, &core)) {
		core.rlim_cur = 0;
		if (setrlimit(RLIMIT_CORE, &core))
			perror("RLIMIT_CORE");
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_crashes(&r);
	if (needs_all(s) & NEED_TAG_STORAGE)
		drop_leftovers(&r);
	if (s->syscalls) {
		const char *const *lists[16] = { confine_role_base, confine_scenario_base,
						 SYSCALLS("sendto", "sendmsg"), s->syscalls };
		size_t n = 4;
		char why[256];

		/* Filters add up, so the roles' calls have to be let through here. */
		for (size_t i = 0; s->roles && s->roles[i]; i++) {
			if (n == sizeof(lists) / sizeof(lists[0]))
				bail(&r, "too many roles");
			lists[n++] = s->roles[i]->syscalls;
		}
		if (!confine(lists, n, say_denied, why, sizeof(why)))
			bail(&r, "cannot confine the scenario: %s", why);
	}
	s->run(&r);
	finish_roles(&r);
	fflush(NULL);
	say_end(&r);
	state_close(r.state);
	_exit(0);
}
