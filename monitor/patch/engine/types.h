/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine's own types: patch > object > func, and state. Private to monitor/patch/engine/;
 * everything runs on the service CPU, one call at a time.
 */
#ifndef PATCH_ENGINE_TYPES_H
#define PATCH_ENGINE_TYPES_H

#include "patch/engine/engine.h"

struct func {
	char name[SUTURE_SYM_LEN];
	u32 object; /* index into the patch's objects */
	u32 sympos;
	u64 old_addr, old_size; /* of the original; its address is the redirect's key */
	u64 new_addr, new_size;
	u32 ftrace_site; /* as in suture_decl_func */
	u32 nr_sites;	 /* as there */
	u32 missing;	 /* as there */
	struct suture_decl_site sites[SUTURE_MAX_SITES];
	u64 hook; /* as there */
	bool on;  /* on its function's stack: it runs unless a newer patch is above it */
	/* Why other code runs while it is on; "": its new code runs. */
	char overridden[SUTURE_TEXT_LEN]; /* the user in the guest that leads its callers elsewhere
					   */
	char lost[SUTURE_TEXT_LEN];	  /* what a CPU would fetch instead of the redirect */
	bool doubted;			  /* only the last look has found other bytes */
};

/* Forget the results of the looks at it. */
static inline void func_found(struct func *f)
{
	f->lost[0] = '\0';
	f->doubted = false;
}

/* Why its new code does not run though it is on; "": it runs, or it is not on. */
static inline const char *func_not_in_force(const struct func *f)
{
	return !f->on ? "" : f->lost[0] ? f->lost : f->overridden;
}

/* Is the site consistent in itself? Whether it lies in its function's object is checked elsewhere.
 */
static inline bool site_is_sane(const struct suture_decl_site *s)
{
	return s->len && s->kind >= SUTURE_SITE_KEY && s->kind <= SUTURE_SITE_ENTRY &&
	       (!s->room || s->kind == SUTURE_SITE_KEY);
}

/* A part that the compiler split off a function. size 0: its module is gone. */
struct part {
	u32 func; /* index into the patch's functions */
	bool is_new;
	u64 addr, size;
};

/* The notifier's last event for an object, until a script of that notifier handles it. */
enum object_event { EVENT_NONE, EVENT_COMING, EVENT_GOING };

struct object {
	char name[SUTURE_NAME_LEN];
	u32 callbacks;
	u64 text_start, text_end; /* of a loaded module */
	u32 more_clones;	  /* clones of its functions that are not in the patch's list */
	bool loaded;
	bool patched;	   /* switched on, or to be switched on by the transition under way */
	bool pre_patched;  /* pre_patch passed (or there is none): post_unpatch is owed */
	bool post_patched; /* post_patch passed (or there is none): pre_unpatch is owed */
	bool kept; /* its patch was replaced: both are owed again when the patch comes back */
	enum object_event event;
	int event_error; /* COMING: why its functions could not be resolved */
};

/*
 * Of all enabled patches that support the same state exactly one owns it: the one with pre_patched
 * set. When that one leaves, the newest that stays inherits the flags, and no callback runs.
 */
struct state {
	u64 id;
	u32 version, callbacks;
	bool is_shadow, block_disable;
	bool pre_patched, post_patched;
	bool shadows; /* in the owner's: a patch that had the state may have left shadow
			 variables */
};

/* Its pre_patch ran in the transition under way. */
static inline bool object_is_fresh(const struct object *o)
{
	return o->pre_patched && !o->post_patched;
}

/* What the next pump of a patch has to do. */
enum todo { TODO_NOTHING, TODO_DISABLE, TODO_ROLLBACK, TODO_REVERSE, TODO_COMPLETE, TODO_ABANDON };

struct patch {
	struct patch *next; /* in stack order: the newest is last */
	char name[SUTURE_NAME_LEN];
	char version[64];
	enum patch_phase phase;
	int error;
	char why[REASON_LEN];
	bool stuck; /* in transition, and one function always has a sleeping task in it */

