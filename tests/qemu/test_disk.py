# SPDX-License-Identifier: BSD-2-Clause
"""
Repeated boots of a Debian system on a disk for `make check-disk`, with a host thread for each CPU:
interrupts between CPUs, loading and unloading of modules, tracepoints, and firmware variables.
SUTURE_DISK_BOOTS: the number of boots; SUTURE_NATIVE=1: without the monitor, to see whether a
failure needs it.
"""

import json
import os
import re
import shutil
import time

import pytest

from complaints import STALLS, complaints
from images import kernel_module
from machine import BUILD, GUEST, PLATFORM, GuestError
from patches import apply, revert

pytestmark = [pytest.mark.x86("its emulator with a thread for each CPU is fetched for x86 alone"),
              pytest.mark.qemu("Bochs has one thread for all CPUs")]

BOOTS = int(os.environ.get("SUTURE_DISK_BOOTS", "100"))
NATIVE = os.environ.get("SUTURE_NATIVE") == "1"
STORM = 8  # seconds
DISK = os.path.join(BUILD, "guest", "disk", f"{GUEST}.img")
MODULES = os.path.join(BUILD, "guest", GUEST, "modules", "kernel")

# what the disk's driver needs, in the order of loading; some kernels have part of it built in
DRIVERS = ("drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko",
           "drivers/virtio/virtio_pci_legacy_dev.ko", "drivers/virtio/virtio_pci_modern_dev.ko",
           "drivers/virtio/virtio_pci.ko", "drivers/block/virtio_blk.ko")

# the first process: it takes what the tests give to a guest along to the disk
TO_DISK = f"""#!/bin/sh
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for driver in {" ".join(map(os.path.basename, DRIVERS))}; do
    [ -e /drivers/$driver ] && insmod /drivers/$driver
done
mkdir /disk
# without a disk this process ends, and with it the machine
for try in $(seq 300); do
    disk=$(findfs LABEL=debian 2>/dev/null) && break
    usleep 100000
done
[ "$disk" ] || exit 1
mount -t ext4 $disk /disk
mkdir -p /disk/usr/lib/suture
cp /lib/modules/suture.ko /disk/lib/modules/
cp /usr/lib/suture/suture-load /disk/usr/lib/suture/
cp /bin/storm /disk/usr/local/bin/
umount /proc /sys
mount --move /dev /disk/dev
exec switch_root /disk /sbin/init
"""

# Timeout is a variable that the kernel lets us write again and again
WORK = r"""
set -e
variables=/sys/firmware/efi/efivars
timeout=$variables/Timeout-8be4df61-93ca-11d2-aa0d-00e098032b8c
trace=/sys/kernel/tracing/events/sched/sched_switch/enable
mountpoint -q $variables
storm STORM >/tmp/storm &
storm=$!
n=0
while [ -d /proc/$storm ] && ! grep -q State:.Z /proc/$storm/status; do
    n=$((n + 1))
    for module in dummy loop veth tun; do
        modprobe $module
        udevadm settle # else it may have a new device of the module open
        modprobe -r $module
    done
    printf "\007\000\000\000\\$(printf %03o $n)\000" >$timeout
    [ $(od -An -tu1 -j4 -N1 $timeout) = $n ]
    new=$variables/Suture$n-5e7a3c1d-90b4-4f6e-8a2b-6f1d0c9e8b7a
    printf "\007\000\000\000kept $n" >$new
    [ "$(cat $new | tail -c +5)" = "kept $n" ]
    cat $variables/* >/dev/null
    echo 1 >$trace
    echo 0 >$trace
done
wait $storm
echo "rounds $n $(cat /tmp/storm)"
"""
START = f"""
cat >/tmp/work <<'END'
{WORK.replace("STORM", str(STORM))}
END
(sh -x /tmp/work >/tmp/work.out 2>/tmp/work.log; echo $? >/tmp/work.status) >/dev/null 2>&1 &
"""


def drivers():
    """{path in the initramfs: file of the host, or bytes}"""
    files = {f"/drivers/{os.path.basename(name)}": kernel_module(os.path.join(MODULES, name))
             for name in DRIVERS}
    return {name: file for name, file in files.items() if file}


def start(boot, cpus, flash):
    shutil.copyfile(PLATFORM.variables, flash)
    return boot(wait=False, cpus=cpus, thread="multi", native=NATIVE, cmdline="rdinit=/to-disk",
                files={"/to-disk": TO_DISK.encode(), **drivers()},
                qemu=["-drive", f"if=pflash,unit=1,format=raw,file={flash}",
                      "-drive", f"if=none,id=disk,format=raw,snapshot=on,file={DISK}",
                      "-device", "virtio-blk-pci,drive=disk,addr=5"])


def live(guest, cpus, demo):
    """From user space to power-off; returns what the guest did."""
    assert guest.check("nproc", timeout=60) == str(cpus)
    if not NATIVE:
        guest.load_agent()
    guest.check(START)
    if not NATIVE:
        apply(guest, demo)
        revert(guest, "demo")
    deadline = time.monotonic() + 120
    while guest.shell("cat /tmp/work.status").status:
        assert time.monotonic() < deadline, guest.shell("tail -n 5 /tmp/work.log; cat /tmp/storm")
        time.sleep(0.5)
    did = guest.check("cat /tmp/work.out")
    assert guest.check("cat /tmp/work.status") == "0", guest.check("tail -n 5 /tmp/work.log")
    said = complaints(guest, STALLS)
    assert said == ""
    if not NATIVE:
        states = [cpu["state"] for cpu in guest.json("/v1/status")["cpus"]]
        assert states == ["guest"] * cpus + ["service"]
    guest.send("systemctl poweroff")
    assert guest.wait_end(timeout=90) == 0
    ended = re.search(r"Kernel panic|Oops|is dead|triple fault",
                      guest.read_log("console.log") + guest.read_log("monitor.log"))
    assert ended is None, ended[0]
    return did


def keep(guest, error):
    """What the monitor and the emulator know about a machine that failed, beside its logs."""
    with open(guest.log("failure.txt"), "w") as out:
        out.write(f"{error}\n")
        if not guest.alive():
            return
        guest.dump_registers()
        for path in () if NATIVE else ("/v1/status", "/v1/log", "/metrics"):
            try:
                out.write(f"{path}: {guest.http(path)[1]}\n")
            except OSError as silent:
                out.write(f"{path}: {silent}\n")


def add(total, did):
    words = did.split()
    for name, value in zip(words[::2], words[1::2]):
        total[name] = total.get(name, 0) + int(value)


def test_disk(boot, demo, measured, tmp_path):
    total, failed, emulator = {}, [], None
    for n in range(1, BOOTS + 1):
        cpus, begin, result = (4, 2)[n % 2], time.monotonic(), "good"
        guest = start(boot, cpus, tmp_path / "vars.fd")
        try:
            guest.wait_ready(timeout=300)
            emulator = guest.emulator()
            add(total, live(guest, cpus, demo))
        except (GuestError, AssertionError, OSError) as error:
            keep(guest, error)
            result = f"boot {n} ({cpus} CPUs, {guest.logs}): {error!r:.300}"
            failed.append(result)
        guest.stop()
        print(f"{n} of {BOOTS}, {time.monotonic() - begin:.0f} s: {result}", flush=True)
        if result == "good":
            shutil.rmtree(guest.logs)
    measured(f"{BOOTS} boots of a Debian disk {'natively' if NATIVE else 'under the monitor'}, {GUEST}, "
             f"{emulator}: {len(failed)} failed; {json.dumps(total)}")
    assert not failed, "\n".join(failed)
