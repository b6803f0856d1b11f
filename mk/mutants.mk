# SPDX-License-Identifier: BSD-2-Clause
# Mutants: programs of unit tests with one point of the code left out (monitor/lib/mutate.h). Only
# the files that know the point are compiled anew; the rest comes from the archive.
MUTANTS := build/mutants
MUTANT_SRC := $(shell grep -lE 'MUTATION\($(MUTATE)\)' -r monitor \
	$(sort $(foreach a,$(UNIT_ARCHS) $(UNIT_ANYWHERE),$(UNIT_SRC_$(a)))) --include='*.c' 2>/dev/null)
# of a program that tests an architecture: the rest of its sources
mutant_archive = $(if $(filter $(1),$(UNIT_ANYWHERE)),$(call anywhere_archive,$(1)))

$(MUTANTS)/$(MUTATE)/test_tls: UNIT_LIBS := -lssl -lcrypto
$(MUTANTS)/$(MUTATE)/test_identity: UNIT_LIBS := -lcrypto
$(MUTANTS)/$(MUTATE)/%: $(UNIT)/fake/tests/unit/%.o $(UNIT)/fake/libsuture.a $(MUTANT_SRC)
	@mkdir -p $(@D)
	@test -n "$(MUTANT_SRC)" || { echo "nothing is left out with MUTATE=$(MUTATE)"; exit 1; }
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(INCLUDES) -Iarch/fake/include $(UNIT_CPPFLAGS) -DSUTURE_MUTATE_$(MUTATE) \
		$(MUTANT_SRC) $(filter %.o,$^) $(if $(filter $(RIG_TESTS),$*),$(ENGINE_RIG)) \
		$(call mutant_archive,$*) $(filter %.a,$^) -lcmocka -lunicorn $(UNIT_LIBS) -o $@

MUTANT_TESTS := $(sort $(shell awk '!/^\#/ && NF { print "$(UNIT)/" $$2 }' tests/unit/mutants.txt))

## check-mutants each point of the check left out in turn: its test must fail
.PHONY: check-mutants
check-mutants: $(MUTANT_TESTS)
	@mk/check-mutants.sh tests/unit/mutants.txt $(MUTANTS) $(MAKE)
