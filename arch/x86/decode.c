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

/* Zydis numbers registers in encoding order, as enum gpr does. */
static bool gpr_value(const struct vcpu *v, ZydisRegister reg, u64 *value)
{
	ZyanI8 id = ZydisRegisterGetId(reg);

	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR16:
		*value = v->gpr[id];
		return true;
	default:
		return false;
	}
}

static void read_store(const struct vcpu *v, const ZydisDecodedInstruction *z,
		       const ZydisDecodedOperand *ops, struct guest_insn *insn)
{
	if (z->mnemonic != ZYDIS_MNEMONIC_MOV || ops[0].type != ZYDIS_OPERAND_TYPE_MEMORY)
		return;
	insn->size = ops[0].size / 8;
	if (ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
		insn->store = gpr_value(v, ops[1].reg.value, &insn->value);
	else if (ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		insn->store = true;
		insn->value = ops[1].imm.value.u;
	}
}

int vcpu_decode(struct cpu *c, struct guest_insn *insn)
{
	const struct vcpu *v = &c->arch->vcpu;
	ZydisDecoder decoder;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
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
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &z, ops)))
		return -EINVAL;
	*insn = (struct guest_insn){.len = z.length};
	read_store(v, &z, ops, insn);
	return 0;
}
