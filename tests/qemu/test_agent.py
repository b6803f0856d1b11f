# SPDX-License-Identifier: BSD-2-Clause
"""The agent: monitors that it refuses to work with, how payloads are loaded, and faults of its
helper."""

import base64
import os
import re

import pytest

from complaints import complaints
from machine import TOP
from patches import KALLSYMS_ALL, LIVEPATCH, example, make_patch, suture_build

with open(os.path.join(TOP, "include", "suture", "abi.h")) as abi:
    ABI_VERSION = int(re.search(r"#define SUTURE_ABI_VERSION (\d+)", abi.read())[1])
VMMCALL = 1
HELPER = "/usr/lib/suture/suture-load"


@pytest.fixture(scope="module")
def hello(bundles):
    return example(bundles, "hello")


# ---- no monitor, or another one ----

OTHER = ABI_VERSION + 6, "Protocol error", f"ABI version {ABI_VERSION + 6}, this agent version {ABI_VERSION}"


@pytest.mark.x86("QEMU has -acpitable for no other machine")
@pytest.mark.qemu("for -acpitable")
@pytest.mark.parametrize("version,error,says,rest", [
    (ABI_VERSION, "No such device", "does not answer", 4),
    (ABI_VERSION, "Protocol error", "ACPI table has 44 bytes, too few", 0),
    (*OTHER, 0),
    (*OTHER, 60),
], ids=["absent", "cut", "other-release", "long-release"])
def test_false_monitor(boot, tmp_path, version, error, says, rest):
    """The monitor's ACPI table without the monitor (the hypercall is an undefined instruction), a part of
    it, and one of another release, shorter or longer: none may harm the kernel."""
    table = tmp_path / "table"
    table.write_bytes(version.to_bytes(4, "little") + VMMCALL.to_bytes(4, "little") + bytes(rest))
    guest = boot(native=True, qemu=["-acpitable", f"sig=SUTR,data={table}"])
    result = guest.shell("insmod /lib/modules/suture.ko")
    assert result.status != 0 and error in result.out, result
    log = guest.check("dmesg")
    assert says in log
    assert "Oops" not in log and "invalid opcode" not in log


# ---- under the monitor ----

@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(cpus=2)
    machine.load_agent()
    return machine


@pytest.fixture
def guest(machine):
    """The guest, which each test must leave with nothing but the agent loaded."""
    yield machine
    assert machine.check("ls /sys/kernel/suture") == ""
    assert machine.check("cut -d' ' -f1 /proc/modules") == "suture"
    assert complaints(machine) == ""


def refused(guest, bundle, says):
    result = guest.suture("apply", bundle, timeout=90)
    assert result.status != 0, result
    assert re.search(says, result.out), result
    assert "console=" in guest.check("cat /proc/cmdline")


def test_sysfs(guest, hello):
    """A patch in sysfs: modes, values, disabling; its module can be unloaded only then."""
    result = guest.suture("apply", hello)
    assert result.status == 0, result
    files = guest.check("cd /sys/kernel/suture/hello && stat -c '%n %A' * && "
                        "cat enabled replace stack_order transition")
    assert files.split("\n") == [
        "enabled -rw-r--r--", "force --w-------", "replace -r--r--r--", "stack_order -r--r--r--",
        "transition -r--r--r--", "vmlinux drwxr-xr-x", "1", "0", "1", "0"]
    assert guest.check("cat /proc/cmdline") == "hello from a live patch"
    assert guest.shell("rmmod hello").status != 0
    assert guest.shell("echo 1 >/sys/kernel/suture/hello/enabled").status != 0
    guest.check("echo 0 >/sys/kernel/suture/hello/enabled;"
                "while [ -e /sys/kernel/suture/hello ]; do usleep 10000; done", timeout=20)
    assert "console=" in guest.check("cat /proc/cmdline")
    guest.check("rmmod hello")


