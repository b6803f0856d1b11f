# SPDX-License-Identifier: BSD-2-Clause
"""Patches of thousands of functions: they apply, and revert. What they cost is printed."""

import os
import time

import pytest

from machine import BUILD, GUEST
from patches import apply, make_patch, revert
from test_patch import memory_in_use

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")


def prepared(boot):
    guest = boot(cpus=2, files={f"/lib/modules/{name}.ko": os.path.join(MODULES, f"{name}.ko")
                                for name in ("many", "wide")})
    guest.load_agent()
    return guest


@pytest.fixture
def guest(shared):
    with shared(prepared) as guest:
        yield guest
        assert guest.shell("ls /sys/kernel/suture 2>/dev/null").out == ""


def functions(module, count):
    return [f"{module}_{n:04o}" for n in range(count)]


def bundle_of(folder, module, count):
    """A patch of so many functions of the module, each with a new function of its own that returns
    one more."""
    code = "".join(f"static noinline int new_{name}(void) {{ barrier(); return {n + 1}; }}\n"
                   for n, name in enumerate(functions(module, count)))
    return make_patch(folder, f"{module}{count}", code,
                      {module: {name: f"new_{name}" for name in functions(module, count)}})


@pytest.mark.parametrize("module, count, of", [("many", 512, 4096), ("wide", 1000, 1024),
                                               ("many", 4096, 4096)])
def test_functions(guest, bundles, measured, module, count, of):
    name = f"{module}{count}"
    start = time.monotonic()
    bundle = bundle_of(bundles, module, count)
    built = time.monotonic() - start
    before = memory_in_use(guest)
    guest.check(f"insmod /lib/modules/{module}.ko", timeout=60)
    assert guest.check(f"cat /proc/{module}") == str(sum(range(of)))
    start = time.monotonic()
    apply(guest, bundle)
    applied = time.monotonic() - start
    used = memory_in_use(guest) - before
    assert guest.check(f"cat /proc/{module}") == str(sum(range(of)) + count)
    report = guest.json(f"/v1/patches/{name}")["apply"]
    assert report["functions_redirected"] == report["functions_verified"] == count
    start = time.monotonic()
    revert(guest, name)
    reverted = time.monotonic() - start
    assert guest.check(f"cat /proc/{module}") == str(sum(range(of)))
    guest.check(f"rmmod {module}")
    assert guest.suture("clear", name).status == 0
    # tables of the pages that were split stay
    assert memory_in_use(guest) - before < 128 << 10
    measured(f"{count} functions on {report['pages_remapped']} pages: built in {built:.1f} s, "
             f"applied in {applied:.2f} s with {report['attempts']} attempts, pause {report['pause_last_us']} us, "
             f"reverted in {reverted:.2f} s; {used // 1024} KiB of the monitor's memory")
