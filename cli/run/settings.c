// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a scenario changes in the machine goes back to what it was, however it ends: the
 * settings it declared, and the kernel's switches. So it does when this process is
 * killed: then another one, the keeper, does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/runner_private.h"
#include "scenario/swap.h"

#define MAX_SWAPS 32
#define KEEPER_WAIT_MS 10000

struct saved {
	struct saved *next;	/* the one that was declared before */
	char *path, *value;
};

struct saved_swap {
	struct swap_device dev[MAX_SWAPS];
	int n;
};

/* An error, whatever is known already, but a failure. */
#define trouble(rn, ...)                                                       \
	do {                                                                   \
		if ((rn)->verdict_set && (rn)->verdict == VERDICT_SKIP)         \
			(rn)->verdict_set = 0;                                 \
		conclude(rn, VERDICT_ERROR, __VA_ARGS__);                      \
	} while (0)

/*
 * The value as it would be written. Of a list of choices it is the one in brackets:
 * "always [madvise] never". 0 or -errno.
 */
static int read_value(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *open_bracket, *close_bracket;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	open_bracket = strchr(buf, '[');
	close_bracket = open_bracket ? strchr(open_bracket, ']') : NULL;
	if (close_bracket) {
		*close_bracket = '\0';
		memmove(buf, open_bracket + 1, strlen(open_bracket));
	}
	return 0;
}

