// SPDX-License-Identifier: GPL-2.0-only
/* The state as a folder of the kernel's files, debugfs, has it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/number.h"
#include "kernel/owners.h"
#include "kernel/state_parse.h"
#include "kernel/state_source.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_TEXT (4u << 20)	/* no text file of the interface is near this */

static int open_file(struct state *st, const char *name, int flags)
{
	char path[640];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", st->root, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return state_fail(st, -errno, "%s: %s", path, strerror(errno));
	return fd;
}

/* The rest of the file, NUL terminated, to be freed; or NULL and *err. */
static char *read_text(struct state *st, const char *name, int fd, int *err)
{
	size_t size = 8192, len = 0;
	char *buf = malloc(size);
	bool seek = true;

	while (buf) {
		/* From the start, wherever a request has moved the file's position. */
		ssize_t n = seek ? pread(fd, buf + len, size - len - 1, (off_t)len) :
				   read(fd, buf + len, size - len - 1);

		if (n < 0) {
			*err = -errno;
			if (*err == -EINTR)
				continue;
			/* debugfs' files of one value have no position. */
			if (*err == -ESPIPE && seek) {
				seek = false;
				continue;
			}
			free(buf);
			state_fail(st, *err, "%s/%s: %s", st->root, name, strerror(-*err));
			return NULL;
		}
		if (!n)
			break;
		len += (size_t)n;
		if (len == size - 1) {
			char *bigger = size < MAX_TEXT ? realloc(buf, size * 2) : NULL;

			if (!bigger) {
				free(buf);
				*err = state_fail(st, -EFBIG, "%s/%s: too long", st->root, name);
				return NULL;
			}
			buf = bigger;
			size *= 2;
		}
	}
	if (!buf) {
		*err = state_fail(st, -ENOMEM, "out of memory");
		return NULL;
	}
	buf[len] = '\0';
	if (strlen(buf) != len) {
		free(buf);
		*err = state_fail(st, -EPROTO, "%s/%s: has a NUL in it", st->root, name);
		return NULL;
	}
	return buf;
}

/* As read_text(). */
static char *read_file(struct state *st, const char *name, int *err)
{
	int fd = open_file(st, name, O_RDONLY);
	char *text;

	if (fd < 0) {
		*err = fd;
		return NULL;
	}
	text = read_text(st, name, fd, err);
	close(fd);
	return text;
}

static int files_read_summary(struct state *st, struct state_summary *s)
{
	char why[256], *text;
	int err;

	text = read_file(st, "summary", &err);
	if (!text)
		return err;
	err = state_parse_summary(text, s, why, sizeof(why));
	free(text);
	return err ? state_fail(st, err, "%s/summary: %s", st->root, why) : 0;
}

/*
 * Split the line at *text into words of one space each, in place; at most max.
 * Returns how many, or -1 if the line is not of that form. *text moves on.
 */
static int split_line(char **text, char **words, int max)
{
	char *line = *text, *end = strchr(line, '\n');
	int n = 0;

	if (!end)
		return -1;
	*end = '\0';
	*text = end + 1;
	while (n < max) {
		words[n++] = line;
		line = strchr(line, ' ');
		if (!line)
			break;
		*line++ = '\0';
		if (n == max)
			return -1;
	}
	for (int i = 0; i < n; i++)
		if (!*words[i])
			return -1;
	return n;
}

/*
 * Read a table file: an optional header starting with '#', then lines of nr words.
 * one() stores line i at record i of the array at *out, records of size bytes.
 */
