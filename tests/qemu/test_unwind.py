# SPDX-License-Identifier: BSD-2-Clause
"""Stale words on stacks do not block a patch where unwinding tells them; a function that is really on a
stack does."""

import os
import re
import subprocess
import sys
import time

import pytest

from machine import BUILD, GUEST, KERNEL, SUTURE, TOP
from patches import apply, make_patch, revert
from waiting import Waiting

STALE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "stale.ko")


@pytest.fixture(scope="module")
def value_patch(bundles):
    return make_patch(bundles, "stalevalue", """
        static noinline int new_stale_value(int n, void **address)
        {
            *address = NULL;
            return n + 2;
        }
    """, {"stale": {"stale_value": "new_stale_value"}})


@pytest.fixture(scope="module")
def wait_patch(bundles):
    return make_patch(bundles, "stalewait", """
        static noinline int new_stale_wait(void *address)
        {
            return 0;
        }
    """, {"stale": {"stale_wait": "new_stale_wait"}})


@pytest.fixture(scope="module")
def guest(boot_module):
    guest = boot_module(cpus=2, files={"/lib/modules/stale.ko": STALE})
    guest.load_agent()
    guest.check("insmod /lib/modules/stale.ko")
    return guest


def report(guest, patch, what):
    return guest.json(f"/v1/patches/{patch}")[what]


@pytest.mark.parametrize("mode", ["sleep", "spin"])
def test_stale_words_are_cleared(guest, value_patch, mode, measured):
    """
    A thread has the address of a call in the patched function in 16 words of its stack, where it
    sleeps or runs. Without unwinding this patch could never be switched.
    """
    guest.check(f"echo {mode} >/proc/stale")
    try:
        for _ in range(3 if mode == "sleep" else 1):
            result = guest.suture("apply", value_patch)
            assert result.status == 0, result
            assert guest.check("cat /proc/stale") == "value 2"
            applied = report(guest, "stalevalue", "apply")
            assert applied["words_cleared"] >= 16, applied
            result = guest.suture("revert", "stalevalue")
            assert result.status == 0, result
            assert guest.check("cat /proc/stale") == "value 1"
        measured(f"stale words of a thread that {mode}s: {applied['words_cleared']} cleared, "
                 f"pause {applied['pause_last_us']} us, {applied['attempts']} attempts")
    finally:
        guest.check("echo wake >/proc/stale")


@pytest.mark.parametrize("mode", ["sleep", "spin"])
def test_who_is_there_is_named_with_its_stack(guest, wait_patch, mode):
    guest.check(f"echo {mode} >/proc/stale")
    applying = subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure",
                                 "apply", wait_patch], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        blocker = None
        # the spinning thread may be in the entry of an interrupt, where unwinding ends early
        while blocker is None or blocker["func"] != "stale_wait" or \
                "stale_wait" not in [frame["func"] for frame in blocker["stack"]]:
            assert time.monotonic() < deadline, blocker
            time.sleep(0.1)
            transition = guest.json("/v1/status")["transition"]
            blocker = transition and transition["blocker"]
        assert blocker["comm"] == "stale", blocker
        stack = [frame["func"] for frame in blocker["stack"]]
        assert stack.count("stale_wait") == 1 and "" in stack, blocker
        assert all(re.fullmatch("0x[0-9a-f]{16}", frame["address"])
                   for frame in blocker["stack"]), blocker
        guest.check("echo wake >/proc/stale")
        output, _ = applying.communicate(timeout=30)
        assert applying.returncode == 0, output
    finally:
        applying.kill()
        applying.wait()
    result = guest.suture("revert", "stalewait")
    assert result.status == 0, result


@pytest.fixture(scope="module")
def veneers():
    """{veneer of the kernel's symbols: the function that branches to it and back}"""
    sys.path.append(os.path.join(TOP, "tests", "guest", "redirects"))
    from image import Image  # pylint: disable=import-outside-toplevel
    with open(KERNEL, "rb") as file:
        image = Image(file.read())
    return {image.functions[at]: function for at, function in image.veneers().items()}


@pytest.mark.arm64("its linker moves instructions out of functions, for an erratum of Cortex-A53")
@pytest.mark.parametrize("offset", [0, 4])
def test_moved_instruction(guest, bundles, veneers, offset):
    """A CPU at an instruction that the linker has moved out of the function is in the function."""
    if not veneers:
        pytest.skip("the linker has moved none")
    veneer, function = min(veneers.items())
    patch = make_patch(bundles, "moved", "static noinline void nothing(void) {}",
                       {None: {function: "nothing"}})
    apply(guest, patch)
    revert(guest, "moved")
    address = int(guest.check(f"grep ' {veneer}$' /proc/kallsyms").split()[0], 16)
    guest.check(f"echo {address + offset} >/sys/module/stale/parameters/word; echo hold >/proc/stale")
    with Waiting(guest, "apply", patch) as applying:
        try:
            applying.blocked_by(function, 1)
        finally:
            guest.check("echo wake >/proc/stale")
        applying.succeeds()
    revert(guest, "moved")
