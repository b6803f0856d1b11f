// SPDX-License-Identifier: GPL-2.0-only
/*
 * Payloads are loaded and unloaded by a helper program: only user space may call init_module(2)
 * and delete_module(2). The agent starts the program and does not wait; the program opens
 * /dev/suture.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/umh.h>
#include <linux/vmalloc.h>
#include <suture/bundle.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"
#include "uapi.h"

#define HELPER_DEADLINE_MS 30000

static char helper[256] = "/usr/lib/suture/suture-load";
module_param_string(helper, helper, sizeof(helper), 0644);
MODULE_PARM_DESC(helper, "program that loads payloads");

static DEFINE_MUTEX(job_lock);
static struct {
	bool active;
	bool opened;
	bool expedites; /* RCU's grace periods */
	u32 number;	/* identifies the job, so that a helper of an older one is refused */
	struct suture_job info;
	void *payload;
	ktime_t deadline;
} job;

/* Why this kernel loads no modules any more; "" if it does. */
static char stuck[SUTURE_TEXT_LEN]; /* under job_lock */

/* A load that was given up while its helper is in init_module(2). */
static struct {
	u32 number; /* as the job's; 0: there is none */
	char name[SUTURE_NAME_LEN];
} given_up; /* under job_lock */

/*
 * On several CPUs delete_module(2) waits for two grace periods of RCU, of several ticks each. The
 * administrator's /sys/kernel/rcu_normal goes first.
 */
static void expedite(bool on)
{
	if (on == job.expedites)
		return;
	job.expedites = on;
	if (on)
		rcu_expedite_gp();
	else
		rcu_unexpedite_gp();
}

/* job_lock held, the job active. */
static void finish(int result, const char *text)
{
	struct suture_loaded loaded = {
		.msg = {.type = SUTURE_MSG_LOADED, .size = sizeof(loaded)},
		.id = job.info.id,
		.result = result,
	};
	char reason[SUTURE_TEXT_LEN];

	patch_error(reason, sizeof(reason));
	/* the reason of klp_enable_patch() is more precise than the error of init_module(2) */
	strscpy(loaded.text, result && *reason ? reason : text, sizeof(loaded.text));
	/* without names: Linux's tests look for a patch's in the log */
	if (result)
		pr_err("a payload could not be %s: %s (error %d)\n",
		       job.info.kind == SUTURE_WORK_LOAD ? "loaded" : "unloaded", text, result);
	job.active = false;
	expedite(false);
	vfree(job.payload);
	job.payload = NULL;
	mailbox_send(&loaded.msg);
	poll_kick();
}

/* ---- the payload, from the monitor ---- */

static int fetch_part(struct suture_fetch_reply *part, u64 offset, u32 length)
{
	struct suture_fetch fetch = {
		.msg = {.type = SUTURE_MSG_FETCH, .size = sizeof(fetch)},
		.id = job.info.id,
		.length = length,
		.offset = offset,
	};
	int err = mailbox_call(&fetch.msg, part, sizeof(*part) + length);

	if (err)
		return err;
	if (part->msg.status)
		return part->msg.status;
	return part->length == 0 || part->length > length ? -EPROTO : 0;
}

