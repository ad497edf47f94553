// SPDX-License-Identifier: GPL-2.0-only
/* Recordings: what was written is read again; of what is damaged, as much as is good. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "tests/unit.h"

#include "base/clock.h"
#include "kernel/state_source.h"
#include "record/blocks.h"
#include "record/recording.h"
#include "record/sampler.h"
#include "record/writer.h"
#include "report/report.h"
#include "ui/replay.h"

/* ---- The map as text ------------------------------------------------------------------ */

static struct rec_block any_block(unsigned int seed)
{
	return (struct rec_block){
		.letter = STATE_LETTERS[seed % 8],
		.tagged = (uint16_t)(seed / 8 % 3 ? 0 : seed % 33),
		.free = (uint16_t)(seed / 24 % 2),
	};
}

TEST(blocks_there_and_back)
{
	enum { N = 3000 };
	static struct rec_block was[N], now[N], back[N];
	static uint64_t generation[N];
	char *text, why[240];
	size_t len;
	FILE *f;

	srand(1);
	for (int round = 0; round < 20; round++) {
		memcpy(was, now, sizeof(was));
		/* Few changes, then many; single blocks, then runs. */
		for (int i = 0; i < N; i++)
			if (rand() % 20 < round)
				now[i] = any_block((unsigned int)(round % 2 ? i / 100 : rand()));
		memcpy(back, was, sizeof(back));
		f = open_memstream(&text, &len);
		EXPECT_EQ(memcmp(was, now, sizeof(was)) != 0, rec_blocks_print(f, was, now, N));
		fclose(f);
		ASSERT_TRUE(rec_blocks_apply(text, STATE_LETTERS, back, generation, N, 7, why,
					     sizeof(why)))
			LOG("%s", why);
		for (int i = 0; i < N; i++)
			if (now[i].letter)
				ASSERT_EQ(0, memcmp(&back[i].letter, &now[i].letter, 1));
		f = open_memstream(&text, &len);
		EXPECT_FALSE(rec_blocks_print(f, back, now, N)) LOG("%d", round);
		fclose(f);
		free(text);
	}
}

TEST(blocks_that_are_none)
{
	static const char *const bad[] = { "x", "3*", "*f", "0*f", "11*f", "+11", "+10 f", "f/",
					   "f70000", "f/70000", "f  f", "ff", "+f", "-1", "3f",
					   "99999999999999999999*f" };
	static const char *const good[] = { "", "f", "10*f", "+10", "+9 f", "3*r32/1 +2 P", "f " };
	struct rec_block b[10];
	uint64_t generation[10];
	char why[240];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		*why = '\0';
		EXPECT_FALSE(rec_blocks_apply(bad[i], STATE_LETTERS, b, generation, 10, 0, why,
					      sizeof(why)))
			LOG("%s", bad[i]);
		EXPECT_NE('\0', *why);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		EXPECT_TRUE(rec_blocks_apply(good[i], STATE_LETTERS, b, generation, 10, 0, why,
					     sizeof(why)))
			LOG("%s: %s", good[i], why);
}

/* ---- Files ------------------------------------------------------------------------------ */

#define BEGINNING "{\"event\":\"recording\",\"version\":1}\n"
#define SUMMARY                                                                                    \
	"{\"at\":5,\"event\":\"summary\",\"state\":{\"policy\":\"cma\",\"reason\":\"-\","          \
	"\"generation\":1,\"blocks\":8}}\n"
#define START(at_)                                                                                 \
	"{\"at\":" at_ ",\"event\":\"start\",\"scenario\":\"a\",\"t_ns\":0,\"kind\":\"workload\"," \
	"\"summary\":\"s\",\"explanation\":\"e\",\"seed\":1,\"time_limit_s\":9,\"params\":{},"     \
	"\"parameters\":[],\"roles\":[]}\n"
#define STEP(at_, n_)                                                                              \
	"{\"at\":" at_ ",\"event\":\"step\",\"scenario\":\"a\",\"t_ns\":0,\"number\":" n_          \
	",\"text\":\"step " n_ "\",\"waiting\":true}\n"
#define MAP(at_, text_)                                                                            \
	"{\"at\":" at_ ",\"event\":\"blocks\",\"first\":0,\"changes\":\"" text_ "\"}\n"
