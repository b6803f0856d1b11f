/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stores and loads of all kinds that arm64 has, each carried out twice: in the area under test, and
 * in a buffer of ordinary memory that had the same content. For the module `stores` and for the
 * program of that name.
 */
#ifndef STORES_KINDS_H
#define STORES_KINDS_H

#define STORES_PAGE 4096u
#define STORES_AREA (2 * STORES_PAGE)
#define STORES_MAX  64u
/* at the beginning of each page there is a function: what is written there is what it has */
#define STORES_FUNC    16u
#define STORES_TRIES   1000ul
#define STORES_GAVE_UP (~0ul)

struct stores_kind {
	const char *name;
	unsigned int size; /* a power of two */
	/* Returns what else the instruction results in. */
	unsigned long (*store)(unsigned char *at, const unsigned long *v);
	int aligned; /* always */
	int lse;     /* FEAT_LSE */
};

#ifdef __KERNEL__
#define STORES_VECTORS /* between kernel_neon_begin() and kernel_neon_end() */
#else
#define STORES_VECTORS , "v0", "v1", "v2", "v3"
#endif

#define STORE_KIND(name, assembly)                                                                 \
	static unsigned long name(unsigned char *at, const unsigned long *v)                       \
	{                                                                                          \
		unsigned char *from = at;                                                          \
		unsigned long result = 0, tries = STORES_TRIES, failed = 0;                        \
                                                                                                   \
		asm volatile(".arch_extension simd\n\t.arch_extension lse\n\t" assembly            \
			     : "+&r"(at), [result] "+&r"(result), [tries] "+&r"(tries),            \
			       [failed] "+&r"(failed)                                              \
			     : [v] "r"(v), [a] "r"(v[0]), [b] "r"(v[1])                            \
			     : "memory", "cc" STORES_VECTORS);                                     \
		return tries ? result + (unsigned long)(at - from) : STORES_GAVE_UP;               \
	}

/* What is between LOAD and STORE is done again until the store does not fail. */
#define EXCLUSIVE(load, store)                                                                     \
	"1: " load "\n\t" store "\n\tcbz %w[failed], 2f\n\tsub %[tries], %[tries], #1\n\t"         \
	"cbnz %[tries], 1b\n2:"

STORE_KIND(store_b, "strb %w[a], [%0]")
STORE_KIND(store_h, "strh %w[a], [%0]")
STORE_KIND(store_w, "str %w[a], [%0]")
STORE_KIND(store_x, "str %[a], [%0]")
STORE_KIND(store_release, "stlr %[a], [%0]")
STORE_KIND(store_post, "str %[a], [%0], #24")
STORE_KIND(store_pre, "sub %0, %0, #40\n\tstr %[a], [%0, #40]!")
STORE_KIND(store_pair_w, "ldr %w[failed], [%[v], #4]\n\tstp %w[a], %w[failed], [%0]")
STORE_KIND(store_pair, "stp %[a], %[b], [%0]")
STORE_KIND(store_pair_post, "stp %[a], %[b], [%0], #16")
STORE_KIND(store_q, "ldr q0, [%[v]]\n\tstr q0, [%0]")
STORE_KIND(store_pair_q, "ldp q0, q1, [%[v]]\n\tstp q0, q1, [%0]")
STORE_KIND(store_four_q, "ld1 {v0.16b-v3.16b}, [%[v]]\n\tst1 {v0.16b-v3.16b}, [%0]")
STORE_KIND(store_zeros, "dc zva, %0")
STORE_KIND(store_exclusive_b, EXCLUSIVE("ldxrb %w[result], [%0]", "stxrb %w[failed], %w[a], [%0]"))
STORE_KIND(store_exclusive_w, EXCLUSIVE("ldaxr %w[result], [%0]", "stlxr %w[failed], %w[a], [%0]"))
STORE_KIND(store_exclusive, EXCLUSIVE("ldxr %[result], [%0]", "stxr %w[failed], %[a], [%0]"))
STORE_KIND(store_exclusive_pair,
	   EXCLUSIVE("ldaxp %[result], xzr, [%0]", "stlxp %w[failed], %[a], %[b], [%0]"))
STORE_KIND(store_exclusive_zero, EXCLUSIVE("ldxr %[result], [%0]", "stxr %w[failed], xzr, [%0]"))
STORE_KIND(store_add, "ldaddal %[a], %[result], [%0]")
STORE_KIND(store_swap, "swp %[a], %[result], [%0]")
STORE_KIND(store_compared, "ldr %[result], [%0]\n\tcasal %[result], %[a], [%0]")
STORE_KIND(load_b, "ldrb %w[result], [%0]")
STORE_KIND(load_signed_b, "ldrsb %[result], [%0]")
STORE_KIND(load_signed_b_w, "ldrsb %w[result], [%0]")
STORE_KIND(load_signed_h, "ldrsh %[result], [%0]")
STORE_KIND(load_w, "ldr %w[result], [%0]")
STORE_KIND(load_signed_w, "ldrsw %[result], [%0]")
STORE_KIND(load_x, "ldr %[result], [%0]")
STORE_KIND(load_nowhere, "ldr xzr, [%0]")
STORE_KIND(load_acquire, "ldar %[result], [%0]")
STORE_KIND(load_post, "ldr %[result], [%0], #24")
STORE_KIND(load_pre, "sub %0, %0, #40\n\tldr %[result], [%0, #40]!")
STORE_KIND(load_pair, "ldp %[result], %[failed], [%0]\n\teor %[result], %[result], %[failed]")
STORE_KIND(load_pair_w, "ldpsw %[result], %[failed], [%0]\n\teor %[result], %[result], %[failed]")
STORE_KIND(load_pair_post, "ldp %[failed], %[result], [%0], #16")
STORE_KIND(load_q, "ldr q0, [%0]\n\tumov %[result], v0.d[1]")
STORE_KIND(load_pair_q, "ldp q0, q1, [%0]\n\tumov %[result], v1.d[1]")
STORE_KIND(load_four_q, "ld1 {v0.16b-v3.16b}, [%0]\n\tumov %[result], v3.d[1]")
STORE_KIND(load_exclusive, "ldxr %[result], [%0]")
STORE_KIND(load_exclusive_pair, "ldaxp %[failed], %[result], [%0]")
STORE_KIND(store_not_equal, "casal %[result], %[a], [%0]")

