// SPDX-License-Identifier: GPL-2.0-only
/* Which lessons the user has done: see done.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "lesson/done.h"

const char *done_path(char *buf, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	/* A relative path is to be ignored, says the XDG Base Directory Specification. */
	if (state && *state == '/')
		snprintf(buf, size, "%s/tagscope/lessons", state);
	else if (home && *home == '/')
		snprintf(buf, size, "%s/.local/state/tagscope/lessons", home);
	else
		*buf = '\0';
	return buf;
}

bool done_has(const char *name)
{
	char path[PATH_MAX], line[200];
	bool has = false;
	FILE *f = fopen(done_path(path, sizeof(path)), "re");

	while (f && !has && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		has = !strcmp(line, name);
	}
	if (f)
		fclose(f);
	return has;
}

int done_add(const char *name)
{
	char path[PATH_MAX], line[200];
	int fd, err;

	if (done_has(name))
		return 0;
	if (!*done_path(path, sizeof(path)))
		return -ENOENT;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		err = mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (err)
			return err;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* One write of a short line: two of them at once do not mix. */
	snprintf(line, sizeof(line), "%s\n", name);
	err = write_all(fd, line, strlen(line));
	if (close(fd) && !err)
		err = -errno;
	return err;
}
