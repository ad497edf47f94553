// SPDX-License-Identifier: GPL-2.0-only
/* tagscope fuzz */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "commands/command.h"
#include "fuzz/fuzz.h"
#include "scenario/mte.h"

#define ROUND_OPS 250
#define HANG_S 120

static const char help[] =
	"Usage: tagscope fuzz [options]\n\n"
	"Makes random sequences of memory calls, in several processes at once, and compares data\n"
	"and tags of each page with a model. A wrong byte or tag, a signal or result that the model\n"
	"does not expect, a process that ends or hangs and a complaint of the kernel are findings.\n"
	"A finding ends the run; it is printed as a program in C that takes the same steps. Root only.\n\n"
	"  --seed N        the sequence depends on this number and the next three alone; the first\n"
	"                  line tells it\n"
	"  --ops N         operations of each process, in rounds of 250 (default 2000)\n"
	"  --processes N   how many at once, 1 to 8 (default 2); each has children of its own\n"
	"  --calls LIST    only these calls: mmap,store,fork; or all but some: -io-uring,-uffd\n"
	"  --time SECONDS  as many rounds as begin within this time, instead of --ops\n"
	"  --pressure      with memory full of page cache, and pages of it held by pipes\n"
	"  --minimise      shorten what showed the finding\n"
	"  --output FILE   write the program there instead of to stdout\n"
	"  --replay FILE   run the sequence in FILE, which may be such a program\n"
	"  --json          tell the outcome as JSON\n"
	"  --list-calls    the calls, and what each does; run nothing\n"
	"  --help          this text\n\n"
	"Exit status: 0 no finding, 1 a finding, 2 wrong usage, 3 it could not run.\n\n"
	"Examples:\n"
	"  tagscope fuzz --seed 1 --ops 500\n"
	"  tagscope fuzz --time 600 --processes 4 --pressure --minimise --output /mnt/share/found.c\n"
	"  tagscope fuzz --replay /mnt/share/found.c\n";

struct fuzz_options {
	uint64_t seed, ops, processes, time_s;
	const char *calls, *output, *replay;
	bool have_seed, pressure, minimise, json;
};

struct fuzz_sum {
	uint64_t rounds, ops, steps;
	uint64_t start;
};

struct shrinking {
	enum fuzz_finding_kind kind;
	unsigned int tries;	/* how often it is run until it shows */
	unsigned int runs;
	struct machine *machine;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = sig;
}

/*
 * Run it, and see what the kernel says. 0 or -errno: it could not be run, and not because the
 * kernel has ended one of the processes.
 */
static int run_once(const struct fuzz_sequence *s, struct machine *m, struct fuzz_result *res)
{
	int err = fuzz_run(s, HANG_S, res);

	if (!machine_complained(m, res->complaint, sizeof(res->complaint)))
		return err;
	res->finding.kind = FINDING_KERNEL;
	return 0;
}

static bool still_shows(void *ctx, const struct fuzz_sequence *s)
{
	struct shrinking *sh = ctx;
	bool shows = false;

	for (unsigned int i = 0; i < sh->tries && !shows && !interrupted; i++) {
		struct fuzz_result res;

		sh->runs++;
		shows = !run_once(s, sh->machine, &res) && res.finding.kind == sh->kind;
		fuzz_result_free(&res);
	}
	return shows;
}

/* How many runs it takes to see it, at most 8; 0: it does not show again. */
static unsigned int tries_needed(struct shrinking *sh, const struct fuzz_sequence *s)
{
	unsigned int shown = 0;

	sh->tries = 1;
	for (int i = 0; i < 8; i++)
		shown += still_shows(sh, s);
	return shown ? (8 + shown - 1) / shown + (shown < 8) : 0;
}

