# SPDX-License-Identifier: BSD-2-Clause
"""Patches that `suture build --diff` makes of source diffs alone (tests/fixes/diffs.toml), in a guest
whose kernel lacks the fixes, under load: they are applied, run, and reverted. `make check-diffs`."""

import os
import tomllib

import pytest

from machine import BUILD, TOP
from patches import apply, revert
from test_fixes import FIXES, LOAD, guest  # noqa: F401  (a fixture)

pytestmark = pytest.mark.x86("the kernel that lacks the fixes is of amd64")
with open(os.path.join(TOP, "tests", "fixes", "diffs.toml"), "rb") as f:
    DIFFS = {diff["name"]: diff for diff in tomllib.load(f)["diff"]
             if diff.get("short") or os.environ.get("SUTURE_DIFFS") == "all"}


def test_original(guest):
    for name in DIFFS:
        guest.original(FIXES[name])


def test_apply(guest, measured):
    for name in DIFFS:
        apply(guest.machine, os.path.join(BUILD, "diffs", f"{name}.sut"))
        guest.on.append(name)
    measured(f"{len(DIFFS)} patches from diffs applied")


@pytest.mark.parametrize("name", DIFFS)
def test_diff(guest, name, measured):
    """What the fix changes is seen, in a module also after it was reloaded."""
    fix = FIXES[name]
    comes = fix["object"] != "vmlinux"
    for _ in range(2 if comes else 1):
        if comes:
            guest.load(fix["object"])
        out = guest.exercise(fix)
        if "after" in fix:
            assert out == fix["after"]
        if comes:
            guest.unload(fix["object"])
    measured(f"{name}: {out}".replace("\n", ", "))
    assert guest.complaints() == ""


def test_revert(guest, measured):
    done = guest.machine.check("cat " + " ".join(f"/tmp/done.{name}" for name in sorted(LOAD))).split()
    assert guest.on, "nothing was applied"
    for name in reversed(guest.on):
        revert(guest.machine, name)
    for name in DIFFS:
        guest.original(FIXES[name])
    assert guest.machine.check("ls /sys/kernel/suture") == ""
    assert guest.complaints() == ""
    measured("rounds of the load: " + ", ".join(f"{name} {n}" for name, n in
                                               zip(sorted(LOAD), done)))
