# SPDX-License-Identifier: BSD-2-Clause
# $(IMAGE_EFI): the loader and the monitor in one position-independent image. Without an arch.mk
# `make image` fails, and lists what is missing.
-include arch/$(ARCH)/arch.mk

# MUTATE=name: a monitor without one point of the check (monitor/lib/mutate.h), for tests
# DEBUG=1: one that checks more (monitor/lib/debug.h)
IMAGE := build/$(ARCH)$(MUTATE:%=-without-%)$(if $(DEBUG),-debug)
O := $(IMAGE)/obj
IMAGE_EFI := $(IMAGE)/$(EFI_NAME)
IMAGE_RULES := mk/flags.mk mk/deps.mk mk/image.mk $(wildcard arch/$(ARCH)/arch.mk)
IMAGE_SRC := $(call sources,monitor $(wildcard arch/$(ARCH)))
IMAGE_OBJ := $(call objects,$(O),$(IMAGE_SRC))
IMAGE_DEPS_OBJ := $(call objects,$(O),$(LWIP_SRC) $(MBEDTLS_SRC) $(ARCH_DEPS_SRC))

INCLUDES := -Iinclude -Imonitor
IMAGE_CFLAGS = -std=gnu11 -O2 -g -ffreestanding -fpic -fvisibility=hidden \
	-include monitor/lib/hidden.h -fno-stack-protector -fno-strict-aliasing -fno-common \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections \
	-fno-tree-loop-distribute-patterns -Werror=date-time -ffile-prefix-map=$(CURDIR)=. \
	$(ARCH_CFLAGS) $(INCLUDES) -Iarch/$(ARCH)/include \
	$(MUTATE:%=-DSUTURE_MUTATE_%) $(if $(DEBUG),-DSUTURE_DEBUG)
IMAGE_CPPFLAGS = $(LWIP_CPPFLAGS) $(MBEDTLS_CPPFLAGS) $(ARCH_DEPS_CPPFLAGS)
# gnu-efi is unpacked where the machine's own is another architecture's
EFI := $(if $(CROSS_COMPILE),$(DEPS)/gnu-efi-$(DEBIAN_ARCH))
EFI_INCLUDES := -isystem $(EFI)/usr/include/efi -isystem $(EFI)/usr/include/efi/$(EFI_ARCH)
EFI_LIB := $(EFI)/usr/lib

$(filter $(O)/monitor/boot/%,$(IMAGE_OBJ)): | $(if $(EFI),$(EFI_LIB)/libefi.a)
$(O)/monitor/boot/%.o: EXTRA := $(EFI_INCLUDES) $(EFI_CFLAGS) -fshort-wchar

$(O)/%.o: %.c $(IMAGE_RULES)
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(CC) $(IMAGE_CFLAGS) $(WARN) $(IMAGE_CPPFLAGS) $(EXTRA) -MD -MP -c $< -o $@

$(O)/%.o: %.S $(IMAGE_RULES)
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(CC) $(IMAGE_CFLAGS) $(IMAGE_CPPFLAGS) -D__ASSEMBLY__ -MD -MP -c $< -o $@

# what computes with large numbers stays fast; the rest of mbedTLS runs once for a connection
$(filter-out %/bignum.o %/bignum_core.o %/ecp.o %/ecp_curves.o %/chacha20.o %/poly1305.o,$(filter \
	$(O)/deps/mbedtls/%,$(IMAGE_DEPS_OBJ))): EXTRA := -Os

# code of the libraries: the monitor's flags without its warnings
$(O)/deps/%.o: build/deps/%.c $(IMAGE_RULES)
	@mkdir -p $(@D)
	@echo "CC $<"
	$(Q)$(CC) $(IMAGE_CFLAGS) -w $(IMAGE_CPPFLAGS) $(EXTRA) -MD -MP -c $< -o $@

