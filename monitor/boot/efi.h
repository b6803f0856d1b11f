/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EFI part: what entry.c acquires, and the helpers that do it. Everything runs on the
 * boot CPU under the firmware, from the visible image.
 *
 * Helpers return 0, or a negative errno after saying why on the console. Each that changes
 * something has its inverse beside it; an inverse may be called whether or not there is anything
 * to undo.
 */
#ifndef BOOT_EFI_H
#define BOOT_EFI_H

#include <efi.h>
#include <efilink.h>

#include "boot/acpi.h"
#include "boot/boot.h"
#include "boot/dt.h"
#include "lib/errno.h"

struct boot {
	EFI_HANDLE image;
	EFI_SYSTEM_TABLE *st;
	EFI_BOOT_SERVICES *bs;
	EFI_LOADED_IMAGE *loaded; /* the visible image */
	struct config config;
	struct boot_info *info; /* in the monitor's memory, behind the copy */

	/* memory.c */
	EFI_PHYSICAL_ADDRESS memory, trampoline;
	void *map; /* room for the memory map in the hook */
	UINTN map_size;

	/* tables.c */
	const struct acpi_rsdp *firmware_rsdp; /* NULL: no ACPI */
	void *firmware_tables[2];	       /* what ours replaced: ACPI 2.0's name, 1.0's name */
	EFI_PHYSICAL_ADDRESS tables;	       /* ours; the RSDP first */
	UINTN tables_pages;
	struct acpi_suture *suture;
	struct dt firmware_dt;	 /* no blob: no device tree */
	EFI_PHYSICAL_ADDRESS dt; /* ours; behind it suture_acpi_body, if there is no ACPI */
	UINTN dt_pages;

	/* nic.c */
	EFI_HANDLE nic; /* its PCI function; NULL: none wanted */
	bool nic_claimed;

	char said[256]; /* console.c: the last line, cut */

	/* hook.c */
	EFI_EXIT_BOOT_SERVICES exit_boot_services; /* the firmware's, while hooked */
};

/* ---- console.c ---- */

/* One line on the firmware's console, "suture: " before it. */
void say(struct boot *b, const char *fmt, ...) __printf_like(2, 3);

/* say(), and return err. */
int fail(struct boot *b, int err, const char *fmt, ...) __printf_like(3, 4);

const char *efi_error(EFI_STATUS status);

/* ---- reason.c: the variable SutureReason ---- */

/* The line that was said last is why the machine goes on without the monitor. */
void reason_keep(struct boot *b);
void reason_forget(struct boot *b);

/* ---- file.c: the volume that suture.efi was loaded from ---- */

/* Read a whole file into memory that the caller frees with FreePool(); a byte is free behind it. */
int file_read(struct boot *b, const char *path, size_t max, void **data, size_t *size);

bool file_exists(struct boot *b, const char *path);

/* Make a file of this, in the place of what is there. */
int file_write(struct boot *b, const char *path, const void *data, size_t size);

/* Write zeros over a file, and remove it. */
int file_wipe(struct boot *b, const char *path);

/*
 * Load and start another EFI program. -ENOENT, -EIO ...: it was not started. 0: it was, and has
 * come back with *status.
 */
int program_run(struct boot *b, const char *path, const char *options, EFI_STATUS *status);

/* ---- memory.c ---- */

/* Allocate the monitor's memory, trampoline and the hook's buffer; b->info is there afterwards. */
int memory_reserve(struct boot *b);
void memory_release(struct boot *b);

/*
 * RAM by the memory map of this moment into b->info. Allocates nothing and is silent, for the hook:
 * -EIO when the map does not fit into its buffer, -E2BIG when it has too many pieces.
 */
int memory_fetch_ram(struct boot *b);

/* ---- image.c ---- */

/* Copy the visible image to the start of the monitor's memory and relocate it there. */
int image_copy(struct boot *b);

/* execute.c: have the firmware map the copy so that it can be executed. */
int image_allow_execution(struct boot *b);

/* Where a function of the visible image is in the copy. */
void *image_in_copy(const struct boot *b, const void *function);
#define IN_COPY(b, function) ((__typeof__(&(function)))image_in_copy(b, (const void *)(function)))

/* ---- tables.c ---- */

/* What ACPI or a device tree says of the machine, and the choice of the service CPU, into b->info.
 */
int tables_read(struct boot *b);

/* Show the guest tables of our own instead of the firmware's. */
int tables_install(struct boot *b);
void tables_restore(struct boot *b);

/*
 * The firmware may have published its ACPI tables anew. (A device tree in our one's place is the
 * loader's, made from ours.) Allocates nothing and is silent.
 */
void tables_assert(struct boot *b);

/* ---- seed.c ---- */

/* Random bytes from the firmware, if it has any, into b->info. */
void seed_fetch(struct boot *b);

/* ---- clock.c ---- */

/* The firmware's clock (UTC) into b->info; nothing if it has none. */
void clock_read(struct boot *b);

/* ---- variable.c: variables that only boot services reach (UEFI 2.10, 8.2) ---- */

#define KEYS_VARIABLE	((CHAR16 *)L"SutureKeys")
#define FLOORS_VARIABLE ((CHAR16 *)L"SutureFloors")

/* *size: of data, then of what it has. */
EFI_STATUS variable_read(struct boot *b, CHAR16 *name, void *data, UINTN *size);
EFI_STATUS variable_store(struct boot *b, CHAR16 *name, void *data, UINTN size);

/* ---- floors.c ---- */

/*
 * The floors of b->info->config become those of all boots, which a variable keeps: for each patch
 * the highest that was ever asked for. Says on the console what cannot be kept.
 */
void floors_fetch(struct boot *b);

/* ---- keys.c ---- */

/*
 * The monitor's keys into b->info: of the variable, which is filled from the ESP if it is not there
 * yet. Without them the monitor starts all the same, and says why it does not listen.
 */
void keys_fetch(struct boot *b);

/*
 * After core_init(), in the copy: the monitor makes its key if it has an authority and none, asks
 * for a certificate by a file on the ESP, and takes the one that it finds there.
 */
void keys_tend(struct boot *b);

/* ---- nic.c ---- */

/* Find the management NIC of the configuration; b->info->nic_*. */
int nic_find(struct boot *b);

/* Take it from the firmware's drivers, and keep them away. */
int nic_claim(struct boot *b);
void nic_release(struct boot *b);

/* ---- hook.c ---- */

/* Have gBS->ExitBootServices call `hook`; the firmware's stays in b->exit_boot_services. */
void hook_install(struct boot *b, EFI_EXIT_BOOT_SERVICES hook);
void hook_remove(struct boot *b);

#endif
