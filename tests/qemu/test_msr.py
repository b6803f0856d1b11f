# SPDX-License-Identifier: BSD-2-Clause
"""Guest writes of the MSRs for which the monitor has a policy."""

import os
import re
import time

import pytest

from machine import BUILD, GUEST

pytestmark = pytest.mark.x86("arm64 has no MSRs")

MSR_KO = os.path.join(BUILD, "guest", GUEST, "modules", "kernel", "arch", "x86", "kernel", "msr.ko")
EIO = 5
TSC, TSC_ADJUST, TSC_RATIO, EFER = 0x10, 0x3b, 0xc0000104, 0xc0000080
VM_CR, VM_HSAVE_PA, SVM_KEY = 0xc0010114, 0xc0010117, 0xc0010118
FEATURE_CONTROL, SYSCFG = 0x3a, 0xc0010010
# the first and the last of FRED's, VMX's, processor trace's, user interrupts' and SEV's
RANGES = 0x1cc, 0x1d4, 0x480, 0x493, 0x560, 0x587, 0x985, 0x98a, 0xc0010130, 0xc0010133
JUMP = 1 << 43  # ticks: hours


@pytest.fixture(scope="module")
def guest(boot_module):
    # the guest's own clocks are not to go by the counter that is played with here
    guest = boot_module(cpus=2, cmdline="tsc=unstable nowatchdog",
                        files={"/lib/modules/msr.ko": MSR_KO})
    guest.load_agent()
    guest.check("insmod /lib/modules/msr.ko allow_writes=on")
    return guest


def msr(guest, cpu, number, value=None):
    """Write, if there is a value, and read: (error of the write, of the read, value, TSC then)."""
    words = f"msr {cpu} {number:x}" + ("" if value is None else f" {value:x}")
    found = re.fullmatch(r"write (\d+), read (\d+) (\w+), tsc (\w+)", guest.check(words))
    return int(found[1]), int(found[2]), int(found[3], 16), int(found[4], 16)


def clocks(guest):
    """Seconds: here, in the monitor, in the guest."""
    start = time.monotonic()
    monitor = guest.json("/v1/status")["uptime_us"] / 1e6
    kernel = float(guest.check("cut -d' ' -f1 /proc/uptime"))
    return (start + time.monotonic()) / 2, monitor, kernel


def elapsed(before, after):
    return [b - a for a, b in zip(before, after)]


@pytest.mark.parametrize("where", ["hours ahead", "zero"])
def test_tsc(guest, demo, measured, where):
    """The guest reads the counter that it wrote, on that CPU; the monitor's time goes on as ever."""
    before = clocks(guest)
    rate = guest.json("/v1/status")["uptime_us"], msr(guest, 0, TSC)[3]
    time.sleep(1)
    rate = ((msr(guest, 0, TSC)[3] - rate[1]) /
            (guest.json("/v1/status")["uptime_us"] - rate[0]))  # ticks in a microsecond, roughly

    for cpu in 0, 1:
        natural = msr(guest, cpu, TSC)[3]
        wanted = natural + JUMP if where == "hours ahead" else 0
        start = time.monotonic()
        error, _, value, tsc = msr(guest, cpu, TSC, wanted)
        most = (time.monotonic() - start + 1) * 2e6 * rate
        assert error == 0
        assert wanted <= value <= tsc <= wanted + most, (wanted, value, tsc)
        tsc = msr(guest, cpu, TSC)[3]  # and so it stays
        assert wanted <= tsc <= wanted + 10 * most
    if where == "zero":
        # each CPU has its own
        msr(guest, 1, TSC, JUMP)
        assert msr(guest, 0, TSC)[3] < JUMP <= msr(guest, 1, TSC)[3]

    for command in ("apply", demo), ("revert", "demo"):
        result = guest.suture(*command)
        assert result.status == 0, result
    here, monitor, kernel = elapsed(before, clocks(guest))
    measured(f"{where}: {here:.1f} s here, {monitor:.1f} in the monitor, {kernel:.1f} in the guest")
    assert abs(monitor - here) < 5 + here / 5
    assert guest.json("/v1/status")["pauses"]["max_us"] < 10e6
    # a CPU that comes up again keeps what it had, as without a monitor
    guest.check("echo 0 >/sys/devices/system/cpu/cpu1/online")
    guest.check("echo 1 >/sys/devices/system/cpu/cpu1/online", timeout=60)
    assert guest.check("cat /sys/devices/system/cpu/online") == "0-1"


