/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel that a bundle is for: those of its files that are given or installed. */
#ifndef CTL_KERNEL_H
#define CTL_KERNEL_H

#include "exports.h"
#include "image.h"
#include "kallsyms.h"
#include "modules.h"
#include "types.h"

struct options;

struct kernel {
	char release[64];	/* of the headers, as uname -r; "" if not known */
	struct exports exports; /* its own and those of all its modules */
	char image_path[96];	/* the path of an installed image */
	struct image image;	/* elf is NULL: there is none */
	bool has_syms;
	struct kallsyms syms;
	struct btf *btf; /* may be NULL */
	struct modules modules;
	char debug_path[128]; /* a vmlinux with debug information, "" if there is none */
	bool debug_given;     /* with --debug */
};

/*
 * Open the files that the options name, and those that are installed for the release of `headers`.
 * An exit code; a file that was named and cannot be read is an error with a message printed.
 * kernel_close() also after a failure.
 */
int kernel_open(struct kernel *k, const struct options *o, const char *headers);
void kernel_close(struct kernel *k);

/* The release is older than major.minor; false if it is not known. */
bool kernel_older(const struct kernel *k, unsigned major, unsigned minor);

/* Is the address in init memory, which is freed when the kernel has booted? false without symbols.
 */
bool kernel_frees(const struct kernel *k, uint64_t address);

#endif
