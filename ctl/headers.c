/* SPDX-License-Identifier: BSD-2-Clause */
#include "headers.h"
#include "ctl.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <suture/bundle.h>

/*
 * An architecture: its names for kbuild and uname(2), its line in the kernel's configuration, its
 * compiler.
 */
static const struct architecture {
	unsigned machine;
	const char *arch, *uname, *config, *prefix, *package;
} architectures[] = {
	{SUTURE_MACHINE_X86_64, "x86_64", "x86_64", "#define CONFIG_X86_64 1\n",
	 "x86_64-linux-gnu-", "gcc-x86-64-linux-gnu"},
	{SUTURE_MACHINE_ARM64, "arm64", "aarch64", "#define CONFIG_ARM64 1\n", "aarch64-linux-gnu-",
	 "gcc-aarch64-linux-gnu"},
};

#define NR_ARCHITECTURES (sizeof(architectures) / sizeof(architectures[0]))

static const struct architecture *find_architecture(const char *folder)
{
	const struct architecture *found = NULL;
	char path[PATH_MAX], *text;
	size_t size;

	snprintf(path, sizeof(path), "%s/include/generated/autoconf.h", folder);
	text = access(path, R_OK) ? NULL : read_file(path, 16u << 20, &size);
	for (size_t i = 0; text && i < NR_ARCHITECTURES; i++)
		if (memmem(text, size, architectures[i].config, strlen(architectures[i].config)))
			found = &architectures[i];
	free(text);
	return found;
}

/* Is there such a program in $PATH, or at that path? */
static bool is_program(const char *prefix, const char *name)
{
	const char *folders = strchr(prefix, '/') ? "" : getenv("PATH");
	char path[PATH_MAX];

	while (folders) {
		size_t n = strcspn(folders, ":");

		snprintf(path, sizeof(path), "%.*s%s%s%s", (int)n, folders, n ? "/" : "", prefix,
			 name);
		if (!access(path, X_OK))
			return true;
		folders = folders[n] ? folders + n + 1 : NULL;
	}
	return false;
}

int headers_read(struct headers *h, const char *folder)
{
	const struct architecture *a = find_architecture(folder);
	const char *prefix = getenv("CROSS_COMPILE");
	struct utsname u;

	*h = (struct headers){0};
	if (!a)
		return fail(EX_BAD_USAGE,
			    "%s: headers of a kernel that is not configured, or neither for x86-64 "
			    "nor for arm64",
			    folder);
	h->machine = a->machine;
	h->arch = a->arch;
	uname(&u);
	if (!strcmp(u.machine, a->uname))
		return EX_DONE;
	if (!prefix || !*prefix)
		prefix = a->prefix;
	snprintf(h->cross_compile, sizeof(h->cross_compile), "%s", prefix);
	if (is_program(prefix, "gcc"))
		return EX_DONE;
	return fail(EX_BAD_USAGE,
		    "%s: headers for %s, and there is no %sgcc: install %s, or set CROSS_COMPILE",
		    folder, a->arch, prefix, a->package);
}
