// SPDX-License-Identifier: GPL-2.0-only
/* Lessons as Markdown: see handout.h. */
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "commands/handout.h"
#include "commands/map_lines.h"

const char *const handout_parts[NR_HANDOUT_PARTS] = { "lesson", "answer", "notes" };

/* ---- Stops ------------------------------------------------------------------------------ */

const char *stop_title(const struct lesson *l, const struct lesson_stop *s, char *buf, size_t size)
{
	int n = (int)strlen(place_text(&s->at, buf, size));

	*buf = (char)toupper((unsigned char)*buf);
	if (l->nr_runs > 1)
		snprintf(buf + n, size - (size_t)n, " of run %zu", s->at.run + 1);
	return buf;
}

/* What the stop points at, in words. */
static void point(const struct lesson_stop *s, const struct state_summary *sum, struct state *st,
		  const char *was, const char *now)
{
	int64_t block = stop_block(s, st, was, now);
	struct state_block b;
	char value[32];
	size_t got;

	if (s->show == SHOW_COUNTER)
		printf("Look at: counter %s, %s\n", s->name,
		       state_counter_named(sum, s->name, value, sizeof(value)));
	else if (block >= 0 && !state_read_blocks(st, (uint64_t)block, 1, &b, &got) && got &&
		 state_letter_text(b.letter))
		printf("Look at: block %" PRId64 ", %s; the tags of %u page%s\n", block,
		       state_letter_text(b.letter), b.tagged, b.tagged == 1 ? "" : "s");
}

void stop_map(const struct lesson_stop *s, const struct state_summary *sum, struct state *st,
	      const char *was, const char *now, const char *fence)
{
	bool owners = s->show == SHOW_OWNER;
	uint64_t per = map_per_cell(sum->blocks, 6);

	printf("%s, a letter is %" PRIu64 " block%s:\n%s",
	       owners ? "The map of owners" : "The map", per, per == 1 ? "" : "s", fence);
	if (map_print(st, 0, sum->blocks, per, owners))
		printf("  %s\n", state_error(st));
	fputs(fence, stdout);
	point(s, sum, st, was, now);
}

/* ---- Text ------------------------------------------------------------------------------- */

/* Plain text, whatever Markdown would make of it. */
static void put(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (ispunct((unsigned char)*c))
			putchar('\\');
		putchar(*c);
	}
}

/* Paragraphs are lines. */
static void put_paragraphs(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *one = strndup(text, len);

		if (one)
			put(one);
		free(one);
		fputs("\n\n", stdout);
		text += len + (text[len] == '\n');
	}
}

static void put_section(const char *title, const char *text)
{
	printf("## %s\n\n", title);
	put_paragraphs(text);
}

/* ---- The lesson ------------------------------------------------------------------------- */

struct handout {
	const struct lesson *l;
	size_t run, stop;
	unsigned int steps;
	char *was;			/* the map at the stop before */
	struct state_summary last;
	bool have_last;
};

static void put_stop(struct handout *h, const struct lesson_stop *s, const struct event *ev,
		     struct state *st)
{
	char title[80], changes[900];
	uint64_t blocks;
	char *now = facts_map(st, &blocks);

	printf("## %s\n\n", stop_title(h->l, s, title, sizeof(title)));
	put_paragraphs(s->text);
	if (ev->state) {
		if (h->have_last &&
		    *state_changes(&h->last, ev->state, changes, sizeof(changes))) {
			fputs("Since then changed: ", stdout);
			put(changes);
			fputs("\n\n", stdout);
		}
		h->last = *ev->state;
		h->have_last = true;
		stop_map(s, ev->state, st, h->was, now, "```\n");
		putchar('\n');
	}
	free(h->was);
	h->was = now;
}

