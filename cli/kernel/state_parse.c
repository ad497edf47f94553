// SPDX-License-Identifier: GPL-2.0-only
/* What the files of the kernel's tag storage interface say: see state_parse.h. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "kernel/state_parse.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

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
 * Parse "key value" lines into the fields at base. Unknown keys are given to other(),
 * or ignored if that is NULL; *seen has a bit for each field that was there.
 */
static int parse_keys(const char *text, const struct field *fields, size_t nr, void *base,
		      void (*other)(void *base, const char *key, const char *value),
		      uint64_t *seen, char *why, size_t size)
{
	unsigned int line = 0;
	char key[64], value[600];
	size_t next = 0, tried;

	*seen = 0;
	while (*text) {
		const char *end = strchr(text, '\n'), *space;
		size_t len, klen, i;

		line++;
		if (!end)
			return bad(why, size, "line %u: not ended by a newline", line);
		len = (size_t)(end - text);
		space = memchr(text, ' ', len);
		klen = space ? (size_t)(space - text) : len;
		if (klen == 0 || klen >= sizeof(key) || klen >= len ||
		    len - klen - 1 >= sizeof(value) || len == klen + 1)
			return bad(why, size, "line %u: not 'key value': '%.*s'", line,
				   (int)(len < 60 ? len : 60), text);
		memcpy(key, text, klen);
		key[klen] = '\0';
		memcpy(value, text + klen + 1, len - klen - 1);
		value[len - klen - 1] = '\0';
		text += len + 1;
		/* They mostly come in the order of fields. */
		for (tried = 0, i = next; tried < nr && strcmp(fields[i].key, key); tried++)
			i = i + 1 < nr ? i + 1 : 0;
		if (tried == nr) {
			if (other)
				other(base, key, value);
			continue;
		}
		next = i + 1 < nr ? i + 1 : 0;
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

static void add_extra(void *base, const char *key, const char *value)
{
	uint64_t v;

	/* What is no number is not for showing among counters. */
	if (parse_u64(value, false, &v))
		state_counter_set(base, key, v);
}

int state_parse_summary(const char *text, struct state_summary *s, char *why, size_t size)
{
	/* What the map is made of is always there; any other counter may be missing. */
#define MUST(key, type, size) { #key, type, offsetof(struct state_summary, key), size, false }
#define X(field, text_) { #field, F_U64, offsetof(struct state_summary, field), 0, true },
	static const struct field fields[] = {
		STATE_COUNTERS(X)
		MUST(version, F_UINT, 0),
		MUST(policy, F_WORD, sizeof(s->policy)),
		MUST(reason, F_WORD, sizeof(s->reason)),
	};
	static const struct field version[] = { MUST(version, F_UINT, 0) };
#undef X
#undef MUST
	static const char *const must[] = { "generation", "regions", "block_pages", "blocks" };
	uint64_t seen;
	int err;

	_Static_assert(ARRAY_LEN(fields) <= 64, "one bit a field");
	memset(s, 0, sizeof(*s));
	/* The version first: another one may well lack what this one must have. */
	err = parse_keys(text, version, 1, s, NULL, &seen, why, size);
	if (err)
		return err;
	if (s->version != STATE_VERSION)
		return bad(why, size, "version %u of the interface; this tagscope knows version %u",
			   s->version, STATE_VERSION);
	err = parse_keys(text, fields, ARRAY_LEN(fields), s, add_extra, &seen, why, size);
	if (err)
		return err;
	s->present = seen & ((1ULL << nr_state_counters) - 1);
	for (size_t i = 0; i < ARRAY_LEN(must); i++)
		if (!(s->present & 1ULL << state_counter_find(s, must[i])))
			return bad(why, size, "'%s' is missing", must[i]);
	return 0;
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
	err = parse_keys(text, fields, ARRAY_LEN(fields), p, NULL, &seen, why, size);
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
	err = parse_keys(text, fields, ARRAY_LEN(fields), &a, NULL, &seen, why, size);
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