static int write_value(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	/* An empty value needs a write, too. */
	if (dprintf(fd, "%s\n", value) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Which words of one list are not in the other, each with a sign before it. */
static void add_changes(char *out, size_t size, char sign, const char *words, const char *others)
{
	char list[4096], padded[4098], word[260], *save = NULL;

	snprintf(list, sizeof(list), "%s", words);
	snprintf(padded, sizeof(padded), " %s ", others);
	for (char *w = strtok_r(list, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		size_t len = strlen(out);

		snprintf(word, sizeof(word), " %.256s ", w);
		if (!strstr(padded, word))
			snprintf(out + len, size - len, "%s%c%s", len ? " " : "", sign, w);
	}
}

/* What is to be written there so that it becomes this value. */
static void text_for(const char *path, const char *now, const char *value, char *text, size_t size)
{
	const char *name = strrchr(path, '/');

	if (!name || strcmp(name, "/cgroup.subtree_control")) {
		snprintf(text, size, "%s", value);
		return;
	}
	/* A list of controllers, of which one writes the changes. */
	*text = '\0';
	add_changes(text, size, '-', now, value);
	add_changes(text, size, '+', value, now);
}

static bool save_path(struct runner *rn, const char *path)
{
	struct saved *s = calloc(1, sizeof(*s));
	char value[4096];
	int err = s ? read_value(path, value, sizeof(value)) : -ENOMEM;

	if (!err) {
		s->path = strdup(path);
		s->value = strdup(value);
		s->next = rn->saved;
		rn->saved = s;
		if (s->path && s->value)
			return true;
		err = -ENOMEM;
	} else {
		free(s);
	}
	conclude(rn, VERDICT_ERROR, "cannot remember %s: %s", path, strerror(-err));
	return false;
}

static bool save_swap(struct runner *rn)
{
	rn->saved_swap = calloc(1, sizeof(*rn->saved_swap));
	if (rn->saved_swap)
		rn->saved_swap->n = swap_devices_list(rn->saved_swap->dev, MAX_SWAPS);
	if (rn->saved_swap && rn->saved_swap->n >= 0)
		return true;
	conclude(rn, VERDICT_ERROR, "cannot remember " SETTING_SWAP);
	return false;
}

bool settings_include(const struct runner *rn, const char *path)
{
	for (const struct setting *s = rn->params->scenario->save_restore; s && s->path; s++)
		if (!strcmp(s->path, path))
			return true;
	return false;
}

static bool save_settings(struct runner *rn)
{
	const struct setting *s = rn->params->scenario->save_restore;

	for (; s && s->path; s++) {
		bool ok = true;
		glob_t g;

		if (s->flags & SETTING_LASTING)
			continue;
		if (!strcmp(s->path, SETTING_SWAP)) {
			if (!save_swap(rn))
				return false;
			continue;
		}
		if (glob(s->path, 0, NULL, &g))
			continue;
		for (size_t i = 0; i < g.gl_pathc && ok; i++)
			ok = save_path(rn, g.gl_pathv[i]);
		globfree(&g);
		if (!ok)
			return false;
	}
	return true;
}

static void restore_path(struct runner *rn, const struct saved *s)
{
	char now[4096], text[4096];
	int err = read_value(s->path, now, sizeof(now));

	if (!err && !strcmp(now, s->value))
		return;
	text_for(s->path, err ? "" : now, s->value, text, sizeof(text));
	err = write_value(s->path, text);
	if (!err)
		err = read_value(s->path, now, sizeof(now));
	if (err)
		trouble(rn, "cannot put back %s to '%s': %s", s->path, s->value,
			 strerror(-err));
	else if (strcmp(now, s->value))
		trouble(rn, "%s was '%s', and is '%s' whatever is written to it",
			 s->path, s->value, now);
}

static const struct swap_device *find_swap(const struct swap_device *d, int n, const char *path)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(d[i].path, path))
			return &d[i];
	return NULL;
}

static void restore_swap(struct runner *rn)
{
	const struct saved_swap *was = rn->saved_swap;
	struct swap_device now[MAX_SWAPS];
	int n = swap_devices_list(now, MAX_SWAPS);

	for (int i = 0; i < n; i++)
		if (!find_swap(was->dev, was->n, now[i].path) && swapoff(now[i].path))
			trouble(rn, "cannot switch off swap on %s: %s", now[i].path,
				 strerror(errno));
	for (int i = 0; i < was->n; i++) {
		int err = find_swap(now, n, was->dev[i].path) ? 0 : swap_device_on(&was->dev[i]);

		if (err)
			trouble(rn, "cannot switch on swap on %s again: %s",
				 was->dev[i].path, strerror(-err));
	}
}

static void restore_all(struct runner *rn)
{
	/* The last first: what was declared first may have to be as it was before the others. */
	for (struct saved *s = rn->saved, *next; s; s = next) {
		next = s->next;
		restore_path(rn, s);
		free(s->path);
		free(s->value);
		free(s);
	}
	rn->saved = NULL;
	if (rn->saved_swap)
		restore_swap(rn);
	free(rn->saved_swap);
	rn->saved_swap = NULL;
	restore_switches(rn);
}

/* ---- The keeper --------------------------------------------------------------- */

/*
 * It hears of the scenario's process, and then nothing: it is killed when all has been put
 * back. If that does not come, but the end of the pipe, it ends the one and does the other.
 */
static void __attribute__((noreturn)) keeper_main(struct runner *rn, int fd)
{
	pid_t pid = 0;
	sigset_t all;
	char byte;

	/* What is sent to a group, or from a terminal, is not for it. */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "tagscope-keeper", 0, 0, 0);
	if (read(fd, &pid, sizeof(pid)) == sizeof(pid))
		while (read(fd, &byte, 1) > 0)
			;
	/* Its processes die with it; but as long as one lives, it may change something. */
	for (int ms = 0; pid && ms < KEEPER_WAIT_MS; ms += 10) {
		if (kill(-pid, SIGKILL) && errno == ESRCH)
			break;
		sleep_ms(10);
	}
	restore_all(rn);
	_exit(0);
}

static bool start_keeper(struct runner *rn)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return false;
	fflush(NULL);
	rn->keeper = fork();
	if (!rn->keeper) {
		close(fd[1]);
		keeper_main(rn, fd[0]);
	}
	close(fd[0]);
	rn->keeper_fd = fd[1];
	return rn->keeper > 0;
}

bool settings_save(struct runner *rn)
{
	save_switches(rn);
	if (!save_settings(rn))
		return false;
	if (start_keeper(rn))
		return true;
	conclude(rn, VERDICT_ERROR, "cannot start a process: %s", strerror(errno));
	return false;
}

void settings_belong_to(struct runner *rn)
{
	if (write(rn->keeper_fd, &rn->pid, sizeof(rn->pid)) != sizeof(rn->pid))
		conclude(rn, VERDICT_ERROR, "the keeper of settings is gone");
}

void settings_restore(struct runner *rn)
{
	restore_all(rn);
	if (rn->keeper <= 0)
		return;
	kill(rn->keeper, SIGKILL);
	while (waitpid(rn->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	close(rn->keeper_fd);
	rn->keeper = 0;
	rn->keeper_fd = -1;
}
