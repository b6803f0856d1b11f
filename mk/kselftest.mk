# SPDX-License-Identifier: BSD-2-Clause
# Linux's own livepatch selftests and samples: docs/testing.md says how they come to run on Suture.
LINUX_SOURCE := build/linux-source
KSELFTEST := build/kselftest/$(GUEST)

$(LINUX_SOURCE)/ready: mk/linux-source.sh mk/apt.sh | $(SETUP)
	@mk/linux-source.sh $(@D) newest lib/livepatch samples/livepatch tools/testing/selftests/livepatch

$(KSELFTEST)/ready: mk/kselftest.sh $(LINUX_SOURCE)/ready $(AGENT_DIR)/suture.ko \
		$(wildcard guest-agent/include/*/*.h)
	@echo "KSELFTEST $(@D)"
	@mk/kselftest.sh $(@D) $(LINUX_SOURCE) $(GUEST_DIR) $(AGENT_DIR)/suture.ko

.PHONY: kselftest
kselftest: $(KSELFTEST)/ready
