// SPDX-License-Identifier: GPL-2.0-only
/* The reader: well-formed files are read exactly, malformed ones are refused with the reason. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit.h"

#include "kernel/state_parse.h"
#include "kernel/state_source.h"

FIXTURE(reader)
{
	struct state *st;
	char dir[64];		/* for files a test makes itself */
};

FIXTURE_SETUP(reader)
{
	char cmd[600];

	/* A copy, so that a test can spoil it. */
	strcpy(self->dir, "/tmp/tagscope-test-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(cmd, sizeof(cmd), "cp -r '%s/good/.' '%s'", FIXTURES, self->dir);
	ASSERT_EQ(0, system(cmd));
	ASSERT_EQ(0, setenv("TAGSCOPE_DEBUGFS", self->dir, 1));
	ASSERT_EQ(0, state_open(&self->st)) LOG("%s", state_error(self->st));
}

FIXTURE_TEARDOWN(reader)
{
	char cmd[100];

	state_close(self->st);
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", self->dir);
	EXPECT_EQ(0, system(cmd));
}

static bool spoil(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f)
		return false;
	ok = fputs(text, f) >= 0;
	return !fclose(f) && ok;
}

TEST_F(reader, summary)
{
	struct state_summary s;
	uint64_t v;

	ASSERT_EQ(0, state_read_summary(self->st, &s)) LOG("%s", state_error(self->st));
	EXPECT_EQ(1, s.version);
	EXPECT_STREQ("cma", s.policy);
	EXPECT_STREQ("-", s.reason);
	/* The fixture numbers them from 1000 on, in the order of the documentation. */
	for (size_t i = 0; i < nr_state_counters; i++) {
		ASSERT_TRUE(state_counter_get(&s, i, &v)) LOG("%s", state_counters[i].name);
		EXPECT_EQ(1000 + i, v) LOG("%s", state_counters[i].name);
	}
	EXPECT_EQ(1010, s.reserved_pages);
	EXPECT_EQ(1028, s.pin_moved);
	EXPECT_EQ(NULL, state_counter_missing(&s));
	/* What is no number is no counter. */
	EXPECT_EQ(nr_state_counters, state_counters_of(&s));
}

/* A kernel older or newer than this tagscope. */
TEST_F(reader, other_counters)
{
	struct state_summary s, later;
	char changes[200];
	uint64_t v;

	ASSERT_TRUE(spoil(self->dir, "summary",
			  "version 1\npolicy cleancache\nreason -\ngeneration 7\nregions 1\n"
			  "block_pages 1\nblocks 8\ndropped 18446744073709551615\nBAD 1\n"
			  "foa_fault 3\n"));
	ASSERT_EQ(0, state_read_summary(self->st, &s)) LOG("%s", state_error(self->st));
	EXPECT_EQ(3, s.foa_fault);
	EXPECT_STREQ("blocks_available", state_counter_missing(&s));
	EXPECT_FALSE(state_counter_get(&s, (size_t)state_counter_find(&s, "pin_moved"), &v));
	EXPECT_STREQ("(not offered by this kernel)",
		     state_counter_text(&s, (size_t)state_counter_find(&s, "pin_moved")));
	ASSERT_EQ(nr_state_counters + 1, state_counters_of(&s));
	EXPECT_STREQ("dropped", state_counter_name(&s, nr_state_counters));
	EXPECT_STREQ("(not known to this tagscope)", state_counter_text(&s, nr_state_counters));
	ASSERT_TRUE(state_counter_get(&s, nr_state_counters, &v));
	EXPECT_EQ(UINT64_MAX, v);
	later = s;
	ASSERT_TRUE(state_counter_set(&later, "dropped", 1));
	ASSERT_TRUE(state_counter_set(&later, "generation", 8));
	ASSERT_TRUE(state_counter_set(&later, "foa_fault", 5));
	/* New since then: nothing to compare it with. */
	ASSERT_TRUE(state_counter_set(&later, "pin_moved", 5));
	EXPECT_STREQ("foa_fault 3->5, dropped 18446744073709551615->1",
		     state_changes(&s, &later, changes, sizeof(changes)));
	EXPECT_FALSE(state_counter_set(&s, "", 1));
	EXPECT_FALSE(state_counter_set(&s, "a b", 1));
	for (int i = 0; i < 2 * STATE_MAX_EXTRA; i++) {
		snprintf(changes, sizeof(changes), "x%d", i);
		EXPECT_EQ(i < STATE_MAX_EXTRA - 1, state_counter_set(&s, changes, 1));
	}
}

