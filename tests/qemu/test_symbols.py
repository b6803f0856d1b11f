# SPDX-License-Identifier: BSD-2-Clause
"""Symbols of modules and of the kernel in payloads: addresses that are updated when the module is
unloaded and loaded, modules that a patch holds, and symbols whose memory has been freed
(docs/payloads.md)."""

import os
import re

import pytest

from complaints import complaints
from machine import BUILD, GUEST
from patches import KALLSYMS_ALL, apply, make_patch, revert

OWNER = os.path.join(BUILD, "guest", f"{GUEST}-modules", "owner.ko")
LIFE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "life.ko")
REWRITTEN = os.path.join(BUILD, "guest", f"{GUEST}-modules", "rewritten.ko")
DUMMY = os.path.join(BUILD, "guest", GUEST, "modules", "kernel", "drivers", "net", "dummy.ko")
RELOADS = int(os.environ.get("SUTURE_RELOADS", "10"))

# of a module that is loaded, a kernel without CONFIG_KALLSYMS_ALL knows the functions alone
NUMBER = "owner_number" if KALLSYMS_ALL else "owner_secret(1)"
DECLARED = "extern int owner_number;" if KALLSYMS_ALL else ""

TAKES = f"""
    {DECLARED}
    int owner_secret(int n);
    int owner_exported(int n);

    static int (*const by_pointer)(int) = owner_exported;

    static noinline int helper(int n)
    {{
        return owner_secret(n) + by_pointer(n);
    }}

    static int new_value(void)
    {{
        return helper(100) + {NUMBER};
    }}
"""
FOLLOWS = {"owner": {"owner_value": "new_value"}}


def value(number):
    """The result of new_value()."""
    return str(100 * number + 100 + number + number)


@pytest.fixture(scope="module")
def machine(boot_module):
    files = {f"/lib/modules/{os.path.basename(f)}": f for f in (OWNER, LIFE, REWRITTEN, DUMMY)}
    machine = boot_module(cpus=2, files=files)
    machine.load_agent()
    return machine


@pytest.fixture
def guest(machine):
    """The guest, which each test must leave with nothing but the agent loaded."""
    before = machine.check("cat /proc/cmdline")
    yield machine
    assert machine.check("cat /proc/cmdline") == before
    assert machine.check("ls /sys/kernel/suture") == ""
    assert machine.check("cut -d' ' -f1 /proc/modules") == "suture"
    assert complaints(machine, "payload calls") == ""


def insmod(guest, name, *words):
    guest.check(f"insmod /lib/modules/{name}.ko {' '.join(words)}")


def refused(guest, bundle, says):
    result = guest.suture("apply", bundle)
    assert result.status != 0 and re.search(says, result.out), result


@pytest.fixture(scope="module")
def follows(bundles):
    return make_patch(bundles, "follows", TAKES, FOLLOWS)


# ---- symbols that follow their module ----

def test_module_comes_later(guest, follows):
    """A patch of a module that is not loaded applies; its symbols are there when the module comes."""
    apply(guest, follows)
    insmod(guest, "owner")
    assert guest.check("cat /proc/owner") == value(7)
    revert(guest, "follows")
    assert guest.check("cat /proc/owner") == "7"
    guest.check("rmmod owner")


def test_module_reloaded(guest, follows, measured):
    """The module is unloaded, others are loaded at its address, and it is loaded again
    elsewhere."""
    insmod(guest, "owner")
    apply(guest, follows)
    places = set()
    for n in range(RELOADS):
        guest.check("rmmod owner")
        others = (("dummy", "rewritten"), ())[n % 2]
        for other in others:
            insmod(guest, other)
        insmod(guest, "owner", f"number={n + 1}")
        assert guest.check("cat /proc/owner") == value(n + 1)
        places.add(guest.check(r"sed -n 's/^owner .* \(0x[0-9a-f]*\).*/\1/p' /proc/modules"))
        for other in others:
            guest.check(f"rmmod {other}")
    guest.check("rmmod owner")
    revert(guest, "follows")
    measured(f"measured {RELOADS} reloads under the patch, the module at {len(places)} places")
    assert len(places) > 1


