# SPDX-License-Identifier: BSD-2-Clause
# Targets for developers (editor, coverage, debugger) and the checks of release properties.

# -W: treat the source as just changed, so that the dry run prints its compiler's command
COMPDB_SRC = $(IMAGE_SRC) $(HOST_SRC) $(call sources,arch/fake ctl guest-agent/helper tests/unit tests/guest)
COMPDB_GOALS = $(IMAGE)/suture.so build/ctl/suture $(AGENT_DIR)/suture-load $(UNIT_TESTS) $(UNICORN_TESTS) \
	$(GUEST_PROGRAMS) $(GUEST_ARCH)/redirects

## compdb        compile_commands.json for clangd and clang-tidy, the agent's module too if it is built
.PHONY: compdb
compdb:
	@$(MAKE) -n V=1 $(addprefix -W ,$(sort $(COMPDB_SRC))) $(COMPDB_GOALS) | \
		mk/compdb.py compile_commands.json $(wildcard $(AGENT_DIR))

# the unit tests without sanitizers, optimization and warnings, in a folder of their own
COVERAGE := build/coverage
COVERAGE_CFLAGS := -std=gnu11 -O0 -g --coverage -w

## coverage      unit tests with gcov: build/coverage/index.html says which lines they reach
.PHONY: coverage
coverage:
	@mk/setup.sh lcov
	@mk/coverage.sh $(COVERAGE) UNIT=$(COVERAGE)/unit 'HOST_CFLAGS=$(COVERAGE_CFLAGS)'

.PHONY: lint-reproducible lint-licences lint-help
# check that suture.efi, built a second time in another folder, is the same file
lint-reproducible: $(IMAGE_EFI)
	@echo "LINT reproducible"
	@mk/check-reproducible.sh $< build/reproducible ARCH=$(ARCH) $(MUTATE:%=MUTATE=%)

lint-licences:
	@echo "LINT licences"
	$(Q)mk/lint-licences.sh

lint-help:
	@echo "LINT help"
	$(Q)! $(MAKE) -s help | grep -F '$$('

lint: lint-reproducible lint-licences lint-help

## debug         boot a guest under the monitor and wait for gdb (GDB_PORT=1234, docs/debugging.md)
.PHONY: debug
debug: $(QEMU_NEEDS)
	@$(PYTHON) tests/demo/debug.py
