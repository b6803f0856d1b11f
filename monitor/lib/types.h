/* SPDX-License-Identifier: BSD-2-Clause */
/* Integers, and addresses that the compiler keeps apart. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64; /* as %llu prints it */
typedef int32_t s32;
typedef long long s64;

typedef struct {
	u64 v;
} pa_t; /* host physical address */

typedef struct {
	u64 v;
} ipa_t; /* guest physical (GPA, intermediate physical) address: stage 2 translates it */

typedef struct {
	u64 v;
} gva_t; /* guest virtual */

#define PA(x)  ((pa_t){(x)})
#define IPA(x) ((ipa_t){(x)})
#define GVA(x) ((gva_t){(x)})

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/* Each argument is evaluated once. x and y: names that no argument has. */
#define CHOOSE_(a, op, b, x, y)                                                                    \
	({                                                                                         \
		__typeof__(a) x = (a);                                                             \
		__typeof__(b) y = (b);                                                             \
		x op y ? x : y;                                                                    \
	})
#define CHOOSE(a, op, b, n)   CHOOSE_N(a, op, b, n)
#define CHOOSE_N(a, op, b, n) CHOOSE_(a, op, b, choose_a##n, choose_b##n)
#define MIN(a, b)	      CHOOSE(a, <, b, __COUNTER__)
#define MAX(a, b)	      CHOOSE(a, >, b, __COUNTER__)

#define ARRAY_SIZE(a)		 (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)		 (((x) + ((a)-1)) & ~((a)-1))
#define ALIGN_DOWN(x, a)	 ((x) & ~((a)-1))
#define container_of(p, t, m)	 ((t *)((char *)(p)-offsetof(t, m)))
#define READ_ONCE(x)		 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	 (*(volatile __typeof__(x) *)&(x) = (v))
#define __printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
