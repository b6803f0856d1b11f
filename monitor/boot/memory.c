/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "arch/boot.h"
#include "boot/efi.h"
#include "lib/string.h"

#define ALIGNMENT (2ull << 20)

/* Bytes of the image's copy, and of boot_info behind it. */
static u64 copy_size(const struct boot *b)
{
	return ALIGN_UP(b->loaded->ImageSize, PAGE_SIZE);
}

static EFI_STATUS allocate_below(struct boot *b, u64 limit, u64 size, EFI_PHYSICAL_ADDRESS *base)
{
	EFI_STATUS status;

	*base = limit;
	status = b->bs->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType, size / PAGE_SIZE,
				      base);
	if (status)
		*base = 0;
	return status;
}

/* Pages have no alignment of their own: allocate too many and give both ends back. */
static EFI_STATUS allocate_aligned(struct boot *b, u64 size, EFI_PHYSICAL_ADDRESS *base)
{
	EFI_PHYSICAL_ADDRESS first;
	EFI_STATUS status = allocate_below(b, ARCH_MEMORY_LIMIT - 1, size + ALIGNMENT, &first);

	if (status)
		return status;
	*base = ALIGN_UP(first, ALIGNMENT);
	u64 head = *base - first, tail = ALIGNMENT - head;
	if (head)
		b->bs->FreePages(first, head / PAGE_SIZE);
	b->bs->FreePages(*base + size, tail / PAGE_SIZE);
	return EFI_SUCCESS;
}

/* Memory that the OS may use, or that has tables or firmware. */
static bool is_ram(const EFI_MEMORY_DESCRIPTOR *d)
{
	switch (d->Type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
	case EfiConventionalMemory:
	case EfiACPIReclaimMemory:
	case EfiACPIMemoryNVS:
	case 14: /* EfiPersistentMemory, which gnu-efi does not know */
		return true;
	}
	return false;
}

/* -EINVAL: the debug port would be written to memory. */
static int check_debug_port(struct boot *b)
{
	u64 port = b->config.debug_port;
	UINTN size = b->map_size, key, stride;
	UINT32 version;

	if (port <= ARCH_LAST_IO_PORT ||
	    b->bs->GetMemoryMap(&size, b->map, &key, &stride, &version))
		return 0;
	for (UINTN at = 0; at + sizeof(EFI_MEMORY_DESCRIPTOR) <= size; at += stride) {
		const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)b->map + at);

		if (is_ram(d) && port >= d->PhysicalStart &&
		    port - d->PhysicalStart < d->NumberOfPages * PAGE_SIZE)
			return fail(b, -EINVAL,
				    "debug_port=0x%llx is in the machine's memory: give a UART's "
				    "address, or 0 for none",
				    port);
	}
	return 0;
}

int memory_reserve(struct boot *b)
{
	u64 image_size = copy_size(b) + ALIGN_UP(sizeof(struct boot_info), PAGE_SIZE);
	EFI_MEMORY_DESCRIPTOR any;
	UINTN key, stride;
	UINT32 version;
	EFI_STATUS status;

	status = allocate_aligned(b, b->config.memory, &b->memory);
	if (status) {
		b->memory = 0;
		return fail(b, -ENOMEM,
			    "no %llu MiB of memory below %llu GiB for the monitor (memory=)",
			    b->config.memory >> 20, (u64)ARCH_MEMORY_LIMIT >> 30);
	}
	if (ARCH_TRAMPOLINE_LIMIT) {
		status = allocate_below(b, ARCH_TRAMPOLINE_LIMIT - 1, PAGE_SIZE, &b->trampoline);
		if (status)
			return fail(b, -ENOMEM, "no free page below 1 MiB to start CPUs from");
	}

	/* allocations before the hook make the map grow: leave room for them */
	b->map_size = sizeof(any);
	b->bs->GetMemoryMap(&b->map_size, &any, &key, &stride, &version);
	b->map_size = b->map_size * 4 + 65536;
	status = b->bs->AllocatePool(EfiLoaderData, b->map_size, &b->map);
	if (status) {
		b->map = NULL;
		return fail(b, -ENOMEM, "no memory for the memory map");
	}

	b->info = (struct boot_info *)(b->memory + copy_size(b));
	memset(b->info, 0, sizeof(*b->info));
	b->info->config = b->config;
	b->info->memory = PA(b->memory);
	b->info->memory_size = b->config.memory;
	b->info->image_size = image_size;
	b->info->trampoline = PA(b->trampoline);
	return check_debug_port(b);
}

void memory_release(struct boot *b)
{
	b->info = NULL;
	if (b->map)
		b->bs->FreePool(b->map);
	b->map = NULL;
	if (b->trampoline)
		b->bs->FreePages(b->trampoline, 1);
	b->trampoline = 0;
	if (b->memory)
		b->bs->FreePages(b->memory, b->config.memory / PAGE_SIZE);
	b->memory = 0;
}

/* The map need not be sorted: take the lowest range that reaches beyond `end`, again and again. */
static const EFI_MEMORY_DESCRIPTOR *next_ram(const struct boot *b, UINTN size, UINTN stride,
					     u64 end)
{
	const EFI_MEMORY_DESCRIPTOR *best = NULL;

	for (UINTN at = 0; at + sizeof(*best) <= size; at += stride) {
		const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)b->map + at);
		if (is_ram(d) && d->PhysicalStart + d->NumberOfPages * PAGE_SIZE > end &&
		    (!best || d->PhysicalStart < best->PhysicalStart))
			best = d;
	}
	return best;
}

int memory_fetch_ram(struct boot *b)
{
	struct guest_ram *ram = b->info->ram;
	const EFI_MEMORY_DESCRIPTOR *d;
	UINTN size = b->map_size, key, stride;
	UINT32 version;
	u64 end = 0;
	u32 count = 0;

	if (b->bs->GetMemoryMap(&size, b->map, &key, &stride, &version))
		return -EIO;
	while ((d = next_ram(b, size, stride, end))) {
		u64 start = MAX(d->PhysicalStart, end);
		end = d->PhysicalStart + d->NumberOfPages * PAGE_SIZE;
		if (count && start == ram[count - 1].base + ram[count - 1].size) {
			ram[count - 1].size += end - start;
			continue;
		}
		if (count == GUEST_MAX_RAM)
			return -E2BIG;
		ram[count++] = (struct guest_ram){.base = start, .size = end - start};
	}
	b->info->nr_ram = count;
	return 0;
}
