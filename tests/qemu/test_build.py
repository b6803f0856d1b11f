# SPDX-License-Identifier: BSD-2-Clause
"""Errors in patches that `suture build` finds without a guest: in the payload itself, and by
comparison with the kernel's image, types and modules."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from machine import KBUILD, KERNEL, PLATFORM, SUTURE
from patches import KALLSYMS_ALL, MODULES, suture_build, write_patch

X86 = PLATFORM.architecture == "x86"
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


# ---- the payload itself ----

# a kernel without CONFIG_KALLSYMS_ALL has the addresses of functions alone
STATIC = "tainted_mask + this_cpu_read(process_counts)" if KALLSYMS_ALL else "get_taint()"
DECLARED = """
        extern unsigned long tainted_mask;
        DECLARE_PER_CPU(unsigned long, process_counts);
""" if KALLSYMS_ALL else ""


def test_good(build, tmp_path, measured):
    """A good patch: one line is said, whatever symbols it uses: exported ones, static ones, per-CPU
    variables, a module's, one that need not be there. What is meant so is no fault: init uses init, a
    parameter that sysfs does not show, read-only data that is read, prototypes that differ in
    qualifiers, signs and names."""
    start = time.monotonic()
    output = built(build("""
        #include <linux/percpu.h>
    """ + DECLARED + """
        extern int of_module(void) SUTURE_SYMBOL(dummy, dummy_change_carrier, 0);
        extern int dummy_dev_init(void *dev);
        extern int perhaps(void) __weak;
        static int value __initdata = 3;
        module_param(value, int, 0);
        static int limit __ro_after_init = 3;
        typedef struct seq_file other_name;
        static int __init helper(int x) { return x + value; }
        static unsigned int new_show(other_name *const m, const struct file *v)
        {
            return of_module() + dummy_dev_init(m) + STATIC
                   + (perhaps ? perhaps() : 0) + (limit == 4 ? 0 : limit);
        }
    """.replace("STATIC", STATIC), SHOW, "--cve", "CVE-2026-1234", "--cve", "CVE-2025-12345,CVE-2026-1234", "--cve",
                         "CVE-1999-0001", init="limit = helper(2);"))
    measured(f"suture build with all checks: {time.monotonic() - start:.1f} s")
    assert output.count("\n") == 1, output
    bundle = inspect(tmp_path / "wrong.sut")
    assert bundle["cves"] == ["CVE-2026-1234", "CVE-2025-12345", "CVE-1999-0001"]
    # debug information is needed to build it, and is not in it
    assert bundle["payload_size"] < 20000, bundle


LIFETIME = """
static noinline int __init init_helper(int x) { return x + jiffies; }
static noinline int __exit exit_helper(int x) { return x + jiffies; }
static int data __initdata = 3;
static const int values[] __initconst = {1, 2, 3};
static int read_only __ro_after_init = 3, read_only_too __ro_after_init = 3;
static int parameter __initdata = 3;
module_param(parameter, int, 0644);

static int __init new_show(struct seq_file *m, void *v) { return 0; }
static int new_version(struct seq_file *m, void *v) { return init_helper(1); }
static int new_loadavg(struct seq_file *m, void *v) { return exit_helper(1); }
static int new_uptime(struct seq_file *m, void *v) { return data++ + values[jiffies % 3]; }
static int new_meminfo(struct seq_file *m, void *v)
{
    read_only = jiffies;
    read_only_too = 7;
    barrier();
    return read_only + read_only_too;
}
"""


def test_lifetime(build):
    """Memory that the payload does not have for long; --no-check does not override it."""
    output = refused(build(LIFETIME, {None: {
        "cmdline_proc_show": "new_show", "version_proc_show": "new_version",
        "loadavg_proc_show": "new_loadavg", "uptime_proc_show": "new_uptime",
        "meminfo_proc_show": "new_meminfo"}}, "--no-check"), "section mismatch")
    for says in (r"funcs0 uses new_show, which is in \.init\.text",
                 r"new_version uses init_helper\S*, which is in \.init\.text .* remove its __init",
                 r"new_loadavg uses exit_helper\S*, which is in \.exit\.text .* remove its __exit",
                 r"new_uptime uses data, which is in \.init\.data",
                 r"new_uptime uses values, which is in \.init\.rodata",
                 r"new_meminfo writes to read_only, which is __ro_after_init",
                 # arm64 may store relative to the other variable: no relocation tells of that
                 r"new_meminfo writes to read_only_too, which is __ro_after_init" if X86 else "",
                 r"parameter in parameter is in sysfs, but its variable is gone",
                 rf"wrong: not built: {8 if X86 else 7} errors"):
        assert re.search(says, output), (says, output)


def test_warnings(build):
    """The compiler's are shown, and names that the kernel has, too."""
    output = built(build(NEW_SHOW + """
        static int unused(void) { return 1; }
        void __weak helper(void);
        void __weak helper(void) { }
        void seq_pad(struct seq_file *m, char c);
        void seq_pad(struct seq_file *m, char c) { }
        void s_stop(void);
        void s_stop(void) { }
    """))
    for says in ("defined but not used", "warning: 'helper' is a weak definition",
                 "warning: 'seq_pad' is global, and the kernel has one",
                 "warning: 's_stop' is global, and the kernel has one"):
        assert re.search(says, output), (says, output)


