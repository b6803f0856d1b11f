# SPDX-License-Identifier: BSD-2-Clause
"""
A patched function that calls two patched functions, from all contexts on all CPUs: no call ever
executes one in the old and the other in the new version. SUTURE_ROUNDS: the number of applies and
reverts; SUTURE_TASKS: of processes that sleep meanwhile.
"""

import os
import re
import time

from complaints import complaints
from machine import BUILD, GUEST, PLATFORM
from patches import make_patch

MIXTURE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "mixture.ko")
ROUNDS = int(os.environ.get("SUTURE_ROUNDS", "1000"))
TASKS = int(os.environ.get("SUTURE_TASKS", "0"))
CALLS_A_SECOND = {"QEMU": 100000, "Bochs": 5000}[PLATFORM.emulator]
CONTEXTS = ("user", "thread", "softirq", "hardirq", "ipi")

# the new functions call one another by the old ones' addresses: through the redirects
CODE = """
    extern int mixture_f(void);
    extern int mixture_g(void);
    extern void mixture_note(int context, int h, int f, int g);

    static __attribute__((noipa)) int new_f(void)
    {
        barrier();
        return 2;
    }

    static __attribute__((noipa)) int new_g(void)
    {
        barrier();
        return 2;
    }

    static __attribute__((noipa)) void new_h(int context, void (*between)(void))
    {
        int f = mixture_f();

        if (between)
            between();
        mixture_note(context, 2, f, mixture_g());
    }
"""


def state(guest):
    words = guest.check("cat /proc/mixture/state").split()
    return dict(zip(words[::2], map(int, words[1::2])))


def text_hash(guest):
    """From inside the guest; both views of its memory must be the same."""
    running, direct = guest.check("cat /proc/mixture/hash", timeout=60).split()
    assert running == direct, "the mapping that runs is not what lies in memory"
    return running


def attempts(guest, *arguments):
    result = guest.suture(*arguments)
    assert result.status == 0, result
    return int(re.search(r"(\d+) attempt", result.out)[1])


def test_mixture(boot, tmp_path, measured):
    guest = boot(cpus=2, files={"/lib/modules/mixture.ko": MIXTURE}, memory="2G" if TASKS else "1G")
    guest.load_agent()
    guest.check("insmod /lib/modules/mixture.ko "
                r"$(sed -nE 's/^([0-9a-f]+) T _(stext|etext)$/\2=0x\1/p' /proc/kallsyms)")
    # they take what the agent and its helper leave
    guest.check("for cpu in 0 1; do taskset $((1 << cpu)) dd if=/proc/mixture/run of=/dev/null "
                "bs=64 2>/dev/null & renice -n 19 $!; echo $! >>/tmp/pids; done")
    bundle = make_patch(str(tmp_path), "mixed", CODE, {
        "mixture": {"mixture_h": "new_h", "mixture_f": "new_f", "mixture_g": "new_g"}})

    if TASKS:
        guest.check(f"crowd {TASKS}", timeout=300)

    # what the kernel rewrites of itself when it loads a module for the first time is done now
    attempts(guest, "apply", bundle)
    attempts(guest, "revert", "mixed")
    text = text_hash(guest)

    before, start, used = state(guest), time.monotonic(), guest.cpu_seconds()
    blocked = 0
    for n in range(ROUNDS):
        blocked += attempts(guest, "apply", bundle) - 1
        if n == 0:
            # the bytes that run are not those in memory: the hash would notice
            assert guest.check("cat /proc/mixture/hash", timeout=60).split()[0] != text
        blocked += attempts(guest, "revert", "mixed") - 1
        if n % 50 == 0:
            assert state(guest)["mixed"] == 0
    after, took, used = state(guest), time.monotonic() - start, guest.cpu_seconds() - used

    assert after["mixed"] == 0, after
    assert text_hash(guest) == text
    calls = after["old"] + after["new"] - before["old"] - before["new"]
    measured(f"{ROUNDS} rounds with {TASKS} more tasks in {took:.0f} s, {used / ROUNDS:.2f} s of CPU time each, "
             f"{blocked} attempts blocked, "
             f"{calls / took:.0f} calls a second, 0 of them mixed")
    assert blocked > 0
    assert after["new"] > before["new"] and after["old"] > before["old"]
    for context in CONTEXTS:
        assert after[context + "_least"] > before[context + "_least"], (context, after)
    assert calls / took >= CALLS_A_SECOND
    guest.check("kill $(cat /tmp/pids); sleep 0.2; rmmod mixture")
    assert complaints(guest) == ""