static const struct stores_kind stores_kinds[] = {
	{"strb", 1, store_b, 0, 0},
	{"strh", 2, store_h, 0, 0},
	{"str w", 4, store_w, 0, 0},
	{"str x", 8, store_x, 0, 0},
	{"stlr", 8, store_release, 1, 0},
	{"str x, post-index", 8, store_post, 0, 0},
	{"str x, pre-index", 8, store_pre, 0, 0},
	{"stp w", 8, store_pair_w, 0, 0},
	{"stp x", 16, store_pair, 0, 0},
	{"stp x, post-index", 16, store_pair_post, 0, 0},
	{"str q", 16, store_q, 0, 0},
	{"stp q", 32, store_pair_q, 0, 0},
	{"st1", 64, store_four_q, 0, 0},
	{"dc zva", 64, store_zeros, 1, 0},
	{"stxrb", 1, store_exclusive_b, 1, 0},
	{"stlxr w", 4, store_exclusive_w, 1, 0},
	{"stxr x", 8, store_exclusive, 1, 0},
	{"stlxp", 16, store_exclusive_pair, 1, 0},
	{"stxr xzr", 8, store_exclusive_zero, 1, 0},
	{"ldadd", 8, store_add, 1, 1},
	{"swp", 8, store_swap, 1, 1},
	{"cas", 8, store_compared, 1, 1},
	{"cas, not equal", 8, store_not_equal, 1, 1},
	{"ldrb", 1, load_b, 0, 0},
	{"ldrsb x", 1, load_signed_b, 0, 0},
	{"ldrsb w", 1, load_signed_b_w, 0, 0},
	{"ldrsh x", 2, load_signed_h, 0, 0},
	{"ldr w", 4, load_w, 0, 0},
	{"ldrsw", 4, load_signed_w, 0, 0},
	{"ldr x", 8, load_x, 0, 0},
	{"ldr xzr", 8, load_nowhere, 0, 0},
	{"ldar", 8, load_acquire, 1, 0},
	{"ldr x, post-index", 8, load_post, 0, 0},
	{"ldr x, pre-index", 8, load_pre, 0, 0},
	{"ldp x", 16, load_pair, 0, 0},
	{"ldpsw", 8, load_pair_w, 0, 0},
	{"ldp x, post-index", 16, load_pair_post, 0, 0},
	{"ldr q", 16, load_q, 0, 0},
	{"ldp q", 32, load_pair_q, 0, 0},
	{"ld1", 64, load_four_q, 0, 0},
	{"ldxr", 8, load_exclusive, 1, 0},
	{"ldaxp", 16, load_exclusive_pair, 1, 0},
};
#define STORES_KINDS (sizeof(stores_kinds) / sizeof(stores_kinds[0]))

/*
 * In the middle of a page; not aligned there; over whole instructions of the function's redirect;
 * from page to page.
 */
static inline unsigned int stores_place(const struct stores_kind *k, unsigned int n)
{
	const unsigned int places[] = {1024, 1089, k->size < 4 ? 1101 : 4,
				       STORES_PAGE - k->size / 2};

	return k->aligned ? (n ? STORES_AREA : 1024) : n < 4 ? places[n] : STORES_AREA;
}

static inline int stores_in_function(unsigned int offset)
{
	return offset % STORES_PAGE < STORES_FUNC;
}

/* True if the store has done in the area what it does in the buffer, which has room for it. */
static int stores_try(const struct stores_kind *k, unsigned char *area, unsigned char *buffer,
		      unsigned int offset)
{
	unsigned long v[STORES_MAX / sizeof(unsigned long)], got, wanted;
	unsigned char *bytes = (unsigned char *)v, saved[STORES_MAX];
	unsigned int i;
	int same;

	memcpy(buffer, area, STORES_AREA);
	memcpy(saved, area + offset, k->size);
	memcpy(bytes, area + offset, k->size);
	for (i = 0; i < k->size; i++)
		if (!stores_in_function(offset + i))
			bytes[i] ^= 0x5a;
	wanted = k->store(buffer + offset, v);
	got = k->store(area + offset, v);
	same = got == wanted && got != STORES_GAVE_UP && !memcmp(area, buffer, STORES_AREA);
	memcpy(area + offset, saved, k->size);
	return same;
}

#endif
