// SPDX-License-Identifier: BSD-2-Clause
/*
 * A BPF program that counts the calls of a kernel function, through a BPF trampoline:
 *
 *   bpf fentry FUNCTION NAME   attach it before the call
 *   bpf fexit FUNCTION NAME    attach it around the call: the trampoline stays on the stack
 *   bpf fmod_ret FUNCTION NAME attach it in the place of the call, which returns -ENOSPC
 *   bpf lsm FUNCTION NAME      attach it to that hook of the BPF LSM, in the place of the call
 *   bpf count NAME             how many calls there were
 *
 * What it attached stays for as long as /sys/fs/bpf/NAME exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char verifier_log[65536];

static void die(const char *what)
{
	fprintf(stderr, "bpf: %s: %s\n%s", what, strerror(errno), verifier_log);
	exit(1);
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* ---- the function's number among the kernel's types ---- */

static size_t tail_of(const struct btf_type *t)
{
	size_t n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return n * sizeof(struct btf_var_secinfo);
	default:
		return 0;
	}
}

static uint32_t find_function(const char *name)
{
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY);
	struct btf_header *h;
	struct stat st;
	uint32_t id = 1;
	char *at, *end, *names;
	ssize_t got, size = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		die("/sys/kernel/btf/vmlinux");
	h = malloc((size_t)st.st_size);
	while (h && (got = read(fd, (char *)h + size, (size_t)(st.st_size - size))) > 0)
		size += got;
	if (!h || size != st.st_size)
		die("read");
	close(fd);
	at = (char *)h + h->hdr_len + h->type_off;
	end = at + h->type_len;
	names = (char *)h + h->hdr_len + h->str_off;
	for (; at < end; id++) {
		struct btf_type *t = (void *)at;

		if (BTF_INFO_KIND(t->info) == BTF_KIND_FUNC && !strcmp(names + t->name_off, name)) {
			free(h);
			return id;
		}
		at += sizeof(*t) + tail_of(t);
	}
	errno = ENOENT;
	die(name);
	return 0;
}

/* ---- the program ---- */

static int make_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};
	int fd = bpf(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		die("map");
	return fd;
}

static int load(int map, uint32_t function, enum bpf_attach_type type)
{
	const struct bpf_insn code[] = {
		/* r1 = address of the map's value */
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = map},
		{.code = 0},
		/* r2 = 1; lock *r1 += r2; return result */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1},
		{.code = BPF_STX | BPF_DW | BPF_ATOMIC,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .imm = type == BPF_MODIFY_RETURN ? -ENOSPC : 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = type == BPF_LSM_MAC ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING,
		.expected_attach_type = type,
		.attach_btf_id = function,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.prog_name = "test_program",
		.license = (uintptr_t) "GPL",
		.log_level = 1,
		.log_buf = (uintptr_t)verifier_log,
		.log_size = sizeof(verifier_log),
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		die("load");
	return fd;
}

static void pin(int fd, const char *name, const char *suffix)
{
	char path[256];
	union bpf_attr attr = {.bpf_fd = (uint32_t)fd, .pathname = (uintptr_t)path};

	snprintf(path, sizeof(path), "/sys/fs/bpf/%s%s", name, suffix);
	if (bpf(BPF_OBJ_PIN, &attr) < 0)
		die(path);
}

static void attach(enum bpf_attach_type type, const char *function, const char *name)
{
	union bpf_attr attr = {0};
	int map = make_map(), link;

	attr.raw_tracepoint.prog_fd = (uint32_t)load(map, find_function(function), type);
	link = bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
	if (link < 0)
		die("attach");
	pin(map, name, "_count");
	pin(link, name, "");
}

static void count(const char *name)
{
	char path[256];
	uint32_t key = 0;
	uint64_t value;
	union bpf_attr attr = {.pathname = (uintptr_t)path};
	int map;

	snprintf(path, sizeof(path), "/sys/fs/bpf/%s_count", name);
	map = bpf(BPF_OBJ_GET, &attr);
	if (map < 0)
		die(path);
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)&value;
	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) < 0)
		die("lookup");
	printf("%llu\n", (unsigned long long)value);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "fentry"))
		attach(BPF_TRACE_FENTRY, argv[2], argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "fexit"))
		attach(BPF_TRACE_FEXIT, argv[2], argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "fmod_ret"))
		attach(BPF_MODIFY_RETURN, argv[2], argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "lsm"))
		attach(BPF_LSM_MAC, argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "count"))
		count(argv[2]);
	else
		return 2;
	return 0;
}
