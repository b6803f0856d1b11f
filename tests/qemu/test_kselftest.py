# SPDX-License-Identifier: BSD-2-Clause
"""Linux's own livepatch selftests and samples, as Debian's linux-source-6.1 has them, on Suture
(docs/testing.md says how)."""

import hashlib
import os
import re
import subprocess

import pytest

from complaints import complaints
from machine import BUILD, GUEST, KBUILD, PLATFORM, TOP

SOURCE = os.path.join(BUILD, "linux-source")
KSELFTEST = os.path.join(BUILD, "kselftest", GUEST)
ROOT = os.path.join(KSELFTEST, "root")
ENTER = os.path.join(TOP, "tests", "kselftest", "enter.sh")
SCRIPTS = {
    "test-livepatch.sh": 3,
    "test-callbacks.sh": 11,
    "test-shadow-vars.sh": 1,
    "test-state.sh": 4,
    "test-sysfs.sh": 2,
}
PATCHED = "test_klp_livepatch: this has been live patched"


def guest_files():
    """What the tests find in the guest: Debian's programs and Linux's modules under /kselftest."""
    if not os.path.exists(os.path.join(KSELFTEST, "ready")):
        pytest.fail(f"{KSELFTEST} is not there: make kselftest")
    files = {"/bin/enter": ENTER}
    for folder, _, names in os.walk(ROOT):
        for name in names:
            path = os.path.join(folder, name)
            files["/kselftest/" + os.path.relpath(path, ROOT)] = path
    return files


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2, conf={"guest_patches": "yes"}, files=guest_files())
    machine.load_agent()
    machine.check("mkdir -p /kselftest/tmp")
    return machine


@pytest.fixture
def guest(machine):
    """The guest, which each test must leave with nothing but the agent loaded."""
    machine.check("dmesg -c >/dev/null; sysctl -q -w kernel.ftrace_enabled=1")
    yield machine
    assert machine.check("ls /sys/kernel/suture") == ""
    assert machine.check("cut -d' ' -f1 /proc/modules") == "suture"
    assert complaints(machine) == ""


def package_hashes():
    with open(os.path.join(SOURCE, "sha256sums")) as f:
        return dict(reversed(line.split()) for line in f)


def test_unmodified(guest, measured):
    """What is built and run is what the package holds, to the byte."""
    hashes = package_hashes()
    built = 0
    for folder in "lib/livepatch", "samples/livepatch":
        for name in os.listdir(os.path.join(KSELFTEST, folder)):
            if not re.fullmatch(r"(?!.*\.mod\.c).*\.c|Makefile", name):
                continue
            with open(os.path.join(KSELFTEST, folder, name), "rb") as f:
                digest = hashlib.sha256(f.read()).hexdigest()
            assert hashes[f"./{folder}/{name}"] == digest, name
            built += 1
    scripts = guest.check("cd /kselftest/selftests && sha256sum *").split("\n")
    for line in scripts:
        digest, name = line.split()
        assert hashes[f"./tools/testing/selftests/livepatch/{name}"] == digest, name
    assert built == 11 + 8 and len(scripts) == 7
    with open(os.path.join(SOURCE, "package")) as f:
        package = f.read().strip()
    measured(f"{package}: {built} sources and {len(scripts)} scripts as in the package")


def loaded_modules(root):
    modules = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(root, "lib"))
               for name in names if name.endswith(".ko") and name != "suture.ko"]
    assert len(modules) == 10 + 7
    return modules


def test_tag(measured):
    """What is loaded differs from what was built in one tag, and only where the kernel refuses it."""
    with open(os.path.join(KBUILD, ".config")) as f:
        has_livepatch = "CONFIG_LIVEPATCH=y\n" in f
    renamed = 0
    for module in loaded_modules(ROOT):
        built = [path for path in (os.path.join(KSELFTEST, folder, os.path.basename(module))
                                   for folder in ("lib/livepatch", "samples/livepatch"))
                 if os.path.exists(path)]
        with open(module, "rb") as a, open(*built, "rb") as b:
            as_loaded, as_built = a.read(), b.read()
        tag = b"klp_patch=Y"
        assert as_loaded.replace(tag, b"livepatch=Y") == as_built, module
        renamed += tag in as_loaded
    assert renamed == (0 if has_livepatch else 7 + 4)
    measured(f"modules with another tag: {renamed}")


def test_names(measured):
    """The modules call the agent, and nothing of the kernel's own livepatch."""
    modules = loaded_modules(ROOT)
    calls = {}
    for module in modules:
        undefined = subprocess.run(["nm", "-u", module], stdout=subprocess.PIPE, check=True,
                                   text=True, timeout=60).stdout.split()
        calls[os.path.basename(module)] = [name for name in undefined if "klp" in name]
    names = {name for called in calls.values() for name in called}
    assert all(name.startswith("suture_klp_") for name in names), names
    callers = [module for module, called in calls.items() if "suture_klp_enable_patch" in called]
    assert len(callers) == 7 + 4, callers
    measured(f"{len(callers)} patch modules call {', '.join(sorted(names))}")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script(guest, measured, script):
    """All cases of one script."""
    result = guest.shell(f"enter /selftests/{script}", timeout=600)
    cases = re.findall(r"^TEST: (.*) \.\.\. (.*)$", result.out, re.MULTILINE)
    bad = [name for name, verdict in cases if verdict != "ok"]
    if result.status or bad:
        guest.check(f"dmesg >/dev/{PLATFORM.console}")
        pytest.fail(f"{script}: status {result.status}\n{result.out}")
    assert len(cases) == SCRIPTS[script], result.out
    measured(f"{script}: {len(cases)} ok ({'; '.join(name for name, _ in cases)})")


# ---- what test-ftrace.sh forbids ----

