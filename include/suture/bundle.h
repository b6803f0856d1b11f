/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bundle (.sut): what `suture build` writes and the monitor accepts.
 *
 *	struct suture_bundle		fixed header
 *	struct suture_manifest		what the patch is, with its tables and string pool
 *	payload				the kernel module, byte for byte
 *	struct suture_signature		ECDSA P-256 over SHA-256 of everything before it
 *
 * The parts follow one another without gaps, each aligned to 8 bytes with zeros in between. All
 * integers are little-endian, all offsets count from the start of the bundle. A string is an offset
 * into the manifest's string pool; offset 0 is the empty string. The monitor verifies the signature
 * before it reads anything else.
 */
#ifndef SUTURE_BUNDLE_H
#define SUTURE_BUNDLE_H

#include <suture/abi.h>

#define SUTURE_BUNDLE_MAGIC   0x2e74757300555453ull /* "STU\0sut." as a little-endian word */
#define SUTURE_BUNDLE_VERSION 3
#define SUTURE_BUNDLE_MAX     (16u << 20)
#define SUTURE_CVE_LEN	      32u

/* The payload's architecture, as ELF numbers them (e_machine). */
enum suture_machine {
	SUTURE_MACHINE_X86_64 = 62,
	SUTURE_MACHINE_ARM64 = 183,
};

struct suture_bundle {
	su64 magic;
	su32 version;
	su32 total_size; /* of the whole bundle, signature included */
	su32 manifest_offset, manifest_size;
	su32 payload_offset, payload_size;
	su32 signature_offset, signature_size;
	su32 machine;	  /* enum suture_machine */
	su8 reserved[20]; /* zero */
};

#define SUTURE_MANIFEST_REPLACE 1u

struct suture_manifest {
	su32 flags;
	su32 build_id_len;
	su8 build_id[32];	    /* of the kernel that the patch is for */
	char name[SUTURE_NAME_LEN]; /* module name of the payload: [a-z0-9_]+ */
	su32 version;		    /* string: free text; its numbers order the versions */
	su32 description;	    /* string */
	su32 params;		    /* string: module parameters for the load */
	su32 nr_objects, nr_funcs, nr_states, nr_cves, nr_symbols;
	su32 strings_size;
	su32 reserved; /* zero */
	su64 expires;  /* seconds since 1970 (UTC) after which it is refused, 0 for never */
	/* struct suture_manifest_object objects[nr_objects]; objects[0..] own funcs in order */
	/* struct suture_manifest_func funcs[nr_funcs] */
	/* struct suture_manifest_state states[nr_states] */
	/* struct suture_manifest_symbol symbols[nr_symbols], by index */
	/* su32 cves[nr_cves]: strings such as "CVE-2026-1234" */
	/* char strings[strings_size]: begins and ends with a zero byte */
};

struct suture_manifest_object {
	su32 name; /* string: "vmlinux" or a module's name */
	su32 nr_funcs;
};

/*
 * The function to be replaced has no caller, and its address is not taken: the new code may never
 * run.
 */
#define SUTURE_MANIFEST_UNCALLED 1u

/* What is not known at build time. */
#define SUTURE_MANIFEST_UNKNOWN (~0ull)

struct suture_manifest_func {
	su32 name;   /* string */
	su32 sympos; /* as in klp_func */
	su32 size;   /* bytes of the function to be replaced, 0 if not known at build time */
	su32 flags;
	/* Its new code: a section of the payload, and the offset there. */
	su32 new_section, new_offset;
	/* vmlinux: how far behind _stext the function to be replaced is; or UNKNOWN */
	su64 old_offset;
};

/* An undefined symbol of the payload that is one of vmlinux. */
struct suture_manifest_symbol {
	su32 index;    /* in the payload's symbol table */
	su32 reserved; /* zero */
	su64 offset;   /* its address less that of _stext: negative ones wrap */
};

struct suture_manifest_state {
	su64 id;
	su32 version;
	su32 flags; /* bit 0 is_shadow, bit 1 block_disable */
};

enum suture_signature_kind {
	SUTURE_SIG_NONE = 0,	   /* accepted only by a monitor that trusts no key */
	SUTURE_SIG_ECDSA_P256 = 1, /* r and s, 32 bytes each, big-endian */
};

struct suture_signature {
	su32 kind;
	su8 key_id[4]; /* first bytes of SHA-256 of the public key (DER, SubjectPublicKeyInfo) */
	su8 bytes[64];
};

#endif
