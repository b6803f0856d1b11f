/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/text/text.h"
#include "arch/barrier.h"
#include "arch/time.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/text/image.h"
#include "stage2/pt.h"

/* A change of a key or of a tracer takes the guest no longer. */
#define TRIES	   5
#define BETWEEN_US 2000

static int read_text(struct text_image *im)
{
	for (u64 at = 0; at < im->span; at += PAGE_SIZE) {
		size_t len = (size_t)MIN(im->span - at, (u64)PAGE_SIZE);

		if (guest_fetch(GVA(im->q->start + at), im->now + at, len, PT_EXEC))
			return text_refuse(im, -EFAULT,
					   "the guest does not map the payload's text at %#llx to "
					   "memory that it may execute",
					   im->q->start + at);
	}
	memset(im->judged, 0, im->span);
	return 0;
}

/* ---- relocations outside of sites ---- */

/* What may be the cause of a wrong field, for people. */
static const char *reference_words(const struct text_field *f, const char *otherwise)
{
	u8 code[TEXT_CALLED_LEN];

	if (f->is_code && !guest_read(GVA(f->value), code, sizeof(code)) &&
	    arch_text_counts_calls(code))
		return ": the kernel counts calls; boot it with another value of retbleed= than "
		       "stuff, or the monitor with compare_text=no";
	return otherwise;
}

static int judge_ref(struct text_image *im, const struct text_ref *r, bool judge)
{
	struct elf_section s = elf_section(&im->elf, r->section);
	u64 at = im->at[r->section] + r->offset, from = at - im->q->start;
	const u8 *own = text_own(im, &s) + r->offset;
	struct text_field f;
	int err;

	if (im->judged[from])
		return 0;
	err = text_field(im, r, at, im->now + from, (size_t)(s.size - r->offset), &f);
	if (err)
		return text_refuse(im, -ENOEXEC,
				   "a relocation of type %u at %s+%#llx of the "
				   "payload is not understood",
				   r->type, elf_section_name(&im->elf, &s), r->offset);
	if (!f.size)
		return 0;
	if (!text_agrees(im, r, &f, !judge) && judge)
		return text_refuse(
			im, -EBADMSG,
			"the payload's text at %#llx refers to %#llx, "
			"which the bundle does not%s",
			at, f.value,
			reference_words(&f, text_probe_words(im, from, 1, own, r->offset)));
	for (u32 i = 0; judge && i < f.size; i++) {
		u8 bits = (u8)(f.bits >> 8 * i);

		im->now[from + i] = (u8)((im->now[from + i] & ~bits) | (own[i] & bits));
	}
	return 0;
}

static int walk_refs(struct text_image *im, bool judge)
{
	int r = 0;

	for (u32 i = 0; !r && i < im->nr_refs; i++)
		if (im->at[im->refs[i].section])
			r = judge_ref(im, &im->refs[i], judge);
	return r;
}

/* ---- all other bytes ---- */

static int judge_filler(struct text_image *im, u64 from, u64 to)
{
	u32 len;

	for (; from < to; from += len) {
		len = arch_text_filler(im->now + from, (size_t)(to - from), im->q->start + from);
		if (!len)
			return text_refuse(im, -EBADMSG,
					   "the guest has code at %#llx, where the "
					   "bundle has none",
					   im->q->start + from);
	}
	return 0;
}

static int judge_section(struct text_image *im, const struct elf_section *s, u64 from)
{
	const u8 *own = text_own(im, s), *now = im->now + from;

	if (MUTATION(text_bytes))
		return 0;
	for (u64 i = 0; i < s->size; i++)
		if (own[i] != now[i])
			return text_refuse(im, -EBADMSG,
					   "the payload's text at %#llx (%s+%#llx) "
					   "is %02x in the guest, %02x in the bundle%s",
					   im->q->start + from + i, elf_section_name(&im->elf, s),
					   i, now[i], own[i],
					   text_probe_words(im, from + i, 1, own + i, i));
	return 0;
}

/* Sections are in the order of their addresses. */
static int judge_bytes(struct text_image *im)
{
	u64 end = 0;
	int r = 0;

	for (u32 i = 1; !r && i < im->elf.nr_sections; i++) {
		struct elf_section s = elf_section(&im->elf, i);

		if (!im->at[i])
			continue;
		r = judge_filler(im, end, im->at[i] - im->q->start);
		if (!r)
			r = judge_section(im, &s, im->at[i] - im->q->start);
		end = im->at[i] - im->q->start + s.size;
	}
	return r ? r : judge_filler(im, end, im->span);
}

/* ---- the declaration ---- */

static int judge_functions(struct text_image *im)
{
	const struct bundle *b = im->q->bundle;

	for (u32 i = 0; im->q->funcs && i < b->manifest.nr_funcs; i++) {
		const struct text_func *declared = &im->q->funcs[i];
		struct suture_manifest_func f = bundle_func(b, i);
		const char *name = bundle_string(b, f.name);

		if (f.new_section >= im->elf.nr_sections || !im->at[f.new_section])
			return text_refuse(im, -ENOEXEC,
					   "the bundle does not say where the new "
					   "'%s' is",
					   name);
		if (declared->old_addr && f.old_offset != SUTURE_MANIFEST_UNKNOWN &&
		    declared->old_addr - guest_kernel.layout.text_start != f.old_offset)
			return text_refuse(im, -EBADMSG,
					   "the guest declares '%s' at %#llx, where "
					   "the kernel has something else",
					   name, declared->old_addr);
		if (declared->new_addr != im->at[f.new_section] + f.new_offset)
			return text_refuse(im, -EBADMSG,
					   "the guest declares the new '%s' at "
					   "%#llx, where the bundle has something "
					   "else",
					   name, declared->new_addr);
	}
	return 0;
}

/*
 * References are looked at twice to learn what they tell of symbols, since the lower half of an
 * address may come after the upper one.
 */
static int compare_image(struct text_image *im)
{
	int r = read_text(im);

	text_know_symbols(im);
	if (!r)
		r = text_mark_sites(im);
	if (!r)
		r = walk_refs(im, false);
	if (!r)
		r = walk_refs(im, false);
	if (!r)
		r = walk_refs(im, true);
	if (!r)
		r = text_judge_sites(im);
	return r ? r : judge_bytes(im);
}

static void wait_us(u64 us)
{
	u64 end = arch_time_us() + us;

	while (arch_time_us() < end)
		arch_relax();
}

static int look_once(struct text_image *im)
{
	int r = judge_functions(im);

	return r ? r : compare_image(im);
}

int text_check(const struct text_query *q, char *why, size_t why_size)
{
	struct text_image im = {.q = q, .why = why, .why_size = why_size};
	int r = text_open(&im);

	if (r)
		goto out;
	r = look_once(&im);
	for (u32 i = 1; r == -EBADMSG && i < TRIES; i++) {
		wait_us(BETWEEN_US);
		r = look_once(&im);
	}
out:
	text_close(&im);
	return r;
}
