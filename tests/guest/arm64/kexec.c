// SPDX-License-Identifier: BSD-2-Clause
/*
 * kexec load KERNEL INITRD CMDLINE	the kernel (an Image) that `kexec run` starts
 * kexec panic KERNEL INITRD CMDLINE	the one that starts when this one panics
 * kexec run
 *
 * Debian's cloud kernels for arm64 have kexec_load(2) alone, to which the caller gives all that is
 * to be in memory: the Image, the initrd, a device tree, and code that gives the one to the other.
 * The tree is the one that this kernel has got, with another /chosen. A crash kernel also gets the
 * memory that it may use, and a header that says where the other kernel's is.
 */
#include <elf.h>
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
#define MAX_HEADERS  64

struct blob {
	char *data;
	size_t len;
};

struct range {
	uint64_t from, to; /* the last byte's */
};

/* What the new kernel is told. */
struct chosen {
	const char *cmdline;
	struct range initrd;
	struct range memory; /* to: 0: all */
	struct range header; /* of the crashed kernel's memory */
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

/* Two cells each for address and size: so have the trees of EFI's stub and of QEMU. */
static void put_range(struct blob *out, struct blob *names, const char *name, const struct range *r)
{
	uint64_t cells[2] = {htobe64(r->from), htobe64(r->to - r->from + 1)};

	put_prop(out, names, name, cells, sizeof(cells));
}

static void put_chosen(struct blob *out, struct blob *names, const struct chosen *c)
{
	uint64_t from = htobe64(c->initrd.from), to = htobe64(c->initrd.to + 1);

	put_prop(out, names, "bootargs", c->cmdline, strlen(c->cmdline) + 1);
	put_prop(out, names, "linux,initrd-start", &from, sizeof(from));
	put_prop(out, names, "linux,initrd-end", &to, sizeof(to));
	if (c->memory.to) {
		put_range(out, names, "linux,usable-memory-range", &c->memory);
		put_range(out, names, "linux,elfcorehdr", &c->header);
	}
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

static struct blob make_tree(const struct chosen *c)
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
			put_chosen(&out, &names, c);
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

/* The range of this name that the kernel has kept for a crash kernel. */
static struct range find_crash_memory(void)
{
	FILE *f = fopen("/proc/iomem", "r");
	struct range r = {0};
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "Crash kernel") && sscanf(line, "%lx-%lx", &r.from, &r.to) == 2)
			break;
	if (!r.to) {
		fprintf(stderr, "no memory for a crash kernel: crashkernel=\n");
		exit(1);
	}
	fclose(f);
	return r;
}

/* ---- the crashed kernel's memory (Documentation/admin-guide/kdump) ---- */

static void add_header(Elf64_Ehdr *e, uint32_t type, uint64_t from, uint64_t len)
{
	Elf64_Phdr *p = (Elf64_Phdr *)(e + 1) + e->e_phnum++;

	if (e->e_phnum > MAX_HEADERS)
		exit(1);
	p->p_type = type;
	p->p_offset = from;
	p->p_paddr = from;
	p->p_filesz = len;
	p->p_memsz = len;
}

static int read_numbers(const char *path, int hex, uint64_t *a, uint64_t *b)
{
	FILE *f = fopen(path, "r");
	int n = f ? fscanf(f, hex ? "%lx %lx" : "%lu %lu", a, b) : 0;

	if (f)
		fclose(f);
	return n;
}

static void add_notes(Elf64_Ehdr *e)
{
	uint64_t at, size = 0, none;
	char path[80];

	for (unsigned int cpu = 0;; cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/crash_notes", cpu);
		if (read_numbers(path, 1, &at, &none) < 1)
			break;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/crash_notes_size", cpu);
		if (read_numbers(path, 0, &size, &none) < 1)
			fail(path);
		add_header(e, PT_NOTE, at, size);
	}
	if (read_numbers("/sys/kernel/vmcoreinfo", 1, &at, &size) != 2)
		fail("/sys/kernel/vmcoreinfo");
	add_header(e, PT_NOTE, at, size);
}

static void add_memory(Elf64_Ehdr *e, const struct range *without)
{
	FILE *f = fopen("/proc/iomem", "r");
	uint64_t from, to;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == ' ' || !strstr(line, "System RAM") ||
		    sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (without->from < from || without->from > to) {
			add_header(e, PT_LOAD, from, to - from + 1);
			continue;
		}
		add_header(e, PT_LOAD, from, without->from - from);
		add_header(e, PT_LOAD, without->to + 1, to - without->to);
	}
	if (f)
		fclose(f);
}

static struct blob make_header(const struct range *without)
{
	struct blob b = {calloc(1, PAGE), PAGE};
	Elf64_Ehdr *e = (Elf64_Ehdr *)b.data;

	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_ident[EI_VERSION] = EV_CURRENT;
	e->e_type = ET_CORE;
	e->e_machine = EM_AARCH64;
	e->e_version = EV_CURRENT;
	e->e_phoff = sizeof(*e);
	e->e_ehsize = sizeof(*e);
	e->e_phentsize = sizeof(Elf64_Phdr);
	add_notes(e);
	add_memory(e, without);
	return b;
}

/* ---- loading ---- */

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

static int load(char **argv, int crash)
{
	struct blob kernel = read_file(argv[2]), initrd = read_file(argv[3]), tree, entry,
		    header = {0};
	struct chosen c = {.cmdline = argv[4]};
	uint64_t size, at, tree_at, entry_at;
	struct kexec_segment segments[5];
	unsigned int n = 4;

	/* image_size (Documentation/arch/arm64/booting.rst) */
	memcpy(&size, kernel.data + 16, sizeof(size));
	if (crash) {
		c.memory = find_crash_memory();
		at = ALIGN(c.memory.from, IMAGE_ALIGN);
		header = make_header(&c.memory);
	} else {
		at = find_memory(size + initrd.len + 2 * IMAGE_ALIGN + TREE_ROOM);
	}
	if (!at) {
		fprintf(stderr, "no room in memory\n");
		return 1;
	}
	c.initrd.from = at + ALIGN(size, IMAGE_ALIGN);
	c.initrd.to = c.initrd.from + initrd.len - 1;
	c.header.from = ALIGN(c.initrd.to, PAGE);
	c.header.to = c.header.from + PAGE - 1;
	tree_at = c.header.to + 1;
	tree = make_tree(&c);
	entry_at = tree_at + ALIGN(tree.len, PAGE);
	entry = make_entry(at, tree_at);
	segments[0] = segment(kernel, at, size);
	segments[1] = segment(initrd, c.initrd.from, initrd.len);
	segments[2] = segment(tree, tree_at, tree.len);
	segments[3] = segment(entry, entry_at, entry.len);
	if (crash)
		segments[n++] = segment(header, c.header.from, header.len);
	if (syscall(SYS_kexec_load, entry_at, n, segments,
		    KEXEC_ARCH_AARCH64 | (crash ? KEXEC_ON_CRASH : 0)))
		fail("kexec_load");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "load"))
		return load(argv, 0);
	if (argc == 5 && !strcmp(argv[1], "panic"))
		return load(argv, 1);
	if (argc == 2 && !strcmp(argv[1], "run")) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		return fail("reboot");
	}
	fprintf(stderr, "usage: kexec load|panic KERNEL INITRD CMDLINE, kexec run\n");
	return 2;
}
