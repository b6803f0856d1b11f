# SPDX-License-Identifier: BSD-2-Clause
"""Helpers that die or hang, an agent that is unloaded during an operation, payloads that take too
long or fail late, a guest without memory: each test expects a clear error, and no change."""

import base64
import os
import re
import subprocess

import pytest

from complaints import complaints
from machine import BUILD, GUEST, SUTURE
from patches import apply, livepatch_source, make_patch, revert, suture_build

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
HELPER = "/usr/lib/suture/suture-load"
PATCHED = "patched"
NEW_SHOW = """
    #include <linux/delay.h>

    static int new_show(struct seq_file *m, void *v)
    {
        seq_puts(m, "patched\\n");
        return 0;
    }
"""
SHOW = {None: {"cmdline_proc_show": "new_show"}}


@pytest.fixture(scope="module")
def plain(bundles):
    return make_patch(bundles, "plain", NEW_SHOW, SHOW)


@pytest.fixture(scope="module")
def machine(boot_module):
    files = {f"/lib/modules/{name}.ko": os.path.join(MODULES, f"{name}.ko")
             for name in ("sleeper", "nomemory")}
    machine = boot_module(cpus=2, files=files, conf={"guest_patches": "yes"})
    machine.load_agent()
    return machine


@pytest.fixture
def guest(machine, plain):
    """The guest, which each test must leave as it was: nothing is patched, and a patch can be
    applied."""
    before = machine.check("cat /proc/cmdline")
    yield machine
    assert machine.check("cat /proc/cmdline") == before
    assert machine.check("ls /sys/kernel/suture") == ""
    assert machine.check("cut -d' ' -f1 /proc/modules") == "suture"
    apply(machine, plain)
    assert machine.check("cat /proc/cmdline") == PATCHED
    revert(machine, "plain")
    assert machine.check("cat /proc/cmdline") == before
    assert complaints(machine) == ""


def refused(guest, bundle, says, timeout=120):
    result = guest.suture("apply", bundle, timeout=timeout)
    assert result.status != 0 and re.search(says, result.out), result


def started(guest, *arguments):
    return subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure",
                             "--timeout", "300", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process, status, says):
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status and re.search(says, output), output


def special_init(bundles, name, init, code=NEW_SHOW):
    """A bundle of a patch whose init is this one."""
    source = os.path.join(bundles, name)
    os.makedirs(source, exist_ok=True)
    with open(os.path.join(source, "Kbuild"), "w") as f:
        f.write(f"obj-m := {name}.o\n")
    text = livepatch_source(code, SHOW)
    assert "return klp_enable_patch(&patch);" in text
    with open(os.path.join(source, f"{name}.c"), "w") as f:
        f.write(text.replace("return klp_enable_patch(&patch);", init))
    bundle = os.path.join(bundles, f"{name}.sut")
    status, output = suture_build(source, bundle)
    assert status == 0, output
    return bundle


class Helper:
    """A shell script in the place of the agent's helper; {helper} in it is the true one."""

    def __init__(self, guest, script):
        self.guest, self.script = guest, script.replace("{helper}", HELPER)

    def __enter__(self):
        text = base64.b64encode(f"#!/bin/sh\n{self.script}\n".encode()).decode()
        self.guest.check(f"echo {text} | base64 -d >/tmp/helper; chmod 755 /tmp/helper;"
                         "printf /tmp/helper >/sys/module/suture/parameters/helper")

    def __exit__(self, *_):
        self.guest.check(f"printf {HELPER} >/sys/module/suture/parameters/helper")


# ---- the helper ----

def test_helper_killed(guest, plain):
    """Before it has loaded anything."""
    with Helper(guest, "exec 3<>/dev/suture; echo $$ >/tmp/pid; exec sleep 100"):
        applying = started(guest, "apply", plain)
        guest.check("until [ -s /tmp/pid ]; do sleep 0.1; done; kill -9 $(cat /tmp/pid)")
        ended(applying, 1, "helper ended without a result")