static int read_table(struct state *st, const char *name, bool header, int nr, size_t size,
		      bool (*one)(char **words, void *record), void **out, size_t *n)
{
	char *text, *p, *words[48], *table = NULL;
	size_t lines = 0, i = 0;
	int err;

	*out = NULL;
	*n = 0;
	text = read_file(st, name, &err);
	if (!text)
		return err;
	err = 0;
	for (p = text; *p; p++)
		lines += *p == '\n';
	p = text;
	if (header) {
		if (*p != '#' || !strchr(p, '\n')) {
			err = state_fail(st, -EPROTO, "%s/%s: line 1: no header", st->root, name);
			goto out;
		}
		p = strchr(p, '\n') + 1;
	}
	table = calloc(lines + 1, size);
	if (!table) {
		err = state_fail(st, -ENOMEM, "out of memory");
		goto out;
	}
	for (; *p; i++) {
		if (split_line(&p, words, nr) != nr || !one(words, table + i * size)) {
			err = state_fail(st, -EPROTO, "%s/%s: line %zu: not %d fields as documented",
				   st->root, name, i + 1 + header, nr);
			free(table);
			goto out;
		}
	}
	*out = table;
	*n = i;
out:
	free(text);
	return err;
}

static bool one_region(char **w, void *record)
{
	struct state_region *r = record;
	uint64_t index = 0, *const numbers[] = { &index, &r->tag_base, &r->tag_size, &r->mem_base,
					     &r->mem_size, &r->block_size, &r->first_block,
					     &r->blocks };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!parse_u64(w[i], false, numbers[i]))
			return false;
	r->index = (unsigned int)index;
	return r->block_size && r->tag_size / r->block_size >= r->blocks &&
	       r->mem_size / STATE_DATA_PER_TAG <= r->tag_size;
}

static int files_read_regions(struct state *st, struct state_region **regions, size_t *n)
{
	void *out;
	int err = read_table(st, "regions", true, 8, sizeof(**regions), one_region, &out, n);

	*regions = out;
	return err;
}

static bool one_latency(char **w, void *record)
{
	struct state_latency *l = record;

	if (strlen(w[0]) >= sizeof(l->cause) || strlen(w[1]) >= sizeof(l->outcome))
		return false;
	memcpy(l->cause, w[0], strlen(w[0]) + 1);
	memcpy(l->outcome, w[1], strlen(w[1]) + 1);
	if (!parse_u64(w[2], false, &l->count) || !parse_u64(w[3], false, &l->total_ns) ||
	    !parse_u64(w[4], false, &l->max_ns))
		return false;
	for (size_t i = 0; i < STATE_BUCKETS; i++)
		if (!parse_u64(w[5 + i], false, &l->bucket[i]))
			return false;
	return true;
}

static const char *histogram_file(enum state_histogram which)
{
	return which == STATE_RESERVE_LATENCY ? "reserve_latency" : "replay_latency";
}

static int files_read_latency(struct state *st, enum state_histogram which,
			      struct state_latency **lat, size_t *n)
{
	void *out;
	int err = read_table(st, histogram_file(which), true, 5 + STATE_BUCKETS, sizeof(**lat),
			     one_latency, &out, n);

	*lat = out;
	return err;
}

static bool one_replay(char **w, void *record)
{
	struct state_replays *r = record;

	return parse_u64(w[0], false, &r->replays) && parse_u64(w[1], false, &r->count);
}

static int files_read_replays(struct state *st, struct state_replays **rep, size_t *n)
{
	void *out;
	int err = read_table(st, "replay_count", false, 2, sizeof(**rep), one_replay, &out, n);

	*rep = out;
	return err;
}

static int write_file(struct state *st, const char *name, const char *text)
{
	size_t len = strlen(text);
	int fd = open_file(st, name, O_WRONLY), err = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, text, len);
	if (n < 0)
		err = state_fail(st, -errno, "%s/%s: cannot write '%.*s': %s", st->root, name,
			   (int)strcspn(text, "\n"), text, strerror(errno));
	else if ((size_t)n != len)
		err = state_fail(st, -EIO, "%s/%s: took only a part of what was written", st->root,
				 name);
	close(fd);
	return err;
}

static int files_reset_histograms(struct state *st)
{
	static const char *const files[] = { "reserve_latency", "replay_latency", "replay_count" };
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(files) && !err; i++)
		err = write_file(st, files[i], "0\n");
	return err;
}

