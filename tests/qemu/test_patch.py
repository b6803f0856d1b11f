# SPDX-License-Identifier: BSD-2-Clause
"""Patches applied and reverted in a real guest, through the network, the monitor and the agent."""

import os
import re
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from complaints import complaints
from machine import BUILD, GUEST, PLATFORM, SUTURE
from patches import KALLSYMS_ALL, TOO_SHORT, apply, make_patch, revert

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
SLEEPER = os.path.join(MODULES, "sleeper.ko")
ASSEMBLY = os.path.join(MODULES, "assembly.ko")
UNAME_PATCHED = "live patched by Suture"


def prepared(boot):
    guest = boot(cpus=2, files={"/lib/modules/sleeper.ko": SLEEPER,
                                "/lib/modules/assembly.ko": ASSEMBLY})
    guest.load_agent()
    guest.check("insmod /lib/modules/sleeper.ko")
    return guest


@pytest.fixture
def guest(shared):
    """Two CPUs, agent and the module `sleeper` loaded; to be left without a patch or warning."""
    with shared(prepared) as guest:
        yield guest
        assert guest.shell("ls /sys/kernel/suture 2>/dev/null").out == ""
        assert complaints(guest) == ""


def refused(guest, *arguments, says):
    """The command must fail, and the message hold `says`; the guest must be as it was."""
    before = guest.check("cat /proc/cmdline /proc/sleeper; kernelname")
    result = guest.suture(*arguments)
    assert result.status != 0, result
    assert re.search(says, result.out, re.IGNORECASE), result
    assert guest.check("cat /proc/cmdline /proc/sleeper; kernelname") == before
    return result


# ---- the plain cases ----

def test_apply_and_revert(guest, demo):
    before = guest.check("cat /proc/cmdline; kernelname")
    apply(guest, demo)
    assert guest.check("cat /proc/cmdline") == "this has been live patched"
    assert UNAME_PATCHED in guest.check("kernelname")
    assert guest.check("cat /sys/kernel/suture/demo/enabled") == "1"
    assert guest.check("cat /sys/kernel/suture/demo/transition") == "0"
    assert "demo" in guest.suture("list").out
    revert(guest, "demo")
    assert guest.check("cat /proc/cmdline; kernelname") == before


def test_report(guest, demo):
    """Each apply and revert says what it did."""
    for report in apply(guest, demo), revert(guest, "demo"):
        for word in ("attempt", "pause", "cpu", "task", "word", "page", "function"):
            assert re.search(word, report, re.IGNORECASE), report


def test_unexported(guest, bundles):
    """A patch calls a static function of vmlinux and, if kallsyms has it, reads a static variable."""
    variable = "tainted_mask" if KALLSYMS_ALL else "get_taint()"
    declared = f"extern unsigned long {variable};" if KALLSYMS_ALL else ""
    bundle = make_patch(bundles, "unexported", f"""
        extern int _kstrtoull(const char *s, unsigned int base, unsigned long long *res);
        {declared}

        static int new_cmdline_proc_show(struct seq_file *m, void *v)
        {{
            unsigned long long number = 0;
            int status = _kstrtoull("4711", 10, &number);

            seq_printf(m, "%d %llu %lu\\n", status, number, {variable});
            return 0;
        }}
    """, {None: {"cmdline_proc_show": "new_cmdline_proc_show"}})
    apply(guest, bundle)
    tainted = guest.check("cat /proc/sys/kernel/tainted")
    assert tainted != "0"
    assert guest.check("cat /proc/cmdline") == f"0 4711 {tainted}"
    revert(guest, "unexported")


def sleeper_patch(bundles, name="sleepy"):
    return make_patch(bundles, name, """
        static noinline int new_sleeper_value(int n)
        {
            return n + 2;
        }

        static noinline int new_sleeper_wait(void)
        {
            return 0;
        }
    """, {"sleeper": {"sleeper_value": "new_sleeper_value", "sleeper_wait": "new_sleeper_wait"}})


def test_module_object(guest, bundles):
    """Functions of a module that is loaded already."""
    assert guest.check("cat /proc/sleeper") == "value 1"
    apply(guest, sleeper_patch(bundles))
    assert guest.check("cat /proc/sleeper") == "value 2"
    revert(guest, "sleepy")
    assert guest.check("cat /proc/sleeper") == "value 1"


