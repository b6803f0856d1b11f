# SPDX-License-Identifier: BSD-2-Clause
"""Where the monitor's keys are, with a firmware that keeps its variables on flash, and an EFI system partition that the
guest's root can mount: what root writes there is not taken at the next boot."""

import hashlib
import os
import re
import shutil
import ssl

import pytest

from images import kernel_module, run
from machine import GUEST_IP, PLATFORM
from test_boot import EFIVARFS, MOUNT_VARIABLES, VARIABLES
from test_disk import DRIVERS, MODULES, drivers
from test_sign import suture
from test_tls import curl, operate, refused
from waiting import wait_until

pytestmark = pytest.mark.qemu("for a flash with variables")

FAT = ("fs/nls/nls_cp437.ko", "fs/nls/nls_ascii.ko", "fs/fat/fat.ko", "fs/fat/vfat.ko")
MOUNT_ESP = " ; ".join([*(f"[ ! -e /drivers/{f} ] || insmod /drivers/{f}" for f in map(os.path.basename, DRIVERS + FAT)),
                        "mkdir /esp", "mount -t vfat /dev/vda /esp"])


def make_keys(folder):
    status, out = suture("keys", str(folder), "127.0.0.1")
    assert status == 0, out
    return folder


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path / "keys")


@pytest.fixture
def machine(boot, tmp_path):
    """A function that boots a guest with this file as keys.pem, whose root mounts the ESP, and efivarfs."""
    def start(pem, **options):
        flash = tmp_path / "vars.fd"
        shutil.copyfile(PLATFORM.variables, flash)
        fat = {f"/drivers/{os.path.basename(f)}": kernel_module(os.path.join(MODULES, f)) for f in FAT}
        guest = boot(reboot=True, conf={"insecure": None, "floor": "demo 9"}, esp={"/EFI/suture/keys.pem": str(pem)},
                     files={**EFIVARFS, **drivers(), **{name: file for name, file in fat.items() if file}},
                     qemu=["-drive", f"if=pflash,unit=1,format=raw,file={flash}"], **options)
        guest.check(f"{MOUNT_VARIABLES} ; {MOUNT_ESP}")
        return guest

    return start


def reboot(guest, count):
    guest.check("umount /esp; sync")
    guest.send("reboot -f")
    guest.wait_ready(count=count)
    guest.check("true")  # its answer has what the firmware wrote to this line
    guest.check(f"{MOUNT_VARIABLES} ; {MOUNT_ESP}")


def lines_of(key):
    """What of a private key can be looked for."""
    return key.read_text().splitlines()[1:-1]


def found(guest, key):
    """Where the guest's root finds a part of this private key: its disk, the ESP as files, the firmware's variables."""
    words = " ".join(f"-e '{line}'" for line in lines_of(key))
    places = {"disk": "/dev/vda", "ESP": "$(find /esp -type f)", "variables": f"$(find {VARIABLES} -type f)"}
    guest.check("echo 3 >/proc/sys/vm/drop_caches")
    return {name for name, files in places.items() if guest.shell(f"cat {files} | grep -aqF {words}", 60).status == 0}


