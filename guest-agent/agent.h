/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's parts and their functions for each other.
 *
 * Locks, in the order in which they are taken:
 *	agent_lock	patches and the engine's steps; what klp_mutex is to Linux's livepatch. Held
 *			while callbacks run.
 *	job_lock	(loader.c) the job of the helper
 *	mailbox_lock	(mailbox.c) from the posting of a message to its answer
 * A patch's sysfs folder is removed, and its module put, without agent_lock: see patch_retire().
 */
#ifndef SUTURE_AGENT_H
#define SUTURE_AGENT_H

#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/workqueue.h>
#include <suture/abi.h>
#include "include/linux/livepatch.h"

#undef pr_fmt
#define pr_fmt(fmt) "suture: " fmt

/* ---- main.c ---- */

extern struct mutex agent_lock;
extern struct kobject *agent_kobj;	    /* /sys/kernel/suture */
extern struct workqueue_struct *agent_work; /* it takes retired patches apart */
extern char *log_prefix; /* module parameter: the prefix of livepatch's messages */

/*
 * The engine is busy with another module or patch (-EAGAIN, SUTURE_STEP_WAIT), whose pump needs
 * agent_lock: release the lock for that time. At most BUSY_DEADLINE_MS in all.
 */
#define BUSY_DEADLINE_MS 10000
void agent_yield(unsigned int ms);

/*
 * The monitor does not know this agent any more (after hibernation, for example): send HELLO again.
 * Poll thread.
 */
void agent_again(void);

/* Messages with the texts of Linux's livepatch, under its prefix. */
#define klp_log(level, fmt, ...) printk(level "%s: " fmt, log_prefix, ##__VA_ARGS__)

/* ---- mailbox.c ---- */

/* Find the monitor and agree on the ABI. -ENODEV: there is none; -EPROTO: another version. */
int mailbox_init(void);
void mailbox_exit(void);

/*
 * Send the message (request->type and size are the caller's, seq is filled in) and wait for its
 * answer, of which reply_size bytes are copied out. 0: there is an answer, look at its status (what
 * it does not fill is zero). -ETIMEDOUT: none within ten seconds. -EPROTO: not an answer to this
 * message. Sleeps.
 */
int mailbox_call(struct suture_msg *request, void *reply, size_t reply_size);

/* The same for messages whose answer is its status: returns that. */
int mailbox_send(struct suture_msg *request);

/* Drop all redirects in and into [start, end), on this CPU and at once. */
void mailbox_drop_range(unsigned long start, unsigned long end);
/* The kernel ends: drop all redirects in the same way, and send no more messages (-ESHUTDOWN). */
void mailbox_close(void);
/* The kernel panics: len bytes at that address are its message. Any context. */
void mailbox_panic(phys_addr_t text, size_t len);
/* Where the monitor says that it rings the calling CPU; 0: not any more. Errors as SUTURE_HC_BELL.
 */
long mailbox_bell(phys_addr_t word);
/* The machine's doorbell (suture_acpi_body.bell_line); 0: it has none. */
u32 mailbox_bell_line(void);
/* May the monitor ring it? Errors as SUTURE_HC_BELL_LINE. */
long mailbox_open_line(bool open);

/* ---- layout.c ---- */

/* Describe this kernel. -ENOENT: it lacks a symbol, which the log names. */
int layout_fill(struct suture_hello *hello);

/* ---- btf.c ---- */

/*
 * Offset in bytes of a member of a structure of this kernel, private ones too. SUTURE_NONE: the
 * kernel has no BTF, or its BTF has no such member.
 */
u32 btf_offset(const char *structure, const char *member);

/* The offset of a per-CPU variable of vmlinux in the section of all of them; or SUTURE_NONE. */
u32 btf_percpu_offset(const char *name);

/* ---- unlisted.c ---- */

/* As compat_symbol(), for a variable that kallsyms does not list. */
unsigned long unlisted_symbol(const char *name);

/* ---- symbols.c ---- */

struct symbol {
	const char *object; /* "vmlinux", a module's name, or NULL: anywhere */
	const char *name;
	unsigned long position; /* as klp_func's old_sympos */
	/* answers */
	unsigned long address;
	unsigned long count;
	bool exported;
	bool init;		     /* in memory that is freed when init is over */
	char owner[SUTURE_NAME_LEN]; /* "vmlinux" or the module; the exporter if it is exported */
};

