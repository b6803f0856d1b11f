# SPDX-License-Identifier: BSD-2-Clause
"""Races in a guest that rewrites its own code, with a host thread for each CPU: it switches static
keys, tracepoints and ftrace, and loads and unloads modules, while a patch is applied and reverted.
SUTURE_RACES: the number of rounds. SUTURE_NATIVE=1: the same for as long without Suture, to see
whether a failure needs it.

Not part of `make check`: it fails occasionally (docs/testing.md, "What multi-threaded emulation
shows")."""

import os
import re
import time

import pytest

from complaints import TEXT, complaints
from machine import BUILD, GUEST, GuestError
from patches import apply, revert

pytestmark = [pytest.mark.x86("its emulator with a thread for each CPU is fetched for x86 alone"),
              pytest.mark.qemu("Bochs has one thread for all CPUs")]

REWRITTEN = os.path.join(BUILD, "guest", f"{GUEST}-modules", "rewritten.ko")
RACES = int(os.environ.get("SUTURE_RACES", "10"))
NATIVE = bool(os.environ.get("SUTURE_NATIVE"))
NATIVE_ROUND_S = 8 # an apply and a revert take about as long
CPUS = 3
STALE_S = 20
RESTORE_S = 10
# each goes on until /tmp/stop is there, writes a line for each round, and to /tmp/NAME.log what failed
REWRITERS = {
    "key": "for on in 1 0; do echo $on >/proc/sys/kernel/sched_schedstats; done",
    "tracepoint": "for on in 1 0; do echo $on >$tracing/events/sched/sched_switch/enable; done",
    "ftrace": "echo 'vfs_*' >$tracing/set_ftrace_filter; echo function >$tracing/current_tracer; "
              "echo nop >$tracing/current_tracer",
    "module": "insmod /lib/modules/rewritten.ko && echo key 1 >/proc/rewritten && "
              "echo key 0 >/proc/rewritten && rmmod rewritten",
}


def start(guest):
    # a host of fewer CPUs gives each of them its time late
    guest.check("echo 60 >/proc/sys/kernel/watchdog_thresh")
    guest.check("hammer >/tmp/hammer 2>&1 & echo $! >/tmp/hammer.pid")
    for name, rewrite in REWRITERS.items():
        guest.check(f"""
            tracing=/sys/kernel/tracing
            (while [ ! -e /tmp/stop ]; do
                {rewrite}
                echo x >>/tmp/{name}.rounds
            done; : >/tmp/{name}.stopped) >/tmp/{name}.log 2>&1 &""")


def switch(guest, demo):
    if NATIVE:
        time.sleep(NATIVE_ROUND_S)
        guest.check("kernelname", timeout=60)
        return
    apply(guest, demo)
    assert "live patched by Suture" in guest.check("kernelname", timeout=60)
    revert(guest, "demo")
    assert "live patched by Suture" not in guest.check("kernelname", timeout=60)


def stop(guest):
    """How often each rewrote something."""
    guest.check(": >/tmp/stop")
    rounds = {}
    for name in REWRITERS:
        guest.check(f"while [ ! -e /tmp/{name}.stopped ]; do usleep 100000; done", timeout=120)
        assert guest.check(f"cat /tmp/{name}.log") == ""
        rounds[name] = int(guest.check(f"wc -l </tmp/{name}.rounds"))
    guest.check("kill $(cat /tmp/hammer.pid); while kill -0 $(cat /tmp/hammer.pid) 2>/dev/null; "
                "do usleep 100000; done", timeout=60)
    return rounds


def test_rewriting(boot, demo, measured):
    guest = boot(cpus=CPUS, native=NATIVE, thread="multi",
                 files={"/lib/modules/rewritten.ko": REWRITTEN})
    if not NATIVE:
        guest.load_agent()
    start(guest)
    for _ in range(RACES):
        switch(guest, demo)
    rounds = stop(guest)
    calls, patched, wrong = map(int, re.findall(r"\d+", guest.check("cat /tmp/hammer")))
    measured(f"{RACES} {'rounds natively' if NATIVE else 'applies and reverts'} on {CPUS} CPUs, "
             f"{guest.emulator()}: {calls} calls, {patched} of them patched, {wrong} wrong; rewritten "
             "meanwhile: " + ", ".join(f"{name} {n} times" for name, n in rounds.items()))
    assert wrong == 0 and (patched == 0 if NATIVE else 0 < patched < calls)
    assert min(rounds.values()) > 0, rounds
    assert complaints(guest, TEXT) == ""


@pytest.mark.parametrize("thread", ["single", "multi"])
def test_stale_code(boot, measured, thread):
    """Natively: how often does the emulator go on running code that another CPU has overwritten? With one
    thread for all CPUs it must not. With several it does: the figure says how much a failure of the test
    above is worth."""
    guest = boot(cpus=2, native=True, thread=thread)
    *which, last = guest.check(f"stale {STALE_S}", timeout=STALE_S + 60).splitlines()
    stale, rounds = map(int, re.fullmatch(r"stale: (\d+) of (\d+)", last).groups())
    measured(f"natively, {guest.emulator()}: code that another CPU has overwritten is run on {stale} "
             f"of {rounds} times" + (f" (the first: {which[0]})" if which else ""))
    assert rounds > 0
    if thread == "single":
        assert stale == 0, which


@pytest.mark.parametrize("thread,victim,others", [
    ("single", 0, ""), ("multi", 0, "idle"), ("multi", 1, ""), ("multi", 0, "")])
def test_restored_flags(boot, measured, thread, victim, others):
    """Does FXRSTOR on one CPU change another CPU's state? QEMU changes flags of the first CPU with it,
    without a lock. With a host thread for each CPU, an exit of the first CPU at that moment leaves
    nested paging on in the monitor. The last line's figure says what a CPU 0 that is dead for
    host-state is worth."""
    guest = boot(cpus=3, thread=thread)
    try:
        said = guest.check(f"fxrstor {victim} {RESTORE_S} {others}", timeout=RESTORE_S + 20)
    except GuestError as silent:
        said = str(silent).split("\n", maxsplit=1)[0]
    dead = [cpu["id"] for cpu in guest.json("/v1/status")["cpus"] if cpu["state"] == "dead"]
    measured(f"{guest.emulator()}, exits on CPU {victim}, the others "
             f"{'are idle' if others else 'restore'}: {said}; dead CPUs: {dead}")
    if (thread, victim, others) != ("multi", 0, ""):
        assert dead == [] and "fxrstor" in said
