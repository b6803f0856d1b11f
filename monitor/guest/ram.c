/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/ram.h"
#include "arch/memory.h"
#include "lib/errno.h"
#include "lib/string.h"

/* Sorted, not adjacent; without the monitor's memory and pages, each of which splits one range in
 * two. */
#define MAX_HIDDEN 4
static struct guest_ram ram[GUEST_MAX_RAM + MAX_HIDDEN];
static u32 nr_ram;

static u64 ram_end(u32 i)
{
	return ram[i].base + ram[i].size;
}

/* Add [base, end), merged with adjacent ranges: firmware's maps have many small ones. */
static int add_ram(u64 base, u64 end)
{
	u32 first = 0, next;

	while (first < nr_ram && ram_end(first) < base)
		first++;
	for (next = first; next < nr_ram && ram[next].base <= end; next++) {
		base = MIN(base, ram[next].base);
		end = MAX(end, ram_end(next));
	}
	if (next == first && nr_ram == GUEST_MAX_RAM)
		return -ENOSPC;
	memmove(&ram[first + 1], &ram[next], (nr_ram - next) * sizeof(ram[0]));
	ram[first] = (struct guest_ram){base, end - base};
	nr_ram = nr_ram - (next - first) + 1;
	return 0;
}

void guest_ram_hide(u64 base, u64 end)
{
	for (u32 i = 0; i < nr_ram; i++) {
		u64 low = ram[i].base, high = ram_end(i);

		if (high <= base || end <= low)
			continue;
		ram[i] = (struct guest_ram){low, low < base ? base - low : 0};
		if (high <= end)
			continue;
		/* Without room the lower part is left out too: less RAM is safe. */
		if (ram[i].size && nr_ram < ARRAY_SIZE(ram)) {
			i++;
			memmove(&ram[i + 1], &ram[i], (nr_ram - i) * sizeof(ram[0]));
			nr_ram++;
		}
		ram[i] = (struct guest_ram){end, high - end};
	}
}

int guest_mem_init(const struct guest_ram *map, u32 count, u64 hidden_base, u64 hidden_size)
{
	nr_ram = 0;
	for (u32 i = 0; i < count; i++) {
		u64 base = ALIGN_UP(map[i].base, PAGE_SIZE);
		u64 end = ALIGN_DOWN(map[i].base + map[i].size, PAGE_SIZE);
		int err;

		if (map[i].base + map[i].size < map[i].base)
			return -EINVAL;
		if (base >= end)
			continue;
		err = add_ram(base, end);
		if (err)
			return err;
	}
	if (hidden_size)
		guest_ram_hide(ALIGN_DOWN(hidden_base, PAGE_SIZE),
			       ALIGN_UP(hidden_base + hidden_size, PAGE_SIZE));
	return 0;
}

bool guest_is_ram(ipa_t ipa, u64 len)
{
	u32 low = 0, high = nr_ram;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (ipa.v < ram[mid].base)
			high = mid;
		else if (ipa.v - ram[mid].base < ram[mid].size)
			return len <= ram[mid].size - (ipa.v - ram[mid].base);
		else
			low = mid + 1;
	}
	return false;
}

/* Stage 2 is the identity for all RAM of the guest. */
void *guest_ram_ptr(ipa_t ipa)
{
	return arch_ptr(PA(ipa.v));
}

int guest_read_ipa(ipa_t ipa, void *buf, size_t len)
{
	if (!guest_is_ram(ipa, len))
		return -EFAULT;
	memcpy(buf, guest_ram_ptr(ipa), len);
	return 0;
}

int guest_write_ipa(ipa_t ipa, const void *buf, size_t len)
{
	if (!guest_is_ram(ipa, len))
		return -EFAULT;
	memcpy(guest_ram_ptr(ipa), buf, len);
	return 0;
}