TEST(owners_shown)
{
	static const struct {
		char letter, owner, shown;
	} cases[] = {
		{ 'f', 'n', '.' }, { 'f', 'N', 'F' }, { 'f', 'a', '.' }, { 'd', 'a', 'a' },
		{ 'p', 'A', 'A' }, { 'd', 'n', 'o' }, { 'i', 'N', 'O' }, { 'r', 'n', 't' },
		{ 'r', 'N', 'T' }, { 'P', 'N', 'T' }, { 'r', 'a', 't' }, { 'c', 'n', 'c' },
		{ 'c', 'N', 'C' }, { 'u', 'N', 'u' }, { 'd', 's', 's' }, { 0, 'a', 0 },
		{ 'p', 'h', 'h' }, { 'p', 'H', 'H' }, { 'f', 'h', '.' },
		{ 'd', 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].shown, owner_shown(cases[i].letter, cases[i].owner))
			LOG("%c %c", cases[i].letter, cases[i].owner);
	for (const char *l = OWNER_SHOWN; *l; l++)
		EXPECT_NE(0, strcmp("not known", owner_text(*l))) LOG("%c", *l);
	EXPECT_EQ('A', owner_more_telling('T', 'A'));
	EXPECT_EQ('T', owner_more_telling('a', 'T'));
	EXPECT_EQ('a', owner_more_telling(0, 'a'));
}

TEST(block_of_an_address)
{
	struct state_region r[] = {
		{ .mem_base = 0x1000000, .mem_size = 0x100000, .block_size = 4096, .blocks = 8 },
		{ .mem_base = 0x8000000, .mem_size = 0x100000, .block_size = 8192,
		  .first_block = 8, .blocks = 4 },
	};

	EXPECT_EQ(0, state_block_of(r, 2, 0x1000000));
	EXPECT_EQ(1, state_block_of(r, 2, 0x1020000));
	EXPECT_EQ(-1, state_block_of(r, 2, 0x1100000));
	EXPECT_EQ(-1, state_block_of(r, 2, 0xffffff));
	EXPECT_EQ(9, state_block_of(r, 2, 0x8040000));
}

TEST(the_more_telling_state)
{
	const char order[] = "iprPcduf";

	for (size_t i = 0; i < (sizeof(order) - 1); i++)
		for (size_t k = i; k < (sizeof(order) - 1); k++) {
			EXPECT_EQ(order[i], state_more_telling(order[i], order[k]));
			EXPECT_EQ(order[i], state_more_telling(order[k], order[i]));
		}
	EXPECT_EQ('f', state_more_telling(0, 'f'));
	EXPECT_EQ(strlen(STATE_LETTERS), (sizeof(order) - 1));
}

TEST_F(reader, regions)
{
	struct state_region *r;
	size_t n;

	ASSERT_EQ(0, state_read_regions(self->st, &r, &n)) LOG("%s", state_error(self->st));
	ASSERT_EQ(2, n);
	EXPECT_EQ(0x7e000000, r[0].tag_base);
	EXPECT_EQ(0x40000000, r[0].mem_size);
	EXPECT_EQ(1, r[1].index);
	EXPECT_EQ(16384, r[1].block_size);
	EXPECT_EQ(8192, r[1].first_block);
	EXPECT_EQ(2048, r[1].blocks);
	free(r);
}

TEST_F(reader, a_window_of_blocks)
{
	struct state_block b[200];
	size_t got;

	ASSERT_EQ(0, state_read_blocks(self->st, 10, 5, b, &got));
	ASSERT_EQ(5, got);
	for (unsigned int i = 0; i < 5; i++) {
		EXPECT_EQ(STATE_LETTERS[(10 + i) % 8], b[i].letter);
		EXPECT_EQ(10 + i, b[i].tagged);
		EXPECT_EQ(((uint64_t)(10 + i) << 40) + 10 + i, b[i].generation);
	}
	ASSERT_EQ(0, state_read_blocks(self->st, 90, 200, b, &got));
	EXPECT_EQ(10, got);
	EXPECT_EQ(99, b[9].tagged);
	ASSERT_EQ(0, state_read_blocks(self->st, 100, 1, b, &got));
	EXPECT_EQ(0, got);
	ASSERT_EQ(0, state_read_blocks(self->st, 0, 0, b, &got));
	EXPECT_EQ(-EINVAL, state_read_blocks(self->st, UINT64_MAX / 2, 1, b, &got));
}