def test_helper_killed_in_init(guest, bundles):
    """While the payload's init runs, which the kernel brings to its end: the patch is on."""
    bundle = special_init(bundles, "killed", """
        int err = klp_enable_patch(&patch);

        msleep(3000);
        return err;
    """)
    applying = started(guest, "apply", bundle)
    guest.check("until [ -e /sys/kernel/suture/killed ]; do sleep 0.1; done;"
                "kill -9 $(pidof suture-load)")
    ended(applying, 0, "killed applied")
    assert guest.check("cat /proc/cmdline; grep -c ^killed /proc/modules") == f"{PATCHED}\n1"
    revert(guest, "killed")


@pytest.mark.parametrize("script,says", [
    ("sleep 33; exec {helper}", "did not open /dev/suture within 30 s"),
    ("exec 3<>/dev/suture; sleep 33", "did not finish within 30 s"),
], ids=["closed", "open"])
def test_helper_hangs(guest, plain, script, says):
    """The helper hangs; when it wakes up there is nothing left to do."""
    with Helper(guest, f"{script}; echo $? >/tmp/late"):
        guest.check("rm -f /tmp/late")
        refused(guest, plain, says)
        guest.check("while pidof sleep helper suture-load >/dev/null; do usleep 500000; done")


def test_helper_killed_on_unload(guest, plain):
    """The patch is off nevertheless, and the next attempt unloads its module."""
    apply(guest, plain)
    with Helper(guest, "exec 3<>/dev/suture"):
        result = guest.suture("revert", "plain")
        assert result.status != 0 and "helper ended without a result" in result.out, result
        assert PATCHED != guest.check("cat /proc/cmdline")
        assert guest.check("grep -c ^plain /proc/modules; ls /sys/kernel/suture") == "1"
    revert(guest, "plain")


# ---- the payload ----

def test_init_too_long(guest, bundles):
    """An init that calls klp_enable_patch() after the engine has given up waiting: it is refused,
    even where the guest may load patches by itself, as this one may."""
    bundle = special_init(bundles, "late", """
        msleep(33000);
        return klp_enable_patch(&patch);
    """)
    refused(guest, bundle, "did not finish within 30 s")
    guest.check("while grep -q ^late /proc/modules; do sleep 0.5; done", timeout=60)
    assert "its load has been given up" in guest.check("dmesg")


def test_init_ends_late(guest, bundles):
    """An init that takes too long behind klp_enable_patch(): the patch goes, with its callbacks."""
    bundle = special_init(bundles, "slow", """
        int err = klp_enable_patch(&patch);

        msleep(33000);
        return err;
    """)
    refused(guest, bundle, "did not finish within 30 s")
    guest.check("while grep -q ^slow /proc/modules; do sleep 0.5; done", timeout=60)
    assert "livepatch: 'slow': unpatching complete" in guest.check("dmesg")


CALLBACKS = NEW_SHOW + """
    static int pre_patch(struct klp_object *obj)
    {
        pr_info("klp test: pre_patch\\n");
        return 0;
    }

    static void post_patch(struct klp_object *obj)
    {
        pr_info("klp test: post_patch\\n");
    }

    static void pre_unpatch(struct klp_object *obj)
    {
        pr_info("klp test: pre_unpatch\\n");
    }

    static void post_unpatch(struct klp_object *obj)
    {
        pr_info("klp test: post_unpatch\\n");
    }
"""


def test_init_fails_late(guest, bundles):
    """An init that fails behind klp_enable_patch(): what pre_patch did is undone, and no more."""
    bundle = special_init(bundles, "failing", """
        int err;

        objs[0].callbacks = (struct klp_callbacks){pre_patch, post_patch, pre_unpatch,
                                                   post_unpatch};
        err = klp_enable_patch(&patch);
        if (!err)
            msleep(1000);
        return err ? err : -ENOSPC;
    """, code=CALLBACKS)
    guest.check("dmesg -c >/dev/null")
    refused(guest, bundle, "init failed after klp_enable_patch")
    assert re.findall("klp test: (.*)", guest.check("dmesg")) == ["pre_patch", "post_unpatch"]


