# SPDX-License-Identifier: BSD-2-Clause
"""Build bundles with `suture build`, of the examples and of C sources in livepatch style that the
tests write; apply and revert them."""

import os
import subprocess

from machine import BUILD, GUEST, KBUILD, KERNEL, PLATFORM, SUTURE, TOP

MODULES = os.path.join(BUILD, "guest", GUEST, "modules", "kernel")
TEST_MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")

with open(os.path.join(KBUILD, "include", "config", "auto.conf")) as config:
    CONFIG = config.read().split("\n")
# variables that are not exported have an address for payloads
KALLSYMS_ALL = "CONFIG_KALLSYMS_ALL=y" in CONFIG
# of ftrace, which BPF programs at functions need
DIRECT_CALLS = "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y" in CONFIG
# Linux's own
LIVEPATCH = "CONFIG_LIVEPATCH=y" in CONFIG
# A function of the kernel that no jump fits; None: on arm64 the padding behind the text has room for all
TOO_SHORT = {"x86": "srso_untrain_ret"}.get(PLATFORM.architecture)

TEMPLATE = """// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/livepatch.h>
#include <linux/seq_file.h>

{code}

{funcs}

static struct klp_object objs[] = {{
{objects}
	{{}},
}};

static struct klp_patch patch = {{
	.mod = THIS_MODULE,
	.objs = objs,
	.replace = {replace},
}};

static int __init patch_init(void)
{{
	{init}
	return klp_enable_patch(&patch);
}}

static void __exit patch_exit(void)
{{
}}

module_init(patch_init);
module_exit(patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
"""


def livepatch_source(code, functions, init="", replace=False):
    """C source of a patch: functions is {object (None: vmlinux): {old function: new function}}."""
    funcs, objects = [], []
    for n, (name, replaced) in enumerate(functions.items()):
        lines = "".join(f'\t{{.old_name = "{old}", .new_func = {new}}},\n'
                        for old, new in replaced.items())
        funcs.append(f"static struct klp_func funcs{n}[] = {{\n{lines}\t{{}},\n}};")
        field = f'.name = "{name}", ' if name else ""
        objects.append(f"\t{{{field}.funcs = funcs{n}}},")
    return TEMPLATE.format(code=code, funcs="\n\n".join(funcs), objects="\n".join(objects),
                           init=init, replace=str(replace).lower())


def suture_build(source, bundle, *options, timeout=120):
    """`suture build`, with more options for it; returns (status, what it printed)."""
    done = subprocess.run([SUTURE, "build", source, "--kernel", KBUILD, "--vmlinuz", KERNEL,
                           "--modules", MODULES, "--modules", TEST_MODULES, "-o", bundle, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    return done.returncode, done.stdout.decode(errors="replace")


def example(folder, name):
    """Build examples/name into folder; returns the bundle's path."""
    bundle = os.path.join(folder, f"{name}.sut")
    status, output = suture_build(os.path.join(TOP, "examples", name), bundle)
    assert status == 0, output
    return bundle


# of examples/commit-limit, where variables that are not exported have no addresses
OWN_VARIABLES = """
static int own_ratio = 50;
static long own_kbytes, own_swap;
module_param(own_ratio, int, 0444);
#define sysctl_overcommit_ratio own_ratio
#define sysctl_overcommit_kbytes own_kbytes
#define total_swap_pages own_swap
"""
COMMIT_RATIO = ("/proc/sys/vm/overcommit_ratio" if KALLSYMS_ALL else
                "/sys/module/commit_limit/parameters/own_ratio")


def commit_limit(folder):
    """Build examples/commit-limit, which sets COMMIT_RATIO to 25; returns the bundle's path."""
    if KALLSYMS_ALL:
        return example(folder, "commit-limit")
    with open(os.path.join(TOP, "examples", "commit-limit", "commit_limit.c")) as f:
        text = f.read()
    source = os.path.join(folder, "commit_limit")
    os.makedirs(source, exist_ok=True)
    with open(os.path.join(source, "Kbuild"), "w") as f:
        f.write("obj-m := commit_limit.o\n")
    with open(os.path.join(source, "commit_limit.c"), "w") as f:
        last = "#include <linux/swap.h>\n"
        assert last in text
        f.write(text.replace(last, last + OWN_VARIABLES))
    bundle = os.path.join(folder, "commit_limit.sut")
    status, output = suture_build(source, bundle)
    assert status == 0, output
    return bundle


def write_patch(folder, name, code, functions, init="", replace=False):
    """Write a patch into folder/name, which is returned."""
    source = os.path.join(folder, name)
    os.makedirs(source, exist_ok=True)
    with open(os.path.join(source, "Kbuild"), "w") as f:
        f.write(f"obj-m := {name}.o\n")
    with open(os.path.join(source, f"{name}.c"), "w") as f:
        f.write(livepatch_source(code, functions, init, replace))
    return source


def make_patch(folder, name, code, functions, init="", replace=False, check=True):
    """Write a patch into folder/name and build it; returns the bundle's path. check=False: also if it
    does not fit the kernel."""
    bundle = os.path.join(folder, f"{name}.sut")
    status, output = suture_build(write_patch(folder, name, code, functions, init, replace), bundle,
                                  *([] if check else ["--no-check"]))
    assert status == 0, f"suture build {name}:\n{output}"
    return bundle


def apply(guest, bundle):
    """Returns the output of the command."""
    result = guest.suture("apply", bundle)
    assert result.status == 0, result
    return result.out


def revert(guest, name):
    """Likewise."""
    result = guest.suture("revert", name)
    assert result.status == 0, result
    return result.out
