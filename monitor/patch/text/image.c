/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/text/image.h"
#include "core/pool.h"
#include "guest/kernel.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/sort.h"
#include "lib/string.h"

#define SPAN_MAX (2u * SUTURE_BUNDLE_MAX) /* veneers included */

/* Sections whose size in the file is not that in memory: whoever loads the module sets it. */
static const char *const sized_at_load[] = {".plt", ".text.ftrace_trampoline", ".suture.veneers"};

int text_refuse(struct text_image *im, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vformat(im->why, im->why_size, fmt, ap);
	va_end(ap);
	return err;
}

#define PROBE_BYTES 5u /* that a kprobe writes, at most */

const char *text_probe_words(const struct text_image *im, u64 at, u64 len, const u8 *own,
			     u64 in_front)
{
	u64 before = MIN(in_front, (u64)PROBE_BYTES - 1);

	for (u64 i = at - before; i < at + len; i++)
		if (*(own + i - at) != im->now[i] && arch_text_is_probe(im->now, i, im->span))
			return ": a kprobe does this; remove it "
			       "(/sys/kernel/debug/kprobes/list has all) and try again";
	return "";
}

/* ---- the layout: kernel/module/main.c, layout_sections() ---- */

static bool is_sized_at_load(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(sized_at_load); i++)
		if (!strcmp(name, sized_at_load[i]))
			return true;
	return false;
}

/* Code that stays when the module's init has run. */
static bool is_code(const struct elf_file *f, const struct elf_section *s)
{
	return (s->flags & (ELF_ALLOC | ELF_EXEC)) == (ELF_ALLOC | ELF_EXEC) &&
	       strncmp(elf_section_name(f, s), ".init", 5) != 0;
}

static int lay_out(struct text_image *im)
{
	const char *open = NULL; /* a section behind which nothing can be laid out */
	u64 offset = 0;

	for (u32 i = 1; i < im->elf.nr_sections; i++) {
		struct elf_section s = elf_section(&im->elf, i);
		const char *name = elf_section_name(&im->elf, &s);
		u64 align = s.align ? s.align : 1;

		if (!is_code(&im->elf, &s))
			continue;
		if (is_sized_at_load(name)) {
			open = name;
			continue;
		}
		if (s.type == ELF_NOBITS || align > PAGE_SIZE || align & (align - 1) || open)
			return text_refuse(im, -ENOEXEC,
					   "where the payload's section %s is loaded cannot be "
					   "told%s%s",
					   name, open ? ": it is behind " : "", open ? open : "");
		offset = ALIGN_UP(offset, align);
		im->at[i] = im->q->start + offset;
		offset += s.size;
		if (offset > im->span)
			return text_refuse(im, -EBADMSG,
					   "the payload's text has %llu bytes in the guest, fewer "
					   "than in the bundle",
					   im->span);
	}
	im->size = offset;
	return 0;
}

/* ---- references ---- */

static bool is_table(const char *name)
{
	u32 count;
	const struct text_table *t = arch_text_tables(&count);

	for (u32 i = 0; i < count; i++)
		if (!strcmp(t[i].section, name))
			return true;
	return false;
}

/* Are the section's relocations wanted? Before the layout: at[] is not read. */
static bool is_wanted(const struct elf_file *f, u32 section)
{
	struct elf_section s = elf_section(f, section);

	return s.type != ELF_NOBITS && (is_code(f, &s) || is_table(elf_section_name(f, &s)));
}

/* Count the references or, where there is room, list them. */
static u32 list_refs(const struct elf_file *f, struct text_ref *refs)
{
	u32 n = 0;

	for (u32 i = 1; i < f->nr_sections; i++) {
		struct elf_section s = elf_section(f, i);
		u32 count = elf_count_relocs(&s);

		if (s.type != ELF_RELA || !is_wanted(f, s.info))
			continue;
		for (u32 k = 0; k < count && refs; k++) {
			struct elf_reloc r = elf_reloc(f, &s, k);

			refs[n + k] = (struct text_ref){.section = s.info,
							.symbol = elf_reloc_symbol(&r),
							.type = elf_reloc_type(&r),
							.offset = r.offset,
							.addend = r.addend};
		}
		n += count;
	}
	return n;
}

static int by_place(const void *a, const void *b, const void *arg)
{
	const struct text_ref *r = a, *s = b;

	(void)arg;
	if (r->section != s->section)
		return r->section < s->section ? -1 : 1;
	return r->offset < s->offset ? -1 : r->offset > s->offset;
}

