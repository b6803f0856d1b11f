/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * \EFI\suture\suture.conf: lines of `key=value`; `#` begins a comment line; blank lines are
 * ignored; keys are those of the table in config.c. Pure logic, so that it is tested on the host.
 */
#ifndef BOOT_CONFIG_H
#define BOOT_CONFIG_H

#include "lib/types.h"
#include "patch/floor.h"

struct config {
	char next[256];	    /* next=\vmlinuz.efi : path of the next loader on the same volume */
	char cmdline[2048]; /* cmdline=... : its load options */
	bool nic_by_mac; /* nic=00:04.0 (bus:device.function) or nic=52:54:00:12:34:56, or nic=none
			  */
	bool nic_none;
	u8 nic_mac[6];
	u16 nic_bdf;
	u32 ip, netmask, gateway; /* ip=10.0.2.15/24 ; gateway=10.0.2.2 ; network byte order */
	u16 port;		  /* port=8443 */
	bool insecure;		  /* insecure=yes : plain HTTP without client certificates */
	bool require;		  /* require=yes : stop instead of booting natively */
	bool hide;		/* hide=yes : the guest reads its own code where it is redirected */
	bool guest_patches;	/* guest_patches=yes */
	bool guest_may_disable; /* guest_may_disable=no : the guest's sysfs files only show */
	bool guest_may_apply;	/* guest_may_apply=yes : bundles that the guest offers are taken */
	bool compare_text;	/* compare_text=no : take text that is not the bundle's */
	struct floors
		floors; /* floor=NAME VERSION, several; floors.c adds those of earlier boots */
	u64 memory;	/* memory=64M : for the monitor, 16M to 1G */
	u32 log_level;	/* log_level=error|warn|info|debug */
	u64 debug_port; /* debug_port=0x402 : where a copy of the log goes, 0 none; the architecture
			 * knows what is there (x86: an I/O port) and up to where it may be */
	s64 service_cpu;     /* service_cpu=last (-1) or a CPU's hardware ID (APIC ID, MPIDR) */
	u32 pause_budget_us; /* pause_budget_us=1000 */
	u32 pause_limit_us;  /* pause_limit_us=50000: up to which the budget grows */
};

/*
 * Parse text of len bytes into *c, defaults first. 0, or -EINVAL with `why` naming line, key and
 * what is allowed there. An unknown key is an error, so that a typing mistake is reported.
 * After an error *c has the valid lines all the same: next= and require= say how to go on.
 */
int config_parse(struct config *c, const char *text, size_t len, char *why, size_t why_size);

#endif
