# SPDX-License-Identifier: BSD-2-Clause
"""The guest rewrites its own code while it is patched: static keys, static calls, ftrace,
kprobes."""

import os
import re

import pytest

from complaints import TEXT, complaints
from machine import BUILD, GUEST, PLATFORM
from patches import apply, make_patch, revert

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
NAMES = ["rewritten", *(["stores"] if PLATFORM.architecture == "arm64" else [])]
TRACING = "/sys/kernel/tracing"
# of rewritten_wide(), behind ftrace's site: its jump, and an instruction of the original's behind that
# which a probe can be on
JUMP, BEHIND = {"x86": (5, 13), "arm64": (8, 12)}[PLATFORM.architecture]


def prepared(boot):
    guest = boot(cpus=2, files={f"/lib/modules/{name}.ko": os.path.join(MODULES, f"{name}.ko")
                                for name in NAMES})
    # rewriting 40,000 sites takes the emulator longer than the watchdog likes
    guest.check("echo 60 >/proc/sys/kernel/watchdog_thresh")
    guest.load_agent()
    guest.check("insmod /lib/modules/rewritten.ko")
    guest.before = guest.check("cat /proc/rewritten /proc/cmdline")
    return guest


@pytest.fixture
def guest(shared):
    """Two CPUs, agent and the module `rewritten`; to be left as it was, without a warning."""
    with shared(prepared) as guest:
        yield guest
        assert guest.shell("ls /sys/kernel/suture 2>/dev/null").out == ""
        assert guest.check("cat /proc/rewritten /proc/cmdline") == guest.before
        quiet(guest)
        # none of it is reported as a missing redirect
        assert "is not in force" not in guest.suture("log").out


def quiet(guest):
    """Asserts that the kernel has printed no warning."""
    said = complaints(guest, TEXT)
    assert said == "", said


def rewritten(guest):
    out = guest.check("cat /proc/rewritten")
    return dict(zip(out.split()[::2], out.split()[1::2]))


