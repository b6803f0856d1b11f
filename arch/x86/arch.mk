# SPDX-License-Identifier: BSD-2-Clause
# What the build must know of this architecture.
# No indirect branch that a guest could have trained: calls through pointers go through thunks
# (retpolines), and a switch has no table of jumps. mk/check-image.sh looks at the result.
ARCH_CFLAGS := -m64 -mno-red-zone -mgeneral-regs-only -fcf-protection=none \
	-mindirect-branch=thunk -mindirect-branch-register -fno-jump-tables
EFI_NAME := suture.efi
EFI_ARCH := x86_64
EFI_FORMAT := efi-app-x86_64
EFI_CFLAGS := -DGNU_EFI_USE_MS_ABI -maccumulate-outgoing-args
EFI_CRT0 = $(EFI_LIB)/crt0-efi-x86_64.o
RELATIVE := R_X86_64_RELATIVE
# the decoder of instructions
ARCH_DEPS_SRC = $(ZYDIS_SRC)
ARCH_DEPS_CPPFLAGS = $(ZYDIS_CPPFLAGS)
LINT_DEFINES := -D__x86_64__
