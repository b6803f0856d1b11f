/* SPDX-License-Identifier: BSD-2-Clause */
/* The debug port and randomness. */
#include "arch/boot.h"
#include "arch/memory.h"
#include "arch/platform.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/idmap.h"

#define RDRAND_TRIES  10
#define JITTER_ROUNDS 64

#define UART_DATA      0
#define UART_LSR       5
#define UART_THRE      (1u << 5)
#define UART_MAX_POLLS 100000u

enum suture_machine arch_machine(void)
{
	return SUTURE_MACHINE_X86_64;
}

/* ---- the debug port: a 16550 (PC16550D data sheet, chapter 8) ---- */

/* In memory its registers are 32 bits wide, as ACPI's SPCR describes those of chipsets. */
static bool is_in_memory(u64 port)
{
	return port > ARCH_LAST_IO_PORT;
}

static u32 uart_read(u64 port, u32 reg)
{
	return is_in_memory(port) ? *(volatile u32 *)arch_ptr(PA(port + 4 * (u64)reg))
				  : inb((u16)(port + reg));
}

static void uart_write(u64 port, u32 reg, u8 v)
{
	if (is_in_memory(port))
		*(volatile u32 *)arch_ptr(PA(port + 4 * (u64)reg)) = v;
	else
		outb((u16)(port + reg), v);
}

/*
 * Wait for its transmitter. A port that is no UART (QEMU's debugcon) has no such register, and
 * reads as ones. A UART that is off, or the guest's, may never be ready: it is waited for once.
 */
static void wait_for_uart(u64 port)
{
	static bool stuck;
	u32 polls = 0;

	while (!stuck && !(uart_read(port, UART_LSR) & UART_THRE))
		stuck = ++polls == UART_MAX_POLLS;
}

void arch_debug_putc(char c)
{
	u64 port = machine ? machine->config.debug_port : 0;

	if (!port)
		return;
	wait_for_uart(port);
	uart_write(port, UART_DATA, (u8)c);
}

int misc_map(struct idmap *m)
{
	u64 page = ALIGN_DOWN(machine->config.debug_port, PAGE_SIZE);

	return is_in_memory(machine->config.debug_port)
		       ? idmap_add(m, page, PAGE_SIZE, page, PT_READ | PT_WRITE | PT_DEVICE, false)
		       : 0;
}

/* ---- randomness ---- */

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

bool arch_random_is_good(void)
{
	return cpuid(1, 0).ecx & 1u << 30; /* RDRAND */
}

int arch_random(void *buf, size_t len)
{
	bool have_rdrand = arch_random_is_good();
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
