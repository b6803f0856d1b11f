// SPDX-License-Identifier: GPL-2.0-only
/*
 * suture-load: started by the agent, once for each payload that is to be loaded or unloaded. It
 * gets its job from /dev/suture and leaves its result there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <suture/bundle.h>
#include "helper.h"

int fail(struct failure *f, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	return err;
}

static int read_payload(int device, void *to, size_t size, struct failure *f)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(device, (char *)to + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(f, -errno, "cannot read the payload: %s", strerror(errno));
		if (!n)
			return fail(f, -EIO, "the payload ends after %zu of %zu bytes", done, size);
		done += (size_t)n;
	}
	return 0;
}

/* What the kernel means by refusing a module. */
static const char *load_error(int err)
{
	switch (err) {
	case EEXIST:
		return "a module of that name is loaded already";
	case ENOEXEC:
		return "the kernel does not take it: built for another kernel?";
	case ENOENT:
		return "it needs a symbol that the kernel does not have";
	case EPERM:
		return "not permitted: is the loading of modules disabled?";
	case EKEYREJECTED:
	case ENOKEY:
		return "the kernel takes only modules with a signature that it trusts";
	default:
		return strerror(err);
	}
}

static int load_file(int device, const struct suture_job *job, void *file, struct failure *f)
{
	struct module module;
	int err = read_payload(device, file, job->size, f);

	if (!err)
		err = module_open(&module, file, job->size, f);
	if (!err)
		err = resolve_module(&module, device, f);
	if (err)
		return err;
	if (syscall(SYS_init_module, file, (unsigned long)job->size, job->params))
		return fail(f, -errno, "init_module: %s", load_error(errno));
	return 0;
}

static int load(int device, const struct suture_job *job, struct failure *f)
{
	void *file;
	int err;

	if (!job->size || job->size > SUTURE_BUNDLE_MAX)
		return fail(f, -EFBIG, "a payload of %llu bytes", (unsigned long long)job->size);
	file = malloc(job->size);
	if (!file)
		return fail(f, -ENOMEM, "no memory for a payload of %llu bytes",
			    (unsigned long long)job->size);
	err = load_file(device, job, file, f);
	free(file);
	return err;
}

static int unload(const struct suture_job *job, struct failure *f)
{
	if (syscall(SYS_delete_module, job->name, O_NONBLOCK))
		return fail(f, -errno, "delete_module: %s",
			    errno == EWOULDBLOCK ? "the module is in use" : strerror(errno));
	return 0;
}

static int run(int device, struct failure *f)
{
	struct suture_job job;

	if (ioctl(device, SUTURE_IOC_JOB, &job))
		return fail(f, -errno, "the agent has no job: %s", strerror(errno));
	if (job.kind == SUTURE_WORK_LOAD)
		return load(device, &job, f);
	if (job.kind == SUTURE_WORK_UNLOAD)
		return unload(&job, f);
	return fail(f, -EINVAL, "the helper does not know job %u", job.kind);
}

/* If the guest's memory is too small for a payload, no program of the guest shall pay for it. */
static void be_the_first_to_die(void)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "w");

	if (f) {
		fputs("1000", f);
		fclose(f);
	}
}

int main(void)
{
	struct suture_result result = {0};
	struct failure failure = {""};
	int device = open(SUTURE_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0) {
		fprintf(stderr,
			"suture-load: %s: %s (it is started by the suture kernel module, when the "
			"monitor has a payload)\n",
			SUTURE_DEVICE, strerror(errno));
		return 1;
	}
	be_the_first_to_die();
	result.result = run(device, &failure);
	memcpy(result.text, failure.text, sizeof(result.text));
	if (ioctl(device, SUTURE_IOC_RESULT, &result)) {
		fprintf(stderr, "suture-load: cannot report: %s\n", strerror(errno));
		return 1;
	}
	return result.result != 0;
}