#define FINISH                                                                                     \
	"{\"at\":900,\"event\":\"end\",\"scenario\":\"a\",\"t_ns\":9,\"verdict\":\"pass\","        \
	"\"reason\":\"\",\"steps\":2,\"passed\":1,\"failed\":0,\"skipped\":0,\"ns\":9}\n"
#define RESULT(at_)                                                                                \
	"{\"at\":" at_ ",\"event\":\"result\",\"scenario\":\"a\",\"t_ns\":5,\"number\":1,"         \
	"\"text\":\"holds\",\"ok\":true}\n"
#define PLAN "{\"at\":6,\"event\":\"plan\",\"version\":1,\"number\":1,\"t_ns\":0}\n"
#define END "{\"at\":1000,\"event\":\"recorded\",\"status\":0}\n"

static const char whole[] = BEGINNING SUMMARY MAP("5", "8*f") PLAN START("10") STEP("100", "1")
	MAP("110", "+3 r32") STEP("200", "2") RESULT("205") MAP("210", "+3 d 2*p/1")
	FINISH MAP("905", "8*f") END;

static int read_text(const char *text, struct recording **rec, char *why, size_t size)
{
	char packed[20000];
	size_t n = ZSTD_compress(packed, sizeof(packed), text, strlen(text), 3);

	ASSERT_TRUE(!ZSTD_isError(n));
	return recording_parse(packed, n, 0, 0, rec, why, size);
}

TEST(a_whole_one)
{
	struct recording *rec;
	struct playhead p;
	char why[300];

	ASSERT_EQ(0, read_text(whole, &rec, why, sizeof(why))) LOG("%s", why);
	EXPECT_TRUE(rec->complete);
	EXPECT_EQ(1000, rec->end);
	EXPECT_TRUE(rec->has_state && rec->has_events);
	playhead_init(&p, rec);
	playhead_go_to(&p, recording_after(rec, 110));
	EXPECT_EQ('r', p.block[3].letter);
	EXPECT_EQ(32, p.block[3].tagged);
	playhead_go_to(&p, rec->nr);
	EXPECT_EQ('f', p.block[3].letter);
	/* And back. */
	playhead_go_to(&p, recording_after(rec, 210));
	EXPECT_EQ('d', p.block[3].letter);
	EXPECT_EQ('p', p.block[5].letter);
	EXPECT_EQ(1, p.block[5].free);
	playhead_go_to(&p, recording_after(rec, 4));
	EXPECT_FALSE(p.have_summary);
	playhead_free(&p);
	recording_free(rec);
}

#define OWNERS(at_, text_)                                                                         \
	"{\"at\":" at_ ",\"event\":\"owners\",\"first\":0,\"changes\":\"" text_ "\"}\n"

/* What the map of owners shows at an entry; "" if the recording does not say. */
static const char *owners_at(const struct recording *rec, size_t entry)
{
	static char shown[9];
	struct state_block b[8];
	struct playhead p;
	struct state *st;
	char owner[8];
	size_t got;

	playhead_init(&p, rec);
	playhead_go_to(&p, entry);
	st = playhead_state(&p, NULL, NULL);
	memset(shown, 0, sizeof(shown));
	if (!state_read_owners(st, NULL, owner, 8) && !state_read_blocks(st, 0, 8, b, &got))
		for (size_t i = 0; i < got; i++)
			shown[i] = owner_shown(b[i].letter, owner[i]);
	state_close(st);
	playhead_free(&p);
	return shown;
}

TEST(owners)
{
	static const char with[] = BEGINNING SUMMARY MAP("5", "d p f r 2*p d u")
		OWNERS("5", "v a N 2*A n +2") OWNERS("9", "+1 A +3 H c A") END;
	static const char *const bad[] = { OWNERS("5", "r"), OWNERS("5", "x"), OWNERS("5", "9*a"),
					   OWNERS("5", "t") };
	struct recording *rec;
	char why[300], text[2000];

	ASSERT_EQ(0, read_text(with, &rec, why, sizeof(why))) LOG("%s", why);
	EXPECT_STREQ("vaFTAo", owners_at(rec, 3));
	EXPECT_STREQ("vAFTAHcu", owners_at(rec, rec->nr));
	EXPECT_STREQ("vaFTAo", owners_at(rec, 3));
	/* What was recorded before there were any says nothing of them. */
	EXPECT_STREQ("", owners_at(rec, 2));
	recording_free(rec);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "%s%s%s%s", BEGINNING SUMMARY, MAP("5", "8*d"), bad[i],
			 END);
		*why = '\0';
		EXPECT_EQ(-EPROTO, read_text(text, &rec, why, sizeof(why))) LOG("%s", bad[i]);
		EXPECT_NE('\0', *why);
		recording_free(rec);
	}
	EXPECT_EQ(-EPROTO, read_text(BEGINNING OWNERS("5", "a") END, &rec, why, sizeof(why)));
	recording_free(rec);
}

