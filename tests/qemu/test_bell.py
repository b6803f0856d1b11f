# SPDX-License-Identifier: BSD-2-Clause
"""The doorbell: an idle guest leaves the processor to itself, and is woken when there is work.

SUTURE_BELL_ROUNDS is the number of times that the agent is loaded and unloaded while NMIs come.
"""

import os
import re
import statistics
import time

import pytest

from complaints import STALLS, complaints
from machine import PLATFORM
from patches import apply, make_patch, revert

ROUNDS = int(os.environ.get("SUTURE_BELL_ROUNDS", "5"))
IDLE_SECONDS = 12
APPLIES = 5
STACK = 4
TRACING = "/sys/kernel/tracing"
# what the waits of an operation are counted by
WAITS = ("loader_start", "declare_patch", "mailbox_call", "synchronize_rcu", "synchronize_rcu_expedited")
LONGEST_POLL = 0.25  # seconds
ARM64 = PLATFORM.architecture == "arm64"
# what a guest does by itself while it is idle
OWN = {"irqchip", "wait"}


@pytest.fixture(scope="module")
def machine(boot_module):
    """On x86 an NMI that nobody claims is its end."""
    machine = boot_module(cpus=3, cmdline="unknown_nmi_panic=1 panic=0 nowatchdog")
    # all CPUs tell their stacks on NMIs, which the console need not show
    machine.check("dmesg -n 1; echo 1 >/proc/sys/kernel/sysrq")
    machine.load_agent()
    return machine


@pytest.fixture
def guest(machine):
    yield machine
    assert machine.alive()
    assert complaints(machine, STALLS, "unknown reason") == ""


