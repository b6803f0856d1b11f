# SPDX-License-Identifier: BSD-2-Clause
"""Intel VMX, in Bochs: what only this virtualization has. Tests of all platforms run there too
(docs/testing.md)."""

import pytest

from test_msr import EIO, FEATURE_CONTROL, MSR_KO, msr

pytestmark = pytest.mark.vmx("what only this virtualization has")

# the first and the last of VMX's capabilities; SMM_MONITOR_CTL
HIDDEN = 0x480, 0x491, 0x9b


def test_locked_off(boot):
    """FEATURE_CONTROL locked without VMXON: a clear message, and a native boot with all CPUs."""
    guest = boot(cpus=1, esp={"/lock-vmx": b"1"})
    assert guest.check("nproc") == "2"
    assert "the firmware has disabled Intel VMX" in guest.read_log("console.log")
    assert guest.shell("insmod /lib/modules/suture.ko").status != 0


def test_hidden(boot):
    """The guest does not see VMX, in user mode neither, and reads it as locked off."""
    guest = boot(cpus=1, files={"/lib/modules/msr.ko": MSR_KO})
    guest.check("insmod /lib/modules/msr.ko allow_writes=on")
    assert "vmx" not in guest.check("grep -m 1 ^flags /proc/cpuinfo").split()
    assert not int(guest.check("cpuid 0 1").split()[2], 16) & 1 << 5
    for number in HIDDEN:
        assert msr(guest, 0, number, 0)[:2] == (EIO, EIO), hex(number)
    assert msr(guest, 0, FEATURE_CONTROL, 5)[:3] == (EIO, 0, 1)
    status = guest.json("/v1/status")
    assert status["cpus"][0]["state"] == "guest", status