TEST(refused)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "there is nothing in it" },
		{ "hello\n", "line 1: this is no recording" },
		{ "{\"event\":\"recording\",\"version\":3}\n",
		  "line 1: version 3 of recordings; this tagscope knows version 2" },
		{ "{\"event\":\"recording\",\"version\":0}\n",
		  "line 1: version 0 of recordings; this tagscope knows version 2" },
		{ "{\"event\":\"recording\"}\n", "line 1: the recording has no version" },
		{ SUMMARY, "line 1: this is no recording" },
		{ BEGINNING BEGINNING, "line 2: a second beginning" },
		{ BEGINNING "{\"event\":\"summary\"}\n", "line 2: 'at' is missing, or no number" },
		{ BEGINNING MAP("5", "f"), "line 2: changes where there are no blocks" },
		{ BEGINNING STEP("5", "1"), "line 2: no plan: this is not the beginning" },
	};
	struct recording *rec;
	char why[300];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_NE(0, read_text(bad[i].text, &rec, why, sizeof(why)));
		EXPECT_STREQ(bad[i].why, why);
		EXPECT_TRUE(!rec);
		recording_free(rec);
	}
	EXPECT_NE(0, recording_parse("PK\3\4 something else", 18, 0, 0, &rec, why, sizeof(why)));
	EXPECT_TRUE(!rec);
	EXPECT_NE(0, recording_read("/nonexistent", &rec, why, sizeof(why)));
	EXPECT_STREQ("No such file or directory", why);
}

TEST(good_until_it_is_not)
{
	static const struct {
		const char *text, *why;
		size_t nr;
	} bad[] = {
		{ BEGINNING SUMMARY, "it has no end: it was not closed", 1 },
		{ BEGINNING SUMMARY MAP("4", "f"), "line 3: time goes back", 1 },
		{ BEGINNING SUMMARY MAP("5", "9*f"),
		  "line 3: '9*f' is no change of blocks, or goes beyond the last", 1 },
		{ BEGINNING SUMMARY END SUMMARY, "line 4: time goes back", 1 },
		{ BEGINNING SUMMARY "{\"at\":9", "line 3: cut short", 1 },
		/* What comes of a scenario that has no end is an end, too. */
		{ BEGINNING SUMMARY PLAN START("10") STEP("11", "1"),
		  "it has no end: it was not closed", 5 },
		{ BEGINNING SUMMARY PLAN START("10") END, "it ends amid the scenario a", 4 },
	};
	struct recording *rec;
	char why[300];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_NE(0, read_text(bad[i].text, &rec, why, sizeof(why)));
		EXPECT_STREQ(bad[i].why, why);
		ASSERT_NE(NULL, rec);
		EXPECT_EQ(bad[i].nr, rec->nr) LOG("%zu", i);
		recording_free(rec);
	}
}

TEST(more_than_is_known)
{
	static const char text[] = BEGINNING SUMMARY
		"{\"at\":5,\"event\":\"of_tomorrow\",\"x\":[1,2]}\n" END;
	struct recording *rec;
	char why[300];

	ASSERT_EQ(0, read_text(text, &rec, why, sizeof(why))) LOG("%s", why);
	EXPECT_EQ(1, rec->nr);
	recording_free(rec);
}

