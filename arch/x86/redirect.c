/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirects on x86-64: `jmp rel32` where it reaches (modules lie within 2 GiB of the kernel, so
 * between kernel and payload it always does), else `jmp *0(%rip)` with the target behind it. Both
 * change the instruction pointer and nothing else.
 */
#include "core/arch.h"
#include "core/errno.h"
#include "core/lib/string.h"

#define NEAR_LEN 5
#define FAR_LEN	 14
#define SITE_LEN 5

static const u8 endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

/* What Linux puts at the ftrace site (mcount, fentry) of a function that is not traced. */
static const u8 site_nops[][SITE_LEN] = {
	{0x0f, 0x1f, 0x44, 0x00, 0x00},
	{0x66, 0x66, 0x66, 0x66, 0x90}, /* before 5.13, on CPUs without long NOPs */
};

/* First bytes of what is no function: padding, or memory that holds none. */
static const u8 not_code[][2] = {{0x00, 0x00}, {0xcc, 0xcc}, {0xff, 0xff}};

static bool starts_with(const u8 *code, size_t size, const u8 *bytes, size_t len)
{
	return size >= len && memcmp(code, bytes, len) == 0;
}

static bool is_ftrace_site(const u8 *code, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(site_nops); i++)
		if (starts_with(code, size, site_nops[i], SITE_LEN))
			return true;
	/*
	 * A call: the function is being traced. (A function without a site that begins with a call
	 * of its own looks the same; who declares it must know.) Never a jump: Linux puts none at a
	 * site, so a function that begins with one is a tail call, and that must be replaced.
	 */
	return size >= SITE_LEN && code[0] == 0xe8;
}

static bool near_reaches(u64 from, u64 to)
{
	s64 displacement = (s64)(to - (from + NEAR_LEN));

	return displacement == (s32)displacement;
}

int arch_redirect_offset(const u8 *code, size_t size, u64 from, u64 to)
{
	size_t offset = 0, len;

	for (size_t i = 0; i < ARRAY_SIZE(not_code); i++)
		if (starts_with(code, size, not_code[i], sizeof(not_code[i])))
			return -EILSEQ;
	if (starts_with(code, size, endbr64, sizeof(endbr64)))
		offset = sizeof(endbr64);
	if (is_ftrace_site(code + offset, size - offset))
		offset += SITE_LEN;
	len = near_reaches(from + offset, to) ? NEAR_LEN : FAR_LEN;
	return offset + len <= size ? (int)offset : -ENOSPC;
}

int arch_redirect_encode(u64 from, u64 to, u8 *buf)
{
	static const u8 jmp_indirect[] = {0xff, 0x25, 0x00, 0x00, 0x00, 0x00};
	s32 displacement = (s32)(to - (from + NEAR_LEN));

	if (near_reaches(from, to)) {
		buf[0] = 0xe9;
		memcpy(buf + 1, &displacement, sizeof(displacement));
		return NEAR_LEN;
	}
	memcpy(buf, jmp_indirect, sizeof(jmp_indirect));
	memcpy(buf + sizeof(jmp_indirect), &to, sizeof(to));
	return FAR_LEN;
}
