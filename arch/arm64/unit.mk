# SPDX-License-Identifier: BSD-2-Clause
# Unit tests of this folder (mk/unit.mk).
UNIT_SRC_arm64 := $(addprefix arch/arm64/,exclusive.c features.c gic_find.c load.c pac.c pt_format.c redirect.c text.c \
	unwind.c)
UNIT_ANYWHERE_arm64 := $(basename $(notdir $(wildcard tests/unit/unicorn_arm64_*.c tests/unit/arm64_*.c)))
# what has instructions: the tests stand in for the processor (sysreg.h), and for the rest of the folder
UNIT_CPPFLAGS_arm64 := -DARM64_UNIT
UNIT_SRC_arm64_context := arch/arm64/context.c
UNIT_SRC_arm64_kick := $(addprefix arch/arm64/,kick.c pt_format.c tlb.c)
UNIT_SRC_arm64_vcpu := $(addprefix arch/arm64/,context.c vcpu.c)
