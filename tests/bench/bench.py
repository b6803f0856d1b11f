# SPDX-License-Identifier: BSD-2-Clause
"""`make bench`: figures of speed and size, beside those of Linux's own livepatch in the same guest.

    bench.py FOLDER PICTURE

Writes FOLDER/bench.json and FOLDER/bench.txt, prints the latter, and draws PICTURE (bench.svg).
SUTURE_BENCH_TASKS: numbers of sleeping processes, and of kernel threads ("10 1000 10000").
"""

import json
import os
import re
import statistics
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "qemu"))

from machine import BUILD, GUEST, SUTURE_EFI, GuestError, Machine  # noqa: E402
from patches import LIVEPATCH, TEST_MODULES, example  # noqa: E402
from picture import draw  # noqa: E402

START = time.monotonic()
TASKS = [int(n) for n in os.environ.get("SUTURE_BENCH_TASKS", "10 1000 10000").split()]
ROUNDS = 5  # of apply and revert with few tasks; the median counts
FEW = 1000  # up to so many tasks are few
APPLY_LIMIT = 60  # seconds
IDLE_SECONDS = 20
EXECS = 20
BUSY = 1.5  # load of a host on which others work as well
MODULES = {f"/lib/modules/{name}.ko": os.path.join(TEST_MODULES, f"{name}.ko")
           for name in ["throng"] + (["nativeklp"] if LIVEPATCH else [])}


