/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirects on arm64. Every instruction has four bytes, so a piece replaces whole instructions, and
 * a static key is either at a place or not at it.
 *
 * `b` where it reaches, 128 MiB. Linux puts modules within 2 GiB of the kernel: a payload may be
 * farther away. Then one veneer, `adrp x16; add x16, x16; br x16`, lies in the function itself,
 * whose code nobody executes any more, or where that is too short in the padding at the end of the
 * kernel's text; all else leads to it. No literal is loaded: a read of
 * the page gives the guest's own bytes where stage 2 lets its copy only be executed.
 *
 * The redirect replaces what is behind the landing pad and the patchable NOPs. That is PACIASP
 * where the kernel signs return addresses, so the new function gets the link register as it was.
 */
#include "arch/redirect.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "stage2/redirect.h"
#include <suture/abi.h>

#define VENEER_LEN (3 * INSN_LEN)

/* The ftrace_ops pointer in front of a function: CALL_OPS, Linux 6.4 and later. */
#define OPS_LEN 8u

static u32 insn_at(const u8 *code)
{
	u32 insn;

	memcpy(&insn, code, sizeof(insn));
	return insn;
}

u32 arch_patch_unit(void)
{
	return INSN_LEN;
}

bool arch_site_is_on(const u8 code[ARCH_SITE_LEN])
{
	return insn_is_branch(insn_at(code));
}

bool arch_is_breakpoint(const u8 *code, size_t len, size_t at)
{
	at = ALIGN_DOWN(at, INSN_LEN);
	return at + INSN_LEN <= len && insn_is_breakpoint(insn_at(code + at));
}

u64 arch_redirect_jump(const u8 *code, size_t len, u64 at)
{
	for (size_t i = 0; i + INSN_LEN <= len; i += INSN_LEN)
		if (insn_is_b(insn_at(code + i)))
			return insn_branch_target(insn_at(code + i), at + i);
	return 0;
}

/* ---- the plan ---- */

/* Whoever comes here must get to the new function. */
struct place {
	u64 at;
	u64 end;  /* of the code that it is in */
	u32 lead; /* as in struct redirect; 0 only for where the function begins */
	const struct suture_decl_site *key; /* the key that is here, or NULL */
};

struct planner {
	const struct redirect_request *q;
	u64 end; /* of the function */
	struct place places[REDIRECT_PIECES];
	u32 nr_places;
	struct redirect *pieces;
	u32 nr_pieces;
	u64 veneer; /* where it is; 0: B reaches from every place */
	struct redirect_obstacle *o;
};

static int obstructed(struct planner *p, int err, u64 at, u32 kind)
{
	*p->o = (struct redirect_obstacle){at, kind};
	return err;
}

static int read_insn(struct planner *p, u64 at, u32 *insn)
{
	u8 code[INSN_LEN];

	if (at % INSN_LEN)
		return obstructed(p, -EILSEQ, at, 0);
	if (p->q->read(at, code, sizeof(code)))
		return obstructed(p, -EFAULT, at, 0);
	*insn = insn_at(code);
	return 0;
}

static u64 site_start(const struct planner *p, const struct suture_decl_site *site)
{
	return p->q->func + (u64)(s64)site->offset;
}

static u64 site_target(const struct planner *p, const struct suture_decl_site *site)
{
	return p->q->func + (u64)(s64)site->target;
}

/* The first of the guest's sites in [start, end). */
static const struct suture_decl_site *find_site(const struct planner *p, u64 start, u64 end)
{
	const struct suture_decl_site *first = NULL;

	for (u32 i = 0; i < p->q->nr_sites; i++) {
		const struct suture_decl_site *s = &p->q->sites[i];
		u64 at = site_start(p, s);

		if (s->kind == SUTURE_SITE_ENTRY || at >= end || start >= at + s->len)
			continue;
		if (!first || s->offset < first->offset)
			first = s;
	}
	return first;
}

static int site_in_the_way(struct planner *p, const struct suture_decl_site *site)
{
	return obstructed(p, site->kind == SUTURE_SITE_PROBE ? -EBUSY : -EOPNOTSUPP,
			  site_start(p, site), site->kind);
}

/* ---- places ---- */

