# SPDX-License-Identifier: BSD-2-Clause
# Unit tests of this folder (mk/unit.mk).
UNIT_SRC_x86 := arch/x86/redirect.c
UNIT_DEPS_x86 = $(ZYDIS_SRC)
UNIT_CPPFLAGS_x86 = $(ZYDIS_CPPFLAGS)
UNIT_ANYWHERE_x86 := $(basename $(notdir $(wildcard tests/unit/unicorn_redirect*.c)))
UNIT_NATIVE_x86 := unicorn_pt unicorn_unwind $(basename $(notdir $(wildcard tests/unit/x86_*.c)))
