// SPDX-License-Identifier: GPL-2.0-only
/* tagscope doctor */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "commands/command.h"
#include "output/format.h"
#include "run/registry.h"
#include "scenario/confine.h"
#include "scenario/needs.h"

static const char help[] =
	"Usage: tagscope doctor [--color WHEN]\n\n"
	"Looks at what scenarios need, says what is there, and what to do about what is not.\n"
	"A 'fail' is what hardly anything can run without, a 'warn' what some need.\n\n"
	"  --color WHEN  auto, always or never\n"
	"  --help        this text\n\n"
	"Exit status: 0 nothing failed (there may be warnings), 3 something did.\n\n"
	"Example:\n"
	"  tagscope doctor\n";

enum grade { GRADE_OK, GRADE_WARN, GRADE_FAIL };

struct exam {
	bool color;
	unsigned int count[3];
};

static void line(struct exam *x, enum grade g, const char *what, const char *text,
		 const char *cure)
{
	static const char *const words[] = { "ok", "warn", "fail" };
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };

	x->count[g]++;
	printf("%s%-4s%s  %-16s %s\n", x->color ? colors[g] : "", words[g],
	       x->color ? "\033[0m" : "", what, text);
	if (cure && g != GRADE_OK)
		printf("      %-16s -> %s\n", "", cure);
}

static void verdict(struct exam *x, bool ok, enum grade otherwise, const char *what,
		    const char *good, const char *why, const char *cure)
{
	line(x, ok ? GRADE_OK : otherwise, what, ok ? good : why, cure);
}

static void look_at_machine(struct exam *x)
{
	struct utsname u;
	char text[512];

	if (uname(&u)) {
		line(x, GRADE_FAIL, "machine", strerror(errno), NULL);
		return;
	}
	snprintf(text, sizeof(text), "%s %s, %s", u.sysname, u.release, u.machine);
	verdict(x, !strcmp(u.machine, "aarch64"), GRADE_FAIL, "machine", text, text,
		"scenarios need arm64: a board, or the emulated machine: scripts/vm -- tagscope doctor");
	verdict(x, mte_supported(), GRADE_FAIL, "MTE", "programs can use it (HWCAP2_MTE)",
		"not offered to programs (no HWCAP2_MTE)",
		"a processor with FEAT_MTE2, CONFIG_ARM64_MTE, and no arm64.nomte");
	verdict(x, geteuid() == 0, GRADE_FAIL, "root", "yes", "no",
		"the state of tag storage is root's: use sudo");
}

static void look_at_storage(struct exam *x)
{
	struct state_summary s;
	struct statfs fs;
	struct state *st;
	char why[1024], text[1024];
	bool debugfs;
	int err;

	debugfs = !statfs("/sys/kernel/debug", &fs) && fs.f_type == DEBUGFS_MAGIC;
	verdict(x, debugfs, GRADE_FAIL, "debugfs", "mounted", "not mounted",
		"mount -t debugfs debugfs /sys/kernel/debug");
	err = state_open(&st);
	if (!err)
		err = state_read_summary(st, &s);
	if (err) {
		/* Without these two nobody can tell what kernel it is. */
		line(x, GRADE_FAIL, "kernel", state_error(st),
		     geteuid() ? "be root" : !debugfs ? "mount debugfs" :
		     "boot a kernel with the series: on a board that of scripts/package kernel, in the machine scripts/vm --kernel patched");
		state_close(st);
		return;
	}
	state_close(st);
	line(x, GRADE_OK, "kernel", "has tag storage support, interface version 1", NULL);
	if (!strcmp(s.policy, "off")) {
		snprintf(text, sizeof(text), "off, because: %s", s.reason);
		line(x, GRADE_FAIL, "policy", text,
		     !strcmp(s.reason, "cmdline") ? "boot with mte_tag_storage=cma" :
		     !strcmp(s.reason, "no-node") ?
		     "the device tree must name the tag storage "
		     "(arm,mte-tag-storage.yaml of the series); scripts/vm does so" :
		     "dmesg | grep mte_tag_storage says more");
	} else {
		snprintf(text, sizeof(text),
			 "%s: %" PRIu64 " blocks of %" PRIu64 " page(s), %" PRIu64 " hold tags",
			 s.policy, s.blocks, s.block_pages, s.blocks_reserved + s.blocks_permanent);
		line(x, GRADE_OK, "policy", text, NULL);
		verdict(x, have_dram_tags(why, sizeof(why)), GRADE_WARN, "tags in DRAM",
			"yes: tags set by a program were found where the device tree says", why,
			"scripts/vm --tag-storage dram");
	}
	for (const char *const *name = state_switches; *name && !state_open(&st); name++) {
		uint64_t value;

		err = state_switch_get(st, *name, &value);
		snprintf(text, sizeof(text), "%s = %" PRIu64, *name, err ? 0 : value);
		verdict(x, !err && (value || !strcmp(*name, "fault_wait_ms")), GRADE_WARN, "switch",
			text, err ? state_error(st) : text,
			err ? NULL : "a mitigation is off: write 1 to it below switches/");
		state_close(st);
	}
}

