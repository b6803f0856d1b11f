# SPDX-License-Identifier: BSD-2-Clause
# The only entry point: `make help` lists the targets. There is no list of source files: what lies
# in a folder is built, and ARCH picks the architecture's folder.

ARCH ?= x86
PYTHON := /usr/bin/python3
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

.PHONY: all
all: image agent ctl

include mk/cross.mk
include mk/flags.mk
include mk/setup.mk
include mk/deps.mk
include mk/image.mk
include mk/unit.mk
include mk/mutants.mk
include mk/fuzz.mk
include mk/guest.mk
include mk/qemu.mk
include mk/bochs.mk
include mk/kselftest.mk
include mk/ctl.mk
include mk/install.mk
include mk/lint.mk
include mk/check.mk
include mk/bench.mk
include mk/fixes.mk
include mk/habits.mk

.PHONY: help clean
help:
	@sed -n 's/^## //p' $(sort $(MAKEFILE_LIST)) | sed 's|$$(ARCH)|$(ARCH)|; s|$$(GUEST)|$(GUEST)|' | sort | \
		while read -r target text; do printf '%-17s %s\n' "$$target" "$$text"; done

## clean         remove build/ (downloads too)
clean:
	rm -rf build
