// SPDX-License-Identifier: GPL-2.0-only
/* tagscope lesson */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "base/suggest.h"
#include "base/text.h"
#include "commands/batch.h"
#include "commands/handout.h"
#include "lesson/done.h"
#include "lesson/facts.h"
#include "run/registry.h"
#include "scenario/needs.h"
#include "ui/live.h"
#include "ui/replay.h"
#include "ui/ui.h"

static const char help[] =
	"Usage: tagscope lesson [options] [NUMBER|NAME]\n\n"
	"Without a lesson: lists them, and which you have done. With one: goes through it, live\n"
	"where its scenarios can run, else from the recordings that come with it, on any computer.\n"
	"On a terminal that is the UI, beside the map; SPACE goes on. At the end is a question,\n"
	"whose answer is on the screen.\n\n"
	"  --plain           as text; answers are read from standard input, a line each\n"
	"  --recording       from its recordings, also where the scenarios can run\n"
	"  --class           neither show nor keep what you have done\n"
	"  --print           print all of the lesson, with the note for the instructor; run nothing\n"
	"  --markdown PART   print a part as Markdown, for handouts; run nothing: lesson (with maps\n"
	"                    from its recordings), answer, or notes (for the instructor)\n"
	"  --commands        print the commands that make the recordings; run nothing\n"
	"  --check           whether each lesson fits its recordings, and its answer: a line each\n"
	"  --color WHEN      auto, always or never; NO_COLOR in the environment is heeded\n"
	LOOK_HELP
	"  --help            this text\n\n"
	"What you have done is kept in XDG_STATE_HOME/tagscope/lessons (~/.local/state). Lessons are\n"
	"in TAGSCOPE_LESSONS, or where tagscope was installed, or in docs/lessons of its checkout.\n"
	"Exit status: 0 the answer was right, 1 it was wrong or the scenario failed, 2 wrong usage,\n"
	"3 error, 4 there was no answer.\n\n"
	"Examples:\n"
	"  tagscope lesson\n"
	"  tagscope lesson 3\n"
	"  tagscope lesson --print 9\n";

/* A lesson that is gone through. */
struct taking {
	const struct command *cmd;
	const struct lesson *l;
	const char *folder;
	struct facts *facts;
	bool recording, class, plain;
	bool failed;			/* a scenario did, live and as text */
	enum handout_part part;
	/* Of the run that goes on: */
	size_t run;
	struct recording *rec;		/* NULL: it is live */
	struct run_params params;
	struct state *st;		/* live */
	char why[1200];			/* it is not live; "" */
	/* As text: */
	size_t stop;
	unsigned int steps;
	char *was;			/* the map at the stop before */
	struct state_summary last;
	bool have_last;
};

/* ---- Where a run of it comes from ------------------------------------------------------- */

/* Its scenario and parameters. EXIT_OK, or an exit status with a message given. */
static int parse_command(struct taking *t, const char *command, struct run_params *params)
{
	char *copy = strdup(command), *rest = copy, *word;
	const struct scenario *s;
	int status = EXIT_OK;
	char why[800];

	if (!copy)
		return problem(t->cmd, EXIT_NOT_HERE, "out of memory");
	word = strsep(&rest, " ");
	s = scenario_find(word);
	if (!s)
		status = problem(t->cmd, EXIT_NOT_HERE, "lesson %s: there is no scenario '%s'",
				 t->l->name, word);
	else if (!run_params_init(params, s))
		status = problem(t->cmd, EXIT_NOT_HERE, "out of memory");
	while (!status && rest) {
		word = strsep(&rest, " ");
		if (*word && !run_params_set(params, word, why, sizeof(why))) {
			status = problem(t->cmd, EXIT_NOT_HERE, "lesson %s: %s", t->l->name, why);
			run_params_free(params);
		}
	}
	free(copy);
	return status;
}

/* Whether it can run here: else the reason in why. */
static bool can_run(const struct lesson_run *run, const struct run_params *params, char *why,
		    size_t size)
{
	const char *policy = strstr(run->machine, "--policy ");
	enum verdict v;
	char wanted[32] = "cma";

	if (policy)
		sscanf(policy, "--policy %31s", wanted);
	return needs_met(params->scenario, &v, why, size) && have_policy(wanted, why, size);
}

