/* SPDX-License-Identifier: BSD-2-Clause */
/* The help of the command, and of each of its commands. */
#include "ctl.h"
#include "table.h"

#include <string.h>

#define WIDTH	       79
#define COMMAND_COLUMN 20
#define OPTION_COLUMN  27

void help_wrap(FILE *to, const char *text, int column)
{
	int at = column;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > WIDTH) {
			fprintf(to, "\n%*s", column, "");
			at = column;
		}
		at += fprintf(to, "%s%.*s", at > column ? " " : "", len, text);
		text += len + (text[len] == ' ');
	}
	fputc('\n', to);
}

void help_option(char *text, size_t size, const struct option_row *row)
{
	char letter[8] = "";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	snprintf(text, size, "%s--%s%s%s", letter, row->name, row->arg ? " " : "",
		 row->arg ? row->arg : "");
}

/* A term and what it means, which begins on a line of its own behind a long term. */
static void print_term(FILE *to, const char *term, const char *meaning, int column)
{
	int n = fprintf(to, "  %s", term);

	if (n + 2 > column)
		fprintf(to, "\n%*s", column, "");
	else
		fprintf(to, "%*s", column - n, "");
	help_wrap(to, meaning, column);
}

void help_all(FILE *to)
{
	char term[64];

	fputs("usage: suture [OPTIONS] COMMAND [ARGUMENTS]\n\n", to);
	for (size_t i = 0; i < nr_commands; i++) {
		snprintf(term, sizeof(term), "%s %s", commands[i].name, commands[i].args);
		print_term(to, term, commands[i].help, COMMAND_COLUMN);
	}
	fputs("\n", to);
	print_term(to, "-H, --host HOST[:PORT]", "the monitor, or SUTURE_HOST in the environment",
		   OPTION_COLUMN);
	print_term(to, "--context NAME", "which monitor, and as whom, or SUTURE_CONTEXT",
		   OPTION_COLUMN);
	print_term(to, "-h, --help", "behind a command: its options", OPTION_COLUMN);
	print_term(to, "--version", "the version of this command", OPTION_COLUMN);
	fputs("\nExit codes: 0 done, 1 refused or failed, 2 bad command line or file, 3 monitor "
	      "not\n"
	      "reached, 4 still under way, 5 status: guest not well, or patch not in force.\n\n"
	      "Example: suture --context operate apply fix.sut\n",
	      to);
}

void help_command(FILE *to, const struct command *c)
{
	char term[64];

	fprintf(to, "usage: suture %s%s%s [OPTIONS]\n\n", c->name, *c->args ? " " : "", c->args);
	help_wrap(to, c->help, 0);
	if (c->more) {
		fputs("\n", to);
		help_wrap(to, c->more, 0);
	}
	fputs("\n", to);
	for (size_t i = 0; i < nr_option_rows; i++) {
		if (!option_is_for(&option_rows[i], c))
			continue;
		help_option(term, sizeof(term), &option_rows[i]);
		print_term(to, term, option_rows[i].help, OPTION_COLUMN);
	}
	print_term(to, "-h, --help", "this text", OPTION_COLUMN);
}
