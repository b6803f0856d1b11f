/* SPDX-License-Identifier: BSD-2-Clause */
#include "misc.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "arch/platform.h"
#include "boot/boot.h"
#include "lib/chacha.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/idmap.h"

/* PL011 (DDI 0183, 3.3) */
#define UART_DATA      0x00
#define UART_FLAGS     0x18
#define UART_FULL      (1u << 5)
#define UART_MAX_POLLS 100000

#define RNDR_TRIES 10

static struct {
	u64 port; /* 0: none */
	bool seeded;
	u32 key[CHACHA_KEY_WORDS];
	u64 blocks; /* drawn so far */
} misc;

enum suture_machine arch_machine(void)
{
	return SUTURE_MACHINE_ARM64;
}

void misc_init(const struct boot_info *bi)
{
	_Static_assert(sizeof(misc.key) == sizeof(bi->seed), "a seed is a key");
	misc.port = bi->config.debug_port;
	misc.seeded = bi->has_seed;
	memcpy(misc.key, bi->seed, sizeof(misc.key));
}

/* ---- the debug port ---- */

int misc_map(struct idmap *m)
{
	return misc.port ? idmap_add(m, misc.port, PAGE_SIZE, misc.port,
				     PT_READ | PT_WRITE | PT_DEVICE, false)
			 : 0;
}

static volatile u32 *uart(u32 reg)
{
	return arch_ptr(PA(misc.port + reg));
}

/* The guest may use the port too, and may have turned it off: so the wait has an end. */
void arch_debug_putc(char c)
{
	if (!misc.port)
		return;
	for (u32 i = 0; i < UART_MAX_POLLS && (*uart(UART_FLAGS) & UART_FULL); i++)
		;
	*uart(UART_DATA) = (u8)c;
}

/* ---- randomness ---- */

/* ID_AA64ISAR0_EL1.RNDR */
static bool has_rndr(void)
{
	u64 features;

	__asm__("mrs %0, id_aa64isar0_el1" : "=r"(features));
	return features >> 60;
}

/* RNDR (DDI 0487, FEAT_RNG), by its encoding. Z says that there was no number. */
static bool rndr(u64 *v)
{
	bool ok = false;

	for (u32 i = 0; i < RNDR_TRIES && !ok; i++)
		__asm__ volatile("mrs %0, s3_3_c2_c4_0; cset %w1, ne" : "=r"(*v), "=r"(ok)::"cc");
	return ok;
}

/* The firmware's seed is the key, and no block is drawn twice. */
static bool expand(u64 *v)
{
	u64 block = __atomic_fetch_add(&misc.blocks, 1, __ATOMIC_RELAXED);
	const u32 input[CHACHA_INPUT_WORDS] = {(u32)block, (u32)(block >> 32)};
	u8 out[CHACHA_BLOCK];

	if (!misc.seeded)
		return false;
	chacha_block(misc.key, input, out);
	memcpy(v, out, sizeof(*v));
	return true;
}

bool arch_random_is_good(void)
{
	return has_rndr() || misc.seeded;
}

int arch_random(void *buf, size_t len)
{
	bool own = has_rndr();
	u8 *at = buf;

	while (len) {
		size_t n = MIN(len, sizeof(u64));
		u64 v;

		/* RNDR may have no number for long: the seed is as good. */
		if (!(own && rndr(&v)) && !expand(&v))
			return -EIO;
		memcpy(at, &v, n);
		at += n;
		len -= n;
	}
	return 0;
}
