# SPDX-License-Identifier: BSD-2-Clause
"""The service CPU fails, and begins anew: the guest does not notice, the API answers within two
seconds, the redirects are the same, and an operation under way comes to its end.

QEMU's gdb stub takes the service CPU to an instruction and lets it fail there: by an exception, or it
halts for ever, from which arm64 does not take it back. The monitor is the ordinary build. SUTURE_FAULTS
is how many.
"""

import json
import os
import random
import subprocess
import time
import urllib.request

import pytest

import monitor
from gdb import Gdb
from machine import PLATFORM, SUTURE
from patches import revert
from test_life import PATCHED

CPUS = 2
SERVICE_CPU = CPUS  # the last one

X86 = PLATFORM.architecture == "x86"
ARGUMENT = 5 if X86 else 0  # number of the register: RDI, x0

# an instruction that is an exception; elsewhere nothing is mapped at 0
UD2 = r"^ *([0-9a-f]+):\s+ud2"


class Debugger:
    """QEMU's gdb stub, and where things are in the monitor."""

    def __init__(self, guest):
        self.guest = guest
        self.base, self.symbols = monitor.base(guest), monitor.symbols()
        self.failures = {"exception": self.base + monitor.find_code(UD2) if X86 else 0,
                         "stuck": self.base + monitor.find_code(monitor.ENDLESS_HALT)}

    def connect(self):
        return Gdb(os.path.join(self.guest.sockets, "gdb"))

    def fail(self, how="exception", function=None, steps=0, operation=None):
        """Take the service CPU `steps` instructions into the function, and let it fail there."""
        gdb = self.connect()
        running = lock = None
        if function and function.startswith("lock:"):
            lock = self.base + self.symbols[function.removeprefix("lock:")]
            function = "spin_unlock"
        try:
            if function:
                address = self.base + self.symbols[function]
                gdb.set_breakpoint(address)
                gdb.go_on()
                if operation:
                    running = subprocess.Popen(
                        [SUTURE, "--host", f"127.0.0.1:{self.guest.port}", "--insecure", *operation],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                while True:
                    cpu = gdb.wait_stop()
                    if cpu == SERVICE_CPU and lock in (None, gdb.get_register(cpu, ARGUMENT)):
                        break
                    gdb.clear_breakpoint(address)
                    gdb.step(cpu)
                    gdb.set_breakpoint(address)
                    gdb.go_on()
                gdb.clear_breakpoint(address)
            for _ in range(0 if lock else steps):
                gdb.step(SERVICE_CPU)
            gdb.set_pc(SERVICE_CPU, self.failures[how])
        finally:
            gdb.close()
        return running


def answers(guest, limit=2.0):
    """Seconds until the API answers."""
    begin = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{guest.port}/v1/patches",
                                        timeout=0.2) as answer:
                json.load(answer)
            break
        except OSError:
            if time.monotonic() - begin > limit + 10:
                guest.fail("the API does not answer")
            time.sleep(0.01)
    return time.monotonic() - begin


def is_patched(guest):
    cmdline = guest.check("cat /proc/cmdline") == PATCHED
    uname = "live patched by Suture" in guest.check("kernelname")
    assert cmdline == uname, "one half of the patch is on"
    return cmdline


def phase(guest):
    for patch in guest.json("/v1/patches")["patches"]:
        if patch["name"] == "demo":
            return patch["phase"]
    return "unknown"


def settle(guest):
    """The phase at which an operation under way comes to its end."""
    deadline = time.monotonic() + 30
    while True:
        now = phase(guest)
        if now in ("applied", "reverted", "failed", "unknown"):
            return now
        assert time.monotonic() < deadline, f"{guest.json('/v1/patches')} {guest.json('/v1/status')}"
        time.sleep(0.05)


def run(guest, debugger, measured, count):
    """That many faults while a patch is applied and reverted under load."""
    worst, lives = 0.0, guest.json("/v1/status")["service"]["lives"]
    for i in range(count):
        function, why = PLACES[i * 5 % len(PLACES)], HOW[i % len(HOW)]
        on = is_patched(guest)
        if on and function in OF_APPLY:
            revert(guest, "demo")
            on = False
        operation = ["revert", "demo"] if on else ["apply", debugger.bundle]
        running = debugger.fail(why, function, random.randrange(MAX_STEPS), operation)
        took = answers(guest)
        worst = max(worst, took)
        # its request may still be on its way: the host's end of the connection sends it again
        running.wait(timeout=60)
        end = settle(guest)
        print(f"{i}: {why} in {function} at {operation[0]}: {took:.2f} s, {end}")
        assert took < 2
        assert is_patched(guest) == (end == "applied")
    assert guest.json("/v1/status")["service"]["lives"] == lives + count
    measured(f"{count} faults of the service CPU: the API answers after {worst:.2f} s at most")


PLACES = ["lock:pool", "lock:ring", "lock:dropped", "pool_alloc", "pool_free", "checkpoint_take", "checkpoint_alloc", "engine_upload",
          "shadow_plan_begin", "shadow_plan_prepare", "pause_begin", "check_run",
          "shadow_plan_fill", "pause_commit", "shadow_plan_apply", "pause_end",
          "shadow_plan_finish", "engine_step", "engine_work", "message_answer", "log_limited",
          "net_poll", "tcp_input", "api_answer", "mailbox_serve", "engine_declare", "engine_tick",
          "memcpy"]
# where a revert does not come
OF_APPLY = ("checkpoint_alloc", "engine_upload", "engine_declare")
HOW = ["exception", "exception", "exception", "stuck" if X86 else "exception"]
MAX_STEPS = 60


@pytest.fixture(scope="module")
def broken(boot_module, demo):
    """A guest under load, and the debugger."""
    guest = boot_module(cpus=CPUS, qemu=["-gdb", "unix:{sockets}/gdb,server=on,wait=off"],
                        conf={"pause_budget_us": "1000000", "pause_limit_us": "1000000"})
    guest.load_agent()
    guest.check("(while :; do cat /proc/cmdline >/dev/null; done) & "
                "(while :; do kernelname >/dev/null; done) &")
    debugger = Debugger(guest)
    debugger.bundle = demo
    return guest, debugger


@pytest.mark.qemu("with gdb in the monitor")
def test_faults(broken, measured):
    run(*broken, measured, int(os.environ.get("SUTURE_FAULTS", "100")))
