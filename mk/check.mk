# SPDX-License-Identifier: BSD-2-Clause
QEMU_NEEDS := image agent ctl guest $(GRUB_$(ARCH)) $(if $(filter intel,$(VENDOR)),bochs)
# the platform of tests/qemu/platforms.py; VENDOR: whose virtualization a machine of ARCH=x86 has
PLATFORM_amd := x86-svm
PLATFORM_intel := x86-vmx
PLATFORM_x86 := $(PLATFORM_$(or $(VENDOR),amd))
PLATFORM_arm64 := arm64-virt
ifeq ($(PLATFORM_$(ARCH)),)
$(error VENDOR=$(VENDOR) is neither amd nor intel)
endif
SUTURE_PLATFORM ?= $(PLATFORM_$(ARCH))
export SUTURE_PLATFORM
# number of machines at a time; the tests of one file run one after the other
QEMU_JOBS ?= 2
# $(1): seconds; $(2): NAME=VALUE ... for the tests
# --foreground and exec: an interrupt of make reaches pytest, which stops its machines
PYTEST = cd tests/qemu && exec env PYTHONDONTWRITEBYTECODE=1 $(2) timeout --foreground -k 10 $(1) \
	$(PYTHON) -m pytest -p no:cacheprovider -q --tb=short --durations=25 --durations-min=10 -n $(QEMU_JOBS) --dist loadfile

CHECK_PARTS_x86 := $(if $(filter intel,$(VENDOR)),intel,host amd intel rest arm64)
CHECK_PARTS_arm64 := arm64

## check         everything but what takes hours: the parts host, amd, intel, rest and arm64; with
##               ARCH=arm64 the part arm64, with VENDOR=intel the part intel; ends with N passed, N failed
.PHONY: check
check: $(SETUP)
	@mk/check.sh build/logs $(CHECK_PARTS_$(ARCH))

## check-host    the part without machines: build, lint, unit tests
## check-amd     the part on AMD's SVM: kernels, fixes, QEMU tests
## check-intel   the part on Intel's VMX, in Bochs
## check-rest    the part with hostile input, and with guests and helpers that break
## check-arm64   the part on arm64
PARTS := check-host check-amd check-intel check-rest check-arm64
.PHONY: $(PARTS)
$(PARTS): check-%: $(SETUP)
	@mk/check.sh build/logs $*

# Tests with a host thread for each CPU are in check-races, since they show open faults
# (docs/testing.md)
MULTI_TESTS := "test_boots.py::test_boots[1-multi]" "test_boots.py::test_boots[2-multi]" \
	"test_boots.py::test_boots[4-multi]" "test_life.py::test_hotplug[multi]" \
	"test_boot.py::test_smp_multithreaded"
# Every test file. The long ones come first, so that none of them runs alone at the end. A worker
# gets its next file when two tests of its last one are left, so a short file follows a file with a
# long test.
LONG_TESTS := test_mixture.py test_kexec.py test_unwind.py test_kdump.py test_fault.py \
	test_mishaps.py test_patch.py test_kselftest.py test_life.py test_differential.py test_text.py \
	test_check.py test_probes.py
# test_fixes.py and test_diffs.py need another kernel (check-fixes), test_disk.py a disk (check-disk), test_packages.py
# packages (check-deb), test_system.py a disk with them (check-system), test_vmx.py Bochs (check-intel); test_races.py
# shows an open fault (check-races)
ALL_TESTS := $(LONG_TESTS) $(filter-out $(LONG_TESTS) test_fixes.py test_diffs.py test_disk.py test_packages.py test_races.py \
	test_system.py test_vmx.py,$(notdir $(sort $(wildcard tests/qemu/test_*.py))))
TESTS ?= $(ALL_TESTS)
REST_TESTS := test_fault.py test_restart.py test_gone.py test_mishaps.py test_kdump.py test_agent.py test_api.py test_build.py test_dead.py test_sick.py \
	test_terminal.py test_command.py test_install.py test_readme.py test_hostile.py

