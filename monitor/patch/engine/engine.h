/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine: patch > object > func and state, and the transitions between them. Pure logic: it
 * knows neither pages nor CPUs. It acts through struct engine_ops, and on the guest through the
 * steps that it gives the agent. Everything runs on the service CPU, one call at a time.
 *
 * The order of callbacks, switches and messages is Linux's (kernel/livepatch/core.c and
 * transition.c of 6.1), as documents 000 to 003 describe it; docs/semantics.md names the rule for
 * each.
 *
 * What an operation does, from its beginning to its end (make lint-tree looks whether it is there):
 *
 *   apply         operator.c: engine_upload(); jobs.c: engine_work(), engine_fetch();
 *                 declare.c: engine_declare(); life.c: script_enable();
 *                 jobs.c: engine_loaded(); life.c: script_complete_patching()
 *   revert        operator.c: engine_revert(); life.c: script_disable(),
 *                 script_complete_unpatching(); transition.c: engine_after_off();
 *                 jobs.c: engine_start_unload()
 *   cancel        operator.c: engine_cancel(); life.c: script_reverse(), then as the other
 *   force         agent.c: engine_set(); life.c: script_force(), engine_force()
 *   replace       life.c: script_complete_patching(); rollback.c: patch_replaced()
 *   rollback      rollback.c: engine_rollback(), script_rollback(), patches_returned();
 *                 what cannot return: rollback.c: script_give_back(); module.c: script_abandon()
 *   from below    below.c: engine_revert_below(), engine_pump_alone(); when the agent is back:
 *                 agent.c: engine_agent_hello(); below.c: script_retire()
 *   module comes  module.c: engine_module(), script_coming(); stack.c: engine_switch_object()
 *   module goes   module.c: engine_module(), script_going(); stack.c: engine_switch_object()
 *   sysfs         agent.c: engine_set(), then as revert or cancel
 *
 * Between two scripts a transition is attempted until the switch succeeds: driver.c: engine_tick();
 * transition.c: engine_start_transition(), engine_attempt(); stack.c: engine_switch_transition();
 * those who stand in its way: converge.c: converge_blocked(), script_signal(). Which step the agent
 * is given next: driver.c: engine_step(), engine_begin_todo().
 */
#ifndef PATCH_ENGINE_ENGINE_H
#define PATCH_ENGINE_ENGINE_H

#include "patch/bundle.h"
#include "patch/switch/switch.h"
#include "patch/text/text.h"
#include <suture/abi.h>

struct engine;

struct engine_ops {
	/* switch_try() and switch_validate(), or a test's. */
	int (*try_switch)(void *ctx, const struct switch_set *set, struct transition_report *r);
	int (*validate)(void *ctx, const struct switch_set *set, struct transition_report *r);
	/* readback_redirect(); NULL: redirects are not read back. */
	int (*look)(void *ctx, u64 key, u64 to, char *why, size_t why_size);
	/* text_check(); NULL: a payload's text is not compared. */
	int (*check_text)(void *ctx, const struct text_query *q, char *why, size_t why_size);
	/* Is [va, va+len) text of vmlinux (module false) or of the module area (true)? */
	bool (*is_text)(void *ctx, bool module, u64 va, u64 len);
	/* The build-id that the monitor read from the guest's memory; NULL while it knows none. */
	const u8 *(*build_id)(void *ctx, u32 *len);
	/* Watching: is the agent's watch on (guest_watch_id())? Unwatch: end it. NULL: the engine
	 * asks for none, and looks at all tasks in each pause. */
	bool (*watching)(void *ctx);
	void (*unwatch)(void *ctx);
	/* panic_suspected(): 1, 0 or negative errno; NULL: it is never suspected. */
	int (*panic_suspected)(void *ctx);
	void (*ended)(void *ctx, const char *what); /* what a request began: one line; or NULL */
	u64 (*now_us)(void *ctx);
	void *(*alloc)(void *ctx, size_t size); /* zeroed; NULL when out */
	void (*free)(void *ctx, void *p, size_t size);
	void *ctx;
};