static int open_recording(struct taking *t)
{
	char path[PATH_MAX], why[300];
	int err;

	lesson_recording(t->l, t->run, t->folder, path, sizeof(path));
	err = recording_read(path, &t->rec, why, sizeof(why));
	if (!t->rec)
		return problem(t->cmd, EXIT_NOT_HERE, "%s: %s%s%s", path, why,
			       *t->why ? "; live it cannot be: " : "", t->why);
	if (err)
		problem(t->cmd, 0, "%s: %s; what comes before it is shown", path, why);
	/* As text each event is shown when it is taken in. */
	if (!t->plain && !facts_recording(t->facts, t->run, t->rec))
		return problem(t->cmd, EXIT_NOT_HERE, "out of memory");
	return EXIT_OK;
}

/* Live if it can be, else its recording. */
static int open_run(struct taking *t)
{
	int status = parse_command(t, t->l->run[t->run].command, &t->params);

	if (status)
		return status;
	*t->why = '\0';
	if (!t->recording && can_run(&t->l->run[t->run], &t->params, t->why, sizeof(t->why))) {
		if (!state_open(&t->st))
			return EXIT_OK;
		snprintf(t->why, sizeof(t->why), "%s", state_error(t->st));
	}
	return open_recording(t);
}

static void close_run(struct taking *t)
{
	run_params_free(&t->params);
	state_close(t->st);
	recording_free(t->rec);
	free(t->was);
	t->st = NULL;
	t->rec = NULL;
	t->was = NULL;
}

static struct run_options live_options(const struct taking *t)
{
	/* A lesson is the same for all. */
	return (struct run_options){ .params = &t->params, .seed = t->l->number };
}

/* ---- As text ---------------------------------------------------------------------------- */

/* As text_wrap(), with something before it. */
static void wrap(const char *before, const char *text)
{
	char *all;

	if (asprintf(&all, "%s%s", before, text) < 0)
		return;
	text_wrap(stdout, all, 0);
	free(all);
}

static void paragraphs(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *one = strndup(text, len);

		if (one)
			text_wrap(stdout, one, 0);
		free(one);
		text += len + (text[len] == '\n');
		if (*text)
			putchar('\n');
	}
}

static void section(const char *title, const char *text)
{
	printf("\n== %s ==\n", title);
	paragraphs(text);
}

static void plain_stop(struct taking *t, const struct lesson_stop *s, const struct event *ev,
		       struct state *st)
{
	char title[80], changes[900];
	uint64_t blocks;
	char *map = facts_map(st, &blocks);

	printf("\n-- %s --\n", stop_title(t->l, s, title, sizeof(title)));
	paragraphs(s->text);
	if (ev->state) {
		if (t->have_last &&
		    *state_changes(&t->last, ev->state, changes, sizeof(changes)))
			wrap("Since then changed: ", changes);
		t->last = *ev->state;
		t->have_last = true;
		stop_map(s, ev->state, st, t->was, map, "");
	}
	free(t->was);
	t->was = map;
}

static void plain_event(struct taking *t, const struct event *ev, struct state *st)
{
	char before[40], value[40];
	uint64_t blocks;

	if (ev->type == EVENT_START && !t->was)
		t->was = facts_map(st, &blocks);
	if (ev->type == EVENT_STEP || ev->type == EVENT_END)
		while (t->stop < t->l->nr_stops &&
		       place_is(&t->l->stop[t->stop].at, t->run, t->steps, ev->type == EVENT_END))
			plain_stop(t, &t->l->stop[t->stop++], ev, st);
	if (ev->type == EVENT_STEP) {
		t->steps = ev->number;
		snprintf(before, sizeof(before), "Step %u. ", ev->number);
		putchar('\n');
		wrap(before, ev->text);
	} else if (ev->type == EVENT_RESULT && !ev->ok) {
		printf("FAILED: %s: %s\n", ev->text, ev->detail ? ev->detail : "");
	} else if (ev->type == EVENT_NOTE) {
		printf("  %s\n", ev->text);
	} else if (ev->type == EVENT_MEASURE) {
		printf("  %s%s%s = %s %s\n", ev->role, *ev->role ? "." : "", ev->text,
		       format_value(ev->value, value, sizeof(value)), ev->unit);
	}
	if (ev->type == EVENT_END && ev->end->verdict != VERDICT_PASS) {
		printf("The scenario ended: %s %s\n", verdict_name(ev->end->verdict),
		       ev->end->reason);
		t->failed |= !t->rec;
	}
	fflush(stdout);
}

static void take_event(void *ctx, const struct event *ev, struct state *st)
{
	struct taking *t = ctx;

	facts_event(t->facts, t->run, ev, st);
	if (t->plain)
		plain_event(t, ev, st);
}

