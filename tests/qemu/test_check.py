# SPDX-License-Identifier: BSD-2-Clause
"""The consistency check in a real guest: tasks inside a function that are hard to find."""

import os

import pytest

from complaints import complaints
from machine import BUILD, GUEST, PLATFORM
from patches import make_patch
from waiting import Waiting

HIDDEN = os.path.join(BUILD, "guest", f"{GUEST}-modules", "hidden.ko")
TRACING = "/sys/kernel/tracing"


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2, files={"/lib/modules/hidden.ko": HIDDEN})
    machine.load_agent()
    # run queues, balancers, probes: the agent has found all that this kernel has
    assert machine.shell("dmesg | grep 'suture: .*not seen'").out == ""
    machine.check("insmod /lib/modules/hidden.ko")
    return machine


@pytest.fixture
def guest(machine):
    """Two CPUs, agent and module `hidden`; left without a patch, a thread or a warning."""
    assert machine.check("cat /proc/hidden") == "1 1 1 1"
    yield machine
    assert machine.check("cat /proc/hidden") == "1 1 1 1"
    assert complaints(machine) == ""


def hidden_patch(bundles, function):
    return make_patch(bundles, f"fix_{function}", f"""
        static noinline int new_{function}(void)
        {{
            return 2;
        }}
    """, {"hidden": {function: f"new_{function}"}})


def blocked_while_in(guest, bundles, function, word, by, seconds=3.0):
    """`word` starts a thread that is in the function; no switch replaces the function before the
    thread has left."""
    bundle = hidden_patch(bundles, function)
    guest.check(f"echo {word} >/proc/hidden; sleep 0.3")
    with Waiting(guest, "apply", bundle) as applying:
        try:
            applying.blocked_by(by, seconds)
        finally:
            guest.check("echo wake >/proc/hidden")
        applying.succeeds()
    assert "2" in guest.check("cat /proc/hidden")
    result = guest.suture("revert", f"fix_{function}")
    assert result.status == 0, result


@pytest.mark.x86("gcc splits no function of arm64's modules")
def test_cold_part(guest, bundles):
    """The thread sleeps in hidden_cold.cold: the address on its stack is not in hidden_cold."""
    assert " hidden_cold.cold\t[hidden]" in guest.check("grep hidden_cold /proc/kallsyms")
    blocked_while_in(guest, bundles, "hidden_cold", "cold", by="hidden_cold")


def test_payload_text(guest, bundles):
    """The new function has jumped to another one of its payload, which sleeps there."""
    bundle = make_patch(bundles, "jumper", """
        #include <linux/delay.h>

        static __attribute__((noipa)) int elsewhere(void)
        {
            msleep(8000);
            return 2;
        }

        static __attribute__((noipa)) int new_hidden_tail(void)
        {
            return elsewhere();
        }
    """, {"hidden": {"hidden_tail": "new_hidden_tail"}})
    assert guest.suture("apply", bundle).status == 0
    guest.check("echo tail >/proc/hidden; sleep 0.3")
    with Waiting(guest, "revert", "jumper") as reverting:
        try:
            reverting.blocked_by("jumper", seconds=2)
        finally:
            guest.check("echo wake >/proc/hidden")
        reverting.succeeds()
    assert guest.check("cat /proc/hidden") == "1 1 1 1"


def test_kretprobe(guest, bundles):
    """A kretprobe has taken the only address of hidden_outer that was on the stack."""
    guest.check(f"echo r:hidden/inner hidden_inner >{TRACING}/kprobe_events; "
                f"echo 1 >{TRACING}/events/hidden/inner/enable")
    try:
        blocked_while_in(guest, bundles, "hidden_outer", "outer", by="hidden_outer.*kretprobe")
    finally:
        guest.check(f"echo 0 >{TRACING}/events/hidden/inner/enable; "
                    f"echo >{TRACING}/kprobe_events")


def test_graph_tracer(guest, bundles):
    """The same, and it is the function-graph tracer that has it."""
    guest.check(f"echo hidden_inner >{TRACING}/set_ftrace_filter; "
                f"echo function_graph >{TRACING}/current_tracer")
    try:
        blocked_while_in(guest, bundles, "hidden_outer", "outer", by="hidden_outer.*graph tracer")
    finally:
        guest.check(f"echo nop >{TRACING}/current_tracer; echo >{TRACING}/set_ftrace_filter")


def test_off_list(guest, bundles):
    """A task that is not on the task list, and preempted half of the time."""
    blocked_while_in(guest, bundles, "hidden_off_list", "off_list", by="hidden_off_list",
                     seconds=8.0)


def test_page_table_isolation(boot, demo):
    """CPUs in user mode have other page tables: the kernel's own are read."""
    option, says = {"x86": ("pti=on", "page tables isolation: enabled"),
                    "arm64": ("kpti=on", "page table isolation forced ON")}[PLATFORM.architecture]
    guest = boot(cpus=2, cmdline=option)
    assert says in guest.check("dmesg")
    guest.load_agent()
    guest.check("for i in 1 2 3; do while :; do :; done & echo $! >>/tmp/busy; done")
    for _ in range(5):
        for arguments in ("apply", demo), ("revert", "demo"):
            result = guest.suture(*arguments)
            assert result.status == 0, result
    guest.check("kill $(cat /tmp/busy)")


def test_many_tasks(guest, bundles, measured):
    """The stacks of tasks that sleep are looked at before the pause, not in it."""
    many = 400
    bundle = hidden_patch(bundles, "hidden_cold")

    def switch():
        """Apply and revert; of the best attempt of a few: (tasks, before the pause, words, us)."""
        reports = []
        for _ in range(5):
            assert guest.suture("apply", bundle).status == 0
            applied = guest.json("/v1/patches/fix_hidden_cold")["apply"]
            assert guest.suture("revert", "fix_hidden_cold").status == 0
            reports.append([applied[key] for key in (
                "tasks_checked", "tasks_before_pause", "words_checked", "pause_last_us")])
        return min(reports, key=lambda report: report[2])

    switch()
    few = switch()
    guest.check(f"for i in $(seq {many}); do sleep 10000 & done; sleep 1", timeout=60)
    try:
        lots = switch()
    finally:
        guest.check("killall sleep; sleep 1")
    measured("; ".join("{} tasks, {} of them before the pause, {} words in it, {} us".format(*r)
                       for r in (few, lots)))
    assert lots[0] >= few[0] + many * 0.9
    assert lots[1] >= few[1] + many * 0.9
    # looked at in the pause, each of them has about 140 words
    assert lots[2] < few[2] + many * 10