TEST(a_bomb)
{
	static char zeros[1 << 20];
	char packed[8192];
	size_t n = ZSTD_compress(packed, sizeof(packed), zeros, sizeof(zeros), 19);
	struct recording *rec;
	char why[300];

	ASSERT_TRUE(!ZSTD_isError(n));
	EXPECT_EQ(-EFBIG, recording_parse(packed, n, 100000, 0, &rec, why, sizeof(why)));
	EXPECT_STREQ("it is larger than any recording", why);
	EXPECT_TRUE(!rec);
	/* Blocks that nobody has memory for. */
	EXPECT_EQ(-EPROTO,
		  read_text(BEGINNING "{\"at\":1,\"event\":\"summary\",\"state\":{\"policy\":\"cma\","
				      "\"blocks\":99999999999}}\n" MAP("2", "f"),
			    &rec, why, sizeof(why)));
	EXPECT_STREQ("line 3: it has more blocks than can be shown", why);
	recording_free(rec);
}

/* ---- Written and read ---------------------------------------------------------------------- */

static char path[64];

static void new_path(void)
{
	int fd;

	strcpy(path, "/tmp/tagscope-test-XXXXXX");
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	close(fd);
}

TEST(cut_anywhere)
{
	struct rec_writer *w;
	struct recording *rec;
	static char data[20000];
	size_t len, most = 0;
	char why[300];
	FILE *f;

	new_path();
	ASSERT_EQ(0, rec_create(path, &w));
	/* A frame for each line. */
	for (const char *line = whole; *line; line = strchr(line, '\n') + 1) {
		fprintf(rec_lines(w), "%.*s", (int)strcspn(line, "\n") + 1, line);
		ASSERT_EQ(0, rec_flush(w));
	}
	EXPECT_EQ(0, rec_close(w));
	f = fopen(path, "re");
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	unlink(path);
	for (size_t i = 0; i < len; i++) {
		*why = '\0';
		EXPECT_NE(0, recording_parse(data, i, 0, 0, &rec, why, sizeof(why)));
		EXPECT_NE('\0', *why);
		/* Of what was there nothing is lost but the last line. */
		if (rec) {
			EXPECT_LE(most, rec->nr);
			most = rec->nr > most ? rec->nr : most;
		}
		recording_free(rec);
	}
	EXPECT_EQ(0, recording_parse(data, len, 0, 0, &rec, why, sizeof(why)));
	EXPECT_EQ(rec->nr, most);
	recording_free(rec);
	/* A byte that is another is noticed, too. */
	for (size_t i = 0; i < len; i++) {
		data[i] ^= 0x41;
		recording_parse(data, len, 0, 0, &rec, why, sizeof(why));
		recording_free(rec);
		data[i] ^= 0x41;
	}
}

TEST(full_disk)
{
	struct rlimit limit = { 600, 600 };
	struct rec_writer *w;
	struct recording *rec;
	char why[300];
	struct stat sb;
	int err = 0;

	new_path();
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, rec_create(path, &w));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	fputs(BEGINNING SUMMARY, rec_lines(w));
	for (int i = 0; i < 100 && !err; i++) {
		fprintf(rec_lines(w), "{\"at\":%d,\"event\":\"trouble\",\"text\":\"%d\"}\n", 6 + i,
			i * 7919);
		err = rec_flush(w);
	}
	EXPECT_EQ(-EFBIG, err);
	EXPECT_EQ(-EFBIG, rec_close(w));
	ASSERT_EQ(0, stat(path, &sb));
	EXPECT_LT(300, sb.st_size);
	EXPECT_NE(0, recording_read(path, &rec, why, sizeof(why)));
	EXPECT_STREQ("it has no end: it was not closed", why);
	ASSERT_NE(NULL, rec);
	EXPECT_LT(2, rec->nr);
	recording_free(rec);
	unlink(path);
}

TEST(a_report_has_a_colour_for_each_letter)
{
	char text[16];

	for (const char *l = STATE_LETTERS OWNER_SHOWN; *l; l++) {
		char c = report_map_class(*l);

		snprintf(text, sizeof(text), ".b-%c{", c);
		EXPECT_TRUE(strstr(report_style, text)) LOG("%s", text);
		snprintf(text, sizeof(text), ".s-%c{", c);
		EXPECT_TRUE(strstr(report_style, text)) LOG("%s", text);
		snprintf(text, sizeof(text), "%c:'#", c);
		EXPECT_TRUE(strstr(report_script, text)) LOG("%s", text);
	}
}

/* ---- Sampling ------------------------------------------------------------------------------- */

