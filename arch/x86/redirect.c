/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirects on x86-64: `jmp rel32` where it reaches (modules lie within 2 GiB of the kernel, so
 * between kernel and payload it always does), else `jmp *0(%rip)` with the target behind it. Both
 * change the instruction pointer and nothing else.
 *
 * A static key among the jump's bytes stays unchanged: NOPs precede it, and both the instruction
 * after it and its target are places where the redirect must continue: see follow(). The jump
 * cannot be placed over a static call, nor around it, since the call would be executed; nor over
 * the end of the function. There a `jmp rel8` jumps to the padding before a function, which holds
 * the long jump.
 */
#include "arch/redirect.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/redirect.h"
#include <suture/abi.h>
#include <Zydis/Zydis.h>

#define NEAR_LEN  5
#define FAR_LEN	  14
#define SHORT_LEN 2
#define SITE_LEN  5  /* of the call to __fentry__ */
#define INSN_MAX  15 /* longest instruction */
#define ALIGNMENT 16 /* of functions */

#define INT3	  0xcc
#define NOP	  0x90
#define CALL_REL  0xe8
#define JMP_REL	  0xe9
#define JMP_SHORT 0xeb

/* The first bytes of a function with a landing pad: ENDBR64, or what Linux replaces it by. */
#define PAD_LEN 4
static const u8 landing_pads[][PAD_LEN] = {
	{0xf3, 0x0f, 0x1e, 0xfa},
	{0x66, 0x0f, 0x1f, 0x00}, /* sealed at boot, since its address is not taken (6.12) */
	{0x0f, 0x1f, 0x40, 0xd6}, /* the same (7.2) */
};

/* First bytes that cannot begin a function: padding, or memory without code. */
static const u8 not_code[][2] = {{0x00, 0x00}, {0xcc, 0xcc}, {0xff, 0xff}};

/* The padding that assemblers put between functions, besides single NOPs and INT3. */
static const struct {
	u8 len, bytes[11];
} fillers[] = {
	{11, {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84}},
	{10, {0x66, 0x2e, 0x0f, 0x1f, 0x84}},
	{9, {0x66, 0x0f, 0x1f, 0x84}},
	{8, {0x0f, 0x1f, 0x84}},
	{7, {0x0f, 0x1f, 0x80}},
	{6, {0x66, 0x0f, 0x1f, 0x44}},
	{5, {0x0f, 0x1f, 0x44}},
	{4, {0x0f, 0x1f, 0x40}},
	{3, {0x0f, 0x1f, 0x00}},
	{2, {0x66, 0x90}},
	{1, {NOP}},
	{1, {INT3}},
};

static bool starts_with(const u8 *code, size_t size, const u8 *bytes, size_t len)
{
	return size >= len && memcmp(code, bytes, len) == 0;
}

/* ---- instructions ---- */

struct insn {
	size_t len; /* 0: it cannot be decoded */
	bool ends;  /* execution does not continue after it */
	bool nop;
};

static struct insn decode(const u8 *code, size_t size)
{
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, &insn)))
		return (struct insn){0};
	return (struct insn){
		.len = insn.length,
		.ends = insn.mnemonic == ZYDIS_MNEMONIC_RET ||
			insn.mnemonic == ZYDIS_MNEMONIC_JMP || insn.mnemonic == ZYDIS_MNEMONIC_UD2,
		.nop = insn.mnemonic == ZYDIS_MNEMONIC_NOP,
	};
}

static bool near_reaches(u64 from, u64 to)
{
	s64 displacement = (s64)(to - (from + NEAR_LEN));

	return displacement == (s32)displacement;
}

static u32 jump_len(u64 from, u64 to)
{
	return near_reaches(from, to) ? NEAR_LEN : FAR_LEN;
}

static void encode(u64 from, u64 to, u8 *buf)
{
	static const u8 jmp_indirect[] = {0xff, 0x25, 0x00, 0x00, 0x00, 0x00};
	s32 displacement = (s32)(to - (from + NEAR_LEN));

	if (near_reaches(from, to)) {
		buf[0] = JMP_REL;
		memcpy(buf + 1, &displacement, sizeof(displacement));
		return;
	}
	memcpy(buf, jmp_indirect, sizeof(jmp_indirect));
	memcpy(buf + sizeof(jmp_indirect), &to, sizeof(to));
}

