# SPDX-License-Identifier: BSD-2-Clause
"""/sys/kernel/suture/<patch>/ beyond the checks of Linux's selftests, and the lines in the kernel's
log."""

import os
import re
import subprocess
import time

import pytest

from complaints import complaints
from machine import BUILD, GUEST, SUTURE
from patches import TOO_SHORT, apply, make_patch, revert

SLEEPER = os.path.join(BUILD, "guest", f"{GUEST}-modules", "sleeper.ko")
SYSFS = "/sys/kernel/suture"

NEW_VALUE = """
    static noinline int new_sleeper_value(int n)
    {
        return n + %d;
    }
"""
# leaves when its thread is to end, or when the test says so
NEW_WAIT = NEW_VALUE + """
    #include <linux/kthread.h>
    #include <linux/sched.h>

    static bool leave;
    module_param(leave, bool, 0644);

    static noinline int new_sleeper_wait(void)
    {
        while (!kthread_should_stop() && !READ_ONCE(leave))
            schedule_timeout_uninterruptible(HZ / 10);
        return 0;
    }
"""
VALUE = {"sleeper": {"sleeper_value": "new_sleeper_value"}}
WAIT = {"sleeper": {"sleeper_value": "new_sleeper_value", "sleeper_wait": "new_sleeper_wait"}}


def ready(guest):
    guest.load_agent()
    guest.check("insmod /lib/modules/sleeper.ko; dmesg -c >/dev/null")
    return guest


@pytest.fixture(scope="module")
def machine(boot_module):
    return ready(boot_module(cpus=2, files={"/lib/modules/sleeper.ko": SLEEPER}))


@pytest.fixture
def guest(machine):
    """The guest, which each test must leave with nothing but agent and `sleeper` loaded."""
    machine.check("dmesg -c >/dev/null")
    yield machine
    assert machine.check(f"ls {SYSFS}") == ""
    assert machine.check("cut -d' ' -f1 /proc/modules | sort") == "sleeper\nsuture"
    assert complaints(machine) == ""


def read(guest, patch, *files):
    return guest.check(f"cd {SYSFS}/{patch} && cat {' '.join(files)}").split("\n")


def started(guest, *arguments):
    return subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure",
                             *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def ended(process, status):
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status, output
    return output


def wait_status(guest, pattern, timeout=30):
    deadline = time.monotonic() + timeout
    while not re.search(pattern, status := guest.suture("status").out):
        assert time.monotonic() < deadline, status
        time.sleep(0.3)


# ---- what the files say ----

def test_stack_order_and_replace(guest, bundles):
    """Two patches one above the other, and a third that replaces both."""
    for n, name in (1, "first"), (2, "second"), (3, "third"):
        apply(guest, make_patch(bundles, name, NEW_VALUE % (n + 1), VALUE, replace=n == 3))
        assert guest.check("cat /proc/sleeper") == f"value {n + 1}"
        if n < 3:
            assert read(guest, name, "stack_order", "replace") == [str(n), "0"]
    assert guest.check(f"ls {SYSFS}") == "third"
    assert read(guest, "third", "stack_order", "replace") == ["1", "1"]
    revert(guest, "third")
    guest.check("rmmod first; rmmod second")


