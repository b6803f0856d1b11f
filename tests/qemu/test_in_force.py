# SPDX-License-Identifier: BSD-2-Clause
"""Other users that divert callers of a patched function: Linux's own livepatch, ftrace operations,
direct calls, BPF programs. If one of them is there before the patch, the patch is refused; one that
comes later is shown until it leaves. Users that only observe are accepted."""

import json
import os
import re
import time

import pytest

from complaints import TEXT, complaints
from machine import BUILD, GUEST
from patches import DIRECT_CALLS, LIVEPATCH, apply, make_patch, revert
from waiting import Waiting

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
NAMES = ("hidden", "override", *(["nativeklp"] if LIVEPATCH else []))
needs_livepatch = pytest.mark.skipif(not LIVEPATCH, reason="the kernel has no livepatch of its own")
needs_direct_calls = pytest.mark.skipif(not DIRECT_CALLS, reason="the kernel's ftrace has no direct calls")
SHOWN_WITHIN = 2  # seconds, as docs/life.md says

TWO = """
    static int new_show(struct seq_file *m, void *v)
    {
        seq_puts(m, "patched\\n");
        return 0;
    }
"""

# df asks security_sb_statfs(), and nothing else does
STATFS = """
    struct dentry;

    static int new_statfs(struct dentry *dentry)
    {
        return -ENOLCK;
    }
"""

HIDDEN = """
    static noinline int new_hidden(void)
    {
        return 2;
    }
"""


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2, conf={"guest_patches": "yes"},
                          files={f"/lib/modules/{name}.ko": os.path.join(MODULES, f"{name}.ko")
                                 for name in NAMES})
    machine.load_agent()
    machine.check("insmod /lib/modules/hidden.ko; mount -t bpf none /sys/fs/bpf")
    return machine


@pytest.fixture
def guest(machine):
    """Agent and module `hidden`; left without a patch, another user or a warning."""
    before = machine.check("cat /proc/cmdline")
    assert machine.check("cat /proc/hidden") == "1 1 1 1"
    yield machine
    assert machine.check("cut -d' ' -f1 /proc/modules | sort") == "hidden\nsuture"
    assert machine.check("cat /proc/cmdline /proc/hidden") == f"{before}\n1 1 1 1"
    assert machine.check("ls /sys/kernel/suture /sys/kernel/livepatch /sys/fs/bpf 2>/dev/null | grep -v :; true"
                         ).strip() == ""
    assert complaints(machine, TEXT) == ""
    wait_count(machine, 0)


@pytest.fixture(scope="module")
def two(bundles):
    """Two functions of vmlinux."""
    return make_patch(bundles, "two", TWO, {None: {"cmdline_proc_show": "new_show",
                                                   "version_proc_show": "new_show"}})


@pytest.fixture(scope="module")
def inside(bundles):
    """Two functions of the module `hidden`."""
    return make_patch(bundles, "inside", HIDDEN, {"hidden": {"hidden_tail": "new_hidden",
                                                             "hidden_cold": "new_hidden"}})


@pytest.fixture(scope="module")
def statfs(bundles):
    return make_patch(bundles, "statfs", STATFS, {None: {"security_sb_statfs": "new_statfs"}})


# ---- the other users ----

class Livepatch:
    """Linux's own: of cmdline_proc_show, or of hidden's hidden_tail."""
    WHO = r"Linux's livepatch \(klp\), module nativeklp \(/sys/kernel/livepatch\)"

    def __init__(self, guest, module=""):
        self.guest, self.module = guest, module

    def settle(self):
        self.guest.check("cd /sys/kernel/livepatch; for i in $(seq 100); do "
                         "grep -q 1 */transition 2>/dev/null || exit 0; sleep 0.1; done; exit 1")

    def __enter__(self):
        self.guest.check(f"insmod /lib/modules/nativeklp.ko module={self.module}")
        self.settle()
        return self

    def __exit__(self, *unused):
        self.guest.check("echo 0 >/sys/kernel/livepatch/nativeklp/enabled")
        self.settle()
        self.guest.check("for i in $(seq 100); do rmmod nativeklp 2>/dev/null && exit; sleep 0.1; done; "
                         "exit 1")


class Override:
    """What the module `override` does, see there."""
    WHO = {
        "ipmodify": r"ftrace user override_handler \[override\] \('I' in "
                    r"/sys/kernel/tracing/enabled_functions\)",
        "direct": r"direct call of override_called \[override\] \('D' in "
                  r"/sys/kernel/tracing/enabled_functions\)",
    }

    def __init__(self, guest, kind, function):
        self.guest, self.options = guest, f"kind={kind} function={function}"

    def __enter__(self):
        self.guest.check(f"insmod /lib/modules/override.ko {self.options}")
        return self

    def hits(self):
        return int(self.guest.check("cat /sys/module/override/parameters/hits"))

    def __exit__(self, *unused):
        self.guest.check("rmmod override")