# ---- the agent ----

def test_agent_leaves_a_job(guest, plain):
    """It is unloaded when the helper has not come yet: the operator hears of it."""
    with Helper(guest, "echo $$ >/tmp/pid; sleep 3; exec {helper}"):
        guest.check("rm -f /tmp/pid")
        applying = started(guest, "apply", plain)
        guest.check("until [ -s /tmp/pid ]; do sleep 0.1; done; rmmod suture")
        ended(applying, 1, "the agent was unloaded")
        result = guest.suture("apply", plain)
        assert result.status != 0 and "agent" in result.out, result
        guest.check("while pidof sleep suture-load >/dev/null; do usleep 200000; done")
        guest.load_agent()


def test_agent_is_needed(guest, bundles):
    """It cannot be unloaded while its helper, a payload's init, a transition, or a patch needs it."""
    refuse = "rmmod suture 2>&1 && exit 1; grep -q ^suture /proc/modules"
    guest.check("insmod /lib/modules/sleeper.ko; echo sleep >/proc/sleeper")
    bundle = make_patch(bundles, "needing", NEW_SHOW + """
        static int new_sleeper_wait(void)
        {
            return 0;
        }
    """, {**SHOW, "sleeper": {"sleeper_wait": "new_sleeper_wait"}}, init="msleep(2000);")
    with Helper(guest, "exec 3<>/dev/suture; echo $$ >/tmp/pid; sleep 2; exec 3<&-"):
        guest.check("rm -f /tmp/pid")
        applying = started(guest, "apply", bundle)
        guest.check(f"until [ -s /tmp/pid ]; do sleep 0.1; done; {refuse}")
        ended(applying, 1, "helper ended without a result")
    applying = started(guest, "apply", bundle)
    guest.check(f"until grep -q ^needing /proc/modules; do sleep 0.1; done; {refuse}")
    guest.check("until [ -e /sys/kernel/suture/needing ]; do sleep 0.1; done;"
                f"[ $(cat /sys/kernel/suture/needing/transition) = 1 ]; {refuse}")
    guest.check("echo wake >/proc/sleeper")
    ended(applying, 0, "needing applied")
    guest.check(refuse)
    revert(guest, "needing")
    guest.check("rmmod sleeper")


# ---- no memory ----

@pytest.fixture
def nomemory(guest):
    """A function that loads the module `nomemory`, for allocations in a function of the agent."""
    def load(function):
        guest.check(f"insmod /lib/modules/nomemory.ko function={function}")

    yield load
    guest.check("rmmod nomemory")


def payload_of(guest, bundle, path):
    """The payload in the guest, for insmod. Kernels without CONFIG_LIVEPATCH refuse a module that says it
    is a livepatch: for them the agent's helper takes that out."""
    with open(bundle, "rb") as f:
        data = f.read().replace(b"\0livepatch=Y\0", b"\0livepatcx=Y\0")
    text = base64.b64encode(data[data.index(b"\x7fELF"):]).decode()
    for i in range(0, len(text), 2500):
        guest.check(f"printf %s {text[i:i + 2500]} >>{path}.b64")
    guest.check(f"base64 -d {path}.b64 >{path}; rm {path}.b64")


# The N-th allocation fails, alone or with all that come behind it, until there are fewer than N.
# busybox tries a second time with another system call: that fails too.
EVERY_ALLOCATION = """
n=0
while n=$((n + 1)); do
    echo "$n {last}" >/proc/nomemory
    if insmod {module} 2>/tmp/error; then
        read made failed </proc/nomemory
        {undo}
        [ $failed = 0 ] && break
        echo "$n was not needed"
    elif ! grep -qE "Cannot allocate memory|out of memory" /tmp/error; then
        echo "allocation $n: $(cat /tmp/error)"
        exit 1
    fi
    {check}
done
echo 0 0 >/proc/nomemory
echo "each of $((n - 1))"
"""


