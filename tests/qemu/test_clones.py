# SPDX-License-Identifier: BSD-2-Clause
"""New code that is not reached: other functions call clones of the replaced function directly, or
it has no callers. `suture build` and `suture apply` report it."""

import os
import re

import pytest

from machine import GUEST, PLATFORM
from patches import TEST_MODULES, apply, make_patch, revert, suture_build, write_patch

# Kernels that have inlined notifier_call_chain() everywhere.
OLD = re.match(r"(5\.10|6\.1)[-.]", GUEST)
# getname(), mkdir, rmdir and others call its part.
FORBID = """
    #include <linux/fs.h>
    #include <linux/err.h>
    #include <linux/string.h>

    struct filename *rest(const char __user *name, int flags, int *empty)
        SUTURE_SYMBOL(vmlinux, getname_flags.part.0, 0);

    static struct filename *new_getname_flags(const char __user *name, int flags, int *empty)
    {
        struct filename *n = rest(name, flags, empty);

        if (!IS_ERR(n) && strstr(n->name, "forbidden")) {
            putname(n);
            return ERR_PTR(-EKEYREJECTED);
        }
        return n;
    }
"""
# Nothing of these runs in this machine. The second calls the part of the first.
UNCALLED, BESIDE_IT = {"x86": ("hpet_rtc_timer_init", "hpet_set_rtc_irq_bit"),
                       "arm64": ("xgene_perf_stop", "xgene_perf_del")}[PLATFORM.architecture]
PART = f"{UNCALLED}.part.0"
UNUSED = """
    static void new_function(void)
    {
    }
"""
WARNED = r"^(?:suture: \w+: )?warning: "
# Of tests/guest/modules/clones.c.
NEW_VALUE = """
    static int new_value(void)
    {
        return 2;
    }
"""
BESIDE = (r"clones_value\.part\.0 (?:of 'clones' )?is not replaced with clones_value; it is called "
          r"directly by clones_beside: these go on in the old code$")


def unused(function, object):
    return rf"nobody calls '?{function}'? of '{object}' or holds its address"


def says(what, output):
    return bool(re.search(WARNED + what, output, re.M))


def build(folder, name, code, functions, *options):
    """Returns (bundle, status, output)."""
    bundle = os.path.join(str(folder), f"{name}.sut")
    status, output = suture_build(write_patch(str(folder), name, code, functions), bundle, *options)
    return bundle, status, output


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2, files={"/lib/modules/clones.ko": os.path.join(TEST_MODULES, "clones.ko")})
    machine.load_agent()
    return machine


@pytest.fixture(scope="module")
def forbid(tmp_path_factory):
    if not re.match(r"6\.1[-.]", GUEST):
        pytest.skip("in this kernel mkdir calls getname_flags(), or that has other parameters")
    return make_patch(str(tmp_path_factory.mktemp("clones")), "forbid", FORBID,
                      {None: {"getname_flags": "new_getname_flags"}})


@pytest.fixture
def clones(machine):
    machine.check("insmod /lib/modules/clones.ko")
    yield
    machine.check("rmmod clones")


def test_warned(machine, forbid, measured):
    output = apply(machine, forbid)
    warning = re.search(r"^warning: getname_flags\.part\.0 is not replaced with getname_flags; it is "
                        r"called directly by (.*?)(?: and (\d+) more)?: these go on in the old code$",
                        output, re.M)
    assert warning, output
    callers = warning[1].split(", ")
    assert "getname" in callers and len(callers) <= 8
    assert not [name for name in callers if name.startswith("getname_flags")]
    for name in callers:
        assert machine.shell(f"grep -qw {name} /proc/kallsyms", timeout=60).status == 0, name
    # and it is so
    assert machine.shell("cat /tmp/forbidden").status != 0
    assert machine.shell("mkdir /tmp/forbidden").status == 0
    assert warning[0] in machine.suture("info", "forbid").out
    clone, = machine.json("/v1/patches/forbid")["clones"]
    assert (clone["object"], clone["function"], clone["name"]) == \
        ("vmlinux", "getname_flags", "getname_flags.part.0")
    assert clone["callers"] == callers
    assert clone["callers_total"] == len(callers) + int(warning[2] or 0)
    measured(f"getname_flags.part.0: {clone['callers_total']} direct callers")
    revert(machine, "forbid")
    machine.check("rmdir /tmp/forbidden")


def test_strict(machine, forbid):
    refused = machine.suture("apply", "--strict", forbid)
    assert refused.status == 1
    assert re.search(r"forbid failed: getname_flags\.part\.0 is called by \w+ directly: .*--strict",
                     refused.out), refused.out
    assert machine.check("ls /sys/kernel/suture") == ""


