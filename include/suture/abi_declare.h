/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DECLARE: the patch that the payload's klp_patch describes, with the addresses that the agent has
 * resolved. Part of <suture/abi.h>, which includes it.
 */
#ifndef SUTURE_ABI_DECLARE_H
#define SUTURE_ABI_DECLARE_H

#include <suture/abi_message.h>

#define SUTURE_DECL_REPLACE 1u
/*
 * The answer to SUTURE_STEP_RESTORE: the patch was declared before, and its modules may have new
 * addresses.
 */
#define SUTURE_DECL_RESTORE 2u
#define SUTURE_MAX_OBJECTS  64u
#define SUTURE_MAX_FUNCS    4096u
#define SUTURE_MAX_STATES   64u
#define SUTURE_MAX_PARTS    8192u

/* Callbacks that an object or state has: bits of `callbacks`. */
enum suture_callback {
	SUTURE_CB_PRE_PATCH = 0,
	SUTURE_CB_POST_PATCH = 1,
	SUTURE_CB_PRE_UNPATCH = 2,
	SUTURE_CB_POST_UNPATCH = 3,
	SUTURE_CB_SHADOW_DTOR = 4, /* states only: free all shadow variables of the id */
};

/* What the guest's kernel writes to in the code of a function. */
enum suture_site_kind {
	SUTURE_SITE_KEY = 1,   /* static key: a NOP or a jump to `target` */
	SUTURE_SITE_CALL = 2,  /* static call */
	SUTURE_SITE_PROBE = 3, /* kprobe, armed or not */
	/*
	 * Not written to: the start of a compiled function with an ftrace site. The agent reports
	 * it where there is a static call: the padding before it has room for a jump.
	 */
	SUTURE_SITE_ENTRY = 4,
};

/*
 * A place that the guest writes to and whose bytes it compares with what it wrote last. A redirect
 * does not change these bytes. Offsets count from the beginning of the function.
 */
struct suture_decl_site {
	ss32 offset;
	ss32 target; /* KEY: offset of its jump's target, which may be in a split-off part */
	su16 room;   /* KEY: bytes from the target to the end of that function or part, or a larger
			number than is needed; 0: the target is not known */
	su8 len;     /* its length in bytes */
	su8 kind;    /* enum suture_site_kind */
};

#define SUTURE_MAX_SITES 24u

/* The reason why a loaded object has no function of that name and position. */
enum suture_missing {
	SUTURE_FOUND = 0, /* it has */
	SUTURE_NOT_FOUND = 1,
	SUTURE_AMBIGUOUS = 2,	/* position 0, and several functions have the name */
	SUTURE_NO_POSITION = 3, /* fewer functions have the name */
	SUTURE_NO_SIZE = 4,	/* its size cannot be derived from kallsyms */
	SUTURE_IN_INIT = 5,	/* its memory is freed after init */
};

struct suture_decl_func {
	char name[SUTURE_SYM_LEN];
	su32 object;   /* index into the objects */
	su32 sympos;   /* as in klp_func: 0 means that the name must be unique */
	su64 old_addr; /* 0 when the object is not loaded */
	su64 old_size; /* bytes, from kallsyms */
	su64 new_addr;
	su64 new_size;
	su32 ftrace_site; /* its offset in the original, or SUTURE_NONE */
	/*
	 * Sites in the first bytes of the original, which the redirect replaces, and in the bytes
	 * after such keys and at their targets. SUTURE_MAX_SITES + 1: more than fit.
	 */
	su32 nr_sites;
	su32 missing; /* enum suture_missing; if it is not zero, old_addr and old_size are */
	su32 reserved;
	struct suture_decl_site sites[SUTURE_MAX_SITES];
	/*
	 * Not 0: the guest virtual address of a word (su64) in the agent's data, which is 0. While
	 * the guest reads another value there, ftrace diverts callers of the function to that
	 * address, at its ftrace site. The guest does not write to the word's page.
	 */
	su64 hook;
};

_Static_assert(sizeof(struct suture_decl_site) == 12, "struct suture_decl_site");
_Static_assert(sizeof(struct suture_decl_func) % 8 == 0, "struct suture_decl_func");

/*
 * A part that the compiler split off a function (name.cold, name.part.N): a task in it counts as
 * being in the function. The agent lists all parts of that name in the function's object.
 */
struct suture_decl_part {
	su32 func;   /* index into the functions */
	su32 is_new; /* 0: of the original, 1: of the payload's function */
	su64 addr;
	su64 size;
};

/*
 * Code of a function that its redirect does not replace: a clone that the compiler made of it
 * (name.constprop.N, name.isra.N, name.part.N), and that other functions call directly.
 */
#define SUTURE_MAX_CLONES  24u
#define SUTURE_MAX_CALLERS 8u
#define SUTURE_CALLER_LEN  64

struct suture_decl_clone {
	su32 func;	 /* index into the functions */
	su32 nr_callers; /* the number of all callers, at least 1; the first ones are named */
	char name[SUTURE_SYM_LEN];
	char callers[SUTURE_MAX_CALLERS][SUTURE_CALLER_LEN]; /* names, cut off if they are longer */
};

struct suture_decl_object {
	char name[SUTURE_NAME_LEN]; /* "vmlinux" or a module's name */
	su32 callbacks;		    /* bits of enum suture_callback */
	su32 loaded;		    /* 1: its functions are resolved */
	su64 text_start, text_end;  /* of the module when loaded; vmlinux: 0 */
};

struct suture_decl_state {
	su64 id;
	su32 version;
	su32 callbacks;
	su32 is_shadow;
	su32 block_disable;
};

struct suture_declare {
	struct suture_msg msg;
	char name[SUTURE_NAME_LEN]; /* the payload module's name */
	su64 text_start, text_end;  /* payload's text: new addresses must lie in it */
	su32 flags;
	su32 nr_objects, nr_funcs, nr_states;
	su32 nr_parts;
	su32 nr_clones;
	su32 more_clones; /* number of clones that did not fit */
	/* RESTORE: negative if the patch cannot be restored, with the reason in `why`; else 0 */
	ss32 error;
	char why[SUTURE_TEXT_LEN];
	/* struct suture_decl_object objects[nr_objects] */
	/* struct suture_decl_func funcs[nr_funcs] */
	/* struct suture_decl_state states[nr_states] */
	/* struct suture_decl_part parts[nr_parts] */
	/*
	 * struct suture_decl_clone clones[nr_clones]: of objects that are loaded; those of a coming
	 * module are in MODULE
	 */
};

/* The largest declaration fits into a message: the limits above are the only ones. */
_Static_assert(sizeof(struct suture_declare) +
			       SUTURE_MAX_OBJECTS * sizeof(struct suture_decl_object) +
			       SUTURE_MAX_FUNCS * sizeof(struct suture_decl_func) +
			       SUTURE_MAX_STATES * sizeof(struct suture_decl_state) +
			       SUTURE_MAX_PARTS * sizeof(struct suture_decl_part) +
			       SUTURE_MAX_CLONES * sizeof(struct suture_decl_clone) <=
		       SUTURE_LONG_MAX,
	       "SUTURE_LONG_MAX");

#endif
