# SPDX-License-Identifier: BSD-2-Clause
"""The test harness without Suture: a Debian kernel boots, its shell answers, and the agent says that
there is no monitor."""

import os

import pytest

from machine import PLATFORM
from patches import TEST_MODULES


def test_shell(boot):
    guest = boot(native=True, cpus=2, agent=False, files={"/etc/motd": b"hello\n" * 2000})
    assert guest.check("nproc") == "2"
    assert guest.check("cat /etc/motd") + "\n" == "hello\n" * 2000
    assert guest.shell("echo some; exit 3").status == 3
    assert guest.shell("printf 'no newline'").out == "no newline"
    assert f"console={PLATFORM.console}" in guest.check("cat /proc/cmdline")
    guest.send("poweroff -f")
    guest.wait_end()


@pytest.fixture(scope="module")
def native(boot_module):
    return boot_module(native=True, files={"/lib/modules/unlisted.ko":
                                           os.path.join(TEST_MODULES, "unlisted.ko")})


def test_no_monitor(native):
    """The agent without a monitor below it: it says so, and the kernel goes on."""
    result = native.shell("insmod /lib/modules/suture.ko")
    assert result.status != 0 and "No such device" in result.out, result
    assert "no monitor below this kernel" in native.check("dmesg")
    assert native.check("cut -d' ' -f1 /proc/modules") == ""


def test_unlisted(native, measured):
    """Variables that the agent finds where kallsyms has only functions. Where kallsyms has them, too, both
    must be the same; the agent does not find all of them then."""
    native.check("insmod /lib/modules/unlisted.ko")
    lines = [line.split() for line in native.check("cat /proc/unlisted").splitlines()]
    native.check("rmmod unlisted")
    for name, listed, found, right in lines:
        if int(found, 16):
            assert right == "right" and int(listed, 16) in (0, int(found, 16)), lines
        else:
            assert int(listed, 16) or PLATFORM.architecture != "arm64", lines
    measured(f"{sum(int(line[1], 16) == 0 for line in lines)} of {len(lines)} variables are not in kallsyms, "
             f"{sum(line[3] == 'right' for line in lines)} found without it")
