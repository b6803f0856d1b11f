// SPDX-License-Identifier: BSD-2-Clause
/* kcore ADDRESS LENGTH: the kernel's memory there, by /proc/kcore, in hexadecimal. */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LENGTH 65536

/* The segment that has the address; exits if there is none. */
static Elf64_Phdr find_segment(int file, unsigned long address)
{
	Elf64_Ehdr header = {0};
	Elf64_Phdr segment;

	if (pread(file, &header, sizeof(header), 0) != sizeof(header)) {
		perror("/proc/kcore");
		exit(1);
	}
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		off_t at = (off_t)(header.e_phoff + i * sizeof(segment));

		if (pread(file, &segment, sizeof(segment), at) == sizeof(segment) &&
		    segment.p_type == PT_LOAD && address - segment.p_vaddr < segment.p_memsz)
			return segment;
	}
	fprintf(stderr, "kcore: %lx is in no segment\n", address);
	exit(1);
}

int main(int argc, char **argv)
{
	static unsigned char bytes[MAX_LENGTH];
	int file = open("/proc/kcore", O_RDONLY);
	unsigned long address, length;
	Elf64_Phdr segment;

	if (argc != 3 || file < 0)
		return 2;
	address = strtoul(argv[1], NULL, 16);
	length = strtoul(argv[2], NULL, 0);
	segment = find_segment(file, address);
	if (length > sizeof(bytes) ||
	    pread(file, bytes, length, (off_t)(segment.p_offset + address - segment.p_vaddr)) !=
		    (ssize_t)length) {
		perror("/proc/kcore");
		return 1;
	}
	for (unsigned long i = 0; i < length; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
	return 0;
}
