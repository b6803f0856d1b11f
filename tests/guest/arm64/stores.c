// SPDX-License-Identifier: BSD-2-Clause
/* The stores of the module `stores` from user mode, by a mapping of its pages. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "../modules/stores_kinds.h"

#define ATOMICS (1 << 8) /* HWCAP_ATOMICS */

static unsigned char *area;
static _Alignas(64) unsigned char buffer[STORES_AREA];

static unsigned int try_kind(const struct stores_kind *k, unsigned int *wrong)
{
	unsigned int n = 0, offset;

	while ((offset = stores_place(k, n)) < STORES_AREA) {
		if (!stores_try(k, area, buffer, offset)) {
			printf("%s at %u is wrong\n", k->name, offset);
			++*wrong;
		}
		n++;
	}
	return n;
}

int main(void)
{
	unsigned int n = 0, wrong = 0;
	int file = open("/proc/stores", O_RDWR);

	area = mmap(NULL, STORES_AREA, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (area == MAP_FAILED) {
		perror("/proc/stores");
		return 1;
	}
	for (unsigned int i = 0; i < STORES_KINDS; i++)
		if (!stores_kinds[i].lse || getauxval(AT_HWCAP) & ATOMICS)
			n += try_kind(&stores_kinds[i], &wrong);
	printf("%u stores, %u wrong\n", n, wrong);
	return wrong != 0;
}