/*
 * Called for a part or clone that the compiler made of the symbol's function: name.cold,
 * name.part.N, name.constprop.N and the like, at that address.
 */
typedef void (*symbol_part_fn)(void *data, const struct symbol *symbol, const char *name,
			       unsigned long address);

/* What one pass over the symbols of vmlinux has found of some names, for a second look-up. */
struct kept;

/*
 * Find vmlinux's parts and clones, once, so that a few names need no pass over its symbols; without
 * memory, and on kernels that have no index of names, they do. Sleeps.
 */
void symbols_prepare(void);
void symbols_release(void);

/*
 * Look them all up, one by one or in one pass over the kernel's symbols, and call fn (if not NULL)
 * for each part in the same object. The symbols of vmlinux are those of `kept`, if that is not NULL
 * and has their names. -ENOMEM. Sleeps.
 */
int symbols_find(struct symbol *symbols, unsigned int count, symbol_part_fn fn, void *data,
		 const struct kept *kept);
/*
 * The same, and keep what there is of these functions of vmlinux, with their parts. *kept: the
 * caller frees it; NULL: there are none, or no memory.
 */
int symbols_find_and_keep(struct symbol *symbols, unsigned int count,
			  const char (*functions)[SUTURE_SYM_LEN], unsigned int nr_functions,
			  struct kept **kept);
void kept_free(struct kept *kept);

/*
 * The symbols of one module by address: the kernel looks at all of them for each question, which
 * would be too slow for thousands.
 */
struct module_symbols {
	char module[SUTURE_NAME_LEN];
	struct module_symbol {
		unsigned long address;
		const char *name; /* the module's */
		unsigned int order;
	} * symbols;
	unsigned int count, room;
	unsigned long end; /* of its text */
};

/* Valid as long as the module stays. -ENOMEM. Sleeps. */
int module_symbols_read(struct module_symbols *m, const struct module *mod);
void module_symbols_free(struct module_symbols *m);
/* As compat_symbol_size() for an address in the module's text that stays. */
unsigned long module_symbols_size(const struct module_symbols *m, unsigned long address);
/* The name of the symbol at the address; NULL: none begins there. */
const char *module_symbols_name(const struct module_symbols *m, unsigned long address);

/* Send the monitor the symbols, as text, of the addresses that it asks for. Poll thread. */
void symbols_tell(const struct suture_work *work);

/* ---- late.c ---- */

struct suture_late;

/*
 * symbols_find_and_keep() for the helper's job of that number. Modules in which symbols were found
 * are held from then on: -EBUSY if one comes or goes just now. Sleeps; takes agent_lock.
 */
int late_find_symbols(u32 job, const char *payload, struct symbol *symbols, u32 count,
		      const char (*functions)[SUTURE_SYM_LEN], u32 nr_functions);
/* What was kept for the payload: the caller's from then on. NULL: nothing. agent_lock held. */
struct kept *late_take_kept(const struct module *payload);
/* Take over the helper's result: see uapi.h. -EINVAL, -E2BIG, -EFAULT, -ENOMEM. Takes agent_lock.
 */
int late_take(u32 job, const struct suture_late *from);
/* The helper has closed its file. Takes agent_lock. */
void late_end(u32 job);

/*
 * A module comes: if it is the payload of a job, find the places of its late relocations. Until
 * their modules come, they lead to a function that logs the call. -ENOEXEC: it is another
 * payload; -ENOMEM. agent_lock held.
 */
int late_bind(const struct module *mod);
/* A module goes: if it is a payload, release the modules that it holds. agent_lock held. */
void late_unbind(const struct module *mod);
/*
 * Give the payload the symbols of that module, which is loaded. -ENOENT: one is missing, and log
 * and operator get its name. The payload's code for that object must not run. agent_lock held.
 */
int late_resolve(const struct module *payload, const char *object);
/* Take them away from all payloads: the module has gone. agent_lock held. */
void late_forget(const char *object);
void late_exit(void);

/* ---- sites.c ---- */

/* After compat_init(). */
void sites_init(void);
/* Make the kernel do now what it would write to functions once, later. Sleeps. */
void sites_settle(void);
/*
 * Find the sites to which the kernel itself writes in the bytes that a redirect of the function (of
 * module mod, or NULL) may need: up to SUTURE_MAX_SITES. Returns how many; one more than that:
 * there is no room for all. Sleeps.
 */
unsigned int sites_find(const struct module *mod, unsigned long func, unsigned long size,
			struct suture_decl_site *sites);

