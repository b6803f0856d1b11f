/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How `suture build` finds the patch in a payload (an ELF relocatable, 64-bit, little-endian)
 * without debug information: klp_enable_patch(&patch) of the agent's linux/livepatch.h leaves one
 * struct suture_payload_note in section SUTURE_PAYLOAD_SECTION, whose `patch` is relocated against
 * the struct klp_patch. From there the tables are followed through the relocations of the data
 * sections. The offsets are those of the agent's linux/livepatch.h, which asserts them; the array
 * strides are in the note, so that private fields may grow.
 */
#ifndef SUTURE_PAYLOAD_H
#define SUTURE_PAYLOAD_H

#include <suture/abi.h>

#define SUTURE_PAYLOAD_SECTION ".suture.patches"

struct suture_payload_note {
	su64 patch; /* address of struct klp_patch */
	su32 object_size, func_size, state_size; /* sizeof(struct klp_object) and so on */
	su32 abi_version;			 /* SUTURE_ABI_VERSION of the header */
};

/* struct klp_patch: pointers but for `replace` (bool). `states` may be NULL; ends at an id of 0. */
#define SUTURE_PATCH_OBJS    8
#define SUTURE_PATCH_STATES  16
#define SUTURE_PATCH_REPLACE 24

/* struct klp_object: a NULL name is vmlinux; the array ends at NULL name and NULL funcs. */
#define SUTURE_OBJECT_NAME  0
#define SUTURE_OBJECT_FUNCS 8

/* struct klp_func: the array ends where all three are zero. */
#define SUTURE_FUNC_OLD_NAME 0
#define SUTURE_FUNC_NEW	     8
#define SUTURE_FUNC_SYMPOS   16

/* struct klp_state: id (unsigned long), version (unsigned int), then two bools. */
#define SUTURE_STATE_ID		   0
#define SUTURE_STATE_VERSION	   8
#define SUTURE_STATE_IS_SHADOW	   12
#define SUTURE_STATE_BLOCK_DISABLE 13

#endif