struct engine_config {
	bool guest_patches;	      /* accept patches without a bundle */
	bool guest_may_disable;	      /* accept engine_set() */
	bool guest_may_apply;	      /* its bundles are uploads too; the caller looks at it */
	const struct floors *floors;  /* they outlive the engine; NULL: none */
	bool compare_text;	      /* refuse a payload whose text is not its bundle's */
	u64 retry_us, retry_max_us;   /* to the next attempt: at first, and the limit of doubling */
	u64 budget_us, budget_max_us; /* of a pause: first attempt, and the limit it grows to */
	u32 machine;		      /* enum suture_machine: the guest's */
};

struct engine *engine_create(const struct engine_ops *ops, const struct engine_config *config);
void engine_destroy(struct engine *e);
/* The configuration that it was created with. */
const struct engine_config *engine_config(const struct engine *e);

/* ---- the operator's side; `why` gets one line that names the thing and the way out ---- */

/*
 * Accept a bundle (validated by bundle_parse()): on success the engine takes over *b and its data,
 * which it returns with ops->free(ctx, data, size). The agent is told by engine_work() to load it.
 * -EEXIST: a patch of that name is loaded or loading; -ESRCH: no agent, or it has been silent for
 * 10 s; -ENOEXEC: for another architecture or build-id than the guest's; -EBUSY: another patch is
 * being loaded or in transition; -ENOMEM. On an error `why` has the reason, and nothing has
 * changed. 1: the same bundle is applied, or on its way there; nothing has changed either.
 */
int engine_upload(struct engine *e, struct bundle *b, char *why, size_t why_size);

/*
 * Is its version at least that of the patch of this name that the engine has a record of, and its
 * floor? -EEXIST with `why`: it is older. A patch that failed does not count. What engine_clear()
 * has forgotten, or a reboot, is compared with the floor alone.
 */
int engine_check_version(struct engine *e, const struct bundle *b, char *why, size_t why_size);

/*
 * Refuse the patch, which was just uploaded, if other functions call clones of its functions, or if
 * a function has no callers. To be called before the agent's next message.
 */
void engine_be_strict(struct engine *e, const char *name);

/*
 * Disable the patch and have its module unloaded; a patch that is still being switched on is
 * reversed. Patches may be reverted in any order, as in Linux. -ENOENT: not applied; -EBUSY: it, or
 * another patch, is under way, or it was forced; -EALREADY: it is being reverted; -EINVAL: one of
 * its states is marked block_disable; -ESRCH: as above.
 */
int engine_revert(struct engine *e, const char *name, char *why, size_t why_size);

/*
 * Take the patch off without the agent, which must be silent or gone: no callback runs, the module
 * stays loaded. The redirects are removed by a switch that is repeated until it succeeds. force:
 * the switch checks only the bytes of the jumps, and the module is never unloaded; may be given in
 * a second call. When the patch is off, `why` says what was left out. When the agent answers again,
 * it puts the module, which engine_revert() then unloads. -ENOENT; -EBUSY: the agent answers,
 * nothing is in force, or something else is under way; -EINVAL: block_disable.
 */
int engine_revert_below(struct engine *e, const char *name, bool force, char *why, size_t why_size);

/*
 * Go back from a cumulative patch to those that it replaced, in one switch, and have its module
 * unloaded. -ENOENT: not applied; -EINVAL: it replaced nothing, or a state forbids it;
 * -ENODEV: what it replaced was unloaded since; -EBUSY: it, or another patch, is under way, or it
 * replaced by force; -ESRCH: as above. If it fails later (a module went, a pre_patch refused) the
 * patch stays applied, with `error` and `why`.
 */
int engine_rollback(struct engine *e, const char *name, char *why, size_t why_size);

/*
 * Reverse the transition under way, in whichever direction it goes: a patch that is being switched
 * on fails with ECANCELED and is unloaded; one that is being switched off is applied again. -EBUSY:
 * its callbacks run, or it is being loaded; -EALREADY: not in transition, or on its way back
 * already; -ENOENT, -ESRCH: as above.
 */