	const struct engine_ops *ops; /* the engine's: its clock */
	bool from_bundle;
	bool has_bundle; /* as long as the payload's text may be compared with it */
	bool loading;	 /* a bundle's, whose load has not ended */
	struct bundle bundle;
	u8 digest[SHA256_SIZE]; /* of the bundle; stays when that is freed */
	char (*cves)[SUTURE_CVE_LEN];
	u32 nr_cves;

	u32 job;	/* id of the load or unload that the agent is asked for */
	bool job_given; /* the agent has been told */
	u64 job_due_us; /* not before */
	u64 since_us;	/* when the load or unload was asked for */
	u64 changed_us; /* when it came into its phase */
	u32 tries;

	enum todo todo;
	bool replace;
	bool installed; /* declared and not retired: part of every stack */
	bool enabled;	/* what sysfs shows */
	bool on;	/* its redirects are in force */
	bool live;	/* the payload's init has succeeded */
	bool forced;	/* it was switched off by force: it stays loaded for ever */
	bool unload;	/* unload the payload when it is off */
	bool gone;	/* the payload is being freed */
	bool orphan;	/* its agent is gone: no callbacks run, the engine does the steps alone */
	bool returning; /* comes back: the transition under way rolls back what replaced it */
	struct patch *replaced_by; /* a rollback of that patch can bring it back */
	u32 nr_replaced;	   /* patches that it replaced itself */

	bool alone; /* reverted without its agent, which is silent; see below.c */
	bool held; /* off, but the agent does not know it and still has a reference to the module */
	u32 left_out[SUTURE_CB_SHADOW_DTOR + 1]; /* callbacks that did not run, by kind */
	/* the task in the guest that disabled it by its `enabled`; "": none */
	char disabled_by[40];

	u64 text_start, text_end;	      /* of the payload */
	char text_name[SUTURE_NAME_LEN + 24]; /* "the text of payload NAME" */
	u32 nr_objects, nr_funcs, nr_states, nr_parts;
	struct object *objects;
	struct func *funcs;
	struct state *states;
	u32 *by_addr;	    /* numbers of the functions, by old_addr; see patch_func_at() */
	size_t tables_size; /* one allocation that begins at objects */
	struct part *parts; /* by func */
	size_t parts_size;
	u32 nr_clones, more_clones;
	struct suture_decl_clone *clones; /* the guest's, its text made printable */
	size_t clones_size;
	u64 uncalled[SUTURE_MAX_FUNCS / 64]; /* functions: SUTURE_MANIFEST_UNCALLED */
	bool strict;			     /* refuse it if it has clones or uncalled functions */

	struct transition_report apply, revert;
	/* Of these, that of what a request began and did not end yet; NULL: none did. */
	const struct transition_report *asked;
};

/*
 * The script under way. An operation that kernel/livepatch runs under its mutex is here a function
 * that gives one step after the other to the pump for which it was begun. There is one slot; other
 * pumps wait.
 */
enum script_kind {
	SCRIPT_NONE,
	SCRIPT_ENABLE,
	SCRIPT_REFUSE,
	SCRIPT_REFUSE_MISSING,
	SCRIPT_DISABLE,
	SCRIPT_ROLLBACK,
	SCRIPT_GIVE_BACK,
	SCRIPT_REVERSE,
	SCRIPT_FORCE,
	SCRIPT_COMPLETE_PATCHING,
	SCRIPT_COMPLETE_UNPATCHING,
	SCRIPT_COMING,
	SCRIPT_GOING,
	SCRIPT_ABANDON,
	SCRIPT_SIGNAL,
	SCRIPT_WATCH,
	SCRIPT_RETIRE,
};

struct script {
	enum script_kind kind;
	enum suture_pump pump;
	struct patch *patch; /* the patch that it is for; NULL: it is for a module */
	char module[SUTURE_NAME_LEN];
	int at;		  /* where to go on: a source line of the script */
	u32 i;		  /* its loops' counter */
	u32 tries;	  /* attempts at a switch, where their number is limited */
	struct patch *p;  /* coming, going, retiring: the current patch */
	struct object *o; /* and its object */
	bool awaits;	  /* rollback: the declaration of p is to come */
	s32 result;	  /* of the callback that was run last */
	s32 error;	  /* the script's own result */
};

