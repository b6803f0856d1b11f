// SPDX-License-Identifier: BSD-2-Clause
/*
 * kexec load KERNEL INITRD CMDLINE	the kernel that `kexec run` starts
 * kexec panic KERNEL INITRD CMDLINE	the one that starts when this one panics
 * kexec run
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int load(char **argv, unsigned long flags)
{
	int kernel = open(argv[2], O_RDONLY);
	int initrd = open(argv[3], O_RDONLY);

	if (kernel < 0 || initrd < 0)
		return fail(kernel < 0 ? argv[2] : argv[3]);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[4]) + 1, argv[4], flags))
		return fail("kexec_file_load");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "load"))
		return load(argv, 0);
	if (argc == 5 && !strcmp(argv[1], "panic"))
		return load(argv, KEXEC_FILE_ON_CRASH);
	if (argc == 2 && !strcmp(argv[1], "run")) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		return fail("reboot");
	}
	fprintf(stderr, "usage: kexec load|panic KERNEL INITRD CMDLINE, kexec run\n");
	return 2;
}
