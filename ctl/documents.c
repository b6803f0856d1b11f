/* SPDX-License-Identifier: BSD-2-Clause */
/* What is printed from the table for other programs: the manual page, and completions of shells. */
#include "ctl.h"
#include "table.h"

#include <string.h>

#include "core/version.h"

/* ---- the manual page ---- */

/* Text of a page: a hyphen stays one, and no line begins with a request. */
static void print_roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++)
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
}

static void print_roff_option(const struct option_row *row)
{
	char term[64];

	help_option(term, sizeof(term), row);
	fputs(".TP\n.B ", stdout);
	print_roff(term);
	putchar('\n');
	print_roff(row->help);
	putchar('\n');
}

static void print_roff_command(const struct command *c)
{
	fputs(".SS ", stdout);
	print_roff(c->name);
	putchar(' ');
	print_roff(c->args);
	putchar('\n');
	print_roff(c->help);
	fputs(".\n", stdout);
	if (c->more) {
		print_roff(c->more);
		putchar('\n');
	}
	for (size_t i = 0; i < nr_option_rows; i++)
		/* what all commands that ask the monitor take has a section of its own */
		if (option_is_for(&option_rows[i], c) && strcmp(option_rows[i].name, "host") != 0 &&
		    strcmp(option_rows[i].name, "insecure") != 0)
			print_roff_option(&option_rows[i]);
}

int cmd_man(const struct options *o, char **args)
{
	(void)o, (void)args;
	printf(".TH SUTURE 1 \"\" \"suture %s\" \"User Commands\"\n", MONITOR_VERSION);
	fputs(".SH NAME\nsuture \\- build live patches, and apply them through the Suture monitor\n"
	      ".SH SYNOPSIS\n.B suture\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n"
	      ".SH DESCRIPTION\n"
	      "Suture live\\-patches the kernel of a running machine from below. The monitor under "
	      "the machine's kernel is reached over the network.\n"
	      ".SH OPTIONS\nOptions may stand before and behind the command. Commands that ask the "
	      "monitor take\n",
	      stdout);
	for (size_t i = 0; i < nr_option_rows; i++)
		if (!strcmp(option_rows[i].name, "host") ||
		    !strcmp(option_rows[i].name, "insecure"))
			print_roff_option(&option_rows[i]);
	fputs(".SH COMMANDS\n", stdout);
	for (size_t i = 0; i < nr_commands; i++)
		print_roff_command(&commands[i]);
	fputs(".SH ENVIRONMENT\n.TP\n.B SUTURE_HOST\nthe monitor, if there is no \\-\\-host\n"
	      ".SH EXIT STATUS\n"
	      ".TP\n0\ndone\n.TP\n1\nthe monitor refused, or the operation failed\n"
	      ".TP\n2\nthe command line or a file is wrong\n.TP\n3\nthe monitor is not reached\n"
	      ".TP\n4\nstill under way\n"
	      ".TP\n5\nstatus: the guest is not well, or a function of a patch is not in force\n"
	      ".SH EXAMPLE\n.nf\nsuture build examples/hello \\-\\-kernel "
	      "/usr/src/linux\\-headers\\-... "
	      "\\-\\-vmlinuz /boot/vmlinuz\\-... \\-o hello.sut\n"
	      "suture \\-\\-context operate apply hello.sut\n.fi\n",
	      stdout);
	return EX_DONE;
}

/* ---- completions ---- */

static void print_options_of(const struct command *c)
{
	for (size_t i = 0; i < nr_option_rows; i++)
		if (option_is_for(&option_rows[i], c))
			printf(" --%s", option_rows[i].name);
	fputs(" --help", stdout);
}

static void print_names(void)
{
	for (size_t i = 0; i < nr_commands; i++)
		printf(" %s", commands[i].name);
}

static void complete_bash(void)
{
	fputs("# bash completion for suture\n_suture()\n{\n"
	      "\tlocal word command= current=${COMP_WORDS[COMP_CWORD]}\n\n"
	      "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in\n\t\t",
	      stdout);
	for (size_t i = 0; i < nr_commands; i++)
		printf("%s%s", i ? "|" : "", commands[i].name);
	fputs(") command=$word; break ;;\n\t\tesac\n\tdone\n\tlocal words=\n\tcase $command in\n"
	      "\t\"\") words='--host --context --version --help",
	      stdout);
	print_names();
	fputs("' ;;\n", stdout);
	for (size_t i = 0; i < nr_commands; i++) {
		printf("\t%s) words='", commands[i].name);
		print_options_of(&commands[i]);
		fputs("' ;;\n", stdout);
	}
	fputs("\tesac\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
	      "complete -o default -F _suture suture\n",
	      stdout);
}

/* In single quotes of fish and zsh. */
static void print_quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (*text == '[' || *text == ']' || *text == ':')
			putchar(' '); /* zsh's own */
		else
			putchar(*text);
}

static void complete_zsh(void)
{
	fputs("#compdef suture\nlocal -a names\nnames=(\n", stdout);
	for (size_t i = 0; i < nr_commands; i++) {
		printf("\t'%s:", commands[i].name);
		print_quoted(commands[i].help);
		fputs("'\n", stdout);
	}
	fputs(")\nlocal word command=\nfor word in ${words[2,CURRENT-1]}; do\n"
	      "\tif (( ${names[(I)$word:*]} )); then command=$word; break; fi\ndone\n"
	      "case $command in\n\t'') _describe command names ;;\n",
	      stdout);
	for (size_t i = 0; i < nr_commands; i++) {
		printf("\t%s) _arguments", commands[i].name);
		for (size_t j = 0; j < nr_option_rows; j++) {
			if (!option_is_for(&option_rows[j], &commands[i]))
				continue;
			printf(" '--%s[", option_rows[j].name);
			print_quoted(option_rows[j].help);
			printf("]%s'", option_rows[j].arg ? ":value:_files" : "");
		}
		fputs(" '*:file:_files' ;;\n", stdout);
	}
	fputs("esac\n", stdout);
}

static void complete_fish(void)
{
	fputs("complete -c suture -n __fish_use_subcommand -l version\n", stdout);
	for (size_t i = 0; i < nr_commands; i++) {
		printf("complete -c suture -n __fish_use_subcommand -f -a %s -d '",
		       commands[i].name);
		print_quoted(commands[i].help);
		fputs("'\n", stdout);
		for (size_t j = 0; j < nr_option_rows; j++) {
			const struct option_row *row = &option_rows[j];

			if (!option_is_for(row, &commands[i]))
				continue;
			printf("complete -c suture -n '__fish_seen_subcommand_from %s' -l %s%s -d "
			       "'",
			       commands[i].name, row->name, row->arg ? " -r" : "");
			print_quoted(row->help);
			fputs("'\n", stdout);
		}
	}
}

int cmd_completion(const struct options *o, char **args)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};

	(void)o;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(shells[i].name, args[0]) != 0)
			continue;
		shells[i].print();
		return EX_DONE;
	}
	return fail(EX_BAD_USAGE, "no completion for '%s': there are bash, zsh and fish", args[0]);
}
