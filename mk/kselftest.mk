# SPDX-License-Identifier: BSD-2-Clause
# Linux's own livepatch selftests and samples: docs/testing.md says how they come to run on Suture.
LINUX_SOURCE := build/linux-source
KSELFTEST := build/kselftest/$(GUEST)

$(LINUX_SOURCE)/ready: mk/linux-source.sh mk/source-deb.sh mk/apt.sh | $(SETUP)
	@mk/linux-source.sh $(@D) newest lib/livepatch samples/livepatch tools/testing/selftests/livepatch

# the programs that the scripts call, where the machine's own are another architecture's
KSELFTEST_USER := $(DEPS)/kselftest-$(DEBIAN_ARCH)
$(KSELFTEST_USER)/ready: mk/deb.sh mk/apt.sh | $(SETUP)
	@mk/deb.sh $(@D) $(DEBIAN_ARCH) bash coreutils diffutils grep kmod libacl1 libattr1 libc6 libgcc-s1 \
		libgmp10 liblzma5 libpcre2-8-0 libproc2-0 libselinux1 libssl3 libtinfo6 libzstd1 mawk procps \
		sed util-linux
	@touch $@

$(KSELFTEST)/ready: mk/kselftest.sh $(LINUX_SOURCE)/ready $(AGENT_DIR)/stripped/suture.ko \
		$(wildcard guest-agent/include/*/*.h) $(USER:%=$(KSELFTEST_USER)/ready)
	@echo "KSELFTEST $(@D)"
	@CC=$(CC) mk/kselftest.sh $(@D) $(LINUX_SOURCE) $(GUEST_DIR) $(AGENT_DIR)/stripped/suture.ko \
		$(USER:%=$(KSELFTEST_USER))

.PHONY: kselftest
kselftest: $(KSELFTEST)/ready
