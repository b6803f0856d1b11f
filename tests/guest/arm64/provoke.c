// SPDX-License-Identifier: BSD-2-Clause
/*
 * provoke ADDRESS COUNT: read from physical memory that this machine does not have, so often. Each
 * read is a SIGBUS. Exits with 0 if all were.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static sigjmp_buf back;

static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

int main(int argc, char **argv)
{
	const volatile int *at;
	long count, n = 0;
	int fd = open("/dev/mem", O_RDONLY);

	if (argc != 3 || fd < 0)
		return 2;
	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)strtoull(argv[1], NULL, 0));
	count = atol(argv[2]);
	if (at == MAP_FAILED || signal(SIGBUS, on_bus) == SIG_ERR)
		return 2;
	while (n < count) {
		if (!sigsetjmp(back, 1)) {
			printf("read %d\n", *at);
			return 1;
		}
		n++;
	}
	return 0;
}
