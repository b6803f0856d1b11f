// SPDX-License-Identifier: BSD-2-Clause
/*
 * livepatch FILE NAME: how long does Linux's own livepatch take to patch, and to take the patch
 * back? Loads the module FILE, named NAME, waits for the end of its transition, disables and
 * unloads it. Prints "patched N us, reverted N us".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_US 120000000ll
#define LOOK_US	 1000

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "livepatch: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The file of the patch in sysfs: its first character, or 0 when the patch is gone. */
static char look(const char *patch, const char *file)
{
	char path[256], c = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/livepatch/%s/%s", patch, file);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c;
}

static void disable(const char *patch)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/livepatch/%s/enabled", patch);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static void wait_while(const char *patch, const char *file, char value)
{
	long long end = now_us() + LIMIT_US;

	while (look(patch, file) == value) {
		if (now_us() > end) {
			errno = ETIMEDOUT;
			fail(patch);
		}
		usleep(LOOK_US);
	}
}

int main(int argc, char **argv)
{
	long long start, patched;
	int fd = open(argc > 2 ? argv[1] : "", O_RDONLY);

	if (fd < 0) {
		fprintf(stderr, "usage: livepatch FILE NAME\n");
		return 2;
	}
	start = now_us();
	if (syscall(SYS_finit_module, fd, "", 0))
		fail(argv[1]);
	wait_while(argv[2], "transition", '1');
	patched = now_us() - start;

	start = now_us();
	disable(argv[2]);
	wait_while(argv[2], "transition", '1');
	while (syscall(SYS_delete_module, argv[2], O_NONBLOCK))
		if (errno != EAGAIN && errno != EBUSY)
			fail(argv[2]);
	printf("patched %lld us, reverted %lld us\n", patched, now_us() - start);
	return 0;
}
