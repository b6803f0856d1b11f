# SPDX-License-Identifier: BSD-2-Clause
"""A hostile guest kernel: each attack of tests/hostile/attacks.py gains nothing, and the monitor answers
after it."""

import os
import re
import sys
import time

import pytest

import monitor
from machine import BUILD, GUEST, PLATFORM

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "hostile"))
from attacks import ATTACKS, Hostile  # noqa: E402

HOSTILE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "hostile.ko")
CPUS = 2
ANSWERS_WITHIN = 5  # seconds


def prepare(boot):
    # nothing that the guest's shell waits for is to happen on CPU 1
    guest = boot(cpus=CPUS, cmdline="nowatchdog isolcpus=1 irqaffinity=0 rcu_nocbs=1 "
                                    "rcupdate.rcu_cpu_stall_suppress=1",
                 files={"/lib/modules/hostile.ko": HOSTILE}, qemu=["-device", "edu,addr=6"])
    guest.check("insmod /lib/modules/hostile.ko")
    return guest


def nic_bars(guest):
    """Where QEMU has placed the memory of the management NIC, which the guest does not see."""
    found = re.search(r"Bus  0, device   4, function 0:.*?(?=Bus  |\Z)", guest.hmp("info pci"), re.S)
    return [int(bar, 16) for bar in re.findall(r"32 bit memory at (0x[0-9a-f]+)", found[0])]


def hostile(guest):
    h = Hostile(guest, service=CPUS, memory=monitor.base(guest))
    h.nic_bars = nic_bars(guest)
    return h


def check_answers(guest):
    start = time.monotonic()
    status = guest.json("/v1/status", timeout=ANSWERS_WITHIN)
    assert [cpu["state"] for cpu in status["cpus"]][-1] == "service", status
    assert guest.json("/v1/status", timeout=ANSWERS_WITHIN)["uptime_us"] > status["uptime_us"]
    assert "monitor fault" not in guest.read_log("monitor.log")
    return time.monotonic() - start


MINE = [attack for attack in ATTACKS if PLATFORM.name in attack.machines]


@pytest.mark.parametrize("attack", [a for a in MINE if not a.ends], ids=lambda a: a.name)
def test_gains_nothing(shared, attack, measured):
    with shared(prepare) as guest:
        try:
            attack.run(hostile(guest))
            took = check_answers(guest)
        except OSError as error:  # the monitor does not answer
            raise AssertionError(f"{attack.name}: {error}") from error
        measured(f"{attack.name}: two answers after {1000 * took:.0f} ms")
        assert guest.check("echo alive") == "alive"


@pytest.mark.parametrize("attack", [a for a in MINE if a.ends], ids=lambda a: a.name)
def test_ends_itself(boot, attack):
    """The guest's CPU shuts down, which resets the machine, as without a monitor."""
    guest = prepare(boot)
    attack.run(hostile(guest))
    guest.wait_end(timeout=20)
    log = guest.read_log("monitor.log")
    assert re.search(r"guest CPU 0 shut down \(triple fault\)", log), log[-1000:]
    assert "monitor fault" not in log
