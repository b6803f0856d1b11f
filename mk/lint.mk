# SPDX-License-Identifier: BSD-2-Clause
LINT_FILES = $(shell find include monitor arch guest-agent ctl tests examples \
	\( -name '*.c' -o -name '*.h' \) 2>/dev/null)

# What an analyzer is given for a file: the include path it is compiled with.
LINT_MONITOR = $(CROSS_COMPILE:%-=--target=%) $(INCLUDES) -Iarch/$(ARCH)/include $(IMAGE_CPPFLAGS) -ffreestanding
LINT_BOOT = $(LINT_MONITOR) $(EFI_INCLUDES) -fshort-wchar $(filter -D%,$(EFI_CFLAGS))
LINT_HOST = $(CTL_CPPFLAGS)

# One stamp for each file, so that only what changed is looked at again.
LINT := build/lint
TIDY_SRC = $(filter %.c,$(IMAGE_SRC)) $(filter %.c,$(call sources,ctl)) $(wildcard guest-agent/helper/*.c)
$(LINT)/monitor/boot/%.tidy: LINT_CPPFLAGS = $(LINT_BOOT)
$(LINT)/monitor/%.tidy $(LINT)/arch/%.tidy: LINT_CPPFLAGS = $(LINT_MONITOR)
$(LINT)/ctl/%.tidy $(LINT)/guest-agent/%.tidy: LINT_CPPFLAGS = $(LINT_HOST)
$(LINT)/%.tidy: %.c .clang-tidy
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- -std=gnu11 $(LINT_CPPFLAGS) -Wno-unknown-attributes \
		2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# gnu-efi's headers for another ARCH are unpacked
$(patsubst %.c,$(LINT)/%.tidy,$(filter monitor/boot/%.c,$(IMAGE_SRC))): | $(if $(EFI),$(EFI_LIB)/libefi.a)

# The portable part, for a processor that no architecture here is for: -ffreestanding leaves of the C
# library what is the compiler's, and the rest is in arch/neutral/.
NEUTRAL_OBJ = $(patsubst %.c,$(LINT)/neutral/%.o,$(filter %.c,$(call sources,monitor)))
NEUTRAL_CFLAGS = --target=riscv64-unknown-elf -std=gnu11 -ffreestanding -fshort-wchar -Wall -Wextra -Werror \
	$(INCLUDES) -Iarch/neutral/include $(LWIP_CPPFLAGS) $(MBEDTLS_CPPFLAGS) -isystem /usr/include/efi -idirafter /usr/include
$(LINT)/neutral/%.o: %.c mk/lint.mk
	@mkdir -p $(@D)
	$(Q)clang $(NEUTRAL_CFLAGS) -MD -MP -c $< -o $@

-include $(NEUTRAL_OBJ:.o=.d)

.PHONY: lint lint-format lint-tree lint-neutral lint-cppcheck lint-tidy
lint-format:
	@echo "LINT format"
	$(Q)clang-format --dry-run --Werror $(LINT_FILES)

lint-tree:
	@echo "LINT tree"
	$(Q)mk/lint-tree.sh
	$(Q)mk/lint-names.py

# each a script of its own
SCRIPTED := lint-includes lint-sizes lint-docs lint-contract lint-tests lint-vmcs
.PHONY: $(SCRIPTED)
$(SCRIPTED): lint-%:
	@echo "LINT $*"
	$(Q)mk/lint-$*.py

lint-neutral: $(NEUTRAL_OBJ)

lint-cppcheck:
	@echo "LINT cppcheck"
	@mkdir -p $(LINT)/cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j2 \
		--cppcheck-build-dir=$(LINT)/cppcheck --enable=warning,portability \
		$(addprefix --suppress=,comparePointers 'constStatement:arch/arm64/psci_host.c' '*:build/*' '*:/usr/include/*') \
		$(INCLUDES) -Iarch/$(ARCH)/include -I/usr/include $(LINT_DEFINES) \
		monitor arch/$(ARCH) arch/fake ctl $(wildcard guest-agent/helper)

lint-tidy: $(TIDY_SRC:%.c=$(LINT)/%.tidy)

## lint          clang-format, clang-tidy, cppcheck, rules of the tree, circles of includes, the contract,
##               sizes, names in docs, the table of tests, fields of the VMCS
lint: lint-format lint-tree lint-includes lint-contract lint-sizes lint-docs lint-tests lint-vmcs lint-neutral lint-cppcheck lint-tidy
	@echo "lint: clean"