TEST_F(reader, blocks_that_end_amid_a_record)
{
	struct state_block b[4];
	size_t got;

	ASSERT_TRUE(spoil(self->dir, "blocks", "f     0     1 0000000000000000.\nf   "));
	EXPECT_EQ(-EPROTO, state_read_blocks(self->st, 0, 4, b, &got));
	EXPECT_EQ(0, got);
	EXPECT_NE(NULL, strstr(state_error(self->st), "amid a record"));
	/* A window that does not reach there is fine. */
	EXPECT_EQ(0, state_read_blocks(self->st, 0, 1, b, &got));
}

TEST_F(reader, histograms)
{
	struct state_latency *lat;
	struct state_replays *rep;
	size_t n;

	ASSERT_EQ(0, state_read_latency(self->st, STATE_RESERVE_LATENCY, &lat, &n));
	ASSERT_EQ(2, n);
	EXPECT_STREQ("alloc", lat[0].cause);
	EXPECT_STREQ("free", lat[0].outcome);
	EXPECT_EQ(400, lat[0].max_ns);
	EXPECT_EQ(31, lat[0].bucket[31]);
	EXPECT_STREQ("busy", lat[1].outcome);
	free(lat);
	ASSERT_EQ(0, state_read_latency(self->st, STATE_REPLAY_LATENCY, &lat, &n));
	EXPECT_EQ(0, n);
	free(lat);
	ASSERT_EQ(0, state_read_replays(self->st, &rep, &n));
	ASSERT_EQ(3, n);
	EXPECT_EQ(1, rep[1].replays);
	EXPECT_EQ(3, rep[1].count);
	free(rep);
}

TEST_F(reader, switches)
{
	uint64_t v;

	ASSERT_EQ(0, state_switch_get(self->st, "replace_data_page", &v));
	EXPECT_EQ(1, v);
	ASSERT_EQ(0, state_switch_get(self->st, "move_before_pin", &v));
	EXPECT_EQ(1, v);
	ASSERT_EQ(0, state_switch_set(self->st, "fault_wait_ms", 50));
	/* A plain file keeps what was longer: "50\n0\n", which is not 50. */
	EXPECT_EQ(-EPROTO, state_switch_get(self->st, "fault_wait_ms", &v));
	ASSERT_EQ(0, state_switch_set(self->st, "choose_other_page", 1));
	ASSERT_EQ(0, state_switch_get(self->st, "choose_other_page", &v));
	EXPECT_EQ(1, v);
	EXPECT_EQ(-ENOENT, state_switch_get(self->st, "no_such", &v));
	EXPECT_NE(NULL, strstr(state_error(self->st), "no_such"));
}

/* One file of the interface, spoiled; the call that reads it must say why. */
struct spoiled {
	const char *file, *text, *why;
};