def test_guest_does_not_replace_keys(machine, keys, demo, tmp_path):
    """Root finds no private key, and has its own authority, server and signer taken neither as the first ones nor
    beside them. Nor does the floor of a patch go with its line in suture.conf."""
    def signed(by):
        path = str(tmp_path / "signed.sut")
        assert suture("sign", demo, "--key", str(by / "signer.key"), "-o", path)[0] == 0
        return path

    guest = machine(keys / "keys.pem")
    guest.wait_log(r"keys.pem: taken into the firmware's variables, and removed", 1)
    assert curl(guest, keys, "read", "/v1/status")[1] == 200
    assert guest.shell("ls /esp/EFI/suture").out == "suture.conf"
    assert found(guest, keys / "monitor.key") == set()
    assert "suture" not in guest.check(f"ls {VARIABLES}").lower()

    attackers = make_keys(tmp_path / "attackers")
    guest.check(f"cat >/esp/EFI/suture/keys.pem <<'END'\n{(attackers / 'keys.pem').read_text()}END")
    guest.check("sed -i /^floor=/d /esp/EFI/suture/suture.conf")
    reboot(guest, 2)
    assert "floor" not in guest.check("cat /esp/EFI/suture/suture.conf")
    guest.wait_log(r"keys.pem: not taken, since this machine has keys", 1)
    assert found(guest, attackers / "monitor.key") == {"disk", "ESP"}  # it would have been found
    assert found(guest, keys / "monitor.key") == set()

    assert curl(guest, keys, "operate", "/v1/status")[1] == 200
    # neither is the monitor theirs, nor their client the monitor's
    assert operate(guest, attackers, "admin", "status")[0] == 3
    before = refused(guest, keys)["untrusted"]
    assert curl(guest, attackers, "admin", "/v1/status", "-k")[0]
    assert refused(guest, keys)["untrusted"] == before + 1
    guest.load_agent()
    wait_until(lambda: '"agent": true' in operate(guest, keys, "read", "--json", "status")[1])
    status, out = operate(guest, keys, "operate", "apply", signed(attackers))
    assert status == 1 and "does not trust" in out, out
    status, out = operate(guest, keys, "operate", "apply", signed(keys))
    assert status == 1 and "this machine's floor for it is '9'" in out, out
    status, out = operate(guest, keys, "operate", "apply", "--allow-downgrade", signed(keys))
    assert status == 0 and "demo applied" in out, out


# ---- a key of its own ----

def issue(keys, request, folder):
    """What the authority's owner does with the request, by openssl alone: (its certificate in PEM, DER)."""
    (folder / "request.pem").write_text(request)
    run("openssl", "x509", "-req", "-in", folder / "request.pem", "-CA", keys / "ca.pem", "-CAkey", keys / "ca.key",
        "-days", "30", "-copy_extensions", "copy", "-out", folder / "cert.pem")
    pem = (folder / "cert.pem").read_text()
    return pem, ssl.PEM_cert_to_DER_cert(pem)


def served(guest, keys):
    """The certificate that the monitor shows to a client."""
    out = run("openssl", "s_client", "-connect", f"127.0.0.1:{guest.port}", "-verify_ip", GUEST_IP, "-CAfile", keys / "ca.pem", "-cert",
              keys / "read.pem", "-key", keys / "read.key", input=b"").decode()
    assert "Verification: OK" in out
    return ssl.PEM_cert_to_DER_cert(re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", out, re.S)[0])


def test_own_key(machine, keys, tmp_path):
    """Without a private key in keys.pem the monitor makes one, which no file ever has, and serves when the authority has
    signed its request; a newer certificate takes the place of that one."""
    (tmp_path / "public.pem").write_text((keys / "ca.pem").read_text() + (keys / "signer.pub").read_text())
    guest = machine(tmp_path / "public.pem")
    guest.wait_log("not listening: the keys have no certificate for the private key", 30, name="monitor.log")
    said = guest.wait_log("SHA-256 of its public key: ([0-9a-f]{64})", 1)[1]
    request = guest.check("cat /esp/EFI/suture/request.pem")
    (tmp_path / "r").write_text(request)
    public = run("openssl", "req", "-in", tmp_path / "r", "-verify", "-noout", "-pubkey").decode()
    (tmp_path / "p").write_text(public[public.index("-----BEGIN"):])
    assert hashlib.sha256(run("openssl", "pkey", "-pubin", "-in", tmp_path / "p", "-outform", "DER")).hexdigest() == said

    first, first_der = issue(keys, request, tmp_path)
    guest.check(f"cat >/esp/EFI/suture/cert.pem <<'END'\n{first}END")
    reboot(guest, 2)
    guest.wait_log("cert.pem: taken into the firmware's variables, and removed", 1)
    assert guest.check("ls /esp/EFI/suture") == "suture.conf"
    assert served(guest, keys) == first_der
    assert curl(guest, keys, "read", "/v1/status", "-k")[1] == 200  # not by the name that is in it

    newer, newer_der = issue(keys, request, tmp_path)
    guest.check(f"cat >/esp/EFI/suture/cert.pem <<'END'\n{newer}END")
    reboot(guest, 3)
    assert served(guest, keys) == newer_der != first_der
