/* SPDX-License-Identifier: BSD-2-Clause */
#include "kbuild.h"
#include "buildlog.h"
#include "ctl.h"
#include "run.h"

#include <stdlib.h>
#include <sys/stat.h>

/* The agent's livepatch header, by what this command is: installed, or in a source tree's
 * build/ctl/. */
#define INSTALLED_INCLUDE "../share/suture/include"
#define TREE_INCLUDE	  "../../guest-agent/include"

bool kbuild_has_file(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
	       !stat(path, &st) && S_ISREG(st.st_mode);
}

static int find_include(char *path, size_t size)
{
	const char *given = getenv("SUTURE_INCLUDE");

	if (given)
		snprintf(path, size, "%s", given);
	else
		run_find_own(path, size, TREE_INCLUDE, INSTALLED_INCLUDE);
	if (!kbuild_has_file(path, "linux/livepatch.h"))
		return fail(EX_BAD_USAGE,
			    "the agent's linux/livepatch.h is not in %s: install the "
			    "whole package or set SUTURE_INCLUDE",
			    path);
	return EX_DONE;
}

int kbuild_open(struct kbuild *b, const char *kernel)
{
	int r = find_include(b->include, sizeof(b->include));

	b->kernel = kernel;
	if (r)
		return r;
	if (!kbuild_has_file(kernel, "Makefile"))
		return fail(EX_BAD_USAGE,
			    "%s: not kernel headers: install linux-headers for the target and name "
			    "them with --kernel",
			    kernel);
	return headers_read(&b->headers, kernel);
}

int kbuild_make(const struct kbuild *b, const char *folder, const char *target, const char *log,
		const char *name)
{
	char m[PATH_MAX + 2], nostdinc[2 * PATH_MAX], symvers[2 * PATH_MAX], arch[32], cross[96];
	const char *make[] = {
		"make", "-C", b->kernel, m, nostdinc, "CONFIG_DEBUG_INFO_BTF_MODULES=",
		/* For the new functions' prototypes; it does not go into the bundle. */
		"KCFLAGS=-g",
		/* Unexported symbols are resolved when the payload is loaded. */
		"KBUILD_MODPOST_WARN=1", symvers, target, arch,
		/* this machine's own compiler is left to kbuild: the last argument then */
		NULL, NULL};

	snprintf(m, sizeof(m), "M=%s", folder);
	snprintf(arch, sizeof(arch), "ARCH=%s", b->headers.arch);
	snprintf(cross, sizeof(cross), "CROSS_COMPILE=%s", b->headers.cross_compile);
	if (*b->headers.cross_compile)
		make[sizeof(make) / sizeof(make[0]) - 2] = cross;
	/*
	 * NOSTDINC_FLAGS comes before the kernel's own include folders; nothing else does. Kernels
	 * before 5.16 keep the compiler's folder there (<stdarg.h>), which make finds, once it
	 * knows its compiler.
	 */
	snprintf(nostdinc, sizeof(nostdinc),
		 "NOSTDINC_FLAGS=-nostdinc -I%s "
		 "-isystem $(if $(CC),$(shell $(CC) -print-file-name=include))",
		 b->include);
	/* The agent's exports; kernels with modversions compare their checksums. */
	snprintf(symvers, sizeof(symvers), "KBUILD_EXTRA_SYMBOLS=%s/Module.symvers", b->include);
	if (!run(make, log))
		return EX_DONE;
	buildlog_show(log);
	return fail(EX_FAILED, "%s: kbuild failed: see above", name);
}