bool arch_site_is_on(const u8 code[ARCH_SITE_LEN])
{
	return code[0] == CALL_REL || code[0] == JMP_REL || code[0] == INT3;
}

bool arch_is_breakpoint(const u8 *code, size_t len, size_t at)
{
	return at < len && code[at] == INT3;
}

u32 arch_patch_unit(void)
{
	return 1;
}

u64 arch_redirect_jump(const u8 *code, size_t len, u64 at)
{
	s32 displacement;

	for (size_t i = 0, n; i < len; i += n) {
		n = decode(code + i, len - i).len;
		if (!n)
			break;
		if (code[i] != JMP_REL)
			continue;
		memcpy(&displacement, code + i + 1, sizeof(displacement));
		return at + i + NEAR_LEN + (u64)(s64)displacement;
	}
	return 0;
}

/* ---- the plan ---- */

/* A place where execution may arrive, and from which it must reach the new function. */
struct place {
	u64 at;
	u64 end;  /* the end of the function or part that contains it */
	u32 lead; /* as in struct redirect; 0 only for the start of the function */
};

struct planner {
	const struct redirect_request *q;
	struct place places[REDIRECT_PIECES];
	u32 nr_places;
	struct redirect *pieces;
	u32 nr_pieces;
	u64 padding; /* address of the long jump that short ones reach; 0: there is none yet */
	struct redirect_obstacle *o;
};

static int obstructed(struct planner *p, int err, u64 at, u32 kind)
{
	*p->o = (struct redirect_obstacle){at, kind};
	return err;
}

static u64 site_start(const struct planner *p, const struct suture_decl_site *site)
{
	return p->q->func + (u64)(s64)site->offset;
}

static u64 site_target(const struct planner *p, const struct suture_decl_site *site)
{
	return p->q->func + (u64)(s64)site->target;
}

/* The first key or call that begins in [start, end). */
static const struct suture_decl_site *find_site(const struct planner *p, u64 start, u64 end)
{
	const struct suture_decl_site *first = NULL;

	for (u32 i = 0; i < p->q->nr_sites; i++) {
		const struct suture_decl_site *s = &p->q->sites[i];

		if ((s->kind != SUTURE_SITE_KEY && s->kind != SUTURE_SITE_CALL) ||
		    site_start(p, s) - start >= end - start)
			continue;
		if (!first || s->offset < first->offset)
			first = s;
	}
	return first;
}

/* Check that the piece does not overlap a site. */
static int check_sites(struct planner *p, u64 start, u64 end)
{
	for (u32 i = 0; i < p->q->nr_sites; i++) {
		const struct suture_decl_site *s = &p->q->sites[i];
		u64 at = site_start(p, s);

		if (s->kind != SUTURE_SITE_ENTRY && at < end && start < at + s->len)
			return obstructed(p, s->kind == SUTURE_SITE_PROBE ? -EBUSY : -EILSEQ, at,
					  s->kind);
	}
	return 0;
}

/*
 * `len` bytes of the code at the place are to be replaced: returns the end of the last of these
 * instructions. Bytes that cannot be decoded are not code, and instruction boundaries in them do
 * not matter. INT3 after an instruction that does not continue is the compiler's padding.
 */
static int replaced_len(struct planner *p, const struct place *pl, u32 len, const u8 *code,
			size_t size)
{
	bool reached = true;
	struct insn insn;
	size_t i;

	for (i = 0; i < len; i += insn.len) {
		insn = decode(code + i, size - i);
		if (!insn.len)
			return (int)len;
		if (code[i] == INT3 && reached)
			return obstructed(p, -EBUSY, pl->at + i, 0);
		if (code[i] != INT3)
			reached = !insn.ends;
	}
	return (int)i;
}