class Program:
    """A BPF program at a function: fentry, fexit or fmod_ret."""
    WHO = r"BPF program test_program \(fmod_ret, id \d+; bpftool prog\)"

    def __init__(self, guest, kind, function):
        self.guest, self.how = guest, f"{kind} {function}"

    def __enter__(self):
        self.guest.check(f"bpf {self.how} program")
        return self

    def hits(self):
        return int(self.guest.check("bpf count program"))

    def __exit__(self, *unused):
        self.guest.check("rm /sys/fs/bpf/program /sys/fs/bpf/program_count")


# ---- what is shown ----

def count(guest):
    return int(float(re.search(r"^suture_functions_not_in_force (\S+)$", guest.http("/metrics")[1],
                               re.MULTILINE)[1]))


def wait_count(guest, n, timeout=30):
    """Until so many functions are not in force; returns after how many seconds the API was asked and said
    so. How long a busy host takes to answer is not in it."""
    start = asked = time.monotonic()
    while count(guest) != n:
        assert time.monotonic() < start + timeout, guest.suture("status")
        time.sleep(0.05)
        asked = time.monotonic()
    return asked - start


def functions(guest, patch):
    return {f["name"]: f for f in guest.json(f"/v1/patches/{patch}")["functions"]}


def check_shown(guest, patch, function, who):
    """One function of the patch is not in force, and all outputs show that; the others are in
    force."""
    reason = f"overridden by {who}"
    for name, f in functions(guest, patch).items():
        assert f["redirected"] and f["in_force"] == (name != function)
        assert re.fullmatch(reason if name == function else "", f["not_in_force"]), f
    line = rf"^    {function} 0x\w+ -> 0x\w+ \(not in force: {reason}\)$"
    status = guest.suture("status")
    assert status.status == 5 and re.search(line, status.out, re.MULTILINE), status
    assert f"{patch} is applied, number" in status.out
    assert ", 1 of its functions is not in force\n" in status.out, status
    info = guest.suture("info", patch)
    assert info.status == 0 and re.search(line, info.out, re.MULTILINE), info
    assert re.search(rf"^{patch} +.* applied +\d+  1 of its functions is not in force$",
                     guest.suture("list").out, re.MULTILINE)
    whole = json.loads(guest.suture("--json", "status").out)
    assert [p["functions_not_in_force"] for p in whole["current"] if p["name"] == patch] == [1]
    assert re.search(rf"patch '{patch}': function '{function}' is {reason}", guest.suture("log").out)


def check_refused(guest, bundle, patch, function, who):
    """The patch is refused, and nothing has changed."""
    before = guest.check("cat /proc/cmdline /proc/hidden; ls /sys/kernel/suture")
    result = guest.suture("apply", bundle)
    assert result.status == 1, result
    assert re.search(rf"'{function}': overridden by {who}", result.out), result
    answer = guest.json(f"/v1/patches/{patch}")
    assert (answer["phase"], answer["error"]) == ("failed", "EBUSY"), answer
    assert guest.check("cat /proc/cmdline /proc/hidden; ls /sys/kernel/suture") == before
    assert patch not in guest.check("cat /proc/modules")


def check_in_force(guest, patch):
    wait_count(guest, 0)
    assert all(f["in_force"] and f["not_in_force"] == "" for f in functions(guest, patch).values())
    assert guest.suture("status").status == 0


def before_and_after(guest, bundle, patch, function, user, who, measured):
    """The user is there before the patch, and gone; comes after it, and goes."""
    with user:
        check_refused(guest, bundle, patch, function, who)
    apply(guest, bundle)
    check_in_force(guest, patch)
    with user:
        took = wait_count(guest, 1)
        measured(f"{patch}: shown as not in force after {took:.2f} s")
        assert took < SHOWN_WITHIN
        check_shown(guest, patch, function, who)
        yield
        guest.check("true")
    took = wait_count(guest, 0)
    measured(f"{patch}: in force again after {took:.2f} s")
    assert took < SHOWN_WITHIN
    check_in_force(guest, patch)
    assert f"patch '{patch}': function '{function}' is no longer overridden" in guest.suture("log").out


# ---- Linux's own livepatch ----

@needs_livepatch
def test_livepatch(guest, two, measured):
    user = Livepatch(guest)
    for _ in before_and_after(guest, two, "two", "cmdline_proc_show", user, user.WHO, measured):
        assert guest.check("cat /proc/cmdline /proc/version") == "native\npatched"
    assert guest.check("cat /proc/cmdline /proc/version") == "patched\npatched"
    revert(guest, "two")


