# SPDX-License-Identifier: BSD-2-Clause
"""The service CPU dies, at every step of an apply and of a revert, and does not begin anew: the guest
goes on, with the patch wholly on or wholly off, and without the monitor's help from then on.

QEMU's gdb stub stops the service CPU at the entry of a function, and makes it halt for ever with
interrupts off. The monitor is the ordinary build.
"""

import os
import subprocess
import time

import pytest

from complaints import STALLS, complaints
import monitor
from gdb import Gdb
from machine import SUTURE
from test_life import LIFE, PATCHED

CPUS = 2
SERVICE_CPU = CPUS  # the last one

# where the service CPU dies, and whether the switch is to be done all the same
STEPS = [
    ("prepare", "shadow_plan_prepare", 1, False),
    ("before-pause", "pause_begin", 1, False),
    ("after-pause", "check_run", 1, False),
    ("after-check", "shadow_plan_fill", 1, False),
    ("before-commit", "pause_commit", 1, False),
    ("after-commit", "shadow_plan_apply", 1, True),
    ("first-leaf", "shadow_set_leaf", 1, True),
    ("second-leaf", "shadow_set_leaf", 2, True),
    ("before-end", "pause_end", 1, True),
    ("after-end", "shadow_plan_finish", 1, True),
]


def kill_service_cpu(guest, function, count, committed, operation):
    """Start the operation, and stop the service CPU when it enters the function for the count-th
    time, of those after the commit if committed."""
    base, symbols = monitor.base(guest), monitor.symbols()
    address = base + symbols[function]
    gdb = Gdb(os.path.join(guest.sockets, "gdb"))
    # Not before the attempt: the same functions serve others. An attempt that finds a blocker ends
    # its pause as well, so what follows a commit is looked for from there on.
    begin = base + symbols["shadow_plan_apply" if committed else "shadow_plan_prepare"]
    gdb.set_breakpoint(begin)
    running = None
    try:
        gdb.go_on()
        running = subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure",
                                    *operation], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        assert gdb.wait_stop() == SERVICE_CPU
        gdb.clear_breakpoint(begin)
        if address != begin:
            gdb.set_breakpoint(address)
            while count:
                gdb.go_on()
                count -= gdb.wait_stop() == SERVICE_CPU
                gdb.clear_breakpoint(address)
                gdb.step(SERVICE_CPU)
                if count:
                    gdb.set_breakpoint(address)
        # as if it had failed too often already (struct life: prepared, given_up)
        gdb.write(SERVICE_CPU, base + symbols["life"], 0x0101)
        gdb.set_pc(SERVICE_CPU, base + monitor.find_code(monitor.ENDLESS_HALT))
    finally:
        gdb.close()
        if running:
            running.kill()
            running.wait()


def is_patched(guest):
    cmdline = guest.check("cat /proc/cmdline") == PATCHED
    uname = "live patched by Suture" in guest.check("kernelname")
    assert cmdline == uname, "one half of the patch is on"
    return cmdline


def goes_on(guest):
    """The guest's kernel does all that can have to do with the monitor."""
    for cpu in range(CPUS):
        assert guest.check(f"taskset -c {cpu} echo here") == "here"
    # a CPU goes and comes back
    guest.check("echo 0 >/sys/devices/system/cpu/cpu1/online;"
                "echo 1 >/sys/devices/system/cpu/cpu1/online")
    assert guest.check("nproc") == str(CPUS)
    # writes to its text, also in shadowed pages: ftrace at the patched functions, a static key
    guest.check("cd /sys/kernel/tracing && echo 'cmdline_proc_show' >set_ftrace_filter &&"
                "echo function >current_tracer && cat /proc/cmdline && echo nop >current_tracer",
                timeout=60)
    guest.check("cd /sys/kernel/tracing && echo 1 >events/sched/sched_switch/enable &&"
                "echo 0 >events/sched/sched_switch/enable", timeout=60)
    # modules
    guest.check("insmod /lib/modules/life.ko && rmmod life", timeout=60)
    assert complaints(guest, STALLS) == ""


CASES = [pytest.param(*step[1:], operation, id=f"{operation}-{step[0]}")
         for operation in ("apply", "revert") for step in STEPS]


@pytest.mark.qemu("with gdb in the monitor")
@pytest.mark.parametrize("function,count,done,operation", CASES)
def test_service_cpu_dies(boot, demo, function, count, done, operation):
    guest = boot(cpus=CPUS, files={"/lib/modules/life.ko": LIFE},
                 conf={"pause_budget_us": "1000000", "pause_limit_us": "1000000"},
                 qemu=["-gdb", "unix:{sockets}/gdb,server=on,wait=off"])
    guest.load_agent()
    before = False
    if operation == "revert":
        result = guest.suture("apply", demo)
        assert result.status == 0, result
        before = True
    kill_service_cpu(guest, function, count, done,
                     ["apply", demo] if operation == "apply" else ["revert", "demo"])
    time.sleep(2)
    assert is_patched(guest) == (before != done)
    goes_on(guest)
    assert is_patched(guest) == (before != done)
    guest.send("poweroff -f")
    guest.wait_end(timeout=60)
