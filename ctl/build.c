/* SPDX-License-Identifier: BSD-2-Clause */
/* suture build: livepatch source -> kernel module (by kbuild) -> bundle. */
#include "ctl.h"
#include "pack.h"
#include "payload.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* The agent's livepatch header, by what this command is: installed, or in a source tree's
 * build/ctl/. */
#define INSTALLED_INCLUDE "/usr/share/suture/include"
#define TREE_INCLUDE	  "/../../guest-agent/include"

static bool is_file(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
	       !stat(path, &st) && S_ISREG(st.st_mode);
}

/* Run argv and wait. Its output goes to the file `log`, or nowhere changed when NULL. Returns the
 * exit status, -1 if it did not run. */
static int run(const char *const argv[], const char *log)
{
	int status = -1, fd;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(127);
		/* A make above this command must not hand its own options down to kbuild. */
		unsetenv("MAKEFLAGS");
		unsetenv("MAKELEVEL");
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int find_include(char *path, size_t size)
{
	const char *given = getenv("SUTURE_INCLUDE");
	char self[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given) {
		snprintf(path, size, "%s", given);
	} else {
		self[n > 0 ? n : 0] = 0;
		slash = strrchr(self, '/');
		if (slash)
			*slash = 0;
		snprintf(path, size, "%.*s" TREE_INCLUDE, (int)(PATH_MAX - sizeof(TREE_INCLUDE)),
			 self);
		if (!is_file(path, "linux/livepatch.h"))
			snprintf(path, size, "%s", INSTALLED_INCLUDE);
	}
	if (!is_file(path, "linux/livepatch.h"))
		return fail(EX_BAD_USAGE,
			    "the agent's linux/livepatch.h is not in %s: install the agent's "
			    "package or set SUTURE_INCLUDE",
			    path);
	return EX_DONE;
}

/* The one name in dir that ends with `suffix`, malloced with the path; NULL if none, or several. */
static char *only_file(const char *dir, const char *suffix)
{
	struct dirent *e;
	char *found = NULL;
	unsigned count = 0;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), s = strlen(suffix);

		if (n <= s || strcmp(e->d_name + n - s, suffix) != 0)
			continue;
		free(found);
		found = NULL;
		if (!count++ && asprintf(&found, "%s/%s", dir, e->d_name) < 0)
			found = NULL;
	}
	if (d)
		closedir(d);
	return found;
}

