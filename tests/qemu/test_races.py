# SPDX-License-Identifier: BSD-2-Clause
"""Races in a guest that rewrites its own code, each CPU a thread of its own: keys, tracepoints, ftrace and
modules that come and go, while a patch is applied and reverted. SUTURE_RACES: how often."""

import os
import re

from machine import BUILD, GUEST
from patches import apply, revert

REWRITTEN = os.path.join(BUILD, "guest", f"{GUEST}-modules", "rewritten.ko")
RACES = int(os.environ.get("SUTURE_RACES", "10"))
CPUS = 3
# each goes on until /tmp/stop is there, writes a line for each round, and to /tmp/NAME.log what failed
REWRITERS = {
    "key": "for on in 1 0; do echo $on >/proc/sys/kernel/sched_schedstats; done",
    "tracepoint": "for on in 1 0; do echo $on >$tracing/events/sched/sched_switch/enable; done",
    "ftrace": "echo 'vfs_*' >$tracing/set_ftrace_filter; echo function >$tracing/current_tracer; "
              "echo nop >$tracing/current_tracer",
    "module": "insmod /lib/modules/rewritten.ko && echo key 1 >/proc/rewritten && "
              "echo key 0 >/proc/rewritten && rmmod rewritten",
}


def test_rewriting(boot, demo, measured):
    guest = boot(cpus=CPUS, thread="multi", files={"/lib/modules/rewritten.ko": REWRITTEN})
    # a host of fewer CPUs gives each of them its time late
    guest.check("echo 60 >/proc/sys/kernel/watchdog_thresh")
    guest.load_agent()
    guest.check("hammer >/tmp/hammer 2>&1 & echo $! >/tmp/hammer.pid")
    for name, rewrite in REWRITERS.items():
        guest.check(f"""
            tracing=/sys/kernel/tracing
            (while [ ! -e /tmp/stop ]; do
                {rewrite}
                echo x >>/tmp/{name}.rounds
            done; : >/tmp/{name}.stopped) >/tmp/{name}.log 2>&1 &""")
    for _ in range(RACES):
        apply(guest, demo)
        assert "live patched by Suture" in guest.check("kernelname", timeout=60)
        revert(guest, "demo")
        assert "live patched by Suture" not in guest.check("kernelname", timeout=60)
    guest.check(": >/tmp/stop")
    rounds = {}
    for name in REWRITERS:
        guest.check(f"while [ ! -e /tmp/{name}.stopped ]; do usleep 100000; done", timeout=120)
        assert guest.check(f"cat /tmp/{name}.log") == ""
        rounds[name] = int(guest.check(f"wc -l </tmp/{name}.rounds"))
    guest.check("kill $(cat /tmp/hammer.pid); while kill -0 $(cat /tmp/hammer.pid) 2>/dev/null; "
                "do usleep 100000; done", timeout=60)
    calls, patched, wrong = map(int, re.findall(r"\d+", guest.check("cat /tmp/hammer")))
    measured(f"{RACES} applies and reverts on {CPUS} CPUs, {guest.emulator()}: {calls} calls, "
             f"{patched} of them patched, {wrong} wrong; rewritten meanwhile: "
             + ", ".join(f"{name} {n} times" for name, n in rounds.items()))
    assert wrong == 0 and 0 < patched < calls
    assert min(rounds.values()) > 0, rounds
    assert guest.shell("dmesg | grep -E 'WARNING: CPU|BUG:|Oops|[Ff]trace (bug|failed|disabled)|"
                       "jump_label: |general protection'").out == ""
