# SPDX-License-Identifier: BSD-2-Clause
"""What `suture build` finds wrong with a patch, without a guest: in the payload itself, and against the
kernel's image, types and modules."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from machine import KBUILD, KERNEL, SUTURE
from patches import MODULES, suture_build, write_patch

SHOW = {None: {"cmdline_proc_show": "new_show"}}
NEW_SHOW = """
static int new_show(struct seq_file *m, void *v)
{
    seq_puts(m, "new\\n");
    return 0;
}
"""


@pytest.fixture
def build(tmp_path):
    """A function build(code, functions, *options, **more) -> (exit code, what was printed)."""
    bundle = tmp_path / "wrong.sut"

    def run(code, functions=SHOW, *options, **more):
        source = write_patch(str(tmp_path), "wrong", code, functions, **more)
        status, output = suture_build(source, str(bundle), *options)
        assert (status == 0) == bundle.exists(), output
        return status, output

    return run


def refused(result, says):
    status, output = result
    assert status == 2, output
    assert re.search(says, output), output
    return output


def built(result, says=None):
    status, output = result
    assert status == 0, output
    assert says is None or re.search(says, output), output
    return output


def inspect(bundle):
    done = subprocess.run([SUTURE, "--json", "inspect", bundle], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


# ---- what kbuild says ----

def test_quiet(build):
    """A good patch: one line, whatever symbols of the kernel it uses."""
    output = built(build(NEW_SHOW + """
        extern unsigned long tainted_mask;
        static int used(void) { return tainted_mask != 0; }
    """, init="if (used() > 1)\n\t\treturn -EINVAL;"))
    assert output.count("\n") == 1, output


def test_compiler_warning(build):
    built(build(NEW_SHOW + "static int unused(void) { return 1; }"), "defined but not used")


# ---- memory that the payload does not have for long ----

@pytest.mark.parametrize("code,init,says", [
    pytest.param("""
        static noinline int __init helper(int x) { return x + jiffies; }
        static int new_show(struct seq_file *m, void *v) { return helper(1); }
    """, "", r"new_show uses helper\S*, which is in \.init\.text .* remove its __init", id="function"),
    pytest.param("""
        static noinline int __exit helper(int x) { return x + jiffies; }
        static int new_show(struct seq_file *m, void *v) { return helper(1); }
    """, "", r"new_show uses helper\S*, which is in \.exit\.text .* remove its __exit", id="exit"),
    pytest.param("""
        static int value __initdata = 3;
        static int new_show(struct seq_file *m, void *v) { return value++; }
    """, "", r"new_show uses value, which is in \.init\.data", id="data"),
    pytest.param("""
        static const int values[] __initconst = {1, 2, 3};
        static int new_show(struct seq_file *m, void *v) { return values[jiffies % 3]; }
    """, "", r"new_show uses values, which is in \.init\.rodata", id="constant"),
    pytest.param("""
        static int __init new_show(struct seq_file *m, void *v) { return 0; }
    """, "", r"funcs0 uses new_show, which is in \.init\.text", id="replacement"),
    pytest.param(NEW_SHOW + """
        static int __init seen(struct seq_file *m, void *v) { return jiffies; }
        struct table { int (*show)(struct seq_file *m, void *v); };
        static const struct table table = { .show = seen };
        static noinline int use(const struct table *t) { return t->show(NULL, NULL); }
        static int later(void) { return use(READ_ONCE((const struct table *){&table})); }
        static void *keep __used = later;
    """, "", r"table uses seen, which is in \.init\.text", id="table"),
    pytest.param(NEW_SHOW + """
        static int value __initdata = 3;
        module_param(value, int, 0644);
    """, "", r"parameter in value is in sysfs, but its variable is gone", id="parameter"),
    pytest.param("""
        static int value __ro_after_init = 3;
        static int new_show(struct seq_file *m, void *v) { value = jiffies; return value; }
    """, "", r"new_show writes to value, which is __ro_after_init", id="read-only"),
    pytest.param("""
        static int value __ro_after_init = 3;
        static int new_show(struct seq_file *m, void *v) { value = 7; barrier(); return value; }
    """, "", r"new_show writes to value, which is __ro_after_init", id="read-only-constant"),
])
def test_lifetime(build, code, init, says):
    """An error, with or without --no-check."""
    refused(build(code, SHOW, init=init), says)
    refused(build(code, SHOW, "--no-check", init=init), says)


def test_lifetime_is_right(build):
    """What is meant so: init uses init, a parameter that sysfs does not show, read-only data that is
    only read."""
    built(build("""
        static int value __initdata = 3;
        module_param(value, int, 0);
        static int limit __ro_after_init = 3;
        static int __init helper(int x) { return x + value; }
        static int new_show(struct seq_file *m, void *v) { return limit == 4 ? 0 : limit; }
    """, init="limit = helper(2);"))


# ---- names that clash ----

def test_weak(build):
    built(build(NEW_SHOW + "void __weak helper(void);\nvoid __weak helper(void) { }"),
          "warning: 'helper' is a weak definition")


def test_global(build):
    built(build(NEW_SHOW + "void seq_pad(struct seq_file *m, char c);\n"
                           "void seq_pad(struct seq_file *m, char c) { }"),
          "warning: 'seq_pad' is global, and the kernel has one")
    built(build(NEW_SHOW + "void s_stop(void);\nvoid s_stop(void) { }"),
          "warning: 's_stop' is global, and the kernel has one")


def test_export(build):
    refused(build(NEW_SHOW + "void seq_pad(struct seq_file *m, char c);\n"
                             "void seq_pad(struct seq_file *m, char c) { }\n"
                             "EXPORT_SYMBOL(seq_pad);"),
            "the patch exports 'seq_pad', and so does the kernel")


# ---- functions ----

@pytest.mark.parametrize("function,says", [
    ("no_such_function", r"there is no function 'no_such_function' in 'vmlinux': misspelt, or inlined"),
    ("type_show", r"'type_show' is ambiguous: 'vmlinux' has \d\d of that name"),
    ("notify_page_fault_", r"there is no function"),
    ("parse_early_param", r"'parse_early_param' of 'vmlinux' is __init"),
    ("tainted_mask", r"'tainted_mask' of 'vmlinux' is data"),
])
def test_no_such_function(build, function, says):
    refused(build(NEW_SHOW, {None: {function: "new_show"}}), says)


def test_override(build):
    built(build(NEW_SHOW, {None: {"no_such_function": "new_show"}}, "--no-check"),
          "warning: there is no function 'no_such_function'")


def image_names():
    """Names of the kernel's functions that the compiler has only left parts of."""
    symvers = os.path.join(KBUILD, "Module.symvers")
    with open(symvers) as f:
        return {line.split("\t")[1] for line in f if line.split("\t")[2] == "vmlinux"}


