/* SPDX-License-Identifier: BSD-2-Clause */
#include "summary.h"

#include <stdio.h>

static void print_changes(const struct changes *c)
{
	printf("%s:", c->object);
	for (size_t i = 0; i < c->nr_functions; i++)
		printf("%s %s%s", i ? "," : " replaces", c->functions[i].name,
		       c->functions[i].added ? " (which alone changed)" : "");
	for (size_t i = 0; i < c->nr_new; i++)
		printf("%s %s", i ? "," : "; new:", c->new_names[i]);
	printf("; %u symbols that are not exported\n", c->references);
}

void summary_print(const struct changes *changes, size_t count, const struct callbacks *callbacks)
{
	for (size_t i = 0; i < count; i++)
		print_changes(&changes[i]);
	if (!*callbacks->file)
		return;
	printf("%s:", callbacks->file);
	for (size_t i = 0; i < callbacks->count; i++)
		printf("%s %s", i ? "," : "", callbacks->list[i].function);
	printf("%s\n", !callbacks->states ? "" : callbacks->count ? ", states" : " states");
}
