/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel.h"
#include "ctl.h"

#include <bpf/btf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `uname -r` says. include/config/kernel.release is another one in Debian's headers. */
static void read_release(struct kernel *k, const char *headers)
{
	char path[PATH_MAX], *text, *quote;
	size_t size;

	snprintf(path, sizeof(path), "%s/include/generated/utsrelease.h", headers);
	text = access(path, R_OK) ? NULL : read_file(path, 4096, &size);
	quote = text ? strstr(text, "UTS_RELEASE \"") : NULL;
	if (quote) {
		quote += strlen("UTS_RELEASE \"");
		snprintf(k->release, sizeof(k->release), "%.*s", (int)strcspn(quote, "\""), quote);
	}
	free(text);
}

static int open_image(struct kernel *k, const struct options *o)
{
	struct extent btf;

	snprintf(k->image_path, sizeof(k->image_path), "/boot/vmlinuz-%s", k->release);
	if (!o->vmlinuz && (o->build_id || !*k->release || access(k->image_path, R_OK)))
		return EX_DONE;
	if (image_open(&k->image, o->vmlinuz ? o->vmlinuz : k->image_path))
		return EX_BAD_USAGE;
	k->has_syms = !kallsyms_read(&k->syms, &k->image);
	btf = image_section(&k->image, ".BTF");
	if (btf.size)
		k->btf = types_open(btf.data, btf.size, NULL);
	return EX_DONE;
}

static int open_modules(struct kernel *k, const struct options *o)
{
	char path[128];

	for (unsigned i = 0; i < o->nr_modules; i++)
		if (modules_add(&k->modules, o->modules[i]))
			return EX_BAD_USAGE;
	snprintf(path, sizeof(path), "/lib/modules/%s", k->release);
	if (!o->nr_modules && *k->release && !access(path, R_OK) && modules_add(&k->modules, path))
		return EX_FAILED;
	return EX_DONE;
}

static int find_debug(struct kernel *k, const struct options *o)
{
	k->debug_given = o->debug;
	if (o->debug && access(o->debug, R_OK))
		return fail(EX_BAD_USAGE, "--debug %s: cannot be read", o->debug);
	if (o->debug && strlen(o->debug) >= sizeof(k->debug_path))
		return fail(EX_BAD_USAGE, "--debug %s: path too long", o->debug);
	if (o->debug)
		strcpy(k->debug_path, o->debug);
	else if (*k->release)
		snprintf(k->debug_path, sizeof(k->debug_path), "/usr/lib/debug/boot/vmlinux-%s",
			 k->release);
	if (access(k->debug_path, R_OK))
		k->debug_path[0] = 0;
	return EX_DONE;
}

int kernel_open(struct kernel *k, const struct options *o, const char *headers)
{
	char path[PATH_MAX];
	int r;

	*k = (struct kernel){0};
	read_release(k, headers);
	snprintf(path, sizeof(path), "%s/Module.symvers", headers);
	exports_read(&k->exports, path);
	r = open_image(k, o);
	if (!r)
		r = open_modules(k, o);
	return r ? r : find_debug(k, o);
}

void kernel_close(struct kernel *k)
{
	btf__free(k->btf);
	kallsyms_free(&k->syms);
	image_close(&k->image);
	modules_free(&k->modules);
	exports_free(&k->exports);
}

bool kernel_older(const struct kernel *k, unsigned major, unsigned minor)
{
	unsigned ma, mi;

	if (sscanf(k->release, "%u.%u", &ma, &mi) != 2)
		return false;
	return ma < major || (ma == major && mi < minor);
}

static bool lies_between(const struct kallsyms *k, const char *first, const char *last,
			 uint64_t address)
{
	return address >= kallsyms_address(k, first) && address < kallsyms_address(k, last);
}

/*
 * A kernel whose kallsyms has symbols of code only (no CONFIG_KALLSYMS_ALL) names no end of its
 * init memory but that of the code in it. Since 6.15 per-CPU variables lie between init sections;
 * they stay.
 */
bool kernel_frees(const struct kernel *k, uint64_t address)
{
	return (lies_between(&k->syms, "__init_begin", "__init_end", address) ||
		lies_between(&k->syms, "_sinittext", "_einittext", address)) &&
	       !lies_between(&k->syms, "__per_cpu_start", "__per_cpu_end", address);
}
