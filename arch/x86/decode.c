/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's instruction at its RIP. The exit does not supply its bytes, so they are read through
 * the page tables that the CPU uses now.
 */
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "guest/ram.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/pt.h"
#include <Zydis/Zydis.h>

static int read_entry(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	(void)ctx;
	return guest_read_ipa(IPA(table_pa + index * sizeof(*entry)), entry, sizeof(*entry));
}

int arch_vcpu_translate(struct cpu *c, u64 va, ipa_t *ipa)
{
	const struct vcpu *v = &c->arch->vcpu;
	struct pt_walk w;

	if (!(v->cr0 & CR0_PG)) {
		*ipa = IPA(va & 0xffffffff);
		return 0;
	}
	/* 32-bit paging is not supported: 32-bit kernels cannot be patched. */
	if (!(v->efer & EFER_LMA))
		return -EFAULT;
	if (pt_walk(arch_guest_format(v->cr4 & CR4_LA57 ? 5 : 4), v->cr3 & 0x000ffffffffff000ull,
		    va, read_entry, NULL, &w))
		return -EFAULT;
	*ipa = IPA(w.pa);
	return 0;
}

size_t vcpu_fetch(struct cpu *c, s64 offset, u8 *buf, size_t len)
{
	const struct vcpu *v = &c->arch->vcpu;
	u64 va = v->rip + (u64)offset + (v->long_code ? 0 : v->cs_base);
	size_t done = 0;

	while (done < len) {
		size_t n = MIN(len - done, PAGE_SIZE - ((va + done) & ~PAGE_MASK));
		ipa_t ipa;

		if (arch_vcpu_translate(c, va + done, &ipa) || guest_read_ipa(ipa, buf + done, n))
			break;
		done += n;
	}
	return done;
}

/*
 * The opcodes of MOV to memory; those of one byte are one less. Zydis is built without its tables
 * of operands, so these are read from the instruction's parts.
 */
#define MOV_FROM_REGISTER   0x89
#define MOV_FROM_RAX	    0xa3
#define MOV_FROM_IMMEDIATE  0xc7
#define MOV_OF_BYTE(opcode) (!((opcode)&1))
#define MOD_REGISTER	    3 /* ModRM.mod of an operand that is not in memory */

/* Without REX the registers 4 to 7 of one byte are the second bytes of the first four. */
static u64 read_register(const struct vcpu *v, const ZydisDecodedInstruction *z, bool byte)
{
	u32 reg = (u32)z->raw.rex.R << 3 | z->raw.modrm.reg;

	if (byte && !(z->attributes & ZYDIS_ATTRIB_HAS_REX) && reg >= 4)
		return v->gpr[reg - 4] >> 8;
	return v->gpr[reg];
}

static void read_store(const struct vcpu *v, const ZydisDecodedInstruction *z,
		       struct guest_insn *insn)
{
	bool byte = MOV_OF_BYTE(z->opcode);

	if (z->mnemonic != ZYDIS_MNEMONIC_MOV || z->raw.modrm.mod == MOD_REGISTER)
		return;
	switch (z->opcode | 1) {
	case MOV_FROM_REGISTER:
		insn->value = read_register(v, z, byte);
		break;
	case MOV_FROM_RAX:
		insn->value = v->gpr[RAX];
		break;
	case MOV_FROM_IMMEDIATE:
		insn->value = z->raw.imm[0].value.u;
		break;
	default:
		return;
	}
	insn->store = true;
	insn->size = byte ? 1 : z->operand_width / 8;
}

int vcpu_decode(struct cpu *c, struct guest_insn *insn)
{
	const struct vcpu *v = &c->arch->vcpu;
	ZydisDecoder decoder;
	ZydisDecodedInstruction z;
	u8 code[ZYDIS_MAX_INSTRUCTION_LENGTH];
	size_t len = vcpu_fetch(c, 0, code, sizeof(code));

	if (!len)
		return -EFAULT;
	if (v->long_code)
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	else if (v->wide_code)
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	else
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, len, &z)))
		return -EINVAL;
	*insn = (struct guest_insn){.len = z.length};
	read_store(v, &z, insn);
	return 0;
}