def test_assembly(guest, bundles):
    """Functions written in assembly, of vmlinux and of a module, one of them on a sleeping thread's
    stack: like any other. ftrace knows none of them (but arm64 has the kernel's one in C)."""
    bundle = make_patch(bundles, "assembled", """
        static void new_iowrite32_copy(u32 *to, const u32 *from, size_t count)
        {
            while (count--)
                *to++ = *from++ + 10;
        }

        static noinline int new_twice(int n)
        {
            return 3 * n;
        }

        static noinline int new_nap(void)
        {
            return 0;
        }
    """, {None: {"__iowrite32_copy": "new_iowrite32_copy"},
          "assembly": {"assembly_twice": "new_twice", "assembly_nap": "new_nap"}})
    parameters = "/sys/module/assembly/parameters"
    guest.check("insmod /lib/modules/assembly.ko")
    assembly = ["assembly_twice", "assembly_nap"]
    if PLATFORM.architecture == "x86":
        assembly.append("__iowrite32_copy")
    for function in assembly:
        assert guest.check(f"grep -cw {function} /proc/kallsyms") == "1"
        known = guest.shell(f"grep -w {function} /sys/kernel/tracing/available_filter_functions")
        assert known.status == 1, known
    assert guest.check(f"cat {parameters}/values") == "twice 21 is 42, copied 3 4"

    guest.check(f"echo 1 >{parameters}/nap")
    result = guest.suture("apply", "--no-wait", bundle)
    assert result.status == 0, result
    deadline = time.monotonic() + 60
    while True:
        patch = guest.json("/v1/patches/assembled")
        if patch["apply"]["blocker"] or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert patch["apply"]["blocker"]["func"] == "assembly_nap", patch
    assert patch["apply"]["blocker"]["comm"] == "assembly_nap", patch
    assert guest.check(f"cat {parameters}/values") == "twice 21 is 42, copied 3 4"
    guest.check(f"echo 0 >{parameters}/nap")
    while patch["phase"] != "applied" and time.monotonic() < deadline:
        time.sleep(0.1)
        patch = guest.json("/v1/patches/assembled")
    assert patch["phase"] == "applied", patch
    assert guest.check(f"cat {parameters}/values") == "twice 21 is 63, copied 13 14"

    revert(guest, "assembled")
    assert guest.check(f"cat {parameters}/values") == "twice 21 is 42, copied 3 4"
    guest.check("rmmod assembly")


# ---- the consistency check ----

def test_blocker(guest, bundles):
    """A thread that sleeps in the function blocks the switch, is named, and lets it complete."""
    bundle = sleeper_patch(bundles)
    guest.check("echo sleep >/proc/sleeper")
    applying = subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure",
                                 "apply", bundle], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while True:
            status = guest.suture("status").out
            if "sleeper_wait" in status:
                break
            assert time.monotonic() < deadline, status
            time.sleep(0.2)
        assert re.search(r"\bsleeper\b", status), status
        # where it sleeps, as the guest's kernel names it
        status = wait_status(guest, r"0x\w+ sleeper_wait\+0x\w+/0x\w+ \[sleeper\]", 20)
        wait_named_stack(guest, 20)
        status = wait_status(guest, r" (__)?schedule\+0x", 20)
        assert re.search(r"^  object +sleeper, patched$", status, re.M), status
        assert re.search(r"^    sleeper_wait 0x\w+ -> 0x\w+ \(not redirected\)$", status, re.M)
        assert guest.check("cat /proc/sleeper") == "value 1"
        assert guest.check("cat /sys/kernel/suture/sleepy/transition") == "1"
        guest.check("echo wake >/proc/sleeper")
        output, _ = applying.communicate(timeout=30)
        assert applying.returncode == 0, output
    finally:
        applying.kill()
        applying.wait()
    assert guest.check("cat /proc/sleeper") == "value 2"
    revert(guest, "sleepy")
    assert guest.check("cat /proc/sleeper") == "value 1"


def started(guest, *arguments):
    """A command of the operator that goes on while the test does."""
    return subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure",
                             "--timeout", "300", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_named_stack(guest, timeout):
    """Until each address of the blocker's stack has a name; arm64's outermost may be 0."""
    deadline = time.monotonic() + timeout
    while True:
        blocker = guest.json("/v1/status")["transition"]["blocker"]
        if blocker and blocker["stack"] and all(f["symbol"] or not int(f["address"], 16)
                                                for f in blocker["stack"]):
            return
        assert time.monotonic() < deadline, blocker
        time.sleep(0.2)


