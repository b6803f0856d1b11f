# SPDX-License-Identifier: BSD-2-Clause
"""Functions that are on idle tasks' stacks: idle CPUs leave them for the switch.

SUTURE_IDLE_ROUNDS is the number of applies and reverts.
"""

import os
import statistics
import time

import pytest

from complaints import STALLS, complaints
from machine import BUILD, GUEST, PLATFORM
from patches import make_patch, revert
from waiting import Waiting

SLEEPER = os.path.join(BUILD, "guest", f"{GUEST}-modules", "sleeper.ko")
ROUNDS = int(os.environ.get("SUTURE_IDLE_ROUNDS", "10"))
# the limit for one of them, on a host that has other work: most take less than one
SECONDS = 30
HITS = "/sys/module/fix_default_idle_call/parameters/hits"
# of all CPUs together: idle and waiting for a disk; everything
IDLE_TICKS = "awk '/^cpu /{print $5 + $6; for (i = 2; i < 10; i++) n += $i; print n}' /proc/stat"


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2, files={"/lib/modules/sleeper.ko": SLEEPER})
    machine.load_agent()
    machine.check("insmod /lib/modules/sleeper.ko")
    return machine


@pytest.fixture
def guest(machine):
    """Two idle CPUs; left idle, without a thread of the agent's for them, or a warning."""
    yield machine
    assert machine.shell("cat /proc/[0-9]*/comm 2>/dev/null | grep suture/").out == ""
    assert complaints(machine, STALLS) == ""


# an idle CPU halts in the payload's text, and counts how often
NEW_IDLE = """
        #include <linux/sched/idle.h>

        static int hits;
        module_param(hits, int, 0444);

        static noinline void new_default_idle_call(void)
        {
            hits++;
            if (current_clr_polling_and_test())
                raw_local_irq_enable();
            else
                HALT
        }
"""
# until the next interrupt, which the CPU takes then
HALT = {"x86": 'asm volatile("sti; hlt" ::: "memory");',
        "arm64": '{ asm volatile("dsb sy; wfi" ::: "memory"); raw_local_irq_enable(); }'}
NEW_IDLE = NEW_IDLE.replace("HALT", HALT[PLATFORM.architecture])


@pytest.fixture(scope="module")
def idle_patch(bundles):
    return make_patch(bundles, "fix_default_idle_call", NEW_IDLE,
                      {None: {"default_idle_call": "new_default_idle_call"}})


def idle_share(guest, seconds):
    """The idle share of the guest's CPU time."""
    idle, everything = map(int, guest.check(IDLE_TICKS).split())
    time.sleep(seconds)
    later_idle, later_everything = map(int, guest.check(IDLE_TICKS).split())
    return (later_idle - idle) / (later_everything - everything)


def summary(figures, form):
    return " / ".join(form.format(f) for f in
                      (min(figures), statistics.median(figures), max(figures)))


def switch(guest, *arguments):
    started = time.monotonic()
    result = guest.suture(*arguments, timeout=SECONDS)
    assert result.status == 0, result
    return time.monotonic() - started


def test_default_idle_call(guest, idle_patch, measured):
    """Applied and reverted, time after time, on CPUs that have nothing else to do."""
    name = "fix_default_idle_call"
    times, attempts = {"apply": [], "revert": []}, {"apply": [], "revert": []}
    for _ in range(ROUNDS):
        times["apply"].append(switch(guest, "apply", idle_patch))
        before = int(guest.check(f"cat {HITS}"))
        assert int(guest.check(f"sleep 0.1; cat {HITS}")) > before
        times["revert"].append(switch(guest, "revert", name))
        report = guest.json(f"/v1/patches/{name}")
        for way in "apply", "revert":
            attempts[way].append(report[way]["attempts"])
    share = idle_share(guest, 2)
    for way in "apply", "revert":
        measured(f"{ROUNDS} times {way}: {summary(times[way], '{:.2f}')} s, "
                 f"{summary(attempts[way], '{:.0f}')} attempts (min / median / max)")
    measured(f"{share:.0%} idle afterwards")
    assert share > 0.8


def test_with_a_sleeper(guest, bundles):
    """A user task sleeps in another function of the patch: idle CPUs leave while it is held."""
    bundle = make_patch(bundles, "fix_both", NEW_IDLE + """
        static noinline int new_sleeper_nap(void)
        {
            return 2;
        }
    """, {None: {"default_idle_call": "new_default_idle_call"},
          "sleeper": {"sleeper_nap": "new_sleeper_nap"}})
    guest.check("cat /proc/sleeper_nap >/tmp/nap & echo $! >/tmp/napper; "
                "until grep -q '^State:.S' /proc/$(cat /tmp/napper)/status; do sleep 0.1; done")
    with Waiting(guest, "apply", bundle) as applying:
        applying.blocked_by("sleeper_nap", 1)
        applying.succeeds()
    assert guest.check("while [ -d /proc/$(cat /tmp/napper) ]; do sleep 0.1; done; "
                       "cat /tmp/nap") == "nap 2"
    revert(guest, "fix_both")


def test_main_loop(guest, bundles, measured):
    """do_idle() is always on every idle task's stack: the operator is told, and the guest's CPUs
    stay idle."""
    bundle = make_patch(bundles, "fix_do_idle", """
        static noinline void new_do_idle(void)
        {
        }
    """, {None: {"do_idle": "new_do_idle"}}, check=False)
    with Waiting(guest, "apply", bundle) as applying:
        applying.blocked_by("do_idle", 1)
        share = idle_share(guest, 25)
        deadline = time.monotonic() + 60
        while "somebody always sleeps in do_idle" not in (status := guest.suture("status").out):
            assert time.monotonic() < deadline, status
            time.sleep(0.5)
        assert guest.suture("cancel", "fix_do_idle").status == 0
        assert "cancelled by the operator" in applying.output()
    measured(f"{share:.0%} idle while it is tried")
    assert share > 0.8