/* The blockers of the transition under way, and what is done about them; see converge.c. */
struct convergence {
	u64 delay_us; /* from a failed attempt to the next */
	u32 pid;      /* the last blocker, and its function */
	char func[SUTURE_SYM_LEN];
	u32 func_attempts; /* attempts in a row that this function blocked */
	u64 func_since_us; /* the time of the first of these */
	u64 signal_us;	   /* when the next round of fake signals begins; 0: not known yet */
	u64 round_end_us;  /* until then each new blocker gets one */
	u32 rounds;
	bool announce;	 /* the round's message has not been printed yet */
	u32 signal_pid;	 /* the task that is to get one now; 0: none */
	bool leave_idle; /* all CPUs are to leave their idle tasks now */
	u32 idle_tries;	 /* how often they may still do that before the next round */
};

struct engine {
	struct engine_ops ops;
	struct engine_config config;
	struct patch *patches;
	struct patch *transition; /* at most one */
	bool target_on;		  /* its direction */
	bool force;		  /* do not look at stacks, only at the bytes that change */
	u64 next_attempt_us, budget_us;
	u64 watch_due_us;  /* until then an attempt waits for the agent's watch */
	bool cannot_watch; /* the agent has said that its kernel cannot */
	u32 watches_lost;  /* since the last attempt */
	struct convergence converge;
	struct script run;
	u32 last_job;
	u32 job_out; /* the agent takes one at a time: this one is not reported yet; 0 none */
	u64 job_out_us;
	bool agent;
	u64 heard_us;	     /* the time of the agent's last message */
	char panic[128];     /* the message of the guest's panic; "": it has not panicked */
	bool suspected;	     /* concluded from halted CPUs: a message of the agent disproves it */
	u64 look_us;	     /* when the silent guest's CPUs are looked at next */
	u64 halted_since_us; /* since then all but one have been halted; 0: they are not */
	struct {
		u64 due_us;   /* when to look at the next functions */
		u64 round_us; /* when the round began that is under way, or was last */
		u32 next;     /* the next function of the round; 0: no round is under way */
		bool again;   /* a function had other bytes: the next round begins soon */
		u64 functions, took_us; /* of the round under way */
		struct look_stats stats;
	} look;
	const char *ended;  /* the guest says that its kernel ended: why all is dropped; NULL: no */
	u64 ended_us;	    /* when */
	bool put_back;	    /* it goes on: what was dropped is put back */
	u64 put_back_us;    /* not before */
	u64 symbols_due_us; /* the agent is asked for symbols again at this time */
	struct {
		struct shadow_total total;
		struct suture_shadow_id ids[SUTURE_MAX_SHADOW_IDS];
	} variables;
};

static inline u64 engine_now(const struct engine *e)
{
	return e->ops.now_us(e->ops.ctx);
}

/* ---- list.c ---- */

struct patch *engine_find(struct engine *e, const char *name);
/* Nothing of it is in force or under way; its record may be freed. */
bool patch_is_finished(const struct patch *p);
/* Append a record; a finished one of the same name is freed. NULL when out of memory. */
struct patch *engine_add_patch(struct engine *e, const char *name);
void patch_free_bundle(struct patch *p);
/* Put the patch last: the order of enabling is the order of the stack. */
void engine_move_last(struct engine *e, struct patch *p);
/* Is p, another patch, below it in the stack? A replacement replaces older patches only. */
bool patch_is_older(const struct patch *p, const struct patch *than);
/* A finished one has no bundle any more. The end of what a request began is told by ops->ended. */
void patch_set_phase(struct patch *p, enum patch_phase phase);
/* Set error and why. The first of an operation stays, since later errors follow from it. */
void patch_blame(struct patch *p, int error, const char *fmt, ...) __printf_like(3, 4);
/* Why the guest has no such function, for the operator. enum suture_missing, not SUTURE_FOUND. */
int missing_error(u32 missing); /* what Linux returns */
void missing_text(char *text, size_t size, u32 missing, const char *object, const char *name,
		  u32 sympos);
/* The first function of p (o NULL), or of its object, that the guest does not have; or NULL. */
const struct func *patch_missing(const struct patch *p, const struct object *o);
/* Copy text of the guest: terminated, printable. size bytes at most from src. */
void copy_text(char *dst, size_t dst_size, const char *src, size_t src_size);
struct object *patch_object(struct patch *p, const char *name);