$(IMAGE)/libdeps.a: $(IMAGE_DEPS_OBJ)
	@rm -f $@
	$(Q)$(AR) qcs $@ $^

# --gc-sections keeps only the sections that the entry point reaches; the check below refuses an
# image with relocations other than relative ones
$(IMAGE)/suture.so: $(IMAGE_OBJ) $(IMAGE)/libdeps.a arch/$(ARCH)/image.lds mk/check-image.sh
	@echo "LD $@"
	$(Q)$(LD) -nostdlib -shared -Bsymbolic -znocombreloc -zmax-page-size=4096 --no-undefined --gc-sections \
		--orphan-handling=error -T arch/$(ARCH)/image.lds \
		$(EFI_CRT0) $(IMAGE_OBJ) $(IMAGE)/libdeps.a \
		-L$(EFI_LIB) -lefi -lgnuefi -o $@
	$(Q)mk/check-image.sh $@ $(RELATIVE)

$(IMAGE_EFI): $(IMAGE)/suture.so mk/check-efi.sh mk/nx-compat.sh
	$(Q)$(OBJCOPY) -j .text -j .reloc -j .sbat -j .data -j .dynamic -j .rela -j .bss --strip-all \
		--target $(EFI_FORMAT) $< $@
	$(Q)mk/nx-compat.sh $@
	$(Q)mk/check-efi.sh $@ $(OBJDUMP)

## sign          build/$(ARCH)/signed/*.efi for Secure Boot (KEY=key.pem CERT=certificate.pem)
.PHONY: sign
sign: $(IMAGE_EFI)
	@[ -n "$(KEY)" ] && [ -n "$(CERT)" ] || { echo "sign: make sign KEY=key.pem CERT=certificate.pem" >&2; exit 1; }
	@mk/setup.sh sbsigntool
	@mkdir -p $(IMAGE)/signed
	$(Q)sbsign --key $(KEY) --cert $(CERT) --output $(IMAGE)/signed/$(EFI_NAME) $<
	$(Q)sbverify --cert $(CERT) $(IMAGE)/signed/$(EFI_NAME)

# Sources of other code in the image: libraries that are compiled or linked in, and headers whose
# functions are compiled in. Their licences require that their notices accompany a binary.
SYSTEM_PARTS := gnu-efi libstb-dev libzycore-dev
NOTICES := $(foreach part,lwip zydis mbedtls,$(part)=$(DEPS)/$(part)/debian/copyright) \
	$(foreach part,$(SYSTEM_PARTS),$(part)=/usr/share/doc/$(part)/copyright)
$(IMAGE)/NOTICES: mk/notices.sh LICENSES/BSD-2-Clause.txt mk/image.mk
	@mkdir -p $(@D)
	@mk/notices.sh $@ LICENSES/BSD-2-Clause.txt $(NOTICES)

## image         build/$(ARCH)/*.efi, the monitor, and NOTICES, that goes with it
.PHONY: image
ifneq ($(wildcard arch/$(ARCH)/arch.mk),)
image: $(IMAGE_EFI) $(IMAGE)/NOTICES
else
# An architecture without a folder: only the sources that need none of its headers compile.
image: $(filter $(O)/monitor/lib/%,$(IMAGE_OBJ)) $(if $(EFI),$(EFI_LIB)/libefi.a)
	@missing=$$($(CC) $(IMAGE_CFLAGS) $(IMAGE_CPPFLAGS) $(EFI_INCLUDES) -MM -MG \
		$(filter %.c,$(IMAGE_SRC)) | grep -oE ' arch/[a-z_]+\.h' | sort -u) && \
	echo "image: no folder arch/$(ARCH): it wants arch.mk, image.lds, sources for the functions of" \
		"monitor/arch/*.h, and in include/" $$missing >&2
	@exit 1
endif

-include $(IMAGE_OBJ:.o=.d) $(IMAGE_DEPS_OBJ:.o=.d)