static int add_place(struct planner *p, u64 at, u64 end, u32 lead)
{
	if (at % INSN_LEN)
		return obstructed(p, -EILSEQ, at, SUTURE_SITE_KEY);
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
	p->places[p->nr_places++] = (struct place){.at = at, .end = end, .lead = lead};
	return 0;
}

/* A static key is a NOP or a B, changed in one store. */
static int check_key(struct planner *p, const struct suture_decl_site *key)
{
	u64 at = site_start(p, key);
	u32 insn;
	int err = read_insn(p, at, &insn);

	if (!key->room)
		return obstructed(p, -EOPNOTSUPP, at, SUTURE_SITE_KEY);
	if (!err && (key->len != INSN_LEN || (insn != INSN_NOP && !insn_is_b(insn))))
		err = obstructed(p, -EILSEQ, at, SUTURE_SITE_KEY);
	return err;
}

/* A key at the place stays the guest's: the two places to which it leads take over. */
static int follow(struct planner *p, struct place *pl)
{
	const struct suture_decl_site *site = find_site(p, pl->at, pl->at + INSN_LEN);
	u64 target, end = pl->end;
	int err;

	if (!site || MUTATION(keys_stay))
		return pl->at + INSN_LEN <= end ? 0 : obstructed(p, -ENOSPC, end, 0);
	if (site->kind != SUTURE_SITE_KEY)
		return site_in_the_way(p, site);
	err = check_key(p, site);
	if (err)
		return err;
	pl->key = site;
	target = site_target(p, site);
	err = add_place(p, pl->at + INSN_LEN, end, INSN_LEN + MAX(pl->lead, 1u));
	if (err)
		return err;
	return add_place(p, target, target - p->q->func < p->q->size ? p->end : target + site->room,
			 1);
}

static bool is_well(const struct planner *p, const bool *well, u64 at)
{
	for (u32 i = 0; i < p->nr_places; i++)
		if (p->places[i].at == at)
			return well[i];
	return false;
}

/* Is there an end to the keys on every way? In a loop of keys alone the guest would go round. */
static int check_loops(struct planner *p)
{
	bool well[REDIRECT_PIECES] = {false};

	for (u32 round = 0; round < p->nr_places; round++) {
		for (u32 i = 0; i < p->nr_places; i++) {
			const struct place *pl = &p->places[i];

			well[i] = !pl->key || (is_well(p, well, pl->at + INSN_LEN) &&
					       is_well(p, well, site_target(p, pl->key)));
		}
	}
	for (u32 i = 0; i < p->nr_places; i++)
		if (!well[i] && !MUTATION(loops_of_keys))
			return obstructed(p, -EOPNOTSUPP, p->places[i].at, SUTURE_SITE_KEY);
	return 0;
}

/* ---- the veneer ---- */

static bool needs_veneer(const struct planner *p)
{
	for (u32 i = 0; i < p->nr_places; i++)
		if (!p->places[i].key && !insn_b_reaches(p->places[i].at, p->q->to))
			return true;
	return false;
}

/* The first place inside a veneer at that address, where code that comes to the place would be. */
static u64 place_inside(const struct planner *p, u64 veneer)
{
	u64 first = 0;

	for (u32 i = 0; i < p->nr_places; i++) {
		u64 at = p->places[i].at;

		if (at > veneer && at < veneer + VENEER_LEN && (!first || at < first))
			first = at;
	}
	return first;
}

/*
 * Room for the veneer, from the place on. What the agent looked at suffices: behind each key, and
 * at each target, it has looked at a veneer's length. 0: there is none, and p->o says why.
 */
static int find_room(struct planner *p, const struct place *pl)
{
	const struct suture_decl_site *last = NULL;
	u64 at = pl->at;

	while (at + VENEER_LEN <= pl->end) {
		const struct suture_decl_site *site = find_site(p, at, at + VENEER_LEN);
		u64 inside = place_inside(p, at);

		if (site && site->kind != SUTURE_SITE_KEY)
			return site_in_the_way(p, site);
		if ((!site && !inside) || MUTATION(veneer_room)) {
			p->veneer = at;
			return 0;
		}
		at = site ? site_start(p, site) + site->len : inside;
		last = site ? site : last;
	}
	return last ? site_in_the_way(p, last) : obstructed(p, -ENOSPC, pl->end, 0);
}

