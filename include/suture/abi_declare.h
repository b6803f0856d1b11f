/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DECLARE: the patch as the payload's klp_patch says and the agent resolved it. Part of
 * <suture/abi.h>, which includes it.
 */
#ifndef SUTURE_ABI_DECLARE_H
#define SUTURE_ABI_DECLARE_H

#include <suture/abi_message.h>

#define SUTURE_DECL_REPLACE 1u
/* The answer to SUTURE_STEP_RESTORE: the patch was declared before, its modules may have moved. */
#define SUTURE_DECL_RESTORE 2u
#define SUTURE_MAX_OBJECTS  64u
#define SUTURE_MAX_FUNCS    512u
#define SUTURE_MAX_STATES   64u
#define SUTURE_MAX_PARTS    512u

/* Callbacks that an object or state has: bits of `callbacks`. */
enum suture_callback {
	SUTURE_CB_PRE_PATCH = 0,
	SUTURE_CB_POST_PATCH = 1,
	SUTURE_CB_PRE_UNPATCH = 2,
	SUTURE_CB_POST_UNPATCH = 3,
	SUTURE_CB_SHADOW_DTOR = 4, /* states only: free all shadow variables of the id */
};

/* Who else writes to the code of a function. */
enum suture_site_kind {
	SUTURE_SITE_KEY = 1,   /* static key: a NOP or a jump to `target` */
	SUTURE_SITE_CALL = 2,  /* static call */
	SUTURE_SITE_PROBE = 3, /* kprobe, armed or not */
	/*
	 * Nobody writes here: a function that the compiler made begins, with an ftrace site. Given
	 * where a static call is: the padding before it may be the place for a jump.
	 */
	SUTURE_SITE_ENTRY = 4,
};

/*
 * A place that the guest writes to, and looks whether what it reads there is what it wrote: its
 * bytes stay its own. Offsets count from the beginning of the function.
 */
struct suture_decl_site {
	ss32 offset;
	ss32 target; /* KEY: offset of where its jump leads; maybe in a split-off part */
	su16 room;   /* KEY: bytes from there to the end of that function or part, or more than can
			matter; 0: the target is not known */
	su8 len;     /* bytes of it */
	su8 kind;    /* enum suture_site_kind */
};

#define SUTURE_MAX_SITES 24u

/* Why an object that is loaded has no function of that name and position. */
enum suture_missing {
	SUTURE_FOUND = 0, /* it has */
	SUTURE_NOT_FOUND = 1,
	SUTURE_AMBIGUOUS = 2,	/* position 0, and several have the name */
	SUTURE_NO_POSITION = 3, /* fewer have the name */
	SUTURE_NO_SIZE = 4,	/* kallsyms does not tell how long it is */
	SUTURE_IN_INIT = 5,	/* its memory is freed when init is over */
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
	 * Sites in the first bytes of the original, where its redirect goes, and in those behind
	 * and at the targets of such keys. SUTURE_MAX_SITES + 1: there are more than fit.
	 */
	su32 nr_sites;
	su32 missing; /* enum suture_missing; if it is not zero, old_addr and old_size are */
	su32 reserved;
	struct suture_decl_site sites[SUTURE_MAX_SITES];
	/*
	 * Not 0: the address of a word (su64) in the agent's data that is 0. While it reads as
	 * something else, ftrace leads whoever enters the function there, from its site on. The
	 * page that it lies on is not written to.
	 */
	su64 hook;
};

_Static_assert(sizeof(struct suture_decl_site) == 12, "struct suture_decl_site");
_Static_assert(sizeof(struct suture_decl_func) % 8 == 0, "struct suture_decl_func");

/*
 * A piece that the compiler split off a function (name.cold, name.part.N): whoever is in it is in
 * the function. The agent gives all of that name in the function's object.
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
	su32 nr_callers; /* all there are, at least 1; the first ones are named */
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
	su32 more_clones; /* there are so many more than are given */
	/* RESTORE: negative if the patch cannot come back, and why, in words; else 0 */
	ss32 error;
	char why[SUTURE_TEXT_LEN];
	/* struct suture_decl_object objects[nr_objects] */
	/* struct suture_decl_func funcs[nr_funcs] */
	/* struct suture_decl_state states[nr_states] */
	/* struct suture_decl_part parts[nr_parts] */
	/* struct suture_decl_clone clones[nr_clones]: of objects that are loaded; MODULE has those
	 * of objects that come */
};

/* The largest declaration fits into a message: a patch is within the limits above, or it is not. */
_Static_assert(sizeof(struct suture_declare) +
			       SUTURE_MAX_OBJECTS * sizeof(struct suture_decl_object) +
			       SUTURE_MAX_FUNCS * sizeof(struct suture_decl_func) +
			       SUTURE_MAX_STATES * sizeof(struct suture_decl_state) +
			       SUTURE_MAX_PARTS * sizeof(struct suture_decl_part) +
			       SUTURE_MAX_CLONES * sizeof(struct suture_decl_clone) <=
		       SUTURE_MSG_MAX,
	       "SUTURE_MSG_MAX");

#endif
