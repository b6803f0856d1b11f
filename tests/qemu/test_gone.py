# SPDX-License-Identifier: BSD-2-Clause
"""CPUs that go away: the monitor answers all the same, can pause the guest, and can reset the machine."""

import time

import pytest

from patches import apply
from test_life import is_patched, redirects
from test_msr import MSR_KO, msr

pytestmark = [pytest.mark.x86("about machine checks and the local APIC, which arm64 has not"),
              pytest.mark.qemu("which injects machine checks")]

CPUS = 2
SERVICE_CPU = CPUS
APIC_BASE, APIC_ENABLE = 0x1b, 1 << 11
# MCi_STATUS: valid, uncorrected, enabled; MCG_STATUS: restart possible, in progress
MCI_STATUS, RIPV, MCIP = 0xb200000000000000, 1, 4


def lives(guest):
    return guest.json("/v1/status")["service"]["lives"]


def machine_check(guest, mcg_status):
    return guest.hmp(f"mce {SERVICE_CPU} 0 {MCI_STATUS:#x} {mcg_status:#x} 0 0")


def test_gone(boot, demo, measured):
    guest = boot(cpus=CPUS, reboot=True, files={"/lib/modules/msr.ko": MSR_KO})
    guest.load_agent()
    apply(guest, demo)
    guest.check("insmod /lib/modules/msr.ko allow_writes=on")

    # a machine check on the service CPU: it goes on if it can, and begins anew if not
    before = lives(guest)
    assert machine_check(guest, RIPV | MCIP) == ""
    guest.wait_log(rf"machine check on CPU {SERVICE_CPU} in the monitor: MCG_STATUS 0x5", name="monitor.log")
    guest.wait_log(r"MC0_STATUS 0xb200000000000000", name="monitor.log")
    assert lives(guest) == before
    assert machine_check(guest, MCIP) == ""
    guest.wait_log(r"has begun anew", name="monitor.log")
    assert lives(guest) == before + 1
    assert is_patched(guest)

    # the guest turns the local APIC of a CPU off, and so loses it: a pause still reaches it
    value = msr(guest, 1, APIC_BASE)[2]
    assert value & APIC_ENABLE
    guest.send(f"msr 1 {APIC_BASE:x} {value & ~APIC_ENABLE:x} &")
    guest.wait_log(r"turns its local APIC off", name="monitor.log")
    begin = time.monotonic()
    while redirects(guest):
        # the agent may be on the other CPU, or hang with its kernel
        if guest.suture("revert", "--no-wait", "--from-below", "demo").status:
            guest.suture("revert", "--no-wait", "demo")
        assert time.monotonic() < begin + 60, guest.suture("status").out
        time.sleep(1)

    # the last resort
    assert guest.suture("reboot").status == 2
    result = guest.suture("reboot", "--guest")
    assert result.status == 0 and "is being reset" in result.out
    begin = time.monotonic()
    guest.wait_ready(count=2)
    measured(f"ready {time.monotonic() - begin:.1f} s after suture reboot --guest")
    assert not is_patched(guest)
