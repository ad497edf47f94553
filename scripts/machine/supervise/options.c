// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scripts/vm tells us.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "supervise.h"

struct options o = { .boot_timeout = 120 };

static double seconds(const char *name, const char *arg)
{
	char *end;
	double d;

	errno = 0;
	d = strtod(arg, &end);
	if (errno || end == arg || *end || !(d >= 0) || d > 1e8)
		die(ST_USAGE, "--%s: '%s' is no number of s", name, arg);
	return d;
}

void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tty", no_argument, NULL, 't' },
		{ "no-tty", no_argument, NULL, 'T' },
		{ "interactive", no_argument, NULL, 'i' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "no-stdin", no_argument, NULL, 'n' },
		{ "no-strict", no_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 'w' },
		{ "fair-timeout", required_argument, NULL, 'W' },
		{ "boot-timeout", required_argument, NULL, 'b' },
		{ "log", required_argument, NULL, 'l' },
		{ "expect", required_argument, NULL, 'x' },
		{ "preload", required_argument, NULL, 'p' },
		{ "policy", required_argument, NULL, 'P' },
		{ "env", required_argument, NULL, 'e' },
		{ "command-words", required_argument, NULL, 'c' },
		{ 0 },
	};
	int opt, words = 0;

	while ((opt = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (opt) {
		case 't':
			o.tty = TTY_YES;
			break;
		case 'T':
			o.tty = TTY_NO;
			break;
		case 'i':
			o.interactive = true;
			break;
		case 'q':
			o.quiet = true;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'n':
			o.no_stdin = true;
			break;
		case 's':
			o.oops_ok = true;
			break;
		case 'w':
			o.timeout = seconds("timeout", optarg);
			o.fair = false;
			break;
		case 'W':
			o.timeout = seconds("fair-timeout", optarg);
			o.fair = true;
			break;
		case 'b':
			o.boot_timeout = seconds("boot-timeout", optarg);
			break;
		case 'l':
			o.log = optarg;
			break;
		case 'x':
			o.expect = optarg;
			break;
		case 'p':
			o.preload = optarg;
			break;
		case 'P':
			o.policy = optarg;
			break;
		case 'e':
			o.env = must_realloc(o.env, sizeof(*o.env) * (o.envc + 1));
			o.env[o.envc++] = optarg;
			break;
		case 'c':
			words = atoi(optarg);
			break;
		default:
			exit(ST_USAGE);
		}
	}
	if (words < 1 || words > argc - optind - 1)
		die(ST_USAGE, "supervise is called by scripts/vm");
	o.cmd = argv + optind;
	o.cmdc = words;
	o.qemu = o.cmd + words;
	o.qemuc = argc - optind - words;
}
