// SPDX-License-Identifier: BSD-2-Clause
/*
 * crowd N: N processes that sleep, until they are killed. Ends when all of them exist.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void sleep_on(void)
{
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 0;

	if (n < 1) {
		fprintf(stderr, "usage: crowd N\n");
		return 2;
	}
	fclose(stdin);
	for (long i = 0; i < n; i++) {
		pid_t child = fork();

		if (child < 0) {
			fprintf(stderr, "crowd: process %ld of %ld: %s\n", i, n, strerror(errno));
			return 1;
		}
		if (!child) {
			fclose(stdout);
			fclose(stderr);
			sleep_on();
		}
	}
	return 0;
}