@needs_livepatch
def test_module_comes(guest, inside):
    """Linux's livepatch is at a module that comes before Suture is: the module is refused, and comes
    when the other is gone."""
    guest.check("rmmod hidden")
    apply(guest, inside)
    with Livepatch(guest, "hidden"):
        result = guest.shell("insmod /lib/modules/hidden.ko")
        assert result.status != 0 and "busy" in result.out, result
        assert re.search(rf"module 'hidden' cannot be patched: 'hidden_tail': overridden by {Livepatch.WHO}",
                         guest.suture("log").out)
        assert "hidden" not in guest.check("cut -d' ' -f1 /proc/modules").split()
    guest.check("insmod /lib/modules/hidden.ko")
    assert guest.check("cat /proc/hidden") == "2 1 2 1"
    check_in_force(guest, "inside")
    revert(guest, "inside")


# ---- others ----

def test_ftrace(guest, inside, measured):
    """Of one of two functions in a module; the patch goes off and on while the user is there."""
    user = Override(guest, "ipmodify", "hidden_tail")
    for _ in before_and_after(guest, inside, "inside", "hidden_tail", user, user.WHO["ipmodify"],
                              measured):
        assert guest.check("cat /proc/hidden") == "2 1 7 1"
    assert guest.check("cat /proc/hidden") == "2 1 2 1"
    with user:
        wait_count(guest, 1)
        revert(guest, "inside")
        # what is off is not "not in force"
        assert count(guest) == 0
        assert guest.check("cat /proc/hidden") == "1 1 7 1"
        check_refused(guest, inside, "inside", "hidden_tail", user.WHO["ipmodify"])


def test_comes_before_the_switch(guest, bundles):
    """The user comes while the patch waits for a thread in one of its functions: the transition
    continues, and `suture apply` reports it at the end."""
    bundle = make_patch(bundles, "waits", HIDDEN, {"hidden": {"hidden_inner": "new_hidden",
                                                              "hidden_tail": "new_hidden"}})
    guest.check("echo outer >/proc/hidden; sleep 0.3")
    with Waiting(guest, "apply", bundle) as applying:
        applying.blocked_by("hidden_inner", 0)
        with Override(guest, "ipmodify", "hidden_tail"):
            deadline = time.monotonic() + 30
            while "patch 'waits': function 'hidden_tail' is overridden" not in guest.suture("log").out:
                assert time.monotonic() < deadline
            assert count(guest) == 0
            guest.check("echo wake >/proc/hidden")
            output = applying.process.communicate(timeout=60)[0].decode()
            assert applying.process.returncode == 0 and "waits applied" in output, output
            assert re.search("^warning: hidden_tail is not in force: overridden by "
                             + Override.WHO["ipmodify"], output, re.MULTILINE), output
            assert count(guest) == 1
    check_in_force(guest, "waits")
    revert(guest, "waits")


def test_enabled_again(guest, bundles):
    """A user comes while the patch is being reverted; enabling the patch again is not refused."""
    bundle = make_patch(bundles, "again", HIDDEN + """
        #include <linux/delay.h>

        static bool stay;
        module_param(stay, bool, 0600);

        static noinline int new_tail(void)
        {
            while (READ_ONCE(stay))
                msleep(10);
            return 2;
        }
    """, {"hidden": {"hidden_tail": "new_tail", "hidden_cold": "new_hidden"}})
    apply(guest, bundle)
    enabled, stay = "/sys/kernel/suture/again/enabled", "/sys/module/again/parameters/stay"
    guest.check(f"echo 1 >{stay}; echo tail >/proc/hidden; sleep 0.3; echo 0 >{enabled}")
    assert guest.json("/v1/patches/again")["phase"] == "unpatching"
    with Override(guest, "ipmodify", "hidden_cold"):
        wait_count(guest, 1)
        guest.check(f"echo 1 >{enabled}; until grep -q 0 /sys/kernel/suture/again/transition; do "
                    "sleep 0.1; done")
        assert guest.json("/v1/patches/again")["phase"] == "applied"
        assert count(guest) == 1
    guest.check(f"echo 0 >{stay}; echo wake >/proc/hidden")
    check_in_force(guest, "again")
    revert(guest, "again")


def test_module_goes_and_comes(guest, inside):
    """The module of an overridden function goes, with its users; another one of its name is as good as
    new, and what comes to it is seen again."""
    apply(guest, inside)
    for _ in range(2):
        with Override(guest, "ipmodify", "hidden_tail"):
            wait_count(guest, 1)
        guest.check("rmmod hidden")
        assert count(guest) == 0
        guest.check("insmod /lib/modules/hidden.ko")
        assert guest.check("cat /proc/hidden") == "2 1 2 1"
    revert(guest, "inside")


@needs_direct_calls
def test_direct(guest, inside, measured):
    """What a direct call does is not known: it might skip the function, this one does not."""
    user = Override(guest, "direct", "hidden_tail")
    for _ in before_and_after(guest, inside, "inside", "hidden_tail", user, user.WHO["direct"],
                              measured):
        assert guest.check("cat /proc/hidden") == "2 1 2 1"
    revert(guest, "inside")


