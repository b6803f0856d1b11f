# SPDX-License-Identifier: BSD-2-Clause
# Real fixes of the kernel as livepatches (docs/fixes.md), on the kernel that lacks them. Their sources
# are made from Debian's linux-source of both versions, in build/linux-running and build/linux-fixed.
FIXES := build/fixes
FIXES_PY := $(PYTHON) -B tests/fixes/build.py

build/linux-%/ready: tests/fixes/fixes.toml tests/fixes/build.py mk/linux-source.sh mk/apt.sh | $(SETUP)
	@mk/linux-source.sh $(@D) $$($(FIXES_PY) version $*) $$($(FIXES_PY) paths $*)

# a bundle is rebuilt if it is older than its generated source or than the headers
.PHONY: fixes
fixes: build/linux-running/ready build/linux-fixed/ready $(GUEST_DIR)/release build/ctl/suture
	@$(FIXES_PY) bundles $(FIXES) $(GUEST_DIR)

.PHONY: check-fixes-here
check-fixes-here: $(QEMU_NEEDS) fixes
	@$(call PYTEST,1800) $(or $(FIXES_TESTS),test_fixes.py)

## check-fixes   fixes of real bugs as livepatches, on a kernel that lacks them
.PHONY: check-fixes
check-fixes:
	@$(MAKE) --no-print-directory GUEST=$$($(FIXES_PY) guest) check-fixes-here