VARIABLE, UNCACHEABLE, VALID = 0x200, 0, 1 << 11


def test_memory_types(guest, demo):
    """Stage 2 follows the guest's MTRRs: memory becomes uncacheable, and write-back again."""
    pair = next(n for n in range(VARIABLE, VARIABLE + 16, 2) if not msr(guest, 0, n + 1)[2] & VALID)
    begin, size = 48 << 20, 1 << 20
    line = f"stage 2 follows the guest's memory types at {begin:#x} to {begin + size:#x}"
    mask = ~(size - 1) & (1 << 36) - 1
    assert msr(guest, 0, pair, begin | UNCACHEABLE)[:3] == (0, 0, begin)
    for times, value in (1, mask | VALID), (2, 0):
        assert msr(guest, 0, pair + 1, value)[:3] == (0, 0, value)
        guest.wait_log(line, name="monitor.log", count=times)
        for command in ("apply", demo), ("revert", "demo"):
            result = guest.suture(*command)
            assert result.status == 0, result


def test_hidden(guest):
    """What belongs to a processor feature that CPUID does not show is not there."""
    for number in (VM_HSAVE_PA, SVM_KEY, TSC_RATIO) + RANGES:
        assert msr(guest, 0, number, 0)[:2] == (EIO, EIO), hex(number)
    # this processor has none; reads are the processor's answer, and QEMU's has one
    assert msr(guest, 0, TSC_ADJUST, 0)[0] == EIO
    assert msr(guest, 0, FEATURE_CONTROL, 5)[:3] == (EIO, 0, 1)  # locked, off
    assert msr(guest, 0, VM_CR, 0)[:3] == (EIO, 0, 0x18)  # the same
    syscfg = msr(guest, 0, SYSCFG)[2]
    assert msr(guest, 0, SYSCFG, syscfg ^ 1 << 23)[0] == EIO  # memory encryption
    assert msr(guest, 0, SYSCFG, syscfg)[0] == 0


def cpuid_exits(guest):
    return sum(cpu["exits"]["cpu_id"] for cpu in guest.json("/v1/status")["cpus"])


def test_cpuid(guest, measured):
    """CPUID does not exit once user space runs, and then says there that SVM exists; a kernel that starts
    a CPU does not see SVM. (How a kernel that replaces it sees it: test_kexec.py.)"""
    for state in "started", "offline and online again":
        for cpu in 0, 1:
            guest.check(f"cpuid {cpu} 0")
        before = cpuid_exits(guest)
        for cpu in 0, 1:
            seen = [int(word, 16) for word in guest.check(f"cpuid {cpu} 80000001").split()]
            assert seen[2] & 1 << 2, (state, cpu, seen)
        guest.check("for i in $(seq 20); do busybox true; done")
        assert cpuid_exits(guest) == before, state
        assert guest.shell("grep -w svm /proc/cpuinfo").status == 1, state
        guest.check("echo 0 >/sys/devices/system/cpu/cpu1/online; "
                    "echo 1 >/sys/devices/system/cpu/cpu1/online", timeout=60)
        assert cpuid_exits(guest) > before, state
    measured(f"CPUID exits of 20 programs: 0; of a CPU that comes up: {cpuid_exits(guest) - before}")


def test_efer(guest):
    """No value of EFER hurts the machine: bits that this processor does not have are refused."""
    value = msr(guest, 0, EFER)[2]
    assert value & 0xd01 == 0xd01  # SCE, LME, LMA, NXE; no SVME
    for bit in list(range(1, 8)) + [8, 9, 12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 40, 63]:
        error, _, now, _ = msr(guest, 0, EFER, value ^ (1 << bit))
        assert (error, now) == (EIO, value), bit
    # LMA is read only, and a write of it ignored
    assert msr(guest, 0, EFER, value & ~(1 << 10))[0] == 0
    assert msr(guest, 0, EFER)[2] == value
    # FFXSR can be had where the processor has it
    error = 0 if "fxsr_opt" in guest.check("cat /proc/cpuinfo") else EIO
    assert msr(guest, 0, EFER, value | 1 << 14)[0] == error
    assert msr(guest, 0, EFER, value)[:3] == (0, 0, value)
    assert guest.check("echo alive") == "alive"