/* Shorten *s; res becomes that of what is left. */
static void minimise(struct fuzz_sequence *s, struct machine *m, struct fuzz_result *res)
{
	struct shrinking sh = { .kind = res->finding.kind, .machine = m };
	size_t before = fuzz_ops(s);

	sh.tries = tries_needed(&sh, s);
	if (!sh.tries) {
		fprintf(stderr, "it did not show again in 8 runs: not shortened\n");
		return;
	}
	fuzz_shrink(s, still_shows, &sh);
	fprintf(stderr, "shortened from %zu to %zu operations in %u runs\n", before, fuzz_ops(s),
		sh.runs);
	for (unsigned int i = 0; i < 8 * sh.tries; i++) {
		struct fuzz_result again;

		if (!run_once(s, m, &again) && again.finding.kind == sh.kind) {
			fuzz_result_free(res);
			*res = again;
			return;
		}
		fuzz_result_free(&again);
	}
}

static void describe(char *buf, size_t size, const struct fuzz_result *res)
{
	const struct fuzz_finding *f = &res->finding;
	const struct call *c = &f->call;

	if (f->kind == FINDING_KERNEL) {
		snprintf(buf, size, "%s", res->complaint);
		return;
	}
	if (f->kind == FINDING_DATA || f->kind == FINDING_TAGS)
		snprintf(buf, size, "offset 0x%" PRIx64 " is 0x%" PRIx64 ", should be 0x%" PRIx64,
			 c->offset, c->bad_got, c->bad_want);
	else
		snprintf(buf, size, "got %d, wanted %d", c->got, c->want[0]);
}

static int tell_json(const struct command *cmd, const struct fuzz_sequence *s,
		     const struct fuzz_result *res, const struct fuzz_sum *sum)
{
	cJSON *o = cJSON_CreateObject(), *f;
	char text[256];

	json_add_u64(o, "seed", s->seed);
	json_add_u64(o, "processes", s->groups);
	json_add_u64(o, "rounds", sum->rounds);
	json_add_u64(o, "operations", sum->ops);
	json_add_u64(o, "steps", sum->steps);
	json_add_u64(o, "ms", (now_ns() - sum->start) / 1000000);
	if (res->finding.kind) {
		f = cJSON_AddObjectToObject(o, "finding");
		describe(text, sizeof(text), res);
		cJSON_AddStringToObject(f, "kind", fuzz_finding_name(res->finding.kind));
		cJSON_AddStringToObject(f, "detail", text);
		json_add_u64(f, "process", res->finding.group);
		json_add_u64(f, "operations", fuzz_ops(s));
	}
	{
		char *all = cJSON_PrintUnformatted(o);

		cJSON_Delete(o);
		if (!all)
			return problem(cmd, EXIT_NOT_HERE, "out of memory");
		puts(all);
		free(all);
	}
	return EXIT_OK;
}

static int tell_finding(const struct command *cmd, const struct fuzz_options *opt,
			const struct fuzz_sequence *s, const struct fuzz_result *res)
{
	char text[256];
	FILE *f = stdout;

	describe(text, sizeof(text), res);
	fprintf(opt->json ? stderr : stdout, "FOUND: seed %" PRIu64 ": %s: process %u, operation %u: %s\n",
		s->seed, fuzz_finding_name(res->finding.kind), res->finding.group, res->finding.op,
		text);
	if (opt->output) {
		f = fopen(opt->output, "we");
		if (!f)
			return problem(cmd, EXIT_NOT_HERE, "%s: %s", opt->output, strerror(errno));
	}
	if (opt->output || !opt->json)
		fuzz_print(f, s, res);
	if (f != stdout && fclose(f))
		return problem(cmd, EXIT_NOT_HERE, "%s: %s", opt->output, strerror(errno));
	return EXIT_OK;
}

/* One sequence. EXIT_OK, EXIT_FAILED: a finding, told; or an error, told. */
static int one_round(const struct command *cmd, const struct fuzz_options *opt,
		     struct fuzz_sequence *s, struct machine *m, struct fuzz_sum *sum)
{
	struct fuzz_result res;
	int status = EXIT_OK, err;