def wait_status(guest, pattern, timeout):
    deadline = time.monotonic() + timeout
    while not re.search(pattern, status := guest.suture("status").out):
        assert time.monotonic() < deadline, status
        time.sleep(0.3)
    return status


@pytest.mark.parametrize("sleepers", [1, 5])
def test_fake_signal(guest, bundles, sleepers):
    """User processes that sleep in the function leave it, and see nothing but the new version."""
    bundle = make_patch(bundles, "nap", """
        static noinline int new_sleeper_nap(void)
        {
            return 2;
        }
    """, {"sleeper": {"sleeper_nap": "new_sleeper_nap"}})
    # in one command of the guest's shell, which is the parent of all and waits for their end
    naps = (f"dmesg -c >/dev/null; rm -f /tmp/nap*; for i in $(seq {sleepers}); do "
            "cat /proc/sleeper_nap >/tmp/nap$i 2>&1 & pids=\"$pids $!\"; done; for p in $pids; do "
            "until grep -q '^State:.S' /proc/$p/status; do sleep 0.1; done; done; "
            f"echo NAPPING {sleepers} >/dev/{PLATFORM.console}; wait; cat /tmp/nap[0-9]*")
    with ThreadPoolExecutor(1) as pool:
        napping = pool.submit(guest.check, naps, timeout=120)
        guest.wait_log(f"NAPPING {sleepers}")
        applying = started(guest, "apply", bundle)
        try:
            wait_status(guest, r"task cat \(pid \d+\) is in sleeper_nap", 30)
            output, _ = applying.communicate(timeout=60)
            assert applying.returncode == 0, output
        finally:
            applying.kill()
            applying.wait()
        # the kernel restarted the interrupted call: it did not return EINTR
        assert napping.result().split("\n") == ["nap 2"] * sleepers
    assert guest.check("dmesg").count("livepatch: signaling remaining tasks") == 1
    revert(guest, "nap")


def test_stuck_and_cancelled(guest, bundles):
    """A task that always sleeps in the function is reported as such; cancel ends the apply."""
    bundle = sleeper_patch(bundles)
    guest.check("echo sleep >/proc/sleeper")
    applying = started(guest, "apply", bundle)
    try:
        stuck = (r"somebody always sleeps in sleeper_wait \(last: sleeper, pid \d+\): it cannot be "
                 "switched while that lasts: `suture cancel sleepy`")
        wait_status(guest, stuck, 90)
        assert re.search(stuck, guest.suture("info", "sleepy").out)
        assert guest.json("/v1/status")["transition"]["stuck"] is True
        patch = guest.json("/v1/patches/sleepy")
        assert patch["stuck"] is True and re.search(stuck, patch["why"]), patch
        assert patch["apply"]["blocker"]["func"] == "sleeper_wait"
        # once a second by now
        time.sleep(3)
        more = guest.json("/v1/patches/sleepy")["apply"]["attempts"] - patch["apply"]["attempts"]
        assert 1 <= more <= 10

        result = guest.suture("cancel")
        assert result.status == 0 and "sleepy is off: cancelled by the operator" in result.out
        output, _ = applying.communicate(timeout=30)
        assert applying.returncode == 1 and "cancelled by the operator (ECANCELED)" in output, \
            output
    finally:
        applying.kill()
        applying.wait()
    assert guest.check("cat /proc/sleeper") == "value 1"
    assert guest.shell("grep -c ^sleepy /proc/modules").out == "0"
    result = guest.suture("cancel")
    assert result.status != 0 and "no patch is in transition" in result.out, result
    guest.check("echo wake >/proc/sleeper")
    # and it can be applied when the function is free
    apply(guest, bundle)
    assert guest.check("cat /proc/sleeper") == "value 2"
    revert(guest, "sleepy")


