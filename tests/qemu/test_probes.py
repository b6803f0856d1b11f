# SPDX-License-Identifier: BSD-2-Clause
"""Probes in the guest: kprobes that execute copies of a function's instructions, BPF
trampolines."""

import os
import re
import subprocess
import time

import pytest

from complaints import TEXT, complaints
from machine import BUILD, GUEST, PLATFORM
from patches import DIRECT_CALLS, apply, make_patch, revert
from waiting import Waiting

HIDDEN = os.path.join(BUILD, "guest", f"{GUEST}-modules", "hidden.ko")
TRACING = "/sys/kernel/tracing"


@pytest.fixture(scope="module")
def machine(boot_module):
    # functions that return by way of a thunk have no optimized kprobes
    machine = boot_module(cpus=2, cmdline="mitigations=off",
                          files={"/lib/modules/hidden.ko": HIDDEN})
    machine.load_agent()
    machine.check("insmod /lib/modules/hidden.ko; mount -t bpf none /sys/fs/bpf")
    return machine


@pytest.fixture
def guest(machine):
    """Two CPUs, agent and module `hidden`; left without a patch, a probe or a warning."""
    assert machine.check("cat /proc/hidden") == "1 1 1 1"
    yield machine
    assert machine.check("cat /proc/hidden") == "1 1 1 1"
    assert complaints(machine, TEXT) == ""
    left = machine.shell("ls /sys/kernel/suture 2>/dev/null; cat /sys/kernel/debug/kprobes/list")
    assert left.out == ""


# ---- kprobes ----

def probe_place(function):
    """Offset of the first instruction behind those that a redirect behind ftrace's site takes."""
    if PLATFORM.architecture == "arm64":
        return 12
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", HIDDEN], check=True,
                             capture_output=True, text=True).stdout
    body = listing.split(f"<{function}>:\n")[1].split("\n\n")[0]
    starts = [int(line.split(":")[0], 16) for line in body.splitlines()]
    return next(at - starts[0] for at in starts if at - starts[0] >= 10)


KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="optimized", marks=pytest.mark.x86("arm64 has no optimized kprobes"))]


class Kprobe:
    """In the body of a function of `hidden`, as long as the `with` lasts."""

    def __init__(self, guest, function, optimized):
        self.guest = guest
        self.where = f"hidden:{function}+{probe_place(function)}"
        self.optimized = optimized

    @staticmethod
    def optimize(on):
        knob = "/proc/sys/debug/kprobes-optimization"
        return f"[ ! -e {knob} ] || echo {int(on)} >{knob}; "

    def __enter__(self):
        self.guest.check(f"{self.optimize(self.optimized)}"
                         f"echo 'p:inside {self.where}' >{TRACING}/kprobe_events; "
                         f"echo 1 >{TRACING}/events/kprobes/inside/enable")
        wanted = "OPTIMIZED" if self.optimized else "hidden"
        for _ in range(100):
            listed = self.guest.check("cat /sys/kernel/debug/kprobes/list")
            if wanted in listed and ("OPTIMIZED" in listed) == self.optimized:
                return self
            time.sleep(0.1)
        self.__exit__()
        raise AssertionError(listed)

    def hits(self):
        return int(self.guest.check(f"cat {TRACING}/kprobe_profile").split()[1])

    def __exit__(self, *unused):
        self.guest.check(f"echo 0 >{TRACING}/events/kprobes/inside/enable; "
                         f"echo >{TRACING}/kprobe_events; {self.optimize(True)}")


def hidden_patch(bundles, function):
    return make_patch(bundles, f"probed_{function}", f"""
        static noinline int new_{function}(void)
        {{
            return 2;
        }}
    """, {"hidden": {function: f"new_{function}"}})


@pytest.mark.parametrize("optimized", KINDS)
def test_sleeper_behind_a_kprobe(guest, bundles, optimized):
    """A thread came through the probe, and sleeps in the function: that keeps it as it is."""
    bundle = hidden_patch(bundles, "hidden_inner")
    with Kprobe(guest, "hidden_inner", optimized) as probe:
        guest.check("echo outer >/proc/hidden; sleep 0.3")
        assert probe.hits() == 1
        with Waiting(guest, "apply", bundle) as applying:
            try:
                applying.blocked_by("hidden_inner", seconds=2)
            finally:
                guest.check("echo wake >/proc/hidden")
            applying.succeeds()
        # the original is not executed any more, nor what the probe has of it
        assert guest.check("cat /proc/hidden") == "1 2 1 1"
        assert probe.hits() == 1
        revert(guest, "probed_hidden_inner")
        guest.check("cat /proc/hidden")
        assert probe.hits() == 2