static int files_read_blocks(struct state *st, uint64_t first, size_t n, struct state_block *b,
			     size_t *got)
{
	size_t len = 0, want = n * STATE_BLOCK_RECORD;
	char why[256], *buf;
	int fd, err = 0;

	if (n > SIZE_MAX / STATE_BLOCK_RECORD || first > INT64_MAX / STATE_BLOCK_RECORD - n)
		return state_fail(st, -EINVAL, "blocks %" PRIu64 "+%zu: out of range", first, n);
	fd = open_file(st, "blocks", O_RDONLY);
	if (fd < 0)
		return fd;
	buf = malloc(want);
	if (!buf) {
		err = state_fail(st, -ENOMEM, "out of memory");
		goto out;
	}
	while (len < want) {
		ssize_t k = pread(fd, buf + len, want - len,
				  (off_t)(first * STATE_BLOCK_RECORD + len));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			err = state_fail(st, -errno, "%s/blocks: %s", st->root, strerror(errno));
			goto out;
		}
		if (!k)
			break;
		len += (size_t)k;
	}
	if (len % STATE_BLOCK_RECORD) {
		err = state_fail(st, -EPROTO, "%s/blocks: ends amid a record", st->root);
		goto out;
	}
	for (size_t i = 0; i < len / STATE_BLOCK_RECORD; i++) {
		err = state_parse_block(buf + i * STATE_BLOCK_RECORD, &b[i], why, sizeof(why));
		if (err) {
			err = state_fail(st, err, "%s/blocks: block %" PRIu64 ": %s", st->root,
					 first + i, why);
			goto out;
		}
	}
	*got = len / STATE_BLOCK_RECORD;
out:
	free(buf);
	close(fd);
	return err;
}

/* A folder that stands for the kernel's has processes and page frames of its own, or none. */
static const char *proc_of(const struct state *st, char *buf, size_t size)
{
	if (!strcmp(st->root, STATE_DEFAULT_ROOT))
		return "/proc";
	snprintf(buf, size, "%s/proc", st->root);
	return buf;
}

static int files_read_kinds(struct state *st, const struct state_region *regions,
			    size_t nr_regions, uint64_t first, size_t n, char *kind)
{
	char buf[600];

	return kinds_read(st, proc_of(st, buf, sizeof(buf)), regions, nr_regions, first, n, kind);
}

static int files_read_owners(struct state *st, const char *kind, char *owner, uint64_t blocks)
{
	char buf[600];

	return owners_read(st, proc_of(st, buf, sizeof(buf)), kind, owner, blocks);
}

/* Write the request, read the answer from the same open file. As read_text(). */
static char *ask(struct state *st, const char *name, const char *request, int *err)
{
	size_t len = strlen(request);
	int fd = open_file(st, name, O_RDWR);
	char *answer = NULL;
	ssize_t n;

	if (fd < 0) {
		*err = fd;
		return NULL;
	}
	n = write(fd, request, len);
	if (n < 0) {
		*err = -errno;
		state_fail(st, *err, "%s/%s: %.*s: %s", st->root, name, (int)len - 1, request,
		     *err == -EFAULT ? "no page is present there" :
		     *err == -ESRCH ? "no such process" :
		     *err == -ENXIO ? "no such page frame" : strerror(-*err));
	} else if ((size_t)n != len) {
		*err = state_fail(st, -EIO, "%s/%s: took only a part of the request", st->root,
				  name);
	} else {
		answer = read_text(st, name, fd, err);
	}
	close(fd);
	return answer;
}

/* The file's answer about a page, as read_text(). */
static char *ask_page(struct state *st, const char *name, const struct state_where *at, int *err)
{
	char request[64];

	if (at->by_pfn)
		snprintf(request, sizeof(request), "pfn 0x%" PRIx64 "\n", at->pfn);
	else
		snprintf(request, sizeof(request), "pid %d 0x%" PRIx64 "\n", (int)at->pid,
			 at->addr);
	return ask(st, name, request, err);
}

