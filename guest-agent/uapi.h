/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the agent and its helper program: /dev/suture, mode 0600, for holders of CAP_SYS_MODULE.
 *
 * The agent starts the helper when it has a job for it. The helper opens the device (one open file
 * at a time; -ENODATA when there is no job), asks for the job, reads the payload's bytes from the
 * file, and reports the result. Closing the file without a report is a failure of the job. A
 * job that the agent has given up gives -ESTALE.
 */
#ifndef SUTURE_AGENT_UAPI_H
#define SUTURE_AGENT_UAPI_H

#include <linux/ioctl.h>
#include <suture/abi.h>

#define SUTURE_DEVICE "/dev/suture"

struct suture_job {
	su32 id;
	su32 kind; /* SUTURE_WORK_LOAD or SUTURE_WORK_UNLOAD */
	su64 size; /* of the payload: read(2) gives so many bytes */
	char name[SUTURE_NAME_LEN];
	char params[SUTURE_TEXT_LEN];
};

/*
 * A symbol to be looked up in the running kernel, and the answer.
 *
 * The modules in which symbols were found (other than exported ones of vmlinux) are held until the
 * helper says in SUTURE_IOC_LATE which of them it needs, or the file is closed: their addresses
 * stay valid until then.
 */
struct suture_symbol {
	char object[SUTURE_NAME_LEN]; /* "vmlinux", a module's name, or "": anywhere. Answer: where
					 it was found, if it was; who exports it, if it is
					 exported */
	char name[SUTURE_SYM_LEN];
	su32 position; /* which one of that name in the object, from 1; 0: it has only one */
	su32 exported; /* answer: 1 if the kernel or a module exports that name */
	su32 count;    /* answer: how many symbols have that name (in the object) */
	su32 flags;    /* answer: SUTURE_SYMBOL_* */
	su64 address;  /* answer: 0 if there is none at that position */
};

#define SUTURE_SYMBOL_INIT	1u /* in memory that is freed when init is over: not to be used */
#define SUTURE_SYMBOL_READ_ONLY 2u /* the kernel has mapped it read-only */

#define SUTURE_MAX_SYMBOLS 16384u

struct suture_resolve {
	su64 symbols; /* address of struct suture_symbol[count] */
	su32 count;
	su32 flags; /* answer: SUTURE_KERNEL_* */
	/*
	 * Names of functions of vmlinux that the payload replaces: the agent looks them up in the
	 * same pass over the kernel's symbols, and keeps what it finds until klp_enable_patch().
	 */
	su64 functions; /* address of char[nr_functions][SUTURE_SYM_LEN] */
	su32 nr_functions;
	su32 reserved;
};

/* The kernel's loader leaves static keys alone that are read-only (6.10 and later). */
#define SUTURE_KERNEL_SEALED_KEYS 1u
/* The kernel's loader refuses modules that say MODULE_INFO(livepatch, "Y"). */
#define SUTURE_KERNEL_NO_LIVEPATCH 2u
/* The kernel's loader rewrites instructions that form the address of a page (arm64). */
#define SUTURE_KERNEL_REWRITES_PAGES 4u

/*
 * Relocations that the helper has taken out of the payload: the agent applies them when the module
 * comes that the symbol belongs to, and takes them back when it goes.
 */
struct suture_late_reloc {
	su64 offset; /* of the place, from the start of its section */
	ss64 addend;
	su32 section; /* index into the sections */
	su32 symbol;  /* index into the symbols */
	su32 type;    /* of the architecture's relocations */
	su32 reserved;
};

/* Any symbol that the payload defines in the section, by which its address is found. */
struct suture_late_section {
	su32 index; /* of that symbol in the payload's symbol table */
	su32 reserved;
	su64 value; /* its st_value in the file */
};

#define SUTURE_MAX_LATE	 65536u /* relocations */
#define SUTURE_MAX_HOLDS 64u

struct suture_late {
	su64 relocs;   /* address of struct suture_late_reloc[nr_relocs] */
	su64 sections; /* struct suture_late_section[nr_sections] */
	su64 symbols;  /* struct suture_symbol[nr_symbols]: object (a module), name, position */
	su64 holds;    /* char[nr_holds][SUTURE_NAME_LEN]: modules to be held as long as the payload
			  is loaded. The others are let go. */
	su32 nr_relocs, nr_sections, nr_symbols, nr_holds;
	su32 nr_symtab; /* entries of the payload's symbol table */
	/*
	 * Which section has the veneers: for branches that do not reach a symbol, its number times
	 * the bytes of one is where in the section its veneer is. nr_sections: there are none.
	 */
	su32 veneers;
};

struct suture_result {
	ss32 result;		    /* zero or negative errno */
	su32 flags;		    /* SUTURE_RESULT_* */
	char text[SUTURE_TEXT_LEN]; /* one line: what failed and why */
};

/* The kernel killed the loading process in the middle: it may hold locks of the loader for ever. */
#define SUTURE_RESULT_KILLED 1u

/* ---- /dev/suture-wanted, mode 0600, for holders of CAP_SYS_MODULE; any number of open files ----
 */

#define SUTURE_WANTED_DEVICE "/dev/suture-wanted"

/* Offer a bundle. EPERM: the module's parameter `patches` is off. */
struct suture_offer_request {
	su64 bytes; /* address of the bundle */
	su32 size;
	/* answers: as in struct suture_offer_reply */
	ss32 result; /* its status */
	su32 state;
	su32 reserved;
	char name[SUTURE_NAME_LEN];
	char text[SUTURE_TEXT_LEN];
};

/* Tell of a patch that is wanted; as struct suture_wanted and its reply. */
struct suture_wanted_request {
	char name[SUTURE_NAME_LEN];
	su32 state;
	su32 known;		    /* answer */
	char text[SUTURE_TEXT_LEN]; /* and answer */
};

#define SUTURE_IOC_OFFER  _IOWR('S', 5, struct suture_offer_request)
#define SUTURE_IOC_WANTED _IOWR('S', 6, struct suture_wanted_request)

#define SUTURE_IOC_JOB	   _IOR('S', 1, struct suture_job)
#define SUTURE_IOC_RESOLVE _IOWR('S', 2, struct suture_resolve)
#define SUTURE_IOC_RESULT  _IOW('S', 3, struct suture_result)
#define SUTURE_IOC_LATE	   _IOW('S', 4, struct suture_late)

#endif
