/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirects on x86-64: `jmp rel32` where it reaches (modules lie within 2 GiB of the kernel, so
 * between kernel and payload it always does), else `jmp *0(%rip)` with the target behind it. Both
 * change the instruction pointer and nothing else.
 */
#include "core/arch.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include <suture/abi.h>
#include <Zydis/Zydis.h>

#define NEAR_LEN 5
#define FAR_LEN	 14
#define SITE_LEN 5 /* of the call to __fentry__ */

#define INT3	 0xcc
#define NOP	 0x90
#define CALL_REL 0xe8
#define JMP_REL	 0xe9

static const u8 endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

/* First bytes of what is no function: padding, or memory that holds none. */
static const u8 not_code[][2] = {{0x00, 0x00}, {0xcc, 0xcc}, {0xff, 0xff}};

static bool starts_with(const u8 *code, size_t size, const u8 *bytes, size_t len)
{
	return size >= len && memcmp(code, bytes, len) == 0;
}

/*
 * At the entry or behind the landing pad, where a probe of the guest's may have changed the pad
 * itself. It holds a NOP, a call, on newer kernels a jump to a BPF trampoline, or, between the two,
 * a breakpoint.
 */
static bool is_ftrace_site(const u8 *code, size_t size, u32 site)
{
	static const u8 first[] = {0x0f, 0x66, CALL_REL, JMP_REL, INT3};

	return (site == 0 || site == sizeof(endbr64)) && size >= site + SITE_LEN &&
	       memchr(first, code[site], sizeof(first));
}

static bool near_reaches(u64 from, u64 to)
{
	s64 displacement = (s64)(to - (from + NEAR_LEN));

	return displacement == (s32)displacement;
}

int arch_redirect_offset(const u8 *code, size_t size, u32 site, u64 from, u64 to)
{
	size_t offset = 0, len;

	for (size_t i = 0; i < ARRAY_SIZE(not_code); i++)
		if (starts_with(code, size, not_code[i], sizeof(not_code[i])))
			return -EILSEQ;
	if (starts_with(code, size, endbr64, sizeof(endbr64)))
		offset = sizeof(endbr64);
	if (site != SUTURE_NONE && !is_ftrace_site(code, size, site))
		return -EILSEQ;
	if (site != SUTURE_NONE)
		offset = site + SITE_LEN;
	len = near_reaches(from + offset, to) ? NEAR_LEN : FAR_LEN;
	return offset + len <= size ? (int)offset : -ENOSPC;
}

int arch_redirect_encode(u64 from, u64 to, u8 *buf)
{
	static const u8 jmp_indirect[] = {0xff, 0x25, 0x00, 0x00, 0x00, 0x00};
	s32 displacement = (s32)(to - (from + NEAR_LEN));

	if (near_reaches(from, to)) {
		buf[0] = JMP_REL;
		memcpy(buf + 1, &displacement, sizeof(displacement));
		return NEAR_LEN;
	}
	memcpy(buf, jmp_indirect, sizeof(jmp_indirect));
	memcpy(buf + sizeof(jmp_indirect), &to, sizeof(to));
	return FAR_LEN;
}

/* Length of the instruction, 0 if it is none. */
static size_t insn_len(const u8 *code, size_t size)
{
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, &insn)))
		return 0;
	return insn.length;
}

int arch_redirect_pad(const u8 *code, size_t size, u8 *buf, int len)
{
	size_t at = 0, need = (size_t)len;

	while (at < need) {
		size_t n = insn_len(code + at, size - at);

		if (n && code[at] == INT3)
			return -EBUSY;
		/* Not code that anybody can decode: then nobody asks for boundaries in it. */
		if (!n)
			return len;
		at += n;
	}
	memset(buf + need, NOP, at - need);
	return (int)at;
}

u64 arch_redirect_jump(const u8 *code, size_t len, u64 at)
{
	s32 displacement;

	for (size_t i = 0, n; i < len; i += n) {
		n = insn_len(code + i, len - i);
		if (!n)
			break;
		if (code[i] != JMP_REL)
			continue;
		memcpy(&displacement, code + i + 1, sizeof(displacement));
		return at + i + NEAR_LEN + (u64)(s64)displacement;
	}
	return 0;
}
