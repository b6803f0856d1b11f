# SPDX-License-Identifier: BSD-2-Clause
QEMU_NEEDS := image agent ctl guest
# so many machines at a time, the tests of one file behind one another
QEMU_JOBS ?= 2
# $(1): seconds; $(2): NAME=VALUE ... for the tests
PYTEST = cd tests/qemu && env PYTHONDONTWRITEBYTECODE=1 $(2) timeout -k 10 $(1) \
	$(PYTHON) -m pytest -p no:cacheprovider -q --tb=short -n $(QEMU_JOBS) --dist loadfile

## check         everything: build, lint, unit tests, QEMU tests; ends with N passed, N failed
.PHONY: check
check: build/setup.stamp
	@mk/check.sh build/logs

# the plain cases: what `make check` runs
TESTS ?= test_native.py test_boot.py test_boots.py test_patch.py test_api.py test_agent.py \
	test_sysfs.py test_kselftest.py test_callbacks.py test_examples.py test_differential.py
# under fire: sound so far where they ran, but not yet seen to pass in one run often enough for CI
FIRE_TESTS := test_check.py test_probes.py test_text.py test_unwind.py test_mixture.py test_life.py \
	test_kexec.py test_fault.py

## check-qemu    tests in QEMU (TESTS="test_boot.py -k smp" to choose)
.PHONY: check-qemu
check-qemu: $(QEMU_NEEDS) $(if $(findstring kselftest,$(TESTS)),kselftest)
	@$(call PYTEST,2400) $(TESTS)

## check-kselftest  Linux's livepatch selftests and samples, a line for each script (KERNEL=6.12-cloud-amd64)
.PHONY: check-kselftest
check-kselftest: $(QEMU_NEEDS) kselftest
	@$(call PYTEST,1200) test_kselftest.py

## check-fire    the check's corners, text writes, mixtures, kexec, a service CPU that dies
.PHONY: check-fire
check-fire: $(QEMU_NEEDS)
	@$(call PYTEST,5400) $(FIRE_TESTS)

## check-boot    20 boots each with 1, 2 and 4 guest CPUs
.PHONY: check-boot
check-boot: $(QEMU_NEEDS)
	@$(call PYTEST,5400,SUTURE_BOOTS=20) --dist load test_boots.py

## check-life    over 50 kexecs, 20 kdumps, 20 reboots; the service CPU dies at each step
.PHONY: check-life
check-life: $(QEMU_NEEDS)
	@$(call PYTEST,7200,SUTURE_KEXECS=13 SUTURE_KDUMPS=10 SUTURE_REBOOTS=10 SUTURE_FAULTS=all) \
		test_kexec.py test_life.py test_fault.py

## soak          the same, longer: 10,000 applies and reverts under load (SUTURE_ROUNDS)
.PHONY: soak
soak: $(QEMU_NEEDS)
	@$(call PYTEST,86400,SUTURE_ROUNDS=$(or $(SUTURE_ROUNDS),10000)) test_mixture.py

# What must work with every kernel: boot, CPUs, patches of the kernel and of a module, blockers,
# unexported symbols
KERNEL_TESTS := "test_boot.py::test_smp[2]" test_boot.py::test_cpu_offline_online \
	test_patch.py::test_apply_and_revert test_patch.py::test_unexported \
	test_patch.py::test_module_object test_patch.py::test_blocker test_agent.py::test_sysfs \
	test_agent.py::test_bad_symbol test_agent.py::test_init_fails_late
KERNELS := 5.10-cloud-amd64 6.1-cloud-amd64 6.1-rt-amd64 6.12-cloud-amd64 sid-cloud-amd64

.PHONY: check-kernel
check-kernel: $(QEMU_NEEDS)
	@$(call PYTEST,900) $(KERNEL_TESTS)

## check-kernels the tests that must pass with every kernel, with each that Suture supports
.PHONY: check-kernels
check-kernels: image ctl
	@mk/check-kernels.sh build/logs $(KERNELS)

## demo          boot a Debian kernel, patch it over the network, revert it
.PHONY: demo
demo: $(QEMU_NEEDS)
	@$(PYTHON) tests/demo/demo.py
