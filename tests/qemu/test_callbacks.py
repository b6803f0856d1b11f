# SPDX-License-Identifier: BSD-2-Clause
"""Tests 1 to 9 of document 001 (Documentation/livepatch/callbacks), by the operator's path: bundles,
`suture apply`, `revert` and `cancel`, module parameters in the bundle. The kernel's messages are those
of the document, in its order, to the letter but for three things: the time stamps; one text of Test 6 that
Linux 6.1 words differently itself ("canceling patching transition"); and "signaling remaining tasks",
which Linux prints when a transition takes long, and the document's kernel did not yet have."""

import os
import re
import subprocess
import time

import pytest

from complaints import complaints
from machine import BUILD, GUEST, SUTURE, TOP
from patches import make_patch, suture_build

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
SOURCE = os.path.join(TOP, "tests", "patches", "livepatch-callbacks-demo")
PREFIX = "livepatch_callbacks_"
DEMO, MOD, BUSY = PREFIX + "demo", PREFIX + "mod", PREFIX + "busymod"
SYSFS = f"/sys/kernel/suture/{DEMO}"

LIVE = "[MODULE_STATE_LIVE] Normal state"
COMING = "[MODULE_STATE_COMING] Full formed, running module_init"
GOING = "[MODULE_STATE_GOING] Going away"

# What is not of the document's: the module loader's remarks on payloads and foreign modules, and
# lines that depend on how long a task blocks.
NOT_SHOWN = re.compile(r": (loading out-of-tree|tainting kernel|module verification)|"
                       r"signaling remaining tasks")


# ---- the document's lines ----

def pre_patch(*targets):
    return [f"{DEMO}: pre_patch_callback: {t}" for t in targets]


def post_patch(*targets):
    return [f"{DEMO}: post_patch_callback: {t}" for t in targets]


def pre_unpatch(*targets):
    return [f"{DEMO}: pre_unpatch_callback: {t}" for t in targets]


def post_unpatch(*targets):
    return [f"{DEMO}: post_unpatch_callback: {t}" for t in targets]


def starts(*targets):
    return [f"livepatch: enabling patch '{DEMO}'",
            f"livepatch: '{DEMO}': initializing patching transition",
            *pre_patch(*targets),
            f"livepatch: '{DEMO}': starting patching transition"]


def enables(*targets):
    return [*starts(*targets),
            f"livepatch: '{DEMO}': completing patching transition",
            *post_patch(*targets),
            f"livepatch: '{DEMO}': patching complete"]


def ends(*targets):
    return [f"livepatch: '{DEMO}': starting unpatching transition",
            f"livepatch: '{DEMO}': completing unpatching transition",
            *post_unpatch(*targets),
            f"livepatch: '{DEMO}': unpatching complete"]


def disables(*targets):
    return [f"livepatch: '{DEMO}': initializing unpatching transition",
            *pre_unpatch(*targets), *ends(*targets)]


def applied_to(module):
    return f"livepatch: applying patch '{DEMO}' to loading module '{module}'"


def reverted_on(module):
    return f"livepatch: reverting patch '{DEMO}' on unloading module '{module}'"


# what the target modules say themselves
MOD_INIT, MOD_EXIT = f"{MOD}: {MOD}_init", f"{MOD}: {MOD}_exit"
BUSY_INIT, BUSY_EXIT = f"{BUSY}: {MOD}_init", f"{BUSY}: {MOD}_exit"
MOD_LIVE, MOD_COMING, MOD_GOING = (f"{MOD} -> {state}" for state in (LIVE, COMING, GOING))
BUSY_LIVE = f"{BUSY} -> {LIVE}"


def busy_sleeps(seconds):
    return f"{BUSY}: busymod_work_func, sleeping {seconds} seconds ..."


BUSY_WAKES = f"{BUSY}: busymod_work_func exit"


# ---- the machine ----

@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """A function (*parameters) -> the demo's bundle with these module parameters in it."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {}

    def build(*params):
        if params not in made:
            made[params] = str(folder / f"demo-{len(made)}.sut")
            options = [word for param in params for word in ("--param", param)]
            status, output = suture_build(SOURCE, made[params], *options)
            assert status == 0, output
        return made[params]

    return build


class Guest:
    """The guest, and how far its kernel log was read."""

    def __init__(self, machine):
        self.machine = machine
        self.check = machine.check
        self.shell = machine.shell
        self.suture = machine.suture
        self.seen = 0

    def log(self):
        """All lines of livepatch and of the document's modules, without time stamps."""
        lines = [re.sub(r"^\[ *[0-9.]+\] ", "", line)
                 for line in self.check("dmesg").splitlines()]
        return [line for line in lines if re.match(rf"livepatch: |{PREFIX}", line)
                and not NOT_SHOWN.search(line)]

    def wait_for(self, *lines, timeout=60):
        """Exactly these lines come next (the document's, to the letter)."""
        deadline = time.monotonic() + timeout
        while True:
            new = self.log()[self.seen:]
            if len(new) >= len(lines) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        assert new == list(lines)
        self.seen += len(new)

    def insmod(self, module, *params):
        return self.check(f"load /lib/modules/{module}.ko {' '.join(params)}")

    def apply(self, bundle, *options):
        result = self.suture("apply", bundle, *options)
        assert result.status == 0, result
        return result

    def revert(self):
        """`suture revert` disables the patch and unloads its module."""
        result = self.suture("revert", DEMO)
        assert result.status == 0, result
        assert DEMO not in self.check("cut -d' ' -f1 /proc/modules")


