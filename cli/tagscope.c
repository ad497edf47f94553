// SPDX-License-Identifier: GPL-2.0-only
/* tagscope: the command line. */
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "base/suggest.h"
#include "commands/command.h"

static void help(FILE *f)
{
	fputs("Usage: tagscope COMMAND [options]\n\n"
	      "Runs programs that use, or attack, MTE tag storage, and shows what each does to it.\n\n"
	      "Commands:\n", f);
	for (const struct command *const *c = commands; *c; c++)
		fprintf(f, "  %-11s %s\n", (*c)->name, (*c)->summary);
	fputs("\n\"tagscope COMMAND --help\" tells more. To begin with:\n"
	      "  tagscope doctor              what works here, and what to do about what does not\n"
	      "  tagscope list                the scenarios there are\n"
	      "  tagscope run --step mmap     go through one, a key a step\n\n"
	      "Exit status: 0 all passed, 1 something failed, 2 wrong usage, 3 error, 4 it was\n"
	      "skipped.\n", f);
}

static const char *command_name_at(void *list, size_t i)
{
	const struct command *const *c = list;

	return c[i] ? c[i]->name : NULL;
}

int main(int argc, char **argv)
{
	char near[256];

	setlocale(LC_CTYPE, "");
	/* A reader that goes away ("| head") is seen as a write error. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("tagscope " TAGSCOPE_VERSION);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "help") && argc > 2) {
		argv[1] = argv[2];
		argv[2] = (char[]){ "--help" };
	} else if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
		   !strcmp(argv[1], "-h")) {
		help(stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
	}
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, argv[1]))
			return (*c)->run(*c, argc - 1, argv + 1);
	fprintf(stderr, "tagscope: there is no command '%s'%s (try: tagscope --help)\n", argv[1],
		suggest_text(argv[1], command_name_at, (void *)(uintptr_t)commands, near,
			  sizeof(near)));
	return EXIT_USAGE;
}
