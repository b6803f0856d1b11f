# SPDX-License-Identifier: BSD-2-Clause
"""`make bench`: figures of speed and size, beside those of Linux's own livepatch in the same guest.

    bench.py FOLDER PICTURE DOCUMENT

Writes FOLDER/bench.json and FOLDER/bench.txt, prints the latter, draws PICTURE, and puts the
table into DOCUMENT; a run that leaves something out does so for neither.
In Bochs (make bench VENDOR=intel) only the figures of boots are taken, and no picture is drawn: it has
one clock, which goes by instructions.
SUTURE_BENCH_TASKS: numbers of sleeping processes, and of kernel threads ("10 1000 10000").
SUTURE_BENCH_CPUS: guest CPUs of the machines ("3 1").
"""

import concurrent.futures
import json
import os
import statistics
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "qemu"))

import counts  # noqa: E402
from machine import GUEST, PLATFORM, GuestError, Machine  # noqa: E402
from operations import Crowd, livepatch_often, patch_often, seconds, settle  # noqa: E402
from patches import LIVEPATCH, TEST_MODULES, example, make_patch  # noqa: E402
from picture import draw  # noqa: E402
from table import Table, write_section  # noqa: E402
from transfer import transfers  # noqa: E402

START = time.monotonic()
ALL_TASKS, ALL_CPUS = "10 1000 10000", "3 1"
TASKS = [int(n) for n in os.environ.get("SUTURE_BENCH_TASKS", ALL_TASKS).split()]
CPUS = [int(n) for n in os.environ.get("SUTURE_BENCH_CPUS", ALL_CPUS).split()]
ROUNDS = 5  # of apply and revert with few tasks; the median counts
FEW = 1000  # up to so many tasks are few
IDLE_SECONDS, SETTLE_SECONDS = 20, 10
EXECS = 20
BOOTS_ONLY = PLATFORM.emulator == "Bochs"
BOOTS = 1 if BOOTS_ONLY else 3  # Bochs does the same each time
OWN = ("irqchip", "wait")  # exits that an idle guest makes by itself
STACK = 100  # patches, one on top of the other
LARGE = (1000, 4096)  # functions of one patch
LARGE_ROUNDS = 3
READS = 10  # of /proc/callcost
BUSY = 1.5  # load of a host on which others work as well
MODULES = {f"/lib/modules/{name}.ko": os.path.join(TEST_MODULES, f"{name}.ko")
           for name in ["throng", "many", "callcost"] + (["nativeklp"] if LIVEPATCH else [])}