static void denied(const char *name)
{
	_exit(strcmp(name, "getcwd") ? 1 : 42);
}

/*
 * Whether a filter takes effect: one that lets getcwd() through would do nothing. In a
 * child, as it cannot be taken off again.
 */
static bool seccomp_works(char *why, size_t size)
{
	static const char *const *const lists[] = { confine_role_base };
	char reason[256], dir[64];
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(why, size, "cannot try it");
	if (pipe(pipes))
		return false;
	pid = fork();
	if (pid < 0)
		return false;
	if (!pid) {
		if (confine(lists, 1, denied, reason, sizeof(reason)))
			_exit(getcwd(dir, sizeof(dir)) ? 2 : 3);
		n = write(pipes[1], reason, strlen(reason));
		_exit(n < 0);
	}
	close(pipes[1]);
	n = read(pipes[0], reason, sizeof(reason) - 1);
	close(pipes[0]);
	if (n > 0)
		snprintf(why, size, "%.*s", (int)n, reason);
	else
		snprintf(why, size, "a filter has no effect");
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

static void look_at_facilities(struct exam *x)
{
	static const char some[] = "some scenarios are skipped without it";
	char why[1024];

	verdict(x, have_swap(false, why, sizeof(why)), GRADE_WARN, "swap", "on", why, some);
	verdict(x, have_fuse(why, sizeof(why)), GRADE_WARN, "FUSE", "can be used", why, some);
	verdict(x, have_io_uring(why, sizeof(why)), GRADE_WARN, "io_uring", "can be used", why,
		some);
	verdict(x, have_uffd(why, sizeof(why)), GRADE_WARN, "userfaultfd", "can be used", why,
		some);
	verdict(x, have_kvm(why, sizeof(why)), GRADE_WARN, "KVM", "can be used", why, some);
	fflush(stdout);
	verdict(x, seccomp_works(why, sizeof(why)), GRADE_FAIL, "seccomp",
		"filters work: adversaries can be confined", why,
		"a kernel with CONFIG_SECCOMP_FILTER");
}

static int doctor_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "color", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct exam x = { .color = color_wanted(stdout) };
	unsigned int can = 0, all = 0;
	char why[1024];
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt != 'c')
			return bad_option(cmd, opt, argv);
		if (!strcmp(optarg, "always") || !strcmp(optarg, "never"))
			x.color = !strcmp(optarg, "always");
		else if (strcmp(optarg, "auto"))
			return usage_error(cmd, "--color is auto, always or never, not '%s'",
					   optarg);
	}
	if (optind < argc)
		return usage_error(cmd, "unknown argument '%s'", argv[optind]);
	look_at_machine(&x);
	look_at_storage(&x);
	look_at_facilities(&x);
	for (const struct scenario *const *s = scenarios(); *s; s++) {
		enum verdict v;

		all++;
		can += needs_met(*s, &v, why, sizeof(why));
	}
	printf("\n%u ok, %u warnings, %u failures; %u of %u scenarios can run here\n",
	       x.count[GRADE_OK], x.count[GRADE_WARN], x.count[GRADE_FAIL], can, all);
	return flushed(cmd, x.count[GRADE_FAIL] ? EXIT_NOT_HERE : EXIT_OK);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "say what works here, and what to do about what does not",
	.help = help,
	.run = doctor_run,
};