@pytest.mark.parametrize("last", ["$n", "100000"], ids=["one", "all"])
def test_no_memory_to_enable(guest, bundles, nomemory, measured, last):
    """Each allocation of klp_enable_patch() fails: ENOMEM, and nothing is left."""
    payload_of(guest, make_patch(bundles, "hungry", NEW_SHOW, SHOW), "/tmp/hungry.ko")
    nomemory("suture_klp_enable_patch")
    out = guest.check(EVERY_ALLOCATION.format(
        last=last, module="/tmp/hungry.ko", undo="""
            until grep -q ^patched /proc/cmdline; do usleep 10000; done
            until [ $(cat /sys/kernel/suture/hungry/transition) = 0 ]; do usleep 10000; done
            echo 0 >/sys/kernel/suture/hungry/enabled
            until rmmod hungry 2>/dev/null; do usleep 10000; done""",
        check="""
            [ -z "$(ls /sys/kernel/suture)" ] || exit 1
            grep -q ^patched /proc/cmdline && exit 1
            grep -q ^hungry /proc/modules && exit 1"""), timeout=400)
    guest.check("rm /tmp/hungry.ko")
    assert int(re.search(r"each of (\d+)$", out)[1]) >= 10, out
    measured(f"klp_enable_patch() without memory: {'; '.join(out.splitlines())}")


@pytest.mark.parametrize("last", ["$n", "100000"], ids=["one", "all"])
def test_no_memory_for_module(guest, bundles, nomemory, measured, last):
    """Each allocation of the agent's fails when a module comes that is to be patched: it does not
    come unpatched."""
    apply(guest, make_patch(bundles, "target", """
        static noinline int new_sleeper_value(int n)
        {
            return n + 2;
        }
    """, {"sleeper": {"sleeper_value": "new_sleeper_value"}}))
    nomemory("suture:module_event")
    out = guest.check(EVERY_ALLOCATION.format(
        last=last, module="/lib/modules/sleeper.ko",
        undo="""
            [ "$(cat /proc/sleeper)" = "value 2" ] || exit 1
            rmmod sleeper""",
        check="""
            grep -q ^sleeper /proc/modules && exit 1
            [ $(cat /sys/kernel/suture/target/sleeper/patched) = 0 ] || exit 1"""), timeout=400)
    revert(guest, "target")
    measured(f"a module that comes without memory: {'; '.join(out.splitlines())}")


def test_no_memory_for_payload(guest, plain, nomemory):
    """The agent finds no room for the payload."""
    nomemory("suture:loader_start")
    guest.check("echo 1 1 >/proc/nomemory")
    refused(guest, plain, "could not fetch the payload.*ENOMEM")
    guest.check("echo 0 0 >/proc/nomemory")


def test_memory_full(boot, bundles):
    """A guest whose memory is full, and a payload that needs more than is left."""
    guest = boot(cpus=2, memory="512M")
    guest.load_agent()
    big = make_patch(bundles, "big", NEW_SHOW + "static char big[12 << 20] = {1};", SHOW,
                     init='pr_info("%p", big);')
    before = guest.check("cat /proc/cmdline")
    guest.check("mount -t tmpfs -o size=100% none /tmp; cp /proc/meminfo /tmp/before;"
                "left=$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) - 12000));"
                "dd if=/dev/zero of=/tmp/fill bs=64k count=$((left / 64)) 2>/dev/null; sync; free", timeout=120)
    result = guest.suture("apply", big)
    assert result.status != 0 and re.search("memory|ENOMEM|helper", result.out), result
    assert guest.check("cat /proc/cmdline; ls /sys/kernel/suture; grep -c ^big /proc/modules;"
                       "true") == f"{before}\n0"
    guest.check("rm /tmp/fill")
    apply(guest, big)
    assert guest.check("cat /proc/cmdline") == PATCHED
    revert(guest, "big")
    assert guest.check("cat /proc/cmdline") == before