/* A machine of many blocks, of which a window is reserved that moves at each reading. */
static uint64_t many_blocks, window_at, blocks_read;
static bool many_have_kinds;

static int many_summary(struct state *st, struct state_summary *s)
{
	(void)st;
	memset(s, 0, sizeof(*s));
	strcpy(s->policy, "cma");
	strcpy(s->reason, "-");
	state_counter_set(s, "generation", window_at);
	state_counter_set(s, "blocks", many_blocks);
	return 0;
}

static int many_regions(struct state *st, struct state_region **regions, size_t *n)
{
	(void)st;
	*regions = NULL;
	*n = 0;
	return 0;
}

static struct state_block many_block(uint64_t at)
{
	bool tags = at >= window_at * 64 && at < window_at * 64 + 500;

	return (struct state_block){
		.letter = tags ? 'r' : at * 2654435761u >> 20 & 7 ? 'f' : 'd',
		.tagged = tags ? 32 : 0,
	};
}

static int many_blocks_read(struct state *st, uint64_t first, size_t n, struct state_block *b,
			    size_t *got)
{
	(void)st;
	for (size_t i = 0; i < n; i++)
		b[i] = many_block(first + i);
	blocks_read += n;
	*got = n;
	return 0;
}

static int many_kinds(struct state *st, const struct state_region *regions, size_t nr_regions,
		      uint64_t first, size_t n, char *kind)
{
	(void)regions;
	(void)nr_regions;
	for (size_t i = 0; i < n; i++)
		kind[i] = many_block(first + i).letter == 'f' ? 'f' : 'n';
	return many_have_kinds ? 0 : state_fail(st, -EACCES, "root only");
}

static int many_latency(struct state *st, enum state_histogram which, struct state_latency **lat,
			size_t *n)
{
	(void)st;
	(void)which;
	*lat = NULL;
	*n = 0;
	return 0;
}

static int many_replays(struct state *st, struct state_replays **rep, size_t *n)
{
	(void)st;
	*rep = NULL;
	*n = 0;
	return 0;
}

/* The attacker has what is after the window, and all of the window is needed. */
static int many_owners(struct state *st, const char *kind, char *owner, uint64_t blocks)
{
	(void)st;
	(void)kind;
	for (uint64_t i = 0; i < blocks; i++)
		owner[i] = i >= window_at * 64 + 500 ? 'a' : i >= window_at * 64 ? 'N' : 'n';
	return 0;
}

static int many_open(struct state *st, const char *argument)
{
	static const struct state_ops ops = {
		.read_summary = many_summary,
		.read_regions = many_regions,
		.read_blocks = many_blocks_read,
		.read_kinds = many_kinds,
		.read_owners = many_owners,
		.read_latency = many_latency,
		.read_replays = many_replays,
	};

	(void)argument;
	st->ops = &ops;
	return 0;
}

static const struct state_source many = { .name = "many", .open = many_open };

/* Record n samples of so many blocks, and read that; the bytes of the file. */
static uint64_t record_many(uint64_t blocks, unsigned int samples, uint64_t budget_ns,
			    struct recording **rec)
{
	struct rec_sampler *s;
	struct rec_writer *w;
	uint64_t bytes;
	char why[900];

	new_path();
	many_blocks = blocks;
	window_at = 0;
	blocks_read = 0;
	state_source_add(&many);
	setenv("TAGSCOPE_STATE_SOURCE", "many", 1);
	s = rec_sampler_open(false, why, sizeof(why));
	EXPECT_STREQ("", why);
	ASSERT_EQ(0, rec_create(path, &w));
	fputs(BEGINNING, rec_lines(w));
	for (unsigned int i = 0; i < samples; i++) {
		window_at++;
		rec_sample(s, rec_lines(w), i * 100000000ULL, budget_ns,
			   budget_ns == UINT64_MAX || i + 1 == samples);
		if (i % 10 == 9)
			ASSERT_EQ(0, rec_flush(w));
	}
	fprintf(rec_lines(w), "{\"at\":%llu,\"event\":\"recorded\",\"status\":0}\n",
		samples * 100000000ULL);
	ASSERT_EQ(0, rec_flush(w));
	bytes = rec_written(w);
	EXPECT_EQ(0, rec_close(w));
	rec_sampler_close(s);
	ASSERT_EQ(0, recording_read(path, rec, why, sizeof(why))) LOG("%s", why);
	unlink(path);
	return bytes;
}