def prepared(boot):
    machine = boot(cpus=2, files={
        f"/lib/modules/{name}.ko": os.path.join(MODULES, f"livepatch-callbacks-{name}.ko")
        for name in ("mod", "busymod")})
    machine.load_agent()
    return machine


@pytest.fixture
def guest(shared):
    with shared(prepared) as machine:
        machine.check("dmesg -c >/dev/null")
        guest = Guest(machine)
        yield guest
        assert guest.log()[guest.seen:] == []
        assert machine.check("cut -d' ' -f1 /proc/modules") == "suture"
        assert complaints(machine) == ""


# ---- names ----

def test_dashes(guest, tmp_path):
    """'-' is '_' in the names of objects and patches, as it is in those of modules."""
    bundle = make_patch(str(tmp_path), "dash-ed", """
        static void new_exit(void)
        {
            pr_info("replaced exit\\n");
        }
    """, {"livepatch-callbacks-mod": {"livepatch_callbacks_mod_exit": "new_exit"}})
    guest.apply(bundle)
    guest.insmod("mod")
    guest.check(f"test $(cat /sys/kernel/suture/dash_ed/{MOD}/patched) = 1; rmmod {MOD};"
                "dmesg | grep -q 'replaced exit'")
    result = guest.suture("revert", "dash-ed")
    assert result.status == 0, result
    guest.seen = len(guest.log())


# ---- the document's tests ----

def test_1(guest, bundles):
    """Target, then patch; the patch goes first."""
    guest.insmod("mod")
    guest.wait_for(MOD_INIT)
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux", MOD_LIVE))
    guest.revert()
    guest.wait_for(*disables("vmlinux", MOD_LIVE))
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT)


def test_2(guest, bundles):
    """Patch, then target: the module is patched before its init."""
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux"))
    guest.insmod("mod")
    guest.wait_for(applied_to(MOD), *pre_patch(MOD_COMING), *post_patch(MOD_COMING), MOD_INIT)
    guest.revert()
    guest.wait_for(*disables("vmlinux", MOD_LIVE))
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT)


def test_3(guest, bundles):
    """Target, then patch; the target goes first."""
    guest.insmod("mod")
    guest.wait_for(MOD_INIT)
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux", MOD_LIVE))
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT, *pre_unpatch(MOD_GOING), reverted_on(MOD), *post_unpatch(MOD_GOING))
    guest.revert()
    guest.wait_for(*disables("vmlinux"))


def test_4(guest, bundles):
    """Patch, then target; the target goes first."""
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux"))
    guest.insmod("mod")
    guest.wait_for(applied_to(MOD), *pre_patch(MOD_COMING), *post_patch(MOD_COMING), MOD_INIT)
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT, *pre_unpatch(MOD_GOING), reverted_on(MOD), *post_unpatch(MOD_GOING))
    guest.revert()
    guest.wait_for(*disables("vmlinux"))


def test_5(guest, bundles):
    """The patch without its targets."""
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux"))
    guest.revert()
    guest.wait_for(*disables("vmlinux"))


def test_6(guest, bundles):
    """vmlinux's pre_patch refuses: the bundle's parameter tells it to."""
    guest.insmod("mod")
    guest.wait_for(MOD_INIT)
    result = guest.suture("apply", bundles("pre_patch_ret=-19"))
    assert result.status == 1 and "ENODEV" in result.out, result
    assert "its pre_patch callback of object 'vmlinux' refused" in result.out
    guest.wait_for(
        f"livepatch: enabling patch '{DEMO}'",
        f"livepatch: '{DEMO}': initializing patching transition",
        *pre_patch("vmlinux"),
        "livepatch: pre-patch callback failed for object 'vmlinux'",
        f"livepatch: failed to enable patch '{DEMO}'",
        # the document: "canceling transition, going to unpatch"
        f"livepatch: '{DEMO}': canceling patching transition, going to unpatch",
        f"livepatch: '{DEMO}': completing unpatching transition",
        f"livepatch: '{DEMO}': unpatching complete")
    assert DEMO not in guest.check("cut -d' ' -f1 /proc/modules")
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT)