def test_revert_cancelled(guest, bundles):
    """A revert that a task in the new function blocks is canceled: the patch stays applied."""
    bundle = make_patch(bundles, "insomnia", """
        #include <linux/kthread.h>
        #include <linux/sched.h>

        static noinline int new_sleeper_value(int n)
        {
            return n + 3;
        }

        static noinline int new_sleeper_wait(void)
        {
            while (!kthread_should_stop())
                schedule_timeout_uninterruptible(HZ / 10);
            return 0;
        }
    """, {"sleeper": {"sleeper_value": "new_sleeper_value", "sleeper_wait": "new_sleeper_wait"}})
    apply(guest, bundle)
    guest.check("echo sleep >/proc/sleeper")
    reverting = started(guest, "revert", "insomnia")
    try:
        # in which function: all of the payload's text counts as one
        wait_status(guest, r"task sleeper \(pid \d+\) is in ", 30)
        assert guest.check("cat /sys/kernel/suture/insomnia/enabled") == "0"
        result = guest.suture("cancel", "insomnia")
        assert result.status == 0, result
        assert "insomnia is applied: its revert was cancelled by the operator" in result.out
        output, _ = reverting.communicate(timeout=30)
        assert reverting.returncode == 1 and "cancelled by the operator" in output, output
    finally:
        reverting.kill()
        reverting.wait()
    assert guest.check("cat /sys/kernel/suture/insomnia/enabled") == "1"
    assert guest.check("cat /sys/kernel/suture/insomnia/transition") == "0"
    assert guest.check("cat /proc/sleeper") == "value 3"
    refused(guest, "cancel", "insomnia", says="is applied, nothing is under way")
    guest.check("echo wake >/proc/sleeper")
    revert(guest, "insomnia")
    assert guest.check("cat /proc/sleeper") == "value 1"


def memory_in_use(guest):
    return guest.json("/v1/status")["memory"]["used_bytes"]


def test_hundred(guest, demo, measured):
    """Patch and revert SUTURE_APPLIES (100) times while all CPUs call the function."""
    rounds = int(os.environ.get("SUTURE_APPLIES", "100"))
    apply(guest, demo)
    revert(guest, "demo")
    before = memory_in_use(guest)
    guest.check("hammer >/tmp/hammer 2>&1 & echo $! >/tmp/hammer.pid")
    start = time.monotonic()
    for _ in range(rounds):
        apply(guest, demo)
        revert(guest, "demo")
    took = time.monotonic() - start
    guest.check("kill $(cat /tmp/hammer.pid); while kill -0 $(cat /tmp/hammer.pid) 2>/dev/null; "
                "do sleep 0.1; done")
    counts = guest.check("cat /tmp/hammer")
    calls, patched, wrong = map(int, re.findall(r"\d+", counts))
    assert wrong == 0 and 0 < patched < calls, counts
    assert memory_in_use(guest) == before
    measured(f"{rounds} times applied and reverted in {took:.1f} s, {counts}")


def test_idle_exits(guest, measured):
    """How often an idle guest leaves for the monitor."""
    def exits():
        return sum(float(n) for n in re.findall(r"^suture_exits_total(?:\{.*\})? (\S+)",
                                                guest.http("/metrics")[1], re.MULTILINE))

    first, start = exits(), time.monotonic()
    time.sleep(5)
    rate = (exits() - first) / (time.monotonic() - start)
    assert first > 0
    measured(f"idle guest: {rate:.0f} exits a second")


PASSES = "kallsyms_on_each_symbol"
TRACING = "/sys/kernel/tracing"


def test_counts_of_an_apply(guest, demo, measured):
    """What an apply does is counted: messages to the monitor, and passes over kallsyms. On a busy host
    CPUs come late to a pause, and there may be several attempts."""
    apply(guest, demo)
    revert(guest, "demo")
    guest.check(f"echo p:passes {PASSES} >{TRACING}/kprobe_events && "
                f"echo 1 >{TRACING}/events/kprobes/passes/enable")
    before = guest.exits()["hypercall"]
    apply(guest, demo)
    calls = guest.exits()["hypercall"] - before
    passes = int(guest.check(f"cat {TRACING}/kprobe_profile").split()[1])
    report = guest.json("/v1/patches/demo")["apply"]
    revert(guest, "demo")
    guest.check(f"echo 0 >{TRACING}/events/kprobes/passes/enable; echo >{TRACING}/kprobe_events")
    measured(f"an apply: {report['attempts']} attempts, {calls} hypercalls, {passes} passes over kallsyms")
    assert 10 < calls < 500
    has_index = guest.shell("grep -qw kallsyms_on_each_match_symbol /proc/kallsyms").status == 0
    assert passes == (0 if has_index else 1)


# ---- bad input: a clear error, and nothing changed ----

def changed(bundle, path, change):
    with open(bundle, "rb") as f:
        data = bytearray(f.read())
    change(data)
    with open(path, "wb") as f:
        f.write(data)
    return path


