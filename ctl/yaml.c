/* SPDX-License-Identifier: BSD-2-Clause */
#include "escape.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_block(const json_t *value)
{
	return json_object_size(value) || json_array_size(value);
}

/* Behind a key or the dash of a list. Scalars in JSON's form are valid YAML. */
static void print_member(const json_t *value, int depth, bool in_list);

static void print_block(const json_t *value, int depth, bool first_is_placed)
{
	const char *key;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member)
	{
		printf("%*s-", first_is_placed && !i ? 0 : depth * 2, "");
		print_member(member, depth, true);
	}
	json_object_foreach((json_t *)value, key, member)
	{
		printf("%*s%s:", first_is_placed ? 0 : depth * 2, "", key);
		first_is_placed = false;
		print_member(member, depth, false);
	}
}

static void print_member(const json_t *value, int depth, bool in_list)
{
	putchar(in_list || !is_block(value) ? ' ' : '\n');
	if (is_block(value)) {
		print_block(value, depth + 1, in_list);
		return;
	}
	print_encoded(value, 0);
	putchar('\n');
}

void print_yaml(const json_t *value)
{
	puts("---");
	print_block(value, 0, false);
}