def test_export(build):
    """kbuild refuses it by now; for older ones we do."""
    status, output = build(NEW_SHOW + """
        void seq_pad(struct seq_file *m, char c);
        void seq_pad(struct seq_file *m, char c) { }
        EXPORT_SYMBOL(seq_pad);
    """)
    assert status != 0 and re.search("'seq_pad' exported twice|exports 'seq_pad'", output), output


# ---- against the kernel ----

WRONG = r"""
static int new_show(struct seq_file *m, void *v) { return 0; }
static int new_count(struct seq_file *m) { return 0; }
static void new_void(struct seq_file *m, void *v) { }
static long new_long(struct seq_file *m, void *v) { return 0; }
static int new_struct(struct file *m, void *v) { return 0; }
static int new_variadic(struct seq_file *m, ...) { return 0; }
struct pt_regs;
static long __used new_a(const struct pt_regs *r) { return 1001; }
static long __used new_b(const struct pt_regs *r) { return 1002; }
extern int wanted_in_vain(void);
extern int ambiguous(void) SUTURE_SYMBOL(vmlinux, type_show, 0);
extern int noposition(void) SUTURE_SYMBOL(vmlinux, cmdline_proc_show, 2);
extern int notinmodule(void) SUTURE_SYMBOL(dummy, no_such, 0);
extern char boot_command_line[];
extern int parse_early_options(char *);
static void *const used[] __used = {wanted_in_vain, ambiguous, noposition, notinmodule, boot_command_line,
                                    parse_early_options};
"""
# one function with two names: what the kernel for arm64 has none of
SAME_TWICE = ({"__x64_sys_getppid": "new_a", "__do_sys_getppid": "new_b"}
              if PLATFORM.architecture == "x86" else {})


def test_against_kernel(build):
    """Each function and symbol that does not fit is named, in one go; --no-check builds it all the
    same."""
    functions = {None: {
        "no_such_function": "new_show", "type_show": "new_show", "parse_early_param": "new_show",
        "tainted_mask": "new_show", "type_show\", .old_sympos = 99, .old_name = \"type_show": "new_show",
        "cmdline_proc_show": "new_count", "version_proc_show": "new_void",
        "loadavg_proc_show": "new_long", "uptime_proc_show": "new_struct",
        "meminfo_proc_show": "new_variadic", **SAME_TWICE,
    }, "dummy": {"dummy_no_such": "new_show", "dummy_xmit": "new_show",
                 "dummy_init_module": "new_show"}}
    says = (
        r"no function 'no_such_function' in 'vmlinux': misspelt, or inlined",
        r"'type_show' is ambiguous: 'vmlinux' has \d+ of that name",
        r"'parse_early_param' of 'vmlinux' is __init",
        r"'tainted_mask' of 'vmlinux' is data" if KALLSYMS_ALL else r"no function 'tainted_mask' in 'vmlinux'",
        r"no function 'type_show' at position 99 in 'vmlinux', which has \d+",
        r"cmdline_proc_show\(struct seq_file \*, void \*\) -> int in the kernel, "
        r"new_count\(struct seq_file \*\) -> int in the patch",
        r"new_void\(struct seq_file \*, void \*\) -> void in the patch",
        r"new_long\(struct seq_file \*, void \*\) -> long int in the patch",
        r"new_struct\(struct file \*, void \*\) -> int in the patch",
        r"new_variadic\(struct seq_file \*, \.\.\.\) -> int in the patch",
        *([r"'__do_sys_getppid' and '__x64_sys_getppid' are the same function"] if SAME_TWICE else []),
        r"no function 'dummy_no_such' in 'dummy'",
        r"dummy_xmit\(struct sk_buff \*, struct net_device \*\) -> netdev_tx_t in the kernel",
        r"'dummy_init_module' of 'dummy' is __init",
        r"symbol 'wanted_in_vain' is not in the kernel and its modules",
        r"symbol 'type_show' is ambiguous: vmlinux has \d+",
        r"symbol 'cmdline_proc_show' has no position 2 in vmlinux, only 1",
        r"symbol 'no_such' is not in dummy",
        r"symbol 'boot_command_line' is in the kernel's init memory, which is gone" if KALLSYMS_ALL else
        r"symbol 'boot_command_line' is not in the kernel and its modules, of whose variables",
        r"symbol 'parse_early_options' is in the kernel's init memory, which is gone",
    )
    output = refused(build(WRONG, functions), f"wrong: not built: {len(says)} errors")
    overridden = built(build(WRONG, functions, "--no-check"))
    for line in says:
        assert re.search("suture: wrong: .*" + line, output), (line, output)
        assert re.search("suture: wrong: warning: .*" + line, overridden), (line, overridden)