static void show_log(const char *path)
{
	char line[1024];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

/*
 * Build the module in a copy of dir below work, so that the sources stay clean. On success *ko is
 * its path (malloced).
 */
static int build_module(const char *dir, const char *kernel, const char *work, char **ko)
{
	char include[PATH_MAX], log[PATH_MAX], source[PATH_MAX], copy[PATH_MAX], m[PATH_MAX],
		nostdinc[2 * PATH_MAX], from[PATH_MAX], symvers[2 * PATH_MAX];
	const char *cp[] = {"cp", "-rL", "--", from, copy, NULL};
	const char *make[] = {"make", "-C", kernel, m, nostdinc, "CONFIG_DEBUG_INFO_BTF_MODULES=",
			      /* Debug information would be most of the bundle. */
			      "KCFLAGS=-g0",
			      /* Unexported symbols are resolved when the payload is loaded. */
			      "KBUILD_MODPOST_WARN=1", symvers, "modules", NULL};
	int r = find_include(include, sizeof(include));

	if (r)
		return r;
	if (!realpath(dir, source))
		return fail(EX_BAD_USAGE, "%s: %s", dir, strerror(errno));
	if (!is_file(source, "Kbuild") && !is_file(source, "Makefile"))
		return fail(EX_BAD_USAGE,
			    "%s: no Kbuild file in it: write one with 'obj-m := NAME.o'", dir);
	if (!is_file(kernel, "Makefile"))
		return fail(EX_BAD_USAGE,
			    "%s: not kernel headers: install linux-headers for the target and name "
			    "them with --kernel",
			    kernel);
	if (snprintf(copy, sizeof(copy), "%s/src", work) >= (int)sizeof(copy) ||
	    snprintf(m, sizeof(m), "M=%s/src", work) >= (int)sizeof(m) ||
	    snprintf(log, sizeof(log), "%s/log", work) >= (int)sizeof(log) ||
	    snprintf(from, sizeof(from), "%s/.", source) >= (int)sizeof(from))
		return fail(EX_BAD_USAGE, "%s: path too long", dir);
	/*
	 * NOSTDINC_FLAGS comes before the kernel's own include folders; nothing else does. Kernels
	 * before 5.16 keep the compiler's folder there (<stdarg.h>), which make finds.
	 */
	snprintf(nostdinc, sizeof(nostdinc),
		 "NOSTDINC_FLAGS=-nostdinc -I%s -isystem $(shell $(CC) -print-file-name=include)",
		 include);
	/* What the agent exports; with modversions its checksums are looked at. */
	snprintf(symvers, sizeof(symvers), "KBUILD_EXTRA_SYMBOLS=%s/Module.symvers", include);
	if (mkdir(copy, 0700) || run(cp, log))
		return fail(EX_FAILED, "%s: cannot copy it to %s", dir, copy);
	if (run(make, log)) {
		show_log(log);
		return fail(EX_FAILED, "%s: kbuild failed: see above", dir);
	}
	*ko = only_file(copy, ".ko");
	if (!*ko)
		return fail(EX_BAD_USAGE, "%s: its Kbuild must make exactly one module", dir);
	return EX_DONE;
}

static int parse_hex(const char *text, unsigned char id[32])
{
	size_t n = strlen(text);

	if (!n || n % 2 || n > 64)
		return -1;
	for (size_t i = 0; i < n; i += 2) {
		char two[3] = {text[i], text[i + 1], 0};

		if (!isxdigit((unsigned char)two[0]) || !isxdigit((unsigned char)two[1]))
			return -1;
		id[i / 2] = (unsigned char)strtoul(two, NULL, 16);
	}
	return (int)(n / 2);
}

/* The target's build-id: given, or from the kernel image that belongs to the headers. */
static int find_build_id(const struct options *o, const char *kernel, unsigned char id[32])
{
	char path[PATH_MAX], *release;
	size_t size;
	int len;

	if (o->build_id) {
		len = parse_hex(o->build_id, id);
		if (len < 0)
			fail(EX_BAD_USAGE, "--build-id %s: give up to 64 hexadecimal digits",
			     o->build_id);
		return len;
	}
	if (o->vmlinuz)
		return kernel_build_id(o->vmlinuz, id);
	if (snprintf(path, sizeof(path), "%s/include/config/kernel.release", kernel) >=
	    (int)sizeof(path))
		path[0] = 0;
	release = read_file(path, 64, &size);
	if (!release)
		return -1;
	release[strcspn(release, "\n")] = 0;
	snprintf(path, sizeof(path), "/boot/vmlinuz-%.64s", release);
	free(release);
	if (access(path, R_OK)) {
		fail(EX_BAD_USAGE,
		     "which kernel is it for? %s is not here: give --vmlinuz FILE, or --build-id "
		     "HEX as suture info shows it",
		     path);
		return -1;
	}
	return kernel_build_id(path, id);
}

static int pack_module(const struct options *o, const char *kernel, const char *ko)
{
	struct pack_input in = {.version = o->version,
				.description = o->description,
				.params = o->params.line,
				.cves = o->cves};
	static struct payload_info info;
	size_t size;
	void *data = read_file(ko, SUTURE_BUNDLE_MAX, &size);
	int len, r;

	if (!data)
		return EX_BAD_USAGE;
	len = find_build_id(o, kernel, in.build_id);
	if (len < 0 || payload_read(ko, data, size, &info) ||
	    params_check(&o->params, info.name, info.modinfo, info.modinfo_size)) {
		r = EX_BAD_USAGE;
		goto out;
	}
	in.build_id_len = (unsigned)len;
	in.info = &info;
	in.payload = data;
	in.payload_size = size;
	r = pack_write(o->output, &in);
	if (!r)
		printf("%s: patch %s, %u functions in %u objects\n", o->output, info.name,
		       info.nr_funcs, info.nr_objects);
out:
	free(data);
	return r;
}

int cmd_build(const struct options *o, char **args)
{
	char work[] = "/tmp/suture-build-XXXXXX", installed[PATH_MAX];
	const char *rm[] = {"rm", "-rf", "--", work, NULL};
	char *ko = NULL;
	const char *kernel = o->kernel;
	struct utsname u;
	int r;

	if (!o->output)
		return fail(EX_BAD_USAGE, "build needs -o FILE for the bundle");
	if (!kernel) {
		uname(&u);
		snprintf(installed, sizeof(installed), "/lib/modules/%s/build", u.release);
		kernel = installed;
	}
	if (!mkdtemp(work))
		return fail(EX_FAILED, "%s: %s", work, strerror(errno));
	r = build_module(args[0], kernel, work, &ko);
	if (!r)
		r = pack_module(o, kernel, ko);
	free(ko);
	run(rm, "/dev/null");
	return r;
}
