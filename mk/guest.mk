# SPDX-License-Identifier: BSD-2-Clause
# The guest that tests and demo boot: a Debian kernel (mk/guest-kernel.sh knows which), our module
# for it, and an initramfs.
GUEST ?= $(or $(KERNEL),6.1-cloud-$(DEBIAN_ARCH))
export GUEST
ifeq ($(filter %-$(DEBIAN_ARCH),$(GUEST)),)
$(error GUEST=$(GUEST) is no kernel of ARCH=$(ARCH): its name ends with -$(DEBIAN_ARCH))
endif
GUEST_DIR := build/guest/$(GUEST)
AGENT_DIR := build/agent/$(GUEST)
# what is the same for all kernels of an architecture
GUEST_ARCH := build/guest/$(ARCH)
# kernels that have Linux's own livepatch
HAS_LIVEPATCH := $(filter %-amd64,$(GUEST))

$(GUEST_DIR)/release: mk/guest-kernel.sh mk/apt.sh | $(SETUP)
	@mk/guest-kernel.sh $(GUEST_DIR) $(GUEST)

## guest-kernel  the guest kernel and what builds modules for it (ARCH=arm64, GUEST=6.12-cloud-arm64)
.PHONY: guest-kernel
guest-kernel: $(GUEST_DIR)/release

