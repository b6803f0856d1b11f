/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/redirect.h"
#include <suture/abi.h>

static int refuse(struct redirect_obstacle *o, int err, u64 at, u32 kind)
{
	*o = (struct redirect_obstacle){at, kind};
	return err;
}

/* Add a piece with the bytes that are there; they must hold no breakpoint or probe. */
static int add(const struct redirect_request *q, struct redirect *r, struct redirect_obstacle *o)
{
	if (q->read(r->from, r->old, r->len))
		return refuse(o, -EFAULT, r->from, 0);
	for (u32 i = 0; i < r->len; i++)
		if (r->old[i] == FAKE_BREAKPOINT)
			return refuse(o, -EBUSY, r->from + i, 0);
	for (u32 i = 0; i < q->nr_sites; i++) {
		u64 at = q->func + (u64)(s64)q->sites[i].offset;

		if (at < r->from + r->len && r->from < at + q->sites[i].len)
			return refuse(o,
				      q->sites[i].kind == SUTURE_SITE_PROBE ? -EBUSY : -EOPNOTSUPP,
				      at, q->sites[i].kind);
	}
	return 0;
}

static struct redirect jump(u64 from, u64 to, u32 lead)
{
	struct redirect r = {.from = from, .len = FAKE_REDIRECT_LEN, .lead = lead};

	r.bytes[0] = FAKE_JUMP;
	memcpy(r.bytes + 1, &to, sizeof(to));
	return r;
}

/* The key whose first byte is among those of the jump. */
static const struct suture_decl_site *find_key(const struct redirect_request *q, u64 from)
{
	for (u32 i = 0; i < q->nr_sites; i++)
		if (q->sites[i].kind == SUTURE_SITE_KEY &&
		    q->func + (u64)(s64)q->sites[i].offset - from < FAKE_REDIRECT_LEN)
			return &q->sites[i];
	return NULL;
}

int arch_redirect_plan(const struct redirect_request *q, struct redirect *pieces,
		       struct redirect_obstacle *o)
{
	u64 from = q->func + (q->site == SUTURE_NONE ? 0 : FAKE_SITE_LEN);
	const struct suture_decl_site *key = find_key(q, from);
	int n = 0, err = 0;
	u64 at;
	u8 first;

	if (q->read(q->func, &first, 1))
		return refuse(o, -EFAULT, q->func, 0);
	if (!first)
		return refuse(o, -EILSEQ, q->func, 0);
	if (from + FAKE_REDIRECT_LEN > q->func + q->size)
		return refuse(o, -ENOSPC, q->func + q->size, 0);
	if (q->func == q->to)
		return refuse(o, -ERANGE, from, 0);
	if (key) {
		at = q->func + (u64)(s64)key->offset;
		if (at != from)
			pieces[n++] = (struct redirect){.from = from, .len = (u32)(at - from)};
		pieces[n++] = jump(at + key->len, q->to, key->len + 1u);
		pieces[n++] = jump(q->func + (u64)(s64)key->target, q->to, 1);
	} else {
		pieces[n++] = jump(from, q->to, 0);
	}
	for (int i = 0; !err && i < n; i++)
		err = add(q, &pieces[i], o);
	return err ? err : n;
}

bool arch_site_is_on(const u8 code[ARCH_SITE_LEN])
{
	return code[0] == FAKE_SITE;
}

bool arch_is_breakpoint(const u8 *code, size_t len, size_t at)
{
	return at < len && code[at] == FAKE_BREAKPOINT;
}

u32 fake_patch_unit = 1;

u32 arch_patch_unit(void)
{
	return fake_patch_unit;
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