def idle_exits(guest):
    """A second, without those of the guest's own APIC or GIC; by class."""
    before, start = guest.exits(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    after, took = guest.exits(), time.monotonic() - start
    return {name: (after[name] - before[name]) / took for name in after
            if name not in OWN and after[name] != before[name]}


def rings(guest):
    """How often the guest was rung: NMIs, or what its kernel has counted."""
    if not ARM64:
        return guest.exits()["nmi"]
    line = guest.check("grep ' suture$' /proc/interrupts").split()
    return sum(int(word) for word in line[1:] if word.isdigit())


def settled(guest):
    """The agent sleeps until it is rung."""
    deadline = time.monotonic() + 30
    before = guest.exits()["hypercall"]
    while True:
        time.sleep(1)
        now = guest.exits()["hypercall"]
        if now == before:
            return
        assert time.monotonic() < deadline
        before = now


def test_idle(guest, demo, measured):
    for patched in False, True:
        if patched:
            apply(guest, demo)
        settled(guest)
        found = idle_exits(guest)
        measured(f"exits a second {'with a patch' if patched else 'without patches'}: "
                 f"{sum(found.values()):.2f} {found}")
        assert sum(found.values()) < 1, found
        # the agent is known to live though it says nothing
        assert guest.json("/v1/status")["guest"]["state"] == "alive"
        assert guest.json("/v1/status")["guest"]["silent_us"] < 5000000
    revert(guest, "demo")


def test_rung(guest, demo, measured):
    """An apply does not wait for the agent's poll, and one ring does for all of it."""
    took = []
    for _ in range(APPLIES):
        settled(guest)
        before, start = rings(guest), time.monotonic()
        apply(guest, demo)
        took.append(time.monotonic() - start)
        assert rings(guest) - before in (1, 2)
        settled(guest)
        before = rings(guest)
        revert(guest, "demo")
        assert rings(guest) - before in (1, 2)
    measured(f"apply, rung: median {1000 * statistics.median(took):.0f} ms of "
             f"{[round(1000 * t) for t in took]}")


def traced(guest, operation, *arguments):
    """[(seconds, task, function, its caller)] of WAITS, in order, while the operation runs."""
    guest.check(f"[ -e {TRACING}/trace ] || mount -t tracefs tracefs {TRACING}; cd {TRACING} && "
                f"echo {' '.join(WAITS)} >set_ftrace_filter && echo function >current_tracer", timeout=60)
    operation(guest, *arguments)
    text = guest.check(f"cd {TRACING} && cat trace && echo nop >current_tracer && echo >set_ftrace_filter",
                       timeout=60)
    found = re.findall(r"^ +(\S+)-\d+ +\[\d+\] \S+ +([\d.]+): (\S+) <-(\S+)", text, re.M)
    return sorted((float(at), task, function, caller) for task, at, function, caller in found)


def polls(events, start, end):
    """How often the agent asked in vain, and how long that took."""
    begin = next(at for at, _, function, _ in events if function == start)
    last = next((at for at, _, function, _ in events if function == end and at > begin), events[-1][0])
    return sum(begin < at < last and function == "mailbox_call" and task == "suture"
               and caller.startswith("poll_") for at, task, function, caller in events), last - begin


def test_waits(guest, demo, measured):
    """While the helper works, the agent does not ask again and again; and the helper does not wait for
    grace periods of RCU that idle CPUs make long."""
    settled(guest)
    events = traced(guest, apply, demo)
    count, took = polls(events, "loader_start", "declare_patch")
    measured(f"polls while the helper loads: {count} in {1000 * took:.0f} ms")
    assert count <= 1 + took / LONGEST_POLL
    settled(guest)
    helper = [function for _, task, function, _ in traced(guest, revert, "demo")
              if task == "suture-load"]
    waits, expedited = map(helper.count, ("synchronize_rcu", "synchronize_rcu_expedited"))
    measured(f"grace periods that an unload waits for: {waits}, {expedited} of them expedited")
    assert waits == expedited > 0


def looked_at(guest, bundle):
    """How many symbols the agent looks at for an apply."""
    def hits():
        return sum(int(line.split()[1]) for line in
                   guest.check(f"cat {TRACING}/kprobe_profile").splitlines())
    before = hits()
    apply(guest, bundle)
    return hits() - before


def test_symbols_of_a_stack(guest, bundles, measured):
    """An apply looks through the payloads below it once: for what its payload takes from modules."""
    code = "static int new_show(struct seq_file *m, void *v) {{ seq_puts(m, \"{0}\\n\"); return 0; }}"
    names = [f"layer{n:03d}" for n in range(STACK)]
    stack = [make_patch(bundles, name, code.format(name), {None: {"cmdline_proc_show": "new_show"}})
             for name in names]
    probes = guest.check("grep -oE ' one_(module_)?symbol\t\\[suture\\]' /proc/kallsyms").split("\n")
    guest.check(f"[ -e {TRACING}/trace ] || mount -t tracefs tracefs {TRACING}; cd {TRACING} && "
                + " && ".join(f"echo p:looks/{probe.split()[0]} suture:{probe.split()[0]} >>kprobe_events"
                              for probe in probes) + " && echo 1 >events/looks/enable")
    counts = [looked_at(guest, bundle) for bundle in stack]
    own = int(guest.check("grep -cF '[layer000]' /proc/kallsyms"))
    guest.check(f"cd {TRACING} && echo 0 >events/looks/enable && echo >kprobe_events")
    for name in reversed(names):
        revert(guest, name)
    measured(f"symbols that an apply looks at, by its place on a stack: {counts}; a payload has {own}")
    # those without a name, which /proc/kallsyms leaves out, count as well: nearly as many
    assert counts[-1] - counts[0] <= 2.5 * (STACK - 1) * own


def test_offline(guest, demo):
    """A CPU that has gone offline is not rung, and one that comes back is."""
    for offline in "1", "2", "1 2":
        guest.check(f"for c in {offline}; do echo 0 >/sys/devices/system/cpu/cpu$c/online; done")
        settled(guest)
        apply(guest, demo)
        guest.check(f"for c in {offline}; do echo 1 >/sys/devices/system/cpu/cpu$c/online; done")
        settled(guest)
        revert(guest, "demo")


@pytest.mark.x86("its doorbell is an NMI, which other NMIs may meet; arm64 has a line of its own")
def test_storm(guest, demo, measured):
    """Other NMIs come all the time, while the agent is loaded and unloaded."""
    guest.check("(while [ ! -e /tmp/end ]; do echo l >/proc/sysrq-trigger; done; rm /tmp/end) "
                ">/dev/null 2>&1 &")
    before = guest.exits()["nmi"]
    for _ in range(ROUNDS):
        apply(guest, demo)
        revert(guest, "demo")
        guest.check("rmmod suture")
        guest.load_agent()
    guest.check("touch /tmp/end; while [ -e /tmp/end ]; do sleep 1; done")
    count = guest.exits()["nmi"] - before
    measured(f"{ROUNDS} loads of the agent, {count} NMIs")
    assert count > 10 * ROUNDS
    settled(guest)
    apply(guest, demo)
    revert(guest, "demo")
