# SPDX-License-Identifier: BSD-2-Clause
"""Code that a patch does not reach: clones of its functions that others call directly. Whoever applies it
is told which, and by whom."""

import re

import pytest

from patches import apply, make_patch, revert

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
# Nothing of these runs in this machine. hpet_set_rtc_irq_bit() calls the part of the first.
UNUSED = """
    static void new_function(void)
    {
    }
"""
PART = "hpet_rtc_timer_init.part.0"


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2)
    machine.load_agent()
    return machine


@pytest.fixture(scope="module")
def forbid(tmp_path_factory):
    return make_patch(str(tmp_path_factory.mktemp("clones")), "forbid", FORBID,
                      {None: {"getname_flags": "new_getname_flags"}})


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
    assert machine.shell("mkdir /tmp/forbidden && rmdir /tmp/forbidden").status == 0
    assert warning[0] in machine.suture("info", "forbid").out
    clone, = machine.json("/v1/patches/forbid")["clones"]
    assert (clone["object"], clone["function"], clone["name"]) == \
        ("vmlinux", "getname_flags", "getname_flags.part.0")
    assert clone["callers"] == callers
    assert clone["callers_total"] == len(callers) + int(warning[2] or 0)
    measured(f"getname_flags.part.0: {clone['callers_total']} direct callers")
    revert(machine, "forbid")


def test_strict(machine, forbid):
    refused = machine.suture("apply", "--strict", forbid)
    assert refused.status == 1
    assert re.search(r"forbid failed: getname_flags\.part\.0 is called by \w+ directly: .*--strict",
                     refused.out), refused.out
    assert machine.check("ls /sys/kernel/suture") == ""


@pytest.mark.parametrize("functions, warned", [
    (["hpet_rtc_timer_init"], True),
    (["hpet_rtc_timer_init", PART], False),
    (["hpet_rtc_timer_init", "hpet_set_rtc_irq_bit"], False),
    (["cmdline_proc_show"], False),
], ids=["part", "part_replaced", "caller_replaced", "no_clone"])
def test_what_is_said(machine, tmp_path, functions, warned):
    bundle = make_patch(str(tmp_path), "unused", UNUSED,
                        {None: {name: "new_function" for name in functions}})
    output = apply(machine, bundle)
    assert warned == bool(re.search(r"^warning: hpet_rtc_timer_init\.part\.0 is not replaced .*"
                                    r"hpet_set_rtc_irq_bit", output, re.M)), output
    assert warned or "warning" not in output
    revert(machine, "unused")
