# SPDX-License-Identifier: BSD-2-Clause
# libFuzzer over TLS and the API: the monitor's portable part over arch/fake, with sanitizers, and
# openssl's client (tests/fuzz). Inputs that found something new stay in build/fuzz/corpus.
FUZZ := build/fuzz
FUZZ_SECONDS ?= 20
FUZZ_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -w
FUZZ_OBJ := $(call objects,$(FUZZ),$(HOST_SRC) $(filter %.c,$(call sources,arch/fake)) $(LWIP_SRC) $(MBEDTLS_SRC))
FUZZ_MAIN := $(FUZZ)/tests/fuzz/fuzz_tls.o
# arithmetic, of which a client's bytes choose no branch: it has no coverage, since a handshake is ten times as slow with it
FUZZ_FAST := $(patsubst %,$(FUZZ)/deps/mbedtls/library/%.o,aes bignum bignum_core chacha20 constant_time ctr_drbg ecp \
	ecp_curves gcm poly1305 sha256)
$(FUZZ_FAST): FUZZ_COVERAGE := -O2 -fno-sanitize=undefined
FUZZ_COVERAGE := -fsanitize=fuzzer-no-link
FUZZ_CC = clang $(FUZZ_CFLAGS) $(FUZZ_COVERAGE) $(INCLUDES) -Iarch/fake/include $(UNIT_CPPFLAGS) -MD -MP -c

$(FUZZ)/%.o: %.c mk/flags.mk mk/deps.mk mk/fuzz.mk
	@mkdir -p $(@D)
	@echo "CC $< (fuzz)"
	$(Q)$(FUZZ_CC) $< -o $@

$(FUZZ)/deps/%.o: build/deps/%.c mk/flags.mk mk/deps.mk mk/fuzz.mk
	@mkdir -p $(@D)
	@echo "CC $< (fuzz)"
	$(Q)$(FUZZ_CC) $< -o $@

# which takes what it needs: the rest has no architecture
$(FUZZ)/libsuture.a: $(FUZZ_OBJ)
	@rm -f $@
	$(Q)ar qcs $@ $^

$(FUZZ)/fuzz_tls: $(FUZZ_MAIN) $(FUZZ)/libsuture.a
	@echo "LD $@"
	$(Q)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer $^ -lcmocka -lssl -lcrypto -o $@

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_MAIN:.o=.d)

## check-fuzz    what a client of the API may send, at random, with sanitizers (FUZZ_SECONDS)
.PHONY: check-fuzz
check-fuzz: $(FUZZ)/fuzz_tls
	@mkdir -p $(FUZZ)/corpus
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=4096 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus 2>$(FUZZ)/log || { tail -n 40 $(FUZZ)/log; exit 1; }
	@grep -E '^(stat::number_of_executed_units|Done )' $(FUZZ)/log