/* Add a piece of len bytes at the address, with NOPs after them up to `padded`. */
static int add_piece(struct planner *p, u64 from, u32 lead, const u8 *bytes, u32 len, u32 padded)
{
	struct redirect *r = &p->pieces[p->nr_pieces];
	int err = check_sites(p, from, from + padded);

	if (err)
		return err;
	if (p->nr_pieces == REDIRECT_PIECES || padded > REDIRECT_MAX)
		return -E2BIG;
	*r = (struct redirect){.from = from, .len = padded, .lead = lead};
	memset(r->bytes, NOP, padded);
	memcpy(r->bytes, bytes, len);
	p->nr_pieces++;
	return p->q->read(from, r->old, padded) ? obstructed(p, -EFAULT, from, 0) : 0;
}

/* Put `len` bytes in place of the instructions at the place, padded to the end of the last. */
static int replace(struct planner *p, const struct place *pl, const u8 *bytes, u32 len)
{
	u8 code[REDIRECT_MAX];
	size_t size = MIN(pl->end - pl->at, sizeof(code));
	int padded;

	if (p->q->read(pl->at, code, size))
		return obstructed(p, -EFAULT, pl->at, 0);
	padded = replaced_len(p, pl, len, code, size);
	return padded < 0 ? padded : add_piece(p, pl->at, pl->lead, bytes, len, (u32)padded);
}

/* ---- places ---- */

static int add_place(struct planner *p, u64 at, u64 end, u32 lead)
{
	for (u32 i = 0; i < p->nr_places; i++) {
		struct place *pl = &p->places[i];

		if (pl->at != at)
			continue;
		pl->lead = pl->lead ? MAX(pl->lead, lead) : 0;
		pl->end = MIN(pl->end, end);
		return 0;
	}
	if (p->nr_places == REDIRECT_PIECES)
		return obstructed(p, -E2BIG, at, SUTURE_SITE_KEY);
	p->places[p->nr_places++] = (struct place){at, end, lead};
	return 0;
}

/*
 * True if the bytes are those of a static key. While the guest changes it, it begins with a
 * breakpoint.
 */
static bool is_key(const struct planner *p, u64 at, u32 len)
{
	u8 code[NEAR_LEN];
	struct insn insn;

	if ((len != SHORT_LEN && len != NEAR_LEN) || p->q->read(at, code, len))
		return false;
	if (code[0] == INT3)
		return true;
	insn = decode(code, len);
	return insn.len == len && (insn.nop || code[0] == JMP_REL || code[0] == JMP_SHORT);
}

/*
 * If there is a key where the place's jump would be: add the two places where execution continues.
 */
static int follow(struct planner *p, const struct place *pl)
{
	u64 at = pl->at, end = pl->end, func_end = p->q->func + p->q->size, key, target, target_end;
	const struct suture_decl_site *site = find_site(p, at, at + jump_len(at, p->q->to));
	u32 lead;
	int err;

	if (!site || site->kind != SUTURE_SITE_KEY)
		return 0;
	key = site_start(p, site);
	target = site_target(p, site);
	if (!site->room)
		return obstructed(p, -EOPNOTSUPP, key, SUTURE_SITE_KEY);
	if (!is_key(p, key, site->len))
		return obstructed(p, -EILSEQ, key, SUTURE_SITE_KEY);
	lead = site->len + (key == at ? MAX(pl->lead, 1u) : 1);
	target_end = target - p->q->func < p->q->size ? func_end : target + site->room;
	err = add_place(p, key + site->len, end, lead);
	return err ? err : add_place(p, target, target_end, 1);
}

static void sort_places(struct planner *p)
{
	for (u32 i = 1; i < p->nr_places; i++) {
		struct place place = p->places[i];
		u32 j;

		for (j = i; j && p->places[j - 1].at > place.at; j--)
			p->places[j] = p->places[j - 1];
		p->places[j] = place;
	}
}

/* How the redirect continues from a place. */
struct step {
	enum { STEP_JUMP, STEP_NOPS, STEP_SHORT } kind;
	u64 stop;			     /* NOPS, SHORT: their latest end */
	const struct suture_decl_site *site; /* at `stop`; NULL: the next place, or the end */
};

