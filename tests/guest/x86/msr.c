// SPDX-License-Identifier: BSD-2-Clause
/*
 * msr CPU NUMBER [VALUE]: on that CPU, write VALUE to the model-specific register, if it is given,
 * and read it; then look at the time stamp counter. Prints "write ERROR, read ERROR VALUE, tsc
 * VALUE", all numbers but ERROR in hexadecimal. Needs the kernel module msr.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>

int main(int argc, char **argv)
{
	int fd, written = 0, was_read = 0;
	char path[40];
	cpu_set_t set;
	off_t msr;
	uint64_t value;

	if (argc < 3)
		return 2;
	msr = (off_t)strtoull(argv[2], NULL, 16);
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[1]), &set);
	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", atoi(argv[1]));
	fd = open(path, O_RDWR);
	if (fd < 0 || sched_setaffinity(0, sizeof(set), &set)) {
		perror(path);
		return 1;
	}
	if (argc > 3) {
		value = strtoull(argv[3], NULL, 16);
		if (pwrite(fd, &value, sizeof(value), msr) != sizeof(value))
			written = errno;
	}
	value = 0;
	if (pread(fd, &value, sizeof(value), msr) != sizeof(value))
		was_read = errno;
	printf("write %d, read %d %" PRIx64 ", tsc %" PRIx64 "\n", written, was_read, value,
	       (uint64_t)__rdtsc());
	return 0;
}
