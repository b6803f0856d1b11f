# SPDX-License-Identifier: BSD-2-Clause
# Unit tests on the host. tests/unit/test_*.c are cmocka programs over arch/fake. Each architecture's
# unit.mk names the tests of its own sources, all of which are run, whatever ARCH is: UNIT_ANYWHERE_a, of
# its sources UNIT_SRC_a, which have no instruction of it and so run on any host, over arch/fake
# (Unicorn runs what they make; a test t that cannot have all of them has UNIT_SRC_t); and UNIT_NATIVE_a, of all its sources, which need a host of that
# architecture. UNIT_DEPS_a and UNIT_CPPFLAGS_a: what these sources take from elsewhere. Each takes
# from archives what it needs; those that include engine_rig.h get engine_*.c as well.
include $(wildcard arch/*/unit.mk)
UNIT_ARCHS := $(patsubst arch/%/unit.mk,%,$(wildcard arch/*/unit.mk))
# the host's own architecture
UNIT_ARCH := $(strip $(foreach a,$(UNIT_ARCHS),$(if $(filter $(HOST_DEBIAN_ARCH),$(DEBIAN_ARCH_$(a))),$(a))))
UNIT_CPPFLAGS = $(LWIP_CPPFLAGS) $(MBEDTLS_CPPFLAGS) $(foreach a,$(UNIT_ARCHS),$(UNIT_CPPFLAGS_$(a)))