/* ---- order.c ---- */

/* Addresses of p's functions have changed. */
void patch_sort_funcs(struct patch *p);
/* p's function that replaces the original at addr, which is not 0; or NULL. */
struct func *patch_func_at(const struct patch *p, u64 addr);
/* Two functions of p with the same original, by address; or NULL. */
const struct func *patch_same_original(const struct patch *p, const struct func **other);
/*
 * Functions of a message in the order of object, name and position, or of old_addr; equal ones in
 * the order of the message. order: room for `count` numbers.
 */
void decl_by_name(u32 *order, const struct suture_decl_func *funcs, u32 count);
void decl_by_addr(u32 *order, const struct suture_decl_func *funcs, u32 count);
/* The position in the order by name of the first of that object, name and position; `count`: none.
 */
u32 decl_find(const u32 *order, const struct suture_decl_func *funcs, u32 count, u32 object,
	      const char *name, u32 sympos);
bool decl_is_same(const struct suture_decl_func *f, const struct suture_decl_func *other);

/* ---- states.c ---- */

struct state *patch_state(struct patch *p, u64 id);
u32 patch_state_index(const struct patch *p, const struct state *st);
/* Of all installed patches, n-th state in stack order, or NULL; *owner is its patch. */
struct state *engine_nth_state(struct engine *e, u32 n, struct patch **owner);
u32 engine_count_states(struct engine *e);
/* Is p on when the transition under way is done? Patches that come back are older than the one that
 * goes. */
bool patch_stays(const struct engine *e, const struct patch *p);
/* The installed patch that owns (introduced, or inherited) it, or NULL; *st (if not NULL) is its
 * state. */
struct patch *state_owner(const struct engine *e, u64 id, struct state **st);
/*
 * A patch with this state is enabled. True: another patch owns the state already; the shadow
 * variables that the new patch may attach are then freed with the owner's.
 */
bool state_join(const struct engine *e, const struct state *st);
/*
 * The next state below *n that leaves with this transition, its pre_unpatch being owed; its
 * post_patch is undone with that. NULL: no more.
 */
struct state *state_leaves(struct engine *e, u32 *n, struct patch **owner);
/* The next state from *n up that stays and is owed its post_patch: new, or back from a reversal. */
struct state *state_arrives(struct engine *e, u32 *n, struct patch **owner);
/* Hand the states of patches that leave to those that stay. No callback runs for these. */
void states_inherit(struct engine *e);
/* p is removed without its callbacks: the newest other patch that has its states gets them. */
void states_pass_on(struct engine *e, struct patch *p);
/* A state that turning p off would remove though it is marked block_disable: its id, or 0. */
u64 engine_blocked_state(struct engine *e, struct patch *p);

/* ---- ended.c ---- */

/* Attempt to put back what was dropped, if that is due. Returns the time of the next attempt. */
u64 engine_put_back(struct engine *e, u64 now);

/* ---- parts.c ---- */

/* Room for so many more parts behind p->nr_parts. -ENOMEM: nothing changed. */
int engine_grow_parts(struct engine *e, struct patch *p, u32 more);
void engine_free_parts(struct engine *e, struct patch *p);
/* Parts were appended: put them to their places. */
void patch_sort_parts(struct patch *p);
/* The first part of the function; its others follow. p->nr_parts: it has none. */
u32 patch_first_part(const struct patch *p, u32 func);
/* The object's module has gone, and with it the parts of its functions. */
void patch_forget_parts(struct patch *p, const struct object *o);

/* ---- clones.c ---- */

/* Keep a declaration's, instead of those that there are. -ENOMEM: there are none then. */
int engine_take_clones(struct engine *e, struct patch *p, const struct suture_decl_clone *clones,
		       u32 count, u32 more);
/* Is the clone well-formed? Clones are only shown. nr_funcs: of the message that has it. */
bool clone_is_sane(const struct suture_decl_clone *c, u32 nr_funcs);
void engine_free_clones(struct engine *e, struct patch *p);
/*
 * Add a clone of function i of p, whose module comes. Clones for which there is no room are only
 * counted: no module is refused for them.
 */
