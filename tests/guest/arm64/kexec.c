// SPDX-License-Identifier: BSD-2-Clause
/*
 * kexec load KERNEL INITRD CMDLINE	the kernel (an Image) that `kexec run` starts
 * kexec run
 *
 * Debian's cloud kernels for arm64 have kexec_load(2) alone, to which the caller gives all that is
 * to be in memory: the Image, the initrd, a device tree, and code that gives the one to the other.
 * The tree is the one that this kernel has got, with another /chosen.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALIGN(n, to) (((n) + (to)-1) & ~((uint64_t)(to)-1))
#define PAGE	     0x1000
#define IMAGE_ALIGN  0x200000
#define TREE_ROOM    0x10000 /* for what is added */

struct blob {
	char *data;
	size_t len;
};

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct blob read_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct blob b = {malloc(64 << 20), 0};
	ssize_t got;

	if (fd < 0 || !b.data)
		fail(path);
	while ((got = read(fd, b.data + b.len, (64 << 20) - b.len)) > 0)
		b.len += got;
	if (got < 0)
		fail(path);
	return b;
}

/* ---- the device tree (Devicetree Specification, chapter 5) ---- */

enum { BEGIN_NODE = 1, END_NODE, PROP, NOP, END = 9 };

struct fdt {
	uint32_t magic, total, structure, strings, reserved, version, last, boot_cpu, strings_len,
		structure_len;
};

