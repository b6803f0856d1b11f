# SPDX-License-Identifier: BSD-2-Clause
"""Patches that are enabled in the guest come back after a reboot; what must not come back does not. The
power fails at random moments. SUTURE_POWERCUTS is a count."""

import os
import random
import re
import shutil
import struct
import time

import pytest

from images import run
from machine import HELPER, PLATFORM
from patches import example, make_patch
from test_disk import DRIVERS, drivers
from test_sign import suture
from waiting import wait_until

pytestmark = pytest.mark.x86("not run on arm64 yet")

POWERCUTS = int(os.environ.get("SUTURE_POWERCUTS", "50"))
DESIRED = os.path.join(os.path.dirname(HELPER), "suture-desired")
PATCHED = "this has been live patched"
FOLDER = "/etc/suture/patches.d"
COMMAND = "/usr/lib/suture/suture-desired"

# what systemd does with the two services of the package
RC = f"""#!/bin/sh
for driver in {" ".join(map(os.path.basename, DRIVERS))}; do
    [ -e /drivers/$driver ] && insmod /drivers/$driver
done
mkdir /etc/suture
for try in $(seq 300); do
    disk=$(findfs LABEL=suture 2>/dev/null) && break
    usleep 100000
done
mount -t ext4 $disk /etc/suture || echo NO DISK >/dev/console
insmod /lib/modules/suture.ko
{COMMAND} boot </dev/null >/dev/console 2>&1
[ -e /etc/suture/touch ] && cat /proc/cmdline
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "keys"
    assert suture("keys", str(folder), "127.0.0.1")[0] == 0
    return folder


def sign(bundle, keys):
    status, out = suture("sign", str(bundle), "--key", str(keys / "signer.key"))
    assert status == 0, out
    return str(bundle)


def change(bundle, to, offset):
    """Copy it, with one byte changed that is so far behind the start of its manifest."""
    with open(bundle, "rb") as f:
        content = bytearray(f.read())
    content[struct.unpack_from("<I", content, 16)[0] + offset] ^= 1
    with open(to, "wb") as f:
        f.write(content)
    return to


BUILD_ID = 8  # where it is in the manifest


def machine(boot, folder, keys, bundles, **options):
    """A guest with a disk for its bundles, and the files `bundles` in /."""
    disk, flash = os.path.join(folder, "disk.img"), os.path.join(folder, "flash.img")
    if not os.path.exists(disk):
        run("mkfs.ext4", "-q", "-L", "suture", disk, "16M")
        shutil.copyfile(PLATFORM.variables, flash)
    return boot(reboot=True, conf={"guest_may_apply": "yes"}, esp={"/EFI/suture/keys.pem": str(keys / "signer.pub")},
                files={"/etc/rc": RC.encode(), COMMAND: DESIRED, **drivers(),
                       **{f"/{os.path.basename(b)}": b for b in bundles}},
                qemu=["-drive", f"if=pflash,unit=1,format=raw,file={flash}",
                      "-drive", f"if=none,id=disk,format=raw,file={disk}",
                      "-device", "virtio-blk-pci,drive=disk,addr=8"], **options)


def reboot(guest, count, stop=True):
    if stop:
        guest.check(f"{COMMAND} stop")
    guest.check("sync")
    guest.send("reboot -f")
    guest.wait_ready(count=count)
    guest.check("true")  # its answer has what the firmware wrote to this line


def listed(guest):
    """{patch: what `suture list` says of it}, of those that the guest wants."""
    out = guest.suture("list").out.partition("enabled in the guest:\n")[2]
    return dict(re.findall(r"^  (\S+) +(.*)$", out, re.MULTILINE))


def test_life(boot, tmp_path, bundles, keys):
    """Enabled, and in force after a reboot; for another kernel; forged; switched off; locked out."""
    demo = sign(example(bundles, "demo"), keys)
    hello = example(bundles, "hello")
    forged = change(sign(hello, keys), os.path.join(bundles, "forged.sut"), BUILD_ID)
    with open(demo, "rb") as f:
        other = os.path.join(bundles, "other.sut")
        content = f.read()
    with open(other, "wb") as f:
        f.write(content.replace(b"demo\0\0\0\0\0", b"rest\0\0\0\0\0", 1))
    other = sign(change(other, other, BUILD_ID), keys)
    crash = sign(make_patch(bundles, "crash", """
        static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
        {
            panic("the patch does it");
        }
        """, {None: {"cmdline_proc_show": "new_cmdline_proc_show"}}), keys)
    guest = machine(boot, str(tmp_path), keys, [demo, forged, other, crash])

    # nothing is wanted yet
    assert guest.suture("list").out == "no patches"
    assert guest.shell(f"{COMMAND} enable /bin/busybox").status == 1
    for name in "demo", "other", "forged":
        guest.check(f"{COMMAND} enable /{name}.sut")
    assert guest.check(f"{COMMAND} list").split() == ["demo", "rest", "hello"]
    assert PATCHED not in guest.check("cat /proc/cmdline")

    reboot(guest, 2)
    assert guest.check("cat /proc/cmdline") == PATCHED
    wanted = listed(guest)
    assert wanted["demo"] == "in force"
    assert re.match("missing: waits: patch 'rest' is for the kernel with build-id", wanted["rest"]), wanted
    assert re.match("missing: refused: .*signature is not good", wanted["hello"]), wanted
    assert re.search(r"guest *202 *OFFER demo|'guest' OFFER demo|guest.*OFFER demo", guest.suture("audit").out)
    assert guest.check(f"ls {FOLDER} | grep trying") == "demo.trying"
    # the service is started again: nothing is done twice
    guest.check(f"{COMMAND} boot")
    assert guest.json("/v1/patches")["patches"][0]["apply"]["attempts"] >= 1
    assert listed(guest) == wanted

    # off
    guest.check("echo enabled=no >/etc/suture/patches.conf")
    guest.check(f"{COMMAND} boot")
    assert all(w["state"] == "off" and "patches.conf" in w["why"] for w in guest.json("/v1/patches")["wanted"])
    guest.check("rm /etc/suture/patches.conf; echo a suture.patches=off b >/tmp/line; mount -o bind /tmp/line /proc/cmdline")
    guest.check(f"{COMMAND} boot; umount /proc/cmdline")
    assert all("command line" in w["why"] for w in guest.json("/v1/patches")["wanted"])

    # no more
    for name in "demo", "rest", "hello":
        guest.check(f"{COMMAND} disable {name}")
    assert guest.shell(f"{COMMAND} disable demo").status == 1
    assert listed(guest) == {} and guest.check(f"ls -A {FOLDER}") == ""

    # the kernel panics because of it, and boots again
    guest.check(f"{COMMAND} enable /crash.sut && touch /etc/suture/touch")
    reboot(guest, 3)
    assert "the patch does it" in guest.read_log("console.log")
    assert "locked out" in listed(guest)["crash"]
    assert PATCHED not in guest.check("cat /proc/cmdline")
    refused = guest.shell(f"{COMMAND} enable /crash.sut")
    assert refused.status == 1 and "--force" in refused.out
    assert guest.check(f"{COMMAND} list") == "crash locked out"

    # the operator insists, and it lives for long enough
    guest.check(f"{COMMAND} enable --force /crash.sut && echo lockout_s=1 >/etc/suture/patches.conf")
    guest.check(f"{COMMAND} boot")
    assert listed(guest)["crash"] == "in force"
    wait_until(lambda: guest.shell(f"ls {FOLDER} | grep -E 'trying|locked'").status)


# enabled, applied, enabled in another version, disabled
WORK = f"""
while true; do
    {COMMAND} enable --force /demo.sut
    {COMMAND} boot
    {COMMAND} enable --force /newer.sut
    {COMMAND} stop
    {COMMAND} disable demo
    {COMMAND} enable --force /hello.sut
    {COMMAND} boot
    {COMMAND} disable hello