@pytest.mark.skipif(not KALLSYMS_ALL, reason="the kernel has no addresses of static variables")
def test_static_symbols(guest, bundles):
    """examples/static-symbols: static functions, one by its position, and a static variable."""
    original = guest.check("cat /proc/version")
    result = guest.suture("apply", example(bundles, "static-symbols"))
    assert result.status == 0, result
    first, second = guest.check("cat /proc/version").split("\n")
    assert guest.check("uname -r") in first
    tainted, fscaps, profiling = guest.check(
        "cat /proc/sys/kernel/tainted /sys/kernel/fscaps /sys/kernel/profiling").split("\n")
    assert second == f"tainted_mask {tainted}, fscaps {fscaps}, profiling {profiling}"
    assert guest.suture("revert", "static_symbols").status == 0
    assert guest.check("cat /proc/version") == original


@pytest.mark.parametrize("name,declaration,says", [
    ("nosymbol", "extern int wanted(void);", "'wanted' is not in the kernel"),
    ("ambiguous", "extern int wanted(void) SUTURE_SYMBOL(vmlinux, type_show, 0);",
     "'type_show' is ambiguous: vmlinux has [0-9]+; .*SUTURE_SYMBOL"),
    ("noposition", "extern int wanted(void) SUTURE_SYMBOL(vmlinux, cmdline_proc_show, 2);",
     "'cmdline_proc_show' has no position 2 in vmlinux, only 1"),
    ("nomodule", "extern int wanted(void) SUTURE_SYMBOL(nosuchmodule, wanted, 0);",
     "'wanted' is of module 'nosuchmodule', which is not loaded"),
])
def test_bad_symbol(guest, bundles, name, declaration, says):
    refused(guest, make_patch(bundles, name, declaration + """
        static int new_show(struct seq_file *m, void *v)
        {
            return wanted();
        }
    """, {None: {"cmdline_proc_show": "new_show"}}, check=False), says)


def test_init_fails_late(guest, bundles):
    """The payload's init fails although its patch is in transition: the kernel frees it, even if
    redirects lead into it."""
    name = "faillate"
    source = os.path.join(bundles, name)
    make_patch(bundles, name, """
        static int new_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "wrong\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_show"}})
    with open(os.path.join(source, f"{name}.c"), "r+") as f:
        text = f.read().replace("return klp_enable_patch(&patch);",
                                "int err = klp_enable_patch(&patch);\n"
                                "\treturn err ? err : -ENOSPC;")
        f.seek(0)
        f.write(text)
    bundle = os.path.join(bundles, "late.sut")
    status, output = suture_build(source, bundle)
    assert status == 0, output
    refused(guest, bundle, "init failed after klp_enable_patch")


def test_helper_missing(guest, hello):
    guest.check(f"mv {HELPER} /tmp/helper")
    refused(guest, hello, f"could not start its helper {HELPER}")
    guest.check(f"mv /tmp/helper {HELPER}")


def test_helper_dies(guest, hello):
    """A helper that accepts the job and exits without reporting a result."""
    guest.check("printf '#!/bin/sh\\nexec 3<>/dev/suture\\n' >/tmp/dies; chmod 755 /tmp/dies;"
                "printf /tmp/dies >/sys/module/suture/parameters/helper")
    refused(guest, hello, "helper ended without a result")
    guest.check(f"printf {HELPER} >/sys/module/suture/parameters/helper")
    result = guest.suture("apply", hello)
    assert result.status == 0, result
    assert guest.suture("revert", "hello").status == 0


def test_device_without_a_job(guest):
    assert guest.check("stat -c %A /dev/suture") == "crw-------"
    assert "No data available" in guest.shell("cat /dev/suture").out


def test_own_patch(guest, hello):
    """A patch that the guest loads by itself is refused, unless the configuration allows it."""
    with open(hello, "rb") as f:
        bundle = f.read()
    text = base64.b64encode(bundle[bundle.index(b"\x7fELF"):]).decode()
    for i in range(0, len(text), 2000):
        guest.check(f"printf %s {text[i:i + 2000]} >>/tmp/own.b64")
    guest.check("base64 -d /tmp/own.b64 >/tmp/own.ko; rm /tmp/own.b64")
    result = guest.shell("insmod /tmp/own.ko")
    # a kernel without livepatch refuses it by itself
    error, says = (("not permitted", "did not come as a bundle") if LIVEPATCH else
                   ("invalid module format", "livepatch support is disabled"))
    assert result.status != 0 and error in result.out, result
    assert says in guest.check("dmesg")
