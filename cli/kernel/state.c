// SPDX-License-Identifier: GPL-2.0-only
/* The reader of the kernel's tag storage interface: see state.h. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/number.h"
#include "kernel/state_parse.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_TEXT (4u << 20)	/* no text file of the interface is near this */

struct state {
	char root[512];
	char error[768];
};

const char *const state_switches[] = {
	"replace_data_page", "choose_other_page", "move_before_pin", "gather",
	"fault_wait_ms", NULL,
};

const struct state_counter state_counters[] = {
#define X(field, text_) { #field, text_, offsetof(struct state_summary, field) },
	STATE_COUNTERS(X)
#undef X
};
const size_t nr_state_counters = ARRAY_LEN(state_counters);

uint64_t state_counter_value(const struct state_summary *s, const struct state_counter *c)
{
	return *(const uint64_t *)((const char *)s + c->offset);
}

const struct state_counter *state_counter_find(const char *name)
{
	for (size_t i = 0; i < nr_state_counters; i++)
		if (!strcmp(state_counters[i].name, name))
			return &state_counters[i];
	return NULL;
}

const char *state_letter_text(char letter)
{
	switch (letter) {
	case BLOCK_FREE:
		return "free: its pages are free memory";
	case BLOCK_DATA:
		return "data: holds somebody's data, which can be moved";
	case BLOCK_PINNED:
		return "pinned: holds somebody's data, which cannot be moved";
	case BLOCK_CACHED:
		return "cached: holds clean copies that can be dropped";
	case BLOCK_ISOLATING:
		return "isolating: is being emptied";
	case BLOCK_RESERVED:
		return "reserved: holds tags";
	case BLOCK_PERMANENT:
		return "permanent: holds tags for ever";
	case BLOCK_UNUSABLE:
		return "unusable: given to nobody";
	}
	return NULL;
}

/* ---- Errors and files ---------------------------------------------------- */

