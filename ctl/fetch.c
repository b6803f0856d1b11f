/* SPDX-License-Identifier: BSD-2-Clause */
#include "fetch.h"
#include "buildlog.h"
#include "cache.h"
#include "ctl.h"
#include "run.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT		 "../../ctl/fetch.sh"
#define INSTALLED_SCRIPT "../share/suture/debian/fetch.sh"

/* As uname -r prints it; a folder of headers is none. */
static bool is_release(const char *kernel)
{
	return kernel && isdigit((unsigned char)*kernel) && !strchr(kernel, '/') &&
	       access(kernel, F_OK) != 0;
}

static int run_script(const char *dir, const char *release, bool source)
{
	char script[PATH_MAX], log[PATH_MAX];
	const char *argv[] = {script, dir, release, source ? "source" : NULL, NULL};

	if (!run_find_own(script, sizeof(script), SCRIPT, INSTALLED_SCRIPT))
		return fail(EX_BAD_USAGE, "%s is not here: install the package of suture", script);
	printf("fetching Linux %s from Debian%s\n", release, source ? ", and its source" : "");
	fflush(stdout);
	snprintf(log, sizeof(log), "%s/log", dir);
	if (!run(argv, log))
		return EX_DONE;
	buildlog_show(log);
	return fail(EX_BAD_USAGE,
		    "--kernel %s: it cannot be fetched, see above: name the folder of its headers, "
		    "and its other files with --vmlinuz, --modules and --source",
		    release);
}

/* It is locked. */
static int find_fetched(const struct fetched *f, const char *cache, const char *dir,
			const struct options *o)
{
	bool complete = cache_is_complete(dir), source = o->nr_diffs && !o->source;
	int r;

	if (complete && (!source || !access(f->source, F_OK))) {
		cache_use(dir);
		return EX_DONE;
	}
	r = run_script(dir, o->kernel, source);
	return r ? r : cache_complete(cache, dir);
}

static void fill_options(const struct fetched *f, struct options *o)
{
	o->kernel = f->headers;
	if (!o->vmlinuz && !o->build_id)
		o->vmlinuz = f->vmlinuz;
	if (!o->nr_modules)
		o->modules[o->nr_modules++] = f->modules;
	if (!o->source)
		o->source = f->source;
}

int fetch_kernel(struct fetched *f, struct options *o)
{
	char cache[PATH_MAX / 4], dir[PATH_MAX / 2];
	int r;

	*f = (struct fetched){.lock = -1};
	if (!is_release(o->kernel))
		return EX_DONE;
	r = cache_find(cache, sizeof(cache));
	if (r)
		return r;
	if (snprintf(dir, sizeof(dir), "%s/%s", cache, o->kernel) >= (int)sizeof(dir))
		return fail(EX_BAD_USAGE, "--kernel %s: the name is too long", o->kernel);
	snprintf(f->headers, sizeof(f->headers), "%s/kernel/kbuild", dir);
	snprintf(f->vmlinuz, sizeof(f->vmlinuz), "%s/kernel/vmlinuz", dir);
	snprintf(f->modules, sizeof(f->modules), "%s/kernel/modules/", dir);
	snprintf(f->source, sizeof(f->source), "%s/linux-source.deb", dir);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return fail(EX_FAILED, "%s: %s", dir, strerror(errno));
	f->lock = cache_lock(dir);
	r = f->lock < 0 ? EX_FAILED : find_fetched(f, cache, dir, o);
	if (!r) {
		cache_share(f->lock);
		fill_options(f, o);
	}
	return r;
}

void fetch_close(struct fetched *f)
{
	if (f->lock >= 0)
		close(f->lock);
	f->lock = -1;
}