/*
 * Among these sites of a function: does a static call begin, or the function end, so near that a
 * long jump has no room? Then the redirect may need a hook.
 */
bool sites_are_close(u32 ftrace_site, unsigned long size, const struct suture_decl_site *sites,
		     unsigned int nr_sites);

/* ---- hooks.c ---- */

/*
 * Register a hook: ftrace leads calls of the function to the address in a word. Returns the word's
 * address; a function that has a hook keeps its word. site: the address of ftrace's site in it. 0:
 * ftrace refuses; the log says why. Sleeps. agent_lock held.
 */
unsigned long hooks_offer(const char *name, unsigned long func, unsigned long site);
/*
 * Remove the hooks of functions that no patch names and no redirect uses. Waits until no task
 * is in them. agent_lock held, or at the agent's exit.
 */
void hooks_collect(void);

/* ---- resolve.c ---- */

/* See clones.c. */
struct clone {
	unsigned int symbol; /* index: whose function it is a clone of */
	unsigned int nr_callers;
	unsigned long address;
	unsigned long callers[SUTURE_MAX_CALLERS], last_caller; /* functions */
};

/* The functions of loaded objects, to be resolved together. */
struct lookup {
	unsigned int count, nr_new, nr_parts, nr_clones, more_clones;
	struct klp_func **funcs;
	struct symbol *symbols;	       /* of the originals, then of the new functions */
	char (*names)[SUTURE_SYM_LEN]; /* of the new functions */
	u32 *index;		       /* of each symbol: its function's in the message */
	u32 *missing;		       /* of each original: enum suture_missing */
	struct suture_decl_part *parts;
	struct clone *clones;
	/* of the objects that are modules, and of the payload */
	struct module_symbols *modules;
	unsigned int nr_modules;
	struct kept *kept; /* or NULL */
	int error;	   /* of a part */
};

/* Room for so many functions. -ENOMEM: lookup_free() is due all the same. */
int lookup_init(struct lookup *l, unsigned int max);
void lookup_free(struct lookup *l);
/* The object's functions; `first` is the index of the first one in the message. -ENOMEM. Sleeps. */
int lookup_add(struct lookup *l, const struct klp_object *obj, u32 first);
/* Before the size of an address in that module is asked for. -ENOMEM, -ENOENT, -E2BIG. Sleeps. */
int lookup_read(struct lookup *l, const char *module);
/* The size of the function at that address of vmlinux or of a module that was read; 0: none. */
unsigned long lookup_size(const struct lookup *l, const char *object, unsigned long address);
/* The payload's function, for its parts. After all lookup_add(). */
void lookup_add_new(struct lookup *l, const struct klp_func *func, const char *payload, u32 index);
/*
 * Fill in old_func and old_size, l->parts, l->clones, and l->missing: a function that cannot be
 * resolved is left at 0, and the monitor makes the message for it. -ENOMEM, -E2BIG: too many parts;
 * -ENOENT: a part without a size. Sleeps.
 */
int lookup_run(struct lookup *l);
/* Look up now what else the first patch would wait for. */
void lookup_prepare(void);
/* The text of "vmlinux" or a module that stays after init. False: no such module. */
bool lookup_text(const char *object, unsigned long *start, unsigned long *end);

/* ---- clones.c ---- */

/* Keep those of l->clones that other functions call directly. l is resolved. -ENOMEM. Sleeps. */
int clones_find_callers(struct lookup *l);
/* Keep what fits into so many bytes, and count the others. Returns the bytes that they take. */
size_t clones_limit(struct lookup *l, size_t room);
/* d: room for l->nr_clones. */
void clones_describe(const struct lookup *l, struct suture_decl_clone *d);

/* As the payload has it: a '-' in it means '_', which module names have for it. */
static inline const char *object_name(const struct klp_object *obj)
{
	return obj->name ? obj->name : "vmlinux";
}

/* Do both mean the same object? */
static inline bool same_object_name(const char *a, const char *b)
{
	for (; *a; a++, b++)
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	return !*b;
}

/* ---- watch.c ---- */

/*
 * Record who runs from now on, list all tasks, and tell the monitor (SUTURE_MSG_WATCH); anew if a
 * watch is on. -EOPNOTSUPP: this kernel has no tracepoint, or its counters are not known; -ENOMEM;
 * -EAGAIN: too many tasks come. Sleeps. agent_lock held, as for the others.
 */
int watch_begin(void);
void watch_end(void);
/* The agent goes. */
void watch_exit(void);

