/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/mem.h"
#include "arch/cpu.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "guest/kernel.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "stage2/pgtable.h"

/* ---- translation ---- */

/*
 * A translation, and the range for which it holds: one entry for each page, small or large.
 * Kernels map RAM with large pages, so that few entries cover all task_structs; stacks are in
 * vmalloc space, in small pages.
 */
struct piece {
	u64 va, ipa, size;
};

#define CACHE_SLOTS 64u
#define LARGE	    (2ull << 20)

static struct {
	const struct cpu *owner;
	struct piece small[CACHE_SLOTS], large[CACHE_SLOTS];
} cache;

static struct piece *cache_slot(u64 va, u64 size)
{
	return size == LARGE ? &cache.large[va / LARGE % CACHE_SLOTS]
			     : &cache.small[va / PAGE_SIZE % CACHE_SLOTS];
}

void guest_cache_begin(void)
{
	memset(&cache, 0, sizeof(cache));
	cache.owner = cpu_this();
}

void guest_cache_end(void)
{
	cache.owner = NULL;
}

static int read_entry(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	ipa_t at = IPA(table_pa + index * sizeof(*entry));

	(void)ctx;
	/* A table may be larger than a page of the monitor's. */
	if (!guest_is_ram(at, sizeof(*entry)))
		return -EFAULT;
	*entry = READ_ONCE(*(const u64 *)guest_ram_ptr(at));
	return 0;
}

/*
 * The page tables that a CPU uses in user mode (Linux's page table isolation has their root on the
 * next page) do not map the stacks: a CPU's own tables are not used.
 */
static u64 kernel_tables(const struct suture_layout *l)
{
	return MUTATION(kernel_tables) ? l->kernel_pgd | PAGE_SIZE : l->kernel_pgd;
}

static int walk_page(u64 va, struct piece *piece)
{
	const struct suture_layout *l = &guest_kernel.layout;
	const struct pt_format *f = arch_guest_format(l->page_levels);
	struct pt_walk w;
	u64 ipa;

	/* The kernel's own tables have no kernel memory in the user's half. */
	if (!l->kernel_pgd || !f || (s64)va >= 0 ||
	    pt_walk(f, kernel_tables(l), va, read_entry, NULL, &w))
		return -EFAULT;

	ipa = ALIGN_DOWN(w.pa, LARGE);
	if (w.level > 0 && guest_is_ram(IPA(ipa), LARGE)) {
		*piece = (struct piece){ALIGN_DOWN(va, LARGE), ipa, LARGE};
		return 0;
	}
	ipa = ALIGN_DOWN(w.pa, PAGE_SIZE);
	*piece = (struct piece){ALIGN_DOWN(va, PAGE_SIZE), ipa, PAGE_SIZE};
	return guest_is_ram(IPA(ipa), PAGE_SIZE) ? 0 : -EFAULT;
}

static const struct piece *cached_piece(u64 va, u64 size)
{
	const struct piece *piece = cache_slot(va, size);

	return va - piece->va < piece->size ? piece : NULL;
}

/* The piece that holds va, or NULL; `fresh` is room for one that is not kept. */
static const struct piece *find_piece(u64 va, struct piece *fresh)
{
	bool caching = cache.owner && cache.owner == cpu_this();
	const struct piece *piece = caching ? cached_piece(va, LARGE) : NULL;

	if (!piece && caching)
		piece = cached_piece(va, PAGE_SIZE);
	if (piece)
		return piece;
	if (walk_page(va, fresh))
		return NULL;
	if (caching)
		*cache_slot(va, fresh->size) = *fresh;
	return fresh;
}

int guest_translate(gva_t va, ipa_t *ipa)
{
	struct piece fresh;
	const struct piece *piece = find_piece(va.v, &fresh);

	if (!piece)
		return -EFAULT;
	*ipa = IPA(piece->ipa + (va.v - piece->va));
	return 0;
}

const void *guest_at(gva_t va, size_t *left)
{
	struct piece fresh;
	const struct piece *piece = find_piece(va.v, &fresh);
	u64 offset;

	if (!piece)
		return NULL;
	offset = va.v - piece->va;
	*left = piece->size - offset;
	return (const u8 *)guest_ram_ptr(IPA(piece->ipa)) + offset;
}

int guest_read(gva_t va, void *buf, size_t len)
{
	u8 *to = buf;

	while (len) {
		size_t left, n;
		const void *from = guest_at(va, &left);

		if (!from)
			return -EFAULT;
		n = MIN(left, len);
		memcpy(to, from, n);
		to += n;
		va.v += n;
		len -= n;
	}
	return 0;
}

int guest_read_u64(gva_t va, u64 *v)
{
	return guest_read(va, v, sizeof(*v));
}

int guest_read_u32(gva_t va, u32 *v)
{
	return guest_read(va, v, sizeof(*v));
}

/* ---- as a CPU sees it ---- */

/* Read what lies on one page; returns the number of bytes, or negative errno. */
static int fetch_part(u64 va, void *buf, size_t len, u32 access)
{
	size_t n = MIN(len, PAGE_SIZE - va % PAGE_SIZE);
	struct piece piece;
	struct pt_walk w;
	ipa_t ipa;

	if (walk_page(va, &piece))
		return -EFAULT;
	ipa = IPA(piece.ipa + (va - piece.va));
	if (MUTATION(fetch_through_stage2))
		memcpy(buf, guest_ram_ptr(ipa), n);
	else if (pgtable_lookup(&stage2, ipa, &w) || (w.attrs & access) != access)
		return -EACCES;
	else
		memcpy(buf, arch_ptr(PA(w.pa)), n);
	return (int)n;
}

int guest_fetch(gva_t va, void *buf, size_t len, u32 access)
{
	for (size_t done = 0; done < len;) {
		int n = fetch_part(va.v + done, (u8 *)buf + done, len - done, access);

		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return 0;
}