	s->storage_held = opt->pressure;
	machine_log("tagscope fuzz: round %" PRIu64 ": seed %" PRIu64 ", %u processes\n",
		    sum->rounds, s->seed, s->groups);
	err = run_once(s, m, &res);
	if (err) {
		fuzz_result_free(&res);
		return problem(cmd, EXIT_NOT_HERE, "the processes could not be run: %s",
			       strerror(-err));
	}
	sum->rounds++;
	sum->steps += res.steps;
	sum->ops += res.done;
	if (res.finding.kind) {
		if (opt->minimise)
			minimise(s, m, &res);
		status = tell_finding(cmd, opt, s, &res);
		if (!status && opt->json)
			status = tell_json(cmd, s, &res, sum);
		if (!status)
			status = EXIT_FAILED;
	}
	fuzz_result_free(&res);
	return status;
}

static int all_rounds(const struct command *cmd, const struct fuzz_options *opt,
		      const struct fuzz_choice *choice, bool tags, struct machine *m,
		      struct fuzz_sum *sum)
{
	uint64_t rounds = (opt->ops + ROUND_OPS - 1) / ROUND_OPS, told = now_ns();
	int status = EXIT_OK;

	for (uint64_t i = 0; !status && !interrupted; i++) {
		struct fuzz_sequence *s;

		if (opt->time_s ? now_ns() - sum->start > opt->time_s * 1000000000 : i == rounds)
			break;
		s = fuzz_generate(choice, opt->seed + i, (unsigned int)opt->processes,
				  opt->time_s || opt->ops >= ROUND_OPS * (i + 1) ?
					  ROUND_OPS : opt->ops % ROUND_OPS, tags);
		if (!s)
			return problem(cmd, EXIT_NOT_HERE, "out of memory");
		status = one_round(cmd, opt, s, m, sum);
		fuzz_free(s);
		if (now_ns() - told > 20000000000) {
			told = now_ns();
			fprintf(stderr, "seed %" PRIu64 ": %" PRIu64 " rounds, %" PRIu64
				" operations, %" PRIu64 " steps\n", opt->seed + i, sum->rounds,
				sum->ops, sum->steps);
		}
	}
	return status;
}

static int replay(const struct command *cmd, const struct fuzz_options *opt, struct machine *m,
		  struct fuzz_sum *sum)
{
	struct fuzz_sequence *s;
	char why[256];
	FILE *f = fopen(opt->replay, "re");
	int status;

	if (!f)
		return problem(cmd, EXIT_USAGE, "%s: %s", opt->replay, strerror(errno));
	s = fuzz_read(f, why, sizeof(why));
	fclose(f);
	if (!s)
		return problem(cmd, EXIT_USAGE, "%s: %s", opt->replay, why);
	if (s->tags && !mte_supported()) {
		fuzz_free(s);
		return problem(cmd, EXIT_NOT_HERE, "%s needs a machine with MTE", opt->replay);
	}
	status = one_round(cmd, opt, s, m, sum);
	fuzz_free(s);
	return status;
}

/* That it cannot be written is better known now than after hours. Nothing is left there. */
static int try_output(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool made = fd < 0 && errno == ENOENT;

	if (made)
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return made && unlink(path) ? -errno : 0;
}