static struct step step_from(const struct planner *p, u32 i)
{
	const struct place *pl = &p->places[i];
	u32 len = jump_len(pl->at, p->q->to);
	u64 next = i + 1 < p->nr_places ? p->places[i + 1].at : UINT64_MAX;
	const struct suture_decl_site *site = find_site(p, pl->at, pl->at + len);
	u64 stop = site ? site_start(p, site) : UINT64_MAX;

	if (next <= stop && next - pl->at < len)
		return (struct step){STEP_NOPS, next, NULL};
	if (site && site->kind == SUTURE_SITE_KEY)
		return (struct step){STEP_NOPS, stop, site};
	if (pl->end - pl->at < len && pl->end <= stop)
		return (struct step){STEP_SHORT, pl->end, NULL};
	if (site)
		return (struct step){STEP_SHORT, stop, site};
	return (struct step){STEP_JUMP, 0, NULL};
}

static u32 place_index(const struct planner *p, u64 at)
{
	u32 i = 0;

	while (i < p->nr_places && p->places[i].at != at)
		i++;
	return i;
}

/* True if the places after the NOPs of this step reach a jump. */
static bool leads_on(const struct planner *p, const struct step *s, const bool *well)
{
	if (s->kind != STEP_NOPS)
		return true;
	if (!s->site)
		return well[place_index(p, s->stop)];
	return well[place_index(p, s->stop + s->site->len)] &&
	       well[place_index(p, site_target(p, s->site))];
}

/*
 * True if every path from the place at `at` reaches a jump. A loop that contains only a key does
 * not: with NOPs in it the guest would never leave it.
 */
static bool gets_on(const struct planner *p, u64 at)
{
	bool well[REDIRECT_PIECES + 1] = {false};

	for (u32 round = 0; round < p->nr_places; round++) {
		for (u32 i = 0; i < p->nr_places; i++) {
			struct step s = step_from(p, i);

			well[i] = leads_on(p, &s, well);
		}
	}
	return well[place_index(p, at)];
}

/* ---- from places to pieces ---- */

/* The size of the padding instruction that ends at code + len; 0: there is none. */
static size_t filler_before(const u8 *code, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
		if (len >= fillers[i].len &&
		    memcmp(code + len - fillers[i].len, fillers[i].bytes, fillers[i].len) == 0)
			return fillers[i].len;
	return 0;
}

/*
 * The padding before a function, on the same page, if it has room for a long jump. Execution does
 * not reach it, since a function begins after it. Returns its length; 0: there is not enough.
 */
static u32 padding_before(const struct planner *p, u64 func)
{
	u8 code[ALIGNMENT];
	size_t at = sizeof(code), n;

	if (func % PAGE_SIZE < sizeof(code) || p->q->read(func - sizeof(code), code, sizeof(code)))
		return 0;
	while (sizeof(code) - at < NEAR_LEN && (n = filler_before(code, at)))
		at -= n;
	return sizeof(code) - at < NEAR_LEN ? 0 : (u32)(sizeof(code) - at);
}

static bool short_reaches(u64 from, u64 to)
{
	s64 displacement = (s64)(to - (from + SHORT_LEN));

	return displacement == (signed char)displacement;
}

/* Put the long jump before the function, if a short one at `from` reaches it. */
static int use_padding(struct planner *p, u64 from, u64 func)
{
	u32 len = padding_before(p, func);
	u8 jump[FAR_LEN];
	int err;

	if (!len || !short_reaches(from, func - len) || !near_reaches(func - len, p->q->to) ||
	    !p->q->is_free(func - len, func, p->q->arg))
		return -ENOSPC;
	encode(func - len, p->q->to, jump);
	err = add_piece(p, func - len, 1, jump, NEAR_LEN, len);
	if (!err)
		p->padding = func - len;
	return err;
}

/* Use the padding before this function, or before one next to it. */
static int find_padding(struct planner *p, u64 from)
{
	int err = p->padding ? 0 : use_padding(p, from, p->q->func);

	for (u32 i = 0; err == -ENOSPC && i < p->q->nr_sites; i++)
		if (p->q->sites[i].kind == SUTURE_SITE_ENTRY)
			err = use_padding(p, from, site_start(p, &p->q->sites[i]));
	return !err && !short_reaches(from, p->padding) ? -ENOSPC : err;
}

