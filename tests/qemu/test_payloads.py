# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel's loader does with the tables of a payload, which is an ordinary module: what works
as in any module, and what is refused before the loader sees it (docs/payloads.md)."""

import os
import re
import subprocess

import pytest

from complaints import complaints
from machine import BUILD, GUEST, PLATFORM, SUTURE
from patches import KALLSYMS_ALL, apply, livepatch_source, make_patch, revert, suture_build

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
SHOW = {None: {"cmdline_proc_show": "new_show"}}
IS_X86 = PLATFORM.architecture == "x86"
NO_VARIABLES = pytest.mark.skipif(not KALLSYMS_ALL, reason="the kernel has no addresses of static variables")


def shows(expression, includes="", more="", form="%d"):
    """A patch's code: /proc/cmdline shows the expression."""
    return f"""
        {includes}
        {more}

        static int new_show(struct seq_file *m, void *v)
        {{
            seq_printf(m, "{form}\\n", {expression});
            return 0;
        }}
    """


def special(bundles, name, code, init="", leave=""):
    """A bundle of a patch with this in its init, and in its exit."""
    source = os.path.join(bundles, name)
    os.makedirs(source, exist_ok=True)
    with open(os.path.join(source, "Kbuild"), "w") as f:
        f.write(f"obj-m := {name}.o\n")
    empty = "patch_exit(void)\n{\n}"
    text = livepatch_source(code, SHOW, init)
    assert empty in text
    with open(os.path.join(source, f"{name}.c"), "w") as f:
        f.write(text.replace(empty, f"patch_exit(void)\n{{\n{leave}\n}}"))
    bundle = os.path.join(bundles, f"{name}.sut")
    status, output = suture_build(source, bundle)
    assert status == 0, output
    return bundle


@pytest.fixture(scope="module")
def machine(boot_module):
    files = {f"/lib/modules/{name}.ko": os.path.join(MODULES, f"{name}.ko")
             for name in ("owner", "tables")}
    machine = boot_module(cpus=2, files=files)
    machine.load_agent()
    return machine


@pytest.fixture
def guest(machine):
    """The guest, which each test must leave with nothing but the agent loaded."""
    before = machine.check("cat /proc/cmdline")
    machine.check("dmesg -c >/dev/null")
    yield machine
    assert machine.check("cat /proc/cmdline") == before
    assert machine.check("ls /sys/kernel/suture") == ""
    assert machine.check("cut -d' ' -f1 /proc/modules") == "suture"
    assert [line for line in complaints(machine).splitlines() if "warns" not in line] == []


def refused(guest, bundle, says):
    result = guest.suture("apply", bundle)
    assert result.status != 0 and re.search(says, result.out), result
    return result.out


# ---- keys that the loader writes to ----

KEY = "#include <linux/jump_label.h>"


@pytest.mark.skipif(GUEST.startswith("sid") or GUEST.startswith("6.12"),
                    reason="the loader leaves read-only keys alone")
@NO_VARIABLES
def test_read_only_key(guest, bundles):
    """The loader would write to it when it is read-only: refused before, and the guest goes on."""
    bundle = make_patch(bundles, "rokey", shows(
        "static_branch_unlikely(&bypass_usercopy_checks) ? 1 : 2", KEY,
        "extern struct static_key_false bypass_usercopy_checks;"), SHOW, check=False)
    refused(guest, bundle, "static key 'bypass_usercopy_checks' is read-only after boot.*"
                           r"static_key_enabled\(\)")
    other = make_patch(bundles, "rokey_asked", shows(
        "static_key_enabled(&bypass_usercopy_checks.key) ? 1 : 2", KEY,
        "extern struct static_key_false bypass_usercopy_checks;"), SHOW)
    apply(guest, other)
    assert guest.check("cat /proc/cmdline") == "2"
    revert(guest, "rokey_asked")


@pytest.mark.skipif(GUEST.startswith("sid") or GUEST.startswith("6.12"),
                    reason="the loader leaves read-only keys alone")
def test_read_only_key_of_module(guest, bundles):
    key = "tables_ro_key" if KALLSYMS_ALL else "tables_exported_key"
    bundle = make_patch(bundles, "rokey_module", shows(
        f"static_branch_unlikely(&{key}) ? 1 : 2", KEY,
        f"extern struct static_key_false {key};"), SHOW)
    guest.check("insmod /lib/modules/tables.ko")
    refused(guest, bundle, f"static key '{key}' is read-only")
    guest.check("rmmod tables")


