# SPDX-License-Identifier: BSD-2-Clause
# Unit tests of this folder (mk/unit.mk).
UNIT_SRC_arm64 := $(addprefix arch/arm64/,exclusive.c gic_find.c pac.c pt_format.c redirect.c unwind.c)
UNIT_ANYWHERE_arm64 := $(basename $(notdir $(wildcard tests/unit/unicorn_arm64_*.c tests/unit/arm64_*.c)))