static const struct spoiled spoiled_files[] = {
	{ "summary", "", "'version' is missing" },
	{ "summary", "version 1\npolicy cma\n", "'reason' is missing" },
	{ "summary", "version 1\npolicy cma\nreason -\nblocks 1\n", "'generation' is missing" },
	{ "summary", "version 2\n", "knows version 1" },
	{ "summary", "version 1\nversion 1\n", "twice" },
	{ "summary", "version one\n", "not a value" },
	{ "summary", "version 1\npolicy\n", "not 'key value'" },
	{ "summary", "version 1\npolicy \n", "not 'key value'" },
	{ "summary", " version 1\n", "not 'key value'" },
	{ "summary", "version 1", "newline" },
	{ "summary", "version -1\n", "not a value" },
	{ "summary", "version 99999999999999999999\n", "not a value" },
	{ "summary", "version 1\npolicy a b\n", "not a value" },
	{ "summary", "version 1\npolicy aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	  "not a value" },
	{ "regions", "", "no header" },
	{ "regions", "# x", "no header" },
	{ "regions", "# x\n0 1 2 3\n", "line 2" },
	{ "regions", "# x\n0 0x0 0x1000 0x0 0x20000 0 0 1\n", "line 2" },
	{ "regions", "# x\n0 0x0 0x1000 0x0 0x20000 4096 0 2\n", "line 2" },
	{ "regions", "# x\n0 0x0 0x1000 0x0 0x40000 4096 0 1\n", "line 2" },
	{ "regions", "# x\n0 0x0 0x1000 0x0 0x20000 4096 0 1 9\n", "line 2" },
	{ "regions", "# x\n0  0x0 0x1000 0x0 0x20000 4096 0 1\n", "line 2" },
	{ "regions", "# x\n0 0x0 0x1000 0x0 0x20000 4096 0 1", "line 2" },
	{ "reserve_latency", "# x\nalloc free 1 2\n", "line 2" },
	{ "reserve_latency", "alloc free 1 2\n", "no header" },
	{ "replay_count", "0 1\n1\n", "line 2" },
	{ "replay_count", "0 1\nx 1\n", "line 2" },
	{ "switches/fault_wait_ms", "\n", "not a number" },
	{ "switches/fault_wait_ms", "-5\n", "not a number" },
	{ "switches/fault_wait_ms", "maybe\n", "not a number" },
};

TEST_F(reader, malformed_files_are_refused_with_the_reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(spoiled_files); i++) {
		const struct spoiled *s = &spoiled_files[i];
		struct state_summary sum;
		struct state_region *r = NULL;
		struct state_latency *lat = NULL;
		struct state_replays *rep = NULL;
		uint64_t v;
		size_t n;
		int err;

		ASSERT_TRUE(spoil(self->dir, s->file, s->text));
		if (!strcmp(s->file, "summary"))
			err = state_read_summary(self->st, &sum);
		else if (!strcmp(s->file, "regions"))
			err = state_read_regions(self->st, &r, &n);
		else if (!strcmp(s->file, "reserve_latency"))
			err = state_read_latency(self->st, STATE_RESERVE_LATENCY, &lat, &n);
		else if (!strcmp(s->file, "replay_count"))
			err = state_read_replays(self->st, &rep, &n);
		else
			err = state_switch_get(self->st, "fault_wait_ms", &v);
		EXPECT_EQ(-EPROTO, err) LOG("%s: '%s'", s->file, s->text);
		EXPECT_NE(NULL, strstr(state_error(self->st), s->why))
			LOG("'%s' does not say '%s'", state_error(self->st), s->why);
		EXPECT_NE(NULL, strstr(state_error(self->st), s->file));
		EXPECT_EQ(NULL, r);
		EXPECT_EQ(NULL, lat);
		EXPECT_EQ(NULL, rep);
	}
}

TEST_F(reader, a_missing_file)
{
	struct state_summary s;
	char path[128];

	snprintf(path, sizeof(path), "%s/summary", self->dir);
	ASSERT_EQ(0, unlink(path));
	EXPECT_EQ(-ENOENT, state_read_summary(self->st, &s));
	EXPECT_NE(NULL, strstr(state_error(self->st), path));
}

TEST(a_missing_interface)
{
	struct state *st;

	ASSERT_EQ(0, setenv("TAGSCOPE_DEBUGFS", "/nonexistent/tag_storage", 1));
	EXPECT_EQ(-ENOENT, state_open(&st));
	EXPECT_NE(NULL, strstr(state_error(st), "/nonexistent/tag_storage"));
	state_close(st);
	ASSERT_EQ(0, setenv("TAGSCOPE_DEBUGFS", "/dev/null", 1));
	EXPECT_EQ(-ENOTDIR, state_open(&st));
	state_close(st);
}

static int small_summary(struct state *st, struct state_summary *s)
{
	memset(s, 0, sizeof(*s));
	s->blocks = (uint64_t)(uintptr_t)st->priv;
	return 0;
}

static int small_open(struct state *st, const char *argument)
{
	static const struct state_ops ops = { .read_summary = small_summary };

	st->ops = &ops;
	st->priv = (void *)(uintptr_t)strtoul(argument, NULL, 10);
	strcpy(st->root, "small");
	return 0;
}