/* All of the map as it was when it was last read. */
static void expect_window(const struct recording *rec, uint64_t at)
{
	struct playhead p;

	playhead_init(&p, rec);
	playhead_go_to(&p, rec->nr);
	ASSERT_EQ(many_blocks, p.blocks);
	for (uint64_t i = 0; i < p.blocks; i++)
		if (p.block[i].letter != 'f' && p.block[i].letter != 'd')
			ASSERT_TRUE(p.block[i].letter == 'r' && i >= at * 64 && i < at * 64 + 500);
	EXPECT_EQ('r', p.block[at * 64].letter);
	EXPECT_EQ('r', p.block[at * 64 + 499].letter);
	ASSERT_TRUE(p.owner);
	for (uint64_t i = 0; i < p.blocks; i++)
		ASSERT_EQ("nNa"[(i >= at * 64) + (i >= at * 64 + 500)], p.owner[i].letter);
	playhead_free(&p);
}

/* What page flags tell is not read from the kernel's map, and the map is as right. */
TEST(a_step_reads_what_page_flags_do_not_tell)
{
	struct recording *rec;
	struct playhead p;
	uint64_t all;

	record_many(20000, 5, UINT64_MAX, &rec);
	all = blocks_read;
	recording_free(rec);
	many_have_kinds = true;
	record_many(20000, 5, UINT64_MAX, &rec);
	many_have_kinds = false;
	EXPECT_EQ(100000, all);
	EXPECT_TRUE(blocks_read < all / 2) LOG("%llu", (unsigned long long)blocks_read);
	expect_window(rec, 5);
	playhead_init(&p, rec);
	playhead_go_to(&p, rec->nr);
	for (uint64_t i = 0; i < p.blocks; i++)
		ASSERT_TRUE(p.block[i].letter == many_block(i).letter &&
			    p.block[i].tagged == many_block(i).tagged) LOG("%d", (int)i);
	playhead_free(&p);
	recording_free(rec);
}

/* Ten samples a second, for a minute. */
TEST(a_minute_of_8192_blocks)
{
	struct recording *rec;
	uint64_t bytes = record_many(8192, 120, UINT64_MAX, &rec);

	expect_window(rec, 120);
	LOG("%" PRIu64 " bytes for 12 s", bytes);
	EXPECT_LT(bytes, (1 << 20) / 5);
	recording_free(rec);
}

TEST(eight_million_blocks)
{
	uint64_t begin = now_ns(), bytes;
	struct recording *rec;

	bytes = record_many(8 << 20, 3, UINT64_MAX, &rec);
	LOG("%" PRIu64 " bytes, %.1f s", bytes, (double)(now_ns() - begin) / 1e9);
	expect_window(rec, 3);
	recording_free(rec);
}

TEST(a_budget_bounds_it)
{
	struct recording *rec;

	record_many(8 << 20, 4, 1, &rec);
	/* One piece each time. */
	EXPECT_LE(blocks_read, 4 * 8192);
	recording_free(rec);
}

/* ---- In the UI ------------------------------------------------------------------------ */

struct heard {
	unsigned int steps, results, ends, waits;
};

static void hear(void *ctx, const struct event *ev)
{
	struct heard *h = ctx;

	h->steps += ev->type == EVENT_STEP;
	h->waits += ev->type == EVENT_STEP && ev->waiting;
	h->results += ev->type == EVENT_RESULT;
	h->ends += ev->type == EVENT_END;
}

FIXTURE(replay)
{
	struct recording *rec;
	struct replay *r;
	struct session_source *src;
	struct state *st;
	struct heard h;
};

FIXTURE_SETUP(replay)
{
	struct session_source **sources;
	char why[300];
	size_t n;

	ASSERT_EQ(0, read_text(whole, &self->rec, why, sizeof(why)));
	self->r = replay_new(self->rec, 1e6);
	ASSERT_NE(NULL, self->r);
	sources = replay_runs(self->r, &n);
	ASSERT_EQ(1, n);
	self->src = sources[0];
	self->st = replay_state(self->r);
	ASSERT_NE(NULL, self->st);
}