def test_vmlinux_applies_without_the_module(guest, bundles):
    """A cumulative patch: what it has for vmlinux applies although its module is not there."""
    bundle = make_patch(bundles, "cumulative", TAKES + """
        static int new_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_show"}, **FOLLOWS})
    apply(guest, bundle)
    assert guest.check("cat /proc/cmdline") == "patched"
    insmod(guest, "owner")
    assert guest.check("cat /proc/owner") == value(7)
    guest.check("rmmod owner")
    assert guest.check("cat /proc/cmdline") == "patched"
    revert(guest, "cumulative")


def test_rolled_back(guest, bundles, follows):
    """A replaced patch whose module went and came meanwhile has the new addresses when it comes back."""
    successor = make_patch(bundles, "successor", """
        int owner_secret(int n);

        static int new_value(void)
        {
            return owner_secret(1000);
        }
    """, FOLLOWS, replace=True)
    insmod(guest, "owner")
    apply(guest, follows)
    apply(guest, successor)
    assert guest.check("cat /proc/owner") == "7000"
    guest.check("rmmod owner; insmod /lib/modules/life.ko; insmod /lib/modules/owner.ko number=3")
    assert guest.check("cat /proc/owner") == "3000"
    result = guest.suture("rollback", "successor")
    assert result.status == 0, result
    assert guest.check("cat /proc/owner") == value(3)
    revert(guest, "follows")
    guest.check("rmmod owner life")


@pytest.mark.parametrize("name,declaration,says", [
    ("lacking", "int wanted(int n) SUTURE_SYMBOL(owner, owner_nothing, 0);",
     "'owner_nothing', which a patch needs, is not in module 'owner'"),
    ("early", "int wanted(int n) SUTURE_SYMBOL(owner, owner_early, 0);",
     "'owner_early', which a patch needs, is in init memory of module 'owner'"),
])
def test_module_lacks_symbol(guest, bundles, name, declaration, says):
    """The coming module is refused, and works without the patch; where it is loaded, the patch is."""
    bundle = make_patch(bundles, name, declaration + """
        static int new_value(void)
        {
            return wanted(1);
        }
    """, FOLLOWS, check=False)
    apply(guest, bundle)
    refusals = "dmesg | grep -c \"refusing to load module 'owner'\" || true"
    before = int(guest.check(refusals))
    assert guest.shell("insmod /lib/modules/owner.ko").status != 0
    assert re.search(says, guest.suture("log").out)
    assert int(guest.check(refusals)) > before
    revert(guest, name)
    insmod(guest, "owner")
    assert guest.check("cat /proc/owner") == "7"
    refused(guest, bundle, "'owner_(nothing|early)'.*owner")
    assert guest.check("cat /proc/owner") == "7"
    guest.check("rmmod owner")


def test_which_module(guest, bundles):
    """A bare name that may be of several modules which are not there."""
    refused(guest, make_patch(bundles, "which", TAKES + """
        static void new_function(void)
        {
        }
    """, {**FOLLOWS, "life": {"life_show": "new_function"}}),
            r"owner_(number|secret|exported).*SUTURE_SYMBOL\(")


# ---- modules that are held ----

HELD = """
    int owner_secret(int n) SUTURE_SYMBOL(owner, owner_secret, 0);

    static int new_show(struct seq_file *m, void *v)
    {
        seq_printf(m, "%d\\n", owner_secret(5));
        return 0;
    }
"""


@pytest.mark.parametrize("objects", [{}, FOLLOWS], ids=["stranger", "object"])
def test_held(guest, bundles, objects):
    """Code that runs without the module holds it; when it is not there, the patch is refused."""
    name = "holds_object" if objects else "holds_stranger"
    code = HELD + ("static int new_value(void) { return owner_secret(9); }" if objects else "")
    bundle = make_patch(bundles, name, code, {None: {"cmdline_proc_show": "new_show"}, **objects})
    refused(guest, bundle, "owner_secret")
    insmod(guest, "owner")
    apply(guest, bundle)
    assert guest.check("cat /proc/cmdline") == "35"
    assert guest.check("cat /proc/owner") == ("63" if objects else "7")
    assert guest.shell("rmmod owner").status != 0
    revert(guest, name)
    guest.check("rmmod owner")


def test_refused_patch_holds_nothing(guest, bundles):
    insmod(guest, "owner")
    refused(guest, make_patch(bundles, "nothing", HELD + "extern int nowhere(void);", {
        None: {"cmdline_proc_show": "new_show", "no_such_function": "nowhere"}}, check=False), "nowhere")
    guest.check("rmmod owner")


# ---- memory that is gone ----

@pytest.mark.parametrize("name,declaration,use", [
    pytest.param("initdata", "extern char boot_command_line[];", "boot_command_line[0]",
                 marks=pytest.mark.skipif(not KALLSYMS_ALL, reason="kallsyms has no variables")),
    ("inittext", "int parse_early_options(char *line);", "(parse_early_options(NULL), 0)"),
])
def test_kernel_init_memory(guest, bundles, name, declaration, use):
    refused(guest, make_patch(bundles, name, declaration + f"""
        static int new_show(struct seq_file *m, void *v)
        {{
            seq_printf(m, "%d\\n", {use});
            return 0;
        }}
    """, {None: {"cmdline_proc_show": "new_show"}}, check=False), "kernel's init memory, which is gone")


def test_init_function(guest, bundles):
    """A function that has run, and is gone."""
    refused(guest, make_patch(bundles, "initfunc", "static void new_function(void) { }", {
        None: {"parse_early_options": "new_function"}}, check=False), "init memory")
