// SPDX-License-Identifier: BSD-2-Clause
/* Prints the result of uname(2). */
#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
	struct utsname name;

	if (uname(&name) < 0) {
		perror("uname");
		return 1;
	}
	printf("uname(2) says: %s %s, %s\n", name.sysname, name.release, name.version);
	return 0;
}
