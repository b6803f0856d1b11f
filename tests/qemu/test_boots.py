# SPDX-License-Identifier: BSD-2-Clause
"""Repeated boots for `make check-boot`, SUTURE_BOOTS of each kind; and for `make check-kernel` each
kind of machine that the platform has, SUTURE_BOOTS_EACH of it."""

import os
import re
import time

import pytest

from complaints import complaints
from machine import CPU, PLATFORM
from patches import apply, revert

BOOTS = int(os.environ.get("SUTURE_BOOTS", "1"))
EACH = int(os.environ.get("SUTURE_BOOTS_EACH", "1"))
HIDDEN = f"/sys/bus/pci/devices/0000:{PLATFORM.nic}"


def power_off(guest):
    guest.send("poweroff -f")
    guest.wait_end()
    guest.stop()


def assert_sound(guest, cpus, which):
    """All CPUs but the service CPU are there, no NIC of the monitor's, and nothing is wrong."""
    assert guest.check("nproc") == str(cpus), which
    assert guest.check("cat /sys/devices/system/cpu/present") == f"0-{cpus - 1}".removesuffix("-0"), which
    assert guest.shell(f"test -e {HIDDEN}").status != 0, which
    assert complaints(guest) == "", which


@pytest.mark.parametrize("thread", PLATFORM.programs)
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_boots(boot, measured, cpus, thread):
    for n in range(BOOTS):
        guest = boot(cpus=cpus, thread=thread)
        assert_sound(guest, cpus, f"boot {n + 1}")
        emulator = guest.emulator()
        power_off(guest)
    measured(f"{BOOTS} of {BOOTS} boots with {cpus} CPUs, {emulator}")


@pytest.mark.x86("128 CPUs of arm64 were not tried")
def test_many_cpus(boot, demo, measured):
    """128 CPUs, more than fit in a word of bits. TCG runs them one after the other, so a pause takes long."""
    guest = boot(cpus=127, memory="2G", conf={"pause_budget_us": "1000000", "pause_limit_us": "1000000"},
                 wait=False)
    guest.wait_ready(timeout=1800)
    seconds = time.monotonic() - guest.started
    assert guest.check("nproc", timeout=120) == "127"
    status = guest.json("/v1/status", timeout=120)
    assert len(status["cpus"]) == 128
    guest.load_agent()
    apply(guest, demo)
    assert guest.check("cat /proc/cmdline", timeout=120) == "this has been live patched"
    longest = re.search(r"^suture_pause_max_seconds (\S+)$", guest.http("/metrics", timeout=120)[1], re.M)[1]
    revert(guest, "demo")
    measured(f"128 CPUs: booted in {seconds:.0f} s, {status['memory']['used_bytes'] >> 20} MiB in use, "
             f"longest pause {longest} s")


@pytest.mark.parametrize("tables", PLATFORM.tables)
@pytest.mark.parametrize("cpu", (CPU, *PLATFORM.others))
def test_machines(boot, demo, measured, cpu, tables):
    """Each model of the CPU, and each way in which the firmware describes the machine."""
    for n in range(EACH):
        guest = boot(cpus=2, cpu=cpu, qemu=PLATFORM.tables[tables])
        assert guest.shell("test -e /sys/firmware/acpi/tables").status == (tables != "acpi")
        assert_sound(guest, 2, f"boot {n + 1}")
        guest.load_agent()
        apply(guest, demo)
        assert guest.check("cat /proc/cmdline") == "this has been live patched"
        revert(guest, "demo")
        release = guest.check("uname -r")
        power_off(guest)
    measured(f"{EACH} of {EACH} boots of {release} on {cpu} with {tables}, demo applied and reverted")