FIXTURE_TEARDOWN(replay)
{
	state_close(self->st);
	replay_free(self->r);
	recording_free(self->rec);
}

static char letter_at(struct state *st, uint64_t block)
{
	struct state_block b;
	size_t got;

	ASSERT_EQ(0, state_read_blocks(st, block, 1, &b, &got));
	ASSERT_EQ(1, got);
	return b.letter;
}

/* Until it waits or has ended. */
static void go(struct replay_fixture *self, unsigned int waits)
{
	for (int i = 0; i < 1000 && self->h.waits < waits && !self->h.ends; i++) {
		self->src->ops->dispatch(self->src);
		sleep_ms(1);
	}
}

TEST_F(replay, steps)
{
	ASSERT_TRUE(self->src->ops->start(self->src, true, hear, &self->h));
	go(self, 1);
	EXPECT_EQ(1, self->h.steps);
	/* What was read for the step belongs to it. */
	EXPECT_EQ('r', letter_at(self->st, 3));
	sleep_ms(20);
	self->src->ops->dispatch(self->src);
	EXPECT_EQ(1, self->h.steps) LOG("it waits");
	self->src->ops->go_on(self->src);
	go(self, 2);
	EXPECT_EQ(2, self->h.waits);
	self->src->ops->go_on(self->src);
	go(self, 3);
	EXPECT_EQ(1, self->h.results);
	EXPECT_EQ(1, self->h.ends);
	EXPECT_EQ('f', letter_at(self->st, 3));
}

TEST_F(replay, goes_to_places)
{
	/* To step 2, and from there to the one before, and after. */
	replay_go_to(self->r, replay_step(self->r, 0, 2));
	ASSERT_TRUE(self->src->ops->start(self->src, true, hear, &self->h));
	EXPECT_EQ(2, self->h.steps);
	EXPECT_EQ(1, self->h.waits) LOG("only where it goes to");
	memset(&self->h, 0, sizeof(self->h));
	replay_go_to(self->r, replay_next_step(self->r, 0, -1));
	ASSERT_TRUE(self->src->ops->start(self->src, true, hear, &self->h));
	EXPECT_EQ(1, self->h.steps);
	EXPECT_EQ('r', letter_at(self->st, 3));
	memset(&self->h, 0, sizeof(self->h));
	replay_go_to(self->r, replay_next_step(self->r, 0, 1));
	ASSERT_TRUE(self->src->ops->start(self->src, true, hear, &self->h));
	EXPECT_EQ(2, self->h.steps);
	/* To a time, to a result, to the end, and to what there is not. */
	memset(&self->h, 0, sizeof(self->h));
	replay_go_to(self->r, replay_time(self->r, 150));
	ASSERT_TRUE(self->src->ops->start(self->src, false, hear, &self->h));
	EXPECT_EQ(1, self->h.steps);
	EXPECT_EQ('r', letter_at(self->st, 3));
	memset(&self->h, 0, sizeof(self->h));
	replay_go_to(self->r, replay_result(self->r, 0, 1));
	ASSERT_TRUE(self->src->ops->start(self->src, true, hear, &self->h));
	EXPECT_EQ(1, self->h.results);
	memset(&self->h, 0, sizeof(self->h));
	replay_go_to(self->r, replay_next_step(self->r, 0, 1));
	ASSERT_TRUE(self->src->ops->start(self->src, true, hear, &self->h));
	EXPECT_EQ(1, self->h.ends);
	EXPECT_EQ(-1, replay_step(self->r, 0, 3));
	EXPECT_EQ(-1, replay_result(self->r, 0, 2));
}

TEST_F(replay, stands_still)
{
	uint64_t at, before, end;
	double speed;
	bool paused;

	replay_pause(self->r, true);
	ASSERT_TRUE(self->src->ops->start(self->src, false, hear, &self->h));
	replay_where(self->r, &before, &end, &speed, &paused);
	EXPECT_TRUE(paused);
	sleep_ms(10);
	self->src->ops->dispatch(self->src);
	replay_where(self->r, &at, &end, &speed, &paused);
	EXPECT_EQ(before, at);
	EXPECT_EQ(0, self->h.steps);
	replay_pause(self->r, false);
	go(self, 1);
	EXPECT_EQ(1, self->h.ends);
	EXPECT_EQ(0, self->h.waits);
}
