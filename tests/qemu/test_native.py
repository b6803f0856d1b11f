# SPDX-License-Identifier: BSD-2-Clause
"""The harness itself, without Suture: a Debian kernel boots and its shell answers. The agent in
it says that there is no monitor."""

from machine import PLATFORM


def test_shell(boot):
    guest = boot(native=True, cpus=2, agent=False, files={"/etc/motd": b"hello\n" * 2000})
    assert guest.check("nproc") == "2"
    assert guest.check("cat /etc/motd") + "\n" == "hello\n" * 2000
    assert guest.shell("echo some; exit 3").status == 3
    assert guest.shell("printf 'no newline'").out == "no newline"
    assert f"console={PLATFORM.console}" in guest.check("cat /proc/cmdline")
    guest.send("poweroff -f")
    guest.wait_end()


def test_no_monitor(boot):
    """The agent without a monitor below it: it says so, and the kernel goes on."""
    guest = boot(native=True)
    result = guest.shell("insmod /lib/modules/suture.ko")
    assert result.status != 0 and "No such device" in result.out, result
    assert "no monitor below this kernel" in guest.check("dmesg | tail -n 3")
    assert guest.check("cut -d' ' -f1 /proc/modules") == ""
