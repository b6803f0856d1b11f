/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Patches that the guest wants: it offers their bundles to the monitor when it boots, and tells
 * what has become of each. The monitor trusts none of it: a bundle is verified as an operator's.
 */
#ifndef SUTURE_ABI_OFFER_H
#define SUTURE_ABI_OFFER_H

#include <suture/abi_message.h>

/* Of one guest: patches that it wants, and patches at a time that were offered and have not ended.
 */
#define SUTURE_WANTED_MAX 64u

/*
 * Some bytes of a bundle, in order: a request at offset 0 begins a new one, and discards what has
 * come of another. The last one is answered with what the monitor says to the bundle.
 */
struct suture_offer {
	struct suture_msg msg; /* size counts the bytes that follow */
	su32 total;	       /* of the bundle, at most SUTURE_BUNDLE_MAX */
	su32 offset;	       /* in it, of these bytes */
			       /* su8 bytes[] */
};

enum suture_offer_state {
	SUTURE_OFFER_MORE = 0,	/* bytes are missing */
	SUTURE_OFFER_TAKEN = 1, /* it will be applied: ask by WANTED how that ends */
	SUTURE_OFFER_KNOWN = 2, /* it is applied, or on its way */
};

struct suture_offer_reply {
	/*
	 * status -EPERM: the configuration forbids offers; -EAGAIN, -EBUSY: later; -ENOEXEC: it is
	 * for another kernel; any other: refused. Nothing has changed then.
	 */
	struct suture_msg msg;
	su32 state; /* enum suture_offer_state, if status is 0 */
	su32 reserved;
	char name[SUTURE_NAME_LEN]; /* of the patch, if the bundle could be read; else "" */
	char text[SUTURE_TEXT_LEN]; /* why it was refused, else "" */
};

/* What the guest has of a patch that it wants. */
enum suture_wanted_state {
	SUTURE_WANTED_ASK = 0,	   /* only a question: what is told of it does not change */
	SUTURE_WANTED_OFFERED = 1, /* the monitor knows the rest */
	SUTURE_WANTED_WAITS = 2,   /* it is for another kernel */
	SUTURE_WANTED_LOCKED = 3,  /* a crash followed it: it is not offered by itself */
	SUTURE_WANTED_OFF = 4,	   /* offers are switched off in the guest */
	SUTURE_WANTED_REFUSED = 5, /* by the monitor, or something in the guest is wrong */
	SUTURE_WANTED_GONE = 6,	   /* it is wanted no more */
	SUTURE_WANTED_STATES
};

/* What the monitor has of it. */
enum suture_known_state {
	SUTURE_KNOWN_NOT = 0,	  /* no patch of this name is there, or it was reverted */
	SUTURE_KNOWN_GOING = 1,	  /* on its way: ask again */
	SUTURE_KNOWN_APPLIED = 2, /* applied */
	SUTURE_KNOWN_FAILED = 3,  /* text says why */
};

struct suture_wanted {
	struct suture_msg msg;
	char name[SUTURE_NAME_LEN];
	su32 state; /* enum suture_wanted_state */
	su32 reserved;
	char text[SUTURE_TEXT_LEN]; /* why, for people; may be empty */
};

struct suture_wanted_reply {
	struct suture_msg msg; /* status -ENOSPC: SUTURE_WANTED_MAX are told of already */
	su32 known;	       /* enum suture_known_state */
	su32 reserved;
	char text[SUTURE_TEXT_LEN];
};

#endif
