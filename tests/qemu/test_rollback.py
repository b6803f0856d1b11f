# SPDX-License-Identifier: BSD-2-Clause
"""Atomic replace and its inverse, `suture rollback`."""

import os
import re

import pytest

from complaints import complaints
from machine import BUILD, GUEST
from patches import make_patch

SLEEPER = os.path.join(BUILD, "guest", f"{GUEST}-modules", "sleeper.ko")
CODE = """
static int new_cmdline(struct seq_file *m, void *v)
{
	seq_puts(m, "%(name)s cmdline\\n");
	return 0;
}

static int new_version(struct seq_file *m, void *v)
{
	seq_puts(m, "%(name)s version\\n");
	return 0;
}

static int new_value(int add)
{
	return %(value)d + add;
}

static void *unused[] __used = {new_cmdline, new_version, new_value};
"""
CMDLINE = {"cmdline_proc_show": "new_cmdline"}
VERSION = {"version_proc_show": "new_version"}
SHOW = "cat /proc/cmdline /proc/version /proc/sleeper"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("bundles"))

    def bundle(name, functions, value=7, replace=False):
        return make_patch(folder, name, CODE % {"name": name, "value": value}, functions,
                          replace=replace)

    return {
        # two functions of the kernel, and one of a module
        "older": bundle("older", {None: {**CMDLINE, **VERSION},
                                  "sleeper": {"sleeper_value": "new_value"}}),
        "newer": bundle("newer", {None: CMDLINE}, replace=True),
    }


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2, files={"/lib/modules/sleeper.ko": SLEEPER})
    machine.load_agent()
    machine.check("insmod /lib/modules/sleeper.ko")
    return machine


@pytest.fixture
def guest(machine):
    """The guest, which each test must leave with nothing but the agent and `sleeper` loaded."""
    before = machine.check(SHOW)
    yield machine
    assert machine.check("ls /sys/kernel/suture") == ""
    assert sorted(machine.check("cut -d' ' -f1 /proc/modules").split()) == ["sleeper", "suture"]
    assert machine.check(SHOW) == before
    assert complaints(machine) == ""


def run(guest, *arguments):
    result = guest.suture(*arguments)
    assert result.status == 0, result
    return result.out


def shown(guest):
    """What the three functions say, "" for an original."""
    lines = guest.check(SHOW).split("\n")
    assert len(lines) == 3, lines
    return [line if re.match("older|newer|value 7", line) else "" for line in lines]


def replace(guest, bundles):
    run(guest, "apply", bundles["older"])
    assert shown(guest) == ["older cmdline", "older version", "value 7"]
    run(guest, "apply", bundles["newer"])
    assert shown(guest) == ["newer cmdline", "", ""]
    assert guest.check("ls /sys/kernel/suture") == "newer"


def test_rollback(guest, bundles):
    """Back in one switch: the replaced patch is in force, and held; what had replaced it is gone."""
    replace(guest, bundles)
    used = guest.check("grep -E '^(older|newer) ' /proc/modules | cut -d' ' -f1,3 | sort")
    assert used == "newer 1\nolder 0"
    out = run(guest, "rollback", "newer")
    assert re.search(r"^newer reverted\nrevert: \d+ attempts?, pause \d+ us", out), out
    assert shown(guest) == ["older cmdline", "older version", "value 7"]
    assert guest.json("/v1/patches/older")["phase"] == "applied"
    assert guest.check("ls /sys/kernel/suture") == "older"
    assert guest.check("cat /sys/kernel/suture/older/enabled") == "1"
    assert "newer" not in guest.check("cut -d' ' -f1 /proc/modules").split()
    assert guest.shell("rmmod older").status != 0
    run(guest, "revert", "older")


def test_module_moved(guest, bundles):
    """A target module that came again meanwhile is patched where it is now."""
    replace(guest, bundles)
    guest.check("rmmod sleeper && insmod /lib/modules/sleeper.ko")
    run(guest, "rollback", "newer")
    assert shown(guest) == ["older cmdline", "older version", "value 7"]
    guest.check("rmmod sleeper && insmod /lib/modules/sleeper.ko")
    assert shown(guest) == ["older cmdline", "older version", "value 7"]
    run(guest, "revert", "older")


def test_replaced_was_unloaded(guest, bundles):
    """Unloaded by hand: refused by name, and nothing changes."""
    replace(guest, bundles)
    guest.check("rmmod older")
    result = guest.suture("rollback", "newer")
    assert result.status == 1, result
    assert "patch 'older', which 'newer' replaced, is reverted: apply its bundle" in result.out
    assert shown(guest) == ["newer cmdline", "", ""]
    run(guest, "revert", "newer")


def test_no_replacement(guest, bundles):
    """A patch that replaced nothing has no way back but revert."""
    run(guest, "apply", bundles["older"])
    result = guest.suture("rollback", "older")
    assert result.status == 1, result
    assert "has replaced no patch: `suture revert older` takes it off" in result.out
    run(guest, "revert", "older")
    assert guest.suture("rollback", "nobody").status == 1