def modprobe(guest, *arguments):
    guest.check(f"enter modprobe {' '.join(arguments)}", timeout=60)


def wait_transition(guest, patch):
    guest.check(f"while [ $(cat /sys/kernel/suture/{patch}/transition) = 1 ]; do usleep 10000; done",
                timeout=60)


def disable(guest, patch):
    """As Linux's functions.sh does it: the folder goes before the reference to the module."""
    guest.check(f"echo 0 >/sys/kernel/suture/{patch}/enabled;"
                f"while [ -e /sys/kernel/suture/{patch} ]; do usleep 10000; done;"
                f"while [ $(cat /sys/module/{patch}/refcnt) != 0 ]; do usleep 10000; done; rmmod {patch}",
                timeout=60)


def test_without_ftrace(guest):
    """A patch goes on while ftrace is off, and ftrace may be switched under it."""
    def set_ftrace(value):
        guest.check(f"sysctl -q -w kernel.ftrace_enabled={value}")
        assert guest.check("sysctl -n kernel.ftrace_enabled") == str(value)

    original = guest.check("cat /proc/cmdline")
    set_ftrace(0)
    modprobe(guest, "test_klp_livepatch")
    wait_transition(guest, "test_klp_livepatch")
    for value in 0, 1, 0, 1:
        set_ftrace(value)
        assert guest.check("cat /proc/cmdline") == PATCHED
    set_ftrace(0)
    disable(guest, "test_klp_livepatch")
    assert guest.check("cat /proc/cmdline") == original


# ---- the samples ----

def log_of(guest, *words):
    """The log's lines with one of these words, without time stamps and pointers."""
    lines = [line.split("] ", 1)[1] for line in guest.check("dmesg").split("\n")]
    return [line for line in lines if any(word in line for word in words)]


def test_sample(guest):
    original = guest.check("cat /proc/cmdline")
    modprobe(guest, "livepatch-sample")
    wait_transition(guest, "livepatch_sample")
    assert guest.check("cat /proc/cmdline") == "this has been live patched"
    disable(guest, "livepatch_sample")
    assert guest.check("cat /proc/cmdline") == original


def test_sample_callbacks(guest):
    """livepatch-callbacks-demo with a target that sleeps in the function, and one that comes."""
    demo = "livepatch_callbacks_demo"
    modprobe(guest, "livepatch-callbacks-busymod", "sleep_secs=10")
    modprobe(guest, "livepatch-callbacks-demo")
    modprobe(guest, "livepatch-callbacks-mod")
    assert guest.check(f"cat /sys/kernel/suture/{demo}/transition") == "1"
    wait_transition(guest, demo)
    disable(guest, demo)
    guest.check("rmmod livepatch_callbacks_mod; rmmod livepatch_callbacks_busymod")
    busymod = "livepatch_callbacks_busymod -> [MODULE_STATE_LIVE] Normal state"
    mod = "livepatch_callbacks_mod -> [MODULE_STATE_"
    assert log_of(guest, f"{demo}: ") == [
        f"{demo}: pre_patch_callback: vmlinux",
        f"{demo}: pre_patch_callback: {busymod}",
        f"{demo}: pre_patch_callback: {mod}COMING] Full formed, running module_init",
        f"{demo}: post_patch_callback: vmlinux",
        f"{demo}: post_patch_callback: {mod}LIVE] Normal state",
        f"{demo}: post_patch_callback: {busymod}",
        f"{demo}: pre_unpatch_callback: vmlinux",
        f"{demo}: pre_unpatch_callback: {mod}LIVE] Normal state",
        f"{demo}: pre_unpatch_callback: {busymod}",
        f"{demo}: post_unpatch_callback: vmlinux",
        f"{demo}: post_unpatch_callback: {mod}LIVE] Normal state",
        f"{demo}: post_unpatch_callback: {busymod}"]


def wait_lines(guest, pattern, count, timeout=90):
    guest.check(f"until [ $(dmesg | grep -c '{pattern}') -ge {count} ]; do sleep 1; done", timeout)


def test_sample_shadow(guest, measured):
    """The leak of livepatch-shadow-mod is mended by fix1, and its dummies are counted by fix2."""
    modprobe(guest, "livepatch-shadow-mod")
    wait_lines(guest, "dummy_alloc: dummy @", 2)
    modprobe(guest, "livepatch-shadow-fix1")
    wait_transition(guest, "livepatch_shadow_fix1")
    wait_lines(guest, "livepatch_fix1_dummy_alloc: dummy @", 2)
    modprobe(guest, "livepatch-shadow-fix2")
    wait_transition(guest, "livepatch_shadow_fix2")
    # dummies live for 12 s: those of before leak, those of fix1's do not, and fix2 frees both
    wait_lines(guest, "livepatch_fix2_dummy_free: dummy @ .* leaked", 2)
    wait_lines(guest, "livepatch_fix2_dummy_leak_dtor: dummy @ .* prevented leak", 2)
    wait_lines(guest, "livepatch_fix2_dummy_free: dummy @ .* check counter = [1-9]", 2)
    disable(guest, "livepatch_shadow_fix2")
    guest.check("dmesg -c >/dev/null")
    # what fix1 still knows of is freed when it is unloaded
    disable(guest, "livepatch_shadow_fix1")
    freed = len(log_of(guest, "livepatch_fix1_dummy_leak_dtor"))
    assert freed >= 1
    # and nothing is left: the agent would say so
    guest.check(f"rmmod livepatch_shadow_mod; rmmod suture; dmesg >/dev/{PLATFORM.console}")
    assert "shadow variables" not in guest.check("dmesg")
    guest.load_agent()
    measured(f"livepatch-shadow: {freed} shadow variables freed at the end")
