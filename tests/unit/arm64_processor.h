/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In place of the processor, for sources of arch/arm64 with instructions (sysreg.h): registers by
 * name, and the instructions in the order in which they were executed.
 */
#ifndef ARM64_PROCESSOR_H
#define ARM64_PROCESSOR_H

#include "../../arch/arm64/el2.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct {
	struct {
		const char *name;
		u64 value;
	} regs[32];
	char done[256];
	void (*look)(const char *text); /* called before an instruction; or NULL */
} processor;

static inline u64 *register_of(const char *name)
{
	u32 i = 0;

	while (i < ARRAY_SIZE(processor.regs) && processor.regs[i].name &&
	       strcmp(processor.regs[i].name, name) != 0)
		i++;
	assert_true(i < ARRAY_SIZE(processor.regs));
	processor.regs[i].name = name;
	return &processor.regs[i].value;
}

u64 unit_read(const char *name)
{
	return *register_of(name);
}

void unit_write(const char *name, u64 value)
{
	*register_of(name) = value;
}

void unit_instruction(const char *text)
{
	size_t n = strlen(processor.done);

	if (processor.look)
		processor.look(text);
	snprintf(processor.done + n, sizeof(processor.done) - n, "%s%s", n ? "; " : "", text);
}

void unit_instruction_with(const char *text, u64 value)
{
	char whole[64];

	snprintf(whole, sizeof(whole), "%s %#llx", text, value);
	unit_instruction(whole);
}

/* What was executed since the last call is this. */
static inline void assert_executed(const char *text)
{
	assert_string_equal(processor.done, text);
	processor.done[0] = 0;
}

#endif
