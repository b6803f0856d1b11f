# SPDX-License-Identifier: BSD-2-Clause
"""Functions whose first bytes the guest rewrites itself: redirects in several pieces (docs/redirects.md)."""

import os
import time

import pytest

from complaints import TEXT, complaints
from machine import BUILD, GUEST, PLATFORM
from patches import apply, make_patch, revert

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
TRACING = "/sys/kernel/tracing"
FILES = {
    "/lib/modules/rewritten.ko": os.path.join(MODULES, "rewritten.ko"),
    "/lib/modules/sites.ko": os.path.join(MODULES, "sites.ko"),
    "/bin/redirects": os.path.join(BUILD, "guest", PLATFORM.architecture, "redirects"),
}


def prepared(boot):
    guest = boot(cpus=2, files=FILES)
    guest.check("echo 60 >/proc/sys/kernel/watchdog_thresh")
    guest.load_agent()
    guest.check("insmod /lib/modules/rewritten.ko")
    guest.before = guest.check("cat /proc/rewritten")
    return guest


@pytest.fixture
def guest(shared):
    """Two CPUs, agent and the module `rewritten`; to be left as it was, without a warning."""
    with shared(prepared) as guest:
        yield guest
        assert guest.shell("ls /sys/kernel/suture 2>/dev/null").out == ""
        assert guest.check("cat /proc/rewritten") == guest.before
        quiet(guest)


def quiet(guest):
    """No word from the kernel of anything that it found wrong."""
    said = complaints(guest, TEXT)
    assert said == "", said


def rewritten(guest):
    out = guest.check("cat /proc/rewritten")
    return dict(zip(out.split()[::2], out.split()[1::2]))