def test_7(guest, bundles):
    """A coming module's pre_patch refuses it; vmlinux stays patched."""
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux"))
    guest.check(f"echo -19 >/sys/module/{DEMO}/parameters/pre_patch_ret")
    result = guest.shell("load /lib/modules/mod.ko")
    assert result.status != 0 and "No such device" in result.out, result
    guest.wait_for(
        applied_to(MOD), *pre_patch(MOD_COMING),
        f"livepatch: pre-patch callback failed for object '{MOD}'",
        f"livepatch: patch '{DEMO}' failed for module '{MOD}', refusing to load module '{MOD}'")
    guest.revert()
    guest.wait_for(*disables("vmlinux"))


def test_8(guest, bundles):
    """Two targets, one of them busy for no time."""
    guest.insmod("busymod", "sleep_secs=0")
    guest.wait_for(BUSY_INIT, busy_sleeps(0), BUSY_WAKES)
    guest.apply(bundles())
    guest.wait_for(*enables("vmlinux", BUSY_LIVE))
    guest.insmod("mod")
    guest.wait_for(applied_to(MOD), *pre_patch(MOD_COMING), *post_patch(MOD_COMING), MOD_INIT)
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT, *pre_unpatch(MOD_GOING), reverted_on(MOD), *post_unpatch(MOD_GOING))
    guest.revert()
    guest.wait_for(*disables("vmlinux", BUSY_LIVE))
    guest.check(f"rmmod {BUSY}")
    guest.wait_for(BUSY_EXIT)


def test_9(guest, bundles):
    """The busy target sits in its function for 30 seconds: the patch stays in transition, a module comes
    and goes, and the transition is turned around."""
    guest.insmod("busymod", "sleep_secs=30")
    guest.wait_for(BUSY_INIT, busy_sleeps(30))
    guest.apply(bundles(), "--no-wait")
    guest.wait_for(*starts("vmlinux", BUSY_LIVE))
    assert guest.check(f"cat {SYSFS}/enabled {SYSFS}/transition") == "1\n1"

    guest.insmod("mod")
    guest.wait_for(applied_to(MOD), *pre_patch(MOD_COMING), MOD_INIT)
    guest.check(f"rmmod {MOD}")
    guest.wait_for(MOD_EXIT, reverted_on(MOD), *post_unpatch(MOD_GOING))

    transition = guest.machine.json("/v1/status")["transition"]
    assert transition["blocker"]["func"] == "busymod_work_func", transition
    assert transition["blocker"]["comm"].startswith("kworker/"), transition
    result = guest.suture("cancel", DEMO)
    assert result.status == 0, result
    guest.wait_for(f"livepatch: '{DEMO}': reversing transition from patching to unpatching",
                   *ends("vmlinux", BUSY_LIVE))
    assert DEMO not in guest.check("cut -d' ' -f1 /proc/modules")
    # all of that while the worker slept; rmmod waits for it
    guest.check(f"rmmod {BUSY}", timeout=90)
    guest.wait_for(BUSY_WAKES, BUSY_EXIT)


# ---- parameters in a bundle ----

def test_parameters_of_a_bundle(guest, bundles):
    """They are shown by `suture inspect`, and the module has them when it is loaded."""
    bundle = bundles("pre_patch_ret=0")
    shown = subprocess.run([SUTURE, "inspect", bundle], stdout=subprocess.PIPE, check=True).stdout
    assert re.search(r"^params +pre_patch_ret=0$", shown.decode(), re.MULTILINE), shown
    guest.apply(bundle)
    assert guest.check(f"cat /sys/module/{DEMO}/parameters/pre_patch_ret") == "0"
    guest.revert()
    guest.wait_for(*enables("vmlinux"), *disables("vmlinux"))


@pytest.mark.parametrize("param,says", [
    ("pre_patch_rte=1", "has no parameter 'pre_patch_rte'; it has pre_patch_ret"),
    ("pre_patch_ret", "give NAME=VALUE"),
    ("=1", "give NAME=VALUE"),
    ("pre patch=1", "give NAME=VALUE"),
    ('pre_patch_ret=1" x="2', "a value cannot have quotes"),
    ("pre_patch_ret=1\n", "control characters"),
    ("pre_patch_ret=" + "1" * 300, "all parameters may have 255 characters"),
])
def test_bad_parameter(tmp_path, param, says):
    bundle = tmp_path / "bad.sut"
    status, output = suture_build(SOURCE, str(bundle), "--param", param)
    assert status == 2 and says in output, output
    assert not bundle.exists()