int engine_cancel(struct engine *e, const char *name, char *why, size_t why_size);

/*
 * Forget the record of a patch that is reverted or failed, as a new upload of the name does; name
 * NULL: of all of them. Returns how many; -ENOENT: no such patch; -EBUSY: it is not at its end.
 */
int engine_clear(struct engine *e, const char *name, char *why, size_t why_size);

/* What the API shows of a patch. */
enum patch_phase {
	PHASE_UPLOADED,	  /* waits for the agent to fetch it */
	PHASE_LOADING,	  /* the guest loads the payload */
	PHASE_ENABLING,	  /* declared; pre_patch callbacks run */
	PHASE_PATCHING,	  /* in transition */
	PHASE_COMPLETING, /* switched; post_patch callbacks run */
	PHASE_APPLIED,
	PHASE_DISABLING,    /* pre_unpatch callbacks */
	PHASE_UNPATCHING,   /* in transition */
	PHASE_UNCOMPLETING, /* switched back; post_unpatch callbacks */
	PHASE_DISABLED,	    /* off, module still loaded */
	PHASE_RETURNING,    /* the patch that replaced it is being rolled back */
	PHASE_UNLOADING,
	PHASE_REVERTED, /* gone; kept for its report until engine_clear() or a new upload */
	PHASE_FAILED,	/* `error` and `why` say why; nothing of it is in force */
};

const char *patch_phase_name(enum patch_phase p); /* "uploaded", "loading", ... */

struct patch_func_info {
	char object[SUTURE_NAME_LEN];
	char name[SUTURE_SYM_LEN];
	u64 old_addr, old_size, new_addr;
	bool redirected;
	char covered_by[SUTURE_NAME_LEN]; /* redirected, but this newer patch's code runs; or "" */
	bool uncalled;			  /* nothing calls the original or has its address */
	char not_in_force[SUTURE_TEXT_LEN]; /* redirected, and why other code runs; "": it does not
					     */
};

struct patch_object_info {
	char name[SUTURE_NAME_LEN];
	bool loaded;
	bool patched; /* switched on, or to be switched on by the transition under way */
};

struct patch_state_info {
	u64 id;
	u32 version;
	bool is_shadow, block_disable;
	char owner[SUTURE_NAME_LEN]; /* the patch that owns it now, "" if none does */
};

struct patch_info {
	char name[SUTURE_NAME_LEN];
	char version[64];
	enum patch_phase phase;
	bool replace, from_bundle, forced;
	u32 stack_order; /* from 1, the oldest; 0: not on the stack */
	int error;	 /* 0 or negative errno of the last operation */
	bool stuck; /* in transition, and one function always has a sleeping task in it: `why` */
	/* for people: the reason of `error`, or a remark if there is no error */
	char why[REASON_LEN];
	u64 changed_us;		/* when it came into its phase */
	u8 digest[SHA256_SIZE]; /* of its bundle; zeros without one */
	u32 nr_cves;
	u32 nr_objects, nr_funcs, nr_states;
	u32 nr_not_in_force;	    /* functions that are redirected while other code runs */
	u32 nr_clones, more_clones; /* more_clones: those that are not listed */
	struct transition_report apply, revert; /* of the last of each */
};

/* A clone of a function that the patch does not replace; other functions call it directly. */
struct patch_clone_info {
	char object[SUTURE_NAME_LEN];
	char func[SUTURE_SYM_LEN];
	char name[SUTURE_SYM_LEN];
	u32 nr_callers; /* nr_named of them are in callers[] */
	u32 nr_named;
	char callers[SUTURE_MAX_CALLERS][SUTURE_CALLER_LEN];
};

/* The i-th patch in stack order, and its tables. 0 or -ENOENT. */
int engine_patch_info(const struct engine *e, u32 i, struct patch_info *info);
/* The ID of what it fixes; NULL behind the last one. Valid until the engine's next operation. */
const char *engine_patch_cve(const struct engine *e, u32 i, u32 cve);
int engine_patch_object(const struct engine *e, u32 i, u32 object, struct patch_object_info *info);
int engine_patch_state(const struct engine *e, u32 i, u32 state, struct patch_state_info *info);
int engine_patch_func(const struct engine *e, u32 i, u32 func, struct patch_func_info *info);
int engine_patch_clone(const struct engine *e, u32 i, u32 clone, struct patch_clone_info *info);