/* ---- overrides.c ---- */

/* Look up now what else the first patch would wait for. agent_lock held, or at the agent's start.
 */
void overrides_prepare(void);

/*
 * -EBUSY: another user in the guest decides what runs instead of one of these functions; log and
 * operator get its name. l is resolved. Sleeps. agent_lock held.
 */
int overrides_check(const struct lookup *l);
/* Send the monitor the list of overridden functions if it has changed. Poll thread. */
void overrides_report(void);
/* The monitor may have forgotten the list: send it again. agent_lock held. */
void overrides_report_again(void);
/* The poll thread is gone. */
void overrides_exit(void);

/* ---- patch.c ---- */

/* A declared patch: from klp_enable_patch() until it is retired. */
struct patch {
	struct list_head list; /* on `patches`, oldest first */
	struct kobject kobj;
	struct klp_patch *klp;
	struct module *mod; /* we hold a reference */
	char name[SUTURE_NAME_LEN];
	struct list_head object_dirs; /* sysfs.c's */
	struct completion released;
	struct work_struct retire;
};

extern struct list_head patches; /* under agent_lock */
/* Patches that are off and whose modules, not held, are still loaded: a rollback may restore them.
 */
extern struct list_head retired_patches; /* under agent_lock */

/* agent_lock held. */
struct patch *patch_find(const char *name);

/*
 * The patch is off: take it from the list, and have its sysfs folder removed, its module put and
 * itself put on retired_patches by agent_work (a writer of the folder's files may wait for
 * agent_lock, which is held).
 */
void patch_retire(struct patch *p);
/* The module goes, or its patch is enabled anew: free its retired record. agent_lock held. */
void patch_forget(const struct module *mod);
/*
 * Take a retired patch back: hold its module, declare it to the monitor as it is now, and have it
 * on `patches` below the patch `above`. -ENODEV: its module is gone; or what declare_patch() says;
 * nothing is held then. agent_lock held; lets go of it for a while.
 */
int patch_restore(const char *name, const char *above);

/* Why the last klp_enable_patch() failed, for people; "" if it did not. */
void patch_error(char *text, size_t size);
/* `len` is what snprintf() wanted: a text that was cut ends in "...". */
void text_mark_cut(char *text, size_t size, int len);
__printf(1, 2) void patch_set_error(const char *fmt, ...);

/*
 * Say why a patch is refused, in the log and to the operator. Not for refusals for which Linux has
 * a message (klp_log()), and without the patch's name, since Linux's tests look for it in the log.
 */
