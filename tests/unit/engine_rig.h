/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated guest for the engine's tests: kernel text, modules, payloads, an agent, and a machine
 * whose redirects are a table. At each step it asserts Linux's rules, of which it has its own
 * implementation: callbacks come in pairs and only for loaded objects, and no redirect has its
 * source or target in freed memory.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/errno.h"
#include "lib/string.h"
#include "patch/engine/engine.h"
#include "patch/floor.h"

#define VMLINUX	     0xffffffff81000000ull
#define VMLINUX_SIZE 0x1000000ull
#define MODULES	     0xffffffffc0000000ull
#define MODULES_SIZE 0x10000000ull
#define MODULE_TEXT  0x10000ull

#define ALL_CALLBACKS	      0xfu
#define RIG_LINES	      512
#define RIG_MODULES	      8
#define RIG_FUNCS	      8
#define RIG_STATES	      4
#define RIG_IDS		      16
#define RIG_REDIRECTS	      64
#define RIG_PAYLOAD	      5000 /* bytes of a payload in a bundle */
#define RIG_TRACE	      64
#define lines(rig, ...)	      rig_expect(rig, (const char *const[]){__VA_ARGS__, NULL})
#define assert_why(rig, text) assert_text((rig)->why, text)

/* The content of a payload's source. */
struct def {
	const char *name;
	bool replace;
	bool parts;   /* every function has a part, in the original and in the payload */
	u32 uncalled; /* bits: functions that the bundle marks as having no callers */
	struct {
		const char *name;
		u32 callbacks;
	} objects[RIG_MODULES];
	struct {
		u32 object;
		const char *name;
	} funcs[RIG_FUNCS];
	struct {
		u64 id;
		u32 version, is_shadow, block_disable;
	} states[RIG_STATES];
};

enum module_state { ABSENT, COMING, LIVE, GOING };

struct rig_module {
	const char *name;
	u32 place; /* of its text; a module may be loaded where another one was */
	enum module_state state;
	s32 error; /* the error of resolving what payloads need of it */
};

struct rig_payload {
	const struct def *def;
	enum module_state state;
	bool known; /* it is in the agent's list, and the agent has a reference to its module */
	s32 pre_patch_ret;
	bool init_fails; /* after klp_enable_patch() */
	bool no_patch;	 /* its init does not call klp_enable_patch() */
	s32 load_error;
	bool pre[RIG_MODULES], post[RIG_MODULES];
};

struct rig {
	struct engine *e;
	u64 now_us;
	char ended[320]; /* the last end that the engine told */
	u8 build_id[20];
	const char *version; /* of bundles; NULL: 1.2 */
	struct floors floors;
	struct rig_module modules[RIG_MODULES];
	u32 clones;		       /* of each function in a coming module */
	u32 more_clones, clones_short; /* in the message; callers that each lacks */
	struct rig_payload payloads[RIG_MODULES];
	struct {
		u64 key, to;
	} redirects[RIG_REDIRECTS];
	/* what overrides functions of patches that are to be restored; NULL: nothing */
	const char *overridden;
	u64 ftrace_hook;  /* the hook that the agent offers for functions of coming modules */
	const char *busy; /* a task sleeps in this function, in any version of it */
	u32 busy_pid;	  /* its pid; 0: 7 */
	bool busy_idle;	  /* it is an idle task */
	u32 signals, signalled_pid;
	u32 idle_leaves; /* how often CPUs were made to leave their idle tasks */
	void (*on_idle_leave)(struct rig *rig);
	void (*on_signal)(struct rig *rig, u32 pid);
	int switch_error, validate_error;
	u32 reason_spaces; /* make the reason of the latter longer */
	bool short_pause;
	/* the agent's watch; without can_watch the engine never asks for one */
	bool can_watch, watching;
	s32 watch_error;
	u32 watches;	 /* how often it was asked for */
	u32 looks_ahead; /* slices of the look before the next pause */
	u32 watch_gaps;	 /* so many looks find that the watch is over */
	u64 lost; /* an address where a CPU fetches something else than the table has; 0: none */
	const char *mismatch; /* the mismatch that a switch reports; NULL: none */
	bool look_busy;	      /* the read-back has no result */
	u32 fetches;	      /* number of read-backs */
	int halted; /* result of the question whether all CPUs but one are halted for ever; or
		       negative errno */
	u32 looks;  /* number of these questions */
	u64 last_budget_us;
	u32 switches;
	struct check_range extra[RIG_FUNCS * 2]; /* of the last attempt */
	u32 nr_extra;
	bool state_pre[RIG_IDS], state_post[RIG_IDS]; /* by id */
	u32 shadows[RIG_IDS];			      /* numbers of shadow variables, by id */
	u32 shadow_dtors;
	struct rig_refusal {
		const char *payload; /* the payload whose pre_patch refuses; NULL: none */
		bool is_state;
		u32 index;
	} refusal;
	bool tracing;
	u32 trace[RIG_TRACE], nr_trace; /* callbacks that ran, as trace_of() packs them */
	void (*hook)(struct rig *rig);	/* between any two steps */
	void (*before_restore)(struct rig *rig, const char *name);
	long allocated;
	u32 fail_alloc; /* the n-th allocation from now on fails */
	char *log[RIG_LINES];
	u32 nr_lines;
	void *(*alloc)(struct rig *rig, size_t size); /* NULL: calloc() and free() */
	void (*free)(struct rig *rig, void *p, size_t size);
	bool quiet;	  /* keep no lines */
	bool stopped;	  /* the agent does not poll */
	bool silent_drop; /* the engine does not learn of a dropped range: the queue is full */
	int unload_error;
	char why[192];
};

