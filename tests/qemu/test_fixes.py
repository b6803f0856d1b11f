# SPDX-License-Identifier: BSD-2-Clause
"""Fixes of real bugs (tests/fixes, docs/fixes.md) as livepatches, all at once in one guest that lacks
them, under load: they are applied, run, and reverted. `make check-fixes`."""

import functools
import os
import re
import subprocess
from complaints import STALLS, complaints
import tomllib

import pytest

from machine import BUILD, GUEST, TOP
from patches import apply, revert

with open(os.path.join(TOP, "tests", "fixes", "fixes.toml"), "rb") as f:
    TABLE = tomllib.load(f)
pytestmark = pytest.mark.x86("the kernel that lacks the fixes is of amd64")

FIXES = {fix["name"]: fix for fix in TABLE["fix"]}
MODULES = os.path.join(BUILD, "guest", GUEST, "modules")
MIXTURE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "mixture.ko")
TOOLS = "bridge", "genl", "ip", "tc"
# of the guest's modules, what the exercises need beside those that are patched
HELPERS = "dummy", "veth", "loop", "tls", "lzo_rle", "sch_ingress", "cls_matchall", "sch_pie"
FOR_EXERCISES = ("bonding",)

# busybox has commands of the same names, which can do less
COMMANDS = "".join(f'{tool}() {{ /usr/sbin/{tool} "$@"; }}\n' for tool in TOOLS)

SETUP = """
mkdir -p /run /mnt/e
mount -t tmpfs none /run
ip link set lo up
ip netns add peer
ip link add v0 type veth peer name v1 netns peer
ip addr add 10.1.0.1/24 dev v0
ip addr add fd00::1/64 dev v0 nodad
ip link set v0 up
ip netns exec peer sh -c 'ip addr add 10.1.0.2/24 dev v1; ip link set v1 up'
ip link add d0 type dummy
ip addr add 10.2.0.1/24 dev d0
ip link set d0 up
ip link add d1 type dummy
ip link set d1 up
dd if=/dev/zero of=/tmp/ext4 bs=1M count=8 2>/dev/null
losetup /dev/loop0 /tmp/ext4
mke2fs /dev/loop0 >/dev/null 2>&1
mount -t ext4 /dev/loop0 /mnt/e
cp /bin/busybox /tmp/page
httpd -h /tmp -p 127.0.0.1:80
"""

LOAD = {
    "files": "dd if=/dev/zero of=/mnt/e/load bs=64k count=8 conv=fsync; rm /mnt/e/load",
    "tcp": "wget -q -O /dev/null http://127.0.0.1/page",
    "packets": "ping -c 20 -i 0.1 -W 1 10.1.0.2",
    "processes": "ls -l /lib/modules /proc/self/fd",
}


@functools.cache
def module_file(name):
    wanted = {f"{name}.ko", f"{name.replace('_', '-')}.ko"}
    for folder, _, names in os.walk(MODULES + "/"):
        if found := wanted & set(names):
            return os.path.join(folder, found.pop())
    pytest.fail(f"no module {name} for {GUEST}")


@functools.cache
def dependencies(name):
    """What must be loaded before the module, in order."""
    depends = subprocess.run(["modinfo", "-F", "depends", module_file(name)], check=True, text=True,
                             stdout=subprocess.PIPE, timeout=60).stdout.strip()
    found = []
    for other in filter(None, depends.split(",")):
        found += [*dependencies(other), other]
    return list(dict.fromkeys(found))


def modules_of(fix):
    """The modules that it is for."""
    return [name for name in fix.get("objects", [fix.get("object")]) if name != "vmlinux"]


TARGETS = sorted({name for fix in FIXES.values() for name in modules_of(fix)})


def guest_files(targets):
    files = {"/lib/modules/mixture.ko": MIXTURE}
    for name in (*HELPERS, *FOR_EXERCISES, *targets):
        for needed in (*dependencies(name), name):
            files[f"/lib/modules/{needed}.ko"] = module_file(needed)
    for tool in TOOLS:
        files[f"/usr/sbin/{tool}"] = f"/usr/sbin/{tool}"
        libraries = subprocess.run(["ldd", f"/usr/sbin/{tool}"], check=True, text=True,
                                   stdout=subprocess.PIPE, timeout=60).stdout
        for path in re.findall(r"(/\S+) \(0x", libraries):
            files[path] = path
    return files


