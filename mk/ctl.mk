# SPDX-License-Identifier: BSD-2-Clause
CTL_OBJ := $(call objects,build/ctl/obj,$(call sources,ctl))

build/ctl/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(CC) -std=gnu11 -O2 -g -D_GNU_SOURCE $(WARN) -Iinclude -MMD -MP -c $< -o $@

build/ctl/suture: $(CTL_OBJ)
	@echo "LD $@"
	$(Q)$(CC) $^ -lcurl -lelf -llzma -o $@

## ctl           build/ctl/suture, the operator's command
.PHONY: ctl
ctl: build/ctl/suture

-include $(CTL_OBJ:.o=.d)