# kbuild writes beside the sources: it gets links to them in a folder of its own
AGENT_SRC := $(wildcard guest-agent/*.[ch] guest-agent/Kbuild guest-agent/Makefile) \
	$(shell find guest-agent/include guest-agent/arch -name '*.h' 2>/dev/null)
$(AGENT_DIR)/suture.ko: $(AGENT_SRC) $(wildcard include/suture/*.h) $(GUEST_DIR)/release
	@echo "KBUILD $@"
	@mkdir -p $(@D)
	@find $(@D) -maxdepth 1 -type l -delete
	@ln -sf $(CURDIR)/guest-agent/* $(@D)/
	$(Q)$(MAKE) -s -C $(@D) KDIR=$(CURDIR)/$(GUEST_DIR)/kbuild INCLUDE=$(CURDIR)/include

HELPER_SRC := $(wildcard guest-agent/helper/*.c)
$(AGENT_DIR)/suture-load: $(HELPER_SRC) $(wildcard guest-agent/helper/*.h include/suture/*.h)
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) -std=gnu11 -O2 -g -static -D_GNU_SOURCE $(WARN) -Iinclude $(HELPER_SRC) -o $@

DESIRED_SRC := $(wildcard guest-agent/desired/*.c)
$(AGENT_DIR)/suture-desired: $(DESIRED_SRC) $(wildcard guest-agent/desired/*.h guest-agent/uapi.h include/suture/*.h)
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) -std=gnu11 -O2 -g -static -D_GNU_SOURCE $(WARN) -Iinclude $(DESIRED_SRC) -o $@

# The module for the guests of the tests, without debug information, which is most of its size
$(AGENT_DIR)/stripped/suture.ko: $(AGENT_DIR)/suture.ko
	@mkdir -p $(@D)
	$(Q)$(STRIP) --strip-debug -o $@ $<

## agent         the module and helper for the guest kernel (GUEST=$(GUEST))
.PHONY: agent
agent: $(AGENT_DIR)/stripped/suture.ko $(AGENT_DIR)/suture-load $(AGENT_DIR)/suture-desired

# user programs of the tests, some for one architecture: small ones with musl, for which the kernel's
# headers are added. musl, and busybox for the initramfs, are unpacked where the machine's own are
# another architecture's.
USER := $(if $(CROSS_COMPILE),$(DEPS)/user-$(DEBIAN_ARCH))
MUSL_CC := $(if $(USER),$(CC) -specs $(USER)/musl.specs,musl-gcc)
KERNEL_HEADERS := $(addprefix -idirafter ,$(if $(CROSS_COMPILE),/usr/$(TRIPLET_$(ARCH))/include,\
	/usr/include /usr/include/$(shell $(CC) -print-multiarch)))
GUEST_PROGRAMS := $(addprefix $(GUEST_ARCH)/bin/,\
	$(basename $(notdir $(wildcard tests/guest/*.c tests/guest/$(ARCH)/*.c))))
MUSL_COMPILE = $(MUSL_CC) -std=gnu11 -O2 -static -s -D_GNU_SOURCE $(WARN) -pthread $(KERNEL_HEADERS)
$(GUEST_ARCH)/bin/%: tests/guest/%.c | $(SETUP) $(USER:%=%/musl.specs)
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(MUSL_COMPILE) $< -o $@

$(GUEST_ARCH)/bin/%: tests/guest/$(ARCH)/%.c | $(SETUP) $(USER:%=%/musl.specs)
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(MUSL_COMPILE) $< -o $@

# a helper of another kind speaks to the agent
$(GUEST_ARCH)/bin/swap: MUSL_COMPILE += -Iinclude
$(GUEST_ARCH)/bin/swap: guest-agent/uapi.h
$(GUEST_ARCH)/bin/stores: tests/guest/modules/stores_kinds.h

# the package's specs name its files where they would be installed
$(DEPS)/user-%/musl.specs: mk/deb.sh mk/apt.sh | $(SETUP)
	@mk/deb.sh $(@D) $* musl-dev busybox-static
	$(Q)sed "s|/usr/|$(CURDIR)/$(@D)/usr/|g" $(@D)/usr/lib/*-linux-musl/musl-gcc.specs >$@

# the monitor's own planner of redirects, over all functions of the guest's kernel
REDIRECTS_SRC := tests/guest/redirects/redirects.c tests/guest/redirects/$(ARCH)/lock.c \
	arch/$(ARCH)/redirect.c $(ARCH_DEPS_SRC)
REDIRECTS_H := $(wildcard tests/guest/*.h tests/guest/redirects/*.h arch/$(ARCH)/*.h monitor/arch/*.h \
	monitor/lib/*.h monitor/stage2/*.h include/suture/*.h)
$(GUEST_ARCH)/redirects: $(REDIRECTS_SRC) $(REDIRECTS_H) | $(SETUP)
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) -std=gnu11 -O2 -static -s -Wall -Werror $(INCLUDES) -Iarch/$(ARCH)/include \
		$(IMAGE_CPPFLAGS) $(REDIRECTS_SRC) -o $@

# the same on the host, over a raw Image (arm64), with the new functions 48 MiB and 1008 MiB away
build/redirects/$(ARCH): $(REDIRECTS_SRC) $(REDIRECTS_H) | $(SETUP)
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(HOSTCC) -std=gnu11 -O2 -Wall -Werror $(INCLUDES) -Iarch/fake/include $(IMAGE_CPPFLAGS) \
		$(REDIRECTS_SRC) -o $@

## redirects     how many functions of the guest kernel's Image a redirect fits (ARCH=arm64)
.PHONY: redirects
redirects: build/redirects/$(ARCH) $(GUEST_DIR)/release
	@tests/guest/redirects/image.py $(GUEST_DIR)/vmlinuz $<.records $<.text
	@for offset in 0x3000000 0x3f000000; do $< $<.records $<.text $$offset | grep -v '^overlap '; done

## records       that the guest kernel's functions keep frame records, as the check relies on (ARCH=arm64)
.PHONY: records
records: $(GUEST_DIR)/release
	@tests/guest/redirects/records.py $(GUEST_DIR)/vmlinuz

# kernel modules of the tests, built like the agent
GUEST_MODULES := build/guest/$(GUEST)-modules
$(GUEST_MODULES)/built: $(wildcard tests/guest/modules/* tests/guest/sites.h tests/hostile/*.[chS]) $(AGENT_SRC) \
		$(wildcard include/suture/*.h) $(GUEST_DIR)/release
	@echo "KBUILD $(@D)"
	@mkdir -p $(@D)/agent
	@ln -sf $(CURDIR)/tests/guest/modules/* $(CURDIR)/tests/guest/sites.h \
		$(addprefix $(CURDIR)/,$(wildcard tests/hostile/*.[chS])) $(@D)/
	@ln -sf $(CURDIR)/guest-agent/* $(@D)/agent/
	$(Q)$(MAKE) -s -C $(GUEST_DIR)/kbuild CONFIG_DEBUG_INFO_BTF_MODULES= M=$(CURDIR)/$(@D) \
		KCFLAGS=-I$(CURDIR)/include modules
	@touch $@

# the same livepatch modules twice: against the kernel's linux/livepatch.h and the agent's
DIFFERENTIAL := build/guest/$(GUEST)-differential
DIFFERENTIAL_SRC := $(wildcard tests/guest/differential/*)
AGENT_INCLUDE := $(CURDIR)/guest-agent/include
$(DIFFERENTIAL)/suture/built: AGENT_HEADERS := KBUILD_EXTRA_SYMBOLS=$(AGENT_INCLUDE)/Module.symvers \
	NOSTDINC_FLAGS="-nostdinc -I$(AGENT_INCLUDE) \
		-isystem $(shell $(CC) -print-file-name=include)"
$(DIFFERENTIAL)/%/built: $(DIFFERENTIAL_SRC) $(wildcard guest-agent/include/*/*.h) \
		$(GUEST_DIR)/release
	@echo "KBUILD $(@D)"
	@mkdir -p $(@D)
	@ln -sf $(addprefix $(CURDIR)/,$(DIFFERENTIAL_SRC)) $(@D)/
	$(Q)$(MAKE) -s -C $(GUEST_DIR)/kbuild CONFIG_DEBUG_INFO_BTF_MODULES= M=$(CURDIR)/$(@D) \
		$(AGENT_HEADERS) modules
	@touch $@

INITRAMFS := $(GUEST_ARCH)/initramfs.cpio.gz
$(INITRAMFS): ctl/guest/initramfs.sh ctl/guest/init ctl/guest/guest-shell $(GUEST_PROGRAMS)
	@ctl/guest/initramfs.sh $@ $(USER)/bin/busybox $(filter-out $<,$^)

# a Debian system on a disk, with the modules of the guest's kernel
DISK := build/guest/disk/$(GUEST).img
$(DISK): mk/disk.sh mk/put-shell.sh mk/apt.sh ctl/guest/guest-shell $(GUEST_DIR)/release
	@echo "DISK $@"
	@mk/disk.sh $@ $(GUEST_DIR) ctl/guest/guest-shell

## guest         the guest kernel, initramfs and modules that the tests boot
.PHONY: guest
guest: $(GUEST_DIR)/release $(INITRAMFS) $(GUEST_MODULES)/built $(DIFFERENTIAL)/suture/built \
	$(if $(HAS_LIVEPATCH),$(DIFFERENTIAL)/linux/built) \
	$(if $(wildcard arch/$(ARCH)/redirect.c),$(GUEST_ARCH)/redirects)