static int fail(struct state *st, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct state *st, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->error, sizeof(st->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *state_error(const struct state *st)
{
	return st ? st->error : "out of memory";
}

const char *state_root(const struct state *st)
{
	return st->root;
}

int state_open(struct state **out)
{
	const char *root = getenv("TAGSCOPE_DEBUGFS");
	struct state *st = calloc(1, sizeof(*st));
	struct statfs fs;
	struct stat sb;
	int n;

	*out = st;
	if (!st)
		return -ENOMEM;
	if (!root || !*root)
		root = STATE_DEFAULT_ROOT;
	n = snprintf(st->root, sizeof(st->root), "%s", root);
	if (n < 0 || (size_t)n >= sizeof(st->root))
		return fail(st, -ENAMETOOLONG, "TAGSCOPE_DEBUGFS: the path is too long");
	if (!stat(root, &sb)) {
		if (!S_ISDIR(sb.st_mode))
			return fail(st, -ENOTDIR, "%s: not a folder", root);
		return 0;
	}
	if (errno == EACCES)
		return fail(st, -EACCES, "%s: only root may look there", root);
	/* Tell apart a kernel without the series and a debugfs that is not mounted. */
	if (root == getenv("TAGSCOPE_DEBUGFS"))
		return fail(st, -ENOENT, "%s: %s (named by TAGSCOPE_DEBUGFS)", root,
			    strerror(errno));
	if (statfs("/sys/kernel/debug", &fs) || fs.f_type != DEBUGFS_MAGIC)
		return fail(st, -ENOENT,
			    "%s is not there: debugfs is not mounted (mount -t debugfs debugfs /sys/kernel/debug)",
			    root);
	return fail(st, -ENOENT,
		    "%s is not there: this kernel is built without CONFIG_ARM64_MTE_TAG_STORAGE",
		    root);
}

void state_close(struct state *st)
{
	free(st);
}

static int open_file(struct state *st, const char *name, int flags)
{
	char path[640];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", st->root, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return fail(st, -errno, "%s: %s", path, strerror(errno));
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
			fail(st, *err, "%s/%s: %s", st->root, name, strerror(-*err));
			return NULL;
		}
		if (!n)
			break;
		len += (size_t)n;
		if (len == size - 1) {
			char *bigger = size < MAX_TEXT ? realloc(buf, size * 2) : NULL;

			if (!bigger) {
				free(buf);
				*err = fail(st, -EFBIG, "%s/%s: too long", st->root, name);
				return NULL;
			}
			buf = bigger;
			size *= 2;
		}
	}
	if (!buf) {
		*err = fail(st, -ENOMEM, "out of memory");
		return NULL;
	}
	buf[len] = '\0';
	if (strlen(buf) != len) {
		free(buf);
		*err = fail(st, -EPROTO, "%s/%s: has a NUL in it", st->root, name);
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

/* ---- "key value" lines ---------------------------------------------------- */

enum field_type { F_U64, F_S64, F_UINT, F_BOOL, F_WORD, F_LETTER, F_HEXBYTES };

struct field {
	const char *key;
	enum field_type type;
	size_t offset;
	size_t size;		/* F_WORD: of the array; F_HEXBYTES: bytes */
	bool optional;
};

static int bad(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int bad(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EPROTO;
}

static bool parse_s64(const char *text, int64_t *value)
{
	bool minus = *text == '-';
	uint64_t v;

	if (!parse_u64(text + minus, false, &v) || v > INT64_MAX)
		return false;
	*value = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool parse_hex_bytes(const char *text, uint8_t *out, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static bool set_field(const struct field *f, void *base, const char *value)
{
	char *p = (char *)base + f->offset;
	uint64_t v;

	switch (f->type) {
	case F_U64:
		return parse_u64(value, false, (uint64_t *)p);
	case F_S64:
		return parse_s64(value, (int64_t *)p);
	case F_UINT:
		if (!parse_u64(value, false, &v) || v > UINT32_MAX)
			return false;
		*(unsigned int *)p = (unsigned int)v;
		return true;
	case F_BOOL:
		if (strcmp(value, "0") && strcmp(value, "1"))
			return false;
		*(bool *)p = *value == '1';
		return true;
	case F_WORD:
		if (!*value || strlen(value) >= f->size || strpbrk(value, " \t"))
			return false;
		memcpy(p, value, strlen(value) + 1);
		return true;
	case F_LETTER:
		if (strlen(value) != 1 || !strchr(STATE_LETTERS "-", *value))
			return false;
		*p = *value;
		return true;
	case F_HEXBYTES:
		return parse_hex_bytes(value, (uint8_t *)p, f->size);
	}
	return false;
}

/*
 * Parse "key value" lines into the fields at base. Unknown keys are ignored, as
 * the interface asks for; *seen has a bit for each field that was there.
 */
static int parse_keys(const char *text, const struct field *fields, size_t nr, void *base,
		      uint64_t *seen, char *why, size_t size)
{
	unsigned int line = 0;
	char key[64], value[600];

	*seen = 0;
	while (*text) {
		size_t len = strcspn(text, "\n"), klen = strcspn(text, " \n"), i;

		line++;
		if (text[len] != '\n')
			return bad(why, size, "line %u: not ended by a newline", line);
		if (klen == 0 || klen >= sizeof(key) || klen >= len ||
		    len - klen - 1 >= sizeof(value) || len == klen + 1)
			return bad(why, size, "line %u: not 'key value': '%.*s'", line,
				   (int)(len < 60 ? len : 60), text);
		memcpy(key, text, klen);
		key[klen] = '\0';
		memcpy(value, text + klen + 1, len - klen - 1);
		value[len - klen - 1] = '\0';
		text += len + 1;
		for (i = 0; i < nr && strcmp(fields[i].key, key); i++)
			;
		if (i == nr)
			continue;
		if (*seen & (1ULL << i))
			return bad(why, size, "line %u: '%s' is there twice", line, key);
		*seen |= 1ULL << i;
		if (!set_field(&fields[i], base, value))
			return bad(why, size, "line %u: not a value for '%s': '%.60s'", line, key,
				   value);
	}
	for (size_t i = 0; i < nr; i++)
		if (!fields[i].optional && !(*seen & (1ULL << i)))
			return bad(why, size, "'%s' is missing", fields[i].key);
	return 0;
}

int state_parse_summary(const char *text, struct state_summary *s, char *why, size_t size)
{
	static const struct field fields[] = {
		{ "version", F_UINT, offsetof(struct state_summary, version), 0, false },
		{ "policy", F_WORD, offsetof(struct state_summary, policy), sizeof(s->policy),
		  false },
		{ "reason", F_WORD, offsetof(struct state_summary, reason), sizeof(s->reason),
		  false },
#define X(field, text_) { #field, F_U64, offsetof(struct state_summary, field), 0, false },
		STATE_COUNTERS(X)
#undef X
	};
	static const struct field version[] = {
		{ "version", F_UINT, offsetof(struct state_summary, version), 0, false },
	};
	uint64_t seen;
	int err;

	_Static_assert(ARRAY_LEN(fields) <= 64, "one bit a field");
	memset(s, 0, sizeof(*s));
	/* The version first: another one may well lack what this one must have. */
	err = parse_keys(text, version, 1, s, &seen, why, size);
	if (err)
		return err;
	if (s->version != STATE_VERSION)
		return bad(why, size, "version %u of the interface; this tagscope knows version %u",
			   s->version, STATE_VERSION);
	return parse_keys(text, fields, ARRAY_LEN(fields), s, &seen, why, size);
}

int state_parse_page(const char *text, bool with_addr, struct state_page *p, char *why,
		     size_t size)
{
#define F(key, type, opt) { #key, type, offsetof(struct state_page, key), 0, opt }
	static const struct field fields[] = {
		F(pfn, F_U64, false),
		F(block, F_S64, false),
		F(block_state, F_LETTER, true),
		F(block_tagged, F_UINT, true),
		F(in_tag_storage, F_BOOL, false),
		F(own_block, F_S64, true),
		F(own_state, F_LETTER, true),
		F(has_storage, F_BOOL, false),
		F(tagged, F_BOOL, false),
		F(tag_pfn, F_U64, true),
		F(tag_offset, F_UINT, true),
		F(refcount, F_S64, false),
		F(mapcount, F_S64, false),
		F(order, F_UINT, false),
		{ "kind", F_WORD, offsetof(struct state_page, kind), sizeof(p->kind), false },
		F(pinned, F_BOOL, false),
		F(dma_pinned, F_BOOL, false),
		F(lru, F_BOOL, false),
		F(locked, F_BOOL, false),
		F(writeback, F_BOOL, false),
		F(pte, F_U64, true),
		F(foa, F_BOOL, true),
		F(vma_tagged, F_BOOL, true),
	};
#undef F
	/* Keys that must be there when something else is so. */
	static const char *const of_block[] = { "block_state", "block_tagged", "tag_pfn",
						"tag_offset", NULL };
	static const char *const of_own[] = { "own_block", "own_state", NULL };
	static const char *const of_addr[] = { "pte", "foa", "vma_tagged", NULL };
	const char *const *needed[3];
	uint64_t seen;
	int err;

	memset(p, 0, sizeof(*p));
	p->own_block = -1;
	p->block_state = '-';
	p->own_state = '-';
	err = parse_keys(text, fields, ARRAY_LEN(fields), p, &seen, why, size);
	if (err)
		return err;
	needed[0] = p->block >= 0 ? of_block : NULL;
	needed[1] = p->in_tag_storage ? of_own : NULL;
	needed[2] = with_addr ? of_addr : NULL;
	for (size_t n = 0; n < ARRAY_LEN(needed); n++) {
		for (const char *const *key = needed[n]; key && *key; key++) {
			size_t i = 0;

			while (strcmp(fields[i].key, *key))
				i++;
			if (!(seen & (1ULL << i)))
				return bad(why, size, "'%s' is missing", *key);
		}
	}
	if (p->tag_offset >= 4096)
		return bad(why, size, "tag_offset %u is outside of a page", p->tag_offset);
	return 0;
}

int state_parse_tags(const char *text, struct state_tags *t, char *why, size_t size)
{
	struct answer {
		uint64_t pfn;
		bool valid;
		uint8_t tags[STATE_TAGS_PER_PAGE / 2];
		uint8_t raw[STATE_RAW_PER_PAGE];
	} a = { .valid = false };
	static const struct field fields[] = {
		{ "pfn", F_U64, offsetof(struct answer, pfn), 0, false },
		{ "valid", F_BOOL, offsetof(struct answer, valid), 0, false },
		{ "tags", F_HEXBYTES, offsetof(struct answer, tags), sizeof(a.tags), true },
		{ "raw", F_HEXBYTES, offsetof(struct answer, raw), sizeof(a.raw), true },
	};
	uint64_t seen;
	int err;

	memset(t, 0, sizeof(*t));
	err = parse_keys(text, fields, ARRAY_LEN(fields), &a, &seen, why, size);
	if (err)
		return err;
	if (a.valid != !!(seen & 4))
		return bad(why, size, "'tags' is %s, but valid is %d", seen & 4 ? "there" : "missing",
			   a.valid);
	t->pfn = a.pfn;
	t->valid = a.valid;
	/* One digit a granule, so two granules a byte, the lower address first. */
	for (size_t i = 0; i < sizeof(a.tags); i++) {
		t->tags[2 * i] = a.tags[i] >> 4;
		t->tags[2 * i + 1] = a.tags[i] & 15;
	}
	t->has_raw = seen & 8;
	memcpy(t->raw, a.raw, sizeof(t->raw));
	return 0;
}

bool state_tags_agree(const struct state_tags *t)
{
	for (size_t i = 0; i < STATE_RAW_PER_PAGE; i++)
		if (t->raw[i] != (t->tags[2 * i] | t->tags[2 * i + 1] << 4))
			return false;
	return true;
}

/* A decimal number, right aligned in width characters. */
static bool fixed_decimal(const char *s, unsigned int width, unsigned int *value)
{
	unsigned int i = 0, v = 0;

	while (i < width - 1 && s[i] == ' ')
		i++;
	for (; i < width; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		v = v * 10 + (unsigned int)(s[i] - '0');
	}
	*value = v;
	return true;
}

int state_parse_block(const char r[STATE_BLOCK_RECORD], struct state_block *b, char *why,
		      size_t size)
{
	char shown[STATE_BLOCK_RECORD];
	uint64_t gen = 0;
	bool ok = r[0] && strchr(STATE_LETTERS, r[0]) && r[1] == ' ' && r[7] == ' ' &&
		  r[13] == ' ' && r[31] == '\n' && fixed_decimal(r + 2, 5, &b->tagged) &&
		  fixed_decimal(r + 8, 5, &b->free);

	for (size_t i = 14; i < 30 && ok; i++) {
		int d = hex_digit(r[i]);

		ok = d >= 0;
		gen = gen << 4 | (unsigned int)d;
	}
	if (!ok) {
		for (size_t i = 0; i + 1 < sizeof(shown); i++)
			shown[i] = r[i] >= ' ' && r[i] <= '~' ? r[i] : '?';
		shown[sizeof(shown) - 1] = '\0';
		return bad(why, size, "not a block record: '%s'", shown);
	}
	b->letter = r[0];
	b->generation = gen;
	return 0;
}

/* ---- Files ---------------------------------------------------------------- */

int state_read_summary(struct state *st, struct state_summary *s)
{
	char why[256], *text;
	int err;

	text = read_file(st, "summary", &err);
	if (!text)
		return err;
	err = state_parse_summary(text, s, why, sizeof(why));
	free(text);
	return err ? fail(st, err, "%s/summary: %s", st->root, why) : 0;
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
			err = fail(st, -EPROTO, "%s/%s: line 1: no header", st->root, name);
			goto out;
		}
		p = strchr(p, '\n') + 1;
	}
	table = calloc(lines + 1, size);
	if (!table) {
		err = fail(st, -ENOMEM, "out of memory");
		goto out;
	}
	for (; *p; i++) {
		if (split_line(&p, words, nr) != nr || !one(words, table + i * size)) {
			err = fail(st, -EPROTO, "%s/%s: line %zu: not %d fields as documented",
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

int state_read_regions(struct state *st, struct state_region **regions, size_t *n)
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

int state_read_latency(struct state *st, enum state_histogram which, struct state_latency **lat,
		       size_t *n)
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

int state_read_replays(struct state *st, struct state_replays **rep, size_t *n)
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
		err = fail(st, -errno, "%s/%s: cannot write '%.*s': %s", st->root, name,
			   (int)strcspn(text, "\n"), text, strerror(errno));
	else if ((size_t)n != len)
		err = fail(st, -EIO, "%s/%s: took only a part of what was written", st->root, name);
	close(fd);
	return err;
}

int state_reset_histograms(struct state *st)
{
	static const char *const files[] = { "reserve_latency", "replay_latency", "replay_count" };
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(files) && !err; i++)
		err = write_file(st, files[i], "0\n");
	return err;
}

int state_read_blocks(struct state *st, uint64_t first, size_t n, struct state_block *b,
		      size_t *got)
{
	size_t len = 0, want = n * STATE_BLOCK_RECORD;
	char why[256], *buf;
	int fd, err = 0;

	*got = 0;
	if (!n)
		return 0;
	if (n > SIZE_MAX / STATE_BLOCK_RECORD || first > INT64_MAX / STATE_BLOCK_RECORD - n)
		return fail(st, -EINVAL, "blocks %" PRIu64 "+%zu: out of range", first, n);
	fd = open_file(st, "blocks", O_RDONLY);
	if (fd < 0)
		return fd;
	buf = malloc(want);
	if (!buf) {
		err = fail(st, -ENOMEM, "out of memory");
		goto out;
	}
	while (len < want) {
		ssize_t k = pread(fd, buf + len, want - len,
				  (off_t)(first * STATE_BLOCK_RECORD + len));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			err = fail(st, -errno, "%s/blocks: %s", st->root, strerror(errno));
			goto out;
		}
		if (!k)
			break;
		len += (size_t)k;
	}
	if (len % STATE_BLOCK_RECORD) {
		err = fail(st, -EPROTO, "%s/blocks: ends amid a record", st->root);
		goto out;
	}
	for (size_t i = 0; i < len / STATE_BLOCK_RECORD; i++) {
		err = state_parse_block(buf + i * STATE_BLOCK_RECORD, &b[i], why, sizeof(why));
		if (err) {
			err = fail(st, err, "%s/blocks: block %" PRIu64 ": %s", st->root, first + i,
				   why);
			goto out;
		}
	}
	*got = len / STATE_BLOCK_RECORD;
out:
	free(buf);
	close(fd);
	return err;
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
		fail(st, *err, "%s/%s: %.*s: %s", st->root, name, (int)len - 1, request,
		     *err == -EFAULT ? "no page is present there" :
		     *err == -ESRCH ? "no such process" :
		     *err == -ENXIO ? "no such page frame" : strerror(-*err));
	} else if ((size_t)n != len) {
		*err = fail(st, -EIO, "%s/%s: took only a part of the request", st->root, name);
	} else {
		answer = read_text(st, name, fd, err);
	}
	close(fd);
	return answer;
}

static void request_addr(char *buf, size_t size, pid_t pid, uint64_t addr)
{
	/* The kernel wants an address as mappings have it, without a tag. */
	snprintf(buf, size, "pid %d 0x%" PRIx64 "\n", pid ? (int)pid : (int)getpid(),
		 addr & ~((uint64_t)0xff << 56));
}

static int lookup(struct state *st, const char *request, bool with_addr, struct state_page *page)
{
	char why[256], *text;
	int err;

	text = ask(st, "lookup", request, &err);
	if (!text)
		return err;
	err = state_parse_page(text, with_addr, page, why, sizeof(why));
	free(text);
	return err ? fail(st, err, "%s/lookup: %s", st->root, why) : 0;
}

int state_lookup_pfn(struct state *st, uint64_t pfn, struct state_page *page)
{
	char request[64];

	snprintf(request, sizeof(request), "pfn 0x%" PRIx64 "\n", pfn);
	return lookup(st, request, false, page);
}

int state_lookup_addr(struct state *st, pid_t pid, uint64_t addr, struct state_page *page)
{
	char request[64];

	request_addr(request, sizeof(request), pid, addr);
	return lookup(st, request, true, page);
}

static int lookup_tags(struct state *st, const char *request, struct state_tags *tags)
{
	char why[256], *text;
	int err;

	text = ask(st, "tags", request, &err);
	if (!text)
		return err;
	err = state_parse_tags(text, tags, why, sizeof(why));
	free(text);
	return err ? fail(st, err, "%s/tags: %s", st->root, why) : 0;
}

int state_tags_pfn(struct state *st, uint64_t pfn, struct state_tags *tags)
{
	char request[64];

	snprintf(request, sizeof(request), "pfn 0x%" PRIx64 "\n", pfn);
	return lookup_tags(st, request, tags);
}

int state_tags_addr(struct state *st, pid_t pid, uint64_t addr, struct state_tags *tags)
{
	char request[64];

	request_addr(request, sizeof(request), pid, addr);
	return lookup_tags(st, request, tags);
}

int state_switch_get(struct state *st, const char *name, uint64_t *value)
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
		err = fail(st, -EPROTO, "%s/%s: not a number: '%.*s'", st->root, file,
			   (int)strcspn(text, "\n"), text);
	free(text);
	return err;
}

int state_switch_set(struct state *st, const char *name, uint64_t value)
{
	char file[128], text[32];

	snprintf(file, sizeof(file), "switches/%s", name);
	snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
	return write_file(st, file, text);
}
