/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables are those of scripts/kallsyms.c. The image does not say where they are. They lie in
 *.rodata, and each is found by its content:
 *
 *	token table	256 strings; those of '0' to '9' are the digits themselves
 *	token index	behind it: where each of the 256 strings begins
 *	num_syms	a number n before it, followed by n names that end at the markers
 *	markers		where every 256th name begins
 *	offsets		before num_syms (until 6.3) or behind the token index: see `layouts`
 */
#include "kallsyms.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS	    256u
#define SYMS_MIN    1000u
#define SYMS_MAX    (1u << 22)
#define MARKER_STEP 256u
#define NAME_MAX_   1024u
#define NONE	    UINT32_MAX

struct tables {
	const unsigned char *data; /* .rodata */
	size_t size;
	uint64_t address, text; /* of .rodata and .text */
	uint64_t entry;		/* of an arm64 Image: where its primary_entry is; else 0 */
	size_t token[TOKENS];	/* offset of each string */
	size_t tokens_start, index_end;
	size_t num, names; /* offsets */
	uint32_t count;
};

static uint32_t le32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(const unsigned char *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static size_t align_up(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* ---- tokens ---- */

/* The strings of the token table from `start` on. Returns their end, 0 if they are none. */
static size_t read_tokens(struct tables *t, size_t start)
{
	size_t at = start;

	for (unsigned i = 0; i < TOKENS; i++) {
		const unsigned char *end = memchr(t->data + at, 0, t->size - at);

		if (!end || end - (t->data + at) > (long)NAME_MAX_)
			return 0;
		t->token[i] = at;
		at = (size_t)(end - t->data) + 1;
	}
	t->tokens_start = start;
	return at;
}

static bool is_index(const struct tables *t, size_t at)
{
	if (at + 2 * TOKENS > t->size)
		return false;
	for (unsigned i = 0; i < TOKENS; i++)
		if ((t->data[at + 2 * i] | t->data[at + 2 * i + 1] << 8) !=
		    (uint16_t)(t->token[i] - t->tokens_start))
			return false;
	return true;
}

/* The table from `start` on, whose index follows it. False: none begins there. */
static bool try_table(struct tables *t, size_t start)
{
	size_t end = read_tokens(t, start);

	for (size_t alignment = 4; end && alignment <= 8; alignment *= 2) {
		size_t at = align_up(end, alignment);

		if (!is_index(t, at))
			continue;
		t->index_end = at + 2 * TOKENS;
		return true;
	}
	return false;
}

/*
 * `digits`: where the string of '0' begins. The 47 strings before it are found backward. Where the
 * first one begins is found by the table's alignment, since what is in front of the table need not
 * end with a zero.
 */
static bool try_tokens(struct tables *t, size_t digits)
{
	size_t second = digits, start;

	for (unsigned i = 1; i < '0'; i++) {
		if (second < 2)
			return false;
		for (second--; second && t->data[second - 1];)
			second--;
	}
	for (start = (second - 1) & ~(size_t)3; start && second - start < NAME_MAX_; start -= 4) {
		if (memchr(t->data + start, 0, second - 1 - start))
			break;
		if (try_table(t, start))
			return true;
	}
	return false;
}

static bool find_tokens(struct tables *t)
{
	static const char digits[] = "\0000\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const unsigned char *p = t->data;

	while ((p = memmem(p, t->size - (size_t)(p - t->data), digits, sizeof(digits))) != NULL)
		if (try_tokens(t, (size_t)(++p - t->data)))
			return true;
	return false;
}

/* ---- names ---- */

/* The length of the name at *at in tokens, 0 if none can be there; *at is behind the length then.
 */
static unsigned name_length(const struct tables *t, size_t *at)
{
	unsigned len = t->data[(*at)++];

	if (len & 0x80)
		len = (len & 0x7f) | (unsigned)t->data[(*at)++] << 7;
	return *at + len < t->tokens_start ? len : 0;
}

static bool is_marker(const struct tables *t, size_t markers, uint32_t i, size_t at)
{
	return le32(t->data + markers + 4 * (size_t)i) == at - t->names;
}

/* Are the names followed by their markers? */
static bool check_markers(const struct tables *t, size_t markers)
{
	size_t at = t->names;

	if (markers + 4 * (size_t)(t->count / MARKER_STEP + 1) > t->tokens_start)
		return false;
	for (uint32_t i = 0; i < t->count; i++) {
		if (i % MARKER_STEP == 0 && !is_marker(t, markers, i / MARKER_STEP, at))
			return false;
		at += name_length(t, &at);
	}
	return true;
}

static bool try_names(struct tables *t, size_t num, size_t names)
{
	size_t at = names;

	t->num = num;
	t->names = names;
	t->count = le32(t->data + num);
	for (uint32_t i = 0; i < t->count; i++) {
		unsigned len = name_length(t, &at);

		if (!len)
			return false;
		at += len;
	}
	return check_markers(t, align_up(at, 4)) || check_markers(t, align_up(at, 8));
}

/* Most wrong candidates fail at the first few names: zeros are no lengths. */
static bool find_names(struct tables *t)
{
	for (size_t at = 0; at + SYMS_MIN < t->tokens_start; at += 4) {
		uint32_t n = le32(t->data + at);

		if (n >= SYMS_MIN && n <= SYMS_MAX &&
		    (try_names(t, at, at + 4) || try_names(t, at, at + 8)))
			return true;
	}
	return false;
}

/* ---- addresses ---- */

/* Where offsets and base are. False: they would not be in .rodata. */
struct place {
	size_t offsets;
	uint64_t base;
};

static bool before_names(const struct tables *t, struct place *p)
{
	size_t need = 8 + 4 * (size_t)t->count;

	if (t->num < need)
		return false;
	p->offsets = (t->num - need) & ~(size_t)7;
	p->base = le64(t->data + t->num - 8);
	return true;
}

static bool behind_tokens(const struct tables *t, struct place *p)
{
	size_t base;

	p->offsets = align_up(t->index_end, 8);
	base = align_up(p->offsets + 4 * (size_t)t->count, 8);
	if (base + 8 > t->size)
		return false;
	p->base = le64(t->data + base);
	return true;
}

static bool behind_tokens_no_base(const struct tables *t, struct place *p)
{
	p->offsets = align_up(t->index_end, 4);
	p->base = t->address + p->offsets;
	return p->offsets + 4 * (size_t)t->count <= t->size;
}

/* Per-CPU symbols are absolute in such kernels, and offsets not negative. */
static uint64_t absolute_percpu(const struct place *p, uint32_t i, uint32_t offset)
{
	(void)i;
	return (int32_t)offset >= 0 ? offset : p->base - 1 - (uint64_t)(int64_t)(int32_t)offset;
}

static uint64_t from_base(const struct place *p, uint32_t i, uint32_t offset)
{
	(void)i;
	return p->base + offset;
}

static uint64_t from_itself(const struct place *p, uint32_t i, uint32_t offset)
{
	return p->base + 4 * (uint64_t)i + (uint64_t)(int64_t)(int32_t)offset;
}

static const struct layout {
	bool (*find)(const struct tables *t, struct place *p);
	uint64_t (*address)(const struct place *p, uint32_t i, uint32_t offset);
} layouts[] = {
	{before_names, absolute_percpu},      /* until 6.3 */
	{behind_tokens, absolute_percpu},     /* until 6.14 */
	{before_names, from_base},	      /* without per-CPU symbols of that kind */
	{behind_tokens, from_base},	      /* since 6.15 */
	{behind_tokens_no_base, from_itself}, /* 7.2 */
};

/*
 * An arm64 Image has no addresses but offsets, and the base of the symbols' is in a table of
 * relocations. Where the Image is entered tells them. False: that cannot be.
 */
static bool move_to_image(struct kallsyms *k, const struct tables *t)
{
	uint64_t entry = kallsyms_address(k, "primary_entry");
	uint64_t by = t->entry - entry, text;

	for (uint32_t i = 0; entry && i < k->count; i++)
		k->syms[i].address += by;
	text = kallsyms_address(k, "_stext");
	return entry && text % 4096 == 0 && text < t->size;
}

/* The right layout gives addresses that ascend, and puts _text where the image has it. */
static bool read_addresses(struct kallsyms *k, const struct tables *t, const struct layout *l)
{
	struct place p;

	if (!l->find(t, &p))
		return false;
	for (uint32_t i = 0; i < t->count; i++) {
		struct ksym *s = &k->syms[i];

		s->address = l->address(&p, i, le32(t->data + p.offsets + 4 * (size_t)i));
		if (i && s->address < s[-1].address)
			return false;
	}
	k->table = t->address + p.offsets;
	k->table_end = k->table + 4 * (uint64_t)t->count;
	if (t->entry)
		return move_to_image(k, t);
	return kallsyms_address(k, "_text") == t->text || kallsyms_address(k, "_stext") == t->text;
}

/* ---- the table of symbols ---- */

/* One name into `out` (its type first); returns its length, 0 when it is too long. */
static size_t expand(const struct tables *t, size_t at, unsigned len, char out[NAME_MAX_])
{
	size_t n = 0;

	while (len--)
		for (const unsigned char *c = t->data + t->token[t->data[at++]]; *c; c++) {
			if (n + 1 >= NAME_MAX_)
				return 0;
			out[n++] = (char)*c;
		}
	out[n] = 0;
	return n;
}

/* `size`, if not NULL, becomes what all names take; else they are written. */
static bool read_names(struct kallsyms *k, const struct tables *t, size_t *size)
{
	char name[NAME_MAX_], *to = k->names;
	size_t at = t->names, total = 0;

	for (uint32_t i = 0; i < t->count; i++) {
		unsigned len = name_length(t, &at);
		size_t n = expand(t, at, len, name);

		if (!n)
			return false;
		at += len;
		total += n;
		if (size)
			continue;
		k->syms[i].type = name[0];
		k->syms[i].name = to;
		memcpy(to, name + 1, n);
		to += n;
	}
	if (size)
		*size = total;
	return true;
}

static uint32_t hash(const struct kallsyms *k, const char *name)
{
	uint32_t h = 2166136261u;

	while (*name)
		h = (h ^ (unsigned char)*name++) * 16777619u;
	return h % k->count;
}

/* From the last to the first, so that each chain is in order. */
static void make_index(struct kallsyms *k)
{
	memset(k->heads, 0xff, k->count * sizeof(*k->heads));
	for (uint32_t i = k->count; i--;) {
		uint32_t *head = &k->heads[hash(k, k->syms[i].name)];

		k->syms[i].next = *head;
		*head = i;
	}
}

static bool find_tables(struct tables *t, const struct image *image)
{
	struct extent rodata = image_section(image, ".rodata");

	t->data = rodata.data;
	t->size = rodata.size;
	t->address = rodata.address;
	t->text = image_section(image, ".text").address;
	t->entry = image_entry(image);
	return t->size && find_tokens(t) && find_names(t);
}

int kallsyms_read(struct kallsyms *k, const struct image *image)
{
	struct tables t = {0};
	size_t size = 0;

	*k = (struct kallsyms){0};
	if (!find_tables(&t, image) || !read_names(k, &t, &size) || !size)
		return -1;
	k->count = t.count;
	k->names = malloc(size);
	k->syms = calloc(k->count, sizeof(*k->syms));
	k->heads = calloc(k->count, sizeof(*k->heads));
	if (!k->names || !k->syms || !k->heads || !read_names(k, &t, NULL))
		return -1;
	make_index(k);
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (read_addresses(k, &t, &layouts[i]))
			return 0;
	return -1;
}

void kallsyms_free(struct kallsyms *k)
{
	free(k->names);
	free(k->syms);
	free(k->heads);
	*k = (struct kallsyms){0};
}

/* ---- look-up ---- */

const struct ksym *kallsyms_find(const struct kallsyms *k, const char *name,
				 const struct ksym *after)
{
	uint32_t i = after ? after->next : k->heads[hash(k, name)];

	while (i != NONE && strcmp(k->syms[i].name, name) != 0)
		i = k->syms[i].next;
	return i != NONE ? &k->syms[i] : NULL;
}

uint64_t kallsyms_address(const struct kallsyms *k, const char *name)
{
	const struct ksym *s = kallsyms_find(k, name, NULL);

	return s ? s->address : 0;
}

static bool is_between(const struct kallsyms *k, uint64_t address, const char *start,
		       const char *end)
{
	return address >= kallsyms_address(k, start) && address < kallsyms_address(k, end);
}

/*
 * Since 6.15 per-CPU variables lie between the kernel's init sections; they stay. A kernel without
 * CONFIG_KALLSYMS_ALL lists symbols of code only, and may have the first of two.
 */
bool kallsyms_is_init(const struct kallsyms *k, uint64_t address)
{
	return (is_between(k, address, "__init_begin", "__init_end") &&
		!is_between(k, address, "__per_cpu_start", "__per_cpu_end")) ||
	       is_between(k, address, "_sinittext", "_einittext");
}

uint64_t kallsyms_size(const struct kallsyms *k, const struct ksym *s)
{
	for (const struct ksym *n = s + 1; n < k->syms + k->count; n++)
		if (n->address > s->address)
			return n->address - s->address;
	return 0;
}

const struct ksym *kallsyms_at(const struct kallsyms *k, uint64_t address)
{
	uint32_t low = 0, high = k->count; /* the symbols before `low` are not behind the address */

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (k->syms[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 1 && k->syms[low - 2].address == k->syms[low - 1].address)
		low--;
	return low ? &k->syms[low - 1] : NULL;
}
