/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux makes of a module's code on x86-64. In its arch/x86/kernel/, `module` has the
 * relocations, and `alternative`, `static_call`, `jump_label` and `ftrace` the places of tables.
 */
#include "arch/text.h"
#include "lib/errno.h"
#include "lib/string.h"

/* AMD64 ABI, table 4.9 */
enum { R_NONE = 0, R_64 = 1, R_PC32 = 2, R_PLT32 = 4, R_32 = 10, R_32S = 11, R_PC64 = 24 };

#define CALL_REL  0xe8
#define JMP_REL	  0xe9
#define JMP_SHORT 0xeb
#define NEAR_LEN  5u
#define RET	  0xc3
#define INT3	  0xcc
#define NOP	  0x90
#define LOCK	  0xf0
#define CS	  0x2e
#define DS	  0x3e
#define REX_B	  0x41

#define TRAMPOLINE_LEN 8u /* of a static call of the module's own: a jump, and UD1 from 5.17 on */

static s32 signed_at(const u8 *code)
{
	s32 v;

	memcpy(&v, code, sizeof(v));
	return v;
}

static u64 target_at(const u8 *code, u64 at)
{
	return at + NEAR_LEN + (u64)(s64)signed_at(code + 1);
}

int arch_text_field(u32 type, u64 at, const u8 code[TEXT_FIELD_MAX], struct text_field *f)
{
	u64 v;

	memcpy(&v, code, sizeof(v));
	*f = (struct text_field){.size = 4, .bits = 0xffffffff, .known = ~0ull};
	switch (type) {
	case R_NONE:
		f->size = 0;
		return 0;
	case R_64:
		f->value = v;
		break;
	case R_PC64:
		f->value = v + at;
		break;
	case R_PLT32:
		f->is_code = true;
		/* fall through */
	case R_PC32:
		f->value = at + (u64)(s64)signed_at(code);
		return 0;
	case R_32:
		f->value = (u32)v;
		return 0;
	case R_32S:
		f->value = (u64)(s64)signed_at(code);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
	f->size = 8;
	f->bits = ~0ull;
	return 0;
}

u64 arch_text_veneer(const u8 code[TEXT_VENEER_LEN], u64 at)
{
	(void)code;
	(void)at;
	return 0;
}

/* The kernel clears a module's memory, or fills it with INT3. */
u32 arch_text_filler(const u8 *code, size_t left, u64 at)
{
	(void)at;
	return left && (!code[0] || code[0] == INT3) ? 1 : 0;
}

/* ---- NOPs ---- */

/* As arch/x86/include/asm/nops.h has them, each with an operand that its first bytes do not fix. */
static const struct {
	u8 len, bytes, code[6];
} nops[] = {
	{1, 1, {NOP}},
	{2, 2, {0x66, 0x90}},
	{3, 3, {0x0f, 0x1f, 0x00}},
	{4, 4, {0x0f, 0x1f, 0x40, 0x00}},
	{5, 4, {0x0f, 0x1f, 0x44, 0x00}},
	{6, 5, {0x66, 0x0f, 0x1f, 0x44, 0x00}},
	{7, 3, {0x0f, 0x1f, 0x80}},
	{8, 4, {0x0f, 0x1f, 0x84, 0x00}},
	{9, 5, {0x66, 0x0f, 0x1f, 0x84, 0x00}},
	{10, 6, {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00}},
	{11, 6, {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84}},
};

static u32 nop_len(const u8 *code, u32 left)
{
	for (u32 i = 0; i < ARRAY_SIZE(nops); i++)
		if (left >= nops[i].len && !memcmp(code, nops[i].code, nops[i].bytes))
			return nops[i].len;
	return 0;
}

/* A short jump over INT3: what stands for many NOPs from Linux 6.4 on. */
static u32 skip_len(const u8 *code, u32 left)
{
	u32 len = left >= 2 && code[0] == JMP_SHORT && code[1] < 0x80 ? 2u + code[1] : 0;

	if (len <= 2 || len > left)
		return 0;
	for (u32 i = 2; i < len; i++)
		if (code[i] != INT3)
			return 0;
	return len;
}

/* The bytes from code on that do nothing. */
static u32 idle_len(const u8 *code, u32 left)
{
	u32 len = 0, n;

	while ((n = nop_len(code + len, left - len)) || (n = skip_len(code + len, left - len)))
		len += n;
	return len;
}

/* Equal, whatever NOPs either has where both have some. */
static bool is_same(const u8 *a, const u8 *b, u32 len)
{
	u32 i = 0, idle;

	while (i < len) {
		idle = idle_len(a + i, len - i);
		if (idle && idle == idle_len(b + i, len - i))
			i += idle;
		else if (a[i] == b[i])
			i++;
		else
			return false;
	}
	return true;
}

/* ---- the tables ---- */

enum kind {
	KIND_RETPOLINE,
	KIND_RETURN,
	KIND_PARAVIRT,
	KIND_ALTERNATIVE,
	KIND_KEY,
	KIND_STATIC_CALL,
	KIND_TRAMPOLINE,
	KIND_TRACER,
	KIND_LOCK,
	KIND_SEALED,
};

/* In the order in which the kernel carries them out: a later one may have changed an earlier one's
 * bytes. */
static const struct text_table tables[] = {
	{".retpoline_sites", KIND_RETPOLINE, 4, 0, false, false},
	{".return_sites", KIND_RETURN, 4, 0, false, false},
	{".parainstructions", KIND_PARAVIRT, 16, 10, false, false},
	{".altinstructions", KIND_ALTERNATIVE, 0, 0, true, false},
	{"__jump_table", KIND_KEY, 16, 0, false, false},
	{".static_call_sites", KIND_STATIC_CALL, 8, 0, false, false},
	{".static_call.text", KIND_TRAMPOLINE, TRAMPOLINE_LEN, NEAR_LEN, false, true},
	{"__mcount_loc", KIND_TRACER, 8, 0, false, false},
	{".smp_locks", KIND_LOCK, 4, 0, false, false},
	{".ibt_endbr_seal", KIND_SEALED, 4, 0, false, false},
};

const struct text_table *arch_text_tables(u32 *count)
{
	*count = ARRAY_SIZE(tables);
	return tables;
}

/*
 * struct alt_instr ends with the lengths of the site and of its replacement; 5.10 has a third one
 * behind them. From 6.3 on its flags have 32 bits.
 */
#define ALT_5_10      13u
#define ALT_6_3	      14u
#define ALT_FLAGS     10u /* offset of the upper half of the flags */
#define ALT_CALL_FLAG 2u  /* the call of a pointer becomes one of its target */

static const u8 *alt_lengths(const struct text_site *s)
{
	return s->entry + s->entry_size - (s->entry_size == ALT_5_10 ? 3 : 2);
}

/* A call or jump by 32 bits, with a prefix or a condition perhaps. */
static u32 branch_len(const u8 *code, u32 left)
{
	u32 prefix = left && code[0] == CS;

	if (left >= prefix + NEAR_LEN && (code[prefix] == CALL_REL || code[prefix] == JMP_REL))
		return prefix + NEAR_LEN;
	return left >= 6 && code[0] == 0x0f && code[1] >> 4 == 8 ? 6 : 0;
}

static u32 key_len(const u8 *code, u32 left)
{
	if (left >= 2 && (code[0] == JMP_SHORT || (code[0] == 0x66 && code[1] == NOP)))
		return 2;
	return left >= NEAR_LEN && (code[0] == JMP_REL || nop_len(code, left) == NEAR_LEN)
		       ? NEAR_LEN
		       : 0;
}

u32 arch_text_site_len(const struct text_site *s)
{
	switch (s->kind) {
	case KIND_RETPOLINE:
	case KIND_STATIC_CALL:
		return branch_len(s->own, s->left);
	case KIND_RETURN:
		return s->own[0] == JMP_REL ? NEAR_LEN : 0;
	case KIND_PARAVIRT:
		return s->entry[9];
	case KIND_ALTERNATIVE:
		return s->entry_size >= 12 && s->entry_size <= ALT_6_3 ? alt_lengths(s)[0] : 0;
	case KIND_KEY:
		return key_len(s->own, s->left);
	case KIND_TRAMPOLINE:
		return MIN(s->left, TRAMPOLINE_LEN);
	case KIND_TRACER:
		return NEAR_LEN;
	case KIND_LOCK:
		return 1;
	case KIND_SEALED:
		return 4;
	}
	return 0;
}

/* ---- what may be there ---- */

static bool is_own(const struct text_site *s)
{
	u8 own[TEXT_SITE_MAX];

	return s->expect(s, 0, own, s->len) && is_same(own, s->now, s->len);
}

static bool is_idle(const u8 *code, u32 len)
{
	return idle_len(code, len) == len;
}

/* NOPs, or INT3 behind what does not return. */
static bool is_unused(const u8 *code, u32 len)
{
	u32 i = 0;

	while (i < len && code[i] == INT3)
		i++;
	return is_idle(code + i, len - i);
}

/* A call or jump of that opcode to code of the kernel, and NOPs. */
static bool leads_to_code(const struct text_site *s, u8 opcode)
{
	return s->len >= NEAR_LEN && s->now[0] == opcode && s->is_code(target_at(s->now, s->at)) &&
	       is_idle(s->now + NEAR_LEN, s->len - NEAR_LEN);
}

/* The register of a thunk, by its name; -1: it is none. */
static int thunk_register(const char *name)
{
	static const char prefix[] = "__x86_indirect_thunk_";
	static const char registers[16][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
					      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
					      "r12", "r13", "r14", "r15"};

	for (int i = 0; i < 16; i++)
		if (!strncmp(name, prefix, sizeof(prefix) - 1) &&
		    !strcmp(name + sizeof(prefix) - 1, registers[i]))
			return i;
	return -1;
}

/* CALL (modrm 0xd0) or JMP (0xe0) of that register, after LFENCE perhaps. Its length, or 0. */
static u32 indirect_len(const u8 *code, u32 left, int reg, u8 modrm)
{
	static const u8 lfence[] = {0x0f, 0xae, 0xe8};
	u32 i = left >= sizeof(lfence) && !memcmp(code, lfence, sizeof(lfence)) ? sizeof(lfence)
										: 0;

	if (reg >= 8 && i < left && code[i] == REX_B)
		i++;
	else if (reg >= 8)
		return 0;
	return left >= i + 2 && code[i] == 0xff && code[i + 1] == (modrm | (reg & 7)) ? i + 2 : 0;
}

/* A thunk of the kernel's other kinds: in its text, or made for this site in the modules' memory.
 */
static bool is_other_thunk(const struct text_site *s, u64 va, int reg)
{
	u8 code[8];

	return !s->read(va, code, sizeof(code)) && indirect_len(code, sizeof(code), reg, 0xe0);
}

/* patch_retpoline() */
static bool fits_retpoline(const struct text_site *s)
{
	u32 branch = s->len - NEAR_LEN; /* its offset: behind a prefix, or condition */
	bool conditional = s->own[0] == 0x0f, call = s->own[branch] == CALL_REL;
	const u8 *now = s->now;
	int reg = thunk_register(s->symbol(s));
	u32 len;

	if (is_own(s))
		return true;
	if (reg < 0)
		return false;
	if (conditional) {
		/* the opposite condition, over the jump */
		len = now[0] == (0x70 | ((s->own[1] ^ 1) & 0xf)) && now[1] == s->len - 2
			      ? indirect_len(now + 2, s->len - 2, reg, 0xe0)
			      : 0;
		return len && is_unused(now + 2 + len, s->len - 2 - len);
	}
	len = indirect_len(now, s->len, reg, call ? 0xd0 : 0xe0);
	if (len)
		return call ? is_idle(now + len, s->len - len) : is_unused(now + len, s->len - len);
	return now[0] == (call ? CALL_REL : JMP_REL) &&
	       is_other_thunk(s, target_at(now, s->at), reg) &&
	       is_idle(now + NEAR_LEN, s->len - NEAR_LEN);
}

/* patch_return(): RET, or a jump to the one thunk that this CPU needs */
static bool fits_return(const struct text_site *s)
{
	u64 to = target_at(s->now, s->at);

	if (is_own(s) || (s->now[0] == RET && is_unused(s->now + 1, s->len - 1)))
		return true;
	return s->now[0] == JMP_REL && s->is_code(to) && s->is_first(s, to);
}

/*
 * A jump by 8 bits to where the replacement jumps by 32, and NOPs (recompute_jump(), up to 6.2) or
 * INT3 (apply_relocation()).
 */
static bool is_shortened(const struct text_site *s, u32 len)
{
	u8 opcode;

	return len == NEAR_LEN && s->len >= 2 && s->now[0] == JMP_SHORT &&
	       s->expect(s, 1, &opcode, 1) && opcode == JMP_REL &&
	       s->refers(s, 1, 1, s->at + 2 + (u64)(s64)(signed char)s->now[1] - 4) &&
	       is_unused(s->now + 2, s->len - 2);
}

static bool fits_alternative(const struct text_site *s)
{
	u32 len = alt_lengths(s)[1], flags = s->entry_size == ALT_6_3 ? s->entry[ALT_FLAGS] : 0;
	u8 code[TEXT_SITE_MAX];

	if (is_own(s) || is_shortened(s, len))
		return true;
	if (flags & ALT_CALL_FLAG)
		return leads_to_code(s, CALL_REL) || is_idle(s->now, s->len);
	if (len > s->len || (len && !s->expect(s, 1, code, len)))
		return false;
	memset(code + len, NOP, s->len - len);
	return is_same(code, s->now, s->len);
}

static bool fits_key(const struct text_site *s)
{
	u64 to = s->address(s, 1);

	if (nop_len(s->now, s->len) == s->len)
		return true;
	if (s->len == 2)
		return s->now[0] == JMP_SHORT && s->at + 2 + (u64)(s64)(signed char)s->now[1] == to;
	return s->now[0] == JMP_REL && target_at(s->now, s->at) == to;
}

/* __static_call_transform(): a call or jump, RET, a NOP of one kind or another, or WARN()'s trap */
static bool fits_static_call(const struct text_site *s)
{
	static const u8 zero[] = {CS, CS, CS, 0x31, 0xc0};	 /* XOR EAX, EAX */
	static const u8 warn[] = {0x67, 0x48, 0x0f, 0xb9, 0x3a}; /* UD1 RDI, [EDX] */
	const u8 *now = s->now;

	if (is_own(s) || is_idle(now, s->len))
		return true;
	if (s->len != NEAR_LEN)
		return s->own[0] == 0x0f && now[0] == s->own[0] && now[1] == s->own[1] &&
		       s->is_code(target_at(now + 1, s->at + 1));
	if (now[0] == s->own[0] && s->is_code(target_at(now, s->at)))
		return true;
	return s->own[0] == CALL_REL ? !memcmp(now, zero, NEAR_LEN) || !memcmp(now, warn, NEAR_LEN)
				     : now[0] == RET && is_unused(now + 1, s->len - 1);
}

static bool fits_trampoline(const struct text_site *s)
{
	const u8 *now = s->now;

	if (is_own(s))
		return true;
	if (memcmp(now + NEAR_LEN, s->own + NEAR_LEN, s->len - NEAR_LEN) != 0)
		return false;
	return now[0] == JMP_REL ? s->is_code(target_at(now, s->at))
				 : now[0] == RET && is_unused(now + 1, NEAR_LEN - 1);
}

static bool fits_tracer(const struct text_site *s)
{
	return is_own(s) || is_idle(s->now, s->len) || leads_to_code(s, CALL_REL) ||
	       leads_to_code(s, JMP_REL);
}

/* ENDBR64, or what it becomes where nothing jumps to it */
static bool fits_sealed(const struct text_site *s)
{
	static const u8 sealed[2][4] = {{0x66, 0x0f, 0x1f, 0x00}, {0x0f, 0x1f, 0x40, 0xd6}};

	return !memcmp(s->now, s->own, 4) || !memcmp(s->now, sealed[0], 4) ||
	       !memcmp(s->now, sealed[1], 4);
}

bool arch_text_site_fits(const struct text_site *s)
{
	switch (s->kind) {
	case KIND_RETPOLINE:
		return fits_retpoline(s);
	case KIND_RETURN:
		return fits_return(s);
	case KIND_PARAVIRT:
		return is_own(s) || is_idle(s->now, s->len) || leads_to_code(s, CALL_REL);
	case KIND_ALTERNATIVE:
		return fits_alternative(s);
	case KIND_KEY:
		return fits_key(s);
	case KIND_STATIC_CALL:
		return fits_static_call(s);
	case KIND_TRAMPOLINE:
		return fits_trampoline(s);
	case KIND_TRACER:
		return fits_tracer(s);
	case KIND_LOCK:
		return s->own[0] == LOCK && (s->now[0] == LOCK || s->now[0] == DS);
	case KIND_SEALED:
		return fits_sealed(s);
	}
	return false;
}

bool arch_text_is_probe(const u8 *text, u64 at, u64 size)
{
	return at < size && (text[at] == INT3 || text[at] == JMP_REL);
}

/* SAR QWORD PTR GS:[...], 5: arch/x86/kernel/callthunks.c. The value of a call is 4 less than its
 * target. */
bool arch_text_counts_calls(const u8 code[TEXT_CALLED_LEN])
{
	static const u8 gs_sar[] = {0x65, 0x48, 0xc1};

	return !memcmp(code + 4, gs_sar, sizeof(gs_sar)) && (code[7] == 0x3c || code[7] == 0x3d);
}
