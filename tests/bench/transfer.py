# SPDX-License-Identifier: BSD-2-Clause
"""An apply of a large bundle over plain HTTP and over TLS with client certificates, and one of a small bundle with
and without the comparison of the payload's text: one machine after the other."""

import os
import shutil
import statistics
import subprocess
import time

from machine import SUTURE, GuestError, Machine
from patches import example, make_patch

BUNDLE_BYTES = 1 << 20
ROUNDS = 16  # the first one warms up the emulator and does not count
CPUS = 3

CODE = f"""
static const unsigned char ballast[{BUNDLE_BYTES}] = {{[0 ... {BUNDLE_BYTES - 1}] = 0x5a}};

static int new_show(struct seq_file *m, void *v)
{{
    seq_printf(m, "%d\\n", READ_ONCE(ballast[m->count & 0xff]));
    return 0;
}}
"""


def run(*command, **environment):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                          env={**os.environ, **environment})
    if done.returncode:
        raise GuestError(f"{' '.join(command)}: {done.stdout.decode(errors='replace')}")


class Door:
    """A way into a machine: its configuration, and the operator's command."""

    def __init__(self, name, conf=None, keys=None):
        self.name, self.conf, self.keys = name, conf or {}, keys

    def machine(self, folder):
        # with keys the machine's clock is ahead: what was made just now is valid
        ahead = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3600))
        more = {"esp": {"/EFI/suture/keys.pem": os.path.join(self.keys, "keys.pem")},
                "qemu": ("-rtc", f"base={ahead}")} if self.keys else {}
        return Machine(os.path.join(folder, self.name), cpus=CPUS, cmdline="nowatchdog", conf=self.conf, **more)

    def suture(self, guest, *arguments):
        address = ("--host", f"127.0.0.1:{guest.port}")
        if self.keys:
            run(SUTURE, *address, "--context", "operate", *arguments, SUTURE_CONFIG=os.path.join(self.keys, "contexts"))
        else:
            run(SUTURE, *address, "--insecure", *arguments)


def large_bundle(folder):
    return make_patch(folder, "ballast", CODE, {None: {"cmdline_proc_show": "new_show"}})


def apply_often(guest, door, bundle):
    """(ms, ms of the emulator's CPU time): medians."""
    took, cpu = [], []
    for _ in range(ROUNDS):
        before, start = guest.cpu_seconds(), time.monotonic()
        door.suture(guest, "apply", bundle)
        took.append((time.monotonic() - start) * 1000)
        cpu.append((guest.cpu_seconds() - before) * 1000)
        door.suture(guest, "revert", os.path.splitext(os.path.basename(bundle))[0])
    return statistics.median(took[1:]), statistics.mean(cpu[1:])


def through(folder, door, *bundles):
    guest = door.machine(folder)
    try:
        guest.start().wait_ready(timeout=300)
        guest.load_agent()
        return [apply_often(guest, door, bundle) for bundle in bundles]
    finally:
        guest.stop()


def add_pair(table, title, names, usual, other):
    """Rows of two ways to apply the same bundle: the usual one, and another."""
    for name, (ms, cpu) in zip(names, (usual, other)):
        table.add(f"apply of {title}, {name}", ms, "ms", note=f"{cpu:.0f} ms of the emulator's CPU time")
    table.add(f"apply of {title}, {names[1]}, times {names[0]}", other[0] / usual[0], "",
              note=f"of the emulator's CPU time {other[1] / usual[1]:.2f}")


def compare_doors(table, folder):
    large, small = large_bundle(folder), example(folder, "demo")
    keys = os.path.join(folder, "keys")
    shutil.rmtree(keys, ignore_errors=True)
    run(SUTURE, "keys", keys, "127.0.0.1")
    run(SUTURE, "sign", large, "--key", os.path.join(keys, "signer.key"), "--days", "1")
    plain_large, plain_small = through(folder, Door("plain"), large, small)
    tls_large, = through(folder, Door("tls", {"insecure": None}, keys), large)
    uncompared, = through(folder, Door("uncompared", {"compare_text": "no"}), small)
    add_pair(table, f"a bundle of {os.path.getsize(large) / 2**20:.2g} MiB", ("plain HTTP", "TLS"), plain_large, tls_large)
    add_pair(table, "examples/demo", ("compare_text=no", "compare_text=yes"), uncompared, plain_small)


def transfers(table, folder):
    """A failure is a row of the table."""
    try:
        compare_doors(table, folder)
    except (GuestError, OSError) as failed:
        table.fail("apply of a large bundle over TLS", failed)
