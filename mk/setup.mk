# SPDX-License-Identifier: BSD-2-Clause
## setup         install the Debian packages that build and tests need (root or sudo)
.PHONY: setup
setup:
	@mk/setup.sh
	@mkdir -p build && touch build/setup.stamp

build/setup.stamp: mk/packages.txt mk/setup.sh
	@mk/setup.sh
	@mkdir -p $(@D) && touch $@
