// SPDX-License-Identifier: GPL-2.0-only
/* Run a sequence: each group has a process that holds its model and asks the others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz/fuzz.h"

/* What a group's process tells, in a file in memory; the trace follows. */
struct told {
	struct fuzz_finding finding;
	uint64_t done;
	size_t nr;
};

static bool read_all(int fd, void *p, size_t size, size_t offset)
{
	return pread(fd, p, size, (off_t)offset) == (ssize_t)size;
}

static int tell(int fd, const struct world *w)
{
	const struct fuzz_trace *t = world_trace(w);
	struct told told = { *world_finding(w), world_done(w), t->nr };

	return write_all(fd, &told, sizeof(told)) ||
	       write_all(fd, t->call, t->nr * sizeof(*t->call));
}

static int hear(int fd, struct fuzz_result *res, unsigned int g)
{
	struct fuzz_trace *t = &res->trace[g];
	size_t at = sizeof(struct told);
	struct told told;

	if (!read_all(fd, &told, sizeof(told), 0))
		return -EIO;
	t->nr = t->max = told.nr;
	t->call = calloc(t->nr + 1, sizeof(*t->call));
	if (!t->call)
		return -ENOMEM;
	if (!read_all(fd, t->call, t->nr * sizeof(*t->call), at))
		return -EIO;
	res->done += told.done;
	res->steps += told.nr;
	if (told.finding.kind && !res->finding.kind)
		res->finding = told.finding;
	return 0;
}

static int run_group(const struct fuzz_sequence *s, unsigned int g, unsigned int hang_s, int fd,
		     bool *stop)
{
	struct actors *actors = actors_new(hang_s);
	struct world *w;
	int status;

	if (!actors)
		return 1;
	w = world_new(g, s->groups, s->tags, actors_step, actors);
	if (s->storage_held)
		world_storage_held(w);
	for (size_t i = 0; i < s->group[g].nr && !__atomic_load_n(stop, __ATOMIC_RELAXED); i++)
		if (!world_do(w, &s->group[g].op[i]))
			break;
	if (!world_check(w))
		__atomic_store_n(stop, true, __ATOMIC_RELAXED);
	actors_free(actors);
	status = tell(fd, w);
	world_free(w);
	return status;
}

int fuzz_run(const struct fuzz_sequence *s, unsigned int hang_s, struct fuzz_result *res)
{
	static const unsigned long common[MAX_ARGS] = { 0, 1024 };
	pid_t pid[FUZZ_GROUPS] = { 0 };
	int fd[FUZZ_GROUPS], err = 0, heard, status;
	unsigned int g;
	bool *stop;

	memset(res, 0, sizeof(*res));
	stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stop == MAP_FAILED)
		return -ENOMEM;
	if (s->groups > 1)
		err = runtime_call(CALL_OBJECT, common);
	fflush(NULL);
	for (g = 0; g < s->groups && !err; g++) {
		fd[g] = memfd_create("group", MFD_CLOEXEC);
		pid[g] = fd[g] < 0 ? -1 : fork();
		if (pid[g] < 0) {
			err = -errno;
			break;
		}
		if (!pid[g]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(run_group(s, g, hang_s, fd[g], stop));
		}
	}
	for (unsigned int i = 0; i < g; i++) {
		if (waitpid(pid[i], &status, 0) != pid[i] || status)
			heard = -EIO;
		else
			heard = hear(fd[i], res, i);
		err = err ? err : heard;
		close(fd[i]);
	}
	if (s->groups > 1)
		close(200);
	munmap(stop, sizeof(*stop));
	return err;
}

void fuzz_result_free(struct fuzz_result *res)
{
	for (unsigned int g = 0; g < FUZZ_GROUPS; g++) {
		free(res->trace[g].call);
	}
	memset(res, 0, sizeof(*res));
}
