/* SPDX-License-Identifier: BSD-2-Clause */
#include "../lock.h"
#include <Zydis/Zydis.h>

#define LOCK 0xf0

static bool insn_has_lock(const ZydisDecodedInstruction *insn)
{
	for (u32 i = 0; i < insn->raw.prefix_count; i++)
		if (insn->raw.prefixes[i].value == LOCK)
			return true;
	return false;
}

bool has_lock(const struct redirect *piece)
{
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (u32 i = 0; i < piece->len; i += insn.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, piece->old + i,
								piece->len - i, &insn)))
			break;
		if (insn_has_lock(&insn))
			return true;
	}
	return false;
}