HOST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined $(WARN)
HOST_SRC = $(filter-out monitor/boot/%,$(call sources,monitor)) \
	$(shell grep -L '<efi' monitor/boot/*.c 2>/dev/null)

UNIT := build/unit
# $(1): architecture whose contract the sources are compiled against, $(2): what goes in with its own
define host_archive
$(UNIT)/$(1)/%.o: %.c mk/flags.mk mk/deps.mk mk/unit.mk
	@mkdir -p $$(@D)
	@echo "CC $$< (host, $(1))"
	$$(Q)$$(HOSTCC) $$(HOST_CFLAGS) $$(INCLUDES) -Iarch/$(1)/include $$(UNIT_CPPFLAGS) -MD -MP \
		-c $$< -o $$@

$(UNIT)/$(1)/deps/%.o: build/deps/%.c mk/flags.mk mk/deps.mk mk/unit.mk
	@mkdir -p $$(@D)
	@echo "CC $$< (host, $(1))"
	$$(Q)$$(HOSTCC) $$(HOST_CFLAGS) -w $$(INCLUDES) -Iarch/$(1)/include $$(UNIT_CPPFLAGS) -MD -MP \
		-c $$< -o $$@

UNIT_OBJ_$(1) := $$(call objects,$(UNIT)/$(1),$$(filter %.c,$$(call sources,arch/$(1))) $(2))
$(UNIT)/$(1)/libsuture.a: $$(UNIT_OBJ_$(1))
	@rm -f $$@
	$$(Q)ar qcs $$@ $$^

-include $$(UNIT_OBJ_$(1):.o=.d)
endef
$(eval $(call host_archive,fake,$$(HOST_SRC) $$(LWIP_SRC) $$(MBEDTLS_SRC)))
UNIT_NATIVE := $(UNIT_NATIVE_$(UNIT_ARCH))
ifneq ($(UNIT_NATIVE),)
# what only the fake's tests take is not compiled twice: a missing symbol would say so
$(eval $(call host_archive,$(UNIT_ARCH),\
	$$(filter-out monitor/net/% monitor/tls/% monitor/api/% monitor/patch/engine/%,$$(HOST_SRC)) $$(UNIT_DEPS_$(UNIT_ARCH))))
endif

# $(1): architecture; what of it runs anywhere, instead of the fake's functions of the same names: all of
# it is linked, since it may be the portable part that calls it
whole = -Wl,--whole-archive $(1) -Wl,--no-whole-archive
# $(1): of that test
anywhere_archive = $(UNIT)/fake/lib$(if $(UNIT_SRC_$(1)),$(1),$(strip \
	$(foreach a,$(UNIT_ARCHS),$(if $(filter $(1),$(UNIT_ANYWHERE_$(a))),$(a))))).a
define anywhere_sources
UNIT_ANYWHERE_OBJ_$(1) := $$(call objects,$(UNIT)/fake,$$(UNIT_SRC_$(1)) $$(UNIT_DEPS_$(1)))
$(UNIT)/fake/lib$(1).a: $$(UNIT_ANYWHERE_OBJ_$(1))
	@rm -f $$@
	$$(Q)ar qcs $$@ $$^

-include $$(UNIT_ANYWHERE_OBJ_$(1):.o=.d)
endef
define anywhere_test
$(UNIT)/$(1): $(UNIT)/fake/tests/unit/$(1).o $(call anywhere_archive,$(1)) $(UNIT)/fake/libsuture.a
	@echo "LD $$@"
	$$(Q)$$(HOSTCC) $$(HOST_CFLAGS) $$(filter %.o,$$^) $$(call whole,$(call anywhere_archive,$(1))) \
		$(UNIT)/fake/libsuture.a -lcmocka -lunicorn -o $$@

endef
UNIT_ANYWHERE := $(foreach a,$(UNIT_ARCHS),$(UNIT_ANYWHERE_$(a)))
$(foreach s,$(UNIT_ARCHS) $(foreach t,$(UNIT_ANYWHERE),$(if $(UNIT_SRC_$(t)),$(t))),$(eval $(call anywhere_sources,$(s))))
$(foreach t,$(UNIT_ANYWHERE),$(eval $(call anywhere_test,$(t))))

UNIT_TESTS := $(patsubst tests/unit/%.c,$(UNIT)/%,$(wildcard tests/unit/test_*.c))
ANYWHERE_TESTS := $(addprefix $(UNIT)/,$(UNIT_ANYWHERE))
NATIVE_TESTS := $(addprefix $(UNIT)/,$(UNIT_NATIVE))
UNICORN_TESTS := $(ANYWHERE_TESTS) $(NATIVE_TESTS)

ENGINE_RIG := $(patsubst %.c,$(UNIT)/fake/%.o,$(wildcard tests/unit/engine_*.c))
RIG_TESTS := $(basename $(notdir $(shell grep -lE 'engine_(rig|model|blocked|declaration)\.h' tests/unit/test_*.c)))
$(addprefix $(UNIT)/,$(RIG_TESTS)): $(ENGINE_RIG)
# the agent's helper, but for its main()
HELPER_RIG := $(patsubst %.c,$(UNIT)/fake/%.o,tests/unit/helper_rig.c \
	$(filter-out %/main.c,$(wildcard guest-agent/helper/*.c)))
$(filter $(UNIT)/test_helper%,$(UNIT_TESTS)): $(HELPER_RIG)

# the operator's command: how it reads a kernel's image and the entry of a function, and who calls it
CTL_RIG := $(patsubst %.c,$(UNIT)/fake/%.o,ctl/image.c ctl/unpack.c ctl/entry.c)
KALLSYMS_RIG := $(UNIT)/fake/ctl/kallsyms.o
REFS_RIG := $(patsubst %.c,$(UNIT)/fake/%.o,ctl/refs.c ctl/refs_arm64.c ctl/ko.c)
$(CTL_RIG) $(REFS_RIG) $(KALLSYMS_RIG) $(UNIT)/fake/ctl/diff/additions.o: HOST_CFLAGS += -D_GNU_SOURCE
$(UNIT)/test_image: $(CTL_RIG)
$(UNIT)/test_additions: $(UNIT)/fake/ctl/diff/additions.o
$(UNIT)/test_refs: $(REFS_RIG)
$(UNIT)/test_kallsyms: $(KALLSYMS_RIG)
$(UNIT)/test_image $(UNIT)/test_refs: UNIT_LIBS := -lelf -larchive
# openssl's keys, certificates and signatures
$(UNIT)/test_keys $(UNIT)/test_identity $(UNIT)/test_audit: UNIT_LIBS := -lcrypto
$(UNIT)/test_tls: UNIT_LIBS := -lssl -lcrypto
-include $(CTL_RIG:.o=.d) $(REFS_RIG:.o=.d) $(KALLSYMS_RIG:.o=.d)

$(UNIT_TESTS): $(UNIT)/%: $(UNIT)/fake/tests/unit/%.o $(UNIT)/fake/libsuture.a
	@echo "LD $@"
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(UNIT_LIBS) -o $@

NATIVE_RIG := $(UNIT)/$(UNIT_ARCH)/tests/unit/native_rig.o
$(NATIVE_TESTS): $(UNIT)/%: $(UNIT)/$(UNIT_ARCH)/tests/unit/%.o $(NATIVE_RIG) $(UNIT)/$(UNIT_ARCH)/libsuture.a
	@echo "LD $@"
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(filter %.o,$^) $(filter %.a,$^) -lcmocka -lunicorn -o $@

# Growth: tests/unit/growth_*.c count the basic blocks that the monitor's code executes.
GROWTH_TESTS := $(patsubst tests/unit/%.c,$(UNIT)/%,$(wildcard tests/unit/growth_*.c))
GROWTH_OBJ := $(call objects,$(UNIT)/growth,$(filter $(addprefix monitor/,lib/% core/% guest/% \
	stage2/% patch/%),$(HOST_SRC)))
$(UNIT)/growth/%.o: %.c mk/flags.mk mk/unit.mk
	@mkdir -p $(@D)
	@echo "CC $< (host, counted)"
	$(Q)$(HOSTCC) $(filter-out -fsanitize% -fno-sanitize%,$(HOST_CFLAGS)) -fsanitize-coverage=trace-pc \
		$(INCLUDES) -Iarch/fake/include $(UNIT_CPPFLAGS) -MD -MP -c $< -o $@

$(GROWTH_TESTS): $(UNIT)/%: $(UNIT)/fake/tests/unit/%.o $(GROWTH_OBJ) $(UNIT)/fake/libsuture.a
	@echo "LD $@"
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(GROWTH_WRAP) $(filter %.o,$^) $(filter %.a,$^) -lcmocka -o $@

# it counts what is executed in pauses
$(UNIT)/growth_functions: GROWTH_WRAP := -Wl,--wrap=pause_begin,--wrap=pause_end
-include $(GROWTH_OBJ:.o=.d)

-include $(ENGINE_RIG:.o=.d) $(HELPER_RIG:.o=.d) \
	$(patsubst $(UNIT)/%,$(UNIT)/fake/tests/unit/%.d,$(UNIT_TESTS) $(ANYWHERE_TESTS) $(GROWTH_TESTS)) \
	$(patsubst $(UNIT)/%,$(UNIT)/$(UNIT_ARCH)/tests/unit/%.d,$(NATIVE_TESTS))

## check-unit    unit tests on the host, with sanitizers
.PHONY: check-unit
check-unit: $(UNIT_TESTS) $(GROWTH_TESTS) $(UNICORN_TESTS)
	@mk/run-unit.sh build/logs $^

# The engine against its model, deeper than check-unit goes, and so without sanitizers.
MODEL := build/model
MODEL_SRC := $(wildcard tests/unit/engine_*.c monitor/patch/engine/*.c monitor/lib/*.c) \
	monitor/core/audit.c monitor/patch/bundle.c monitor/patch/floor.c monitor/patch/version.c
$(MODEL)/%: tests/unit/%.c $(MODEL_SRC) $(wildcard tests/unit/engine_*.h monitor/patch/*.h monitor/patch/engine/*.h) mk/unit.mk
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(HOSTCC) -std=gnu11 -O2 -g $(WARN) $(INCLUDES) -Iarch/fake/include $(IMAGE_CPPFLAGS) \
		$< $(MODEL_SRC) -lcmocka -o $@

## check-model   every sequence of five events, and a million at random, against the engine's model
.PHONY: check-model
check-model: $(addprefix $(MODEL)/,test_engine_model test_engine_walk)
	@env SUTURE_MODEL_DEPTH=$(or $(SUTURE_MODEL_DEPTH),5) \
		SUTURE_MODEL_STEPS=$(or $(SUTURE_MODEL_STEPS),1000000) SUTURE_WALK_STEPS=200000 \
		mk/run-unit.sh build/logs/model $^