static void put_event(void *ctx, const struct event *ev, struct state *st)
{
	struct handout *h = ctx;
	uint64_t blocks;

	if (ev->type == EVENT_START && !h->was)
		h->was = facts_map(st, &blocks);
	if (ev->type == EVENT_STEP || ev->type == EVENT_END)
		while (h->stop < h->l->nr_stops &&
		       place_is(&h->l->stop[h->stop].at, h->run, h->steps, ev->type == EVENT_END))
			put_stop(h, &h->l->stop[h->stop++], ev, st);
	if (ev->type == EVENT_STEP) {
		h->steps = ev->number;
		printf("*Step %u.* ", ev->number);
		put(ev->text);
		fputs("\n\n", stdout);
	}
}

/* fn hears all of a run's recording; facts, if there are any, gather it. */
static bool read_run(const struct lesson *l, size_t run, const char *folder,
		     void (*fn)(void *ctx, const struct event *ev, struct state *st), void *ctx,
		     struct facts *facts, char *why, size_t size)
{
	char path[PATH_MAX], what[300] = "out of memory";
	struct recording *rec;
	bool good;
	int err;

	lesson_recording(l, run, folder, path, sizeof(path));
	err = recording_read(path, &rec, what, sizeof(what));
	good = !err && (!fn || each_event(rec, fn, ctx)) &&
	       (!facts || facts_recording(facts, run, rec));
	if (!good)
		snprintf(why, size, "%s: %s", path, what);
	recording_free(rec);
	return good;
}

static void put_machine(const struct lesson_run *run)
{
	printf("    scripts/vm --interactive%s%s -- tagscope run --ui %s\n",
	       *run->machine ? " " : "", run->machine, run->command);
}

static bool put_lesson(const struct lesson *l, const char *folder, char *why, size_t size)
{
	bool good = true;

	printf("# Lesson %u: ", l->number);
	put(l->title);
	printf("\n\nAbout %u minutes. On any computer:\n\n    tagscope lesson %u\n\n"
	       "What it shows, live in the emulated machine:\n\n", l->minutes, l->number);
	for (size_t i = 0; i < l->nr_runs; i++)
		put_machine(&l->run[i]);
	putchar('\n');
	put_section("What you know", l->know);
	put_section("What to watch", l->watch);
	for (size_t run = 0; run < l->nr_runs && good; run++) {
		struct handout h = { .l = l, .run = run, .stop = lesson_first_stop(l, run) };

		if (l->nr_runs > 1) {
			printf("## Run %zu: ", run + 1);
			put(l->run[run].command);
			fputs("\n\n", stdout);
		}
		good = read_run(l, run, folder, put_event, &h, NULL, why, size);
		free(h.was);
	}
	put_section("Question", l->question.text);
	for (size_t i = 0; i < l->question.nr_options; i++) {
		printf("%zu. ", i + 1);
		put(l->question.option[i].text);
		putchar('\n');
	}
	return good;
}

static bool put_answer(const struct lesson *l, const char *folder, char *why, size_t size)
{
	struct facts *f = facts_new(l);
	char right[40], what[300];
	bool good = f;

	snprintf(why, size, "out of memory");
	for (size_t run = 0; run < l->nr_runs && good; run++)
		good = read_run(l, run, folder, NULL, NULL, f, why, size);
	if (good && !answer_right(f, right, sizeof(right), what, sizeof(what))) {
		snprintf(why, size, "%s: %s", l->name, what);
		good = false;
	}
	facts_free(f);
	if (!good)
		return false;
	fputs("## Answer\n\n", stdout);
	put(right);
	fputs(l->question.ask == ASK_ANY_BLOCK ? ", or any other block in that state\\. " : "\\. ",
	      stdout);
	fputs("In a live run it may be another\\.\n\n", stdout);
	put_section("Why", l->right);
	put_section("Read next", l->next);
	return true;
}

bool handout_print(const struct lesson *l, const char *folder, enum handout_part part, char *why,
		   size_t size)
{
	switch (part) {
	case HANDOUT_ANSWER:
		return put_answer(l, folder, why, size);
	case HANDOUT_NOTES:
		put_section("For the instructor", l->instructor);
		fputs("What to say when nobody finds the answer: ", stdout);
		put(l->question.hint);
		putchar('\n');
		return true;
	default:
		return put_lesson(l, folder, why, size);
	}
}