static uint32_t be(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static void put(struct blob *b, uint32_t v)
{
	v = htobe32(v);
	memcpy(b->data + b->len, &v, sizeof(v));
	b->len += sizeof(v);
}

static void put_bytes(struct blob *b, const void *p, size_t len)
{
	memcpy(b->data + b->len, p, len);
	memset(b->data + b->len + len, 0, ALIGN(len, 4) - len);
	b->len += ALIGN(len, 4);
}

/* A property, whose name goes behind the strings. */
static void put_prop(struct blob *out, struct blob *names, const char *name, const void *value,
		     size_t len)
{
	put(out, PROP);
	put(out, len);
	put(out, names->len);
	put_bytes(out, value, len);
	strcpy(names->data + names->len, name);
	names->len += strlen(name) + 1;
}

static void put_chosen(struct blob *out, struct blob *names, const char *cmdline, uint64_t initrd,
		       uint64_t end)
{
	uint64_t from = htobe64(initrd), to = htobe64(end);

	put_prop(out, names, "bootargs", cmdline, strlen(cmdline) + 1);
	put_prop(out, names, "linux,initrd-start", &from, sizeof(from));
	put_prop(out, names, "linux,initrd-end", &to, sizeof(to));
}

static int is_replaced(const char *name)
{
	return !strcmp(name, "bootargs") || !strcmp(name, "linux,initrd-start") ||
	       !strcmp(name, "linux,initrd-end");
}

/* Bytes of the token at `at`. */
static size_t token_len(const char *at)
{
	switch (be(at)) {
	case BEGIN_NODE:
		return 4 + ALIGN(strlen(at + 4) + 1, 4);
	case PROP:
		return 12 + ALIGN(be(at + 4), 4);
	default:
		return 4;
	}
}

static struct blob make_tree(const char *cmdline, uint64_t initrd, uint64_t end)
{
	struct blob old = read_file("/sys/firmware/fdt");
	const struct fdt *head = (const struct fdt *)old.data;
	struct blob out = {calloc(1, old.len + TREE_ROOM), sizeof(*head)};
	struct blob names = {calloc(1, old.len + TREE_ROOM), be(&head->strings_len)};
	struct fdt *to = (struct fdt *)out.data;
	const char *strings = old.data + be(&head->strings);
	int depth = 0, chosen = 0;

	memcpy(names.data, strings, names.len);
	to->reserved = htobe32(ALIGN(out.len, 8));
	out.len = ALIGN(out.len, 8) + 16; /* nothing is reserved */
	to->structure = htobe32(out.len);
	for (const char *at = old.data + be(&head->structure);; at += token_len(at)) {
		uint32_t token = be(at);

		depth += token == BEGIN_NODE ? 1 : token == END_NODE ? -1 : 0;
		if (!(token == PROP && chosen == depth && is_replaced(strings + be(at + 8))))
			put_bytes(&out, at, token_len(at));
		if (token == BEGIN_NODE && depth == 2 && !strcmp(at + 4, "chosen")) {
			chosen = depth;
			put_chosen(&out, &names, cmdline, initrd, end);
		}
		if (token == END_NODE && depth < 2)
			chosen = 0;
		if (token == END)
			break;
	}
	to->magic = head->magic;
	to->structure_len = htobe32(out.len - be32toh(to->structure));
	to->strings = htobe32(out.len);
	to->strings_len = htobe32(names.len);
	put_bytes(&out, names.data, names.len);
	to->version = htobe32(17);
	to->last = htobe32(16);
	to->boot_cpu = head->boot_cpu;
	to->total = htobe32(out.len);
	return out;
}

/* ---- memory ---- */

/* Where so many bytes of RAM are that nothing has reserved. */
static uint64_t find_memory(uint64_t len)
{
	FILE *f = fopen("/proc/iomem", "r");
	uint64_t free = 0, end = 0, from, to, at = 0;
	char line[256];

	if (!f)
		fail("/proc/iomem");
	while (!at && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (line[0] != ' ') {
			/* the end of the one before */
			at = free && free + len <= end ? free : 0;
			free = strstr(line, "System RAM") ? ALIGN(from, IMAGE_ALIGN) : 0;
			end = to;
		} else if (free && strstr(line, "reserved")) {
			at = free + len <= from ? free : 0;
			free = ALIGN(to + 1, IMAGE_ALIGN);
		}
	}
	if (!at && free && free + len <= end)
		at = free;
	fclose(f);
	return at;
}

/* LDR X17, kernel; LDR X0, tree; X1 to X3 0; BR X17; the two addresses. */
static struct blob make_entry(uint64_t kernel, uint64_t tree)
{
	static uint32_t code[] = {0x580000d1, 0x580000e0, 0xaa1f03e1, 0xaa1f03e2, 0xaa1f03e3,
				  0xd61f0220, 0,	  0,	      0,	  0};

	memcpy(&code[6], &kernel, sizeof(kernel));
	memcpy(&code[8], &tree, sizeof(tree));
	return (struct blob){(char *)code, sizeof(code)};
}

static struct kexec_segment segment(struct blob b, uint64_t at, uint64_t size)
{
	return (struct kexec_segment){b.data, b.len, (void *)at, ALIGN(size, PAGE)};
}

static int load(char **argv)
{
	struct blob kernel = read_file(argv[2]), initrd = read_file(argv[3]), tree, entry;
	uint64_t size, at, initrd_at, tree_at, entry_at;
	struct kexec_segment segments[4];

	/* image_size (Documentation/arch/arm64/booting.rst) */
	memcpy(&size, kernel.data + 16, sizeof(size));
	at = find_memory(size + initrd.len + 2 * IMAGE_ALIGN + TREE_ROOM);
	if (!at) {
		fprintf(stderr, "no room in memory\n");
		return 1;
	}
	initrd_at = at + ALIGN(size, IMAGE_ALIGN);
	tree_at = initrd_at + ALIGN(initrd.len, PAGE);
	tree = make_tree(argv[4], initrd_at, initrd_at + initrd.len);
	entry_at = tree_at + ALIGN(tree.len, PAGE);
	entry = make_entry(at, tree_at);
	segments[0] = segment(kernel, at, size);
	segments[1] = segment(initrd, initrd_at, initrd.len);
	segments[2] = segment(tree, tree_at, tree.len);
	segments[3] = segment(entry, entry_at, entry.len);
	if (syscall(SYS_kexec_load, entry_at, 4, segments, KEXEC_ARCH_AARCH64))
		fail("kexec_load");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "load"))
		return load(argv);
	if (argc == 2 && !strcmp(argv[1], "run")) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		return fail("reboot");
	}
	fprintf(stderr, "usage: kexec load KERNEL INITRD CMDLINE, kexec run\n");
	return 2;
}
