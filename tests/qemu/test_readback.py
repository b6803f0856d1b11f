# SPDX-License-Identifier: BSD-2-Clause
"""The proof that a patch is in force: what a CPU fetches is read back."""

import os
import re
import time

import pytest

from machine import BUILD, GUEST
from patches import apply, make_patch, revert

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")


def prepared(boot):
    guest = boot(cpus=2, files={f"/lib/modules/{name}.ko": os.path.join(MODULES, f"{name}.ko")
                                for name in ("remap", "many", "rewritten")})
    guest.load_agent()
    guest.before = guest.check("cat /proc/cmdline")
    return guest


@pytest.fixture
def guest(shared):
    """Two CPUs, the agent and the module `remap`."""
    with shared(prepared) as guest:
        guest.check("insmod /lib/modules/remap.ko")
        yield guest
        guest.check("rmmod remap")
        assert guest.shell("ls /sys/kernel/suture 2>/dev/null").out == ""
        assert guest.check("cat /proc/cmdline") == guest.before


@pytest.fixture(scope="module")
def patch(bundles):
    return make_patch(bundles, "proof", """
        static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }

        static noinline int new_version_proc_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_cmdline_proc_show",
                 "version_proc_show": "new_version_proc_show"}})


def functions(guest, name="proof"):
    answer = guest.json(f"/v1/patches/{name}")
    return {f["name"]: f for f in answer["functions"]}


def take(guest, function):
    """Copy the page that the function is on, as it is now."""
    guest.check(f"echo take {function} >/proc/remap")


def wait_for(guest, in_force, name="proof", function="cmdline_proc_show"):
    """Until the function is said to be so; returns it, and how many seconds that took."""
    start = time.monotonic()
    while True:
        f = functions(guest, name)[function]
        took = time.monotonic() - start
        if f["in_force"] == in_force:
            return f, took
        assert took < 10, f
        time.sleep(0.02)


def test_read_back_after_the_switch(guest, patch):
    """The report says how many functions were read back: jumps, and the originals after the revert."""
    out = apply(guest, patch)
    assert re.search(r"\b2 functions redirected, 2 read back$", out, re.M), out
    report = guest.json("/v1/patches/proof")["apply"]
    assert report["functions_redirected"] == report["functions_verified"] == 2
    assert report["mismatch"] == ""
    for f in functions(guest).values():
        assert f["in_force"] and f["not_in_force"] == f["covered_by"] == "", f
    revert(guest, "proof")
    report = guest.json("/v1/patches/proof")["revert"]
    assert report["functions_redirected"] == report["functions_verified"] == 2
    assert report["mismatch"] == ""
    assert not any(f["in_force"] for f in functions(guest).values())


def test_remapped_text(guest, patch, measured):
    """The kernel maps another page where a patched function is: said within two seconds, and so is
    that it is back. The other function is in force all the time."""
    take(guest, "cmdline_proc_show")
    apply(guest, patch)
    for _ in range(2):
        guest.check("echo away >/proc/remap")
        assert guest.check("cat /proc/cmdline") == guest.before
        f, away = wait_for(guest, False)
        assert f["redirected"]
        assert re.fullmatch(r"the guest kernel maps 0x\w+ to another page since "
                            r"\(physical 0x\w+\): .*", f["not_in_force"]), f
        assert functions(guest)["version_proc_show"]["in_force"]
        guest.check("echo back >/proc/remap")
        assert guest.check("cat /proc/cmdline") == "patched"
        f, back = wait_for(guest, True)
        assert f["not_in_force"] == ""
        measured(f"said after {away:.1f} s that a page was remapped, after {back:.1f} s that it is back")
        assert away < 2 and back < 2
    log = guest.suture("log").out
    assert len(re.findall(r"patch 'proof': cmdline_proc_show is not in force: the guest kernel maps",
                          log)) == 2, log
    assert len(re.findall(r"patch 'proof': cmdline_proc_show is in force again", log)) == 2, log
    revert(guest, "proof")


@pytest.mark.x86("arm64 has no static calls in line, at which alone a hook is needed")
def test_remapped_hook(guest, bundles):
    """A function whose way to the new one is a hook of ftrace's: a page without the call to it."""
    bundle = make_patch(bundles, "hooked", """
        static noinline int new_call_first(int n)
        {
            return n + 90;
        }
    """, {"rewritten": {"rewritten_call_first": "new_call_first"}})

    def calls():
        return re.search(r" call (\d+) ", guest.check("cat /proc/rewritten")).group(1)

    guest.check("insmod /lib/modules/rewritten.ko")
    take(guest, "rewritten_call_first")
    before = calls()
    apply(guest, bundle)
    assert calls() == "90"
    assert wait_for(guest, True, "hooked", "rewritten_call_first")[1] < 2
    guest.check("echo away >/proc/remap")
    assert calls() == before
    f, took = wait_for(guest, False, "hooked", "rewritten_call_first")
    assert "does not lead to ftrace and its hook" in f["not_in_force"] and took < 2, f
    guest.check("echo back >/proc/remap")
    assert calls() == "90"
    assert wait_for(guest, True, "hooked", "rewritten_call_first")[1] < 2
    revert(guest, "hooked")
    assert calls() == before
    guest.check("rmmod rewritten")


def test_many_functions(guest, bundles, measured):
    """The look at 512 functions: bounded in one go, and all of them every second."""
    names = [f"many_{n:04o}" for n in range(512)]
    bundle = make_patch(bundles, "lots", """
        static noinline int new_many(void)
        {
            return 7;
        }
    """, {"many": {name: "new_many" for name in names}})
    guest.check("insmod /lib/modules/many.ko")
    assert guest.check("cat /proc/many") == str(sum(range(4096)))
    apply(guest, bundle)
    assert guest.check("cat /proc/many") == str(7 * 512 + sum(range(512, 4096)))
    report = guest.json("/v1/patches/lots")["apply"]
    assert report["functions_redirected"] == report["functions_verified"] == 512
    time.sleep(3)
    numbers = dict(re.findall(r"^suture_readback_(\w+) ([0-9.]+)$", guest.http("/metrics")[1], re.M))
    assert numbers["functions"] == "512", numbers
    measured(f"512 functions read back in {float(numbers['last_seconds']) * 1000:.1f} ms, "
             f"at most {float(numbers['max_seconds']) * 1000:.1f} ms in one go")
    assert all(f["in_force"] for f in functions(guest, "lots").values())
    revert(guest, "lots")
    report = guest.json("/v1/patches/lots")["revert"]
    assert report["functions_redirected"] == report["functions_verified"] == 512
    assert guest.check("cat /proc/many") == str(sum(range(4096)))
    guest.check("rmmod many")


def test_remapped_before_the_switch_ends(guest, patch):
    """Reverted while another page is mapped there: what is read back are not the bytes of the page
    that was patched, and is the original all the same."""
    take(guest, "cmdline_proc_show")
    apply(guest, patch)
    guest.check("echo away >/proc/remap")
    wait_for(guest, False)
    revert(guest, "proof")
    report = guest.json("/v1/patches/proof")["revert"]
    assert report["functions_verified"] == 2, report
    guest.check("echo back >/proc/remap")
