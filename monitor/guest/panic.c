/* SPDX-License-Identifier: BSD-2-Clause */
#include <suture/abi.h>
#include "guest/panic.h"
#include "arch/cpu.h"
#include "arch/service.h"
#include "core/pause.h"
#include "guest/bell.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/string.h"

/* Only the guest's CPUs are looked at, which takes microseconds once they have stopped. */
#define LOOK_BUDGET_US 20000

/* EMPTY -> FILLING -> TOLD -> EMPTY. A second panic while it is not EMPTY is ignored. */
enum state { EMPTY, FILLING, TOLD };

static struct {
	u32 state;
	char text[SUTURE_TEXT_LEN];
} last;

s64 panic_told(u64 ipa, u64 len)
{
	u32 expected = EMPTY;
	s64 r = 0;

	guest_bell_close();
	if (!__atomic_compare_exchange_n(&last.state, &expected, FILLING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return 0;
	memset(last.text, 0, sizeof(last.text));
	if (len >= sizeof(last.text))
		r = -EMSGSIZE;
	else if (len)
		r = guest_read_ipa(IPA(ipa), last.text, len);
	__atomic_store_n(&last.state, TOLD, __ATOMIC_RELEASE);
	arch_service_wake();
	return r;
}

bool panic_look(char *text, size_t size)
{
	if (__atomic_load_n(&last.state, __ATOMIC_ACQUIRE) != TOLD)
		return false;
	str_copy(text, last.text, size);
	return true;
}

void panic_known(void)
{
	__atomic_store_n(&last.state, EMPTY, __ATOMIC_RELEASE);
}

int panic_suspected(void)
{
	u32 count[VCPU_STOPPED + 1] = {0};
	struct pause p;
	int r = pause_begin(&p, LOOK_BUDGET_US);

	if (r)
		return r;
	for_each_cpu (c) {
		if (!cpu_is_held(c))
			continue;
		count[arch_vcpu_halt(c)]++;
	}
	pause_end(&p);
	return count[VCPU_STOPPED] && count[VCPU_RUNS] == 1 && !count[VCPU_IDLE];
}
