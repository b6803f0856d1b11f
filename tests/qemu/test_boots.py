# SPDX-License-Identifier: BSD-2-Clause
"""Repeated boots for `make check-boot`, SUTURE_BOOTS of each kind."""

import os

import pytest

BOOTS = int(os.environ.get("SUTURE_BOOTS", "1"))


@pytest.mark.parametrize("thread", ["single", "multi"])
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_boots(boot, measured, cpus, thread):
    for n in range(BOOTS):
        guest = boot(cpus=cpus, thread=thread)
        assert guest.check("nproc") == str(cpus), f"boot {n + 1}"
        assert guest.shell("dmesg | grep -E 'WARNING: CPU|BUG:|Oops'").out == "", f"boot {n + 1}"
        emulator = guest.emulator()
        guest.send("poweroff -f")
        guest.wait_end()
        guest.stop()
    measured(f"{BOOTS} of {BOOTS} boots with {cpus} CPUs, {emulator}")
