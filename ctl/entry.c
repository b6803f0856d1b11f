/* SPDX-License-Identifier: BSD-2-Clause */
#include "entry.h"

#include <stdint.h>
#include <string.h>
#include <suture/bundle.h>

/* A landing pad, and the call of ftrace. */
static struct entry x86_entry(const unsigned char *code, size_t size)
{
	static const unsigned char endbr[4] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const unsigned char nop[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct entry e = {.size = 5};

	if (size >= sizeof(endbr) && !memcmp(code, endbr, sizeof(endbr)))
		e.at = sizeof(endbr);
	e.site = size >= e.at + sizeof(nop) &&
		 (code[e.at] == 0xe8 || !memcmp(code + e.at, nop, sizeof(nop)));
	if (e.site)
		e.at += sizeof(nop);
	return e;
}

static bool is_insn(const unsigned char *code, size_t size, size_t at, uint32_t insn)
{
	uint32_t there;

	if (size < at + sizeof(there))
		return false;
	memcpy(&there, code + at, sizeof(there));
	return there == insn;
}

/* BTI C, and the two patchable NOPs (-fpatchable-function-entry=2). */
static struct entry arm64_entry(const unsigned char *code, size_t size)
{
	const uint32_t bti_c = 0xd503245f, nop = 0xd503201f;
	struct entry e = {.size = 4};

	if (is_insn(code, size, 0, bti_c))
		e.at = 4;
	e.site = is_insn(code, size, e.at, nop) && is_insn(code, size, e.at + 4, nop);
	if (e.site)
		e.at += 8;
	return e;
}

struct entry entry_read(unsigned machine, const unsigned char *code, size_t size)
{
	return machine == SUTURE_MACHINE_ARM64 ? arm64_entry(code, size) : x86_entry(code, size);
}