static int files_lookup(struct state *st, const struct state_where *at, struct state_page *page)
{
	char why[256], *text;
	int err;

	text = ask_page(st, "lookup", at, &err);
	if (!text)
		return err;
	err = state_parse_page(text, !at->by_pfn, page, why, sizeof(why));
	free(text);
	return err ? state_fail(st, err, "%s/lookup: %s", st->root, why) : 0;
}

static int files_tags(struct state *st, const struct state_where *at, struct state_tags *tags)
{
	char why[256], *text;
	int err;

	text = ask_page(st, "tags", at, &err);
	if (!text)
		return err;
	err = state_parse_tags(text, tags, why, sizeof(why));
	free(text);
	return err ? state_fail(st, err, "%s/tags: %s", st->root, why) : 0;
}

static int files_switch_get(struct state *st, const char *name, uint64_t *value)
{
	char file[128], *text;
	int err;

	snprintf(file, sizeof(file), "switches/%s", name);
	text = read_file(st, file, &err);
	if (!text)
		return err;
	err = 0;
	/* One line; a debugfs value may also come without its end. */
	if (strchr(text, '\n') && strchr(text, '\n')[1] == '\0')
		*strchr(text, '\n') = '\0';
	/* debugfs shows booleans as Y and N. */
	if (!strcmp(text, "Y") || !strcmp(text, "N"))
		*value = *text == 'Y';
	else if (!parse_u64(text, false, value))
		err = state_fail(st, -EPROTO, "%s/%s: not a number: '%.*s'", st->root, file,
			   (int)strcspn(text, "\n"), text);
	free(text);
	return err;
}

static int files_switch_set(struct state *st, const char *name, uint64_t value)
{
	char file[128], text[32];

	snprintf(file, sizeof(file), "switches/%s", name);
	snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
	return write_file(st, file, text);
}

const struct state_ops state_files_ops = {
	.read_summary = files_read_summary,
	.read_regions = files_read_regions,
	.read_blocks = files_read_blocks,
	.read_kinds = files_read_kinds,
	.read_owners = files_read_owners,
	.lookup = files_lookup,
	.tags = files_tags,
	.read_latency = files_read_latency,
	.read_replays = files_read_replays,
	.reset_histograms = files_reset_histograms,
	.switch_get = files_switch_get,
	.switch_set = files_switch_set,
};

static int debugfs_open(struct state *st, const char *dir)
{
	const char *named = dir;
	struct statfs fs;
	struct stat sb;
	int n;

	st->ops = &state_files_ops;
	if (!dir)
		named = getenv("TAGSCOPE_DEBUGFS");
	if (named && !*named)
		named = NULL;
	n = snprintf(st->root, sizeof(st->root), "%s", named ? named : STATE_DEFAULT_ROOT);
	if (n < 0 || (size_t)n >= sizeof(st->root))
		return state_fail(st, -ENAMETOOLONG, "TAGSCOPE_DEBUGFS: the path is too long");
	if (!stat(st->root, &sb)) {
		if (!S_ISDIR(sb.st_mode))
			return state_fail(st, -ENOTDIR, "%s: not a folder", st->root);
		return 0;
	}
	if (errno == EACCES)
		return state_fail(st, -EACCES, "%s: only root may look there", st->root);
	/* Tell apart a kernel without the series and a debugfs that is not mounted. */
	if (named)
		return state_fail(st, -ENOENT, "%s: %s (named by %s)", st->root, strerror(errno),
				  dir ? "TAGSCOPE_STATE_SOURCE" : "TAGSCOPE_DEBUGFS");
	if (statfs("/sys/kernel/debug", &fs) || fs.f_type != DEBUGFS_MAGIC)
		return state_fail(st, -ENOENT,
				  "%s is not there: debugfs is not mounted (mount -t debugfs debugfs /sys/kernel/debug)",
				  st->root);
	return state_fail(st, -ENOENT,
			  "%s is not there: this kernel is built without CONFIG_ARM64_MTE_TAG_STORAGE",
			  st->root);
}

const struct state_source state_source_debugfs = {
	.name = "debugfs",
	.open = debugfs_open,
};