/* The look once a second at all functions that are redirected. */
struct look_stats {
	u64 functions; /* redirected functions in the last look */
	u64 last_us;   /* service CPU time of the last look */
	u64 max_us;    /* the longest uninterrupted part of a look */
};

void engine_look_stats(const struct engine *e, struct look_stats *s);

/* The guest's state, as far as its agent's messages and its CPUs show it. */
enum guest_state {
	GUEST_UNKNOWN, /* no agent has registered */
	GUEST_ALIVE,
	GUEST_SILENT,	/* no sign of its agent for 10 s */
	GUEST_PANICKED, /* its agent said so, or its CPUs were halted for 10 s of silence */
	GUEST_STATES
};

const char *guest_state_name(enum guest_state s); /* "unknown", "alive", ... */

struct guest_health {
	enum guest_state state;
	u64 silent_us; /* since the agent's last sign of life; 0 while there is no agent */
	char why[160]; /* what is wrong, for people; "" if nothing is */
};

void engine_guest_health(const struct engine *e, struct guest_health *h);

/* Compare the payload's text with its bundle. -ENOENT: no such patch; -ENODEV: it has no bundle, or
 * no loaded payload; or what text_check() says, with `why`. */
int engine_patch_text(const struct engine *e, const char *name, char *why, size_t why_size);

/* Shadow variables in the guest, as the agent last counted them. */
struct shadow_total {
	bool known; /* the agent has counted them */
	u64 when_us;
	u64 count, bytes;	    /* of all */
	u64 more_count, more_bytes; /* of all: those with ids that are not listed */
	u32 nr_ids;
};

struct shadow_id {
	u64 id, count, bytes;
	char patch[SUTURE_NAME_LEN]; /* that owns the state of this id, "" if there is none */
	bool is_shadow;		     /* they are freed with that state */
};

void engine_shadow_total(const struct engine *e, struct shadow_total *total);
/* The i-th id, in rising order. 0 or -ENOENT. */
int engine_shadow_id(const struct engine *e, u32 i, struct shadow_id *info);

/*
 * ---- the agent's side: one function for each message ----
 *
 * The caller passes replies zeroed, with their header filled; these functions fill in the rest.
 * -EAGAIN means that the steps of another context are under way: the agent posts the message again
 * in a millisecond, where Linux would wait for its mutex.
 */

/*
 * An agent has registered. Patches that its predecessor left in progress fail. Patches that are on
 * stay on, and are reported as having lost their agent: reverting one runs no callbacks and unloads
 * nothing.
 */
void engine_agent_hello(struct engine *e);
int engine_agent_bye(struct engine *e); /* -EBUSY while patches are declared or loading */
bool engine_agent_present(const struct engine *e);
void engine_work(struct engine *e, struct suture_work *reply);
/* Is there work for the agent, or soon? While there is not, it may sleep until it is rung. Any
 * phase.
 */
bool engine_wants_agent(const struct engine *e);
/* The agent's thread lives though it sends no message. Any phase. */
void engine_agent_lives(struct engine *e);
int engine_fetch(struct engine *e, const struct suture_fetch *m, struct suture_fetch_reply *reply,
		 void *bytes, size_t room);
int engine_loaded(struct engine *e, const struct suture_loaded *m);
/* m is a private copy, of m->msg.size bytes. Every count, index and address in it is untrusted. */
/*
 * 0: pump it with SUTURE_PUMP_INIT. -EPERM: it has no bundle and guest_patches is off;
 * -EBUSY: another patch is in transition; -EEXIST; -EBADMSG: not what the manifest says;
 * -ECANCELED: the operator asked for strictness, and other functions call clones of its functions
 * or a function has no callers; -EINVAL, -E2BIG, -EMSGSIZE, -ENOENT, -EFAULT: malformed; or what
 * switch_validate() says. The reason is in the patch's `why` and the log.
 */
