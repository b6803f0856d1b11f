/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What all messages of <suture/abi.h> have in common: integers, lengths, types and the header. */
#ifndef SUTURE_ABI_MESSAGE_H
#define SUTURE_ABI_MESSAGE_H

#ifdef __KERNEL__
#include <linux/types.h>
typedef __u8 su8;
typedef __u16 su16;
typedef __u32 su32;
typedef __u64 su64;
typedef __s32 ss32;
typedef __s64 ss64;
#else
#include <stdint.h>
typedef uint8_t su8;
typedef uint16_t su16;
typedef uint32_t su32;
typedef unsigned long long su64;
typedef int32_t ss32;
typedef long long ss64;
#endif

/* An index, offset or count that there is not. */
#define SUTURE_NONE 0xffffffffu

#define SUTURE_MSG_MAX	65536u	 /* bytes that the mailbox takes at a time */
#define SUTURE_LONG_MAX 4194304u /* of a request that is sent in parts */
#define SUTURE_NAME_LEN 56	 /* patch and module names: MODULE_NAME_LEN of the kernel */
#define SUTURE_SYM_LEN	128	 /* function names */
#define SUTURE_TEXT_LEN 256	 /* one line of text for the kernel log */

/* Message types, agent to monitor. The reply has the same type. */
enum suture_msg_type {
	SUTURE_MSG_HELLO = 1,	/* struct suture_hello -> struct suture_hello_reply */
	SUTURE_MSG_BYE = 2,	/* header only: the agent goes away -> header; status -EBUSY while
				   patches are on */
	SUTURE_MSG_POLL = 3,	/* header only -> struct suture_work: what the operator wants */
	SUTURE_MSG_FETCH = 4,	/* struct suture_fetch -> struct suture_fetch_reply and bytes */
	SUTURE_MSG_LOADED = 5,	/* struct suture_loaded: how a load or unload ended -> header */
	SUTURE_MSG_DECLARE = 6, /* struct suture_declare ... -> header; status of the declaration */
	SUTURE_MSG_STEP = 7,	/* struct suture_step -> struct suture_step_reply */
	SUTURE_MSG_SET = 8,	/* struct suture_set: sysfs write -> header; status */
	SUTURE_MSG_MODULE =
		9, /* struct suture_module: a module's state changed -> header; status */
	SUTURE_MSG_WITHDRAW = 10, /* struct suture_patch_ref: undo DECLARE -> header */
	SUTURE_MSG_QUERY = 11,	  /* struct suture_patch_ref -> struct suture_patch_state */
	SUTURE_MSG_SHADOW = 12,	  /* struct suture_shadow: shadow variables, counted -> header */
	SUTURE_MSG_SYMBOLS = 13,  /* struct suture_symbols: what SUTURE_WORK_SYMBOLS asked -> header
				   */
	SUTURE_MSG_OVERRIDDEN = 14, /* struct suture_overridden: patched functions whose callers
				       something else in the guest diverts -> header */
	SUTURE_MSG_WATCH = 15,	/* struct suture_watch: SUTURE_STEP_WATCH is carried out -> header
				 */
	SUTURE_MSG_PART = 16,	/* struct suture_part and bytes -> header; with the last part the
				   answer to the whole */
	SUTURE_MSG_OFFER = 17,	/* struct suture_offer and bytes -> struct suture_offer_reply */
	SUTURE_MSG_WANTED = 18, /* struct suture_wanted -> struct suture_wanted_reply */
};

struct suture_msg {
	su32 type;   /* enum suture_msg_type */
	su32 size;   /* of the whole message, this header included */
	ss32 status; /* in replies: zero or negative errno */
	su32 seq;    /* chosen by the agent, returned in the reply */
};

/*
 * A request that is longer than SUTURE_MSG_MAX is sent in parts: its bytes, from its own struct
 * suture_msg on, in order. Any other message, or a part at offset 0, discards what has come of an
 * earlier one.
 */
struct suture_part {
	struct suture_msg msg; /* size counts the bytes that follow */
	su32 total;	       /* of the whole: more than SUTURE_MSG_MAX, at most SUTURE_LONG_MAX */
	su32 offset;	       /* in it, of these bytes */
			       /* su8 bytes[] */
};

#endif
