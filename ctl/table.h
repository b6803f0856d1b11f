/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of commands and options: the command line is parsed by it, and help, the manual
 * page and the shells' completions are printed from it.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct options;

struct command {
	const char *name;
	const char *args; /* for the usage line */
	const char *help; /* a line */
	const char *more; /* sentences for the command's own help, or NULL */
	int min_args, max_args;
	bool remote; /* needs --host */
	int (*run)(const struct options *o, char **args);
};

enum option_kind {
	OPTION_SET,    /* bool: true */
	OPTION_TEXT,   /* const char *: the argument */
	OPTION_NUMBER, /* unsigned long long, up to `max` */
	OPTION_CALL    /* add() takes the argument; an exit code, its message printed */
};

struct option_row {
	const char *name;     /* without "--" */
	char letter;	      /* 0: none */
	const char *arg;      /* name of its argument, NULL: none */
	const char *commands; /* " apply build ": those that take it; NULL: all */
	const char *help;
	enum option_kind kind;
	size_t offset; /* in struct options */
	unsigned long long max;
	int (*add)(struct options *o, const char *given);
};

#define OPTION_ROWS_MAX 48u
extern const struct command commands[];
extern const size_t nr_commands;
extern const struct option_row option_rows[];
extern const size_t nr_option_rows;

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);
bool option_is_for(const struct option_row *row, const struct command *c);

/*
 * The options of a command line, wherever they stand among the arguments. *first: index of the
 * first argument that is none, the command. An exit code, its message printed.
 */
int options_parse(int argc, char **argv, struct options *o, int *first);

/* Text for people, in lines of at most 79 letters: the first one begins at `column` already, the
 * others are indented so far. */
void help_wrap(FILE *to, const char *text, int column);
/* "-o, --output FILE" */
void help_option(char *text, size_t size, const struct option_row *row);
void help_all(FILE *to);
void help_command(FILE *to, const struct command *c);

/* ctl/documents.c: print the manual page; or the completion of bash, zsh or fish. */
int cmd_man(const struct options *o, char **args);
int cmd_completion(const struct options *o, char **args);

#endif
