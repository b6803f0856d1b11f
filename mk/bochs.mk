# SPDX-License-Identifier: BSD-2-Clause
# Bochs, the emulator of Intel VMX, and what its firmware lacks (docs/testing.md)
BOCHS := $(DEPS)/bochs
BOCHS_TABLES := build/bochs/tables.efi

$(BOCHS)/version: mk/bochs.sh | $(SETUP)
	@mk/bochs.sh $(@D)

build/bochs/tables.o: tests/bochs/tables.c | $(SETUP)
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(HOSTCC) -std=gnu11 -O2 -ffreestanding -fpic -fshort-wchar -mno-red-zone -fno-stack-protector \
		-maccumulate-outgoing-args -DGNU_EFI_USE_MS_ABI -Wall -Werror -isystem /usr/include/efi \
		-isystem /usr/include/efi/x86_64 -c $< -o $@

$(BOCHS_TABLES): build/bochs/tables.o
	$(Q)ld -nostdlib -shared -Bsymbolic -znocombreloc -T /usr/lib/elf_x86_64_efi.lds \
		/usr/lib/crt0-efi-x86_64.o $< -L/usr/lib -lefi -lgnuefi -o $(@:.efi=.so)
	$(Q)objcopy -j .text -j .sdata -j .data -j .dynamic -j .rodata -j .rel -j .rela -j .reloc \
		--target efi-app-x86_64 --subsystem=10 $(@:.efi=.so) $@

## bochs         build Bochs, which emulates Intel VMX, from Debian's sources (build/deps/bochs)
.PHONY: bochs
bochs: $(BOCHS)/version $(BOCHS_TABLES)