def test_position(build, tmp_path):
    code = NEW_SHOW + "#define type_show type_show\", .old_sympos = 99, //"
    source = write_patch(str(tmp_path), "wrong", NEW_SHOW, {None: {"type_show": "new_show"}})
    with open(os.path.join(source, "wrong.c"), "r+") as f:
        text = f.read().replace('"type_show",', '"type_show", .old_sympos = 99,')
        f.seek(0)
        f.write(text)
    refused(suture_build(source, str(tmp_path / "wrong.sut")),
            r"no function 'type_show' at position 99 in 'vmlinux', which has \d\d")
    assert code


@pytest.mark.parametrize("code,says", [
    ("static int new_show(struct seq_file *m) { return 0; }",
     r"cmdline_proc_show\(struct seq_file \*, void \*\) -> int in the kernel, "
     r"new_show\(struct seq_file \*\) -> int in the patch"),
    ("static void new_show(struct seq_file *m, void *v) { }", r"-> int in the kernel, .* -> void in"),
    ("static long new_show(struct seq_file *m, void *v) { return 0; }", r"-> long int in the patch"),
    ("static int new_show(struct file *m, void *v) { return 0; }", r"new_show\(struct file \*, void"),
    ("static int new_show(struct seq_file *m, int v) { return 0; }", r"struct seq_file \*, int\) ->"),
    ("static int new_show(struct seq_file m, void *v) { return 0; }", r"new_show\(struct seq_file, v"),
    ("static int new_show(struct seq_file *m, ...) { return 0; }", r"struct seq_file \*, \.\.\.\)"),
])
def test_prototype(build, code, says):
    refused(build(code), says)
    built(build(code, SHOW, "--no-check"), says)


def test_same_prototype(build):
    """Not differences: qualifiers, signs, what a pointer to void points to, other names of a type."""
    built(build("""
        typedef struct seq_file other_name;
        static unsigned int new_show(other_name *const m, const struct file *v) { return 0; }
    """))


def test_alias(build):
    """Both names of a function that has two."""
    refused(build("""
        struct pt_regs;
        static long new_a(const struct pt_regs *r) { return 1001; }
        static long new_b(const struct pt_regs *r) { return 1002; }
    """, {None: {"__x64_sys_getppid": "new_a", "__do_sys_getppid": "new_b"}}),
            "'__do_sys_getppid' and '__x64_sys_getppid' are the same function")