INLINED = """
int value;
static inline __attribute__((always_inline)) int gone(int x) { return x * value + 3; }
int first(int x) { return gone(x) + 1; }
int second(int x) { return gone(x) * 2; }
int cmdline_proc_show(int x) { return x + value; }
int calls(int x) { return cmdline_proc_show(x) + 1; }
"""


def test_always_on_a_stack(build):
    """No moment comes without the function on a stack."""
    refused(build(NEW_SHOW, {None: {"schedule": "new_show"}}),
            "'schedule' of 'vmlinux' is on the stack of every task that sleeps")


def test_inlined(build, tmp_path):
    """With debug information the build tells into what a function was inlined."""
    source, debug = tmp_path / "kernel.c", tmp_path / "vmlinux"
    source.write_text(INLINED)
    subprocess.run(["gcc", "-g", "-O2", "-o", debug, "-c", source], check=True)
    output = refused(build(NEW_SHOW, {None: {
        "gone": "new_show", "nowhere": "new_show", "cmdline_proc_show": "new_show"}},
        "--debug", str(debug)),
        "'gone' in 'vmlinux': it was inlined into all of its callers: patch (first, second|second, first)\n")
    assert "'nowhere' in 'vmlinux', nor was one inlined" in output
    assert "'cmdline_proc_show' was inlined as well, into calls: there the old code stays" in output
    refused(build(NEW_SHOW, {None: {"gone": "new_show"}}, "--debug", str(source)),
            "no debug information in it")


def test_modules(build, tmp_path):
    """'-' is '_' in the names of modules; a module that is not at hand; and newer kernels have their
    modules compressed."""
    output = built(build(NEW_SHOW, {**SHOW, "vsock-loopback": {"vsock_loopback_cancel_pkt": "new_show"},
                                    "no-such": {"any_function": "new_show"}}, "--no-check"),
                   "note: module 'no_such' is not at hand")
    assert output.count("not at hand") == 1, output
    assert "vsock_loopback_cancel_pkt(struct" in output
    objects = inspect(tmp_path / "wrong.sut")["objects"]
    assert [o["name"] for o in objects] == ["vmlinux", "vsock_loopback", "no_such"]
    os.remove(tmp_path / "wrong.sut")
    refused(build(NEW_SHOW, {"vsock-loopback": {}, "vsock_loopback": {}}),
            "object 'vsock_loopback' is there twice")


def only_clones():
    """A module and a function of which the compiler left only a clone in it."""
    for folder, _, files in os.walk(MODULES):
        for name in sorted(f for f in files if f.endswith(".ko")):
            nm = subprocess.run(["nm", os.path.join(folder, name)], stdout=subprocess.PIPE, check=True)
            symbols = {line.split()[-1] for line in nm.stdout.decode().splitlines()}
            for symbol in sorted(symbols):
                base, _, suffix = symbol.partition(".")
                if re.match(r"(part|isra|constprop)\.\d+$", suffix) and base not in symbols:
                    return name[:-3], base, symbol
    return pytest.skip("the modules are compressed")


def test_clones(build):
    module, function, clone = only_clones()
    refused(build(NEW_SHOW, {module: {function: "new_show"}}),
            f"no function '{function}' in '{module.replace('-', '_')}', only what the compiler made of "
            f"it: .*{re.escape(clone)}")


def test_compressed_module(tmp_path):
    folder = tmp_path / "modules"
    folder.mkdir()
    for name in os.listdir(os.path.join(MODULES, "drivers/net")):
        if name.startswith("dummy.ko"):
            shutil.copy(os.path.join(MODULES, "drivers/net", name), folder)
    if (folder / "dummy.ko").exists():
        subprocess.run(["xz", "--check=crc32", folder / "dummy.ko"], check=True)
    source = write_patch(str(tmp_path), "wrong", NEW_SHOW, {"dummy": {"dummy_no_such": "new_show"}})
    refused(suture(source, "--vmlinuz", KERNEL, "--modules", str(folder)),
            "no function 'dummy_no_such' in 'dummy'")


