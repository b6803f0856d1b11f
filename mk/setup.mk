# SPDX-License-Identifier: BSD-2-Clause
# One stamp for each ARCH: a cross compiler is installed only where it is asked for.
SETUP := build/setup$(if $(filter-out x86,$(ARCH)),-$(ARCH)).stamp

## setup         install the Debian packages that build and tests need (root or sudo)
.PHONY: setup
setup:
	@ARCH=$(ARCH) mk/setup.sh
	@mkdir -p build && touch $(SETUP)

$(SETUP): mk/packages.txt mk/setup.sh
	@ARCH=$(ARCH) mk/setup.sh
	@mkdir -p $(@D) && touch $@