done
"""


def whole_bundles(guest):
    """The folder has nothing but whole bundles, and markers."""
    sums = {line.split()[0] for line in guest.check("sha256sum /demo.sut /newer.sut /hello.sut").splitlines()}
    for line in guest.check(f"cd {FOLDER} 2>/dev/null && for f in *.sut; do [ -e $f ] && sha256sum $f; done; true").splitlines():
        assert line.split()[0] in sums, line
    left = guest.check(f"ls -A {FOLDER} 2>/dev/null; true").split()
    assert all(re.fullmatch(r"\d{4}-\w+\.sut|\w+\.(trying|locked)", name) for name in left), left


def test_power_cuts(boot, tmp_path, bundles, keys, measured):
    """At random moments while bundles are enabled, replaced, disabled, applied and reverted: the next boot
    comes up, has whole bundles, and a patch of which it says so or none."""
    demo, hello = sign(example(bundles, "demo"), keys), sign(example(bundles, "hello"), keys)
    newer = sign(shutil.copy(demo, os.path.join(bundles, "newer.sut")), keys)
    chance = random.Random(18)
    found = {"applied": 0, "not applied": 0}
    for _ in range(POWERCUTS + 1):
        guest = machine(boot, str(tmp_path), keys, [demo, newer, hello])
        assert "NO DISK" not in guest.read_log("console.log")
        whole_bundles(guest)
        phases = {p["name"]: p["phase"] for p in guest.json("/v1/patches")["patches"]}
        patched = guest.check("cat /proc/cmdline") == PATCHED
        assert patched == (phases.get("demo") == "applied"), (patched, phases)
        found["applied" if "applied" in phases.values() else "not applied"] += 1
        guest.check(f"cat >/tmp/work <<'END'\n{WORK}\nEND\n(sh /tmp/work >/dev/null 2>&1 &)")
        end = time.monotonic() + chance.uniform(0.1, 8)
        while time.monotonic() < end:
            for name in "demo", "hello":
                guest.suture("revert", "--no-wait", name)
        guest.process.kill()
        guest.process.wait()
    measured(f"{POWERCUTS} power cuts: the next boot had a patch {found['applied']} times, and none "
             f"{found['not applied']} times")