def test_stack(guest, bundles, inside):
    """Both patches have the function; one has another as well."""
    upper = make_patch(bundles, "upper", HIDDEN.replace("2;", "3;"),
                       {"hidden": {"hidden_tail": "new_hidden"}})
    apply(guest, inside)
    with Override(guest, "ipmodify", "hidden_cold"):
        wait_count(guest, 1)
        # that it is not in force for another patch is no reason against this one
        apply(guest, upper)
    wait_count(guest, 0)
    with Override(guest, "ipmodify", "hidden_tail"):
        wait_count(guest, 2)
        assert not functions(guest, "upper")["hidden_tail"]["in_force"]
        assert not functions(guest, "inside")["hidden_tail"]["in_force"]
        revert(guest, "upper")
        wait_count(guest, 1)
    check_in_force(guest, "inside")
    revert(guest, "inside")


def test_rollback(guest, bundles, inside):
    """A replaced patch is not restored to a function that another user has diverted meanwhile."""
    newer = make_patch(bundles, "newer", HIDDEN.replace("2;", "3;"),
                       {"hidden": {"hidden_tail": "new_hidden"}}, replace=True)
    apply(guest, inside)
    apply(guest, newer)
    with Override(guest, "ipmodify", "hidden_cold"):
        result = guest.suture("rollback", "newer")
        assert result.status == 1, result
        assert re.search("not rolled back: patch 'inside' cannot return: 'hidden_cold': overridden by "
                         + Override.WHO["ipmodify"], result.out), result
        assert guest.json("/v1/patches/newer")["phase"] == "applied"
        assert guest.check("cat /proc/hidden") == "7 1 3 1"
        check_in_force(guest, "newer")
    guest.suture("rollback", "newer")
    assert guest.check("cat /proc/hidden") == "2 1 2 1"
    check_in_force(guest, "inside")
    revert(guest, "inside")


@pytest.mark.parametrize("kind", ["kprobe", "kprobe_post"])
def test_kprobe(guest, inside, kind):
    """It only counts."""
    with Override(guest, kind, "hidden_tail") as probe:
        apply(guest, inside)
        assert guest.check("cat /proc/hidden") == "2 1 2 1"
        assert probe.hits() == 1
        check_in_force(guest, "inside")
        revert(guest, "inside")
    apply(guest, inside)
    with Override(guest, kind, "hidden_tail") as probe:
        assert guest.check("cat /proc/hidden") == "2 1 2 1"
        assert probe.hits() == 1
        looked_at(guest)
    revert(guest, "inside")


def looked_at(guest):
    """Wait until the agent has looked after this call, by the monitor's clock, and has found no
    user."""
    start = guest.json("/v1/status")["uptime_us"]
    while guest.json("/v1/status")["uptime_us"] < start + 2500000:
        time.sleep(0.1)
    assert count(guest) == 0


# ---- BPF ----

@needs_direct_calls
@pytest.mark.parametrize("kind", ["fentry", "fexit"])
def test_program_that_looks(guest, two, kind):
    with Program(guest, kind, "cmdline_proc_show") as program:
        apply(guest, two)
        assert guest.check("cat /proc/cmdline") == "patched"
        assert program.hits() == 1
        revert(guest, "two")
    apply(guest, two)
    with Program(guest, kind, "cmdline_proc_show") as program:
        assert guest.check("cat /proc/cmdline") == "patched"
        assert program.hits() == 1
        looked_at(guest)
    revert(guest, "two")


@needs_direct_calls
def test_program_that_skips(guest, statfs, measured):
    user = Program(guest, "fmod_ret", "security_sb_statfs")
    assert guest.shell("stat -f /proc").status == 0
    for _ in before_and_after(guest, statfs, "statfs", "security_sb_statfs", user, user.WHO, measured):
        assert "No space left" in guest.shell("stat -f /proc").out
    assert "No locks available" in guest.shell("stat -f /proc").out
    revert(guest, "statfs")
    assert guest.shell("stat -f /proc").status == 0


@needs_direct_calls
def test_program_of_the_lsm(guest, bundles):
    """It stands at a function of the BPF LSM's own. That is too short for a patch, which is looked at
    later."""
    bundle = make_patch(bundles, "hook", STATFS, {None: {"bpf_lsm_sb_statfs": "new_statfs"}}, check=False)
    with Program(guest, "lsm", "bpf_lsm_sb_statfs"):
        check_refused(guest, bundle, "hook", "bpf_lsm_sb_statfs",
                      Program.WHO.replace("fmod_ret", "LSM"))
    assert "overridden" not in guest.suture("apply", bundle).out
    guest.suture("revert", "hook")
