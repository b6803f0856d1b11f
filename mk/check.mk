# SPDX-License-Identifier: BSD-2-Clause
QEMU_NEEDS := image agent ctl guest
# so many machines at a time, the tests of one file behind one another
QEMU_JOBS ?= 2
# $(1): seconds; $(2): NAME=VALUE ... for the tests
PYTEST = cd tests/qemu && env PYTHONDONTWRITEBYTECODE=1 $(2) timeout -k 10 $(1) \
	$(PYTHON) -m pytest -p no:cacheprovider -q --tb=short -n $(QEMU_JOBS) --dist loadfile

## check         everything: build, lint, unit tests, QEMU tests; ends with N passed, N failed
.PHONY: check
check: $(SETUP)
	@mk/check.sh build/logs

# Every test file. The long ones first, so that no worker is left alone with one at the end; a worker
# gets its next file when two tests of the last one are left, so with a long test goes a short file.
LONG_TESTS := test_mixture.py test_kexec.py test_unwind.py test_kdump.py test_fault.py \
	test_mishaps.py test_patch.py test_kselftest.py test_life.py test_differential.py test_text.py \
	test_check.py test_probes.py
# test_fixes.py has a kernel of its own: check-fixes; test_disk.py a disk: check-disk; test_races.py an
# open fault: check-races
TESTS ?= $(LONG_TESTS) $(filter-out $(LONG_TESTS) test_fixes.py test_disk.py test_races.py,$(notdir $(sort $(wildcard tests/qemu/test_*.py))))

# What runs each CPU in a thread of its own has open faults (docs/testing.md): check-races
MULTI_TESTS := "test_boots.py::test_boots[1-multi]" "test_boots.py::test_boots[2-multi]" \
	"test_boots.py::test_boots[4-multi]" "test_life.py::test_hotplug[multi]" \
	"test_boot.py::test_smp_multithreaded"

## check-qemu    tests in QEMU (TESTS="test_boot.py -k smp" to choose)
.PHONY: check-qemu
check-qemu: $(QEMU_NEEDS) $(if $(findstring kselftest,$(TESTS)),kselftest)
	@$(call PYTEST,5400) $(addprefix --deselect=,$(MULTI_TESTS)) $(TESTS)

## check-kselftest  Linux's livepatch selftests and samples, a line for each script (KERNEL=6.12-cloud-amd64)
.PHONY: check-kselftest
check-kselftest: $(QEMU_NEEDS) kselftest
	@$(call PYTEST,1200) test_kselftest.py

## check-boot    20 boots each with 1, 2 and 4 guest CPUs
.PHONY: check-boot
check-boot: $(QEMU_NEEDS) $(QEMU10)/version
	@$(call PYTEST,5400,SUTURE_BOOTS=20) --dist load test_boots.py

## soak          10,000 applies and reverts under load (SUTURE_ROUNDS)
.PHONY: soak
soak: $(QEMU_NEEDS)
	@$(call PYTEST,86400,SUTURE_ROUNDS=$(or $(SUTURE_ROUNDS),10000)) test_mixture.py

## check-disk    100 boots of a Debian disk, multi-threaded (SUTURE_DISK_BOOTS; SUTURE_NATIVE=1: without the monitor)
.PHONY: check-disk
check-disk: $(QEMU_NEEDS) $(QEMU10)/version $(DISK)
	@$(call PYTEST,86400) -n 0 -s test_disk.py

## check-races   races, each CPU in a thread of its own (SUTURE_NATIVE=1: the guest without the monitor)
.PHONY: check-races
check-races: $(QEMU_NEEDS) $(QEMU10)/version
	@$(call PYTEST,3600) -n 0 -s test_races.py $(if $(SUTURE_NATIVE),,$(MULTI_TESTS))

## check-long    what takes hours: every kernel, boots, races, the Debian disk, the soak
.PHONY: check-long
check-long: $(SETUP)
	@mk/check.sh build/logs long

# What must work with every kernel: boot, CPUs, patches of the kernel and of a module, blockers,
# unexported symbols, and what tells whether the new code is what runs
KERNEL_TESTS := "test_boot.py::test_smp[2]" test_boot.py::test_cpu_offline_online \
	test_patch.py::test_apply_and_revert test_patch.py::test_unexported \
	test_patch.py::test_module_object test_patch.py::test_blocker test_agent.py::test_sysfs \
	test_agent.py::test_bad_symbol test_agent.py::test_init_fails_late \
	test_in_force.py test_readback.py test_clones.py
KERNELS := 5.10-cloud-amd64 6.1-cloud-amd64 6.1-rt-amd64 6.12-cloud-amd64 sid-cloud-amd64

## check-kernel  the tests that must pass with every kernel (GUEST=6.12-cloud-amd64)
.PHONY: check-kernel
check-kernel: $(QEMU_NEEDS)
	@$(call PYTEST,1800) $(KERNEL_TESTS)

## check-kernels the same with each kernel that Suture supports
.PHONY: check-kernels
check-kernels: image ctl
	@mk/check-kernels.sh build/logs $(KERNELS)

## demo          boot a Debian kernel, patch it over the network, revert it
.PHONY: demo
demo: $(QEMU_NEEDS)
	@$(PYTHON) tests/demo/demo.py
