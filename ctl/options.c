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

/* The row that getopt's value means. Several rows may have its name, each for other commands. */
static const struct option_row *find_row(int value)
{
	for (size_t i = 0; i < nr_option_rows; i++)
		if (value == FIRST_ROW + (int)i ||
		    (value < FIRST_ROW && value == option_rows[i].letter))
			return &option_rows[i];
	return NULL;
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

/* An option as it was given: which one it is depends on the command, which may stand behind it. */
struct given {
	const char *name, *arg;
};

static int take_given(const struct given *given, const struct command *c, struct options *o)
{
	for (const struct option_row *row = option_rows; row < option_rows + nr_option_rows; row++)
		if (!strcmp(row->name, given->name) && option_is_for(row, c))
			return take_option(row, given->arg, o);
	return fail(EX_BAD_USAGE, "%s takes no --%s: see suture help %s", c->name, given->name,
		    c->name);
}

static int take_all(int argc, char **argv, struct given *given, struct options *o, int *first)
{
	struct option longs[OPTION_ROWS_MAX + 2] = {0};
	char letters[SHORT_SIZE] = "h";
	const struct command *c;
	size_t n = 0, i;
	bool help = false;
	int value, r = EX_DONE;

	list_options(longs, letters);
	while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_row *row = find_row(value);

		if (value == 'h' || value == OPT_HELP)
			help = true;
		else if (row)
			given[n++] = (struct given){row->name, optarg};
		else
			return fail(EX_BAD_USAGE, "see suture --help");
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
	for (i = 0; c && i < n && !r; i++)
		r = take_given(&given[i], c, o);
	return r;
}

int options_parse(int argc, char **argv, struct options *o, int *first)
{
	/* letters may be given together: "-jf" */
	size_t most = 0;
	struct given *given;
	int r;

	for (int i = 1; i < argc; i++)
		most += strlen(argv[i]) + 1;
	given = calloc(most + 1, sizeof(*given));
	if (!given)
		return fail(EX_FAILED, "no memory");
	r = take_all(argc, argv, given, o, first);
	free(given);
	return r;
}
