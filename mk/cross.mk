# SPDX-License-Identifier: BSD-2-Clause
# Tools for ARCH. HOSTCC builds programs for this host (the operator's command, unit tests); CC, LD
# and the others build programs for the machine. arch/$(ARCH)/arch.mk has the flags.
DEBIAN_ARCH_x86 := amd64
TRIPLET_x86 := x86_64-linux-gnu
DEBIAN_ARCH_arm64 := arm64
TRIPLET_arm64 := aarch64-linux-gnu

DEBIAN_ARCH := $(DEBIAN_ARCH_$(ARCH))
ifeq ($(DEBIAN_ARCH),)
$(error ARCH=$(ARCH) is none of $(patsubst DEBIAN_ARCH_%,%,$(filter DEBIAN_ARCH_%,$(.VARIABLES))))
endif
HOST_DEBIAN_ARCH := $(shell dpkg --print-architecture)
# empty if this host has that architecture; CROSS_COMPILE=prefix- chooses other tools
CROSS_COMPILE ?= $(if $(filter-out $(HOST_DEBIAN_ARCH),$(DEBIAN_ARCH)),$(TRIPLET_$(ARCH))-)

HOSTCC := gcc
CC := $(CROSS_COMPILE)gcc
LD := $(CROSS_COMPILE)ld
AR := $(CROSS_COMPILE)ar
STRIP := $(CROSS_COMPILE)strip
OBJCOPY := $(CROSS_COMPILE)objcopy
OBJDUMP := $(CROSS_COMPILE)objdump