@pytest.mark.parametrize("functions, warned", [
    ([UNCALLED], True),
    ([UNCALLED, PART], False),
    ([UNCALLED, BESIDE_IT], False),
    (["cmdline_proc_show"], False),
], ids=["part", "part_replaced", "caller_replaced", "no_clone"])
def test_what_is_said(machine, tmp_path, functions, warned):
    bundle, status, output = build(tmp_path, "unused", UNUSED,
                                   {None: {name: "new_function" for name in functions}}, "--no-check")
    assert status == 0, output
    assert warned == says(rf"{UNCALLED}\.part\.0 of 'vmlinux' is not replaced", output), output
    output = apply(machine, bundle)
    assert warned == bool(re.search(rf"^warning: {UNCALLED}\.part\.0 is not replaced .*{BESIDE_IT}", output,
                                    re.M)), output
    assert warned or "warning" not in output
    revert(machine, "unused")


# ---- what the builder sees ----

def test_built(tmp_path, measured):
    """Clones and callers as the agent sees them, and functions that are not called or held: nobody
    holds the address of cmdline_proc_show once init is over, but seq_file does."""
    functions = [UNCALLED, "search_kernel_exception_table", "cmdline_proc_show", "vfs_statfs"]
    if OLD:
        functions.append("notifier_call_chain")
    _, status, output = build(tmp_path, "unused", UNUSED, {None: {n: "new_function" for n in functions},
                                                           "clones": {n: "new_function" for n in (
                                                               "clones_value", "clones_beside",
                                                               "clones_unused", "clones_by_pointer",
                                                               "clones_by_init")}}, "--no-check")
    assert status == 0, output
    assert says(rf"{UNCALLED}\.part\.0 of 'vmlinux' is not replaced .* {BESIDE_IT}", output)
    lonely = set(re.findall(unused(r"(\w+)", r"\w+"), output))
    assert lonely == {"search_kernel_exception_table", "clones_unused",
                      *(["notifier_call_chain"] if "notifier_call_chain" in functions else [])}, output
    assert "clones_value.part" not in output  # its other caller is replaced as well


def test_built_strictly(tmp_path):
    for name, functions, what in (
            ("beside", {"clones": {"clones_value": "new_value"}}, BESIDE),
            ("lonely", {"clones": {"clones_unused": "new_value"}}, unused("clones_unused", "clones"))):
        _, status, output = build(tmp_path, name, NEW_VALUE, functions)
        assert status == 0 and says(what, output), output
        bundle, status, output = build(tmp_path, name + "2", NEW_VALUE, functions, "--strict")
        assert status == 2 and re.search(rf"^suture: {name}2: " + what, output, re.M), output
        assert not os.path.exists(bundle)


# ---- modules ----

def test_module(machine, clones, tmp_path):
    bundle, _, output = build(tmp_path, "beside", NEW_VALUE, {"clones": {"clones_value": "new_value"}})
    assert says(BESIDE, output), output
    output = apply(machine, bundle)
    assert says(BESIDE, output), output
    assert machine.check("cat /proc/clones") == "2 1 1"
    revert(machine, "beside")


def test_module_comes(machine, tmp_path):
    """A module that is loaded under the patch: it is loaded, with --strict as well, and what is true of
    it is said while it is there."""
    bundle, _, _ = build(tmp_path, "later", NEW_VALUE, {"clones": {"clones_value": "new_value"}})
    output = machine.suture("apply", "--strict", bundle)
    assert output.status == 0 and "warning" not in output.out, output
    for _ in range(2):
        machine.check("insmod /lib/modules/clones.ko")
        assert machine.check("cat /proc/clones") == "2 1 1"
        assert says(BESIDE, machine.suture("info", "later").out)
        patch = machine.json("/v1/patches/later")
        assert patch["clones_total"] == 1
        assert patch["clones"] == [{"object": "clones", "function": "clones_value",
                                    "name": "clones_value.part.0", "callers_total": 1,
                                    "callers": ["clones_beside"]}]
        machine.check("rmmod clones")
        assert "warning" not in machine.suture("info", "later").out
        assert machine.json("/v1/patches/later")["clones"] == []
    assert "patch 'later': clones_value.part.0 is not replaced" in machine.suture("log").out
    revert(machine, "later")


# ---- functions without callers ----

def test_uncalled(machine, clones, tmp_path):
    bundle, _, _ = build(tmp_path, "lonely", NEW_VALUE, {"clones": {
        "clones_unused": "new_value", "clones_by_pointer": "new_value"}})
    what = unused("clones_unused", "clones")
    refused = machine.suture("apply", "--strict", bundle)
    assert refused.status == 1
    assert re.search(r"lonely failed: nobody calls clones_unused or holds its address: .*--strict",
                     refused.out), refused.out
    assert machine.check("ls /sys/kernel/suture") == ""
    output = apply(machine, bundle)
    assert says(what, output) and output.count("warning") == 1, output
    assert machine.check("cat /proc/clones") == "1 1 2"
    assert says(what, machine.suture("info", "lonely").out)
    functions = machine.json("/v1/patches/lonely")["functions"]
    assert {f["name"]: f["uncalled"] for f in functions} == {"clones_unused": True,
                                                             "clones_by_pointer": False}
    revert(machine, "lonely")
