/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The layout of a payload (.ko), for a program that reads it without debug information.
 *
 * Section SUTURE_PATCH_SECTION is written by the klp_enable_patch() of the agent's
 * <linux/livepatch.h>. Only its relocations have a meaning: each names, as symbol value plus
 * addend, a struct klp_patch that the module enables (the same one perhaps several times). The
 * section's bytes and the type of the relocation do not matter. Without a relocation the patch is
 * not a constant in the source, and cannot be found this way.
 *
 * All further pointers are relocations as well, in the data that holds them. The offsets are those
 * of 64-bit kernels; the agent's build checks them. Arrays end with an entry of zeros: objects
 * where name and funcs are 0, functions where old_name, new_func and old_sympos are, states where
 * the id is.
 */
#ifndef SUTURE_PAYLOAD_H
#define SUTURE_PAYLOAD_H

#define SUTURE_PATCH_SECTION ".suture.patches"

/*
 * Where a branch of the architecture does not reach all of the kernel's memory, the payload has
 * this section, of code, without bytes in the file and with a symbol. Whoever loads the payload
 * gives the section the size that it needs for veneers.
 */
#define SUTURE_VENEER_SECTION ".suture.veneers"

/* struct klp_patch */
#define SUTURE_KLP_PATCH_MOD	 0  /* pointer to the module itself */
#define SUTURE_KLP_PATCH_OBJS	 8  /* pointer to the objects */
#define SUTURE_KLP_PATCH_STATES	 16 /* pointer to the states, or 0 */
#define SUTURE_KLP_PATCH_REPLACE 24 /* one byte, 0 or 1 */

/* struct klp_object */
#define SUTURE_KLP_OBJECT_NAME	    0  /* pointer to the module's name, 0 for vmlinux */
#define SUTURE_KLP_OBJECT_FUNCS	    8  /* pointer to the functions */
#define SUTURE_KLP_OBJECT_CALLBACKS 16 /* four pointers, in the order of enum suture_callback */
#define SUTURE_KLP_OBJECT_SIZE	    64

/* struct klp_func */
#define SUTURE_KLP_FUNC_OLD_NAME   0
#define SUTURE_KLP_FUNC_NEW_FUNC   8
#define SUTURE_KLP_FUNC_OLD_SYMPOS 16 /* 64-bit number */
#define SUTURE_KLP_FUNC_SIZE	   48

/* struct klp_state */
#define SUTURE_KLP_STATE_ID	       0  /* 64-bit number */
#define SUTURE_KLP_STATE_VERSION       8  /* 32-bit number */
#define SUTURE_KLP_STATE_IS_SHADOW     12 /* one byte, 0 or 1 */
#define SUTURE_KLP_STATE_BLOCK_DISABLE 13 /* one byte, 0 or 1 */
#define SUTURE_KLP_STATE_CALLBACKS     24 /* five pointers, in the order of enum suture_callback */
#define SUTURE_KLP_STATE_SIZE	       64

/*
 * An undefined symbol of the payload means a symbol of the running kernel, exported or not. Where
 * the bare name is not enough (several symbols have it), the payload writes
 * SUTURE_SYMBOL_PREFIX OBJECT "." NAME "." POSITION instead: OBJECT is "vmlinux" or a module's
 * name, POSITION counts from 1 in the order of /proc/kallsyms, 0 says that the name is unique in
 * OBJECT.
 */
#define SUTURE_SYMBOL_PREFIX "__suture_sym."

#endif
