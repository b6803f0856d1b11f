# SPDX-License-Identifier: BSD-2-Clause
"""The test harness without Suture: a Debian kernel boots and its shell answers."""


def test_shell(boot):
    guest = boot(native=True, cpus=2, agent=False, files={"/etc/motd": b"hello\n" * 2000})
    assert guest.check("nproc") == "2"
    assert guest.check("cat /etc/motd") + "\n" == "hello\n" * 2000
    assert guest.shell("echo some; exit 3").status == 3
    assert guest.shell("printf 'no newline'").out == "no newline"
    assert "console=ttyS0" in guest.check("cat /proc/cmdline")
    guest.send("poweroff -f")
    guest.wait_end()
