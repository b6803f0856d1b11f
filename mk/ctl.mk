# SPDX-License-Identifier: BSD-2-Clause
# The command judges bundles with the monitor's own parser, built for the host.
CTL_SRC := $(call sources,ctl) monitor/patch/bundle.c monitor/patch/floor.c monitor/patch/version.c monitor/boot/config.c monitor/lib/errno.c \
	$(call sources,monitor/lib)
CTL_OBJ := $(call objects,build/ctl/obj,$(CTL_SRC))
CTL_CPPFLAGS := -D_GNU_SOURCE $(INCLUDES) -Iarch/fake/include

build/ctl/obj/%.o: %.c mk/flags.mk mk/ctl.mk
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(HOSTCC) -std=gnu11 -O2 -g $(CTL_CPPFLAGS) $(WARN) -MD -MP -c $< -o $@

build/ctl/suture: $(CTL_OBJ)
	@echo "LD $@"
	$(Q)$(HOSTCC) $^ -lcurl -ljansson -lelf -ldw -lbpf -larchive -lcrypto -o $@

## ctl           build/ctl/suture, the operator's command
.PHONY: ctl
ctl: build/ctl/suture

-include $(CTL_OBJ:.o=.d)
