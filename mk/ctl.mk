# SPDX-License-Identifier: BSD-2-Clause
# The command shares with the monitor what must judge a bundle in the same way.
CTL_SRC := $(call sources,ctl) $(wildcard monitor/patch/bundle.c monitor/core/errno.c \
	monitor/core/lib/*.c)
CTL_OBJ := $(call objects,build/ctl/obj,$(CTL_SRC))
CTL_CPPFLAGS := -D_GNU_SOURCE $(INCLUDES) -Iarch/$(ARCH)/include

build/ctl/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(CC) -std=gnu11 -O2 -g $(CTL_CPPFLAGS) $(WARN) -MMD -MP -c $< -o $@

build/ctl/suture: $(CTL_OBJ)
	@echo "LD $@"
	$(Q)$(CC) $^ -lcurl -ljansson -lelf -llzma -lz -o $@

## ctl           build/ctl/suture, the operator's command
.PHONY: ctl
ctl: build/ctl/suture

-include $(CTL_OBJ:.o=.d)