static int fetch_payload(void)
{
	const u32 most = SUTURE_MSG_MAX - sizeof(struct suture_fetch_reply);
	struct suture_fetch_reply *part;
	u64 offset = 0;
	int err = 0;

	if (job.info.size == 0 || job.info.size > SUTURE_BUNDLE_MAX)
		return -EFBIG;
	/* fail rather than make the kernel kill a process for memory */
	job.payload = __vmalloc(job.info.size, GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	part = vmalloc(SUTURE_MSG_MAX);
	if (!job.payload || !part)
		err = -ENOMEM;
	while (!err && offset < job.info.size) {
		err = fetch_part(part, offset, min_t(u64, most, job.info.size - offset));
		if (!err) {
			memcpy(job.payload + offset, part + 1, part->length);
			offset += part->length;
		}
	}
	vfree(part);
	return err;
}

static int start_helper(void)
{
	char *argv[] = {helper, NULL};
	char *envp[] = {"HOME=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

	return call_usermodehelper(helper, argv, envp, UMH_WAIT_EXEC);
}

void loader_start(const struct suture_work *work)
{
	char text[sizeof(helper) + 64];
	int err = 0;

	mutex_lock(&job_lock);
	if (job.active) {
		pr_warn("the monitor has job %u for us while job %u is not done\n", work->id,
			job.info.id);
		goto out;
	}
	job.active = true;
	job.opened = false;
	job.number++;
	job.info.id = work->id;
	job.info.kind = work->kind;
	job.info.size = work->size;
	strscpy(job.info.name, work->name, sizeof(job.info.name));
	strscpy(job.info.params, work->params, sizeof(job.info.params));
	job.deadline = ktime_add_ms(ktime_get(), HELPER_DEADLINE_MS);
	patch_set_error("%s", "");

	if (*stuck) {
		err = -EIO;
		finish(err, stuck);
	} else if (work->kind == SUTURE_WORK_LOAD) {
		err = fetch_payload();
		if (err)
			finish(err, "the agent could not fetch the payload");
	}
	if (!err) {
		expedite(work->kind == SUTURE_WORK_UNLOAD);
		err = start_helper();
		if (err) {
			scnprintf(text, sizeof(text), "the agent could not start its helper %s",
				  helper);
			finish(err, text);
		}
	}
out:
	mutex_unlock(&job_lock);
}

bool loader_is_busy(void)
{
	bool busy;

	mutex_lock(&job_lock);
	busy = job.active;
	mutex_unlock(&job_lock);
	return busy;
}

void loader_check(void)
{
	mutex_lock(&job_lock);
	if (job.active && ktime_after(ktime_get(), job.deadline)) {
		if (job.opened && job.info.kind == SUTURE_WORK_LOAD) {
			given_up.number = job.number;
			strscpy(given_up.name, job.info.name, sizeof(given_up.name));
		}
		finish(-EIO, job.opened ? "the helper did not finish within 30 s"
					: "the helper did not open " SUTURE_DEVICE " within 30 s");
	}
	mutex_unlock(&job_lock);
}

bool loader_gave_up(const char *name)
{
	bool gave_up;

	mutex_lock(&job_lock);
	gave_up = given_up.number && !strcmp(given_up.name, name);
	mutex_unlock(&job_lock);
	return gave_up;
}

/* ---- /dev/suture ---- */

static u32 job_of(const struct file *file)
{
	return (unsigned long)file->private_data;
}

/* job_lock held. */
static bool is_current(const struct file *file)
{
	return job.active && job.number == job_of(file);
}

static int device_open(struct inode *inode, struct file *file)
{
	int err = 0;

	if (!capable(CAP_SYS_MODULE))
		return -EPERM;
	mutex_lock(&job_lock);
	if (!job.active) {
		err = -ENODATA;
	} else if (job.opened) {
		err = -EBUSY;
	} else {
		job.opened = true;
		file->private_data = (void *)(unsigned long)job.number;
	}
	mutex_unlock(&job_lock);
	return err;
}

static int device_release(struct inode *inode, struct file *file)
{
	mutex_lock(&job_lock);
	if (given_up.number == job_of(file))
		given_up.number = 0;
	if (is_current(file))
		finish(-EIO, "the helper ended without a result");
	mutex_unlock(&job_lock);
	late_end(job_of(file));
	return 0;
}

static ssize_t device_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	ssize_t done = -ESTALE;

	mutex_lock(&job_lock);
	if (is_current(file))
		done = simple_read_from_buffer(buf, count, pos, job.payload,
					       job.payload ? job.info.size : 0);
	mutex_unlock(&job_lock);
	return done;
}

static long give_job(struct file *file, void __user *arg)
{
	long err = -ESTALE;

	mutex_lock(&job_lock);
	if (is_current(file))
		err = copy_to_user(arg, &job.info, sizeof(job.info)) ? -EFAULT : 0;
	mutex_unlock(&job_lock);
	return err;
}

/* The name of the payload that the file's job loads. -ESTALE: the job is over. */
static int job_name(struct file *file, char name[SUTURE_NAME_LEN])
{
	int err = -ESTALE;

	mutex_lock(&job_lock);
	if (is_current(file)) {
		strscpy(name, job.info.name, SUTURE_NAME_LEN);
		err = 0;
	}
	mutex_unlock(&job_lock);
	return err;
}

/* job_lock held. */
static void get_stuck(const char *why)
{
	text_mark_cut(stuck, sizeof(stuck),
		      snprintf(stuck, sizeof(stuck),
			       "this guest cannot load modules any more, boot it again: its kernel "
			       "killed the loading of '%s' in the middle: %s",
			       job.info.name, why));
	pr_err("%s\n", stuck);
}

static long take_result(struct file *file, const void __user *arg)
{
	struct suture_result result;
	long err = -ESTALE;

	if (copy_from_user(&result, arg, sizeof(result)))
		return -EFAULT;
	result.text[sizeof(result.text) - 1] = 0;
	if (result.result > 0 || result.result < -MAX_ERRNO)
		return -EINVAL;
	mutex_lock(&job_lock);
	if (result.flags & SUTURE_RESULT_KILLED && job.number == job_of(file))
		get_stuck(result.text);
	if (is_current(file)) {
		finish(result.result, result.text);
		err = 0;
	}
	mutex_unlock(&job_lock);
	return err;
}

static u32 symbol_flags(const struct symbol *s)
{
	u32 flags = s->init ? SUTURE_SYMBOL_INIT : 0;

	return s->address && arch_is_read_only(s->address) ? flags | SUTURE_SYMBOL_READ_ONLY
							   : flags;
}

static int resolve(struct file *file, struct suture_symbol *asked, u32 count,
		   const char (*functions)[SUTURE_SYM_LEN], u32 nr_functions)
{
	struct symbol *symbols = kvcalloc(count + 1, sizeof(*symbols), GFP_KERNEL);
	char name[SUTURE_NAME_LEN];
	int err = job_name(file, name);
	u32 i;

	if (!err && !symbols)
		err = -ENOMEM;
	if (err)
		goto out;
	for (i = 0; i < count; i++) {
		asked[i].object[sizeof(asked[i].object) - 1] = 0;
		asked[i].name[sizeof(asked[i].name) - 1] = 0;
		symbols[i].object = *asked[i].object ? asked[i].object : NULL;
		symbols[i].name = asked[i].name;
		symbols[i].position = asked[i].position;
	}
	err = late_find_symbols(job_of(file), name, symbols, count, functions, nr_functions);
	for (i = 0; !err && i < count; i++) {
		asked[i].address = symbols[i].address;
		asked[i].count = symbols[i].count;
		asked[i].exported = symbols[i].exported;
		asked[i].flags = symbol_flags(&symbols[i]);
		if (*symbols[i].owner)
			strscpy(asked[i].object, symbols[i].owner, sizeof(asked[i].object));
	}
out:
	kvfree(symbols);
	return err;
}

static u32 kernel_flags(void)
{
	return (compat_writes_sealed_keys() ? 0 : SUTURE_KERNEL_SEALED_KEYS) |
	       (IS_ENABLED(CONFIG_LIVEPATCH) ? 0 : SUTURE_KERNEL_NO_LIVEPATCH) |
	       (arch_rewrites_pages() ? SUTURE_KERNEL_REWRITES_PAGES : 0);
}

/* The names of functions; NULL: there are none. */
static char (*copy_functions(const struct suture_resolve *request))[SUTURE_SYM_LEN]
{
	char(*names)[SUTURE_SYM_LEN];
	u32 i;

	if (!request->nr_functions)
		return NULL;
	names = vmemdup_user(u64_to_user_ptr(request->functions),
			     request->nr_functions * sizeof(*names));
	for (i = 0; !IS_ERR(names) && i < request->nr_functions; i++)
		names[i][sizeof(*names) - 1] = 0;
	return names;
}

static long resolve_symbols(struct file *file, void __user *arg)
{
	struct suture_resolve request;
	struct suture_symbol *symbols;
	char(*functions)[SUTURE_SYM_LEN];
	void __user *list;
	size_t size;
	long err;

	if (copy_from_user(&request, arg, sizeof(request)))
		return -EFAULT;
	if (request.count > SUTURE_MAX_SYMBOLS || request.nr_functions > SUTURE_MAX_FUNCS ||
	    (!request.count && !request.nr_functions))
		return -EINVAL;
	list = u64_to_user_ptr(request.symbols);
	size = request.count * sizeof(*symbols);
	symbols = request.count ? vmemdup_user(list, size) : NULL;
	if (IS_ERR(symbols))
		return PTR_ERR(symbols);
	functions = copy_functions(&request);
	err = IS_ERR(functions)
		      ? PTR_ERR(functions)
		      : resolve(file, symbols, request.count, functions, request.nr_functions);
	request.flags = kernel_flags();
	if (!err && ((size && copy_to_user(list, symbols, size)) ||
		     copy_to_user(arg, &request, sizeof(request))))
		err = -EFAULT;
	if (!IS_ERR(functions))
		kvfree(functions);
	kvfree(symbols);
	return err;
}

static long take_late(struct file *file, const void __user *arg)
{
	char name[SUTURE_NAME_LEN];
	struct suture_late late;
	int err = job_name(file, name);

	if (!err && copy_from_user(&late, arg, sizeof(late)))
		err = -EFAULT;
	return err ? err : late_take(job_of(file), &late);
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	switch (command) {
	case SUTURE_IOC_JOB:
		return give_job(file, (void __user *)arg);
	case SUTURE_IOC_RESOLVE:
		return resolve_symbols(file, (void __user *)arg);
	case SUTURE_IOC_LATE:
		return take_late(file, (void __user *)arg);
	case SUTURE_IOC_RESULT:
		return take_result(file, (void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations device_operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = device_read,
	.unlocked_ioctl = device_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "suture",
	.fops = &device_operations,
	.mode = 0600,
};

int loader_init(void)
{
	return misc_register(&device);
}

void loader_exit(void)
{
	misc_deregister(&device);
	mutex_lock(&job_lock);
	if (job.active)
		finish(-ECANCELED, "the agent was unloaded");
	mutex_unlock(&job_lock);
}