/* Of a live run, in step mode: the machine stands while this looks. */
static void live_event(void *ctx, const struct event *ev)
{
	struct taking *t = ctx;

	take_event(t, ev, t->st);
}

static void no_wait(void *ctx)
{
	(void)ctx;
}

static int plain_run(struct taking *t)
{
	struct run_options opt = live_options(t);

	if (t->l->nr_runs > 1)
		printf("\n== Run %zu: %s ==\n", t->run + 1, t->l->run[t->run].command);
	if (t->rec) {
		putchar('\n');
		wrap("From its recording: ", t->recording ? "as asked for" : t->why);
	}
	t->stop = lesson_first_stop(t->l, t->run);
	t->steps = 0;
	t->have_last = false;
	if (t->rec)
		return each_event(t->rec, take_event, t) ? EXIT_OK :
		       problem(t->cmd, EXIT_NOT_HERE, "out of memory");
	opt.step_mode = true;
	run_to_end(&opt, live_event, no_wait, t);
	return EXIT_OK;
}

static void plain_question(const struct lesson *l)
{
	section("Question", l->question.text);
	for (size_t i = 0; i < l->question.nr_options; i++)
		printf("  %zu  %s\n", i + 1, l->question.option[i].text);
}

static int status_of(enum answer answer)
{
	return answer == ANSWER_RIGHT ? EXIT_OK :
	       answer == ANSWER_WRONG ? EXIT_FAILED : EXIT_SKIPPED;
}

static int plain_answer(struct taking *t)
{
	enum answer answer = ANSWER_NONE;
	char line[200], why[300];

	plain_question(t->l);
	while (answer != ANSWER_RIGHT) {
		printf("Your answer (%s): ", answer_kind(t->l));
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin)) {
			putchar('\n');
			break;
		}
		line[strcspn(line, "\n")] = '\0';
		text_clean(line);
		if (!isatty(STDIN_FILENO))
			puts(line);
		switch (answer_check(t->facts, line, why, sizeof(why))) {
		case ANSWER_RIGHT:
			puts("Right.");
			answer = ANSWER_RIGHT;
			break;
		case ANSWER_WRONG:
			wrap("Not right. ", t->l->question.hint);
			answer = ANSWER_WRONG;
			break;
		case ANSWER_NONE:
			printf("%s\n", why);
			break;
		}
	}
	if (answer == ANSWER_RIGHT) {
		section("Why", t->l->right);
		section("Read next", t->l->next);
	}
	return status_of(answer);
}

static int take_plain(struct taking *t)
{
	int status = EXIT_OK;

	printf("Lesson %u: %s (about %u minutes)\n", t->l->number, t->l->title, t->l->minutes);
	section("What you know", t->l->know);
	section("What to watch", t->l->watch);
	for (t->run = 0; t->run < t->l->nr_runs && !status; t->run++) {
		status = open_run(t);
		if (!status)
			status = plain_run(t);
		close_run(t);
	}
	return status ? status : plain_answer(t);
}

/* ---- In the UI -------------------------------------------------------------------------- */

static int ui_run(struct taking *t, struct ui_lesson *tutor, bool color)
{
	struct run_options opt = live_options(t);
	struct ui_options ui = { .interval_ms = 100, .color = color, .lesson = tutor };
	struct session_source *live = NULL;
	int status;

	tutor->run = t->run;
	tutor->from = t->rec ? t->recording ? "as asked for" : t->why : NULL;
	if (t->rec) {
		ui.replay = replay_new(t->rec, 1);
		if (ui.replay)
			ui.runs = replay_runs(ui.replay, &ui.nr_runs);
	} else {
		ui.tee = (struct session_tee){ live_event, t };
		live = live_new(&opt);
		ui.runs = &live;
		ui.nr_runs = live != NULL;
	}
	if (!ui.nr_runs)
		status = problem(t->cmd, EXIT_NOT_HERE, "%s",
				 t->rec ? "nothing was run in its recording" : "out of memory");
	else
		status = ui_main(&ui);
	replay_free(ui.replay);
	live_free(live);
	return status;
}

static int take_in_ui(struct taking *t, bool color)
{
	struct ui_lesson tutor = { .l = t->l, .facts = t->facts, .answer = ANSWER_NONE };
	int status = EXIT_OK;

	for (t->run = 0; t->run < t->l->nr_runs && !status; t->run++) {
		tutor.next_run = tutor.shown = false;
		status = open_run(t);
		if (!status)
			status = ui_run(t, &tutor, color);
		close_run(t);
		/* How a run that somebody left early ended says nothing. */
		if (tutor.shown && status <= VERDICT_SKIP)
			status = EXIT_OK;
		if (!tutor.next_run)
			break;
	}
	if (status)
		return status;
	return status_of(tutor.answer);
}