/* A veneer's place in the padding, and the least of that which is left below. */
#define TAIL_SLOT 16ull
#define TAIL_REST 64ull
#define TAIL_MAX  65536ull /* Linux: SEGMENT_ALIGN */

/* Zeros: no instruction (UDF #0), nor data that code in front of them has at its end. */
static bool is_padding(struct planner *p, u64 slot)
{
	u8 code[TAIL_REST + TAIL_SLOT];

	if (p->q->read(slot - TAIL_REST, code, sizeof(code)))
		return false;
	for (u32 i = 0; i < sizeof(code); i++)
		if (code[i])
			return false;
	return true;
}

/* Where the function has no room: at the end of the kernel's text, which B reaches. */
static bool find_tail(struct planner *p)
{
	u64 end = ALIGN_DOWN(p->q->text_end, TAIL_SLOT);

	for (u64 at = end - TAIL_SLOT; p->q->text_end && end - at <= TAIL_MAX && is_padding(p, at);
	     at -= TAIL_SLOT) {
		if (!p->q->is_free(at, at + VENEER_LEN, p->q->arg) && !MUTATION(shared_padding))
			continue;
		p->veneer = at;
		return true;
	}
	return false;
}

static int find_veneer(struct planner *p)
{
	int err = 0;

	for (u32 i = 0; i < p->nr_places; i++) {
		if (p->places[i].key)
			continue;
		err = find_room(p, &p->places[i]);
		if (!err)
			break;
	}
	if (err && find_tail(p))
		err = 0;
	if (!err && !insn_adrp_reaches(p->veneer, p->q->to))
		err = obstructed(p, -ERANGE, p->veneer, 0);
	return err;
}

/*
 * BR X16 asks for a landing pad at its target if BTI guards the page. Functions that are only
 * called by name have none: RET needs none (Arm ARM D8.4.5), but costs a wrong prediction.
 */
static int encode_veneer(struct planner *p, u8 *bytes)
{
	u64 to = p->q->to;
	u32 code[3], first;
	int err = read_insn(p, to, &first);

	code[0] = insn_adrp_ip0(p->veneer, to);
	code[1] = INSN_ADD_IP0 | (u32)(to % PAGE_SIZE) << 10;
	code[2] = err || (!insn_is_landing_pad(first) && !MUTATION(padless_target)) ? INSN_RET_IP0
										    : INSN_BR_IP0;
	memcpy(bytes, code, sizeof(code));
	return err;
}

/* ---- from places to pieces ---- */

/* The instructions that a piece replaces: nobody's breakpoint may be on them. */
static int read_old(struct planner *p, struct redirect *r)
{
	if (p->q->read(r->from, r->old, r->len))
		return obstructed(p, -EFAULT, r->from, 0);
	for (u32 i = 0; i < r->len; i += INSN_LEN)
		if (arch_is_breakpoint(r->old, r->len, i))
			return obstructed(p, -EBUSY, r->from + i, 0);
	return 0;
}

static int add_piece(struct planner *p, u64 from, u32 lead, const u8 *bytes, u32 len)
{
	struct redirect *r = &p->pieces[p->nr_pieces];

	if (p->nr_pieces == REDIRECT_PIECES)
		return obstructed(p, -E2BIG, from, SUTURE_SITE_KEY);
	*r = (struct redirect){.from = from, .len = len, .lead = lead};
	memcpy(r->bytes, bytes, len);
	p->nr_pieces++;
	return read_old(p, r);
}

static int add_insn(struct planner *p, u64 from, u32 lead, u32 insn)
{
	u8 bytes[INSN_LEN];

	memcpy(bytes, &insn, sizeof(bytes));
	return add_piece(p, from, lead, bytes, sizeof(bytes));
}

static int add_veneer(struct planner *p, u32 lead)
{
	u8 bytes[VENEER_LEN];
	int err = encode_veneer(p, bytes);

	return err ? err : add_piece(p, p->veneer, lead, bytes, sizeof(bytes));
}

static int lay(struct planner *p, const struct place *pl)
{
	u64 to = p->veneer ? p->veneer : p->q->to;

	if (pl->key)
		return 0;
	if (pl->at == p->veneer)
		return add_veneer(p, pl->lead);
	if (!insn_b_reaches(pl->at, to))
		return obstructed(p, -ERANGE, pl->at, 0);
	return add_insn(p, pl->at, pl->lead, insn_b(pl->at, to));
}

