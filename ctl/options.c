/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"
#include "table.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROW  256 /* above every letter */
#define OPT_HELP   (FIRST_ROW + (int)OPTION_ROWS_MAX)
#define SHORT_SIZE (2 * OPTION_ROWS_MAX + 2)

static int take_number(const struct option_row *row, const char *text, void *member)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value > row->max)
		return fail(EX_BAD_USAGE, "--%s %s: give a number, 0 to %llu", row->name, text,
			    row->max);
	*(unsigned long long *)member = value;
	return EX_DONE;
}

static int take_option(const struct option_row *row, const char *given, struct options *o)
{
	void *member = (char *)o + row->offset;

	switch (row->kind) {
	case OPTION_SET:
		*(bool *)member = true;
		return EX_DONE;
	case OPTION_TEXT:
		*(const char **)member = given;
		return EX_DONE;
	case OPTION_NUMBER:
		return take_number(row, given, member);
	case OPTION_CALL:
		break;
	}
	return row->add(o, given);
}

/* The row that c means. A name may have several rows, each for other commands. */
static size_t find_row(int c)
{
	for (size_t i = 0; i < nr_option_rows; i++)
		if (c == FIRST_ROW + (int)i || (c < FIRST_ROW && c == option_rows[i].letter))
			return i;
	return nr_option_rows;
}

static void list_options(struct option *longs, char *letters)
{
	size_t i;

	for (i = 0; i < nr_option_rows; i++) {
		const struct option_row *row = &option_rows[i];

		longs[i] = (struct option){
			.name = row->name,
			.has_arg = row->arg ? required_argument : no_argument,
			.val = FIRST_ROW + (int)i,
		};
		if (!row->letter || strchr(letters, row->letter))
			continue;
		letters += strlen(letters);
		*letters++ = row->letter;
		if (row->arg)
			*letters++ = ':';
		*letters = 0;
	}
	longs[i] = (struct option){.name = "help", .val = OPT_HELP};
}

/* Whether some row of the given option's name is for the command. */
static int check_taken(const bool *given, const struct command *c)
{
	for (size_t i = 0; i < nr_option_rows; i++) {
		bool taken = !given[i];

		for (size_t j = 0; j < nr_option_rows && !taken; j++)
			taken = !strcmp(option_rows[j].name, option_rows[i].name) &&
				option_is_for(&option_rows[j], c);
		if (!taken)
			return fail(EX_BAD_USAGE, "%s takes no --%s: see suture help %s", c->name,
				    option_rows[i].name, c->name);
	}
	return EX_DONE;
}

int options_parse(int argc, char **argv, struct options *o, int *first)
{
	struct option longs[OPTION_ROWS_MAX + 2] = {0};
	char letters[SHORT_SIZE] = "h";
	bool given[OPTION_ROWS_MAX] = {false}, help = false;
	const struct command *c;
	int letter, r;

	list_options(longs, letters);
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		size_t row = find_row(letter);

		if (letter == 'h' || letter == OPT_HELP) {
			help = true;
			continue;
		}
		if (row == nr_option_rows)
			return fail(EX_BAD_USAGE, "see suture --help");
		given[row] = true;
		r = take_option(&option_rows[row], optarg, o);
		if (r)
			return r;
	}
	*first = optind;
	c = optind < argc ? command_find(argv[optind]) : NULL;
	if (help) {
		if (c)
			help_command(stdout, c);
		else
			help_all(stdout);
		exit(EX_DONE);
	}
	return c ? check_taken(given, c) : EX_DONE;
}
