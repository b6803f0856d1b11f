/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the agent and its helper program: /dev/suture, mode 0600, for holders of CAP_SYS_MODULE.
 *
 * The agent starts the helper when it has a job for it. The helper opens the device (one open file
 * at a time; -ENODATA when there is no job), asks for the job, reads the payload's bytes from the
 * file, and says how it ended. Closing the file without having said so is a failure of the job. A
 * job that the agent has given up gives -ESTALE.
 */
#ifndef SUTURE_AGENT_UAPI_H
#define SUTURE_AGENT_UAPI_H

#include <linux/ioctl.h>
#include <suture/abi.h>

#define SUTURE_DEVICE "/dev/suture"

struct suture_job {
	su32 id;
	su32 kind; /* SUTURE_WORK_LOAD or SUTURE_WORK_UNLOAD */
	su64 size; /* of the payload: read(2) gives so many bytes */
	char name[SUTURE_NAME_LEN];
	char params[SUTURE_TEXT_LEN];
};

/* A symbol to be looked up in the running kernel, and the answer. */
struct suture_symbol {
	char object[SUTURE_NAME_LEN]; /* "vmlinux", a module's name, or "": anywhere */
	char name[SUTURE_SYM_LEN];
	su32 position; /* which one of that name in the object, from 1; 0: it has only one */
	su32 exported; /* answer: 1 if the kernel or a module exports that name */
	su32 count;    /* answer: how many symbols have that name (in the object) */
	su32 reserved;
	su64 address; /* answer: 0 if there is none at that position */
};

#define SUTURE_MAX_SYMBOLS 4096u

struct suture_resolve {
	su64 symbols; /* address of struct suture_symbol[count] */
	su32 count;
	su32 reserved;
};

struct suture_result {
	ss32 result; /* zero or negative errno */
	su32 reserved;
	char text[SUTURE_TEXT_LEN]; /* one line: what failed and why */
};

#define SUTURE_IOC_JOB	   _IOR('S', 1, struct suture_job)
#define SUTURE_IOC_RESOLVE _IOW('S', 2, struct suture_resolve)
#define SUTURE_IOC_RESULT  _IOW('S', 3, struct suture_result)

#endif
