/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ABI between the monitor and the agent in the guest kernel.
 *
 * One hypercall instruction (x86: VMMCALL or VMCALL, arm64: HVC #0), always from the guest's kernel
 * mode. The call number and the arguments are in registers (x86: RAX, RBX, RCX, RDX, RSI; arm64: x0
 * to x4), the result comes back in RAX or x0: zero or positive, or a negative errno. A hypercall
 * from user mode gets -EPERM; an unknown number gets -ENOSYS.
 *
 * Most work goes through a mailbox that the service CPU serves: the agent posts one message
 * (SUTURE_HC_POST), and asks for the answer (SUTURE_HC_REPLY) until it is there. There is one
 * mailbox: the agent serializes its users with a mutex that it holds from post to reply. Replies
 * come in microseconds except while the guest is paused, so the mutex is never held for long.
 *
 * All integers are little-endian. All structures have the same layout on every architecture and
 * carry no implicit padding. Strings are zero-terminated within their array.
 */
#ifndef SUTURE_ABI_H
#define SUTURE_ABI_H

#include <suture/abi_message.h>
#include <suture/abi_declare.h>
#include <suture/abi_offer.h>

/*
 * Changes whenever a structure or the meaning of a call does. On a mismatch both sides log their
 * own version.
 */
#define SUTURE_ABI_VERSION 13

/*
 * The ACPI table by which the agent finds the monitor: a standard ACPI header (signature "SUTR",
 * OEM table id "SUTURE  ") followed by this body. Without the table there is no monitor, and a
 * hypercall instruction raises an undefined-instruction exception.
 */
#define SUTURE_ACPI_SIGNATURE "SUTR"

/*
 * The same in a device tree: the node /firmware/suture with this in its property `compatible`, and
 * the body's physical address, as two cells, in its property `suture,body`.
 */
#define SUTURE_DT_COMPATIBLE "suture,monitor"

enum suture_hypercall_insn {
	SUTURE_INSN_VMMCALL = 1, /* AMD SVM */
	SUTURE_INSN_VMCALL = 2,	 /* Intel VMX */
	SUTURE_INSN_HVC = 3,	 /* arm64 */
};

struct suture_acpi_body {
	su32 abi_version;
	su32 insn; /* enum suture_hypercall_insn; written when the monitor has taken over */
	/*
	 * The interrupt that is the machine's doorbell (SUTURE_HC_BELL_LINE), by its INTID, and
	 * edge-triggered; no device has it. 0: there is none. Written with insn.
	 */
	su32 bell_line;
} __attribute__((packed));

/*
 * Hypercall numbers. The upper half is a tag that tells them from hypercalls meant for another
 * hypervisor.
 */
#define SUTURE_HC_TAG 0x53750000u

enum suture_hypercall {
	/* () -> SUTURE_ABI_VERSION of the monitor. */
	SUTURE_HC_VERSION = SUTURE_HC_TAG | 0,
	/*
	 * (guest physical address, length): copy one message out of guest memory, once, and queue
	 * it for the service CPU. The buffer is physically contiguous, 8-byte aligned, at most
	 * SUTURE_MSG_MAX long, and begins with struct suture_msg. -> 0, -EBUSY when a message is
	 * already queued, -EFAULT, -EMSGSIZE, -EINVAL.
	 */
	SUTURE_HC_POST = SUTURE_HC_TAG | 1,
	/*
	 * (guest physical address, length): fetch the answer to the posted message. -> the number
	 * of bytes written, -EAGAIN while there is none yet, -ENOENT when nothing was posted.
	 */
	SUTURE_HC_REPLY = SUTURE_HC_TAG | 2,
	/* () -> 0: discard the posted message and its answer (the caller has given up). */
	SUTURE_HC_CANCEL = SUTURE_HC_TAG | 3,
	/*
	 * (start, end): the text in guest virtual [start, end) is about to be freed. Runs to its
	 * end on the calling CPU, without the service CPU: every redirect in the range and every
	 * redirect that leads into it is gone when it returns. -> the number of redirects dropped,
	 * or negative errno.
	 */
	SUTURE_HC_DROP_RANGE = SUTURE_HC_TAG | 4,
	/*
	 * () -> as above for all redirects: the kernel ends (reboot, power-off, kexec). No switch
	 * succeeds after it, and the monitor forgets the kernel and its agent.
	 */
	SUTURE_HC_DROP_ALL = SUTURE_HC_TAG | 5,
	/*
	 * (guest physical address, length) -> 0: the kernel panics. The address holds the message,
	 * without a terminating zero, shorter than SUTURE_TEXT_LEN; length 0: there is none. May be
	 * called in any context: it does not wait. The monitor records the panic even if the answer
	 * is -EFAULT or -EMSGSIZE.
	 */
	SUTURE_HC_PANIC = SUTURE_HC_TAG | 6,
	/*
	 * (guest physical address) -> 0, -EINVAL, -EFAULT, -EOPNOTSUPP: the doorbell of the calling
	 * CPU. When the agent waits for work (suture_work.net_ms) and there is some, the monitor
	 * stores 1 in the aligned su32 at that address and interrupts the CPU: x86: by an NMI. The
	 * agent stores 0 when it handles that. The monitor interrupts a CPU whose word it has set
	 * only when the word is 0 again. Address 0: none from now on. When the call returns, none
	 * is on its way to this CPU either. The end of the kernel (DROP_ALL, PANIC) closes all.
	 */
	SUTURE_HC_BELL = SUTURE_HC_TAG | 7,
	/*
	 * (1 or 0) -> 0, -EOPNOTSUPP: may the monitor make the interrupt suture_acpi_body.bell_line
	 * pending, when the agent waits for work and there is some? When the call with 0 returns,
	 * one may still be pending. The end of the kernel closes this doorbell too.
	 */
	SUTURE_HC_BELL_LINE = SUTURE_HC_TAG | 8,
};

/* ---- HELLO: the guest's kernel and the layout of its structures ---- */

/* How the kernel's ORC tables (x86) are to be read. */
enum suture_orc_format {
	SUTURE_ORC_NONE = 0, /* there are none, or they have another layout */
	SUTURE_ORC_6_1 = 1,  /* Linux up to 6.2: type in two bits, `end` */
	SUTURE_ORC_6_4 = 2,  /* from 6.4 on: type in three bits, `signal` */
	SUTURE_ORC_7_0 = 3,  /* from 7.0 on: as 6.4, with other numbers for the registers */
};

/*
 * A function that, for a few instructions, keeps a return address or a task that has left the task
 * list in a place that the monitor does not read. A CPU inside such a function blocks the switch.
 */
struct suture_hiding {
	su64 addr, size;
	char name[32];
};

#define SUTURE_MAX_HIDING 16u

/* Code of the kernel: [start, end). */
struct suture_code {
	su64 start, end;
};

#define SUTURE_MAX_TRAMPOLINES 7u

/*
 * Everything that the monitor must know to read tasks and stacks, from offsetof() in the agent's
 * build and from kallsyms at run time. Addresses are guest virtual unless they say otherwise; an
 * offset that the kernel does not have is SUTURE_NONE.
 */
struct suture_layout {
	su64 text_start, text_end; /* _stext, _etext of vmlinux */
	su64 kernel_pgd;	   /* guest PHYSICAL address of the kernel's own top page table */
	su64 init_task;		   /* struct task_struct */
	su64 per_cpu_offset;	   /* array of unsigned long by Linux CPU number */
	su64 pcpu_current;	   /* per-CPU offset of the pointer to the running task */
	su64 pcpu_idle;		   /* per-CPU offset of the pointer to the CPU's idle task */
	su64 pcpu_irq_stack;	   /* per-CPU offset of the pointer to the IRQ stack, or 0 */
	su64 pcpu_exc_stacks;	   /* per-CPU offset of the pointer to the exception stacks' mapping
				      (lowest address), or 0 */
	su64 pcpu_entry_stack;	   /* per-CPU offset of a pointer into the cpu entry area, or 0 */
	su64 pcpu_irq_scs;	   /* per-CPU offset of the pointer to the IRQ stack's shadow call
				      stack, or 0 */
	su64 modules_start, modules_end; /* where module text may lie */
	su64 orc_ip_start, orc_ip_end;	 /* __start_orc_unwind_ip, __stop_orc_unwind_ip; 0: none */
	su64 orc_start, orc_end;	 /* __start_orc_unwind, __stop_orc_unwind */
	su64 modules_entry; /* a struct list_head in the list of modules: the agent's; or 0 */
	su32 nr_cpu_ids;
	su32 page_levels;	 /* 4 or 5; 3 on arm64 with 39 bits */
	su32 thread_size;	 /* bytes of a task's kernel stack */
	su32 irq_stack_size;	 /* bytes, 0 if there is none */
	su32 exc_stacks_size;	 /* bytes of the whole mapping of one CPU */
	ss32 entry_stack_offset; /* of the entry stack from the target of that pointer; may be
				    negative */
	su32 entry_stack_size;
	su32 task_tasks;	 /* struct list_head: all thread-group leaders */
	su32 task_signal;	 /* struct signal_struct * */
	su32 signal_thread_head; /* struct list_head in signal_struct */
	su32 task_thread_node;	 /* struct list_head on it */
	su32 task_stack;	 /* void *: lowest address of the stack */
	su32 task_sp;		 /* saved stack pointer of a task that does not run */
	su32 task_pc;		 /* saved program counter, or SUTURE_NONE (x86) */
	su32 task_on_cpu;	 /* its lowest byte; since 7.x it has only one */
	su32 task_pid;		 /* pid_t */
	su32 task_comm;		 /* char[16] */
	su32 task_switches; /* unsigned long[2]: how often it was switched out (nvcsw, nivcsw) */
	su32 task_start;    /* u64: its creation time; two tasks at the same address never have the
			       same */
	ss32 irq_stack_offset; /* from the pointer's value, rounded up to 16, to the IRQ stack's
				  lowest address; may be negative */
	su32 orc_format;       /* enum suture_orc_format; of modules' tables too */
	su32 module_list;      /* struct list_head in struct module */
	su32 module_text;      /* void *: text that stays after init */
	su32 module_text_size; /* unsigned int */
	su32 module_orc_ip;    /* pointers to a module's ORC tables */
	su32 module_orc;
	su32 module_nr_orcs; /* unsigned int: entries in each */
	/*
	 * Registers of a task that does not run which its stack does not have (arm64: callee-saved
	 * ones in its thread_struct): task_nr_regs words; 0: all of them are on the stack (x86).
	 */
	su32 task_regs, task_nr_regs;
	/*
	 * Shadow call stacks, which grow upwards (arm64): void * to a task's lowest address, which
	 * may be NULL, and void * that is saved when it stops running.
	 */
	su32 task_scs_base, task_scs_sp;
	su32 scs_size; /* bytes of one, 0: this kernel has none */

	/* Copied instructions of kprobes: struct list_head of the pages, or 0 if there are none. */
	su64 kprobe_slots, optprobe_slots;
	/*
	 * Return addresses that kretprobes replaced, in kernels that keep those of all tasks in one
	 * table (up to 5.13): struct hlist_head[kretprobe_heads], or 0.
	 */
	su64 kretprobe_table;
	su32 kretprobe_heads;
	su32 kretprobe_ret_addr; /* in struct kretprobe_instance, whose first member is the list */
	su32 kretprobe_task;	 /* in it, struct task_struct * */
	su32 nr_hiding;
	struct suture_hiding hiding[SUTURE_MAX_HIDING];

	/*
	 * Run queues: they hold the tasks that have left the task list and still run. pcpu_rq 0:
	 * not known (a kernel without BTF), and the monitor does not read them.
	 */
	su64 pcpu_rq;	   /* per-CPU offset of struct rq */
	su32 rq_cfs_tasks; /* in struct rq, struct list_head: all queued tasks of the fair class */
	su32 rq_rt_queue;  /* in struct rq, struct list_head[rt_prios]: real-time tasks */
	su32 rq_dl_root;   /* in struct rq, struct rb_node *: deadline tasks */
	su32 rt_prios;	   /* lists at rq_rt_queue */
	su32 task_group_node;  /* struct list_head on cfs_tasks */
	su32 task_rt_run_list; /* struct list_head on one of rt_queue's */
	su32 task_dl_node;     /* struct rb_node under dl_root */
	su32 rq_scx_tasks; /* in struct rq, struct list_head: tasks of the extensible class; or NONE
			    */
	su32 task_scx_node; /* struct list_head on it */

	/*
	 * Return addresses that are not on the stack: kretprobes (rethook) and the function-graph
	 * tracer put their own in their place. SUTURE_NONE: this kernel has none of the kind.
	 */
	su32 task_rethooks;	  /* pointer to the first struct llist_node */
	su32 rethook_ret_addr;	  /* from the llist_node to the address */
	su32 task_ret_stack;	  /* pointer to an array of struct ftrace_ret_stack, or NULL */
	su32 task_curr_ret_stack; /* int: index of its newest entry, -1: none */
	su32 ret_stack_entry;	  /* bytes of an entry */
	su32 ret_stack_ret;	  /* in an entry: the address */
	su32 ret_stack_depth;	  /* entries in the array */
	su32 slot_page_insns;	  /* in struct kprobe_insn_page: pointer to the page; its first
				     member is the list */
	su32 rq_lock; /* in struct rq, its spinlock: the first 32 bits are 0 when it is free */

	/*
	 * Frame records (arm64). final_record: bytes from the record that ends each task's chain to
	 * the end of its stack; 0: this is not known, and no chain is taken for complete. entry:
	 * where exceptions come in. trampolines: code that calls others and keeps its return
	 * address elsewhere than in a record.
	 */
	su32 final_record;
	su32 nr_trampolines;
	struct suture_code entry;
	struct suture_code trampolines[SUTURE_MAX_TRAMPOLINES];
};

struct suture_hello {
	struct suture_msg msg;
	su32 abi_version;
	su32 build_id_len;
	su8 build_id[32]; /* GNU build-id of the running vmlinux: the monitor compares it with the
			     notes it reads itself */
	su64 notes_start, notes_end;   /* guest virtual: __start_notes, __stop_notes */
	char release[SUTURE_NAME_LEN]; /* uname -r */
	/*
	 * Guest PHYSICAL address of two su32, aligned to their size; 0: there are none, only
	 * messages show that the agent lives. The thread which polls changes the first every second
	 * at least. The monitor changes the second as often, from a reply with net_ms on until a
	 * doorbell closes: if it does not, the agent asks for work.
	 */
	su64 heartbeat;
	struct suture_layout layout;
};

struct suture_hello_reply {
	struct suture_msg msg; /* status -EPROTO: abi_version is the monitor's */
	su32 abi_version;
	su32 poll_ms_idle;   /* interval of polls while nothing is in progress */
	su32 poll_ms_active; /* and while something is */
	su32 guest_patches;  /* 1: patches that the guest loads by itself are accepted */
};

/* ---- POLL: work for the agent ---- */

enum suture_work_kind {
	SUTURE_WORK_NONE = 0,
	SUTURE_WORK_LOAD = 1,	 /* fetch payload `id` and have it loaded; report LOADED */
	SUTURE_WORK_UNLOAD = 2,	 /* delete_module(name); report LOADED */
	SUTURE_WORK_PUMP = 3,	 /* send STEP for this patch until DONE or WAIT */
	SUTURE_WORK_SYMBOLS = 4, /* send in SYMBOLS the symbols of these addresses */
};

#define SUTURE_SYMBOLS_MAX 24u

struct suture_work {
	struct suture_msg msg;
	su32 kind;
	su32 id;	   /* of the payload or the job; returned in FETCH and LOADED */
	su64 size;	   /* of the payload, bytes */
	su32 active;	   /* 1: poll every poll_ms_active from now on */
	su32 nr_addresses; /* SYMBOLS */
	/*
	 * NONE: not 0: the monitor will ring (SUTURE_HC_BELL) when there is work, and the next poll
	 * is due after this time all the same. 0: it will not.
	 */
	su32 net_ms;
	su32 reserved;
	char name[SUTURE_NAME_LEN];	    /* patch (module) name, '-' written as '_' */
	char params[SUTURE_TEXT_LEN];	    /* module parameters for the load */
	su64 addresses[SUTURE_SYMBOLS_MAX]; /* SYMBOLS: return addresses */
};

#define SUTURE_SYMBOL_TEXT 96 /* "name+0x12/0x34 [module]", cut off if it is longer */

struct suture_symbols {
	struct suture_msg msg;
	su32 count; /* at most SUTURE_SYMBOLS_MAX */
	su32 reserved;
	struct {
		su64 address;
		char text[SUTURE_SYMBOL_TEXT]; /* for people */
	} symbols[SUTURE_SYMBOLS_MAX];
};

struct suture_fetch {
	struct suture_msg msg;
	su32 id;
	su32 length; /* at most SUTURE_MSG_MAX - sizeof(struct suture_fetch_reply) */
	su64 offset;
};

struct suture_fetch_reply {
	struct suture_msg msg; /* size counts the bytes that follow */
	su32 length;
	su32 reserved;
	/* su8 bytes[length] */
};

struct suture_loaded {
	struct suture_msg msg;
	su32 id;
	ss32 result; /* zero or negative errno of init_module or delete_module, or of the helper */
	char text[SUTURE_TEXT_LEN]; /* one line for the operator: what failed and why, may be empty
				     */
};

struct suture_patch_ref {
	struct suture_msg msg;
	char name[SUTURE_NAME_LEN];
};

/* ---- WATCH: who runs while a switch is pending ---- */

/* A task, which its address and the time of its creation identify. */
struct suture_watch_task {
	su64 task; /* guest virtual address of its task_struct; SUTURE_WATCH_DEAD may be added */
	su64 start;
};

/* In an event: the task has stopped for ever. */
#define SUTURE_WATCH_DEAD 1u

#define SUTURE_WATCH_EVENTS 2044u

/*
 * What one CPU has recorded: each of its context switches adds the task that stops and the task
 * that goes on, without idle tasks, and then counts the switch. The record is complete while
 * `switches` grows as the kernel's own counter does.
 */
struct suture_watch_ring {
	su64 counter; /* guest virtual address of the kernel's counter (rq->nr_switches, 64 bits) */
	su64 behind;  /* the counter's value less that of `switches`, when the record began */
	su64 first;   /* the value of `events` at that time */
	su64 switches; /* switches recorded */
	su64 events;   /* events written; event i is event[i % SUTURE_WATCH_EVENTS] */
	su64 reserved[3];
	struct suture_watch_task event[SUTURE_WATCH_EVENTS];
};

/*
 * All tasks that were on the kernel's list at a moment after the record began on every CPU. Both
 * tables stay where they are, and the first one unchanged, until the next SUTURE_STEP_WATCH.
 */
struct suture_watch {
	struct suture_msg msg;
	su64 tasks; /* guest virtual address of struct suture_watch_task[nr_tasks] */
	su64 rings; /* guest virtual address of struct suture_watch_ring[nr_rings] */
	su32 nr_tasks;
	su32 nr_rings; /* nr_cpu_ids of the layout: by Linux CPU number */
};

/* ---- STEP: the engine decides the next step, the agent carries it out ---- */

enum suture_step_kind {
	SUTURE_STEP_DONE = 0,	  /* the operation is complete; `result` is its outcome */
	SUTURE_STEP_CALLBACK = 1, /* run a callback; its return value is the next `result` */
	SUTURE_STEP_WAIT =
		2,	     /* in transition: ask again later; klp_enable_patch() returns 0 here */
	SUTURE_STEP_LOG = 3, /* print `text` to the kernel log, then ask again */
	SUTURE_STEP_RETIRED = 4, /* the patch is off: its module reference may be dropped, its sysfs
				    folder removed; then ask again */
	SUTURE_STEP_SIGNAL = 5,	 /* send the fake signal to task `pid`, then ask again */
	/*
	 * The patch that these steps are for had replaced the patch `name`, which is now restored:
	 * take a reference to its module and DECLARE it with SUTURE_DECL_RESTORE. The next `result`
	 * is zero, or negative errno with no reference held (-ENODEV: its module is gone).
	 */
	SUTURE_STEP_RESTORE = 6,
	/*
	 * Make every online CPU run something other than its idle task, before the next STEP and
	 * for the length of an attempt to switch; then ask again.
	 */
	SUTURE_STEP_LEAVE_IDLE = 7,
	/*
	 * From now until the patch's next DONE, record who runs; send WATCH, then ask again. The
	 * next `result` is zero, or negative errno: this kernel cannot.
	 */
	SUTURE_STEP_WATCH = 8,
};

/* The context in which the agent sends STEP; it decides which steps the answer may name. */
enum suture_pump {
	SUTURE_PUMP_INIT = 0,  /* klp_enable_patch() in the payload's init: until WAIT or DONE */
	SUTURE_PUMP_SYSFS = 1, /* a write to `enabled`: until WAIT or DONE */
	SUTURE_PUMP_MODULE =
		2, /* the module notifier: object callbacks of a coming or going module */
	SUTURE_PUMP_WORK = 3, /* the poll worker: after the switch, and operators' requests */
};

struct suture_step {
	struct suture_msg msg;
	char name[SUTURE_NAME_LEN];   /* patch */
	char module[SUTURE_NAME_LEN]; /* SUTURE_PUMP_MODULE: the module that comes or goes */
	su32 pump;		      /* enum suture_pump */
	ss32 result;		      /* of the last CALLBACK, else 0 */
};

struct suture_step_reply {
	struct suture_msg msg;
	su32 kind;     /* enum suture_step_kind */
	ss32 result;   /* DONE */
	su32 is_state; /* CALLBACK: 1 `index` counts states, 0 objects */
	su32 index;
	su32 callback;		    /* enum suture_callback */
	su32 wait_ms;		    /* WAIT */
	su32 pid;		    /* SIGNAL */
	su32 level;		    /* LOG: 0 notice, 1 warning, 2 error, 3 debug */
	char name[SUTURE_NAME_LEN]; /* the patch whose callback is meant */
	char text[SUTURE_TEXT_LEN];
};

/* ---- SET: a write to /sys/kernel/suture/<patch>/ ---- */

enum suture_set_what {
	SUTURE_SET_ENABLED = 0,
	SUTURE_SET_FORCE = 1,
};

struct suture_set {
	struct suture_msg msg;
	char name[SUTURE_NAME_LEN];
	su32 what;
	su32 value;
	char comm[16]; /* the task that wrote it, for the operator */
	su32 pid;
	su32 reserved;
};

struct suture_patch_state {
	struct suture_msg msg;
	su32 enabled;
	su32 transition;
	su32 forced;
	su32 stack_order; /* from 1, the oldest; 0: the patch is off */
	su64 patched;	  /* bit n: object n of the declaration is, or is being, patched */
};

/* ---- MODULE: notifier ---- */

enum suture_module_state {
	SUTURE_MODULE_COMING = 0, /* before its init; a negative final DONE refuses the load */
	SUTURE_MODULE_LIVE = 1,	  /* of payloads: the switch may be tried from now on */
	SUTURE_MODULE_GOING = 2,
};

struct suture_module {
	struct suture_msg msg;
	char name[SUTURE_NAME_LEN];
	su32 state;
	su32 nr_funcs; /* COMING: functions that declared patches name in this module */
	su64 text_start, text_end;
	su32 nr_parts;
	ss32 error; /* COMING: negative if the agent could not resolve what patches need of it, else
		       0 */
	/* the reason, for people */
	char why[SUTURE_TEXT_LEN];
	su32 nr_clones;
	su32 more_clones; /* number of clones that did not fit */

	/*
	 * struct suture_decl_func funcs[nr_funcs]: name, sympos, old_addr, old_size, ftrace_site,
	 * sites, missing and hook; the rest is zero. The engine matches them by name and sympos,
	 * for every patch that has this object.
	 *
	 * struct suture_decl_part parts[nr_parts], struct suture_decl_clone clones[nr_clones]:
	 * COMING, of these functions.
	 */
};

/* ---- SHADOW: numbers of shadow variables, sent when they have changed ---- */

#define SUTURE_MAX_SHADOW_IDS 1024u

struct suture_shadow_id {
	su64 id, count, bytes; /* bytes: the sizes that were requested */
};

struct suture_shadow {
	struct suture_msg msg;
	su32 nr_ids;
	su32 reserved;
	su64 more_count, more_bytes; /* totals of the ids that did not fit */

	/* struct suture_shadow_id ids[nr_ids], by id */
};

/*
 * ---- OVERRIDDEN: all declared functions whose callers something else in the guest diverts, or
 * which it lets them skip; sent when the list has changed ----
 */

#define SUTURE_MAX_OVERRIDDEN 16384u
#define SUTURE_WHO_LEN	      128

struct suture_override {
	su64 func;		  /* its address */
	char who[SUTURE_WHO_LEN]; /* what diverts the callers, and where the guest shows that; for
				     people; not empty */
};

struct suture_overridden {
	struct suture_msg msg;
	/* entries that follow, and those for which there was no room */
	su32 count, more;
	/* struct suture_override list[count], by func, each once */
};

_Static_assert(sizeof(struct suture_overridden) +
			       SUTURE_MAX_OVERRIDDEN * sizeof(struct suture_override) <=
		       SUTURE_LONG_MAX,
	       "SUTURE_LONG_MAX");

#endif