def say(text):
    print(f"[{time.monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


# ---- the table ----

class Table:
    """The figures. bar: the most that a figure may be; peer: Linux's livepatch in the same guest."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, bar=None, peer=None, note=""):
        self.rows.append({"name": name, "value": value, "unit": unit, "bar": bar, "peer": peer,
                          "ratio": value / peer if value is not None and peer else None,
                          "note": note})

    def text(self):
        lines = [("figure", "value", "bar", "holds", "Linux's livepatch", "ratio", "")]
        for row in self.rows:
            holds = ("" if row["bar"] is None else "no" if row["value"] is None else
                     "yes" if row["value"] <= row["bar"] else "no")
            lines.append((row["name"], figure(row["value"], row["unit"]),
                          figure(row["bar"], row["unit"]) if row["bar"] is not None else "", holds,
                          figure(row["peer"], row["unit"]) if row["peer"] else "",
                          f"{row['ratio']:.2f}" if row["ratio"] else "", row["note"]))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                         for line in lines)


def figure(value, unit):
    if value is None:
        return "-"
    return f"{value:,.0f}{' ' + unit if unit else ''}" if value >= 100 or value == int(value) else \
        f"{value:.3g}{' ' + unit if unit else ''}"


# ---- measuring ----

def exits(guest):
    """Of the guest's CPUs, by class."""
    total = {}
    for cpu in guest.json("/v1/status")["cpus"]:
        for name, count in cpu["exits"].items():
            total[name] = total.get(name, 0) + count
    return total


def seconds(do, *arguments, **options):
    start = time.monotonic()
    result = do(*arguments, **options)
    return time.monotonic() - start, result


def patch_once(guest, bundle):
    """Apply and revert: {apply_ms, revert_ms, attempts, pause_us}; apply_ms is None if it did not
    succeed in time."""
    took, result = seconds(guest.suture, "--timeout", str(APPLY_LIMIT), "apply", bundle,
                           timeout=2 * APPLY_LIMIT)
    report = guest.json("/v1/patches/demo")["apply"]
    once = {"attempts": report["attempts"], "pause_us": report["pause_max_us"],
            "apply_ms": None, "revert_ms": None}
    if result.status == 4:
        guest.suture("cancel", "demo", timeout=2 * APPLY_LIMIT)
        return once
    if result.status:
        raise GuestError(f"suture apply: {result}")
    once["apply_ms"] = took * 1000
    took, result = seconds(guest.suture, "--timeout", str(APPLY_LIMIT), "revert", "demo",
                           timeout=2 * APPLY_LIMIT)
    if result.status == 0:
        once["revert_ms"] = took * 1000
    return once


def patch_often(guest, bundle, rounds):
    """The medians; of attempts and pauses the most. None where a round did not succeed."""
    all_rounds = []
    while len(all_rounds) < rounds:
        all_rounds.append(patch_once(guest, bundle))
        if None in all_rounds[-1].values():
            break
    result = {}
    for key in all_rounds[0]:
        values = [one[key] for one in all_rounds]
        result[key] = (None if None in values else max(values) if key == "attempts" else
                       statistics.median(values))
    return result


def settle(guest):
    """What did not end in time ends when its tasks are gone."""
    end = time.monotonic() + 2 * APPLY_LIMIT
    while guest.json("/v1/patches/demo")["phase"] not in ("reverted", "failed"):
        if time.monotonic() > end:
            raise GuestError("the patch does not come off")
        time.sleep(0.2)


def livepatch_often(guest, rounds):
    """Linux's own: {apply_ms, revert_ms}, the medians; empty in kernels without it."""
    found = []
    for _ in range(rounds if LIVEPATCH else 0):
        said = guest.check("livepatch /lib/modules/nativeklp.ko nativeklp", timeout=300)
        found.append([int(us) / 1000 for us in re.findall(r"(\d+) us", said)])
    return {key: statistics.median(values) for key, values in
            zip(("apply_ms", "revert_ms"), zip(*found))}


class Crowd:
    """Tasks that sleep: processes or kernel threads."""

    def __init__(self, guest, kind, count):
        self.guest, self.kind, self.count = guest, kind, count

    def __enter__(self):
        if self.count and self.kind == "processes":
            self.guest.check(f"crowd {self.count}", timeout=300)
        elif self.count:
            self.guest.check(f"insmod /lib/modules/throng.ko threads={self.count}", timeout=300)
        return self

    def __exit__(self, *unused):
        if self.count and self.kind == "processes":
            self.guest.check("killall -9 crowd; while pidof crowd >/dev/null; do sleep 0.2; done",
                             timeout=300)
        elif self.count:
            self.guest.check("rmmod throng", timeout=300)


# ---- the figures ----

def image_size(table):
    table.add("suture.efi", os.path.getsize(SUTURE_EFI) / 1024, "KiB", 512)


def boot_exits(guest, table):
    table.add("port exits of a boot", exits(guest)["io"], "", 700)


def exec_exits(guest, table, cpus):
    """Of a program linked with glibc: Busybox. Each CPU has run user space before."""
    run = "; ".join(f"taskset -c {cpu} /bin/busybox true" for cpu in range(cpus))
    guest.check(run)
    before = exits(guest)["cpu_id"]
    guest.check(f"for i in $(seq {EXECS}); do taskset -c 0 /bin/busybox true; done")
    table.add("CPUID exits of an exec", (exits(guest)["cpu_id"] - before) / EXECS, "", 0)


def idle_exits(guest, table):
    before = exits(guest)
    took, _ = seconds(time.sleep, IDLE_SECONDS)
    after = exits(guest)
    other = sum(after[name] - before[name] for name in after if name != "irqchip")
    table.add("exits a second of an idle guest, without APIC writes", other / took, "", 1)


def memory(guest, table):
    used = guest.json("/v1/status")["memory"]["used_bytes"]
    table.add("memory in use after boot", used / 2**20, "MiB", 4)


def latency(guest, bundle, table, cpus):
    """Apply and revert, without other tasks."""
    ours, peer = patch_often(guest, bundle, ROUNDS), livepatch_often(guest, ROUNDS)
    table.add(f"apply, {cpus} CPUs", ours["apply_ms"], "ms", 150 if cpus > 1 else 100,
              peer.get("apply_ms"))
    table.add(f"revert, {cpus} CPUs", ours["revert_ms"], "ms", 100, peer.get("revert_ms"))
    return ours, peer


def crowds(guest, bundle, table, cpus, kind):
    """Pauses, attempts and apply with sleeping tasks. Returns [(tasks, ours, peer)]."""
    found = []
    for count in TASKS:
        say(f"{cpus} CPUs, {count} {kind}")
        rounds = ROUNDS if count <= FEW else 3
        with Crowd(guest, kind, count):
            ours = patch_often(guest, bundle, rounds)
            peer = livepatch_often(guest, min(rounds, 3))
        settle(guest)
        found.append((count, ours, peer))
    first = found[0][1]["pause_us"]
    for count, ours, peer in found:
        where = f"{cpus} CPUs, {count:,} {kind}"
        note = "" if ours["apply_ms"] is not None else f"did not switch within {APPLY_LIMIT} s"
        table.add(f"pause, {where}", ours["pause_us"], "us",
                  1.5 * first if count != TASKS[0] else None, note=note)
        table.add(f"attempts, {where}", ours["attempts"], "", 2, note=note)
        table.add(f"apply, {where}", ours["apply_ms"], "ms", 400 if count > FEW else None,
                  peer.get("apply_ms"), note)
    return found


def measure(table, folder, cpus):
    """One machine. Returns what the picture shows of it."""
    say(f"boot, {cpus} CPUs")
    machine = Machine(os.path.join(folder, f"cpus{cpus}"), cpus=cpus, memory="3G",
                      cmdline="nowatchdog", files=MODULES)
    bundle = example(folder, "demo")
    try:
        machine.start().wait_ready(timeout=300)
        machine.check("echo 60000 >/proc/sys/kernel/threads-max; echo 60000 >/proc/sys/kernel/pid_max")
        if cpus > 1:
            boot_exits(machine, table)
            exec_exits(machine, table, cpus)
        machine.load_agent()
        if cpus > 1:
            memory(machine, table)
            idle_exits(machine, table)
        ours, peer = latency(machine, bundle, table, cpus)
        return {"cpus": cpus, "idle": (0, ours, peer),
                **{kind: crowds(machine, bundle, table, cpus, kind)
                   for kind in ("processes", "threads")}}
    finally:
        machine.stop()


# bars of the issue that nothing here measures yet
OPEN = ("one patch of 1,000 and of 4,096 functions", "100 stacked patches", "memory with 100 patches",
        "instructions of a call of a patched function", "reads and instructions in a pause")


def main(folder, picture):
    os.makedirs(folder, exist_ok=True)
    table, machines = Table(), []
    image_size(table)
    for cpus in 3, 1:
        try:
            machines.append(measure(table, folder, cpus))
        except GuestError as failed:
            table.add(f"{cpus} CPUs", None, "", note=str(failed).split("\n", maxsplit=1)[0])
    for name in OPEN:
        table.add(name, None, "", note="not measured yet")
    load = os.getloadavg()[2]
    result = {"kernel": GUEST, "host_cpus": os.cpu_count(), "host_load": round(load, 1),
              "seconds": round(time.monotonic() - START), "rows": table.rows}
    with open(os.path.join(folder, "bench.json"), "w") as f:
        json.dump(result, f, indent=1)
    with open(os.path.join(folder, "bench.txt"), "w") as f:
        f.write(table.text() + "\n")
    if machines:
        with open(picture, "w") as f:
            f.write(draw(machines, GUEST))
    print(table.text())
    if load > BUSY:
        print(f"The host's load was {load:.1f} in the last 15 minutes: the times say little.")
    say(f"bench: {os.path.relpath(folder, TOP)}/bench.json, {os.path.relpath(picture, TOP)}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(os.path.abspath, sys.argv[1:]))
