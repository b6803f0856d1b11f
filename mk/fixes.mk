# SPDX-License-Identifier: BSD-2-Clause
# Real fixes of the kernel as livepatches (docs/fixes.md), on the kernel that lacks them. Their sources
# are made from Debian's linux-source of both versions, in build/linux-running and build/linux-fixed.
FIXES := build/fixes
FIXES_PY := $(PYTHON) -B tests/fixes/build.py

build/linux-%/ready: tests/fixes/fixes.toml tests/fixes/diffs.toml tests/fixes/build.py mk/linux-source.sh mk/source-deb.sh mk/apt.sh | $(SETUP)
	@mk/linux-source.sh $(@D) $$($(FIXES_PY) version $*) $$($(FIXES_PY) paths $*)

# a bundle is rebuilt if it is older than its generated source or than the headers
.PHONY: fixes
fixes: build/linux-running/ready build/linux-fixed/ready $(GUEST_DIR)/release build/ctl/suture
	@$(FIXES_PY) bundles $(FIXES) $(GUEST_DIR)

# the same from source diffs (diffs.toml); DIFFS=all: every one
.PHONY: diffs
diffs: build/linux-running/ready build/linux-fixed/ready $(GUEST_DIR)/release build/ctl/suture $(CREATE_DIFF_OBJECT)
	@$(FIXES_PY) diffs build/diffs $(GUEST_DIR) $(or $(DIFFS),short)

.PHONY: check-fixes-here
check-fixes-here: $(QEMU_NEEDS) fixes
	@$(call PYTEST,1800) $(or $(FIXES_TESTS),test_fixes.py)

## check-fixes   fixes of real bugs as livepatches, on a kernel that lacks them
.PHONY: check-fixes
check-fixes:
	@$(MAKE) --no-print-directory GUEST=$$($(FIXES_PY) guest) check-fixes-here

.PHONY: check-diffs-here
check-diffs-here: $(QEMU_NEEDS) diffs
	@$(call PYTEST,1800,SUTURE_DIFFS=$(or $(DIFFS),short)) test_diffs.py

## check-diffs   patches that are built from source diffs alone, on a kernel that lacks them (DIFFS=short: some)
.PHONY: check-diffs
check-diffs:
	@$(MAKE) --no-print-directory GUEST=$$($(FIXES_PY) guest) DIFFS=$(or $(DIFFS),all) check-diffs-here