TEST(another_source)
{
	static const struct state_source small = { .name = "small", .open = small_open };
	struct state_summary s;
	struct state_block b;
	struct state_page page;
	struct state *st;
	size_t got = 1;

	state_source_add(&small);
	ASSERT_EQ(0, setenv("TAGSCOPE_STATE_SOURCE", "small:77", 1));
	ASSERT_EQ(0, state_open(&st));
	ASSERT_EQ(0, state_read_summary(st, &s));
	EXPECT_EQ(77, s.blocks);
	/* What it does not have is an error, not nothing. */
	EXPECT_EQ(-EOPNOTSUPP, state_read_blocks(st, 0, 1, &b, &got));
	EXPECT_EQ(0, got);
	EXPECT_EQ(-EOPNOTSUPP, state_lookup_addr(st, 0, 0x1000, &page));
	EXPECT_EQ(-EOPNOTSUPP, state_reset_histograms(st));
	EXPECT_STREQ("small: has no histograms to set to zero", state_error(st));
	state_close(st);
	ASSERT_EQ(0, setenv("TAGSCOPE_STATE_SOURCE", "smaller:77", 1));
	EXPECT_EQ(-EINVAL, state_open(&st));
	EXPECT_STREQ("TAGSCOPE_STATE_SOURCE: there is no source 'smaller'", state_error(st));
	state_close(st);
	ASSERT_EQ(0, setenv("TAGSCOPE_STATE_SOURCE", "debugfs:/nonexistent", 1));
	EXPECT_EQ(-ENOENT, state_open(&st));
	EXPECT_NE(NULL, strstr(state_error(st), "/nonexistent"));
	state_close(st);
}

TEST(block_records)
{
	static const char good[] = "r    17     0 00000000000000ff.\n";
	struct state_block b;
	char why[200], rec[STATE_BLOCK_RECORD + 1];

	ASSERT_EQ(STATE_BLOCK_RECORD, strlen(good));
	ASSERT_EQ(0, state_parse_block(good, &b, why, sizeof(why)));
	EXPECT_EQ('r', b.letter);
	EXPECT_EQ(17, b.tagged);
	EXPECT_EQ(0, b.free);
	EXPECT_EQ(255, b.generation);
	/* Whatever character is replaced by one that cannot be there, it is noticed. */
	for (size_t i = 0; i < STATE_BLOCK_RECORD; i++) {
		memcpy(rec, good, sizeof(rec));
		rec[i] = 'x';
		/* The reserved one may become anything. */
		EXPECT_EQ(i == 30 ? 0 : -EPROTO, state_parse_block(rec, &b, why, sizeof(why)))
			LOG("at %zu", i);
		rec[i] = '\0';
		EXPECT_EQ(i == 30 ? 0 : -EPROTO, state_parse_block(rec, &b, why, sizeof(why)))
			LOG("NUL at %zu", i);
	}
	EXPECT_EQ(-EPROTO,
		  state_parse_block("r 1 17     0 00000000000000ff.\n\n", &b, why, sizeof(why)));
	EXPECT_EQ(-EPROTO,
		  state_parse_block("r          0 00000000000000ff.\n\n", &b, why, sizeof(why)));
}

static const char a_page[] =
	"pfn 0x51234\nblock 77\nblock_state r\nblock_tagged 3\nin_tag_storage 0\nhas_storage 1\n"
	"tagged 1\ntag_pfn 0x7e04d\ntag_offset 2560\nrefcount 2\nmapcount 1\norder 0\nkind anon\n"
	"pinned 0\ndma_pinned 1\nlru 1\nlocked 0\nwriteback 0\n";