class Guest:
    """The machine, and which of the patches are on."""

    def __init__(self, machine):
        self.machine = machine
        self.on = []
        self.text_before = None

    def load(self, name):
        for needed in (*dependencies(name), name):
            self.machine.check(f"grep -q '^{needed.replace('-', '_')} ' /proc/modules || "
                               f"insmod /lib/modules/{needed}.ko")

    def unload(self, name):
        """Its last user may have left it to RCU."""
        self.machine.check(f"for n in $(seq 100); do rmmod {name} 2>/tmp/rmmod && exit 0; "
                           "usleep 50000; done; cat /tmp/rmmod; exit 1", timeout=60)

    def exercise(self, fix):
        for name in fix.get("needs", ()):
            self.load(name)
        try:
            return self.run(fix)
        finally:
            for name in fix.get("needs", ()):
                self.unload(name)

    def run(self, fix):
        return self.machine.shell(COMMANDS + fix["exercise"], timeout=60).out.strip()

    def hits(self, fix):
        counts = self.machine.check(f"cat /sys/module/{fix['name']}/parameters/hits")
        return dict(zip((name.split("@")[0] for name in fix["replace"]),
                        map(int, counts.split(","))))

    def text(self):
        """{function of vmlinux: hash of the pages that it begins in}, as the kernel sees them. The rest of
        its text changes with its static keys."""
        names = [name.split("@")[0] for fix in FIXES.values() if fix["object"] == "vmlinux"
                 for name in fix["replace"]]
        lines = self.machine.check(f"""
            cd /sys/module/mixture/parameters
            for name in {" ".join(names)}; do
                page=$((0x$(sed -n "s/ [tT] $name$//p" /proc/kallsyms) & ~4095))
                printf 0x%x $page >stext
                printf 0x%x $((page + 4096)) >etext
                echo $name $(cat /proc/mixture/hash)
            done""", timeout=120).split("\n")
        return {name: running for name, running, _ in map(str.split, lines)}

    def original(self, fix):
        """The kernel's behaviour without the fix."""
        if "before" not in fix:
            return
        for name in modules_of(fix):
            self.load(name)
        assert self.exercise(fix) == fix["before"], fix["name"]
        for name in modules_of(fix):
            self.unload(name)

    def complaints(self):
        return complaints(self.machine, STALLS, "INFO: task")


def start_load(machine):
    for name, command in LOAD.items():
        machine.check(f"echo 0 >/tmp/done.{name}; (while usleep 50000; do {command}; "
                      f"echo $(($(cat /tmp/done.{name}) + 1)) >/tmp/done.{name}.new; "
                      f"mv /tmp/done.{name}.new /tmp/done.{name}; done) >/dev/null 2>&1 & "
                      "renice -n 19 $!")


def boot_guest(boot_module, targets):
    if GUEST != TABLE["guest"]:
        pytest.fail(f"GUEST={GUEST} is not the kernel that lacks the fixes: make check-fixes")
    machine = boot_module(cpus=2, files=guest_files(targets), cmdline="secretmem.enable=1")
    machine.load_agent()
    assert TABLE["running"] in machine.check("uname -v")
    guest = Guest(machine)
    for name in HELPERS:
        guest.load(name)
    machine.check(COMMANDS + SETUP, timeout=60)
    machine.check("insmod /lib/modules/mixture.ko")
    start_load(machine)
    return guest


@pytest.fixture(scope="module")
def guest(boot_module):
    return boot_guest(boot_module, TARGETS)


def test_original(guest):
    """The guest has those of the bugs that user space can observe."""
    for fix in FIXES.values():
        guest.original(fix)
    guest.text_before = guest.text()


def test_apply(guest, measured):
    attempts = 0
    for name in FIXES:
        told = apply(guest.machine, os.path.join(BUILD, "fixes", f"{name}.sut"))
        attempts += int(re.search(r"(\d+) attempt", told)[1])
        guest.on.append(name)
    if guest.text_before:
        now = guest.text()
        assert [name for name in now if now[name] == guest.text_before[name]] == []
    measured(f"{len(FIXES)} patches with {sum(len(fix['replace']) for fix in FIXES.values())} "
             f"functions applied in {attempts} attempts")


@pytest.mark.parametrize("name", FIXES)
def test_fix(guest, name, measured):
    """The new functions run, in a module also after it was reloaded."""
    fix = FIXES[name]
    modules = modules_of(fix)
    for _ in range(2 if modules else 1):
        for target in modules:
            guest.load(target)
        before, out, after = guest.hits(fix), guest.exercise(fix), guest.hits(fix)
        if "after" in fix:
            assert out == fix["after"]
        for function in fix.get("reached", before):
            assert after[function] > before[function], (function, out)
        for target in modules:
            guest.unload(target)
    counts = ", ".join(f"{function} {count}" for function, count in after.items())
    if fix.get("before") != fix.get("after"):
        counts += f"; {fix.get('before', 'not tried')} -> {out}".replace("\n", ", ")
    measured(f"{name}: {counts}")
    assert guest.complaints() == ""


def test_revert(guest, measured):
    done = guest.machine.check("cat " + " ".join(f"/tmp/done.{name}" for name in sorted(LOAD))).split()
    assert guest.on, "nothing was applied"
    for name in reversed(guest.on):
        revert(guest.machine, name)
    for fix in FIXES.values():
        guest.original(fix)
    if guest.text_before:
        assert guest.text() == guest.text_before
    assert guest.machine.check("ls /sys/kernel/suture") == ""
    assert guest.complaints() == ""
    measured("rounds of the load: " + ", ".join(f"{name} {n}" for name, n in
                                               zip(sorted(LOAD), done)))