def test_other_build_id(guest, demo, tmp_path):
    def flip(data):
        (manifest,) = struct.unpack_from("<I", data, 16)
        data[manifest + 8] ^= 0xff

    bad = changed(demo, tmp_path / "bad.sut", flip)
    refused(guest, "apply", str(bad), says="build.id")


@pytest.mark.parametrize("cut", [0, 10, 100, -1])
def test_truncated(guest, demo, tmp_path, cut):
    bad = changed(demo, tmp_path / "bad.sut", lambda data: data.__delitem__(slice(cut, None)))
    refused(guest, "apply", str(bad), says="truncated|too short|incomplete|size|empty")
    # not the command's check alone: the monitor's too
    with open(bad, "rb") as f:
        status, _ = guest.http("/v1/patches", method="POST", body=f.read())
    assert 400 <= status < 500


def test_oversized(guest, demo, tmp_path):
    bad = changed(demo, tmp_path / "bad.sut", lambda data: data.extend(bytes(17 << 20)))
    refused(guest, "apply", str(bad), says="too large|too big|larger|exceeds|at most")


def test_garbage(guest, tmp_path):
    bad = tmp_path / "bad.sut"
    bad.write_bytes(os.urandom(4096))
    refused(guest, "apply", str(bad), says="not a .*bundle")


def test_init_fails(guest, bundles):
    bundle = make_patch(bundles, "failinit", """
        static int new_show(struct seq_file *m, void *v)
        {
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_show"}}, init="if (jiffies)\n\t\treturn -EUCLEAN;")
    refused(guest, "apply", bundle, says="structure needs cleaning|EUCLEAN|117")


@pytest.mark.parametrize("name,function,says", [
    ("nofunc", "no_such_function_anywhere", "no_such_function_anywhere"),
    ("ambiguous", "type_show", "type_show.*(ambiguous|unique|sympos|more than one)"
                               "|(ambiguous|unique|sympos|more than one).*type_show"),
    pytest.param("tooshort", TOO_SHORT, f"{TOO_SHORT}.*short|short.*{TOO_SHORT}",
                 marks=pytest.mark.x86("on arm64 the jump has the length of the NOPs")),
])
def test_bad_function(guest, bundles, name, function, says):
    bundle = make_patch(bundles, name, """
        static int new_function(void)
        {
            return 0;
        }
    """, {None: {function: "new_function"}}, check=False)
    refused(guest, "apply", bundle, says=says)


def test_second_apply(guest, demo, tmp_path):
    """The same bundle is in force already; another one of that name is refused."""
    apply(guest, demo)
    again = guest.suture("apply", demo)
    assert again.status == 0 and "already" in again.out, again

    def flip(data):
        data[-1] ^= 1  # of the signature, which this bundle has not

    other = changed(demo, tmp_path / "other.sut", flip)
    refused(guest, "apply", str(other), says="demo.*(already|applied)")
    revert(guest, "demo")


def test_revert_of_nothing(guest):
    refused(guest, "revert", "nosuchpatch", says="nosuchpatch")


def test_unknown_host():
    done = subprocess.run([SUTURE, "--host", "no.such.host.invalid:1", "--insecure", "status"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode != 0
    assert b"no.such.host.invalid" in done.stdout


def test_unknown_port():
    done = subprocess.run([SUTURE, "--host", "127.0.0.1:1", "--insecure", "status"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode != 0
    assert b"127.0.0.1" in done.stdout


# ---- guests in another state: machines of their own ----

def test_agent_absent(boot, demo):
    guest = boot()
    result = guest.suture("apply", demo)
    assert result.status != 0 and "agent" in result.out, result
    assert guest.suture("status").status == 0


def test_agent_without_monitor(boot):
    """On a machine without the monitor the agent refuses to load, and says why."""
    guest = boot(native=True)
    result = guest.shell("insmod /lib/modules/suture.ko")
    assert result.status != 0 and "No such device" in result.out, result
    assert "suture: no monitor below this kernel" in guest.check("dmesg")


def test_agent_reloaded(boot, demo):
    guest = boot(cpus=2)
    guest.load_agent()
    apply(guest, demo)
    assert guest.shell("rmmod suture").status != 0, "the agent left while its patch is on"
    revert(guest, "demo")
    for _ in range(3):
        # the helper that unloaded the patch may still be on its way out
        guest.check("for i in 1 2 3 4 5 6 7 8 9 10; do rmmod suture && exit; sleep 0.2; done; exit 1")
        guest.load_agent()
    apply(guest, demo)
    assert UNAME_PATCHED in guest.check("kernelname")
