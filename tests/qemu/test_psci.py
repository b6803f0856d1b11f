# SPDX-License-Identifier: BSD-2-Clause
"""What the monitor answers to the guest's calls of the firmware (arm64: PSCI, DEN0022; SMCCC, DEN0028)."""

import os

import pytest

from complaints import STALLS, complaints
from patches import TEST_MODULES, apply, revert

pytestmark = pytest.mark.arm64("x86 has no PSCI")

SVE_HINT = 0x10000  # of no function's meaning (SMCCC 2.5)
SMC64 = 0x40000000

VERSION = 0x84000000
CPU_SUSPEND = 0x84000001
CPU_ON = 0x84000003
AFFINITY_INFO = 0x84000004
FEATURES = 0x8400000a
CPU_FREEZE = 0x8400000b
SYSTEM_SUSPEND = 0x8400000e
SDEI_VERSION = 0x84000020
SMCCC_VERSION = 0x80000000

SUCCESS, NOT_SUPPORTED, INVALID_PARAMETERS, ALREADY_ON, INVALID_ADDRESS = 0, -1, -2, -4, -9
SERVICE_CPU = 2  # its MPIDR
RAM = 0x48000000
STANDBY, POWER_DOWN = 0, 0x10000  # power_state of CPU_SUSPEND (5.4.2)


@pytest.fixture(scope="module")
def guest(boot_module):
    guest = boot_module(cpus=2, files={"/lib/modules/calls.ko": os.path.join(TEST_MODULES, "calls.ko")})
    guest.check("insmod /lib/modules/calls.ko")
    return guest


@pytest.fixture(scope="module")
def agent(guest):
    guest.load_agent()
    return guest


@pytest.fixture(scope="module")
def calls(guest):
    def call(function, *arguments, conduit="smc"):
        words = " ".join(f"{n:x}" for n in (function, *arguments))
        return int(guest.check(f"echo {conduit} {words} >/proc/calls && cat /proc/calls"))

    return call


def test_service_cpu(calls):
    """It is no CPU of the guest's, whatever form the call has."""
    for form in (0, SMC64, SVE_HINT, SMC64 | SVE_HINT):
        for conduit in ("smc", "hvc"):
            assert calls(CPU_ON | form, SERVICE_CPU, RAM, conduit=conduit) == INVALID_PARAMETERS
            assert calls(AFFINITY_INFO | form, SERVICE_CPU, conduit=conduit) == INVALID_PARAMETERS


def test_other_cpus(calls):
    assert calls(AFFINITY_INFO | SMC64, 1) == 0  # on
    assert calls(CPU_ON | SMC64, 1, RAM) == ALREADY_ON
    assert calls(CPU_ON | SMC64, 1, RAM + 2) == INVALID_ADDRESS
    assert calls(CPU_ON | SMC64, 1, 0x9000000) == INVALID_ADDRESS  # the PL011
    assert calls(CPU_ON | SMC64, 77, RAM) == INVALID_PARAMETERS
    assert calls(CPU_SUSPEND) == SUCCESS  # standby, until the next interrupt


def test_what_is_left_out(calls):
    """What the monitor would not survive is not there, and firmware's own calls are passed on."""
    assert calls(VERSION) == calls(VERSION, conduit="hvc") > 0x10000
    for function in (CPU_FREEZE, SYSTEM_SUSPEND):
        assert calls(FEATURES, function) == NOT_SUPPORTED
        assert calls(function) == NOT_SUPPORTED
    for form in (0, SMC64, SMC64 | SVE_HINT):
        assert calls(SDEI_VERSION | form) == NOT_SUPPORTED
    assert calls(SMCCC_VERSION, conduit="hvc") == NOT_SUPPORTED


@pytest.mark.parametrize("state", [STANDBY, POWER_DOWN], ids=["standby", "power-down"])
def test_suspended_cpu(agent, demo, state, measured):
    """A CPU that is suspended nearly all the time is held by each pause, and comes back from each suspend: from a
    power-down at the entry that its kernel has given."""
    guest = agent
    guest.check(f"touch /tmp/on; : >/tmp/times; taskset -c 1 sh -c 'while [ -e /tmp/on ]; do "
                f"echo psci {state:x} >/proc/calls || exit; echo >>/tmp/times; done; touch /tmp/ended' "
                ">/dev/null 2>&1 &")

    def times():
        return int(guest.check("wc -c </tmp/times"))

    for _ in range(5):
        before = times()
        apply(guest, demo)
        assert guest.json("/v1/patches/demo")["apply"]["cpus_paused"] == 2
        revert(guest, "demo")
        guest.check(f"while [ $(wc -c </tmp/times) -le {before} ]; do sleep 0.1; done")
    guest.check("rm /tmp/on; while [ ! -e /tmp/ended ]; do sleep 0.1; done")
    measured(f"suspended {times()} times")
    guest.check("rm /tmp/ended")
    assert guest.check("cat /proc/calls") == str(SUCCESS)
    assert complaints(guest, STALLS) == ""
