/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The records that the module `sites` passes to the program `redirects`. */
#ifndef SITES_H
#define SITES_H

#include <suture/abi.h>

/* One function of vmlinux that ftrace has a site in, as the agent would declare it. */
struct site_record {
	su64 func, size;
	su32 ftrace_site;
	su32 nr_sites;
	su32 hook; /* 1: the agent would offer one */
	su32 reserved;
	struct suture_decl_site sites[SUTURE_MAX_SITES];
	char name[64];
};

#define SITES_RECORDS "/proc/sites"	 /* all of them */
#define SITES_TEXT    "/proc/sites_text" /* vmlinux's text, behind its address (su64) */

#endif