void engine_add_clone(struct engine *e, struct patch *p, u32 i,
		      const struct suture_decl_clone *clone);
/* The clones of a message, which follow its parts. */
static inline const struct suture_decl_clone *module_clones(const struct suture_module *m)
{
	const struct suture_decl_func *funcs = (const void *)(m + 1);
	const struct suture_decl_part *parts = (const void *)(funcs + m->nr_funcs);

	return (const void *)(parts + m->nr_parts);
}
/* The object's module has gone, and with it the clones of its functions. */
void patch_forget_clones(struct patch *p, struct object *o);
/* Keep, and log, which of its functions have no callers: a bit each. */
void patch_take_uncalled(struct patch *p, const u64 uncalled[SUTURE_MAX_FUNCS / 64]);
bool patch_is_uncalled(const struct patch *p, u32 func);
u32 patch_more_clones(const struct patch *p);
/* May old code run beside the new one: has it clones, or uncalled functions? `why`: for people. */
bool patch_is_doubtful(const struct patch *p, char *why, size_t size);

/* ---- stack.c: which code is active, and the switches that change it ---- */

/*
 * Switch one object of a patch on or off now, without checking stacks: its module's text does not
 * run yet, or no longer. 0, -EAGAIN (pause too short, again in a moment), or what switch_try()
 * says.
 */
int engine_switch_object(struct engine *e, struct patch *p, struct object *o, bool on);
/* Switch all of a patch off in the same way: its payload is about to be freed. */
int engine_switch_off(struct engine *e, struct patch *p);
/*
 * Count the redirects of p, or of its object, as off: they were dropped, or SUTURE_HC_DROP_RANGE
 * drops them when their memory is freed. o NULL: all of p.
 */
void patch_forget_redirects(struct patch *p, const struct object *o);
/*
 * The function that is on top of the stack of the original at key: whose code runs. *owner is its
 * patch. NULL, and *owner as it was: there is none.
 */
const struct func *engine_active(const struct engine *e, u64 key, const struct patch **owner);
/* A switch of f's original, from `before` to `after`; NULL: the original itself. */
void engine_fill_switch(struct switch_func *s, const struct func *f, const struct func *before,
			const struct func *after);
/* Ask ops->validate whether every function of p whose object is loaded would take its redirect. */
int engine_validate(struct engine *e, struct patch *p, struct transition_report *r);
/* Switch what the transition under way changes. As switch_try(). */
int engine_switch_transition(struct engine *e, struct transition_report *r);

/* ---- text.c ---- */

/*
 * ops->check_text() for the payload of p, which has declared where its text is. funcs: see struct
 * text_query. 0 for a patch without a bundle.
 */
int patch_compare_text(const struct engine *e, const struct patch *p, const struct text_func *funcs,
		       char *why, size_t why_size);

/* ---- readback.c ---- */

/* The redirects have changed: look at all of them now. */
void engine_look_anew(struct engine *e);
/* Look at the next functions. Returns when to call again. */
u64 engine_look(struct engine *e, u64 now);

/* ---- converge.c ---- */

/* The transition begins, is reversed, or has switched: forget its blockers. */
void converge_reset(struct engine *e);
/* An attempt failed on a blocker. Returns in how many microseconds to try again. */
u64 converge_blocked(struct engine *e, u64 now, const struct blocker *b);
/* An attempt failed without a blocker. Returns the same. */
u64 converge_delay(struct engine *e);
/* Is the agent to be asked for a watch (SUTURE_STEP_WATCH)? */
bool engine_wants_watch(const struct engine *e);
/* Is the agent to send a fake signal? */
bool converge_wants_signal(const struct engine *e);
/* That, or a watch, though the transition's own steps are done. */
static inline bool engine_wants_pump(const struct engine *e)
{
	return engine_wants_watch(e) || converge_wants_signal(e);
}

/* ---- symbols.c ---- */

/* The agent is to name what is on the last blocker's stack: false if there is nothing to ask now.
 */
bool symbols_ask(struct engine *e, struct suture_work *reply);
/* Copy the symbols of the addresses that both blockers have. */
void symbols_keep(struct blocker *now, struct blocker *before);

