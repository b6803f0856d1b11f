// SPDX-License-Identifier: GPL-2.0-only
/*
 * suture-load: started by the agent, once for each payload that is to be loaded or unloaded. It
 * gets its job from /dev/suture and leaves its result there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <suture/bundle.h>
#include "helper.h"

/* The agent behind /dev/suture. */
struct device {
	struct agent agent;
	int fd;
};

static int device_resolve(struct agent *agent, struct suture_resolve *request)
{
	return ioctl(((struct device *)agent)->fd, SUTURE_IOC_RESOLVE, request) ? -errno : 0;
}

static int device_late(struct agent *agent, const struct suture_late *request)
{
	return ioctl(((struct device *)agent)->fd, SUTURE_IOC_LATE, request) ? -errno : 0;
}

static bool device_loaded(struct agent *agent, const char *module)
{
	char state[16];

	(void)agent;
	kernel_module_state(module, state);
	return *state;
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

static int prepare(void *file, size_t size, struct agent *agent, struct failure *f)
{
	struct module module;
	int err = module_open(&module, file, size, f);

	if (!err)
		err = resolve_module(&module, agent, f);
	module_close(&module);
	return err;
}

static int load(struct device *device, const struct suture_job *job, su32 *flags, struct failure *f)
{
	void *file;
	int err;

	if (!job->size || job->size > SUTURE_BUNDLE_MAX)
		return fail(f, -EFBIG, "a payload of %llu bytes", (unsigned long long)job->size);
	file = malloc(job->size);
	if (!file)
		return fail(f, -ENOMEM, "no memory for a payload of %llu bytes",
			    (unsigned long long)job->size);
	err = read_payload(device->fd, file, job->size, f);
	if (!err)
		err = prepare(file, job->size, &device->agent, f);
	if (!err)
		err = kernel_load(job, file, flags, f);
	free(file);
	return err;
}

static int run(struct device *device, su32 *flags, struct failure *f)
{
	struct suture_job job;

	if (ioctl(device->fd, SUTURE_IOC_JOB, &job))
		return fail(f, -errno, "the agent has no job: %s", strerror(errno));
	if (job.kind == SUTURE_WORK_LOAD)
		return load(device, &job, flags, f);
	if (job.kind == SUTURE_WORK_UNLOAD)
		return kernel_unload(&job, f);
	return fail(f, -EINVAL, "the helper does not know job %u", job.kind);
}

/* If the guest has too little memory for a payload, the kernel must not kill another program. */
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
	struct device device = {{device_resolve, device_late, device_loaded},
				open(SUTURE_DEVICE, O_RDWR | O_CLOEXEC)};
	struct suture_result result = {0};
	struct failure failure = {""};

	if (device.fd < 0) {
		fprintf(stderr,
			"suture-load: %s: %s (it is started by the suture kernel module, when the "
			"monitor has a payload)\n",
			SUTURE_DEVICE, strerror(errno));
		return 1;
	}
	be_the_first_to_die();
	result.result = run(&device, &result.flags, &failure);
	memcpy(result.text, failure.text, sizeof(result.text));
	if (ioctl(device.fd, SUTURE_IOC_RESULT, &result)) {
		fprintf(stderr, "suture-load: cannot report: %s\n", strerror(errno));
		return 1;
	}
	return result.result != 0;
}