@NO_VARIABLES
@pytest.mark.parametrize("name,functions", [
    ("key_kernel", SHOW),
    ("key_object", {None: {"cmdline_proc_show": "new_show"}, "owner": {"owner_value": "new_value"}}),
])
def test_key_of_module(guest, bundles, name, functions):
    """The loader links the payload into the module's key: the module stays as long as the payload."""
    bundle = make_patch(bundles, name, shows(
        "static_branch_unlikely(&owner_key) ? 1 : 2", KEY, """
        extern struct static_key_false owner_key;
        int owner_secret(int n);

        int new_value(void);
        int new_value(void)
        {
            return owner_secret(static_branch_unlikely(&owner_key) ? 10 : 20);
        }
    """), functions)
    refused(guest, bundle, "owner_(key|secret)")
    guest.check("insmod /lib/modules/owner.ko")
    apply(guest, bundle)
    assert guest.check("cat /proc/cmdline") == "2"
    guest.check("echo key 1 >/proc/owner")
    assert guest.check("cat /proc/cmdline") == "1"
    if "owner" in functions:
        assert guest.check("cat /proc/owner") == "70"
    assert guest.shell("rmmod owner").status != 0
    revert(guest, name)
    guest.check("rmmod owner")


@pytest.mark.x86("others have no code that the kernel rewrites for static calls")
def test_static_call(guest, bundles):
    """A static call of the kernel whose key is not exported."""
    apply(guest, make_patch(bundles, "staticcall", shows(
        "paravirt_sched_clock() > 1000", "#include <asm/paravirt.h>"), SHOW))
    assert guest.check("cat /proc/cmdline") == "1"
    revert(guest, "staticcall")


# ---- tracepoints ----

# one that is not exported, where it has an address
TRACEPOINT = {"system": "sched", "name": "sched_wait_task", "arguments": "current",
              "shows": "comm=cat"} if KALLSYMS_ALL else {
                  "system": "power", "name": "cpu_idle", "arguments": "77, 0", "shows": "state=77"}


def test_tracepoint_of_kernel(guest, bundles):
    """A payload passes a tracepoint of the kernel that is switched on later."""
    system, name = TRACEPOINT["system"], TRACEPOINT["name"]
    event = f"/sys/kernel/tracing/events/{system}/{name}/enable"
    apply(guest, make_patch(bundles, "passes", shows(
        f"(trace_{name}({TRACEPOINT['arguments']}), 5)", f"#include <trace/events/{system}.h>"), SHOW))
    assert guest.check("cat /proc/cmdline") == "5"
    guest.check(f"[ -e {event} ] || mount -t tracefs tracefs /sys/kernel/tracing;"
                f"echo >/sys/kernel/tracing/trace; echo 1 >{event}; cat /proc/cmdline; echo 0 >{event}")
    assert f"{name}: {TRACEPOINT['shows']}" in guest.check("cat /sys/kernel/tracing/trace")
    revert(guest, "passes")


def test_tracepoint_of_payload(guest, bundles):
    apply(guest, special(bundles, "traces", shows(
        "(trace_payload_point(3), seen)", "#include <linux/tracepoint.h>", """
        static int seen;

        DECLARE_TRACE(payload_point, TP_PROTO(int n), TP_ARGS(n));
        DEFINE_TRACE(payload_point, TP_PROTO(int n), TP_ARGS(n));

        static void probe(void *data, int n)
        {
            seen += n;
        }
        """), init="if (register_trace_payload_point(probe, NULL))\n\t\treturn -EINVAL;",
        leave="unregister_trace_payload_point(probe, NULL);\n\ttracepoint_synchronize_unregister();"))
    assert guest.check("cat /proc/cmdline; cat /proc/cmdline") == "3\n6"
    revert(guest, "traces")


# ---- tables of the payload's own code ----

def test_exception_table(guest, bundles):
    """A fault at a user's address is the error that the payload's own table makes of it."""
    apply(guest, make_patch(bundles, "faults", shows(
        "get_user(byte, (char __user *)8)", "#include <linux/uaccess.h>", "static char byte;"),
        SHOW))
    assert guest.check("cat /proc/cmdline") == "-14"
    revert(guest, "faults")


def test_warning(guest, bundles):
    apply(guest, make_patch(bundles, "warns", shows(
        'WARN(1, "a payload warns\\n")', "#include <linux/bug.h>"), SHOW))
    assert guest.check("cat /proc/cmdline") == "1"
    log = guest.check("dmesg")
    assert "a payload warns" in log and re.search(r"WARNING: .*warns\.c:\d+ new_show", log), log
    revert(guest, "warns")


