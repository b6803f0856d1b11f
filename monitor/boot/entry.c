/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot, from top to bottom: the firmware starts efi_main(), which prepares the monitor and
 * starts the next loader. The loader's ExitBootServices() calls leave_firmware(), which returns as
 * a guest. Until then every failure is undone completely, and the machine boots without the
 * monitor.
 */
#include <efi.h>

#include "arch/boot.h"
#include "arch/start.h"
#include "boot/efi.h"
#include "lib/string.h"

#define CONFIG_PATH "\\EFI\\suture\\suture.conf"
#define CONFIG_MAX  65536

/* The loaders to try when the configuration names none. */
static const char *const known_loaders[] = {
	"\\EFI\\debian\\shim" ARCH_EFI_SUFFIX ".efi",
	"\\EFI\\debian\\grub" ARCH_EFI_SUFFIX ".efi",
	"\\EFI\\systemd\\systemd-boot" ARCH_EFI_SUFFIX ".efi",
};

static struct boot *hooked; /* what the hook works on; set last */

static int read_config(struct boot *b);
static int prepare_takeover(struct boot *b);
static void undo_takeover(struct boot *b);
static EFI_STATUS boot_natively(struct boot *b);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	struct boot b = {.image = image, .st = st, .bs = st->BootServices};
	EFI_STATUS status;
	int err;

	status = b.bs->HandleProtocol(image, &loaded_image, (void **)&b.loaded);
	if (status)
		return status;

	err = read_config(&b);
	if (!err)
		err = prepare_takeover(&b);
	if (!err) {
		err = program_run(&b, b.config.next, b.config.cmdline, &status);
		if (err)
			say(&b, "next=%s: %s", b.config.next, efi_error(status));
	}
	/* there was an error, or the next loader has returned */
	undo_takeover(&b);
	return err ? boot_natively(&b) : status;
}

static int read_config(struct boot *b)
{
	char why[REASON_LEN];
	void *text;
	size_t size;
	int err;

	err = file_read(b, CONFIG_PATH, CONFIG_MAX, &text, &size);
	if (err)
		return err;
	err = config_parse(&b->config, text, size, why, sizeof(why));
	if (err)
		say(b, "%s: %s", CONFIG_PATH, why);
	else if (b->config.debug_port > ARCH_DEBUG_PORT_MAX)
		err = fail(b, -EINVAL, "%s: debug_port=0x%llx: 0 to 0x%llx expected", CONFIG_PATH,
			   b->config.debug_port, (u64)ARCH_DEBUG_PORT_MAX);
	b->bs->FreePool(text);
	return err;
}

static void measure_ticks(struct boot *b);
static int start_core(struct boot *b);
static EFI_STATUS EFIAPI leave_firmware(EFI_HANDLE image, UINTN map_key);

/* First the steps that only read and allocate, then those that change the machine for the next
 * loader. */
static int prepare_takeover(struct boot *b)
{
	int err;

	err = memory_reserve(b);
	if (!err)
		err = image_copy(b);
	if (!err)
		err = tables_read(b);
	if (!err)
		err = nic_find(b);
	if (!err)
		err = start_core(b);

	if (!err)
		err = nic_claim(b);
	if (!err)
		err = tables_install(b);
	if (err)
		return err;

	reason_forget(b);
	hooked = b;
	hook_install(b, leave_firmware);
	say(b, "guest CPUs: %u; the monitor has CPU ID %llu and %llu MiB at 0x%llx",
	    b->info->nr_cpus - 1, b->info->cpu_hwid[b->info->service_cpu],
	    b->info->memory_size >> 20, b->info->memory.v);
	return 0;
}

static void undo_takeover(struct boot *b)
{
	hook_remove(b);
	hooked = NULL;
	tables_restore(b);
	nic_release(b);
	memory_release(b);
}

/* The core's part of the preparations, in the copy. */
static int start_core(struct boot *b)
{
	char why[REASON_LEN] = "";
	int err;

	for (u32 i = 0; i + 1 < sizeof(b->info->firmware) && b->st->FirmwareVendor[i]; i++)
		b->info->firmware[i] = (char)b->st->FirmwareVendor[i];
	measure_ticks(b);
	seed_fetch(b);
	clock_read(b);
	keys_fetch(b);
	floors_fetch(b);
	err = memory_fetch_ram(b); /* not final yet, but too many ranges are detected here */
	if (err)
		return fail(b, err, "the firmware's memory map has too many pieces");

	err = IN_COPY(b, core_init)(b->info, why, sizeof(why));
	if (err)
		return fail(b, err, "%s", why);
	keys_tend(b);
	return 0;
}

/* The firmware may stall for longer than asked, never for less: the shortest of a few counts. */
static void measure_ticks(struct boot *b)
{
	const u32 us = 10000;
	u64 best = UINT64_MAX;

	for (u32 i = 0; i < 5; i++) {
		u64 start = arch_boot_ticks();
		b->bs->Stall(us);
		u64 ticks = arch_boot_ticks() - start;
		best = MIN(best, ticks);
	}
	b->info->ticks_per_us = MAX((best + us / 2) / us, 1ull);
}

/*
 * In the place of ExitBootServices(): called by the next loader, perhaps more than once, because
 * it fails when the memory map has changed since the loader read it. Hence nothing is allocated or
 * printed before it, and after it there is no firmware to call. The visible image and the caller's
 * stack are still there: the core enters the guest as if arch_take_over() had returned 0 to here.
 */
static EFI_STATUS EFIAPI leave_firmware(EFI_HANDLE image, UINTN map_key)
{
	struct boot *b = hooked;
	struct acpi_suture *suture = b->suture;
	bool require = b->config.require;
	EFI_STATUS status;
	int err;

	tables_assert(b);
	err = memory_fetch_ram(b);
	status = b->exit_boot_services(image, map_key);
	if (status)
		return status;

	if (!err)
		err = IN_COPY(b, arch_take_over)(b->info);
	if (err && require)
		arch_boot_stop();
	/* from here on as the guest; after an error natively, and the table says so */
	if (suture)
		acpi_seal(&suture->header);
	return EFI_SUCCESS;
}

static void stop_machine(struct boot *b)
{
	UINTN which;

	say(b, "stopped, for the configuration says require=yes; press a key to go back to the "
	       "firmware");
	b->bs->SetWatchdogTimer(0, 0, 0, NULL);
	b->st->ConIn->Reset(b->st->ConIn, FALSE);
	b->bs->WaitForEvent(1, &b->st->ConIn->WaitForKey, &which);
}

static EFI_STATUS boot_natively(struct boot *b)
{
	EFI_STATUS status;

	reason_keep(b);
	if (b->config.require) {
		stop_machine(b);
		return EFI_ABORTED;
	}
	say(b, "going on without the monitor");
	if (b->config.next[0] && !program_run(b, b->config.next, b->config.cmdline, &status))
		return status;
	for (u32 i = 0; i < ARRAY_SIZE(known_loaders); i++)
		if (!program_run(b, known_loaders[i], "", &status))
			return status;
	say(b, "no loader to start here; back to the firmware");
	return EFI_LOAD_ERROR;
}