@pytest.mark.x86("builds from a diff are for x86-64")
def test_callbacks_of_a_diff(tmp_path):
    """A file that has none is refused before anything else is done."""
    diff = tmp_path / "fix.patch"
    diff.write_text("--- a/{0}\n+++ b/{0}\n".format("kernel/fork.c"))
    own = tmp_path / "own.c"
    options = ["--callbacks", str(own), "--vmlinuz", KERNEL, "--modules", MODULES]

    def build_with(code):
        own.write_text(f"#include <linux/module.h>\n#include <linux/livepatch.h>\n{code}\n")
        return suture(f"--diff={diff}", *options)

    refused(suture(f"--diff={diff}", *options), r"own\.c: No such file")
    refused(build_with("static void __used post_patch_vmlinux(struct klp_object *obj) { }"),
            r"own\.c: has neither a callback, as int pre_patch_vmlinux\(struct klp_object \*\), nor struct klp_state")
    refused(build_with("void post_patch_no_such(struct klp_object *obj) { }"),
            r"post_patch_no_such\(\): there is no module 'no_such'; .* post_patch_vmlinux, post_patch_MODULE")
    refused(build_with("static int __init begin(void) { return 0; } module_init(begin);"),
            "has module_init.. or module_exit.., and the patch has its own")
    refused(suture(str(tmp_path), *options), "--callbacks is for --diff")


# ---- which kernel ----

def suture(source, *options):
    """`suture build` with these options only."""
    done = subprocess.run([SUTURE, "build", source, "-o", f"{source}.sut", "--kernel", KBUILD, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()


def test_no_image(tmp_path):
    """Without the kernel's image the bundle is built, and what was not checked is said; which image
    would be right is found by what `uname -r` says of the kernel."""
    source = write_patch(str(tmp_path), "blind", NEW_SHOW, {None: {"no_such_function": "new_show"}})
    built(suture(source, "--build-id", "00" * 20),
          "note: functions and symbols of the kernel were not checked")
    with open(os.path.join(KBUILD, "include/generated/utsrelease.h")) as f:
        release = re.search('"(.*)"', f.read()).group(1)
    refused(suture(source), f"/boot/vmlinuz-{re.escape(release)} is not here")


def test_wrong_image(tmp_path):
    """One that is damaged, one of another build, and one of another release than the headers."""
    source = write_patch(str(tmp_path), "image", NEW_SHOW, SHOW)
    with open(KERNEL, "rb") as f:
        data = bytearray(f.read())
    # in the middle of what is compressed, or the magic of an arm64 Image
    middle = 0 if data[56:60] == b"ARM\x64" else len(data) // 2
    data[middle:middle + 64] = bytes(64)
    (tmp_path / "vmlinuz").write_bytes(data)
    refused(suture(source, "--vmlinuz", str(tmp_path / "vmlinuz")),
            "not a vmlinux, bzImage or arm64 Image, or damaged")
    refused(suture(source, "--vmlinuz", KERNEL, "--build-id", "00" * 20),
            "--build-id 0+: that of .* is another")
    headers = tmp_path / "headers"
    headers.mkdir()
    for name in os.listdir(KBUILD):
        if name != "include":
            os.symlink(os.path.join(os.path.realpath(KBUILD), name), headers / name)
    shutil.copytree(os.path.join(KBUILD, "include"), headers / "include", symlinks=True)
    (headers / "include/generated/utsrelease.h").write_text('#define UTS_RELEASE "6.1.0-other"\n')
    refused(suture(source, "--vmlinuz", KERNEL, "--kernel", str(headers)),
            "the headers are of Linux 6.1.0-other, and ")


# ---- the command line ----

@pytest.mark.parametrize("cve", ["CVE-2026-123", "cve-2026-1234", "CVE-26-1234", "CVE-2026-12a4", "",
                                 "CVE-2026-1234,", "CVE-2026-1234 ", "CVE-2026-" + "1" * 40])
def test_bad_cve(cve):
    refused(suture("nowhere", "--cve", "CVE-2026-1234", "--cve", cve),
            "--cve .*: give CVE-YEAR-NUMBER")


def test_bad_files(tmp_path):
    source = write_patch(str(tmp_path), "files", NEW_SHOW, SHOW)
    for option, says in ("--debug", "cannot be read"), ("--modules", "No such file"):
        refused(suture(source, "--vmlinuz", KERNEL, option, "/no/such"), f"{option} /no/such: {says}")
