# SPDX-License-Identifier: BSD-2-Clause
"""suture-install on a machine that is a folder, with an efibootmgr that writes to a file: each way through
trial, upgrade and removal, and what it refuses."""

import json
import os
import subprocess

import pytest

from machine import PLATFORM, SUTURE, TOP

INSTALL = os.path.join(TOP, "packaging", "suture-install")
IMAGE = "suture.efi" if os.uname().machine == "x86_64" else "sutureaa64.efi"
REASON = "SutureReason-7d1f2a54-9c3e-4b6f-8a10-5e2c94d07b31"
LINES = ("nic=00:04.0", "ip=192.0.2.7/24")
FIRST = {"entries": {"0000": ["debian", r"\EFI\debian\shimx64.efi", ""], "0001": ["UEFI Shell", r"\shell.efi", ""]},
         "order": ["0000", "0001"], "current": "0000", "next": None}


class Host:
    def __init__(self, folder):
        self.folder = folder
        self.esp = folder / "esp"
        (self.esp / "EFI/debian").mkdir(parents=True)
        (self.esp / "EFI/debian/shimx64.efi").write_text("shim")
        self.write("sys/firmware/efi/efivars/empty", "")
        self.write("proc/cpuinfo", "processor: 0\nflags : fpu svm npt\nprocessor: 1\n")
        self.write("sys/block/vda/vda1/partition", "1\n")
        (folder / "sys/class/block").mkdir(parents=True)
        (folder / "sys/class/block/vda1").symlink_to(folder / "sys/block/vda/vda1")
        self.nic("0000:00:04.0", "0x10d3")
        self.version("one")
        self.firmware = json.loads(json.dumps(FIRST))
        self.boots = 0
        self.boot("0000", monitor=False)
        bin_ = folder / "bin"
        bin_.mkdir()
        (bin_ / "efibootmgr").symlink_to(os.path.join(TOP, "tests/qemu/fake_efibootmgr.py"))
        (bin_ / "suture").symlink_to(SUTURE)
        (bin_ / "findmnt").write_text("#!/bin/sh\necho /dev/vda1\n")
        (bin_ / "findmnt").chmod(0o755)

    def write(self, path, text):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def nic(self, slot, device):
        self.write(f"sys/bus/pci/devices/{slot}/vendor", "0x8086\n")
        self.write(f"sys/bus/pci/devices/{slot}/device", f"{device}\n")

    def version(self, text):
        self.write(f"usr/lib/suture/{IMAGE}", text)

    def boot(self, number, monitor):
        self.boots += 1
        self.write("proc/sys/kernel/random/boot_id", f"boot{self.boots}\n")
        self.firmware["current"] = number
        table = self.folder / "sys/firmware/acpi/tables/SUTR"
        table.unlink(missing_ok=True)
        if monitor:
            self.write("sys/firmware/acpi/tables/SUTR", "")

    def run(self, *arguments):
        path = self.folder / "firmware"
        path.write_text(json.dumps(self.firmware))
        done = subprocess.run([INSTALL, *arguments], capture_output=True, text=True, timeout=60, env={
            **os.environ, "SUTURE_ROOT": str(self.folder), "SUTURE_ESP": str(self.esp), "SUTURE_IMAGES": f"{self.folder}/usr/lib/suture",
            "FIRMWARE": str(path),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}"})
        self.firmware = json.loads(path.read_text())
        return done.returncode, done.stdout + done.stderr

    def ok(self, *arguments):
        status, out = self.run(*arguments)
        assert status == 0, out
        return out

    def labels(self):
        """Those of the boot order, in its order."""
        return [self.firmware["entries"][n][0] for n in self.firmware["order"]]

    def files(self):
        return {p.name: p.read_text() for p in (self.esp / "EFI/suture").iterdir()}

    def try_it(self):
        """The trial boot, which comes up."""
        self.boot(self.firmware["next"], monitor=True)
        return self.ok("confirm")


@pytest.fixture
def host(tmp_path):
    if PLATFORM.architecture != "x86":
        pytest.skip("the machine's parts do not depend on it")
    return Host(tmp_path)


def test_keys(host):
    """The monitor's keys come with it, once; a file without them is refused, and nothing is changed."""
    keys = host.folder / "keys.pem"
    keys.write_text("-----BEGIN PUBLIC KEY-----\n")
    for path in keys, host.folder / "nothing":
        status, out = host.run("install", "--keys", str(path), *LINES)
        assert status == 1 and "keys.pem" in out or "no such file" in out, out
        assert not (host.esp / "EFI/suture").exists()
    keys.write_text("-----BEGIN PRIVATE KEY-----\n")
    host.ok("install", "--keys", str(keys), *LINES)
    assert host.files()["keys.pem"] == keys.read_text()


def test_trial_upgrade_and_removal(host):
    host.ok("install", *LINES)
    assert host.labels() == ["debian", "UEFI Shell", "Suture trial"]
    trial = host.firmware["next"]
    assert host.firmware["entries"][trial] == ["Suture trial", r"\EFI\suture\trial.efi", "/dev/vda:1"]
    assert host.files() == {"trial.efi": "one", "suture.conf": "next=\\EFI\\debian\\shimx64.efi\n" + "\n".join(LINES) + "\n"}
    # the service also runs in this boot
    assert "still to come" in host.ok("confirm")
    assert "booted always" in host.try_it()
    assert host.labels() == ["Suture", "debian", "UEFI Shell"]
    assert host.files()[IMAGE] == "one" and "trial.efi" not in host.files()
    assert host.ok("confirm") == ""

    host.version("two")
    assert "not the package's" in host.ok("status")
    host.ok("install")
    assert host.labels() == ["Suture", "debian", "UEFI Shell", "Suture trial"]
    assert host.files()[IMAGE] == "one"
    host.try_it()
    assert host.labels() == ["Suture", "debian", "UEFI Shell", "Suture previous"]
    assert (host.files()[IMAGE], host.files()["previous.efi"]) == ("two", "one")
    host.version("three")
    host.ok("install")
    host.try_it()
    assert host.labels() == ["Suture", "debian", "UEFI Shell", "Suture previous"]
    assert (host.files()[IMAGE], host.files()["previous.efi"]) == ("three", "two")

    host.ok("remove")
    assert host.firmware["entries"] == FIRST["entries"] and host.firmware["order"] == FIRST["order"]
    assert not (host.esp / "EFI/suture").exists() and not (host.folder / "var/lib/suture").exists()


@pytest.mark.parametrize("number", ["trial", "0000"])
def test_trial_that_does_not_come_up(host, number):
    """The firmware does not start it, or the monitor cannot take over: the boot order is as before."""
    host.ok("install", *LINES)
    host.write(f"sys/firmware/efi/efivars/{REASON}", "\7\0\0\0only one CPU")
    host.boot(host.firmware["next"] if number == "trial" else number, monitor=False)
    status, out = host.run("confirm")
    assert status == 1 and "did not come up: only one CPU" in out, out
    assert host.labels() == ["debian", "UEFI Shell"] and "trial.efi" not in host.files()
    status, out = host.run("status")
    assert status == 1 and "why: only one CPU" in out and "last trial did not come up: only one CPU" in out, out
    host.ok("install")
    host.try_it()
    assert "runs below" in host.ok("status")


@pytest.mark.parametrize("lines, says", [
    ([], "give the lines of suture.conf"), (["nic=what"], "line 2: nic=what"),
    (["next=\\gone.efi", "nic=none"], r"next=\\gone.efi is not on".replace("\\\\", "\\"))])
def test_refusals_change_nothing(host, lines, says):
    status, out = host.run("install", *lines)
    assert status == 1 and says in out, out
    assert not (host.esp / "EFI/suture").exists() and host.firmware == FIRST


def test_check(host):
    out = host.ok("check")
    assert "nic=00:04.0" in out and "nothing stands in the way" in out
    host.write("proc/cpuinfo", "processor: 0\nflags : fpu vmx\nvmx flags : vnmi ept\nprocessor: 1\n")
    assert "Intel VMX with EPT" in host.ok("check")
    host.write("sys/bus/pci/devices/0000:00:04.1/vendor", "0x8086\n")
    host.write("proc/cpuinfo", "processor: 0\nflags : fpu vmx\n")
    host.write("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\7\0\0\0\1")
    status, out = host.run("check")
    assert status == 1
    for says in "VMX without EPT", "1 CPUs", "function 0 of several", "no e1000", "Secure Boot is on":
        assert says in out, out


def test_unknown_command(host):
    status, out = host.run("instal")
    assert status == 2 and "usage" in out
