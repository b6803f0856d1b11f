#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Names of this tree in documents and comments: prints each that is not there.

In documents (*.md): what stands in backquotes and is a path (`monitor/main.c`, `patch/bundle.c`,
`tests/unit/test_shadow*.c`, `arch/fake/`), a function (`pause_begin()`) or a test
(`test_patch.py::test_life`); a function with a path behind it, `pause_begin()` (`core/pause.c`), is in
that file. In sources: each path with a folder in it; in those
of PRODUCT each file name. A path may begin at any
folder of the tree. FOREIGN has what belongs to others.

    mk/lint-docs.py          check; exit status 1 if a name is not there
"""

import fnmatch
import os
import re
import subprocess
import sys

PRODUCT = re.compile(r"(?:monitor|arch|ctl|guest-agent|include)/.*\.[chS]$")
ENDING = r"\.(?:[chS]|py|sh|mk|md|lds)"
# where paths begin that are Linux's, the compiler's, the system's or made by the build
FOREIGN_PATHS = re.compile(r"/|\.\./|build/|kernel/|scripts/|linux/|asm/|sys/|tools/|drivers/|fs/|mm/|net/core/|"
                           r"lib/(?:modules|tests)/|include/(?:linux|asm|generated)/|Documentation/|"
                           r"arch/(?:x86|arm64)/(?:kernel|lib|include/asm|mm|entry)/|samples/")
# Linux's own functions, libraries' and instructions
FOREIGN_FUNCTIONS = set("""
    BUG _free _free_all _get _get_or_alloc alternatives_enable_smp bpf_override_return bus_for_each_dev
    console_lock driver_for_each_device kvfree_rcu load_balance mutex_lock_interruptible
    cpu_clear_ignne cpu_physical_memory_is_clean cpu_set_fpus notdirty_write pre_handler_kretprobe release_task
    tb_gen_code tb_page_add tlb_set_dirty
""".split())
# lwIP's, QEMU's, the compiler's, what suture build writes, and Linux's where no folder is named
FOREIGN_FILES = set("""
    accel/tcg/cputlb.c apps/http/httpd.c core.c lwip/arch.h lwip/opt.h modpost.c moduleparam.h opt.h orc_types.h stdarg.h
    own-callbacks.c patch-source.c svm_helper.c transition.c
""".split())


def tracked():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                         stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return [path for path in out if path and os.path.isfile(path)]


class Tree:
    def __init__(self):
        self.files = tracked()
        self.folders = {os.path.dirname(path)[:i] for path in self.files
                        for i in [m.start() for m in re.finditer("/", os.path.dirname(path) + "/")]}
        self.sources = {path: self.text(path) for path in self.files if re.search(r"\.([chS]|py|sh|mk)$", path)}
        self.called = set()
        for text in self.sources.values():
            self.called.update(re.findall(r"\b([A-Za-z_]\w*)\s?\(", text))

    @staticmethod
    def text(path):
        with open(path, errors="replace") as file:
            return file.read()

    def find(self, name):
        """The files that a path with or without its first folders can mean."""
        return [path for path in self.files
                if fnmatch.fnmatch(path, name) or fnmatch.fnmatch(path, "*/" + name)]

    def has_path(self, name):
        if name.endswith("/"):
            return any(folder == name[:-1] or folder.endswith("/" + name[:-1]) for folder in self.folders)
        return bool(self.find(name))

    def has_test(self, name):
        path, test = name.split("::")
        return any(re.search(rf"\b{re.escape(test)}\b", self.sources[found]) for found in self.find(path)
                   if found in self.sources)


def names_in_document(text):
    for number, line in enumerate(text.split("\n"), 1):
        for name in re.findall(r"`([^`]+)`", line):
            yield number, name


def wrong_in_document(tree, text):
    for number, name in names_in_document(text):
        function = re.fullmatch(r"([A-Za-z_]\w*)\(\)", name)
        if function:
            if function[1] not in tree.called | FOREIGN_FUNCTIONS:
                yield number, f"there is no function {name}"
        elif re.fullmatch(rf"[\w./*-]+{ENDING}::\w+", name):
            if not tree.has_test(name):
                yield number, f"there is no test {name}"
        elif re.fullmatch(rf"[\w./*-]+{ENDING}|[\w.-]+/(?:[\w.-]+/)*", name):
            if not FOREIGN_PATHS.match(name) and name not in FOREIGN_FILES and not tree.has_path(name):
                yield number, f"there is no {name}"


def misplaced(tree, text):
    """A function with its file behind it, in parentheses: `pause_begin()` (`core/pause.c`)."""
    for place in re.finditer(rf"`(\w+)\(\)`\s\(`([\w./-]+{ENDING})`\)", text):
        function, path = place.groups()
        if not any(re.search(rf"\b{function}\s?\(", tree.sources[found])
                   for found in tree.find(path) if found in tree.sources):
            yield text.count("\n", 0, place.start()) + 1, f"{path} has no function {function}()"


def wrong_in_source(tree, path, text):
    folders = "*" if PRODUCT.match(path) else "+"
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r"\s*#\s*include", line):
            continue
        for name in re.findall(rf"(?<![\w./*$){{}}<%-])((?:[\w-]+/){folders}[\w*-]+{ENDING})\b", line):
            if not FOREIGN_PATHS.match(name) and name not in FOREIGN_FILES and not tree.has_path(name):
                yield number, f"there is no {name}"


def main():
    tree = Tree()
    broken = 0
    for path in tree.files:
        if path.endswith(".md"):
            text = tree.text(path)
            wrong = [*wrong_in_document(tree, text), *misplaced(tree, text)]
        elif path in tree.sources and path != "mk/lint-docs.py":
            wrong = wrong_in_source(tree, path, tree.sources[path])
        else:
            continue
        for number, what in wrong:
            print(f"lint: {path}:{number}: {what}", file=sys.stderr)
            broken += 1
    return broken != 0


if __name__ == "__main__":
    sys.exit(main())