# `make check` has fewer rounds of these tests; check-counts of check-long, and check-qemu, have all
SHORT_COUNTS := SUTURE_ROUNDS=60 SUTURE_KEXECS=1 SUTURE_KDUMPS=2 SUTURE_PAUSES=2000 SUTURE_STEPS=30 \
	SUTURE_APPLIES=30 SUTURE_FAULTS=9 SUTURE_ABORTS=60 SUTURE_POWERCUTS=1
COUNT_TESTS := test_restart.py test_mixture.py test_kexec.py test_kdump.py test_life.py::test_nothing_lost \
	test_differential.py test_patch.py::test_hundred test_tls.py::test_aborted_handshakes \
	test_desired.py::test_power_cuts
# and omits tests whose result others imply: test_boot.py boots with as many CPUs; of the places where
# the service CPU dies eight remain; test_same_as_linux takes more steps. test_testssl takes minutes
SHORT_LEFT_OUT := test_boots.py test_differential.py::test_alone test_tls.py::test_testssl \
	$(patsubst %,"test_fault.py::test_service_cpu_dies[%]",apply-before-pause apply-after-pause \
	apply-after-check apply-first-leaf apply-before-end revert-prepare revert-before-pause \
	revert-after-pause revert-after-check revert-first-leaf revert-before-end revert-after-end)
deselect = $(addprefix --deselect=,$(1))

## check-qemu    tests in QEMU (TESTS="test_boot.py -k smp" to choose)
.PHONY: check-qemu check-qemu-amd check-qemu-intel check-qemu-rest check-qemu-arm64 check-counts
check-qemu: $(QEMU_NEEDS) $(if $(findstring kselftest,$(TESTS)),kselftest)
	@$(call PYTEST,5400) $(call deselect,$(MULTI_TESTS)) $(TESTS)

check-qemu-amd: $(QEMU_NEEDS) kselftest
	@$(call PYTEST,5400,$(SHORT_COUNTS)) $(call deselect,$(MULTI_TESTS) $(SHORT_LEFT_OUT)) \
		$(filter-out $(REST_TESTS),$(ALL_TESTS))

# What make check runs on VMX, where Bochs is slower than QEMU; check-intel-long has what else passes there
INTEL_TESTS := test_hide.py test_mixture.py "test_kdump.py::test_kdump[alive]" test_text.py::test_key_and_call_beside \
	test_text.py::test_key_inside test_text.py::test_module_loaded test_hostile.py::test_gains_nothing \
	test_hostile.py::test_ends_itself test_vmx.py "test_boot.py::test_smp[2]" test_boot.py::test_cpu_offline_online \
	test_patch.py::test_apply_and_revert test_patch.py::test_unexported \
	test_patch.py::test_module_object test_patch.py::test_blocker test_msr.py::test_memory_types
INTEL_LONG_TESTS := "test_boots.py::test_boots[1-single]" "test_boots.py::test_boots[2-single]" \
	test_mixture.py "test_kexec.py::test_kexec[alive-same-place]" test_kdump.py test_life.py::test_reboot

check-qemu-intel: $(QEMU_NEEDS)
	@$(call PYTEST,1200,$(SHORT_COUNTS) SUTURE_ROUNDS=30 SUTURE_KDUMPS=1) $(INTEL_TESTS)

## check-intel-long  on VMX 20 boots with 1 and with 2 CPUs, 200 rounds, kernels that are replaced (VENDOR=intel)
.PHONY: check-intel-long
check-intel-long: $(QEMU_NEEDS)
	@$(call PYTEST,14400,SUTURE_ROUNDS=200 SUTURE_BOOTS=20 SUTURE_KEXECS=1 SUTURE_KDUMPS=1) $(INTEL_LONG_TESTS)

check-qemu-rest: $(QEMU_NEEDS) $(QEMU10_$(ARCH))
	@$(call PYTEST,1800,$(SHORT_COUNTS)) $(call deselect,$(SHORT_LEFT_OUT)) $(REST_TESTS)