static bool is_place(const struct planner *p, u64 at)
{
	for (u32 i = 0; i < p->nr_places; i++)
		if (p->places[i].at == at)
			return true;
	return false;
}

static int lay_places(struct planner *p)
{
	int err = needs_veneer(p) ? find_veneer(p) : 0;

	for (u32 i = 0; !err && i < p->nr_places; i++)
		err = lay(p, &p->places[i]);
	if (!err && p->veneer && !is_place(p, p->veneer))
		err = add_veneer(p, 1);
	return err;
}

/* ---- where it begins ---- */

/*
 * kallsyms counts what is in front of the next function to this one: an ftrace_ops pointer, or the
 * NOPs that hold its place. Code that the compiler makes holds no such words.
 */
static u64 function_end(const struct planner *p)
{
	u64 end = ALIGN_DOWN(p->q->func + p->q->size, INSN_LEN), at = end - OPS_LEN;
	u8 code[OPS_LEN];
	u32 low, high;

	if (MUTATION(ops_pointer) || p->q->size < OPS_LEN || at % OPS_LEN ||
	    p->q->read(at, code, sizeof(code)))
		return end;
	low = insn_at(code);
	high = insn_at(code + INSN_LEN);
	return (low == INSN_NOP && high == INSN_NOP) || high >> 20 == 0xfff ? at : end;
}

/*
 * Two instructions, the second of which ftrace turns into a BL, at the entry or behind the landing
 * pad (Linux: arch/arm64/kernel/ftrace.c). The first is MOV X9, X30 once ftrace has been set up.
 */
static int check_site(struct planner *p)
{
	u32 site = p->q->site, first, second;
	u64 at = p->q->func + site;
	int err;

	if (site != INSN_LEN && site != 2 * INSN_LEN)
		return obstructed(p, -EILSEQ, at, 0);
	err = read_insn(p, at - INSN_LEN, &first);
	if (!err)
		err = read_insn(p, at, &second);
	if (err)
		return err;
	if ((first != INSN_NOP && first != INSN_MOV_X9_LR && !insn_is_breakpoint(first)) ||
	    (second != INSN_NOP && !insn_is_branch(second)))
		err = obstructed(p, -EILSEQ, at, 0);
	return err;
}

/*
 * Without a site: behind BTI. PACIASP at the entry is the landing pad, for which BTI stands in:
 * then who is behind it in the original has a signed link register, and is not at the entry any
 * more.
 */
static int add_first_place(struct planner *p, u32 first)
{
	u64 func = p->q->func;
	int err;

	if (first == INSN_BTI_C || first == INSN_BTI_JC)
		return add_place(p, func + INSN_LEN, p->end, 0);
	if (!insn_is_landing_pad(first) || MUTATION(landing_pad))
		return add_place(p, func, p->end, 0);
	err = add_insn(p, func, 0, INSN_BTI_C);
	return err ? err : add_place(p, func + INSN_LEN, p->end, 1);
}

/* UDF, all ones: padding, or memory that holds no function (Arm ARM C4.1). */
static bool is_code(u32 insn)
{
	return insn >> 16 && insn != 0xffffffff;
}

static int add_entry(struct planner *p)
{
	u32 first;
	int err = read_insn(p, p->q->func, &first);

	if (err)
		return err;
	if (!is_code(first))
		return obstructed(p, -EILSEQ, p->q->func, 0);
	p->end = function_end(p);
	if (p->q->site == SUTURE_NONE)
		return add_first_place(p, first);
	err = check_site(p);
	return err ? err : add_place(p, p->q->func + p->q->site + INSN_LEN, p->end, 0);
}

int arch_redirect_plan(const struct redirect_request *q, struct redirect *pieces,
		       struct redirect_obstacle *o)
{
	struct planner p = {.q = q, .pieces = pieces, .o = o};
	int err = add_entry(&p);

	for (u32 i = 0; !err && i < p.nr_places; i++)
		err = follow(&p, &p.places[i]);
	if (!err)
		err = check_loops(&p);
	if (!err)
		err = lay_places(&p);
	return err ? err : (int)p.nr_pieces;
}
