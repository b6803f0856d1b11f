// SPDX-License-Identifier: BSD-2-Clause
/*
 * fxrstor VICTIM SECONDS [idle]: on CPU VICTIM one thread executes VMMCALL again and again, which
 * exits each time, and which the monitor refuses in user mode. Every other CPU runs a thread that
 * executes FXRSTOR again and again, or with "idle" a loop without it. In a processor the one has
 * nothing to do with the other. Prints "vmmcall N fxrstor M" at the end.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CPUS 64
#define FX_BYTES 512
#define BATCH	 1000 /* loops between two looks at `stop` */

static volatile int stop;
static int idle;
static uint64_t count[MAX_CPUS];

static void pin(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		exit(2);
}

static void *restorer(void *cpu)
{
	_Alignas(16) uint8_t state[FX_BYTES];

	pin((long)cpu);
	__asm__ volatile("fxsave %0" : "=m"(state));
	while (!stop)
		for (int i = 0; i < BATCH; i++) {
			if (idle)
				__asm__ volatile("" ::: "memory");
			else
				__asm__ volatile("fxrstor %0" ::"m"(state) : "memory");
			count[(long)cpu]++;
		}
	return NULL;
}

static void *victim(void *cpu)
{
	pin((long)cpu);
	while (!stop) {
		long result = 0;

		__asm__ volatile("vmmcall" : "+a"(result)::"memory");
		count[(long)cpu]++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[MAX_CPUS];
	uint64_t restored = 0;
	long v;

	if (argc < 3 || cpus > MAX_CPUS || (v = atol(argv[1])) < 0 || v >= cpus) {
		fprintf(stderr, "usage: fxrstor VICTIM SECONDS [idle]\n");
		return 2;
	}
	idle = argc > 3 && !strcmp(argv[3], "idle");
	for (long i = 0; i < cpus; i++)
		if (pthread_create(&threads[i], NULL, i == v ? victim : restorer, (void *)i))
			return 2;
	sleep((unsigned int)atoi(argv[2]));
	stop = 1;
	for (long i = 0; i < cpus; i++) {
		pthread_join(threads[i], NULL);
		restored += i == v ? 0 : count[i];
	}
	printf("vmmcall %llu fxrstor %llu\n", (unsigned long long)count[v],
	       (unsigned long long)restored);
	return 0;
}
