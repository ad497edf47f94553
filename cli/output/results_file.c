// SPDX-License-Identifier: GPL-2.0-only
/* The file that results go to: see results_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output/results_file.h"

/* A new file beside that of this name, with the rights of any new file; -1, with errno. */
static int temporary(const char *name, char *path, size_t size)
{
	mode_t mask = umask(0);
	int fd, err;

	umask(mask);
	if ((size_t)snprintf(path, size, "%s.XXXXXX", name) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0 && fchmod(fd, 0666 & ~mask)) {
		err = errno;
		close(fd);
		unlink(path);
		errno = err;
		return -1;
	}
	return fd;
}

int results_open(struct results_file *out, const char *name, bool whole)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	/* What is no file, or the name of another, stays: a pipe, /dev/stdout. */
	out->whole = whole &&
		     (lstat(name, &st) || S_ISREG(st.st_mode));
	if (!out->whole) {
		out->f = fopen(name, "we");
		return out->f ? 0 : -errno;
	}
	/* That it cannot be written is better known now than after hours. */
	fd = temporary(name, path, sizeof(path));
	if (fd < 0)
		return -errno;
	close(fd);
	if (unlink(path) || (unlink(name) && errno != ENOENT))
		return -errno;
	out->f = open_memstream(&out->text, &out->len);
	return out->f ? 0 : -errno;
}

/* Give what is in memory its file. 0 or -errno. */
static int results_keep(const struct results_file *out, const char *name)
{
	char path[PATH_MAX];
	int fd = temporary(name, path, sizeof(path)), err = 0;
	FILE *f;

	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		err = -errno;
		close(fd);
	} else {
		if (fwrite(out->text, 1, out->len, f) != out->len)
			err = -errno;
		if (fclose(f) && !err)
			err = -errno;
	}
	if (!err && rename(path, name))
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

int results_close(struct results_file *out, const char *name, bool complete)
{
	int err = fclose(out->f) ? -errno : 0;

	if (out->whole && complete && !err)
		err = results_keep(out, name);
	free(out->text);
	return err;
}