u32 text_find_ref(const struct text_image *im, u32 section, u64 offset)
{
	const struct text_ref want = {.section = section, .offset = offset};
	u32 low = 0, high = im->nr_refs;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (by_place(&im->refs[middle], &want, NULL) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int check_refs(struct text_image *im)
{
	for (u32 i = 0; i < im->nr_refs; i++) {
		const struct text_ref *r = &im->refs[i];
		struct elf_section s = elf_section(&im->elf, r->section);

		if (r->symbol >= im->elf.nr_symbols || r->offset >= s.size)
			return text_refuse(im, -ENOEXEC,
					   "a relocation of the payload's section %s "
					   "is damaged",
					   elf_section_name(&im->elf, &s));
	}
	return 0;
}

/* ---- memory: one allocation ---- */

static int make_room(struct text_image *im)
{
	size_t nr_known = im->elf.nr_sections + im->elf.nr_symbols + TEXT_KINDS;
	size_t at = im->elf.nr_sections * sizeof(*im->at), known = nr_known * sizeof(*im->known);
	size_t refs, size;
	u8 *memory;

	im->nr_refs = list_refs(&im->elf, NULL);
	refs = im->nr_refs * sizeof(*im->refs);
	size = at + known + refs + 2 * im->span;
	im->pages = ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
	im->memory = memory = pool_alloc(im->pages);
	if (!memory)
		return text_refuse(im, -ENOMEM,
				   "no memory to compare the payload's text: memory= "
				   "in suture.conf is too small");
	im->at = (void *)memory;
	im->known = (void *)(memory + at);
	im->refs = (void *)(memory + at + known);
	im->now = memory + at + known + refs;
	im->judged = im->now + im->span;
	return 0;
}

int text_open(struct text_image *im)
{
	const struct text_query *q = im->q;
	int r;

	if (elf_open(&im->elf, q->bundle->payload, q->bundle->payload_size))
		return text_refuse(im, -ENOEXEC, "the payload is not a kernel module");
	im->span = q->end - q->start;
	if (!im->span || im->span > SPAN_MAX)
		return text_refuse(im, -EBADMSG, "a payload's text of %llu bytes", im->span);
	r = make_room(im);
	if (r)
		return r;
	list_refs(&im->elf, im->refs);
	heap_sort(im->refs, im->nr_refs, sizeof(*im->refs), by_place, NULL);
	r = lay_out(im);
	return r ? r : check_refs(im);
}

void text_close(struct text_image *im)
{
	if (im->memory)
		pool_free(im->memory, im->pages);
	im->memory = NULL;
}

/* ---- what a reference means ---- */

bool text_target(const struct text_image *im, const struct text_ref *r, u32 *section, u64 *offset)
{
	struct elf_symbol s = elf_symbol(&im->elf, r->symbol);

	*section = s.section;
	*offset = s.value + (u64)r->addend;
	return s.section != ELF_UNDEF && s.section < im->elf.nr_sections;
}

/*
 * Symbol and addend are the returned value's base, which *known tells, and *offset. NULL in *known:
 * the base is 0.
 */
static bool base_of(const struct text_image *im, const struct text_ref *r, u64 *offset,
		    struct text_known **known)
{
	struct elf_symbol s = elf_symbol(&im->elf, r->symbol);

	*known = NULL;
	*offset = s.value + (u64)r->addend;
	if (s.section == ELF_ABS)
		return true;
	if (s.section == ELF_UNDEF) {
		*offset = (u64)r->addend;
		*known = &im->known[im->elf.nr_sections + r->symbol];
		return true;
	}
	if (s.section >= im->elf.nr_sections)
		return false;
	if (im->at[s.section])
		*offset += im->at[s.section];
	else
		*known = &im->known[s.section];
	return true;
}

void text_know_symbols(struct text_image *im)
{
	const struct bundle *b = im->q->bundle;
	struct text_known *symbols = im->known + im->elf.nr_sections;

	memset(im->known, 0,
	       (im->elf.nr_sections + im->elf.nr_symbols + TEXT_KINDS) * sizeof(*im->known));
	for (u32 i = 0; i < b->manifest.nr_symbols; i++) {
		struct suture_manifest_symbol s = bundle_symbol(b, i);

		if (s.index < im->elf.nr_symbols)
			symbols[s.index] = (struct text_known){
				guest_kernel.layout.text_start + s.offset, ~0ull};
	}
}

static void learn_base(struct text_known *k, u64 offset, const struct text_field *f)
{
	u64 low = k->bits, base;

	if (f->known == ~0ull) {
		*k = (struct text_known){f->value - offset, ~0ull};
	} else if (!(f->known & 1)) {
		/* the low bits come from another reference: what they add up to carries */
		base = (f->value & f->known) | ((k->value + offset) & low & ~f->known);
		if ((low | f->known) == ~0ull)
			*k = (struct text_known){base - offset, ~0ull};
	} else if (!low) {
		*k = (struct text_known){(f->value - offset) & f->known, f->known};
	}
}

/* Code that a module calls is the kernel's or a module's; a weak symbol may be nowhere. */
static bool may_lead_to(const struct text_image *im, const struct text_ref *r, u64 value)
{
	struct elf_symbol s = elf_symbol(&im->elf, r->symbol);

	return s.section != ELF_UNDEF || (!value && elf_is_weak(&s)) ||
	       guest_is_kernel_text(value, 1) || guest_is_module_text(value, 1);
}

bool text_agrees(struct text_image *im, const struct text_ref *r, const struct text_field *f,
		 bool learn)
{
	struct text_known *k;
	u64 offset, bits = f->known;

	if (!base_of(im, r, &offset, &k))
		return false;
	if (k && learn && k->bits != ~0ull)
		learn_base(k, offset, f);
	if (k)
		bits &= k->bits;
	if (!learn && bits != f->known)
		return false;
	if (((k ? k->value : 0) + offset - f->value) & bits)
		return false;
	return !f->is_code || may_lead_to(im, r, f->value - (u64)r->addend);
}

int text_field(const struct text_image *im, const struct text_ref *r, u64 at, const u8 *now,
	       size_t left, struct text_field *f)
{
	u8 code[TEXT_FIELD_MAX] = {0};
	u64 behind, to;
	int err;

	memcpy(code, now, MIN(left, sizeof(code)));
	err = arch_text_field(r->type, at, code, f);
	if (err || f->size > left)
		return err ? err : -ENOEXEC;
	behind = f->value - im->q->start;
	if (!f->branch || behind < im->size || behind >= im->span ||
	    im->span - behind < TEXT_VENEER_LEN)
		return 0;
	to = arch_text_veneer(im->now + behind, f->value);
	if (to)
		f->value = to;
	return 0;
}