# one feature that the CPU has, and one that it has not
ALTERNATIVES = {
    "x86": ("static_cpu_has(X86_FEATURE_FPU) + 2 * static_cpu_has(X86_FEATURE_3DNOW)",
            "#include <asm/cpufeature.h>", ""),
    "arm64": ("features()", "#include <asm/alternative.h>\n#include <asm/cpufeature.h>", """
        static int features(void)
        {
            int has, has_not;

            asm(ALTERNATIVE("mov %w0, #0", "mov %w0, #1", ARM64_HAS_CRC32) : "=r"(has));
            asm(ALTERNATIVE("mov %w0, #0", "mov %w0, #2", ARM64_SVE) : "=r"(has_not));
            return has + has_not;
        }
        """),
}


def test_alternatives(guest, bundles):
    """The loader rewrites what depends on the CPU's features."""
    apply(guest, make_patch(bundles, "alters", shows(*ALTERNATIVES[PLATFORM.architecture]), SHOW))
    assert guest.check("cat /proc/cmdline") == "1"
    revert(guest, "alters")


# one that is not exported, where it has an address
COUNTER = "per_cpu(process_counts, cpu)" if KALLSYMS_ALL else "(int)(per_cpu(kstat, cpu).irqs_sum & 255)"


def test_per_cpu(guest, bundles):
    """A per-CPU variable of the kernel, and one of the payload's own."""
    apply(guest, make_patch(bundles, "percpu", shows("count()", """
        #include <linux/kernel_stat.h>
        #include <linux/percpu.h>
        """, f"""
        DECLARE_PER_CPU(unsigned long, process_counts);
        static DEFINE_PER_CPU(int, own) = 1000;

        static int count(void)
        {{
            int cpu, sum = 0;

            for_each_online_cpu(cpu)
                sum += {COUNTER} + per_cpu(own, cpu);
            return sum;
        }}
    """), SHOW))
    count = int(guest.check("cat /proc/cmdline"))
    assert 2010 < count < 3000, count
    revert(guest, "percpu")


def test_kprobe_blacklist(guest, bundles):
    apply(guest, make_patch(bundles, "unprobed", shows(
        "marked()", "#include <linux/kprobes.h>", """
        static noinline int marked(void)
        {
            return 8;
        }
        NOKPROBE_SYMBOL(marked);
        """), SHOW))
    guest.check("[ -e /sys/kernel/debug/kprobes ] || mount -t debugfs debugfs /sys/kernel/debug")
    assert "marked" in guest.check("cat /sys/kernel/debug/kprobes/blacklist")
    revert(guest, "unprobed")
    assert "marked" not in guest.check("cat /sys/kernel/debug/kprobes/blacklist")


# ---- what the kernel says ----

def test_duplicate_export(guest, bundles):
    """The kernel's own line says what the error of init_module(2) does not."""
    bundle = make_patch(bundles, "exports", shows("owner_exported(1)", more="""
        int owner_exported(int n);
        int owner_exported(int n)
        {
            return n;
        }
        EXPORT_SYMBOL_GPL(owner_exported);
    """), SHOW)
    guest.check("insmod /lib/modules/owner.ko")
    refused(guest, bundle, "init_module: .*; the kernel says: "
                           r"'exports: exports duplicate symbol owner_exported \(owned by owner\)'")
    guest.check("rmmod owner")


def test_child_killed(guest, bundles):
    """An operator kills the process that loads: the kernel brings the load to its end."""
    bundle = make_patch(bundles, "childless", shows("4", "#include <linux/delay.h>"), SHOW,
                        init="msleep(3000);")
    applying = subprocess.Popen([SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure", "apply",
                                 bundle], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        guest.check("until grep -q ^childless /proc/modules; do usleep 100000; done;"
                    "set -- $(pidof suture-load); [ $# = 2 ]; for p; do for q; do"
                    " grep -q \"^PPid:.$q$\" /proc/$p/status && kill -9 $p; done; done; true")
        output, _ = applying.communicate(timeout=60)
        assert applying.returncode == 0, output
    finally:
        applying.kill()
        applying.wait()
    assert guest.check("cat /proc/cmdline") == "4"
    revert(guest, "childless")


def test_kernel_kills_the_load(boot, bundles):
    """An init that oopses: the operator reads why, and that nothing can be loaded any more."""
    guest = boot(cpus=2)
    guest.load_agent()
    bundle = make_patch(bundles, "oopses", shows("1"), SHOW, init="*(volatile int *)8 = 1;")
    out = refused(guest, bundle, "the kernel killed the loading process: '(BUG: |Oops|Unable to handle)")
    assert ("RIP: " if IS_X86 else "pc : ") in out and "patch_init" in out, out
    good = make_patch(bundles, "toolate", shows("2"), SHOW)
    refused(guest, good, "cannot load modules any more.*'oopses'.*(BUG: |Unable to handle)")
    assert guest.suture("status").status == 0