def wait_for(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command(guest, *commands):
    for line in commands:
        guest.check(f"echo {line} >/proc/rewritten")


# ---- how many of the kernel's functions ----

NO_ROOM = {"6.1-cloud-amd64": set(), "6.12-cloud-amd64": set(), "5.10-cloud-amd64": set(),
           "6.1-cloud-arm64": set()}


@pytest.mark.skipif(GUEST not in NO_ROOM, reason="its functions are not counted yet")
def test_every_function(guest, measured):
    """The monitor's planner over every function of vmlinux that ftrace could patch."""
    guest.check("insmod /lib/modules/sites.ko", timeout=120)
    lines = [line.split() for line in guest.check("redirects", timeout=120).splitlines()]
    guest.check("rmmod sites")
    count = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    refused = {line[1]: line[2:] for line in lines if line[0] == "refused"}
    measured(f"{GUEST}: of {count['functions']} functions with an ftrace site a jump fits "
             f"{count['plain']}, {count['lock']} over a lock prefix, {count['key']} in up to "
             f"{count['pieces']} pieces round static keys, {count['short']} by a short jump into "
             f"padding, {count['ftrace']} by a hook of ftrace; {len(refused)} are refused")
    assert count["functions"] > 30000
    assert count["functions"] == len(refused) + sum(
        count[kind] for kind in ("plain", "lock", "key", "short", "ftrace")), count
    assert set(refused) <= NO_ROOM[GUEST], refused


# ---- static keys in vmlinux ----

def test_key_under_load(guest, bundles):
    """
    __netif_rx(), which begins with the key of a tracepoint, while packets come: the tracepoint goes on
    and off while the patch is on, and while it comes and goes.
    """
    bundle = make_patch(bundles, "netifrx", """
        #include <linux/skbuff.h>

        int netif_rx_internal(struct sk_buff *skb);

        static unsigned int received;
        module_param(received, uint, 0444);

        static noinline int new_netif_rx(struct sk_buff *skb)
        {
            received++;
            return netif_rx_internal(skb);
        }
    """, {None: {"__netif_rx": "new_netif_rx"}})
    event = f"{TRACING}/events/net/netif_rx_entry/enable"

    def received():
        return int(guest.check("cat /sys/module/netifrx/parameters/received"))

    def traced():
        return int(guest.check(f"grep -c netif_rx_entry: {TRACING}/trace || true"))

    guest.check("ifconfig lo 127.0.0.1 up; (while [ ! -e /tmp/stop ]; do ping -c 1 127.0.0.1; done) "
                ">/dev/null 2>&1 &")
    for _ in range(3):
        apply(guest, bundle)
        for switch in (1, 0, 1, 0, 1):
            before = received()
            guest.check(f"echo {switch} >{event}")
            wait_for(lambda: received() > before + 4)
        assert traced() == 0  # the new function has no tracepoint
        revert(guest, "netifrx")
        wait_for(traced)
        apply(guest, bundle)
        guest.check(f"echo >{TRACING}/trace")
        wait_for(received)
        assert traced() == 0
        guest.check(f"echo 0 >{event}")
        revert(guest, "netifrx")
    guest.check("touch /tmp/stop; while pidof ping; do sleep 0.1; done; rm /tmp/stop")


def test_key_of_a_file_operation(guest, bundles):
    """psi_trigger_poll(), which begins with a key and has no callers but a table of functions."""
    bundle = make_patch(bundles, "keyfirst", """
        #include <linux/psi.h>
        #include <linux/poll.h>

        static noinline __poll_t new_poll(void **trigger, struct file *file, poll_table *wait)
        {
            return EPOLLHUP;
        }
    """, {None: {"psi_trigger_poll": "new_poll"}})
    assert guest.check("psipoll") == "0"
    apply(guest, bundle)
    assert guest.check("psipoll") == "0x10"
    revert(guest, "keyfirst")
    assert guest.check("psipoll") == "0"


# ---- static keys in a module ----

def first(bundles, name, add, replace=False):
    return make_patch(bundles, name, f"""
        static noinline int new_key_first(int n)
        {{
            return n + {add};
        }}
    """, {"rewritten": {"rewritten_key_first": "new_key_first"}}, replace=replace)


def assert_first(guest, value):
    """Whichever way the key is."""
    for key in (1, 0, 1, 0):
        command(guest, f"key {key}")
        assert rewritten(guest)["first"] == str(value)


def test_key_at_the_entry(guest, bundles):
    """Applied and reverted with the key off and on; stacked; replaced at once."""
    one, two = first(bundles, "first1", 10), first(bundles, "first2", 20)
    all_of_it = first(bundles, "first3", 30, replace=True)
    for key in (0, 1):
        command(guest, f"key {key}")
        apply(guest, one)
        assert_first(guest, 10)
        command(guest, f"key {key}")
        revert(guest, "first1")
        assert rewritten(guest)["first"] == str(2 + key)
    command(guest, "key 0")
    apply(guest, one)
    apply(guest, two)
    assert_first(guest, 20)
    revert(guest, "first2")
    assert_first(guest, 10)
    apply(guest, two)
    apply(guest, all_of_it)
    assert_first(guest, 30)
    revert(guest, "first3")
    assert rewritten(guest)["first"] == "2"


def test_module_goes_and_comes(guest, bundles):
    """All pieces are dropped with the module, and are there when it comes again."""
    apply(guest, first(bundles, "comes", 40))
    for _ in range(2):
        assert_first(guest, 40)
        guest.check("rmmod rewritten")
        guest.check("insmod /lib/modules/rewritten.ko")
        assert_first(guest, 40)
    revert(guest, "comes")


def probe(guest, where):
    """Put a kprobe there by way of tracefs: whether the kernel takes it."""
    return guest.shell(f"echo 'p:suture_test {where}' >{TRACING}/kprobe_events && "
                       f"echo 1 >{TRACING}/events/kprobes/suture_test/enable").status == 0


def unprobe(guest):
    guest.check(f"[ ! -e {TRACING}/events/kprobes/suture_test ] || "
                f"echo 0 >{TRACING}/events/kprobes/suture_test/enable; echo >{TRACING}/kprobe_events")


def test_probes_on_the_pieces(guest, bundles):
    """On each byte: what the kernel takes must work and go away again, with the key both ways."""
    apply(guest, first(bundles, "probed", 60))
    taken, hit = [], []
    for offset in range(5, 24):
        if probe(guest, f"rewritten:rewritten_key_first+{offset}"):
            taken.append(offset)
            assert_first(guest, 60)
            if int(guest.check(f"cat {TRACING}/kprobe_profile").split()[1]):
                hit.append(offset)
        unprobe(guest)
        quiet(guest)
        assert_first(guest, 60)
    # the jump behind the key, and that at its target
    assert len(hit) == 2, (taken, hit)
    revert(guest, "probed")


def test_a_probe_is_in_the_way(guest, bundles):
    """One where a piece would be, armed or not: refused, with its offset and the way out."""
    bundle = first(bundles, "late", 70)
    offsets = [offset for offset in range(5, 24)
               if [probe(guest, f"rewritten:rewritten_key_first+{offset}"), unprobe(guest)][0]]
    refused = []
    for offset in offsets:
        for armed in (1, 0):
            assert probe(guest, f"rewritten:rewritten_key_first+{offset}")
            guest.check(f"echo {armed} >{TRACING}/events/kprobes/suture_test/enable")
            result = guest.suture("apply", bundle)
            if result.status:
                assert "remove it" in result.out and f"{offset} bytes" in result.out, result
                refused.append(offset)
            else:
                revert(guest, "late")
            unprobe(guest)
    assert refused, offsets
    apply(guest, bundle)
    assert_first(guest, 70)
    revert(guest, "late")


# ---- static calls ----

@pytest.mark.x86("arm64 has no static calls in line")
def test_call_behind_three_bytes(guest, bundles):
    """A short jump, and the long one in padding; the call is switched under it."""
    bundle = make_patch(bundles, "near", """
        static noinline int new_near(int n)
        {
            return n + 80;
        }
    """, {"rewritten": {"rewritten_call_near": "new_near"}})
    for _ in range(2):
        apply(guest, bundle)
        for call in (1, 0, 1):
            command(guest, f"call {call}")
            assert rewritten(guest)["near"] == "80"
        revert(guest, "near")
        assert rewritten(guest)["near"] == "101"
        command(guest, "call 0")
    assert rewritten(guest)["near"] == "1"


# ---- hooks of ftrace ----

def call_first(bundles, name, add, replace=False):
    return make_patch(bundles, name, f"""
        static noinline int new_call_first(int n)
        {{
            return n + {add};
        }}
    """, {"rewritten": {"rewritten_call_first": "new_call_first"}}, replace=replace)


def hooked(guest, function):
    """Does ftrace lead it elsewhere?"""
    return bool(guest.shell(f"grep '^{function} .* I ' {TRACING}/enabled_functions").out)


def assert_call(guest, value):
    for call in (1, 0):
        command(guest, f"call {call}")
        assert rewritten(guest)["call"] == str(value)


@pytest.mark.x86("arm64 has no static calls in line")
def test_call_at_the_entry(guest, bundles):
    """No room for a jump: stacked, replaced at once, and its module goes and comes."""
    one, two = call_first(bundles, "call1", 90), call_first(bundles, "call2", 91)
    all_of_it = call_first(bundles, "call3", 92, replace=True)
    apply(guest, one)
    assert_call(guest, 90)
    assert hooked(guest, "rewritten_call_first")
    apply(guest, two)
    assert_call(guest, 91)
    revert(guest, "call2")
    assert_call(guest, 90)
    for _ in range(2):
        guest.check("rmmod rewritten")
        assert not hooked(guest, "rewritten_call_first")
        guest.check("insmod /lib/modules/rewritten.ko")
        assert_call(guest, 90)
    apply(guest, all_of_it)
    assert_call(guest, 92)
    revert(guest, "call3")
    assert not hooked(guest, "rewritten_call_first")
    for call, value in ((1, "100"), (0, "0")):
        command(guest, f"call {call}")
        assert rewritten(guest)["call"] == value


@pytest.mark.x86("arm64 has no static calls in line")
def test_hook_and_tracers(guest, bundles):
    """The function tracer and a kprobe at the entry, before a hook comes, while it is there and after."""
    bundle = call_first(bundles, "traced", 94)

    def trace(on):
        guest.check(f"echo {'rewritten_call_first' if on else ''} >{TRACING}/set_ftrace_filter; "
                    f"echo {'function' if on else 'nop'} >{TRACING}/current_tracer")

    for on, off in ((trace, lambda: trace(False)),
                    (lambda _: probe(guest, "rewritten:rewritten_call_first"), lambda: unprobe(guest))):
        on(True)
        apply(guest, bundle)
        assert_call(guest, 94)
        off()
        assert_call(guest, 94)
        on(True)
        assert_call(guest, 94)
        revert(guest, "traced")
        assert rewritten(guest)["call"] == "0"
        off()


@pytest.mark.x86("arm64 has no static calls in line")
def test_ftrace_is_off(guest, bundles):
    """No hook can be had, and the message says all of it; where there is one, ftrace stays on."""
    bundle = call_first(bundles, "callfirst", 93)
    enabled = "/proc/sys/kernel/ftrace_enabled"
    guest.check(f"echo 0 >{enabled}")
    result = guest.suture("apply", bundle)
    assert result.status != 0
    for text in ("rewritten_call_first", "static call 5 bytes from its beginning", "hook of ftrace",
                 "patch its callers instead"):
        assert text in result.out, result
    assert "kernel.ftrace_enabled is 0" in guest.check("dmesg | grep 'takes no hook'")
    guest.check(f"echo 1 >{enabled}")
    apply(guest, bundle)
    assert guest.shell(f"echo 0 >{enabled}").status != 0
    assert_call(guest, 93)
    revert(guest, "callfirst")


@pytest.mark.x86("arm64 has no static calls in line")
@pytest.mark.skipif(GUEST.startswith("sid"), reason="interfaces go down without synchronize_net()")
def test_hook_under_load(guest, bundles, measured):
    """synchronize_net(), which begins with a static call, on and off while two CPUs call it."""
    bundle = make_patch(bundles, "syncnet", """
        #include <linux/atomic.h>
        #include <linux/rcupdate.h>

        static atomic_t calls;

        static int get_calls(char *to, const struct kernel_param *param)
        {
            return sprintf(to, "%d\\n", atomic_read(&calls));
        }

        static const struct kernel_param_ops calls_ops = {.get = get_calls};
        module_param_cb(calls, &calls_ops, NULL, 0444);

        static noinline void new_synchronize_net(void)
        {
            atomic_inc(&calls);
            synchronize_rcu_expedited();
        }
    """, {None: {"synchronize_net": "new_synchronize_net"}})

    def calls():
        return int(guest.check("cat /sys/module/syncnet/parameters/calls"))

    guest.check("for i in 1 2; do (while [ ! -e /tmp/stop ]; do ifconfig lo up; ifconfig lo down; done) "
                ">/dev/null 2>&1 & done")
    seen = 0
    for _ in range(20):
        apply(guest, bundle)
        wait_for(lambda: calls() > 3)
        seen += calls()
        revert(guest, "syncnet")
        assert not hooked(guest, "synchronize_net")
    guest.check("touch /tmp/stop; while pidof ifconfig; do sleep 0.1; done; rm /tmp/stop")
    measured(f"{seen} calls led on by a hook in 20 rounds")


# ---- lock prefixes ----

@pytest.mark.x86("arm64 has no lock prefixes")
def test_lock_prefix_of_one_cpu(boot, bundles):
    """
    A kernel that began with one CPU of two has no lock prefixes: it puts them back when the agent comes,
    not under a patch when the second CPU does.
    """
    bundle = make_patch(bundles, "locked", """
        static noinline int new_locked(int n)
        {
            return n + 5;
        }
    """, {"rewritten": {"rewritten_locked": "new_locked"}})
    guest = boot(cpus=2, cmdline="maxcpus=1", files=FILES)
    assert guest.check("cat /sys/devices/system/cpu/online") == "0"
    switched = "dmesg | grep -c 'switching to SMP code' || true"
    assert guest.check(switched) == "0"
    guest.load_agent()
    guest.check("insmod /lib/modules/rewritten.ko")
    assert guest.check(switched) == "1"
    apply(guest, bundle)
    assert rewritten(guest)["locked"] == "5"
    guest.check("echo 1 >/sys/devices/system/cpu/cpu1/online", timeout=60)
    assert guest.check("cat /sys/devices/system/cpu/online") == "0-1"
    assert rewritten(guest)["locked"] == "5"
    revert(guest, "locked")
    assert rewritten(guest)["locked"] == "4"
    assert guest.check(switched) == "1"
    quiet(guest)