# What make check leaves out on arm64 for time, in the form of pytest's --deselect: check-arm64-long has
# it. mk/lint-tests.py makes the table in docs/testing.md of these lists and of the tests' marks.
of = $(addprefix $(1).py::test_,$(2))
ARM64_LEFT_OUT := test_api.py test_callbacks.py test_clones.py test_dead.py test_differential.py \
	test_examples.py test_idle.py test_in_force.py test_payloads.py test_probes.py test_rollback.py \
	test_scale.py test_sick.py test_sites.py test_sysfs.py test_tls.py \
	$(call of,test_bell,offline symbols_of_a_stack waits) test_boots.py::test_boots \
	$(call of,test_boot,api_answers api_same_port_again bad_configuration boot_time firmware_variables \
		grub hidden no_configuration reboot) \
	$(call of,test_build,against_kernel bad_files clones compressed_module export inlined \
		modules no_image warnings wrong_image) \
	$(call of,test_kselftest,sample sample_callbacks sample_shadow) \
	$(call of,test_life,agent_again end_that_is_none module_unload reboot) \
	$(call of,test_mishaps,helper_hangs init_ends_late init_too_long memory_full) test_keys.py::test_own_key \
	$(call of,test_kexec,kexec_in_transition kexec_one_cpu) \
	$(call of,test_payload_text,swap_alone_is_taken swapped_declaration kprobe_in_code changed_code)
ARM64_LEFT_OUT += $(patsubst %,"test_boots.py::test_machines[%]",cortex-a72-acpi cortex-a72-dt \
	neoverse-n1-acpi max-acpi max-dt) \
	$(patsubst %,"test_kexec.py::test_kexec[%]",alive-random alive-same-place dead-same-place) \
	"test_kdump.py::test_kdump[alive]" "test_life.py::test_poweroff[dead]" \
	$(patsubst %,"test_hostile.py::test_hangs_itself[kernel_in_page_tables_of_%]",a_device nothing)
# of the places where the service CPU dies one remains
ARM64_LEFT_OUT += $(patsubst %,"test_fault.py::test_service_cpu_dies[%]", \
	$(addprefix apply-,prepare before-pause after-pause after-check before-commit after-commit first-leaf \
		before-end after-end) \
	$(addprefix revert-,prepare before-pause after-pause after-check before-commit after-commit \
		first-leaf second-leaf before-end after-end))

check-qemu-arm64: $(QEMU_NEEDS) kselftest
	@$(call PYTEST,1800,$(SHORT_COUNTS) SUTURE_KDUMPS=1 SUTURE_FAULTS=3) \
		$(call deselect,$(MULTI_TESTS) $(ARM64_LEFT_OUT)) $(ALL_TESTS)

## check-arm64-long  what make check leaves out on arm64, and all rounds (ARCH=arm64)
.PHONY: check-arm64-long
check-arm64-long: $(QEMU_NEEDS) kselftest
	@$(call PYTEST,14400) $(call deselect,$(MULTI_TESTS)) $(ARM64_LEFT_OUT) $(COUNT_TESTS)

# what make check leaves out, by machine; of Intel all that runs
.PHONY: test-lists
test-lists:
	@printf 'AMD long %s\n' $(MULTI_TESTS) $(SHORT_LEFT_OUT) test_diffs.py test_disk.py test_packages.py test_races.py \
		test_system.py
	@printf 'arm64 long %s\n' $(ARM64_LEFT_OUT)
	@printf 'Intel check %s\n' $(INTEL_TESTS)
	@printf 'Intel long %s\n' $(INTEL_LONG_TESTS)

## docs-tests    the table in docs/testing.md: which test runs where, and why not elsewhere
.PHONY: docs-tests
docs-tests:
	@mk/lint-tests.py --write

## check-native  the guest and its agent without the monitor
.PHONY: check-native
check-native: agent guest
	@$(call PYTEST,900) test_native.py

## check-counts  what make check runs with fewer rounds or leaves out, in full
check-counts: $(QEMU_NEEDS)
	@$(call PYTEST,14400) $(call deselect,$(MULTI_TESTS)) $(COUNT_TESTS) $(SHORT_LEFT_OUT)