static int run_all(const struct command *cmd, const struct fuzz_options *opt)
{
	struct fuzz_sum sum = { 0 };
	bool tags = mte_supported();
	struct fuzz_choice choice;
	struct machine *machine;
	char why[1024];
	int status, err;

	if (!fuzz_choose(&choice, opt->calls, tags, why, sizeof(why)))
		return usage_error(cmd, "%s", why);
	err = opt->output ? try_output(opt->output) : 0;
	if (err)
		return problem(cmd, EXIT_NOT_HERE, "cannot write to %s: %s", opt->output,
			       strerror(-err));
	if (geteuid())
		return problem(cmd, EXIT_NOT_HERE, "only root may do all of these calls");
	fprintf(opt->json ? stderr : stdout, "seed %" PRIu64 ", %" PRIu64 " processes, %s tags\n",
		opt->seed, opt->processes, tags ? "with" : "without");
	fflush(NULL);
	machine = machine_prepare();
	if (!machine)
		return problem(cmd, EXIT_NOT_HERE, "out of memory");
	if (opt->pressure && !machine_press(machine, why, sizeof(why))) {
		status = problem(cmd, EXIT_NOT_HERE, "%s", why);
	} else {
		sum.start = now_ns();
		status = opt->replay ? replay(cmd, opt, machine, &sum) :
				       all_rounds(cmd, opt, &choice, tags, machine, &sum);
	}
	machine_restore(machine);
	if (status == EXIT_OK && opt->json) {
		struct fuzz_sequence none = { .seed = opt->seed,
					      .groups = (unsigned int)opt->processes };
		struct fuzz_result nothing = { 0 };

		status = tell_json(cmd, &none, &nothing, &sum);
	} else if (status == EXIT_OK) {
		printf("no finding: %" PRIu64 " rounds, %" PRIu64 " operations, %" PRIu64
		       " steps in %" PRIu64 " s\n", sum.rounds, sum.ops, sum.steps,
		       (now_ns() - sum.start) / 1000000000);
	}
	return interrupted ? 128 + interrupted : flushed(cmd, status);
}

static int list_calls(const struct command *cmd)
{
	for (size_t i = 0; i < fuzz_nr_kinds(); i++)
		printf("  %-15s %s%s\n", fuzz_kinds[i].name, fuzz_kinds[i].what,
		       fuzz_kinds[i].weight ? "" : " (only if asked for)");
	return flushed(cmd, EXIT_OK);
}

static int fuzz_main(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'o' },
		{ "processes", required_argument, NULL, 'p' },
		{ "calls", required_argument, NULL, 'c' },
		{ "time", required_argument, NULL, 't' },
		{ "pressure", no_argument, NULL, 'P' },
		{ "minimise", no_argument, NULL, 'm' },
		{ "output", required_argument, NULL, 'O' },
		{ "replay", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "list-calls", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct fuzz_options o = { .ops = 2000, .processes = 2 };
	struct sigaction sa = { .sa_handler = on_interrupt };
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			if (!parse_u64(optarg, false, &o.seed))
				return usage_error(cmd, "--seed wants a number, not '%s'", optarg);
			o.have_seed = true;
			break;
		case 'o':
			if (!parse_u64(optarg, false, &o.ops) || !o.ops)
				return usage_error(cmd, "--ops wants a number, not '%s'", optarg);
			break;
		case 'p':
			if (!parse_u64(optarg, false, &o.processes) || !o.processes ||
			    o.processes > FUZZ_GROUPS)
				return usage_error(cmd, "--processes is 1 to %d, not '%s'",
						   FUZZ_GROUPS, optarg);
			break;
		case 't':
			if (!parse_u64(optarg, false, &o.time_s) || !o.time_s ||
			    o.time_s > 1000000)
				return usage_error(cmd, "--time wants seconds, not '%s'", optarg);
			break;
		case 'c':
			o.calls = optarg;
			break;
		case 'O':
			o.output = optarg;
			break;
		case 'r':
			o.replay = optarg;
			break;
		case 'P':
			o.pressure = true;
			break;
		case 'm':
			o.minimise = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'l':
			return list_calls(cmd);
		default:
			return bad_option(cmd, opt, argv);
		}
	}
	if (optind < argc)
		return usage_error(cmd, "unknown argument '%s'", argv[optind]);
	if (!o.have_seed)
		o.seed = mix64((uint64_t)time(NULL)) % 1000000;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	return run_all(cmd, &o);
}

const struct command cmd_fuzz = {
	.name = "fuzz",
	.summary = "random memory calls, checked against a model",
	.help = help,
	.run = fuzz_main,
};