INLINED = """
static int value;
static inline __attribute__((always_inline)) int gone(int x) { return x * value + 3; }
int first(int x) { return gone(x) + 1; }
int second(int x) { return gone(x) * 2; }
int unrelated(int x) { return x; }
"""


def test_inlined(build, tmp_path):
    """With debug information the build tells into what a function was inlined."""
    source, debug = tmp_path / "kernel.c", tmp_path / "vmlinux"
    source.write_text(INLINED)
    subprocess.run(["gcc", "-g", "-O2", "-shared", "-fPIC", "-o", debug, source], check=True)
    functions = {None: {"gone": "new_show"}}
    refused(build(NEW_SHOW, functions, "--debug", str(debug)),
            "'gone' in 'vmlinux': it was inlined into all of its callers: patch first, second\n")
    refused(build(NEW_SHOW, {None: {"nowhere": "new_show"}}, "--debug", str(debug)),
            "'nowhere' in 'vmlinux', nor was one inlined")
    refused(build(NEW_SHOW, functions, "--debug", str(source)), "no debug information in it")
    refused(build(NEW_SHOW, functions, "--debug", str(tmp_path / "none")), "--debug .*none: cannot be")


# ---- modules ----

def test_module(build):
    """The functions of a module, by its file."""
    refused(build(NEW_SHOW, {"dummy": {"dummy_no_such": "new_show"}}),
            "no function 'dummy_no_such' in 'dummy'")
    refused(build(NEW_SHOW, {"dummy": {"dummy_xmit": "new_show"}}),
            r"dummy_xmit\(struct sk_buff \*, struct net_device \*\) -> netdev_tx_t in the kernel")
    refused(build(NEW_SHOW, {"dummy": {"dummy_init_module": "new_show"}}), "__init")


def test_module_not_at_hand(build):
    output = built(build(NEW_SHOW, {**SHOW, "no-such": {"any_function": "new_show"}}),
                   "note: module 'no_such' is not at hand")
    assert output.count("not at hand") == 1, output


