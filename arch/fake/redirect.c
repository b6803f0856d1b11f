/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include <suture/abi.h>

int arch_redirect_offset(const u8 *code, size_t size, u32 site, u64 from, u64 to)
{
	size_t offset = 0;

	(void)from;
	(void)to;
	if (size && code[0] == 0)
		return -EILSEQ;
	if (site != SUTURE_NONE)
		offset = FAKE_SITE_LEN;
	return offset + FAKE_REDIRECT_LEN <= size ? (int)offset : -ENOSPC;
}

int arch_redirect_encode(u64 from, u64 to, u8 *buf)
{
	if (from == to)
		return -ERANGE;
	buf[0] = FAKE_JUMP;
	memcpy(buf + 1, &to, sizeof(to));
	return FAKE_REDIRECT_LEN;
}

int arch_redirect_pad(const u8 *code, size_t size, u8 *buf, int len)
{
	(void)size;
	(void)buf;
	for (int i = 0; i < len; i++)
		if (code[i] == FAKE_BREAKPOINT)
			return -EBUSY;
	return len;
}

u64 arch_redirect_jump(const u8 *code, size_t len, u64 at)
{
	(void)at;
	return len >= FAKE_REDIRECT_LEN ? fake_redirect_target(code) : 0;
}

u64 fake_redirect_target(const u8 *code)
{
	u64 to = 0;

	if (code[0] == FAKE_JUMP)
		memcpy(&to, code + 1, sizeof(to));
	return to;
}