#define refuse(fmt, ...)                                                                           \
	do {                                                                                       \
		pr_err(fmt "\n", ##__VA_ARGS__);                                                   \
		patch_set_error(fmt, ##__VA_ARGS__);                                               \
	} while (0)

/* ---- declare.c ---- */

/* Is klp_patch valid by Linux's rules? agent_lock held. */
int declare_check(const struct klp_patch *klp);
/* Resolve its functions and declare it to the monitor: flags 0 or SUTURE_DECL_RESTORE. agent_lock.
 */
int declare_patch(struct patch *p, u32 flags);
/*
 * Tell the monitor that a module changed its state, and for a coming one where the functions lie
 * that patches name in it (at 0 if they cannot be resolved: the engine refuses the module then).
 * Negative: the message failed, or the engine refuses it. agent_lock held.
 */
int declare_module(struct module *mod, enum suture_module_state state);
/* True if a patch, on or retired, has this module as an object. agent_lock held. */
bool declare_names(const char *module);
/* Fill in, or forget, the module of all objects of that name. agent_lock held. */
void declare_set_module(const char *name, struct module *mod);

/* ---- steps.c ---- */

/*
 * Ask the engine for steps and do them until it has no more for now. `name` is the patch, `module`
 * the module that comes or goes, either may be "". 0 or what the engine says is the outcome.
 * agent_lock held; SUTURE_PUMP_MODULE releases it while it waits.
 */
int steps_pump(enum suture_pump pump, const char *name, const char *module);

/* ---- signal.c ---- */

/*
 * Linux's fake signal: make the task with this pid (of the first namespace) leave what it sleeps
 * in, without a signal that it could see. A user task is held before it returns to user mode, for
 * two seconds at most, so that it is not back in the function before the switch has been tried.
 * agent_lock held.
 */
void signal_task(u32 pid);
/* The transition has ended: release the tasks that are held. agent_lock held. */
void signal_release(void);
/* On return no task is held, or in the agent's code. */
void signal_exit(void);

/* ---- idle.c ---- */

/*
 * Have each online CPU run a thread at the lowest priority, so that its idle task is out of all
 * that it calls: from the return on, for IDLE_HOLD_MS. The function does not wait longer than
 * IDLE_START_MS for a CPU. Sleeps. agent_lock held.
 */
#define IDLE_START_MS 200
#define IDLE_HOLD_MS  200
void idle_leave(void);
/* End these threads; they are gone on return. agent_lock held, or at the agent's exit. Sleeps. */
void idle_release(void);

/* ---- sysfs.c ---- */

/*
 * The patch's folder: initialized, perhaps added, and removed; then the same again. Removing it
 * waits for users of its files, who may be waiting for agent_lock: the caller must not hold it.
 */
void folder_init(struct patch *p);
int folder_add(struct patch *p);
void folder_remove(struct patch *p);

/* ---- poll.c ---- */

/* The thread that asks the monitor for work, as often as the monitor said, in milliseconds. */
int poll_start(u32 idle_ms, u32 active_ms);
void poll_stop(void);
/* Ask for work now, not when it is due. */
void poll_kick(void);

/* ---- bell.c ---- */

/*
 * The two kinds of doorbell. start() and stop() as bell_start() and bell_stop(), open() and close()
 * while it is started; each may sleep. start(): -EOPNOTSUPP: there is none here.
 */
struct bell_ops {
	int (*start)(void);
	void (*stop)(void);
	void (*open)(void);
	void (*close)(void);
};

extern const struct bell_ops cpu_bells; /* bell_cpu.c: each CPU has its own */
extern const struct bell_ops line_bell; /* bell_line.c: the machine has one */

/* -ENOMEM. Before HELLO, which has the address of the heartbeat. */
int bell_init(void);
void bell_exit(void);
u64 bell_heartbeat(void);
/* Let the monitor ring, if it can; and no more: when it returns, no ring is handled. Sleep. */
void bell_start(void);
void bell_stop(void);
/* The same for a while. bell_open() needs a running poll thread. */
void bell_close(void);
void bell_open(void);
/* After bell_open(), when the monitor has answered. Poll thread. */
void bell_open_again(void);
/* The monitor has closed it, and this kernel goes on. Poll thread. */
void bell_reopen(void);
/* The poll thread lives. On it. */
void bell_beat(void);
/*
 * Has the monitor not answered for two seconds? True once in that time. Its own CPU has failed, and
 * the exit that a question makes lets it be seen; or it takes this kernel for one that has ended.
 * Poll thread.
 */
bool bell_is_unanswered(void);

/* ---- offer.c ---- */

/* The device by which programs of the guest offer bundles to the monitor. */
int offer_init(void);
void offer_exit(void);

/* ---- loader.c ---- */

int loader_init(void);
void loader_exit(void);
/* Have a payload loaded or unloaded by the helper. The monitor is told how it ended. Poll thread.
 */
void loader_start(const struct suture_work *work);
/*
 * True while the helper has a job. Until it has ended the poll thread is kicked when there may be
 * work for it: a patch was enabled, its payload is live, or the job is over.
 */
bool loader_is_busy(void);
/* Give up a job whose helper takes too long. Poll thread. */
void loader_check(void);
/* True if the payload of that name is in its init, and its load was given up. */
bool loader_gave_up(const char *name);

/* ---- notifier.c ---- */

int notifier_init(void);
void notifier_exit(void);
/* True while the kernel is being hibernated: no patch can be enabled. agent_lock held. */
bool notifier_hibernates(void);
/* True if the module can be patched: it is live, or coming and past our notifier. agent_lock. */
bool notifier_is_present(const struct module *mod);

/* ---- panic.c ---- */

int panic_init(void);
void panic_exit(void);

/* ---- shadow.c ---- */

int shadow_init(void);
/*
 * Tell the monitor how many shadow variables there are, if that has changed: a few times a second
 * at most. Poll thread.
 */
void shadow_report(void);
bool shadow_is_news(void); /* the monitor is still to be told */
/* The monitor has forgotten the count: send it again. Poll thread. */
void shadow_report_again(void);
/* As klp_shadow_free_all(), but dtor may sleep: no lock is held when it runs. */
void shadow_free_state(unsigned long id, klp_shadow_dtor_t dtor);
/* Free all that is left, without destructors. */
void shadow_exit(void);

#endif