def test_compressed_module(tmp_path):
    """Newer kernels have their modules compressed."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for name in os.listdir(os.path.join(MODULES, "drivers/net")):
        if name.startswith("dummy.ko"):
            shutil.copy(os.path.join(MODULES, "drivers/net", name), folder)
    if (folder / "dummy.ko").exists():
        subprocess.run(["xz", "--check=crc32", folder / "dummy.ko"], check=True)
    source = write_patch(str(tmp_path), "wrong", NEW_SHOW, {"dummy": {"dummy_no_such": "new_show"}})
    done = subprocess.run([SUTURE, "build", source, "--kernel", KBUILD, "--vmlinuz", KERNEL,
                           "--modules", folder, "-o", tmp_path / "wrong.sut"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    refused((done.returncode, done.stdout.decode()), "no function 'dummy_no_such' in 'dummy'")


def test_names(build, tmp_path):
    """'-' is '_' in the names of modules."""
    built(build(NEW_SHOW, {"vsock-loopback": {"vsock_loopback_cancel_pkt": "new_show"}}, "--no-check"))
    assert inspect(tmp_path / "wrong.sut")["objects"][0]["name"] == "vsock_loopback"
    refused(build(NEW_SHOW, {"vsock-loopback": {}, "vsock_loopback": {}}),
            "object 'vsock_loopback' is there twice")


# ---- symbols ----

@pytest.mark.parametrize("declaration,says", [
    ("extern int wanted(void);", "symbol 'wanted' is not in the kernel and its modules"),
    ("extern int wanted(void) SUTURE_SYMBOL(vmlinux, type_show, 0);", "'type_show' is ambiguous"),
    ("extern int wanted(void) SUTURE_SYMBOL(vmlinux, cmdline_proc_show, 2);",
     "'cmdline_proc_show' has no position 2 in vmlinux, only 1"),
    ("extern int wanted(void) SUTURE_SYMBOL(dummy, no_such, 0);", "'no_such' is not in dummy"),
    ("extern int wanted(void) SUTURE_SYMBOL(vmlinux, parse_early_param, 0);",
     "'parse_early_param' is in the kernel's init memory"),
])
def test_symbol(build, declaration, says):
    code = declaration + "static int new_show(struct seq_file *m, void *v) { return wanted(); }"
    refused(build(code), says)
    built(build(code, SHOW, "--no-check"), "warning: symbol " + says.replace("symbol ", ""))


def test_good_symbols(build):
    """Exported, static, per-CPU, of a module (static and exported), and one that nobody must have."""
    built(build("""
        #include <linux/percpu.h>
        extern unsigned long tainted_mask;
        DECLARE_PER_CPU(int, __preempt_count);
        DECLARE_PER_CPU(unsigned long, kstack_offset);
        extern int wanted(void) SUTURE_SYMBOL(dummy, dummy_change_carrier, 0);
        extern int dummy_dev_init(void *dev);
        extern int perhaps(void) __weak;
        static int new_show(struct seq_file *m, void *v)
        {
            return wanted() + dummy_dev_init(m) + tainted_mask + this_cpu_read(kstack_offset)
                   + (perhaps ? perhaps() : 0);
        }
    """))


def test_init_data(build):
    refused(build("""
        extern char boot_command_line[];
        static int new_show(struct seq_file *m, void *v) { seq_puts(m, boot_command_line); return 0; }
    """), "'boot_command_line' is in the kernel's init memory, which is gone")


# ---- the kernel ----

def suture(*arguments):
    done = subprocess.run([SUTURE, "build", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()


def test_no_image(tmp_path):
    """Without the kernel's image the bundle is built, and what was not checked is said; which image
    would be right is found by what `uname -r` says of the kernel."""
    source = write_patch(str(tmp_path), "blind", NEW_SHOW, {None: {"no_such_function": "new_show"}})
    output = str(tmp_path / "blind.sut")
    built(suture(source, "-o", output, "--kernel", KBUILD, "--build-id", "00" * 20),
          "note: functions and symbols of the kernel were not checked")
    with open(os.path.join(KBUILD, "include/generated/utsrelease.h")) as f:
        release = re.search('"(.*)"', f.read()).group(1)
    refused(suture(source, "-o", output, "--kernel", KBUILD),
            f"/boot/vmlinuz-{re.escape(release)} is not here")


def test_damaged_image(tmp_path):
    """An image that is cut off is not taken for a whole one."""
    source = write_patch(str(tmp_path), "cut", NEW_SHOW, SHOW)
    image = tmp_path / "vmlinuz"
    with open(KERNEL, "rb") as f:
        data = bytearray(f.read())
    middle = len(data) // 2
    data[middle:middle + 64] = bytes(64)
    image.write_bytes(data)
    refused(suture(source, "-o", str(tmp_path / "cut.sut"), "--kernel", KBUILD, "--vmlinuz", str(image)),
            "not a vmlinux or bzImage, or damaged")


def test_other_headers(tmp_path):
    """Headers and image of two kernels."""
    source = write_patch(str(tmp_path), "other", NEW_SHOW, SHOW)
    headers = tmp_path / "headers"
    headers.mkdir()
    for name in os.listdir(os.path.realpath(KBUILD)):
        if name != "include":
            os.symlink(os.path.join(os.path.realpath(KBUILD), name), headers / name)
    shutil.copytree(os.path.join(KBUILD, "include"), headers / "include", symlinks=True)
    utsrelease = headers / "include/generated/utsrelease.h"
    utsrelease.write_text('#define UTS_RELEASE "6.1.0-other"\n')
    refused(suture(source, "-o", str(tmp_path / "other.sut"), "--kernel", str(headers),
                   "--vmlinuz", KERNEL), "the headers are of Linux 6.1.0-other, and ")


def test_build_id(build):
    refused(build(NEW_SHOW, SHOW, "--build-id", "00" * 20), "--build-id 0+: that of .* is another")


# ---- what is put into the bundle ----

def test_cves(build, tmp_path):
    built(build(NEW_SHOW, SHOW, "--cve", "CVE-2026-1234", "--cve", "CVE-2025-12345,CVE-2026-1234",
                "--cve", "CVE-1999-0001"))
    assert inspect(tmp_path / "wrong.sut")["cves"] == [
        "CVE-2026-1234", "CVE-2025-12345", "CVE-1999-0001"]


@pytest.mark.parametrize("cve", ["CVE-2026-123", "cve-2026-1234", "CVE-26-1234", "CVE-2026-12a4", "",
                                 "CVE-2026-1234,", "CVE-2026-1234 ", "CVE-2026-" + "1" * 40])
def test_bad_cve(build, cve):
    refused(build(NEW_SHOW, SHOW, "--cve", cve), "--cve .*: give CVE-YEAR-NUMBER")


def test_no_debug_information(build, tmp_path):
    """Debug information is needed to build the bundle, and is not in it."""
    built(build(NEW_SHOW))
    bundle = inspect(tmp_path / "wrong.sut")
    assert bundle["payload_size"] < 20000, bundle


def test_time(build, measured):
    """The checks take little of a build."""
    start = time.monotonic()
    built(build(NEW_SHOW))
    both = time.monotonic() - start
    measured(f"suture build: {both:.1f} s")