def say(text):
    print(f"[{time.monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


# ---- the patches ----

def large_patch(folder, count):
    """Of so many functions of the module `many`, each with a new function of its own."""
    names = [f"many_{n:04o}" for n in range(count)]
    code = "".join(f"static noinline int new_{name}(void) {{ barrier(); return {n + 1}; }}\n"
                   for n, name in enumerate(names))
    return make_patch(folder, f"many{count}", code, {"many": {name: f"new_{name}" for name in names}})


CALL = """
static noinline int new_plain(int n)
{
    barrier();
    return n + 1;
}
"""


def stack_of(folder):
    """STACK bundles that differ in their names only, and are not built one by one."""
    first = make_patch(folder, "stack000", """
        static int new_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "stack000\\n");
            return 0;
        }
        """, {None: {"cmdline_proc_show": "new_show"}})
    with open(first, "rb") as f:
        data = f.read()
    paths = []
    for n in range(STACK):
        paths.append(os.path.join(folder, f"stack{n:03d}.sut"))
        with open(paths[-1], "wb") as f:
            f.write(data.replace(b"stack000", b"stack%03d" % n))
    return paths


def make_patches(folder):
    """Before a machine runs, which they would slow down."""
    say("build the patches")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        large = {count: pool.submit(large_patch, folder, count) for count in sorted(LARGE, reverse=True)}
        small = {"demo": pool.submit(example, folder, "demo"), "stack": pool.submit(stack_of, folder),
                 "call": pool.submit(make_patch, folder, "callfix", CALL, {"callcost": {"callcost_plain": "new_plain"}})}
        return {**{name: bundle.result() for name, bundle in small.items()},
                "large": {count: bundle.result() for count, bundle in large.items()}}


# ---- figures of a machine ----

def memory_mib(guest):
    return guest.json("/v1/status")["memory"]["used_bytes"] / 2**20


def most(counts, limit=3):
    """The classes of exits with the most, for a note."""
    return ", ".join(f"{name} {count:.3g}" for name, count in
                     sorted(counts.items(), key=lambda item: -item[1])[:limit] if count)


def boot_exits(guest, table):
    exits = guest.exits()
    table.add("exits of a boot for devices: ports, configuration space", exits["io"], "", 700)
    table.add("exits of a boot", sum(exits.values()), "", note=most(exits, limit=5))


def boot_seconds(folder, native):
    """The emulator's CPU time to user space; of a few boots the least."""
    spent = []
    for _ in range(BOOTS):
        # one CPU is not the guest's under the monitor
        machine = Machine(folder, cpus=2 if native else 1, native=native, cmdline="nowatchdog maxcpus=1")
        try:
            spent.append(machine.start().wait_ready(timeout=300).cpu_seconds())
        finally:
            machine.stop()
    return min(spent)


def boot_ratio(table, folder):
    """Firmware and kernel, of a machine of the same size."""
    say("boots with and without the monitor")
    native = boot_seconds(os.path.join(folder, "native"), True)
    below = boot_seconds(os.path.join(folder, "boot"), False)
    table.add("the emulator's CPU time of a boot, times a native one's", below / native, "",
              note=f"{below:.1f} s, native {native:.1f} s")


def exec_exits(guest, table, cpus):
    """Of a program linked with glibc: Busybox. Each CPU has run user space before."""
    run = "; ".join(f"taskset -c {cpu} /bin/busybox true" for cpu in range(cpus))
    guest.check(run)
    before = guest.exits()["cpu_id"]
    guest.check(f"for i in $(seq {EXECS}); do taskset -c 0 /bin/busybox true; done")
    # on VMX CPUID always exits
    table.add("exits of an exec that identify the CPU", (guest.exits()["cpu_id"] - before) / EXECS, "",
              None if BOOTS_ONLY else 0)


def settle_agent(guest):
    """Until the agent waits for work in silence; an agent that polls is never silent."""
    before, end = -1, time.monotonic() + SETTLE_SECONDS
    while (now := guest.exits()["hypercall"]) != before and time.monotonic() < end:
        before = now
        time.sleep(1)


def idle_exits(guest, table):
    """Without the guest's own writes to its interrupt controller, and without its own waits."""
    settle_agent(guest)
    before = guest.exits()
    took, _ = seconds(time.sleep, IDLE_SECONDS)
    after = guest.exits()
    rates = {name: (after[name] - before[name]) / took for name in after if name not in OWN}
    own = {name: (after[name] - before[name]) / took for name in OWN}
    table.add("exits a second of an idle guest, without its own writes to the interrupt controller and waits",
              sum(rates.values()), "", 1, note=", ".join(filter(None, [most(rates), f"its own: {most(own)}"])))


def memory_after_boot(guest, table):
    table.add("memory in use after boot", memory_mib(guest), "MiB", 4)


def cpu_note(ours):
    """On a busy host it says more than the time."""
    return f"{ours['cpu_ms']:.0f} ms of the emulator's CPU time"


def latency(guest, patches, table, cpus):
    """Apply and revert, without other tasks. Returns (ours, Linux's)."""
    ours = patch_often(guest, patches["demo"], ROUNDS, timed=True)
    peer = livepatch_often(guest, ROUNDS)
    table.add(f"apply, {cpus} CPUs, 0 processes", ours["apply_ms"], "ms", 150 if cpus > 1 else 100,
              peer.get("apply_ms"), note=cpu_note(ours))
    if cpus > 1 and peer and ours["apply_ms"]:
        table.add(f"apply, {cpus} CPUs, 0 processes, times Linux's livepatch",
                  ours["apply_ms"] / peer["apply_ms"], "", 0.1)
    for part, ms in ours.get("parts", {}).items():
        table.add(f"of it: {part}", ms, "ms")
    table.add(f"revert, {cpus} CPUs", ours["revert_ms"], "ms", 100, peer.get("revert_ms"))
    return ours, peer


def add_crowd(table, where, kind, count, ours, peer, first):
    note = ""
    if ours["apply_ms"] is None:
        note = f"did not switch in time, with {ours['attempts']} attempts"
        ours = {**ours, **dict.fromkeys(("pause_us", "words", "attempts"))}
    for title, key, unit in (("pause", "pause_us", "us"), ("words read in a pause", "words", "")):
        table.add(f"{title}, {where}", ours[key], unit,
                  1.5 * first[key] if first["apply_ms"] and count != TASKS[0] else None, note=note)
    highest = max(one["attempts"] for one in ours["rounds"])
    table.add(f"attempts, {where}", ours["attempts"], "", 2,
              note=note or f"at most {highest} in {len(ours['rounds'])} rounds")
    table.add(f"apply, {where}", ours["apply_ms"], "ms",
              400 if count > FEW and kind == "processes" else None, peer.get("apply_ms"),
              note or cpu_note(ours))


def crowds(guest, patches, table, cpus, kind):
    """Pauses, attempts and apply with sleeping tasks. Returns [(tasks, ours, peer)]."""
    found = []
    for count in TASKS:
        say(f"{cpus} CPUs, {count} {kind}")
        with Crowd(guest, kind, count):
            ours = patch_often(guest, patches["demo"], ROUNDS if count <= FEW else 3)
            peer = livepatch_often(guest, 2 if count <= FEW else 1)
        settle(guest)
        found.append((count, ours, peer))
        add_crowd(table, f"{cpus} CPUs, {count:,} {kind}", kind, count, ours, peer, found[0][1])
    return found


def apply_ms(guest, bundle):
    took, result = seconds(guest.suture, "apply", bundle)
    if result.status:
        raise GuestError(f"suture apply: {result}")
    return took * 1000


def take_off(guest, name):
    result = guest.suture("revert", name)
    if result.status or guest.suture("clear", name).status:
        raise GuestError(f"suture revert {name}: {result}")


def call_ns(guest):
    """Of callcost_plain() (tests/guest/modules/callcost.c), a million calls: the least of READS."""
    return min(int(guest.check("cat /proc/callcost", timeout=120).split()[0]) for _ in range(READS)) / 1e6


def calls(guest, patches, table):
    """The emulator's time for a call of a patched function."""
    guest.check("insmod /lib/modules/callcost.ko")
    plain = call_ns(guest)
    apply_ms(guest, patches["call"])
    patched = call_ns(guest)
    table.add("the emulator's time for a call of a patched function, times an unpatched one's",
              patched / plain, "", note=f"{plain:.3g} ns, patched {patched:.3g} ns")
    take_off(guest, "callfix")
    guest.check("rmmod callcost")


def apply_large(guest, bundle, count):
    """(ms, KiB, us of the pause), of LARGE_ROUNDS the least."""
    found = []
    for _ in range(LARGE_ROUNDS):
        before = memory_mib(guest)
        took = apply_ms(guest, bundle)
        report = guest.json(f"/v1/patches/many{count}")["apply"]
        found.append((took, (memory_mib(guest) - before) * 1024, report["pause_last_us"]))
        take_off(guest, f"many{count}")
    return [min(values) for values in zip(*found)]


def large(guest, patches, table):
    """Patches of many functions, all of one module, which is loaded."""
    guest.check("insmod /lib/modules/many.ko", timeout=60)
    times, kib = {}, {}
    for count, bundle in sorted(patches["large"].items()):
        say(f"a patch of {count} functions")
        times[count], kib[count], pause = apply_large(guest, bundle, count)
        per = count / LARGE[0]
        linear = {} if count == LARGE[0] else {"time": 1.1 * per * times[LARGE[0]],
                                               "memory": 1.1 * per * kib[LARGE[0]]}
        table.add(f"apply, one patch of {count:,} functions", times[count], "ms", linear.get("time"))
        table.add(f"pause, one patch of {count:,} functions", pause, "us",
                  2000 if count == LARGE[0] else None)
        table.add(f"memory, one patch of {count:,} functions", kib[count], "KiB", linear.get("memory"))
    guest.check("rmmod many")


def stack(guest, patches, table):
    """Patches one on top of the other."""
    say(f"{STACK} patches, one on top of the other")
    before = memory_mib(guest)
    times = [apply_ms(guest, bundle) for bundle in patches["stack"]]
    first, last = statistics.median(times[:10]), statistics.median(times[-10:])
    table.add(f"apply, patches 1 to 10 of {STACK} stacked", first, "ms")
    table.add(f"apply, patches {STACK - 9} to {STACK} of {STACK} stacked", last, "ms", 1.2 * first)
    table.add(f"memory in use with {STACK} patches", memory_mib(guest), "MiB", 16,
              note=f"{memory_mib(guest) - before:.2g} MiB more than without")
    if guest.check("cat /proc/cmdline") != f"stack{STACK - 1:03d}":
        raise GuestError("the last patch of the stack is not in force")


def measure(table, folder, patches, cpus):
    """One machine. Returns what the picture shows of it."""
    say(f"boot, {cpus} CPUs")
    machine = Machine(os.path.join(folder, f"cpus{cpus}"), cpus=cpus, memory="3G",
                      cmdline="nowatchdog", files=MODULES, conf={"log_level": "debug"})
    try:
        machine.start().wait_ready(timeout=300)
        machine.check("echo 60000 >/proc/sys/kernel/threads-max; echo 60000 >/proc/sys/kernel/pid_max")
        if cpus > 1:
            boot_exits(machine, table)
            exec_exits(machine, table, cpus)
        machine.load_agent()
        if cpus > 1:
            memory_after_boot(machine, table)
            idle_exits(machine, table)
        ours, peer = latency(machine, patches, table, cpus)
        found = {"cpus": cpus, "idle": (0, ours, peer),
                 **{kind: crowds(machine, patches, table, cpus, kind)
                    for kind in ("processes", "threads")}}
        if cpus > 1:
            calls(machine, patches, table)
            large(machine, patches, table)
            stack(machine, patches, table)
        return found
    finally:
        machine.stop()


def measure_boot(table, folder):
    """The figures of a machine that need no patch."""
    machine = Machine(os.path.join(folder, "cpus2"), cpus=2, cmdline="nowatchdog")
    try:
        machine.start().wait_ready()
        boot_exits(machine, table)
        exec_exits(machine, table, 2)
        machine.load_agent()
        memory_after_boot(machine, table)
        idle_exits(machine, table)
    finally:
        machine.stop()


def measure_all(table, folder):
    """What the picture shows. A machine that fails is a row of the table."""
    boot_ratio(table, folder)
    if BOOTS_ONLY:
        measure_boot(table, folder)
        return []
    patches, machines = make_patches(folder), []
    for cpus in CPUS:
        try:
            machines.append(measure(table, folder, patches, cpus))
        except (GuestError, OSError) as failed:
            table.fail(f"the rest of {cpus} CPUs", failed)
    transfers(table, os.path.join(folder, "transfers"))
    return machines


def write_json(path, table, machines, load):
    result = {"kernel": GUEST, "host_cpus": os.cpu_count(), "host_load": round(load, 1),
              "seconds": round(time.monotonic() - START), "rows": table.rows, "machines": machines}
    with open(path, "w") as f:
        json.dump(result, f, indent=1)


def caption(load):
    how = "its CPUs take turns" if BOOTS_ONLY else "TCG, one thread"
    text = f"{PLATFORM.emulator} ({how}), CPU {PLATFORM.cpu(GUEST)}, {GUEST}, {os.cpu_count()} host CPUs"
    return text + (f"; load of the host {load:.1f}: its times say little" if load > BUSY else "")


def main(folder, picture, document):
    os.makedirs(folder, exist_ok=True)
    table = Table()
    counts.image_size(table)
    if not BOOTS_ONLY:
        counts.call_instructions(table)
        counts.pause_blocks(table)
    machines = measure_all(table, folder)
    load = os.getloadavg()[2]
    text = f"{table.text()}\n\n{caption(load)}\n"
    write_json(os.path.join(folder, "bench.json"), table, machines, load)
    with open(os.path.join(folder, "bench.txt"), "w") as f:
        f.write(text)
    print(text, end="")
    if BOOTS_ONLY:
        write_section(document, "VENDOR=intel", text)
    elif TASKS == [int(n) for n in ALL_TASKS.split()] and len(machines) == len(ALL_CPUS.split()):
        with open(picture, "w") as f:
            f.write(draw(machines, GUEST))
        write_section(document, f"ARCH={PLATFORM.architecture}", text)
    say(f"bench: {os.path.relpath(folder, TOP)}/bench.json")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(os.path.abspath, sys.argv[1:]))
