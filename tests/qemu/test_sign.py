# SPDX-License-Identifier: BSD-2-Clause
"""`suture sign` and `suture verify`, without a guest: openssl agrees with both, whatever is changed is
noticed, and a key in a token (softhsm2) signs as one in a file does."""

import hashlib
import json
import os
import struct
import subprocess

import pytest

from images import run
from machine import SUTURE

HEADER, MANIFEST, SIGNATURE = 64, 144, 72


def suture(*args, **env):
    done = subprocess.run([SUTURE, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, env={**os.environ, **env})
    return done.returncode, done.stdout.decode()


def make_key(folder, name, curve="P-256"):
    key, public = folder / f"{name}.key", folder / f"{name}.pub"
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", key)
    run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
    return str(key), str(public)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """(private, public) of two signers."""
    folder = tmp_path_factory.mktemp("keys")
    return make_key(folder, "one"), make_key(folder, "two")


@pytest.fixture(scope="module")
def signed(demo, keys, tmp_path_factory):
    bundle = str(tmp_path_factory.mktemp("signed") / "demo.sut")
    status, out = suture("sign", demo, "--key", keys[0][0], "--days", "30", "-o", bundle)
    assert status == 0 and "expires 20" in out, out
    return bundle


def test_verify(signed, demo, keys):
    (_, one), (_, two) = keys
    assert suture("verify", signed, "--key", one)[0] == 0
    assert suture("verify", signed, "--key", two, "--key", one)[0] == 0
    status, out = suture("verify", signed, "--key", two)
    assert status == 1 and "none of those given" in out
    status, out = suture("verify", demo, "--key", one)
    assert status == 1 and "not signed" in out


def test_openssl_agrees(signed, keys, tmp_path):
    """The key's id and the signature are what docs/security.md says."""
    with open(signed, "rb") as f:
        data = f.read()
    kind, key_id, r, s = struct.unpack("<I4s32s32s", data[-SIGNATURE:])
    der = run("openssl", "pkey", "-pubin", "-in", keys[0][1], "-outform", "DER")
    assert kind == 1 and key_id == hashlib.sha256(der).digest()[:4]
    assert json.loads(suture("inspect", "--json", signed)[1])["key"] == key_id.hex()

    def integer(raw):
        raw = raw.lstrip(b"\0")
        raw = b"\0" * (raw[:1] >= b"\x80") + raw
        return b"\x02" + bytes([len(raw)]) + raw
    body = integer(r) + integer(s)
    (tmp_path / "sig").write_bytes(b"\x30" + bytes([len(body)]) + body)
    (tmp_path / "data").write_bytes(data[:-SIGNATURE])
    run("openssl", "dgst", "-sha256", "-verify", keys[0][1], "-signature", tmp_path / "sig",
        tmp_path / "data")


def test_flipped_bits(signed, keys, tmp_path):
    """In header, manifest, strings, payload and signature: each is noticed."""
    with open(signed, "rb") as f:
        data = f.read()
    payload = struct.unpack_from("<I", data, 24)[0]
    bad = tmp_path / "bad.sut"
    # the version text; the expiry; a byte of the module; r, s
    for offset in (HEADER + 8, HEADER + MANIFEST - 8, payload, payload + 1000, len(data) - SIGNATURE - 9,
                   len(data) - SIGNATURE + 8, len(data) - 1):
        changed = bytearray(data)
        changed[offset] ^= 1
        bad.write_bytes(changed)
        status, out = suture("verify", str(bad), "--key", keys[0][1])
        assert status in (1, 2) and ("not good" in out or "not a good bundle" in out), (offset, out)
    changed = bytearray(data)
    changed[-SIGNATURE + 4] ^= 1
    bad.write_bytes(changed)
    assert "none of those given" in suture("verify", str(bad), "--key", keys[0][1])[1]


def test_expired(signed, keys, tmp_path):
    bundle = str(tmp_path / "old.sut")
    assert suture("sign", signed, "--key", keys[0][0], "--days", "0", "-o", bundle)[0] == 0
    status, out = suture("verify", bundle, "--key", keys[0][1])
    assert status == 1 and "expired on" in out
    # signed anew, without an end
    assert suture("sign", bundle, "--key", keys[1][0])[0] == 0
    status, out = suture("verify", bundle, "--key", keys[1][1])
    assert status == 0 and "expires never" in out


def test_bad_keys(signed, keys, tmp_path):
    for args, why in ((("sign", signed), "needs one --key"),
                      (("sign", signed, "--key", keys[0][1]), "no private key"),
                      (("sign", signed, "--key", make_key(tmp_path, "big", "P-384")[0]), "P-256"),
                      (("sign", signed, "--key", "/nowhere"), "No such file"),
                      (("verify", signed), "needs --key"),
                      (("verify", signed, "--key", signed), "no public key")):
        status, out = suture(*args)
        assert status == 2 and why in out, (args, out)


def test_token(demo, keys, tmp_path):
    """The private key is in a token, and stays there."""
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    env = {"SOFTHSM2_CONF": str(conf), "PKCS11_MODULE_PATH": "/usr/lib/softhsm/libsofthsm2.so"}
    for args in (("--init-token", "--free", "--label", "suture", "--so-pin", "1234"),
                 ("--import", keys[0][0], "--token", "suture", "--label", "signer", "--id", "01")):
        run("softhsm2-util", *args, "--pin", "1234", env={**os.environ, **env})
    bundle = str(tmp_path / "demo.sut")
    uri = "pkcs11:token=suture;object=signer;type=private?pin-value=1234"
    status, out = suture("sign", demo, "--key", uri, "-o", bundle, **env)
    assert status == 0, out
    assert suture("verify", bundle, "--key", keys[0][1])[0] == 0
    status, out = suture("sign", demo, "--key", uri.replace("signer", "other"), "-o", bundle, **env)
    assert status == 2 and "no such private key" in out, out
