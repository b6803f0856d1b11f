# SPDX-License-Identifier: BSD-2-Clause
"""Patches that `suture build --diff` makes of source diffs alone (tests/fixes/diffs.toml), in a guest
whose kernel lacks the fixes, under load: they are applied, run, and reverted. `make check-diffs`."""

import os
import tomllib

import pytest

from machine import BUILD, TOP
from patches import apply, revert
from test_fixes import FIXES, LOAD, boot_guest, modules_of

pytestmark = pytest.mark.x86("the kernel that lacks the fixes is of amd64")


def read_diff(diff):
    """With what the fix of its name says, and the objects that it is for."""
    objects = dict.fromkeys(one.split(": ")[0] for one in diff["replaces"])
    return {**FIXES.get(diff["name"], {}), **diff, "objects": list(objects)}


with open(os.path.join(TOP, "tests", "fixes", "diffs.toml"), "rb") as f:
    DIFFS = {diff["name"]: read_diff(diff) for diff in tomllib.load(f)["diff"]
             if diff.get("short") or os.environ.get("SUTURE_DIFFS") == "all"}


@pytest.fixture(scope="module")
def guest(boot_module):
    return boot_guest(boot_module, sorted({name for diff in DIFFS.values() for name in modules_of(diff)} |
                                          {name for diff in DIFFS.values() for name in diff.get("needs", ())}))


def watch(machine, diff):
    """Probes on its functions in the patch: nothing there counts calls."""
    probes = "\n".join(f"p:diff/n{i} {diff['name']}:{one.split(': ')[1]}"
                       for i, one in enumerate(diff["replaces"]))
    machine.check(f"cd /sys/kernel/tracing; echo '{probes}' >kprobe_events; echo 1 >events/diff/enable")


def count_calls(machine, diff):
    """{function: calls since watch()}, which it ends."""
    lines = machine.check("cd /sys/kernel/tracing; cat kprobe_profile; echo 0 >events/diff/enable; "
                          "echo >kprobe_events").split("\n")
    calls = {name: int(hits) for name, hits, _ in map(str.split, filter(None, lines))}
    return {one.split(": ")[1]: calls[f"n{i}"] for i, one in enumerate(diff["replaces"])}


def logged(machine):
    """What callbacks have said (diffs.toml)."""
    return ",".join(machine.check("dmesg | sed -n 's/.*hhf_callback //p'").split("\n"))


def test_original(guest):
    for diff in DIFFS.values():
        guest.original(diff)


def test_apply(guest, measured):
    for name, diff in DIFFS.items():
        for module in diff.get("loaded", ()):
            guest.load(module)
        apply(guest.machine, os.path.join(BUILD, "diffs", f"{name}.sut"))
        guest.on.append(name)
    measured(f"{len(DIFFS)} patches from diffs applied")


@pytest.mark.parametrize("name", DIFFS)
def test_diff(guest, name, measured):
    """The new functions run, in a module also after it was reloaded, and what the fix changes is seen."""
    diff = DIFFS[name]
    modules = modules_of(diff)
    for _ in range(2 if modules else 1):
        for module in modules:
            guest.load(module)
        watch(guest.machine, diff)
        out = guest.exercise(diff)
        calls = count_calls(guest.machine, diff)
        if "after" in diff:
            assert out == diff["after"]
        assert [function for function in calls if not calls[function]] == []
        for module in modules:
            guest.unload(module)
    if "logged" in diff:
        assert logged(guest.machine) == diff["logged"][0]
    told = ", ".join(f"{function} {count}" for function, count in calls.items())
    measured(f"{name}: {told}; {diff.get('before', 'not tried')} -> {out}".replace("\n", ", "))
    assert guest.complaints() == ""


def test_revert(guest, measured):
    done = guest.machine.check("cat " + " ".join(f"/tmp/done.{name}" for name in sorted(LOAD))).split()
    assert guest.on, "nothing was applied"
    for name in reversed(guest.on):
        revert(guest.machine, name)
    for diff in DIFFS.values():
        guest.original(diff)
    assert logged(guest.machine) == ",".join(line for diff in DIFFS.values() for line in diff.get("logged", ()))
    assert guest.machine.check("ls /sys/kernel/suture") == ""
    assert guest.complaints() == ""
    measured("rounds of the load: " + ", ".join(f"{name} {n}" for name, n in
                                               zip(sorted(LOAD), done)))
