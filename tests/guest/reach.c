/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that lead into the functions of tests/fixes, and that no command of the test guest
 * makes. reach WHAT: prints one line, which says what the kernel did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <asm/unistd.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define PAGE	 4096
#define PAGES	 8
#define LOCKABLE 4 /* pages */

static int need(long result, const char *what)
{
	if (result < 0) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
	return (int)result;
}

/* Nanoseconds that are -1 as a long. */
static void timens(void)
{
	static const char offset[] = "monotonic 1 18446744073709551615";
	int fd;

	need(unshare(CLONE_NEWTIME), "unshare");
	fd = need(open("/proc/self/timens_offsets", O_WRONLY), "timens_offsets");
	if (write(fd, offset, sizeof(offset) - 1) < 0)
		printf("refused: %s\n", strerror(errno));
	else
		printf("accepted\n");
}

static sigjmp_buf bus;

static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(bus, 1);
}

/* Secret memory, with room for half of it under RLIMIT_MEMLOCK; mapped half by half, so that never
 * too much is mapped. */
static void secretmem(void)
{
	struct rlimit limit = {LOCKABLE * PAGE, LOCKABLE * PAGE};
	volatile int touched = 0;
	int fd;

	need(setrlimit(RLIMIT_MEMLOCK, &limit), "setrlimit");
	fd = need(syscall(__NR_memfd_secret, 0), "memfd_secret");
	need(ftruncate(fd, PAGES * PAGE), "ftruncate");
	signal(SIGBUS, on_bus);
	if (!sigsetjmp(bus, 1)) {
		for (int i = 0; i < PAGES; i++) {
			char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
					  (off_t)i * PAGE);

			if (page == MAP_FAILED)
				break;
			*page = 1;
			touched++;
			munmap(page, PAGE);
		}
	}
	printf("%d pages\n", touched);
}

/* In a domain in which `right` is granted nowhere. */
static void confine(__u64 right)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = right};
	int fd = need(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), "landlock");

	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl");
	need(syscall(SYS_landlock_restrict_self, fd, 0), "landlock_restrict_self");
}

/* A whiteout where no character devices, and one where no regular files may be made. */
static void landlock(void)
{
	int status;

	mkfifo("/run/fifo", 0600);
	if (!need(fork(), "fork")) {
		confine(LANDLOCK_ACCESS_FS_MAKE_CHAR);
		exit(mknod("/run/whiteout", S_IFCHR | 0600, makedev(0, 0)) ? 1 : 0);
	}
	wait(&status);
	printf("mknod %s, ", status ? "refused" : "done");
	fflush(stdout);
	if (!need(fork(), "fork")) {
		confine(LANDLOCK_ACCESS_FS_MAKE_REG);
		link("/run/fifo", "/run/link");
		exit(syscall(SYS_renameat2, AT_FDCWD, "/run/fifo", AT_FDCWD, "/run/other",
			     RENAME_WHITEOUT)
			     ? 1
			     : 0);
	}
	wait(&status);
	printf("rename %s\n", status ? "refused" : "done");
	for (const char **name = (const char *[]){"fifo", "whiteout", "link", "other", NULL}; *name;
	     name++)
		unlinkat(need(open("/run", O_RDONLY), "/run"), *name, 0);
}

/* A packet into a tun device. */
static void tun(void)
{
	struct ifreq request = {.ifr_name = "reach0", .ifr_flags = IFF_TUN | IFF_NO_PI};
	char packet[40] = {0x45, [3] = sizeof(packet), [8] = 1, [9] = IPPROTO_UDP};
	int fd = need(open("/dev/net/tun", O_RDWR), "/dev/net/tun");
	int any = need(socket(AF_INET, SOCK_DGRAM, 0), "socket");

	need(ioctl(fd, TUNSETIFF, &request), "TUNSETIFF");
	request.ifr_flags = IFF_UP;
	need(ioctl(any, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
	printf("%d bytes\n", need(write(fd, packet, sizeof(packet)), "write"));
}

static unsigned short checksum(const unsigned short *words, int n)
{
	unsigned sum = 0;

	while (n--)
		sum += *words++;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned short)~sum;
}

/* Join a group, ask all hosts twice who is in it (IGMPv2), and leave. */
static void igmp(const char *address)
{
	struct ip_mreqn group = {.imr_multiaddr.s_addr = inet_addr("239.1.2.3"),
				 .imr_address.s_addr = inet_addr(address)};
	struct sockaddr_in all = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("224.0.0.1")};
	unsigned short query[4] = {htons(0x1164), 0, 0, 0};
	int member = need(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	int raw = need(socket(AF_INET, SOCK_RAW, IPPROTO_IGMP), "raw socket");

	query[1] = checksum(query, 4);
	need(setsockopt(raw, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group)), "interface");
	for (int i = 0; i < 2; i++) {
		need(setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)),
		     "join");
		for (int n = 0; n < 2; n++) {
			need(sendto(raw, query, sizeof(query), 0, (struct sockaddr *)&all,
				    sizeof(all)),
			     "query");
			usleep(20000);
		}
		need(setsockopt(member, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)),
		     "leave");
	}
	printf("asked\n");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "timens"))
		timens();
	else if (!strcmp(what, "secretmem"))
		secretmem();
	else if (!strcmp(what, "landlock"))
		landlock();
	else if (!strcmp(what, "tun"))
		tun();
	else if (!strcmp(what, "igmp") && argc > 2)
		igmp(argv[2]);
	else
		return fprintf(stderr, "usage: reach timens|secretmem|landlock|tun|igmp ADDRESS\n"),
		       2;
	return 0;
}