int engine_declare(struct engine *e, const struct suture_declare *m);
/*
 * The payload's text is about to be freed, before its redirects were on; no callback runs. A
 * negative DONE to SUTURE_PUMP_INIT has done this already. -ENOENT; -EBUSY: it is on.
 */
int engine_withdraw(struct engine *e, const char *name);
/*
 * The next step for the pump that m describes. Each pump gets the steps of its own work only, and
 * WAIT while another pump's steps are under way (SUTURE_PUMP_MODULE must then ask again; for
 * SUTURE_PUMP_INIT and _SYSFS WAIT is the end, and the poll thread goes on). RETIRED and CALLBACK
 * name their patch in the reply. A negative DONE to SUTURE_PUMP_INIT implies RETIRED.
 */
void engine_step(struct engine *e, const struct suture_step *m, struct suture_step_reply *reply);
/*
 * 0: pump SUTURE_PUMP_SYSFS. -EINVAL: it has that value already, as in Linux; -EBUSY; -ENOENT;
 * -EPERM: the configuration forbids it.
 */
int engine_set(struct engine *e, const struct suture_set *m);
/*
 * COMING and GOING: 0, then pump SUTURE_PUMP_MODULE with the module's name until DONE (a negative
 * one refuses a COMING module). After GOING the agent drops what is left with SUTURE_HC_DROP_RANGE.
 * LIVE and GOING are sent for payloads too: GOING of a payload that was not retired undoes its
 * patch.
 */
int engine_module(struct engine *e, const struct suture_module *m);
int engine_query(struct engine *e, const char *name, struct suture_patch_state *reply);
/* m is a private copy, of m->msg.size bytes. -EMSGSIZE, -EINVAL: malformed, the last one stays. */
int engine_shadow(struct engine *e, const struct suture_shadow *m);
int engine_symbols(struct engine *e, const struct suture_symbols *m);
/* Likewise. */
int engine_overridden(struct engine *e, const struct suture_overridden *m);

/* ---- time and mishaps ---- */

/*
 * Attempt what is due. Returns the time (now_us scale) of the next thing to do, UINT64_MAX if
 * there is none.
 */
u64 engine_tick(struct engine *e);

/*
 * The service CPU has begun anew, and the engine is as it was at the last checkpoint. suspicious:
 * it has done so several times within a moment, so that a transition under way is given up.
 */
void engine_restarted(struct engine *e, bool suspicious);

/*
 * Compare the functions that are on with the redirects that there are: target() is where the
 * function at `key` leads to, 0 if it has none. Those without one were dropped by the guest.
 */
void engine_compare(struct engine *e, u64 (*target)(u64 key));

/*
 * The guest says that its kernel ends, or it looks so; every redirect is gone, and no switch
 * succeeds. `why` (a constant) is for the operator. What has become of it, the fate says: open for
 * two seconds, then the caller calls one of the two below, and lets switches succeed again.
 */
void engine_kernel_ends(struct engine *e, const char *why);
enum kernel_fate {
	KERNEL_IS_FINE, /* nothing was said */
	KERNEL_IS_OPEN,
	KERNEL_IS_GONE, /* its agent is silent */
};
enum kernel_fate engine_kernel_fate(const struct engine *e);

/* Its agent speaks, and it is the same kernel: what was dropped is put back. */
void engine_kernel_goes_on(struct engine *e);

/*
 * The guest's kernel is gone, and every redirect with it. Its patches fail with `why`, and there is
 * no agent any more. Any phase.
 */
void engine_kernel_gone(struct engine *e, const char *why);

/* The agent said that the guest's kernel has panicked; why: the kernel's message, or "". Any phase.
 */
void engine_panicked(struct engine *e, const char *why);

/* The redirect with this key was dropped by a guest CPU (SUTURE_HC_DROP_*). Any phase. */
void engine_dropped(struct engine *e, u64 key);

#endif
