/* SPDX-License-Identifier: BSD-2-Clause */
/* load FILE [NAME=VALUE...]: one init_module(2). Busybox's insmod tries twice what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "", O_RDONLY);
	char params[1024] = "";
	struct stat st;
	void *module;

	if (fd < 0 || fstat(fd, &st)) {
		perror("usage: load FILE [NAME=VALUE...]");
		return 2;
	}
	module = malloc((size_t)st.st_size);
	if (!module || read(fd, module, (size_t)st.st_size) != st.st_size) {
		perror(argv[1]);
		return 2;
	}
	for (int i = 2; i < argc; i++)
		snprintf(params + strlen(params), sizeof(params) - strlen(params), "%s ", argv[i]);
	if (syscall(SYS_init_module, module, (unsigned long)st.st_size, params)) {
		fprintf(stderr, "load: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return 0;
}
