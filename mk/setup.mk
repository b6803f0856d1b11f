# SPDX-License-Identifier: BSD-2-Clause
# One stamp for each ARCH: a cross compiler is installed only where it is asked for.
SETUP := $(if $(filter x86,$(ARCH)),build/setup.stamp,build/setup-$(ARCH).stamp)

## setup         install the Debian packages that build and tests need (root or sudo)
.PHONY: setup
setup:
	@mk/setup.sh $(ARCH)
	@mkdir -p build && touch $(SETUP)

$(SETUP): mk/packages.txt mk/setup.sh
	@mk/setup.sh $(ARCH)
	@mkdir -p $(@D) && touch $@