def test_object(guest, bundles):
    """<object>/patched follows the module that comes and goes; a folder for each function."""
    bundle = make_patch(bundles, "object", NEW_VALUE % 2 + """
        static int new_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_show"}, **VALUE})
    apply(guest, bundle)
    assert guest.check(f"cd {SYSFS}/object && find . -mindepth 2 | sort").split("\n") == [
        "./sleeper/patched", "./sleeper/sleeper_value,1", "./vmlinux/cmdline_proc_show,1",
        "./vmlinux/patched"]
    assert guest.check(f"stat -c %A {SYSFS}/object/sleeper/patched") == "-r--r--r--"
    for command, patched in ("true", "1"), ("rmmod sleeper", "0"), (
            "insmod /lib/modules/sleeper.ko", "1"):
        guest.check(command)
        assert read(guest, "object", "vmlinux/patched", "sleeper/patched") == ["1", patched]
    assert guest.check("cat /proc/sleeper") == "value 2"
    revert(guest, "object")


def test_bad_values(guest, bundles):
    """Invalid values: EINVAL, and no change."""
    apply(guest, make_patch(bundles, "values", NEW_VALUE % 2, VALUE))
    for value, name in ("1", "enabled"), ("x", "enabled"), ("1", "force"), ("x", "force"):
        result = guest.shell(f"echo {value} >{SYSFS}/values/{name}")
        assert result.status != 0 and "Invalid argument" in result.out, (value, name, result)
    guest.check(f"echo 0 >{SYSFS}/values/force")
    assert read(guest, "values", "enabled", "transition") == ["1", "0"]
    assert guest.check("cat /proc/sleeper") == "value 2"
    revert(guest, "values")


def test_disabled_by_somebody(guest, bundles):
    """The operator is told which task of the guest has disabled a patch."""
    apply(guest, make_patch(bundles, "someone", NEW_VALUE % 2, VALUE))
    pid = guest.check(f"echo 'sleep 0; echo 0 >{SYSFS}/someone/enabled' >/tmp/culprit;"
                      "sh /tmp/culprit & echo $!; wait $!")
    wait_status(guest, rf"patch +someone is disabled: disabled in the guest by \S+ \(pid {pid}\)\n")
    assert f"enabled 0 written in the guest by" in guest.suture("log").out
    assert guest.suture("clear", "someone").status == 1
    revert(guest, "someone")
    assert guest.suture("clear", "someone").out == "1 cleared"
    assert "someone" not in guest.suture("list").out


# ---- what writing does during a transition ----

def test_reversed_disable(guest, bundles):
    """The opposite value while a disabling is blocked: the patch stays."""
    apply(guest, make_patch(bundles, "reversed", NEW_WAIT % 2, WAIT))
    guest.check("echo sleep >/proc/sleeper; dmesg -c >/dev/null")
    guest.check(f"echo 0 >{SYSFS}/reversed/enabled")
    wait_status(guest, r"task sleeper \(pid \d+\) is in ")
    assert read(guest, "reversed", "enabled", "transition", "sleeper/patched") == ["0", "1", "1"]
    guest.check(f"echo 1 >{SYSFS}/reversed/enabled;"
                f"while [ $(cat {SYSFS}/reversed/transition) = 1 ]; do usleep 10000; done")
    assert read(guest, "reversed", "enabled", "sleeper/patched") == ["1", "1"]
    assert guest.check("cat /proc/sleeper") == "value 2"
    assert re.findall(r"livepatch: 'reversed': (.*)", guest.check("dmesg")) == [
        "initializing unpatching transition", "starting unpatching transition",
        "reversing transition from unpatching to patching", "starting patching transition",
        "completing patching transition", "patching complete"]
    guest.check("echo 1 >/sys/module/reversed/parameters/leave")
    revert(guest, "reversed")
    guest.check("echo wake >/proc/sleeper")


def test_forced_enable(guest, bundles):
    """A task sleeps in the old function for as long as it likes."""
    guest.check("echo sleep >/proc/sleeper")
    applying = started(guest, "apply", make_patch(bundles, "eager", NEW_WAIT % 2, WAIT))
    wait_status(guest, r"is in sleeper_wait")
    assert guest.check("cat /proc/sleeper") == "value 1"
    guest.check(f"echo 1 >{SYSFS}/eager/force")
    ended(applying, 0)
    assert guest.check("cat /proc/sleeper") == "value 2"
    assert read(guest, "eager", "enabled", "transition") == ["1", "0"]
    assert "livepatch: forcing remaining tasks to the patched state" in guest.check("dmesg")
    # it returns into the old function, whose first bytes alone are redirected
    guest.check("echo wake >/proc/sleeper")
    revert(guest, "eager")
    assert guest.check("cat /proc/sleeper") == "value 1"


def test_forced_disable(boot, bundles):
    """Forced off under a task that is in its code: that code is never unloaded again."""
    guest = ready(boot(cpus=2, files={"/lib/modules/sleeper.ko": SLEEPER}))
    bundle = make_patch(bundles, "forced", NEW_WAIT % 2, WAIT)
    apply(guest, bundle)
    guest.check("echo sleep >/proc/sleeper")
    guest.check(f"echo 0 >{SYSFS}/forced/enabled")
    wait_status(guest, r"task sleeper \(pid \d+\) is in ")
    guest.check(f"echo 1 >{SYSFS}/forced/force;"
                f"while [ $(cat {SYSFS}/forced/transition) = 1 ]; do usleep 10000; done")
    assert guest.check("cat /proc/sleeper") == "value 1"
    assert read(guest, "forced", "enabled", "sleeper/patched") == ["0", "0"]
    # for ever: also when no task is in it any more
    guest.check("echo 1 >/sys/module/forced/parameters/leave; sleep 1")
    for refused in f"echo 1 >{SYSFS}/forced/enabled", "rmmod forced", "rmmod suture":
        assert guest.shell(refused).status != 0, refused
    for command in ("apply", bundle), ("revert", "forced"):
        result = guest.suture(*command)
        assert result.status != 0 and "forced" in result.out, result
    # another one can come
    apply(guest, make_patch(bundles, "next", NEW_VALUE % 5, VALUE))
    assert guest.check("cat /proc/sleeper") == "value 5"
    revert(guest, "next")
    assert complaints(guest) == ""


# ---- the kernel's log ----

def named(guest, name):
    return [line.split("] ", 1)[1] for line in guest.check("dmesg").split("\n") if name in line
            and "module" not in line]


def test_log(guest, bundles):
    """Linux's lines, and no other that holds the patch's name; also when it is refused."""
    apply(guest, make_patch(bundles, "lognamed", NEW_VALUE % 2, VALUE))
    revert(guest, "lognamed")
    assert named(guest, "lognamed") == [
        "livepatch: enabling patch 'lognamed'",
        "livepatch: 'lognamed': initializing patching transition",
        "livepatch: 'lognamed': starting patching transition",
        "livepatch: 'lognamed': completing patching transition",
        "livepatch: 'lognamed': patching complete",
        "livepatch: 'lognamed': initializing unpatching transition",
        "livepatch: 'lognamed': starting unpatching transition",
        "livepatch: 'lognamed': completing unpatching transition",
        "livepatch: 'lognamed': unpatching complete"]
    guest.check("dmesg -c >/dev/null")
    for module, function, says in (
            ("sleeper", "absent", "livepatch: symbol 'absent' not found in symbol table"),
            (None, TOO_SHORT, "suture: the monitor refuses the patch")):
        if not function:
            continue
        bundle = make_patch(bundles, "logrefused", NEW_VALUE % 2,
                            {module: {function: "new_sleeper_value"}}, check=False)
        assert guest.suture("apply", bundle).status != 0
        assert says in guest.check("dmesg")
        assert named(guest, "logrefused") == []


def test_log_prefix(guest, bundles):
    """The prefix of Linux's messages is the module's parameter; at the end, as at the start."""
    bundle = make_patch(bundles, "prefixed", NEW_VALUE % 2, VALUE)
    for parameter, prefix in ("log_prefix=klp-other", "klp-other"), ("", "livepatch"):
        guest.check("for i in $(seq 20); do rmmod suture && exit; sleep 0.2; done; exit 1")
        guest.check(f"dmesg -c >/dev/null; insmod /lib/modules/suture.ko {parameter}")
        apply(guest, bundle)
        revert(guest, "prefixed")
        lines = named(guest, "prefixed")
        assert len(lines) == 9 and all(line.startswith(prefix + ": ") for line in lines), lines