## check-kselftest  Linux's livepatch selftests and samples, a line for each script (KERNEL=6.12-cloud-amd64)
.PHONY: check-kselftest
check-kselftest: $(QEMU_NEEDS) kselftest
	@$(call PYTEST,1200) test_kselftest.py

BOOT_TESTS_x86 := test_boots.py::test_many_cpus
## check-boot    20 boots each with 1, 2 and 4 guest CPUs; on x86 one with 127
.PHONY: check-boot
check-boot: $(QEMU_NEEDS) $(QEMU10_$(ARCH))
	@$(call PYTEST,7200,SUTURE_BOOTS=20) --dist load test_boots.py::test_boots $(BOOT_TESTS_$(ARCH))

## soak          10,000 applies and reverts under load, with 3,000 more tasks (SUTURE_ROUNDS, SUTURE_TASKS)
.PHONY: soak
soak: $(QEMU_NEEDS)
	@$(call PYTEST,86400,SUTURE_ROUNDS=$(or $(SUTURE_ROUNDS),10000) SUTURE_TASKS=$(or $(SUTURE_TASKS),3000)) test_mixture.py

## check-disk    100 boots of a Debian disk, multi-threaded (SUTURE_DISK_BOOTS; SUTURE_NATIVE=1: without the monitor)
.PHONY: check-disk
check-disk: $(QEMU_NEEDS) $(QEMU10)/version $(DISK)
	@$(call PYTEST,86400) -n 0 -s test_disk.py

## check-races   races, each CPU in a thread of its own (SUTURE_NATIVE=1: the guest without the monitor)
.PHONY: check-races
check-races: $(QEMU_NEEDS) $(QEMU10)/version
	@$(call PYTEST,3600) -n 0 -s test_races.py $(if $(SUTURE_NATIVE),,$(MULTI_TESTS))

## check-long    what takes hours: all rounds, every kernel, boots, races, the Debian disk, the soak
.PHONY: check-long
check-long: $(SETUP)
	@mk/check.sh build/logs long

# Tests that must pass with every kernel: boot, CPUs, patches of the kernel and of a module,
# blockers, unexported symbols, the proof that the new code runs, and others that divert calls; on
# arm64 also what the check finds by the kernel's own structures, each kind of machine, twice, and
# what ends a kernel
KERNEL_TESTS := "test_boot.py::test_smp[2]" test_boot.py::test_cpu_offline_online \
	test_patch.py::test_apply_and_revert test_patch.py::test_unexported \
	test_patch.py::test_module_object test_patch.py::test_blocker test_agent.py::test_sysfs \
	test_agent.py::test_bad_symbol test_agent.py::test_init_fails_late test_in_force.py \
	test_readback.py test_clones.py
KERNEL_TESTS_arm64 := test_unwind.py test_check.py test_probes.py test_boots.py::test_machines \
	test_text.py::test_function_tracer \
	"test_life.py::test_hotplug[single]" "test_life.py::test_reboot[dead]" \
	"test_life.py::test_poweroff[dead]" "test_kexec.py::test_kexec[dead-random]"
KERNELS_x86 := 5.10-cloud-amd64 6.1-cloud-amd64 6.1-rt-amd64 6.12-cloud-amd64 sid-cloud-amd64
KERNELS_arm64 := 6.1-cloud-arm64 6.12-cloud-arm64 sid-cloud-arm64

## check-kernel  the tests that must pass with every kernel (GUEST=6.12-cloud-amd64)
.PHONY: check-kernel
check-kernel: $(QEMU_NEEDS)
	@$(call PYTEST,3600,SUTURE_BOOTS_EACH=2 SUTURE_REBOOTS=1 SUTURE_KEXECS=1) $(KERNEL_TESTS) $(KERNEL_TESTS_$(ARCH))

## check-kernels the same with each kernel that Suture supports
.PHONY: check-kernels
check-kernels: image ctl
	@ARCH=$(ARCH) mk/check-kernels.sh build/logs $(KERNELS_$(ARCH))

## demo          boot a Debian kernel, patch it over the network, revert it (VENDOR=intel: in Bochs)
.PHONY: demo
demo: $(QEMU_NEEDS)
	@$(PYTHON) tests/demo/demo.py