/* ---- The command ------------------------------------------------------------------------ */

static int list_lessons(const struct command *cmd, struct lesson *const *l, size_t n, bool class)
{
	size_t done = 0;

	for (size_t i = 0; i < n; i++) {
		bool has = !class && done_has(l[i]->name);

		done += has;
		printf("%2u  %-52s %2u min%s\n", l[i]->number, l[i]->title, l[i]->minutes,
		       has ? "  done" : "");
	}
	if (!class)
		printf("%zu of %zu done\n", done, n);
	printf("To begin with: tagscope lesson %u\n", l[0]->number);
	return flushed(cmd, EXIT_OK);
}

static void print_lesson(const struct lesson *l)
{
	char title[80];

	printf("Lesson %u: %s (about %u minutes)\n", l->number, l->title, l->minutes);
	for (size_t i = 0; i < l->nr_runs; i++)
		printf("Run: scripts/vm%s%s -- tagscope run %s\n", *l->run[i].machine ? " " : "",
		       l->run[i].machine, l->run[i].command);
	section("What you know", l->know);
	section("What to watch", l->watch);
	for (size_t i = 0; i < l->nr_stops; i++)
		section(stop_title(l, &l->stop[i], title, sizeof(title)), l->stop[i].text);
	plain_question(l);
	section("Why", l->right);
	section("Read next", l->next);
	section("For the instructor", l->instructor);
}

/* What scripts/lessons does; FILE is beside the lesson. */
static void print_commands(const struct lesson *l)
{
	char file[PATH_MAX];

	for (size_t i = 0; i < l->nr_runs; i++)
		printf("scripts/vm --record %s%s%s -- tagscope run --seed %u %s\n",
		       lesson_recording(l, i, "docs/lessons", file, sizeof(file)),
		       *l->run[i].machine ? " " : "", l->run[i].machine, l->number,
		       l->run[i].command);
}

static bool check_lesson(const struct lesson *l, const char *folder)
{
	struct recording *rec[LESSON_RUNS] = { NULL };
	char path[PATH_MAX], why[400], command[1100], what[300];
	bool fits = true;
	size_t i;

	for (i = 0; i < l->nr_runs && fits; i++) {
		int err = recording_read(lesson_recording(l, i, folder, path, sizeof(path)),
					 &rec[i], what, sizeof(what));

		fits = !err;
		if (err) {
			snprintf(why, sizeof(why), "%.200s: %.180s", strrchr(path, '/') + 1, what);
			break;
		}
		/* It may be of a lesson that was another then. */
		snprintf(command, sizeof(command), "run --seed %u %s", l->number,
			 l->run[i].command);
		if (strcmp(command, rec[i]->command)) {
			snprintf(why, sizeof(why), "it is of '%.150s', not of '%.150s'",
				 rec[i]->command, command);
			fits = false;
		}
	}
	if (fits)
		fits = lesson_fits(l, (const struct recording *const *)rec, why, sizeof(why));
	printf("%s %u - %s: %s%s\n", fits ? "ok" : "not ok", l->number, l->name,
	       fits ? "the answer is " : "", why);
	for (i = 0; i < LESSON_RUNS; i++)
		recording_free(rec[i]);
	return fits;
}

static const char *lesson_name_at(void *list, size_t i)
{
	struct lesson *const *l = list;

	return l[i] ? l[i]->name : NULL;
}

/* A number, a name, or its part behind the number. */
static const struct lesson *find_lesson(struct lesson *const *l, size_t n, const char *text)
{
	uint64_t number;

	for (size_t i = 0; i < n; i++)
		if ((parse_u64(text, false, &number) && number == l[i]->number) ||
		    !strcmp(text, l[i]->name) || !strcmp(text, l[i]->name + 3))
			return l[i];
	return NULL;
}

static int take_lesson(struct taking *t, bool color)
{
	char path[PATH_MAX];
	int status, err;

	t->facts = facts_new(t->l);
	if (!t->facts)
		return problem(t->cmd, EXIT_NOT_HERE, "out of memory");
	t->plain |= !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
	status = t->plain ? take_plain(t) : take_in_ui(t, color);
	if (status == EXIT_OK && !t->class) {
		err = done_add(t->l->name);
		if (err)
			problem(t->cmd, 0, "that you have done it cannot be kept%s%s: %s",
				*done_path(path, sizeof(path)) ? " in " : "", path,
				*path ? strerror(-err) : "neither XDG_STATE_HOME nor HOME is set");
	}
	if (status == EXIT_OK && t->failed)
		status = EXIT_FAILED;
	facts_free(t->facts);
	return t->plain ? flushed(t->cmd, status) : status;
}