/*
 * Add a short jump, with NOPs up to the site that leaves no room for a long one, and the long jump
 * elsewhere.
 */
static int add_short(struct planner *p, const struct place *pl, const struct step *s)
{
	u32 len = (u32)(s->stop - pl->at);
	u8 code[REDIRECT_MAX];
	/*
	 * assembly (no ftrace site) may continue after its symbol's end, or be entered from the
	 * code before it
	 */
	bool compiled = p->q->site != SUTURE_NONE;
	int err = len < SHORT_LEN || !compiled ? -ENOSPC : find_padding(p, pl->at);

	if (err == -ENOSPC)
		return obstructed(p, s->site ? -EOPNOTSUPP : err, s->stop,
				  s->site ? s->site->kind : 0);
	if (err)
		return err;
	memset(code, NOP, sizeof(code));
	code[0] = JMP_SHORT;
	code[1] = (u8)(p->padding - (pl->at + SHORT_LEN));
	return replace(p, pl, code, len);
}

static int lay(struct planner *p, u32 i)
{
	const struct place *pl = &p->places[i];
	struct step s = step_from(p, i);
	u8 code[REDIRECT_MAX];

	switch (s.kind) {
	case STEP_NOPS:
		memset(code, NOP, sizeof(code));
		return s.stop == pl->at ? 0 : replace(p, pl, code, (u32)(s.stop - pl->at));
	case STEP_SHORT:
		return add_short(p, pl, &s);
	default:
		encode(pl->at, p->q->to, code);
		return replace(p, pl, code, jump_len(pl->at, p->q->to));
	}
}

/* ---- where it begins ---- */

/*
 * The ftrace site is at the entry or after the landing pad, whose bytes a kprobe may have changed.
 * It holds a NOP, a call, on newer kernels a jump to a BPF trampoline, or, while it is changed, a
 * breakpoint.
 */
static bool is_ftrace_site(const u8 *code, size_t size, u32 site)
{
	static const u8 first[] = {0x0f, 0x66, CALL_REL, JMP_REL, INT3};

	return (site == 0 || site == PAD_LEN) && size >= site + SITE_LEN &&
	       memchr(first, code[site], sizeof(first));
}

/* The offset after the landing pad and the ftrace site, or -EILSEQ. */
static int entry_offset(const u8 *code, size_t size, u32 site)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_code); i++)
		if (starts_with(code, size, not_code[i], sizeof(not_code[i])))
			return -EILSEQ;
	if (site != SUTURE_NONE)
		return is_ftrace_site(code, size, site) ? (int)site + SITE_LEN : -EILSEQ;
	for (size_t i = 0; i < ARRAY_SIZE(landing_pads); i++)
		if (starts_with(code, size, landing_pads[i], PAD_LEN))
			return PAD_LEN;
	return 0;
}

static int add_entry(struct planner *p)
{
	u8 code[PAD_LEN + SITE_LEN];
	size_t size = MIN(p->q->size, sizeof(code));
	int offset;

	if (p->q->read(p->q->func, code, size))
		return obstructed(p, -EFAULT, p->q->func, 0);
	offset = entry_offset(code, size, p->q->site);
	if (offset < 0)
		return obstructed(p, offset, p->q->func, 0);
	if ((u32)offset > p->q->size)
		return obstructed(p, -ENOSPC, p->q->func + p->q->size, 0);
	return add_place(p, p->q->func + (u32)offset, p->q->func + p->q->size, 0);
}

int arch_redirect_plan(const struct redirect_request *q, struct redirect *pieces,
		       struct redirect_obstacle *o)
{
	struct planner p = {.q = q, .pieces = pieces, .o = o};
	u64 entry;
	int err = add_entry(&p);

	entry = p.places[0].at;
	for (u32 i = 0; !err && i < p.nr_places; i++)
		err = follow(&p, &p.places[i]);
	sort_places(&p);
	if (!err && !gets_on(&p, entry))
		err = obstructed(&p, -EOPNOTSUPP, entry, SUTURE_SITE_KEY);
	for (u32 i = 0; !err && i < p.nr_places; i++)
		err = lay(&p, i);
	return err ? err : (int)p.nr_pieces;
}
