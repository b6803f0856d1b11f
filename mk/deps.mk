# SPDX-License-Identifier: BSD-2-Clause
# Debian source packages that are compiled into the monitor. make reads the stamps as makefiles, so
# the compiler of ARCH is installed, and the sources exist, before any rule below refers to them.
DEPS := build/deps
OFFLINE_GOALS := setup help clean

ifneq ($(filter-out $(OFFLINE_GOALS),$(or $(MAKECMDGOALS),all)),)
include $(SETUP)
include $(DEPS)/ready.mk
include $(DEPS)/mbedtls.mk
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

# mbedTLS 3.6 with TLS 1.3: Debian 12's own, 2.28, has TLS 1.2 only
$(DEPS)/mbedtls.mk: mk/trixie.sh | $(SETUP) $(DEPS)/ready.mk
	@mk/trixie.sh $(DEPS) mbedtls
	@echo "# sources unpacked" >$@

# a file that the options leave nothing of is not in the list
MBEDTLS_SRC := $(addprefix $(DEPS)/mbedtls/library/,$(addsuffix .c,aes asn1parse asn1write base64 bignum \
	bignum_core block_cipher chacha20 chachapoly cipher cipher_wrap constant_time ctr_drbg ecdh ecdsa ecp \
	ecp_curves gcm hkdf md memory_buffer_alloc oid pem pk pk_ecc pk_wrap pkparse pkwrite platform \
	platform_util poly1305 psa_crypto psa_crypto_aead psa_crypto_cipher psa_crypto_client \
	psa_crypto_driver_wrappers_no_static psa_crypto_ecp psa_crypto_hash psa_crypto_mac psa_crypto_rsa \
	psa_crypto_slot_management psa_util sha256 ssl_ciphersuites ssl_client ssl_debug_helpers_generated \
	ssl_msg ssl_tls ssl_tls13_generic ssl_tls13_keys ssl_tls13_server x509 x509_create x509_crt x509write \
	x509write_csr))
MBEDTLS_CPPFLAGS := -isystem $(DEPS)/mbedtls/include '-DMBEDTLS_CONFIG_FILE=<suture_mbedtls.h>' \
	-Imonitor/tls/port

# gnu-efi of another architecture
$(DEPS)/gnu-efi-%/usr/lib/libefi.a: mk/deb.sh mk/apt.sh | $(SETUP)
	@mk/deb.sh $(DEPS)/gnu-efi-$* $* gnu-efi
	@touch $@

# create-diff-object, a program that suture build --diff runs
CREATE_DIFF_OBJECT := $(DEPS)/kpatch/create-diff-object
$(CREATE_DIFF_OBJECT): mk/kpatch.sh mk/apt.sh | $(SETUP)
	@mk/kpatch.sh $(@D)
