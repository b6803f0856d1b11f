# SPDX-License-Identifier: BSD-2-Clause
"""The kernel panics while it is patched, and its crash kernel starts: kdump. SUTURE_KDUMPS is the
number of panics on each CPU."""

import os
import time

import pytest

from machine import PLATFORM
from test_kexec import FILES, load_kexec, replaced
from test_life import apply, deafen, is_patched, revert

KDUMPS = int(os.environ.get("SUTURE_KDUMPS", "10"))


def idles(guest, seconds=1):
    """Share of a host's CPU that the machine takes while its guest has nothing to do."""
    time.sleep(1)
    before = guest.cpu_seconds()
    time.sleep(seconds)
    return (guest.cpu_seconds() - before) / seconds


@pytest.mark.parametrize("cpu,deaf", [(0, False), (1, True)], ids=["alive", "dead"])
def test_kdump(boot, demo, measured, cpu, deaf):
    """A panic with a patch on, on either CPU; the crash kernel runs, and can be patched itself."""
    for _ in range(KDUMPS):
        guest = boot(cpus=2, files=FILES, cmdline="crashkernel=256M")
        guest.load_agent()
        apply(guest, demo)
        load_kexec(guest, "panic", "nr_cpus=1 irqpoll")
        if deaf:
            deafen(guest)
        guest.send(f"taskset -c {cpu} sh -c 'echo c >/proc/sysrq-trigger'")
        guest.wait_ready(count=2)
        assert guest.check("test -s /proc/vmcore && echo yes") == "yes"
        replaced(guest, "was replaced")
        guest.load_agent()
        apply(guest, demo)
        assert is_patched(guest)
        revert(guest, "demo")
        # nor does the CPU that the crash kernel leaves alone do anything: it is halted
        share = idles(guest)
        # on arm64 the service CPU polls, and WFE does not wait in QEMU: the share is that CPU's; Bochs
        # does not wait for its clock
        assert share < 0.4 or PLATFORM.architecture == "arm64" or PLATFORM.emulator == "Bochs"
        guest.send("poweroff -f")
        guest.wait_end()
    measured(f"{KDUMPS} kdumps from CPU {cpu}, agent {'dead' if deaf else 'alive'}; "
             f"one CPU halted and one idle take {share:.0%} of a CPU")