@pytest.mark.parametrize("optimized", KINDS)
def test_kprobe_that_is_hit_all_the_time(guest, bundles, measured, optimized):
    """Both CPUs run through the probe's copies while the function changes."""
    bundle = hidden_patch(bundles, "hidden_inner")
    loop = "while [ -e /tmp/go ]; do cat /proc/hidden; done | sort | uniq -c >/tmp/seen.{} &"
    with Kprobe(guest, "hidden_inner", optimized) as probe:
        guest.check("touch /tmp/go; " + " ".join(loop.format(n) for n in range(2)))
        try:
            for _ in range(5):
                apply(guest, bundle)
                revert(guest, "probed_hidden_inner")
        finally:
            guest.check("rm /tmp/go; wait; sleep 0.5")
        hits = probe.hits()
        assert hits > 10
    seen = guest.check("cat /tmp/seen.*")
    assert "1 1 1 1" in seen and "1 2 1 1" in seen, seen
    assert all(re.fullmatch(r" *\d+ 1 [12] 1 1", line) for line in seen.splitlines()), seen
    measured(f"kprobe ({'optimized' if optimized else 'plain'}): {hits} hits while a function "
             f"was replaced 10 times")


# ---- BPF ----

needs_direct_calls = pytest.mark.skipif(not DIRECT_CALLS, reason="the kernel's ftrace has no direct calls")
SYSTEM_CALL = {"x86": "__x64_sys", "arm64": "__arm64_sys"}[PLATFORM.architecture]


class Bpf:
    """A program on a function of vmlinux, as long as the `with` lasts."""

    def __init__(self, guest, kind, function):
        self.guest = guest
        self.arguments = f"{kind} {function} counter"

    def __enter__(self):
        self.guest.check(f"bpf {self.arguments}")
        return self

    def count(self):
        return int(self.guest.check("bpf count counter"))

    def __exit__(self, *unused):
        self.guest.check("rm /sys/fs/bpf/counter /sys/fs/bpf/counter_count; sleep 0.2")


@pytest.fixture(scope="module")
def cmdline(bundles):
    return make_patch(bundles, "bpf_cmdline", """
        static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_cmdline_proc_show"}})


def assert_patched(guest, patched=True):
    assert (guest.check("cat /proc/cmdline") == "patched") == patched


@needs_direct_calls
@pytest.mark.parametrize("kind", ["fentry", "fexit"])
def test_bpf_while_patched(guest, cmdline, kind):
    """Attached to a patched function and taken off again, and again: both go on working."""
    apply(guest, cmdline)
    for _ in range(3):
        with Bpf(guest, kind, "cmdline_proc_show") as program:
            for n in range(1, 4):
                assert_patched(guest)
                assert program.count() == n
        assert_patched(guest)
    with Bpf(guest, kind, "cmdline_proc_show") as program:
        assert_patched(guest)
        revert(guest, "bpf_cmdline")
        assert_patched(guest, False)
        assert program.count() == 2
    assert_patched(guest, False)


@needs_direct_calls
@pytest.mark.parametrize("kind", ["fentry", "fexit"])
def test_bpf_from_before(guest, cmdline, kind):
    """It was there first: the function is patched behind it."""
    with Bpf(guest, kind, "cmdline_proc_show") as program:
        for n in range(1, 4):
            apply(guest, cmdline)
            assert_patched(guest)
            assert program.count() == 2 * n - 1
            revert(guest, "bpf_cmdline")
            assert_patched(guest, False)
            assert program.count() == 2 * n
        apply(guest, cmdline)
    assert_patched(guest)
    revert(guest, "bpf_cmdline")


@needs_direct_calls
def test_bpf_trampoline_on_a_stack(guest, bundles, cmdline):
    """
    A task sleeps below a trampoline, which ends all unwinding: who is above is found nevertheless,
    and who is not is not taken to be.
    """
    caller = make_patch(bundles, "bpf_nanosleep", """
        struct pt_regs;

        static noinline long new_clock_nanosleep(const struct pt_regs *regs)
        {
            return 0;
        }
    """, {None: {f"{SYSTEM_CALL}_clock_nanosleep": "new_clock_nanosleep"}})
    with Bpf(guest, "fexit", "hrtimer_nanosleep"):
        guest.check("sleep 1000 & echo $! >/tmp/sleeper; sleep 0.5")
        stack = guest.check("cat /proc/$(cat /tmp/sleeper)/stack")
        assert "hrtimer_nanosleep" in stack, stack
        apply(guest, cmdline)
        assert_patched(guest)
        revert(guest, "bpf_cmdline")
        with Waiting(guest, "apply", caller) as applying:
            # it is not the signal that is sent after some seconds what this is about
            applying.blocked_by(f"{SYSTEM_CALL}_clock_nanosleep", seconds=1)
            guest.check("kill $(cat /tmp/sleeper)")
            applying.succeeds()
        guest.check("sleep 1000")  # comes back at once
        revert(guest, "bpf_nanosleep")