TEST(lookup_answers)
{
	struct state_page p;
	char why[200], text[1024];

	ASSERT_EQ(0, state_parse_page(a_page, false, &p, why, sizeof(why))) LOG("%s", why);
	EXPECT_EQ(0x51234, p.pfn);
	EXPECT_EQ(77, p.block);
	EXPECT_EQ('r', p.block_state);
	EXPECT_EQ(3, p.block_tagged);
	EXPECT_TRUE(p.has_storage);
	EXPECT_TRUE(p.tagged);
	EXPECT_FALSE(p.in_tag_storage);
	EXPECT_EQ(-1, p.own_block);
	EXPECT_EQ(0x7e04d, p.tag_pfn);
	EXPECT_EQ(2560, p.tag_offset);
	EXPECT_EQ(2, p.refcount);
	EXPECT_STREQ("anon", p.kind);
	EXPECT_TRUE(p.dma_pinned);
	EXPECT_FALSE(p.writeback);
	/* Asked by address, the entry must be told too. */
	EXPECT_EQ(-EPROTO, state_parse_page(a_page, true, &p, why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "'pte'"));
	snprintf(text, sizeof(text), "%spte 0xe8000051234f43\nfoa 1\nvma_tagged 1\n", a_page);
	ASSERT_EQ(0, state_parse_page(text, true, &p, why, sizeof(why))) LOG("%s", why);
	EXPECT_EQ(0xe8000051234f43, p.pte);
	EXPECT_TRUE(p.foa);
	/* A page of tag storage says of which block. */
	snprintf(text, sizeof(text), "%s", a_page);
	*(strstr(text, "in_tag_storage ") + 15) = '1';
	EXPECT_EQ(-EPROTO, state_parse_page(text, false, &p, why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "'own_block'"));
	/* Each line is needed. */
	for (const char *line = a_page; *line; line = strchr(line, '\n') + 1) {
		size_t before = (size_t)(line - a_page);

		memcpy(text, a_page, before);
		strcpy(text + before, strchr(line, '\n') + 1);
		EXPECT_EQ(-EPROTO, state_parse_page(text, false, &p, why, sizeof(why)))
			LOG("without: %.20s", line);
	}
}

TEST(tags_answers)
{
	char text[1024], why[200], digits[257], raw[257];
	struct state_tags t;

	for (int i = 0; i < 256; i++) {
		digits[i] = "0123456789abcdef"[i % 16];
		/* Byte k of raw has tag 2k in its low nibble. */
		raw[i ^ 1] = digits[i];
	}
	digits[256] = raw[256] = '\0';
	snprintf(text, sizeof(text), "pfn 0x5\nvalid 1\ntags %s\nraw %s\n", digits, raw);
	ASSERT_EQ(0, state_parse_tags(text, &t, why, sizeof(why))) LOG("%s", why);
	EXPECT_TRUE(t.valid);
	EXPECT_TRUE(t.has_raw);
	EXPECT_EQ(0, t.tags[0]);
	EXPECT_EQ(9, t.tags[25]);
	EXPECT_EQ(0x10, t.raw[0]);
	EXPECT_TRUE(state_tags_agree(&t));
	t.tags[255] ^= 1;
	EXPECT_FALSE(state_tags_agree(&t));
	snprintf(text, sizeof(text), "pfn 0x5\nvalid 0\n");
	ASSERT_EQ(0, state_parse_tags(text, &t, why, sizeof(why)));
	EXPECT_FALSE(t.valid);
	EXPECT_FALSE(t.has_raw);
	snprintf(text, sizeof(text), "pfn 0x5\nvalid 1\n");
	EXPECT_EQ(-EPROTO, state_parse_tags(text, &t, why, sizeof(why)));
	snprintf(text, sizeof(text), "pfn 0x5\nvalid 0\ntags %s\n", digits);
	EXPECT_EQ(-EPROTO, state_parse_tags(text, &t, why, sizeof(why)));
	snprintf(text, sizeof(text), "pfn 0x5\nvalid 1\ntags %s\n", digits + 1);
	EXPECT_EQ(-EPROTO, state_parse_tags(text, &t, why, sizeof(why)));
	digits[7] = 'G';
	snprintf(text, sizeof(text), "pfn 0x5\nvalid 1\ntags %s\n", digits);
	EXPECT_EQ(-EPROTO, state_parse_tags(text, &t, why, sizeof(why)));
}

TEST(every_letter_has_a_text)
{
	for (const char *l = STATE_LETTERS; *l; l++) {
		ASSERT_NE(NULL, state_letter_text(*l));
		EXPECT_NE(NULL, strchr(state_letter_text(*l), ':'));
	}
	EXPECT_EQ(NULL, state_letter_text('x'));
}