enum mode { MODE_TAKE, MODE_PRINT, MODE_MARKDOWN, MODE_COMMANDS, MODE_CHECK };

static int do_lessons(struct taking *t, struct lesson *const *l, size_t n, const char *wanted,
		      enum mode mode, bool color)
{
	char near[600], why[PATH_MAX + 400];
	bool good = true;

	if (wanted) {
		t->l = find_lesson(l, n, wanted);
		if (!t->l)
			return usage_error(t->cmd, "there is no lesson '%s'%s", wanted,
					   suggest_text(wanted, lesson_name_at,
							(void *)(uintptr_t)l, near, sizeof(near)));
	}
	if (mode == MODE_TAKE)
		return t->l ? take_lesson(t, color) : list_lessons(t->cmd, l, n, t->class);
	for (size_t i = 0, said = 0; i < n; i++) {
		if (t->l && t->l != l[i])
			continue;
		if (mode == MODE_CHECK)
			good &= check_lesson(l[i], t->folder);
		else if (mode == MODE_COMMANDS)
			print_commands(l[i]);
		else if (mode == MODE_MARKDOWN &&
			 !handout_print(l[i], t->folder, t->part, why, sizeof(why)))
			return problem(t->cmd, EXIT_NOT_HERE, "%s", why);
		else if (mode == MODE_MARKDOWN)
			putchar('\n');
		else
			print_lesson(l[i]);
		if (mode == MODE_PRINT && !t->l && ++said < n)
			printf("\n\n");
	}
	return flushed(t->cmd, good ? EXIT_OK : EXIT_FAILED);
}

static bool find_part(const char *name, enum handout_part *part)
{
	for (int i = 0; i < NR_HANDOUT_PARTS; i++) {
		*part = (enum handout_part)i;
		if (!strcmp(handout_parts[i], name))
			return true;
	}
	return false;
}

static int lesson_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "plain", no_argument, NULL, 'p' },
		{ "recording", no_argument, NULL, 'r' },
		{ "class", no_argument, NULL, 'C' },
		{ "print", no_argument, NULL, 'P' },
		{ "markdown", required_argument, NULL, 'M' },
		{ "commands", no_argument, NULL, 'm' },
		{ "check", no_argument, NULL, 'k' },
		{ "color", required_argument, NULL, 'c' },
		LOOK_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct taking t = { .cmd = cmd };
	struct batch ex = { .format = NULL };
	enum mode mode = MODE_TAKE;
	char folder[PATH_MAX], why[PATH_MAX + 400];
	struct lesson **l;
	int opt, status;
	size_t n;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			t.plain = true;
			break;
		case 'r':
			t.recording = true;
			break;
		case 'C':
			t.class = true;
			break;
		case 'P':
			mode = MODE_PRINT;
			break;
		case 'M':
			mode = MODE_MARKDOWN;
			if (!find_part(optarg, &t.part))
				return usage_error(cmd, "--markdown wants lesson, answer or notes, not '%s'",
						   optarg);
			break;
		case 'm':
			mode = MODE_COMMANDS;
			break;
		case 'k':
			mode = MODE_CHECK;
			break;
		default:
			status = batch_option(&ex, cmd, opt, optarg);
			if (status < 0)
				return bad_option(cmd, opt, argv);
			if (status)
				return status;
		}
	}
	if (optind + 1 < argc)
		return usage_error(cmd, "one lesson at a time");
	if (!lesson_folder(folder, sizeof(folder)))
		return problem(cmd, EXIT_NOT_HERE, "no lessons are %s%s; they come with tagscope, "
			       "or set TAGSCOPE_LESSONS to a folder with them",
			       getenv("TAGSCOPE_LESSONS") ? "in " : "installed",
			       getenv("TAGSCOPE_LESSONS") ? getenv("TAGSCOPE_LESSONS") : "");
	if (lessons_read(folder, &l, &n, why, sizeof(why)))
		return problem(cmd, EXIT_NOT_HERE, "%s", why);
	t.folder = folder;
	status = do_lessons(&t, l, n, argv[optind], mode, batch_color(&ex, stdout));
	lessons_free(l, n);
	return status;
}

const struct command cmd_lesson = {
	.name = "lesson",
	.summary = "lessons, live or from recordings",
	.help = help,
	.run = lesson_run,
};
