// SPDX-License-Identifier: GPL-2.0-only
/* tagscope completion */
#include <getopt.h>
#include <string.h>

#include "commands/command.h"

static const char help[] =
	"Usage: tagscope completion bash\n\n"
	"Prints completion for a shell.\n\n"
	"  --help  this text\n\n"
	"Example:\n"
	"  source <(tagscope completion bash)\n";

/*
 * Options come from --help, scenarios and parameters from the program itself, so
 * nothing here has to follow when one is added.
 */
static const char bash_head[] =
	"# Completion of tagscope for bash; made by 'tagscope completion bash'.\n"
	"_tagscope() {\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"	local cmd=${COMP_WORDS[1]} words='' i w scenario=''\n"
	"	if ((COMP_CWORD == 1)); then\n"
	"		mapfile -t COMPREPLY < <(compgen -W '";
static const char bash_tail[] =
	" help --help --version' -- \"$cur\")\n"
	"		return\n"
	"	fi\n"
	"	case $prev in\n"
	"	--format) words='pretty ktap json junit' ;;\n"
	"	--color) words='auto always never' ;;\n"
	"	--theme) words='dark light colour-blind none' ;;\n"
	"	--kind) words='workload adversary' ;;\n"
	"	--output) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
	"	esac\n"
	"	if [[ -z $words && $cur == -* ]]; then\n"
	"		words=$(tagscope \"$cmd\" --help 2>/dev/null |\n"
	"			sed -n 's/^  \\(--[a-z-]*\\).*/\\1/p')\n"
	"	fi\n"
	"	if [[ -z $words ]]; then\n"
	"		case $cmd in\n"
	"		run | describe | suite | attack)\n"
	"			words=$(tagscope list --names 2>/dev/null)\n"
	"			for ((i = 2; i < COMP_CWORD; i++)); do\n"
	"				for w in $words; do\n"
	"					[[ ${COMP_WORDS[i]} == \"$w\" ]] && scenario=$w\n"
	"				done\n"
	"			done\n"
	"			if [[ $cmd == run && -n $scenario ]]; then\n"
	"				words+=\" $(tagscope describe \"$scenario\" 2>/dev/null |\n"
	"					sed -n '/^Parameters/,/^$/s/^  \\([a-z0-9_-]*\\) .*/\\1=/p')\"\n"
	"				compopt -o nospace\n"
	"			fi ;;\n"
	"		lesson) words=$(tagscope lesson --class 2>/dev/null | sed -n 's/^ *\\([0-9]*\\)  .*/\\1/p') ;;\n"
	"		completion) words=bash ;;\n"
	"		help) words='";
static const char bash_end[] =
	"' ;;\n"
	"		esac\n"
	"	fi\n"
	"	mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"}\n"
	"complete -F _tagscope tagscope\n";

static void command_names(void)
{
	for (const struct command *const *c = commands; *c; c++)
		printf("%s%s", c == commands ? "" : " ", (*c)->name);
}

static int completion_run(const struct command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt = getopt_long(argc, argv, ":h", options, NULL);

	if (opt != -1)
		return bad_option(cmd, opt, argv);
	if (optind + 1 != argc)
		return usage_error(cmd, "which shell? There is: bash");
	if (strcmp(argv[optind], "bash"))
		return usage_error(cmd, "there is no completion for '%s'; there is: bash",
				   argv[optind]);
	fputs(bash_head, stdout);
	command_names();
	fputs(bash_tail, stdout);
	command_names();
	fputs(bash_end, stdout);
	return flushed(cmd, EXIT_OK);
}

const struct command cmd_completion = {
	.name = "completion",
	.summary = "print completion for bash",
	.help = help,
	.run = completion_run,
};
