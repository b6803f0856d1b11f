// SPDX-License-Identifier: BSD-2-Clause
/*
 * stale SECONDS: does a CPU go on running code that another CPU has overwritten? One thread calls a
 * function again and again, with a serializing instruction after each call. Another changes the
 * number that it returns, twice in short succession, and waits for the caller to see the second
 * one. A processor shows it with the next call. "stale: N of ROUNDS": N times no call in 300 ms,
 * and in 20,000, has shown what memory has.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define NS_PER_S  1000000000ll
#define LIMIT_NS  300000000ll
#define MIN_CALLS 20000
#define MAX_SPINS                                                                                  \
	3000	    /* between the two writes: about as long as an emulator needs to translate     \
		     */
#define NUMBER_AT 4 /* aligned, so that a caller meets the old one or the new one */

static uint8_t *code; /* three NOPs; mov $NUMBER, %eax; ret: alone in its page */
static volatile uint32_t seen;
static volatile uint64_t calls;
static volatile int stop;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		exit(2);
}

static void serialize(void)
{
	uint32_t a = 0, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)::"memory");
}

static void *caller(void *unused)
{
	uint32_t (*number)(void) = (uint32_t(*)(void))(void *)code;

	pin(1);
	while (!stop) {
		seen = number();
		calls++;
		serialize();
	}
	return unused;
}

static volatile uint32_t *number_in_memory(void)
{
	return (volatile uint32_t *)(void *)(code + NUMBER_AT);
}

static void write_twice(uint32_t n)
{
	*number_in_memory() = n - 1;
	for (volatile int spins = rand() % MAX_SPINS; spins > 0; spins--)
		;
	*number_in_memory() = n;
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* How many calls have not shown n, the last of MIN_CALLS more included; 0 when one has. */
static uint64_t stale_calls(uint32_t n)
{
	long long end = now_ns() + LIMIT_NS;
	uint64_t first = calls, limit;

	while (seen != n && now_ns() < end)
		;
	if (seen == n)
		return 0;
	limit = calls + MIN_CALLS;
	while (calls < limit)
		;
	return seen == n ? 0 : calls - first;
}

static int start(pthread_t *thread)
{
	static const uint8_t insns[] = {0x90, 0x90, 0x90, 0xb8, 0, 0, 0, 0, 0xc3};

	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (code == MAP_FAILED)
		return -1;
	memcpy(code, insns, sizeof(insns));
	pin(0);
	return pthread_create(thread, NULL, caller, NULL);
}

int main(int argc, char **argv)
{
	long long end = now_ns() + (argc > 1 ? atoll(argv[1]) : 20) * NS_PER_S;
	int rounds = 0, stale = 0;
	pthread_t thread;

	if (start(&thread))
		return 2;
	for (uint32_t n = 2; now_ns() < end; n += 2) {
		uint64_t made;

		write_twice(n);
		made = stale_calls(n);
		if (made)
			printf("returns %u, memory has %u, after %llu calls\n", seen,
			       *number_in_memory(), (unsigned long long)made);
		stale += !!made;
		rounds++;
	}
	stop = 1;
	pthread_join(thread, NULL);
	printf("stale: %d of %d\n", stale, rounds);
	return 0;
}