/* ---- engine_rig.c: the machine, and functions that read its state ---- */

/*
 * The engine's last line in the monitor's log, debugging lines apart; with room for a longer one.
 */
#define RIG_SAID 4096
extern char rig_said[RIG_SAID];

void rig_start(struct rig *rig);
void rig_start_retry(struct rig *rig, u64 retry_us, u64 retry_max_us);
/* An engine for this rig, with an agent. */
void rig_engine(struct rig *rig, const struct engine_config *config);
void rig_stop(struct rig *rig);
/* For cmocka: *state is a fresh rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A number from the environment, or `normal`. */
u32 rig_setting(const char *name, u32 normal);

void rig_line(struct rig *rig, const char *fmt, ...) __printf_like(2, 3);
void rig_clear(struct rig *rig);
/* Asserts that the kernel log since the last call has these lines; NULL ends the list. */
void rig_expect(struct rig *rig, const char *const *want);

u64 module_text(u32 slot);
u64 payload_text(u32 slot);
/* The module of that name; a new, absent one if there was none. */
struct rig_module *rig_module(struct rig *rig, const char *name);
struct rig_payload *rig_payload(struct rig *rig, const char *name); /* or NULL */
struct rig_payload *rig_add(struct rig *rig, const struct def *def);
/* The address of a symbol, which is the same for every patch. */
u64 symbol(struct rig *rig, const char *object, const char *name);
u32 count_objects(const struct def *d);
u32 count_funcs(const struct def *d);
u32 count_states(const struct def *d);

/*
 * The code that a call of the function executes: the address of a new version, or 0 for the
 * original.
 */
u64 runs(struct rig *rig, const char *object, const char *name);
u32 count_redirects(struct rig *rig);
/* Asserts that no redirect has its source or target in freed memory. */
void check_memory(struct rig *rig);
void *rig_alloc(void *ctx, size_t size);
void rig_free(void *ctx, void *p, size_t size);

struct patch_info info(struct rig *rig, const char *name);
struct suture_patch_state query(struct rig *rig, const char *name);
void assert_phase(struct rig *rig, const char *name, enum patch_phase phase);
void assert_text(const char *have, const char *want);

/* ---- engine_rig_operator.c; rig->why has the reason of a refusal ---- */

/* Two patches: of two functions, with all callbacks, and of the first of these functions only. */
extern const struct def fix, other;
/* Make the bundle that `suture build` would make of d. The caller frees it with rig_free(). */
u8 *make_bundle(struct rig *rig, const struct def *d, size_t *size);
int upload(struct rig *rig, const struct def *d);
/* Upload, and wait until it is applied. */
void apply(struct rig *rig, const struct def *d);
int cancel(struct rig *rig, const char *name);
int revert(struct rig *rig, const char *name);
int rollback(struct rig *rig, const char *name);

/* ---- engine_rig_agent.c: the agent, and the guest's user space ---- */

/* payload: its slot in the rig */
static inline u32 trace_of(u32 payload, bool is_state, u32 index, u32 callback)
{
	return payload << 16 | (u32)is_state << 12 | index << 4 | callback;
}

void give_step(struct rig *rig, enum suture_pump pump, const char *name, const char *module,
	       s32 result, struct suture_step_reply *r);
/* Run the callback of a CALLBACK step. Returns its result. */
s32 run_callback(struct rig *rig, const struct suture_step_reply *r);
int pump(struct rig *rig, enum suture_pump pump, const char *name, const char *module);
struct suture_declare *make_declaration(struct rig *rig, struct rig_payload *p);
int declare(struct rig *rig, struct rig_payload *p);
int tell_module(struct rig *rig, const char *name, enum suture_module_state state, u64 text);
/* SUTURE_HC_DROP_RANGE, and the service loop's engine_dropped(). */
void drop_range(struct rig *rig, u64 start);

int insmod(struct rig *rig, const char *name);
void rmmod(struct rig *rig, const char *name);
/* insmod of a payload: its init calls klp_enable_patch(). */
int insmod_payload(struct rig *rig, const struct def *d);
int rmmod_payload(struct rig *rig, const char *name);
void payload_goes(struct rig *rig, struct rig_payload *p);
/* echo value > /sys/kernel/suture/name/{enabled,force} */
int echo(struct rig *rig, const char *name, u32 what, u32 value);
int disable(struct rig *rig, const char *name);
void fetch_payload(struct rig *rig, const struct suture_work *w);
/* One round of the poll worker. Returns false if there was nothing to do. */
bool poll_once(struct rig *rig);
/* Advance time until no work is left, or by `ms`. */
void settle(struct rig *rig, u32 ms);

#endif
