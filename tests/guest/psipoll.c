/* SPDX-License-Identifier: BSD-2-Clause */
/* psipoll: makes a trigger for memory pressure, polls it once, and prints what the poll returned.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	static const char trigger[] = "some 150000 1000000";
	struct pollfd p = {.events = POLLPRI};

	p.fd = open("/proc/pressure/memory", O_RDWR);
	if (p.fd < 0 || write(p.fd, trigger, sizeof(trigger)) < 0) {
		perror("/proc/pressure/memory");
		return 1;
	}
	if (poll(&p, 1, 10) < 0) {
		perror("poll");
		return 1;
	}
	printf("%#x\n", p.revents);
	return 0;
}
