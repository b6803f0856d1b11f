# SPDX-License-Identifier: BSD-2-Clause
# What the build must know of this architecture.
ARCH_CFLAGS := -mgeneral-regs-only -mno-outline-atomics -mbranch-protection=none
EFI_NAME := sutureaa64.efi
EFI_ARCH := aarch64
EFI_FORMAT := efi-app-aarch64
EFI_CFLAGS :=
# gnu-efi's start carries a PE header of its own, for objcopy of old: efi_start.S takes its place
EFI_CRT0 :=
RELATIVE := R_AARCH64_RELATIVE
LINT_DEFINES := -D__aarch64__
