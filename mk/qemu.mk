# SPDX-License-Identifier: BSD-2-Clause
# The QEMU that runs each CPU in a thread of its own (docs/testing.md)
QEMU10 := build/qemu10
# where tests of this architecture use it
QEMU10_x86 := $(QEMU10)/version

$(QEMU10)/version: mk/qemu.sh mk/apt.sh | $(SETUP)
	@mk/qemu.sh $(@D)

# GRUB's modules, where this machine has no package of them
GRUB_arm64 := $(DEPS)/grub-arm64/ready

$(GRUB_arm64): mk/deb.sh mk/apt.sh | $(SETUP)
	@mk/deb.sh $(@D) arm64 grub-efi-arm64-bin
	@touch $@
