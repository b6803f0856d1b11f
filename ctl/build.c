/* SPDX-License-Identifier: BSD-2-Clause */
/* suture build: livepatch source -> kernel module (by kbuild) -> bundle. */
#include "buildlog.h"
#include "check.h"
#include "ctl.h"
#include "diff.h"
#include "fetch.h"
#include "kbuild.h"
#include "kernel.h"
#include "lifetime.h"
#include "pack.h"
#include "payload.h"
#include "places.h"
#include "run.h"
#include "strip.h"
#include "unpack.h"

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

struct build {
	const char *work; /* folder */
	struct kbuild kbuild;
	char *ko;      /* the module with debug information, malloced */
	bool mismatch; /* modpost found section mismatches */
	bool of_diff;  /* new functions are the kernel's: so are their prototypes */
};

/*
 * Build the module in a copy of dir below work, so that the sources stay clean. On success b->ko
 * is its path.
 */
static int build_module(const char *dir, struct build *b)
{
	char log[PATH_MAX], source[PATH_MAX], copy[PATH_MAX], from[PATH_MAX];
	const char *cp[] = {"cp", "-rL", "--", from, copy, NULL};
	int r;

	if (!realpath(dir, source))
		return fail(EX_BAD_USAGE, "%s: %s", dir, strerror(errno));
	if (!kbuild_has_file(source, "Kbuild") && !kbuild_has_file(source, "Makefile"))
		return fail(EX_BAD_USAGE,
			    "%s: no Kbuild file in it: write one with 'obj-m := NAME.o'", dir);
	if (snprintf(copy, sizeof(copy), "%s/src", b->work) >= (int)sizeof(copy) ||
	    snprintf(log, sizeof(log), "%s/log", b->work) >= (int)sizeof(log) ||
	    snprintf(from, sizeof(from), "%s/.", source) >= (int)sizeof(from))
		return fail(EX_BAD_USAGE, "%s: path too long", dir);
	if (mkdir(copy, 0700) || run(cp, log))
		return fail(EX_FAILED, "%s: cannot copy it to %s", dir, copy);
	r = kbuild_make(&b->kbuild, copy, "modules", log, dir);
	if (r)
		return r;
	b->mismatch = buildlog_show_warnings(log);
	b->ko = only_file(copy, ".ko");
	if (!b->ko)
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
static int find_build_id(const struct options *o, const struct kernel *k, unsigned char id[32])
{
	unsigned char of_image[32];
	int len, image_len;

	if (!o->build_id && !k->image.data) {
		fail(EX_BAD_USAGE,
		     "which kernel is it for? %s is not here: give --vmlinuz FILE, or --build-id "
		     "HEX as suture info shows it",
		     k->image_path);
		return -1;
	}
	if (!o->build_id)
		return image_build_id(&k->image, id);
	len = parse_hex(o->build_id, id);
	if (len < 0)
		fail(EX_BAD_USAGE, "--build-id %s: give up to 64 hexadecimal digits", o->build_id);
	if (len < 0 || !k->image.data)
		return len;
	image_len = image_build_id(&k->image, of_image);
	if (image_len == len && !memcmp(id, of_image, (size_t)len))
		return len;
	fail(EX_BAD_USAGE, "--build-id %s: that of %s is another", o->build_id, k->image.path);
	return -1;
}

/* Headers of another kernel make a module that the target does not load. */
static void check_release(const struct kernel *k, struct verdict *v)
{
	char release[80];
	int n = snprintf(release, sizeof(release), "Linux version %s ", k->release);
	struct extent text = image_section(&k->image, ".rodata");

	if (*k->release && text.size && !memmem(text.data, text.size, release, (size_t)n))
		verdict_error(v, "the headers are of Linux %s, and %s is another kernel",
			      k->release, k->image.path);
}

static void check_against_kernel(const struct build *b, const struct kernel *k,
				 struct payload_info *info, const struct ko *payload,
				 struct verdict *v)
{
	struct debug *types = b->of_diff ? NULL : debug_open(b->ko);
	struct exports agent;
	char path[2 * PATH_MAX];

	if (k->image.data && k->image.machine != payload->machine)
		verdict_fatal(v, "the headers are for %s, and %s is of another architecture",
			      b->kbuild.headers.arch, k->image.path);
	snprintf(path, sizeof(path), "%s/Module.symvers", b->kbuild.include);
	exports_read(&agent, path);
	if (!k->image.data)
		verdict_note(v,
			     "functions and symbols of the kernel were not checked: its image is "
			     "not at hand (--vmlinuz FILE)");
	else if (!k->has_syms)
		verdict_note(v,
			     "functions and symbols of the kernel were not checked: no kallsyms "
			     "were found in %s",
			     k->image.path);
	if (k->image.data)
		check_release(k, v);
	check_funcs(k, info, types, v);
	check_symbols(k, info, payload, &agent, v);
	exports_free(&agent);
	debug_close(types);
}

/* All checks of the module that need no running guest. An exit code. */
static int check_module(const struct options *o, const struct build *b, const struct kernel *k,
			struct payload_info *info, const struct ko *payload)
{
	struct verdict v = {.patch = info->name, .lenient = o->no_check, .strict = o->strict};

	lifetime_check(payload, &v);
	if (b->mismatch && !v.errors)
		verdict_fatal(&v,
			      "section mismatch: see above what uses what; remove the __init or "
			      "__exit of what is used");
	check_against_kernel(b, k, info, payload, &v);
	if (!v.errors)
		return EX_DONE;
	return fail(EX_BAD_USAGE, "%s: not built: %u %s, see above%s", info->name, v.errors,
		    v.errors == 1 ? "error" : "errors",
		    o->no_check ? "" : " (--no-check makes warnings of those about the kernel)");
}

static int pack_module(const struct options *o, const struct build *b, const struct kernel *k)
{
	struct pack_input in = {.version = o->version,
				.description = o->description,
				.params = o->params.line,
				.cves = &o->cves};
	static struct payload_info info;
	struct ko payload = {0};
	size_t size;
	void *data = read_file(b->ko, UNPACK_MAX, &size);
	int len, r = EX_BAD_USAGE;

	if (!data)
		return EX_BAD_USAGE;
	len = find_build_id(o, k, in.build_id);
	if (len < 0)
		goto out;
	/* debug information would be most of the bundle */
	if (strip_debug(data, &size) || ko_open(&payload, b->ko, data, size)) {
		fail(EX_BAD_USAGE, "%s: not a 64-bit kernel module", b->ko);
		goto out;
	}
	if (payload_read(&payload, &info) ||
	    params_check(&o->params, info.name, info.modinfo, info.modinfo_size))
		goto out;
	r = check_module(o, b, k, &info, &payload);
	if (!r && places_find(k, &payload, &info))
		r = fail(EX_FAILED, "%s: no memory for its symbols", b->ko);
	if (r)
		goto out;
	in.build_id_len = (unsigned)len;
	in.machine = payload.machine;
	in.info = &info;
	in.payload = data;
	in.payload_size = size;
	r = pack_write(o->output, &in);
	if (!r)
		printf("%s: patch %s, %u functions in %u objects\n", o->output, info.name,
		       info.nr_funcs, info.nr_objects);
out:
	free(info.symbols);
	ko_close(&payload);
	free(data);
	return r;
}

/* The folder with the livepatch source into `dir`: the one that was given, or one made of diffs. */
static int find_source(const struct options *o, const struct build *b, const struct kernel *k,
		       char *const *args, char dir[PATH_MAX])
{
	char work[PATH_MAX];

	if (!o->nr_diffs) {
		snprintf(dir, PATH_MAX, "%s", args[0]);
		return EX_DONE;
	}
	snprintf(work, sizeof(work), "%s/diff", b->work);
	snprintf(dir, PATH_MAX, "%s/source", b->work);
	if (mkdir(work, 0700))
		return fail(EX_FAILED, "%s: %s", work, strerror(errno));
	return diff_make_source(dir, o, k, &b->kbuild, work);
}

static int build_bundle(const struct options *o, char **args, const char *kernel, const char *work)
{
	struct build b = {.work = work, .of_diff = o->nr_diffs};
	struct kernel k = {0};
	char dir[PATH_MAX];
	int r = kernel_open(&k, o, kernel);

	if (!r)
		r = kbuild_open(&b.kbuild, kernel);
	if (!r)
		r = find_source(o, &b, &k, args, dir);
	if (!r)
		r = build_module(dir, &b);
	if (!r)
		r = pack_module(o, &b, &k);
	kernel_close(&k);
	free(b.ko);
	return r;
}

int cmd_build(const struct options *given, char **args)
{
	char work[] = "/tmp/suture-build-XXXXXX", installed[PATH_MAX];
	const char *rm[] = {"rm", "-rf", "--", work, NULL};
	struct options o = *given;
	struct fetched fetched;
	struct utsname u;
	int r;

	if (!o.output)
		return fail(EX_BAD_USAGE, "build needs -o FILE for the bundle");
	if (!o.nr_diffs == !args[0])
		return fail(EX_BAD_USAGE, "build needs either a folder with livepatch source, or "
					  "--diff FILE");
	if (o.callbacks && !o.nr_diffs)
		return fail(EX_BAD_USAGE,
			    "--callbacks is for --diff; a folder has its callbacks in "
			    "its own source");
	if (!mkdtemp(work))
		return fail(EX_FAILED, "%s: %s", work, strerror(errno));
	uname(&u);
	snprintf(installed, sizeof(installed), "/lib/modules/%s/build", u.release);
	r = fetch_kernel(&fetched, &o);
	if (!r)
		r = build_bundle(&o, args, o.kernel ? o.kernel : installed, work);
	fetch_close(&fetched);
	run(rm, "/dev/null");
	return r;
}
