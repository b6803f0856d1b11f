// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts between CPUs, as many as user space can cause, for so many seconds: a reader on each
 * CPU has pages in its TLB that one thread protects and another unmaps, one thread has all of them
 * run a barrier, and one moves from CPU to CPU. The readers look at what they read. `storm SECONDS`
 * prints the counts.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	 4096
#define CPUS_MAX 64

static atomic_bool stop;
static atomic_ulong reads, wrong, protects, unmaps, barriers, moves, failed;
static atomic_ulong *counter; /* its page is read-only most of the time */
static atomic_uchar *zeroes;  /* a page that is thrown away again and again */

static void pin(size_t cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	failed += sched_setaffinity(0, sizeof(cpus), &cpus) != 0;
}

/* The counter never goes back, and of the other page each byte is what one thread writes. */
static void *read_on(void *cpu)
{
	unsigned long n = 0, before = 0;

	pin((size_t)cpu);
	for (; !stop; n++) {
		unsigned long now = *counter;

		wrong += now < before || *zeroes > 1;
		before = now;
	}
	reads += n;
	return NULL;
}

static void *protect(void *unused)
{
	(void)unused;
	for (; !stop; protects++) {
		failed += mprotect(counter, PAGE, PROT_READ | PROT_WRITE) != 0;
		++*counter;
		failed += mprotect(counter, PAGE, PROT_READ) != 0;
	}
	return NULL;
}

static void *unmap(void *unused)
{
	(void)unused;
	for (; !stop; unmaps++) {
		*zeroes = 1;
		failed += madvise(zeroes, PAGE, MADV_DONTNEED) != 0;
		wrong += *zeroes != 0;
	}
	return NULL;
}

static void *barrier(void *unused)
{
	(void)unused;
	for (; !stop; barriers++) {
		failed += syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0;
		failed += syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0;
	}
	return NULL;
}

static void *move(void *cpus)
{
	for (; !stop; moves++)
		pin(moves % (size_t)cpus);
	return NULL;
}

static void start(void *(*run)(void *), size_t argument, pthread_t *thread)
{
	if (pthread_create(thread, NULL, run, (void *)argument)) {
		perror("storm: pthread_create");
		exit(1);
	}
}

static void *map_page(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		perror("storm: mmap");
		exit(1);
	}
	return page;
}

int main(int argc, char **argv)
{
	size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_ONLN), n = 0;
	pthread_t threads[CPUS_MAX + 4];

	if (cpus > CPUS_MAX)
		cpus = CPUS_MAX;
	counter = map_page();
	zeroes = map_page();
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) ||
	    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0)) {
		perror("storm: membarrier");
		return 1;
	}
	for (; n < cpus; n++)
		start(read_on, n, &threads[n]);
	start(protect, 0, &threads[n++]);
	start(unmap, 0, &threads[n++]);
	start(barrier, 0, &threads[n++]);
	start(move, cpus, &threads[n++]);
	sleep(argc > 1 ? (unsigned int)atoi(argv[1]) : 1);
	stop = true;
	while (n)
		pthread_join(threads[--n], NULL);
	printf("reads %lu wrong %lu protects %lu unmaps %lu barriers %lu moves %lu failed %lu\n",
	       reads, wrong, protects, unmaps, barriers, moves, failed);
	return wrong || failed;
}
