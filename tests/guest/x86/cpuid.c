/* SPDX-License-Identifier: BSD-2-Clause */
/* cpuid CPU LEAF (hexadecimal): what CPUID says there in user mode: "eax ebx ecx edx". */
#include <cpuid.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned int a, b, c, d;
	cpu_set_t set;

	if (argc < 3) {
		fprintf(stderr, "usage: cpuid CPU LEAF\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET((size_t)atoi(argv[1]), &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("cpuid");
		return 1;
	}
	__cpuid_count((unsigned int)strtoul(argv[2], NULL, 16), 0, a, b, c, d);
	printf("%08x %08x %08x %08x\n", a, b, c, d);
	return 0;
}
