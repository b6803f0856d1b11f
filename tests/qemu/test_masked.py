# SPDX-License-Identifier: BSD-2-Clause
"""Pauses of a guest that has disabled all its interrupts: in its CPUs, in their interfaces to the GIC
and in the GIC's distributor. The service CPU depends on none of them."""

import os
import re
import time

import pytest

from complaints import complaints
from machine import BUILD, GUEST
from patches import apply, revert
from test_life import PATCHED
from test_sick import shell_port

pytestmark = pytest.mark.arm64("x86 pauses by NMI, which cannot be masked")
MASKED = os.path.join(BUILD, "guest", f"{GUEST}-modules", "masked.ko")
CPUS = 2
PAUSES = 200
INVALID_PARAMETERS = -2


@pytest.fixture(scope="module")
def machine(boot_module, demo):
    # Linux misses the CPUs after a while
    machine = boot_module(cpus=CPUS, cmdline="nowatchdog rcupdate.rcu_cpu_stall_suppress=1",
                          files={"/lib/modules/masked.ko": MASKED})
    machine.load_agent()
    machine.check("insmod /lib/modules/masked.ko line=" + shell_port(machine))
    apply(machine, demo)
    return machine


@pytest.fixture
def guest(machine):
    """The guest with the patch; the last test takes it off."""
    assert machine.check("cat /proc/cmdline") == PATCHED
    yield machine
    for cpu in range(CPUS):
        assert machine.check(f"taskset -c {cpu} echo here") == "here"
    assert complaints(machine) == ""


def mask(state, pauses):
    return f"taskset -c 0 sh -c 'echo {state} {pauses} >/proc/masked'"


def result(guest):
    words = guest.check("head -n 1 /proc/masked").split()
    return {name: int(words[words.index(name) + 1]) for name in ("pauses", "failed", "longest")}


@pytest.mark.parametrize("state", ["spin", "wait", "suspend", "power"])
def test_pauses(guest, state, measured):
    """Each pause is complete, whatever the other CPU does."""
    guest.check(mask(state, PAUSES), timeout=60)
    came = result(guest)
    measured(f"{state}: {came['pauses']} pauses, the longest hypercall {came['longest']} us")
    assert came["pauses"] == PAUSES and came["failed"] == 0, came


def test_service_cpu_is_none_of_the_guests(guest):
    guest.check(f"echo other {CPUS} >/proc/masked")
    assert guest.check("tail -n 1 /proc/masked") == \
        f"affinity {INVALID_PARAMETERS} on {INVALID_PARAMETERS} changed 0"


def test_operator(guest, measured):
    """Meanwhile the monitor answers, and takes a patch off."""
    guest.send(mask("spin", 0))
    deadline = time.monotonic() + 60
    while not re.search("^guest +agent silent", (status := guest.suture("status")).out, re.MULTILINE):
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    done = guest.suture("revert", "--from-below", "demo")
    assert done.status == 0, done
    pause = guest.json("/v1/patches/demo")["revert"]["pause_max_us"]
    guest.shell_socket.sendall(b"\n")
    guest.settle_shell(timeout=60)
    came = result(guest)
    measured(f"off from below: pause {pause} us; {came['pauses']} pauses of the guest's own")
    assert came["failed"] == 0, came
    assert guest.check("cat /proc/cmdline") != PATCHED
    revert(guest, "demo")
