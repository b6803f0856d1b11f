/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: jumps in the guest's code. */
#ifndef ARCH_REDIRECT_H
#define ARCH_REDIRECT_H

#include "lib/types.h"

struct redirect;
struct suture_decl_site;

#define REDIRECT_MAX 32 /* longest jump sequence with its padding, bytes */

/* What a redirect is to be made of. */
struct redirect_request {
	u64 func, size; /* the original: where it begins, its bytes */
	u32 site;	/* offset of its ftrace site, or SUTURE_NONE */
	u64 to;
	const struct suture_decl_site *sites; /* places that the guest itself writes to */
	u32 nr_sites;
	/*
	 * The end of the text that func is in, as a linker has aligned it: zeros in front of it are
	 * padding, which nobody executes. 0: there is none that is known.
	 */
	u64 text_end;
	/* Read the guest's own code, without redirects that are in force: 0 or negative errno. */
	int (*read)(u64 at, u8 *buf, size_t len);
	/* True if no other redirect has a piece in [start, end). arg is its own. */
	bool (*is_free)(u64 start, u64 end, void *arg);
	void *arg;
};

/* What keeps a redirect from being laid out. */
struct redirect_obstacle {
	u64 at;
	u32 kind; /* enum suture_site_kind, or 0: bytes of the guest's code */
};

#define REDIRECT_PIECES 24u /* the most pieces of one redirect */

/*
 * Lay out the redirect of a function. A caller of the function arrives at `to` with all that a
 * callee may rely on by the calling convention unchanged. Places that the guest itself writes to
 * are left unchanged. The redirect begins after the landing pad and the ftrace site. No task may be
 * in the function: the instructions before a static key are replaced by NOPs.
 *
 * Every piece ends where an instruction of the original does, padded with NOPs: a guest that
 * decodes the function (as kprobes do) finds the original instruction boundaries.
 *
 * Returns the number of pieces (REDIRECT_PIECES at most), in which from, len, lead, bytes and old
 * are filled in. Otherwise, with *o:
 * -EILSEQ	the bytes are not what a function can begin with, or not those of the ftrace site or
 *		of the sites that the request names
 * -ENOSPC	the function, or its part behind a key, is too short
 * -EBUSY	a breakpoint or probe of the guest's is where a piece would be
 * -EOPNOTSUPP	a static call, or a key whose target is of no use, is where a piece would be
 * -E2BIG	more pieces are needed than REDIRECT_PIECES
 * -ERANGE	no jump reaches
 * -EFAULT	its code cannot be read
 *
 * Service CPU; takes no lock, allocates nothing. x86: JMP (APM vol. 3), landing pads and static
 * keys as Linux makes them; arm64: B, and ADRP, ADD and BR or RET (Arm ARM DDI 0487).
 */
int arch_redirect_plan(const struct redirect_request *q, struct redirect *pieces,
		       struct redirect_obstacle *o);

/*
 * The target of the jump at guest virtual address `at`, whose bytes are the first len bytes of
 * code; 0 if there is none. For finding what the guest's own patching has written there. Any CPU;
 * takes no lock.
 */
u64 arch_redirect_jump(const u8 *code, size_t len, u64 at);

/*
 * True if the code of this ftrace site calls a tracer: a call, a jump, or the bytes during a change
 * by the kernel; false for the NOP without a tracer. Any CPU; takes no lock. x86: all five bytes
 * are the site's; arm64: the first four.
 */
#define ARCH_SITE_LEN 5u
bool arch_site_is_on(const u8 code[ARCH_SITE_LEN]);

/*
 * Is the byte at code[at] part of a breakpoint of the kind that kernels put over an instruction?
 * There are len bytes of code, where an instruction begins. Any CPU; takes no lock. x86: INT3 (APM
 * vol. 3); arm64: the four bytes of a BRK (Arm ARM DDI 0487).
 */
bool arch_is_breakpoint(const u8 *code, size_t len, size_t at);

/*
 * The guest changes its code in units of so many bytes, aligned: a power of two. What it writes
 * stands or falls with the whole unit. Pieces consist of whole units. Any CPU; takes no lock. x86:
 * 1; arm64: an instruction.
 */
u32 arch_patch_unit(void);

#endif
