// SPDX-License-Identifier: BSD-2-Clause
/*
 * A hostile helper in the place of suture-load: it loads another module than the monitor gave,
 * whose bytes at the offsets in /tmp/swap ("OFFSET BYTE", hexadecimal) are others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../../guest-agent/uapi.h"

int main(void)
{
	int fd = open(SUTURE_DEVICE, O_RDWR);
	FILE *changes = fopen("/tmp/swap", "r");
	struct suture_result result = {0};
	struct suture_job job;
	unsigned long offset;
	unsigned char *file;
	unsigned int byte;
	size_t done = 0;
	ssize_t n;

	if (fd < 0 || !changes || ioctl(fd, SUTURE_IOC_JOB, &job))
		return 1;
	if (job.kind == SUTURE_WORK_UNLOAD) {
		result.result = syscall(SYS_delete_module, job.name, O_NONBLOCK) ? -errno : 0;
		return ioctl(fd, SUTURE_IOC_RESULT, &result) != 0;
	}
	file = malloc(job.size);
	while (file && done < job.size && (n = read(fd, file + done, job.size - done)) > 0)
		done += (size_t)n;
	while (file && fscanf(changes, "%lx %x", &offset, &byte) == 2 && offset < job.size)
		file[offset] = (unsigned char)byte;
	result.result =
		syscall(SYS_init_module, file, (unsigned long)job.size, job.params) ? -errno : 0;
	return ioctl(fd, SUTURE_IOC_RESULT, &result) != 0;
}
