/* SPDX-License-Identifier: BSD-2-Clause */
#include "always.h"

#include <stddef.h>
#include <string.h>

#define SLEEPS	"every task that sleeps"
#define SYSCALL "every task that sleeps in a system call"
#define KTHREAD "every kernel thread"
#define IDLE	"every idle CPU"
#define WORKER	"every idle worker of workqueues"

static const struct {
	const char *function, *whose;
} always[] = {
	{"__schedule", SLEEPS},
	{"schedule", SLEEPS},
	{"__switch_to_asm", SLEEPS},
	{"cpu_switch_to", SLEEPS},
	{"do_syscall_64", SYSCALL},
	{"x64_sys_call", SYSCALL},
	{"el0t_64_sync_handler", SYSCALL},
	{"el0_svc", SYSCALL},
	{"do_el0_svc", SYSCALL},
	{"el0_svc_common", SYSCALL},
	{"invoke_syscall", SYSCALL},
	{"ret_from_fork", KTHREAD},
	{"kthread", KTHREAD},
	{"kthreadd", "the thread that starts kernel threads"},
	{"smpboot_thread_fn", "the threads of each CPU"},
	{"worker_thread", WORKER},
	{"rescuer_thread", WORKER},
	{"rest_init", IDLE},
	{"start_secondary", IDLE},
	{"secondary_start_kernel", IDLE},
	{"cpu_startup_entry", IDLE},
	{"do_idle", IDLE},
};

const char *always_on_stack(const char *function)
{
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (!strcmp(always[i].function, function))
			return always[i].whose;
	return NULL;
}