@pytest.fixture(scope="module")
def patch(bundles):
    """Changes functions of the module and of vmlinux."""
    return make_patch(bundles, "text", """
        static noinline int new_plain(int n)
        {
            return n + 7;
        }

        static noinline unsigned long new_wide(void)
        {
            return 0xbeef;
        }

        static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_cmdline_proc_show"},
          "rewritten": {"rewritten_plain": "new_plain", "rewritten_wide": "new_wide"}})


def assert_patched(guest):
    assert guest.check("cat /proc/cmdline") == "patched"
    now = rewritten(guest)
    assert now["plain"] == "7" and now["wide"] == "beef", now
    # the caller's code is the original's: rewritten_plain() of 7 * 3 + 17
    assert now["later"] in ("45", "1045", "145", "1145"), now


# ---- static keys and calls ----

def test_key_and_call_beside(guest, patch):
    """Sites in a function that stands on the page of patched ones."""
    apply(guest, patch)
    for _ in range(3):
        for key, call, later in ((1, 0, "1045"), (1, 1, "1145"), (0, 1, "145"), (0, 0, "45")):
            guest.check(f"echo key {key} >/proc/rewritten; echo call {call} >/proc/rewritten")
            assert_patched(guest)
            assert rewritten(guest)["later"] == later
    guest.check("echo key 1 >/proc/rewritten; echo call 1 >/proc/rewritten")
    revert(guest, "text")
    assert rewritten(guest)["later"] == "1121"
    guest.check("echo key 0 >/proc/rewritten; echo call 0 >/proc/rewritten")


def test_key_inside(guest, bundles):
    """Sites in the body of the patched function itself."""
    bundle = make_patch(bundles, "inside", """
        static noinline int new_key_later(int n)
        {
            return n + 5;
        }
    """, {"rewritten": {"rewritten_key_later": "new_key_later"}})
    apply(guest, bundle)
    for _ in range(3):
        guest.check("echo key 1 >/proc/rewritten; echo call 1 >/proc/rewritten")
        assert rewritten(guest)["later"] == "5"
        guest.check("echo key 0 >/proc/rewritten; echo call 0 >/proc/rewritten")
        assert rewritten(guest)["later"] == "5"
    guest.check("echo key 1 >/proc/rewritten")
    revert(guest, "inside")
    assert rewritten(guest)["later"] == "1021"
    guest.check("echo key 0 >/proc/rewritten")


def test_key_of_the_kernel(guest, bundles):
    """kernel.sched_schedstats: a key with sites all over the scheduler, in the function too."""
    bundle = make_patch(bundles, "schedstats", """
        struct task_struct;
        struct pid_namespace;

        static noinline void new_show_task(struct task_struct *p, struct pid_namespace *ns,
                                           struct seq_file *m)
        {
            seq_puts(m, "patched\\n");
        }
    """, {None: {"proc_sched_show_task": "new_show_task"}})
    knob = "/proc/sys/kernel/sched_schedstats"
    assert "nr_switches" in guest.check("cat /proc/1/sched")
    apply(guest, bundle)
    for _ in range(5):
        guest.check(f"echo 1 >{knob}")
        assert guest.check("cat /proc/1/sched") == "patched"
        guest.check(f"echo 0 >{knob}")
        assert guest.check("cat /proc/1/sched") == "patched"
    guest.check(f"echo 1 >{knob}")
    revert(guest, "schedstats")
    assert "wait_sum" in guest.check("cat /proc/1/sched")
    guest.check(f"echo 0 >{knob}")
    assert "wait_sum" not in guest.check("cat /proc/1/sched")


def test_module_loaded(guest, patch):
    """Alternatives, keys and ftrace sites of a module that comes and goes."""
    apply(guest, patch)
    for _ in range(3):
        guest.check("rmmod rewritten")
        assert guest.check("cat /proc/cmdline") == "patched"
        guest.check("insmod /lib/modules/rewritten.ko")
        assert_patched(guest)
        guest.check("echo key 1 >/proc/rewritten")
        assert rewritten(guest)["later"] == "1045"
        guest.check("echo key 0 >/proc/rewritten")
    revert(guest, "text")


# ---- ftrace ----

def trace(guest, tracer):
    guest.check(f"echo {tracer} >{TRACING}/current_tracer", timeout=120)


def traced_calls(guest, function):
    """The number of calls of the function in a read of /proc/cmdline, by the trace."""
    guest.check(f"echo 0 >{TRACING}/tracing_on; echo >{TRACING}/trace; "
                f"echo 1 >{TRACING}/tracing_on; cat /proc/cmdline >/dev/null; "
                f"echo 0 >{TRACING}/tracing_on", timeout=120)
    return int(guest.shell(f"grep -cE ': {function}( \\[[^]]*\\])? <-' {TRACING}/trace",
                           timeout=120).out)


def assert_ftrace_works(guest):
    assert guest.check("cat /proc/sys/kernel/ftrace_enabled") == "1"
    quiet(guest)


def test_function_tracer(guest, patch):
    """All functions traced, on and off, with the patch there, coming and going."""
    apply(guest, patch)
    for _ in range(3):
        trace(guest, "function")
        assert_patched(guest)
        # the redirect is behind the site: the trace shows the call of the patched function
        assert traced_calls(guest, "cmdline_proc_show") == 1
        assert traced_calls(guest, "new_cmdline_proc_show") == 1
        trace(guest, "nop")
        assert_patched(guest)
        assert_ftrace_works(guest)

    trace(guest, "function")
    revert(guest, "text")
    assert traced_calls(guest, "cmdline_proc_show") == 1
    assert guest.check("cat /proc/rewritten /proc/cmdline") == guest.before
    apply(guest, patch)
    assert_patched(guest)
    assert traced_calls(guest, "new_cmdline_proc_show") == 1
    trace(guest, "nop")
    assert_ftrace_works(guest)
    assert_patched(guest)
    revert(guest, "text")
    assert_ftrace_works(guest)


# ---- kprobes ----

class Probe:
    """A kprobe by way of tracefs, as long as the `with` lasts."""

    def __init__(self, guest, where, kind="p"):
        self.guest = guest
        self.definition = f"{kind}:suture_test {where}"

    def __enter__(self):
        made = self.guest.shell(f"echo '{self.definition}' >{TRACING}/kprobe_events && "
                                f"echo 1 >{TRACING}/events/kprobes/suture_test/enable")
        if made.status:
            self.guest.shell(f"echo >{TRACING}/kprobe_events")
            raise OSError(made.out)
        return self

    def hits(self):
        """(hit, missed)"""
        line = self.guest.check(f"cat {TRACING}/kprobe_profile")
        return int(line.split()[1])

    def __exit__(self, *args):
        self.guest.check(f"echo 0 >{TRACING}/events/kprobes/suture_test/enable; "
                         f"echo >{TRACING}/kprobe_events")


@pytest.mark.parametrize("kind", ["p", "r"])
def test_probe_at_the_entry(guest, patch, kind):
    """Through ftrace, on arm64 before its site: on, and off, whenever the patch comes and goes."""
    with Probe(guest, "rewritten:rewritten_wide", kind) as probe:
        guest.check("cat /proc/rewritten")
        assert probe.hits() == 1
        apply(guest, patch)
        assert_patched(guest)
        assert probe.hits() == 2
    assert_patched(guest)
    with Probe(guest, "rewritten:rewritten_wide", kind) as probe:
        assert_patched(guest)
        assert probe.hits() == 1
        revert(guest, "text")
        guest.check("cat /proc/rewritten")
        assert probe.hits() == 2
    quiet(guest)


def test_probes_on_every_byte(guest, patch):
    """
    On each byte of a patched function in turn. What the kernel takes must work, go away again,
    and leave nothing behind; the rest must be refused by the kernel's own rules.
    """
    apply(guest, patch)
    taken, hit = [], []
    for offset in range(1, 24):
        try:
            with Probe(guest, f"rewritten:rewritten_wide+{offset}") as probe:
                taken.append(offset)
                assert_patched(guest)
                if probe.hits():
                    hit.append(offset)
                # the bytes behind it are rewritten meanwhile
                guest.check("echo key 1 >/proc/rewritten; echo key 0 >/proc/rewritten")
        except OSError:
            pass
        quiet(guest)
        assert_patched(guest)
    # the jump, which runs; and the original's instructions, which do not
    assert hit == [JUMP], (taken, hit)
    assert BEHIND in taken, taken
    revert(guest, "text")


def test_probe_stays_on_the_jump(guest, patch):
    """A kprobe on the redirect: it works, and the revert waits for it, and says so."""
    apply(guest, patch)
    with Probe(guest, f"rewritten:rewritten_wide+{JUMP}") as probe:
        assert_patched(guest)
        assert probe.hits() == 1
        result = guest.suture("--timeout", "3", "--no-cancel", "revert", "text")
        assert result.status != 0, result
        assert "kprobe" in guest.suture("status").out + result.out, result
        assert_patched(guest)
        assert probe.hits() == 2
    wait_gone(guest)
    assert guest.check("cat /proc/rewritten /proc/cmdline") == guest.before


def wait_gone(guest):
    """The waiting revert completes by itself."""
    guest.check("for i in $(seq 100); do [ -z \"$(ls /sys/kernel/suture)\" ] && exit 0; "
                "sleep 0.1; done; exit 1")


def test_probe_was_there_before(guest, patch):
    """A kprobe where the jump would be: the patch is refused, and the probe still works."""
    with Probe(guest, f"rewritten:rewritten_wide+{JUMP}") as probe:
        result = guest.suture("apply", patch)
        assert result.status != 0, result
        assert "rewritten_wide" in result.out and "probe" in result.out, result
        guest.check("cat /proc/rewritten")
        assert probe.hits() == 1
    quiet(guest)
    apply(guest, patch)
    assert_patched(guest)
    revert(guest, "text")


def test_probe_in_the_original(guest, patch):
    """One behind the jump, from before the patch: silent while it is on, then alive again."""
    with Probe(guest, f"rewritten:rewritten_wide+{BEHIND}") as probe:
        guest.check("cat /proc/rewritten")
        assert probe.hits() == 1
        apply(guest, patch)
        assert_patched(guest)
        assert probe.hits() == 1
        revert(guest, "text")
        guest.check("cat /proc/rewritten")
        assert probe.hits() == 2


# ---- stores of all kinds ----

@pytest.mark.arm64("of arm64's kinds; x86_decode.c has x86's")
def test_stores(guest, bundles, measured):
    """
    To the pages of two patched functions: from the kernel, by two CPUs at the same time, with the
    debug exceptions locked that a step needs, and from user mode.
    """
    bundle = make_patch(bundles, "stored", """
        static noinline int new_first(void)
        {
            return 11;
        }

        static noinline int new_second(void)
        {
            return 12;
        }
    """, {"stores": {"stores_first": "new_first", "stores_second": "new_second"}})

    def assert_right(results):
        out = guest.check("cat /proc/stores; stores", timeout=60)
        said = re.fullmatch(r"(\d+) stores, 0 wrong\ncounted 200 of 200\nresults (.*)\n"
                            r"(\d+) stores, 0 wrong", out)
        assert said and said[2] == results, out
        return f"{said[1]} in the kernel, {said[3]} in user mode, 200 increments of two CPUs"

    guest.check("insmod /lib/modules/stores.ko")
    assert_right("1 2")
    apply(guest, bundle)
    start = guest.cpu_seconds()
    done = assert_right("11 12")
    measured(f"stores to shadowed pages: {done}, in {guest.cpu_seconds() - start:.1f} s of CPU time")
    revert(guest, "stored")
    assert_right("1 2")
    guest.check("rmmod stores")
