/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suture: the operator's command.
 *
 * Exit codes: 0 done; 1 the monitor refused, or the operation failed; 2 the command line or a
 * file is wrong; 3 the monitor cannot be reached; 4 still under way when --timeout ended; 5 status:
 * the guest hangs or has panicked, or a patch's function is not in force.
 */
#ifndef CTL_H
#define CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cves.h"
#include "escape.h"
#include "params.h"

enum exit_code {
	EX_DONE = 0,
	EX_FAILED = 1,
	EX_BAD_USAGE = 2,
	EX_UNREACHABLE = 3,
	EX_PENDING = 4,
	EX_SICK = 5
};

#define MODULE_FOLDERS 8u
#define DIFFS	       32u
#define TRUSTED_KEYS   8u
#define DAYS_NONE      (~0ull)

struct options {
	const char *host;	     /* HOST or HOST:PORT; NULL if not given */
	const char *context;	     /* NULL if not given */
	const char *ca, *cert, *key; /* files for TLS, of the context; "" for none */
	bool json;		     /* print the monitor's answers as they are, in JSON or YAML */
	bool yaml, wide;
	bool insecure;	      /* plain HTTP */
	bool strict;	      /* apply, build: refuse new code that others do not run */
	bool allow_downgrade; /* apply: an older version than one that was there */
	bool no_wait;	      /* apply, revert, rollback, cancel: do not wait for the end */
	bool from_below;      /* revert: without the agent */
	bool guest;	      /* reboot: the guest is not asked */
	/* revert --from-below: look at the bytes of the jumps only; enable: end a lock-out */
	bool force;
	bool no_cancel;			     /* the monitor goes on when timeout_s is over */
	bool follow;			     /* log: wait for more */
	unsigned long long timeout_s;	     /* apply, revert, rollback, cancel: how long to wait */
	const char *output;		     /* build, sign: the file */
	const char *run;		     /* try: a command for the guest */
	bool keep;			     /* try: the guest stays */
	const char *kernel;		     /* build: kernel headers; try, vm: a release */
	const char *build_id;		     /* build: hexadecimal */
	const char *vmlinuz;		     /* build: the kernel's image */
	const char *debug;		     /* build: a vmlinux with debug information */
	const char *modules[MODULE_FOLDERS]; /* build: folders with the kernel's modules */
	unsigned nr_modules;
	const char *diffs[DIFFS]; /* build: source diffs */
	unsigned nr_diffs;
	const char *source;    /* build: the kernel's source, for the diffs */
	const char *callbacks; /* build: a C file, for the diffs */
	bool no_check;	       /* build: a payload that does not fit causes warnings, not errors */
	const char *version, *description; /* build */
	struct cves cves;		   /* build: --cve */
	struct params params;		   /* build: --param */
	unsigned long long since;	   /* log */
	const char *keys[TRUSTED_KEYS];	   /* sign: the private key; verify: the trusted ones */
	unsigned nr_keys;
	const char *running;	 /* verify: a patch in the guest, instead of a file; NULL: none */
	unsigned long long days; /* sign, keys: --days; DAYS_NONE: not given */
};

/* Commands: return an exit code; messages are printed already. */
int cmd_status(const struct options *o, char **args);
int cmd_list(const struct options *o, char **args);
int cmd_info(const struct options *o, char **args);
int cmd_shadow(const struct options *o, char **args);
int cmd_log(const struct options *o, char **args);
int cmd_apply(const struct options *o, char **args);
int cmd_revert(const struct options *o, char **args);
int cmd_rollback(const struct options *o, char **args);
int cmd_cancel(const struct options *o, char **args);
int cmd_clear(const struct options *o, char **args);
int cmd_reboot(const struct options *o, char **args);
int cmd_build(const struct options *o, char **args);
int cmd_try(const struct options *o, char **args);
int cmd_vm(const struct options *o, char **args);
int cmd_check_config(const struct options *o, char **args);
int cmd_inspect(const struct options *o, char **args);
int cmd_sign(const struct options *o, char **args);
int cmd_verify(const struct options *o, char **args);
int cmd_audit(const struct options *o, char **args);
int cmd_keys(const struct options *o, char **args);
int cmd_enable(const struct options *o, char **args);
int cmd_disable(const struct options *o, char **args);
int cmd_contexts(const struct options *o, char **args);

/* An error for people on stderr: "suture: ...". Returns code, so that callers can return it. */
int fail(enum exit_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Read a whole file; malloced, with a zero byte behind it. NULL with a message printed. max in
 * bytes. */
void *read_file(const char *path, size_t max, size_t *size);

/* Write a whole file; secret: only its owner can read it. An exit code, message printed; nothing is
 * left there on failure. */
int save_file(const char *path, const void *data, size_t size, bool secret);

/*
 * Read a bundle, and check it as the monitor will. Returns the memory to free when *b is not needed
 * any more, or NULL with a message printed.
 */
struct bundle;
void *read_bundle(const char *path, struct bundle *b);

/*
 * One request. body NULL: GET, or what method says without a body. On success *answer is the
 * parsed JSON (caller decrefs). Returns EX_DONE, or an exit code after printing why: the monitor's
 * own error message, or what to do when it cannot be reached.
 */
int api_request(const struct options *o, const char *method, const char *path, const void *body,
		size_t size, json_t **answer);

/* An answer in JSON or YAML, as the options say, on stdout. */
void print_value(const struct options *o, const json_t *value);

/* Members of a JSON object, with defaults when they are missing or of another type. */
const char *jstr(const json_t *o, const char *key);
long long jint(const json_t *o, const char *key);
bool jbool(const json_t *o, const char *key);

/*
 * A patch's name as the monitor knows it. An exit code, message printed, if it is no valid name,
 * which must not get into the path of a request.
 */
#define PATCH_NAME_SIZE 64u
int patch_name(const char *given, char name[PATCH_NAME_SIZE]);

/* What a transition did, in words, on stdout; `what` is "apply" or "revert". */
void print_report(const char *what, const json_t *report);

/* Clones of its functions that a patch does not replace, and functions that nobody calls: a warning
 * each, to f. */
void print_doubts(FILE *f, const json_t *patch);
/* Functions of a patch that are redirected while other code runs, and why. */
void print_overridden(FILE *f, const json_t *patch);

/* The stack of a blocker, a line for each address, on stdout; nothing when there is none. */
void print_stack(const json_t *blocker);

/*
 * "task kthread (pid 412) is in do_sleep (stack)" into buf, preceded by the reason of the
 * last attempt if that is another one. False when no task blocks. report: the object of a
 * transition, or a report, with its attempts.
 */
bool blocker_text(const json_t *report, char *buf, size_t size);

#endif
