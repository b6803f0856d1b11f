/* SPDX-License-Identifier: BSD-2-Clause */
/* The debug port and randomness. */
#include "arch/platform.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"

#define RDRAND_TRIES  10
#define JITTER_ROUNDS 64

enum suture_machine arch_machine(void)
{
	return SUTURE_MACHINE_X86_64;
}

void arch_debug_putc(char c)
{
	if (machine && machine->config.debug_port)
		outb((u16)machine->config.debug_port, (u8)c);
}

/* AMD APM vol. 3, RDRAND: CF says whether there was a number. */
static bool rdrand(u64 *v)
{
	bool ok = false;

	for (u32 i = 0; i < RDRAND_TRIES && !ok; i++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=qm"(ok)::"cc");
	return ok;
}

static u64 mix(u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* The time that CPUID takes, with or without an exit, varies with the machine's other activity. */
static u64 jitter(void)
{
	static u64 state;
	u64 v = __atomic_add_fetch(&state, rdtsc(), __ATOMIC_RELAXED);

	for (u32 i = 0; i < JITTER_ROUNDS; i++) {
		cpuid(0, 0);
		v = mix(v ^ rdtsc());
	}
	__atomic_fetch_xor(&state, v, __ATOMIC_RELAXED);
	return v;
}

int arch_random(void *buf, size_t len)
{
	bool have_rdrand = cpuid(1, 0).ecx & 1u << 30;
	u8 *at = buf;

	while (len) {
		size_t n = MIN(len, sizeof(u64));
		u64 v;

		if (have_rdrand && !rdrand(&v))
			return -EIO;
		if (!have_rdrand)
			v = jitter();
		memcpy(at, &v, n);
		at += n;
		len -= n;
	}
	return 0;
}

_Noreturn void arch_machine_reset(void)
{
	machine_reset();
}
