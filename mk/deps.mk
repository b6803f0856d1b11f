# SPDX-License-Identifier: BSD-2-Clause
# Debian source packages that are compiled into the monitor. make reads the stamp as a makefile, so
# the sources exist before any rule below refers to them.
DEPS := build/deps
OFFLINE_GOALS := setup help clean

ifneq ($(filter-out $(OFFLINE_GOALS),$(or $(MAKECMDGOALS),all)),)
include $(DEPS)/ready.mk
endif

$(DEPS)/ready.mk: mk/deps.sh mk/apt.sh | $(SETUP)
	@mk/deps.sh $(DEPS) lwip zydis
	@echo "# sources unpacked" >$@

# lwIP: IPv4 and TCP over Ethernet, one context, no operating system; lwIP's own lists of files
LWIPDIR := $(DEPS)/lwip/src
-include $(LWIPDIR)/Filelists.mk
LWIP_SRC := $(if $(wildcard monitor/net/port/lwipopts.h),$(COREFILES) $(CORE4FILES) \
	$(LWIPDIR)/netif/ethernet.c)
LWIP_CPPFLAGS := -Imonitor/net/port -isystem $(LWIPDIR)/include

# Zydis: the decoder alone. Minimal mode: lengths, mnemonics and raw parts, no table of operands. KNC:
# vector instructions of Knights Corner, which has no virtualization.
ZYDIS_SRC := $(addprefix $(DEPS)/zydis/src/,Decoder.c DecoderData.c MetaInfo.c Mnemonic.c \
	Register.c Segment.c SharedData.c Utils.c Zydis.c)
ZYDIS_CPPFLAGS := -isystem $(DEPS)/zydis/include -isystem $(DEPS)/zydis/src -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD \
	-DZYDIS_DISABLE_FORMATTER -DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_KNC -DZYDIS_MINIMAL_MODE \
	-DZYAN_NO_LIBC

# gnu-efi of another architecture
$(DEPS)/gnu-efi-%/usr/lib/libefi.a: mk/deb.sh mk/apt.sh | $(SETUP)
	@mk/deb.sh $(DEPS)/gnu-efi-$* $* gnu-efi
	@touch $@

# create-diff-object, a program that suture build --diff runs
CREATE_DIFF_OBJECT := $(DEPS)/kpatch/create-diff-object
$(CREATE_DIFF_OBJECT): mk/kpatch.sh mk/apt.sh | $(SETUP)
	@mk/kpatch.sh $(@D)
