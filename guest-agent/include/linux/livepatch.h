/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The livepatch API, as a payload sees it: what Linux's header of the same name offers to livepatch
 * modules, backed by Suture. This folder comes first in the include path of a payload, so that
 * livepatch sources build unchanged.
 *
 * A kernel with CONFIG_LIVEPATCH exports klp_*() itself; the names are mapped to the agent's.
 */
#ifndef _LINUX_LIVEPATCH_H_
#define _LINUX_LIVEPATCH_H_

#include <linux/completion.h>
#include <linux/ftrace.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/types.h>

struct klp_object;
struct klp_patch;
struct klp_state;

/* A function to be replaced. An array of them ends with an entry of zeros. */
struct klp_func {
	const char *old_name;
	void *new_func;
	/* Which of several functions of that name, counted from 1; 0: there is only one. */
	unsigned long old_sympos;

	/* private: filled by the agent while the object is loaded */
	void *old_func;
	unsigned long old_size, new_size;
};

/* Run by an object's patching and unpatching; only pre_patch can fail. */
struct klp_callbacks {
	int (*pre_patch)(struct klp_object *obj);
	void (*post_patch)(struct klp_object *obj);
	void (*pre_unpatch)(struct klp_object *obj);
	void (*post_unpatch)(struct klp_object *obj);
	bool post_unpatch_enabled; /* of Linux; not used */
};

/* What is patched: vmlinux (no name) or a module. An array ends with an entry of zeros. */
struct klp_object {
	const char *name;
	struct klp_func *funcs;
	struct klp_callbacks callbacks;

	/* private, but callbacks may read it: the module, NULL for vmlinux or while not loaded */
	struct module *mod;
};

typedef int (*klp_shadow_ctor_t)(void *obj, void *shadow_data, void *ctor_data);
typedef void (*klp_shadow_dtor_t)(void *obj, void *shadow_data);

/*
 * Run when a transition introduces a state or removes it; only pre_patch can fail. shadow_dtor is
 * called for every shadow variable of the state's id after post_unpatch, and may sleep.
 */
struct klp_state_callbacks {
	int (*pre_patch)(struct klp_patch *patch, struct klp_state *state);
	void (*post_patch)(struct klp_patch *patch, struct klp_state *state);
	void (*pre_unpatch)(struct klp_patch *patch, struct klp_state *state);
	void (*post_unpatch)(struct klp_patch *patch, struct klp_state *state);
	klp_shadow_dtor_t shadow_dtor;
};

/* A change of the system that a patch makes. An array ends with an id of 0. */
struct klp_state {
	unsigned long id;
	unsigned int version; /* of the older API: 0 when the state follows the newer one */
	bool is_shadow;	      /* shadow variables of this id live as long as the state */
	bool block_disable;   /* the state cannot be reverted */
	void *data;	      /* of the older API */
	struct klp_state_callbacks callbacks;
};

struct klp_patch {
	struct module *mod;
	struct klp_object *objs;
	struct klp_state *states;
	bool replace; /* all older patches */
};

#define klp_for_each_object_static(patch, obj)                                                     \
	for (obj = (patch)->objs; obj->funcs || obj->name; obj++)

#define klp_for_each_func_static(obj, func)                                                        \
	for (func = (obj)->funcs; func->old_name || func->new_func || func->old_sympos; func++)

/*
 * Enable a patch, from the module_init() of its module. 0: the patch is under way, the switch comes
 * as soon as it is safe after module_init() has returned 0. Otherwise nothing of it is in force,
 * and module_init() must return the error: -EINVAL (the kernel's log says what), -ENODEV (the
 * module goes), what a pre_patch callback returned, or what the monitor said.
 *
 * The address of a patch that is a constant is recorded for `suture build`: see <suture/payload.h>.
 * The instruction there is never executed. It stands for "an address that is a constant or not".
 */
int suture_klp_enable_patch(struct klp_patch *patch);
#if defined(CONFIG_X86_64)
#define __suture_record_patch(patch)                                                               \
	asm volatile(".pushsection .suture.patches, \"a\"\n\t"                                     \
		     "movq %0, %%rax\n\t"                                                          \
		     ".popsection"                                                                 \
		     :                                                                             \
		     : "ri"(patch))
#elif defined(CONFIG_ARM64)
#define __suture_record_patch(patch)                                                               \
	asm volatile(".pushsection .suture.patches, \"a\"\n\t"                                     \
		     ".quad %0\n\t"                                                                \
		     ".popsection"                                                                 \
		     :                                                                             \
		     : "S"(patch))
/* SUTURE_VENEER_SECTION */
asm(".pushsection .suture.veneers, \"ax\", @nobits\n"
    ".balign 16\n"
    "suture_veneers:\n\t"
    ".skip 16\n\t"
    ".popsection");
#endif

static __always_inline int klp_enable_patch(struct klp_patch *patch)
{
	__suture_record_patch(patch);
	return suture_klp_enable_patch(patch);
}

/*
 * Shadow variables: data attached to <obj, id>. Same guarantees as Linux's: new data is zeroed, the
 * constructor and the destructors of klp_shadow_free() and klp_shadow_free_all() run under a
 * spinlock, with interrupts off. klp_shadow_get() needs no lock; the caller sees to it that the
 * variable is not freed meanwhile.
 */
#define klp_shadow_get		suture_klp_shadow_get
#define klp_shadow_alloc	suture_klp_shadow_alloc
#define klp_shadow_get_or_alloc suture_klp_shadow_get_or_alloc
#define klp_shadow_free		suture_klp_shadow_free
#define klp_shadow_free_all	suture_klp_shadow_free_all

void *klp_shadow_get(void *obj, unsigned long id);
void *klp_shadow_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp_flags,
		       klp_shadow_ctor_t ctor, void *ctor_data);
void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp_flags,
			      klp_shadow_ctor_t ctor, void *ctor_data);
void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor);
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor);

#define klp_get_state	   suture_klp_get_state
#define klp_get_prev_state suture_klp_get_prev_state

/* The patch's state of that id, or NULL. */
struct klp_state *klp_get_state(struct klp_patch *patch, unsigned long id);
/*
 * The state of that id that the newest of the patches enabled before this one has, or NULL. Only
 * from callbacks.
 */
struct klp_state *klp_get_prev_state(unsigned long id);

/*
 * A symbol of the kernel that its bare name does not tell from others. SUTURE_SYMBOL(vmlinux,
 * cleanup, 2) after a declaration means the second `cleanup` of vmlinux in the order of
 * /proc/kallsyms; position 0 means that the object has only one.
 */
#define SUTURE_SYMBOL(object, name, position)                                                      \
	__asm__("__suture_sym." #object "." #name "." #position)

#endif