/* ---- shadow_variables.c ---- */

/* The agent that counted them is gone. */
void engine_forget_shadow(struct engine *e);

/* ---- overrides.c ---- */

/* The agent is gone: forget the overrides of its functions. */
void patch_forget_overrides(struct patch *p);

/* ---- declare.c ---- */

/* True for 0 (no hook), and for an aligned address in the memory of modules. */
bool engine_is_hook(const struct engine *e, u64 hook);

/* ---- module.c ---- */

/* p's object for the module, if this event waits for its pump; else NULL. */
struct object *patch_event_object(struct patch *p, const char *module, enum object_event event);

/* ---- driver.c ---- */

/* Take the slot for a script of p. It must be free. */
void engine_begin(struct engine *e, enum script_kind kind, enum suture_pump pump, struct patch *p);
/* Begin the script of p's todo. False: there is nothing to do. */
bool engine_begin_todo(struct engine *e, struct patch *p);
/* The next step of the script under way; false: call it again. */
bool script_step(struct engine *e, struct suture_step_reply *r);

/* ---- below.c ---- */

/* Run the steps of p, an orphan or one that is alone, without those that only an agent can do. */
void engine_pump_alone(struct engine *e, struct patch *p);
/* It is off: say in `why` what was left out. */
void patch_say_off_alone(struct patch *p);

/* ---- life.c ---- */

/* Check only the bytes that change. A payload that is switched off so stays loaded for ever. */
void engine_force(struct engine *e);

/* ---- rollback.c ---- */

/* The next patch, from p on, that `by` replaced; NULL: none. */
struct patch *next_replaced(struct patch *p, const struct patch *by);
/* The next one, from p on, that comes back with the transition under way. */
struct patch *next_returning(struct patch *p);
/* p is replaced: keep what a rollback needs. */
void patch_replaced(struct patch *p, struct patch *by);
/* The transition that took p off has ended: the patches that came back are applied. */
void patches_returned(struct engine *e, const struct patch *p);
/* Set `enabled` of the patches that come back. */
void patches_enabled(struct engine *e, bool enabled);
/* The patch of that name if a DECLARE with SUTURE_DECL_RESTORE is due for it; or NULL. */
struct patch *engine_awaits(const struct engine *e, const char *name);

/* ---- health.c ---- */

/* An agent without a message for this long is silent. */
#define SILENCE_US  10000000ull
#define SECONDS(us) ((unsigned int)((us) / 1000000))

/* A message of the agent has come. Each function of the agent's side calls it. */
void engine_hear(struct engine *e);
/* Another kernel runs, or none: forget the state of the guest. */
void engine_forget_health(struct engine *e);
/* Look at the CPUs of a silent guest when it is time. Returns when to call again. */
u64 engine_watch(struct engine *e, u64 now);
/* 0, or -ESRCH: there is no agent, or it is silent. */
int engine_check_agent(const struct engine *e, char *why, size_t why_size);

/* ---- operator.c ---- */

/* 0, or -EBUSY: another patch than `me` is being loaded or in transition. */
int engine_check_idle(const struct engine *e, const struct patch *me, char *why, size_t why_size);

/* ---- transition.c ---- */

/* Begin the transition that turns p on or off; the caller has checked that there is none. */
void engine_start_transition(struct engine *e, struct patch *p, bool on);
/* p is off and retired: unload it, or finish its record. */
void engine_after_off(struct engine *e, struct patch *p);
/* Nothing of p is in force and no step of it will follow: forget its declaration. */
void engine_forget(struct engine *e, struct patch *p);
/* Attempt the transition under way if it is due. Returns when to call again. */
u64 engine_attempt(struct engine *e, u64 now);

/* ---- jobs.c ---- */

/* Have the agent load or unload p's payload, not before due_us. */
void engine_ask_for_job(struct engine *e, struct patch *p, u64 due_us);
/* p is off: have its module unloaded. */
void engine_start_unload(struct engine *e, struct patch *p);
/* Fail loads and unloads that take too long. Returns when to call again. */
u64 engine_timeouts(struct engine *e, u64 now);

#endif
