#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write compile_commands.json for clangd and clang-tidy.

    make -n V=1 ... | mk/compdb.py OUTPUT [KBUILD-DIR...]

Commands come from make's dry run on standard input, and from the .o.cmd files of modules that kbuild has
built. A file that is compiled more than once (the monitor's, for the image and for unit tests) is
listed once, with the command that comes first.
"""

import glob
import json
import os
import re
import shlex
import sys

COMPILERS = ("gcc", "musl-gcc", "cc")
SOURCES = (".c", ".S")

# Options that gcc accepts and clang refuses; none changes the meaning of a source.
GCC_ONLY = re.compile(r"-(maccumulate-outgoing-args|mpreferred-stack-boundary=.*|mskip-rax-setup|mrecord-mcount"
                      r"|mindirect-branch.*|mfunction-return=.*|mharden-sls=.*|falign-(jumps|loops)=.*"
                      r"|fconserve-stack|fno-allow-store-data-races|fno-(tree|ipa|var)-.*|fsanitize=bounds-strict"
                      r"|fmin-function-alignment=.*|ftrivial-auto-var-init=.*|fzero-call-used-regs=.*"
                      r"|fplugin.*|W(no-)?(error=)?(designated-init|maybe-uninitialized|alloc-size.*|dangling-pointer"
                      r"|stringop-.*|packed-not-aligned|unused-but-set-.*|imply.*|cast-function-type|restrict"
                      r"|format-(overflow|truncation).*|implicit-fallthrough=.*|date-time)|s|static|lcmocka)$")


def commands_of_make(text):
    """Word lists of the compilers' command lines, in make's order."""
    for line in text.replace("\\\n", " ").splitlines():
        if not re.match(r"\s*(\S*-)?(%s)\s" % "|".join(COMPILERS), line):
            continue
        try:
            yield shlex.split(line)
        except ValueError as err:
            sys.exit(f"compdb: {err}: {line}")


def entries_of_make(text, root):
    for words in commands_of_make(text):
        sources = [word for word in words if word.endswith(SOURCES)]
        # a program that is compiled and linked in one command: one entry for each source
        rest = [word for word in words if not word.endswith(SOURCES + (".o", ".a")) and word != "-c"]
        for source in sources:
            yield os.path.join(root, source), root, rest + ["-c", source]


def entries_of_kbuild(folder):
    """kbuild's sources are links into guest-agent/; its commands are run in the kernel's headers."""
    for path in sorted(glob.glob(os.path.join(folder, ".*.o.cmd"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        command = re.search(r"^(?:saved)?cmd_\S+ := (.*)$", text, re.M)
        source = re.search(r"^source_\S+ := (.*)$", text, re.M)
        if not command or not source or source[1].endswith(".mod.c"):
            continue
        words = shlex.split(command[1].split(" ; ")[0].replace(r"\#", "#"))
        where = kbuild_root(folder)
        link = os.path.join(folder, os.path.basename(source[1]))
        yield os.path.realpath(link), where, words


def kbuild_root(folder):
    """The folder of the kernel's headers, that belongs to a module built in `folder`."""
    release = os.path.basename(os.path.normpath(folder))
    return os.path.realpath(os.path.join(folder, "../../guest", release, "kbuild"))


def main():
    output, folders = sys.argv[1], sys.argv[2:]
    found = {}
    entries = list(entries_of_make(sys.stdin.read(), os.getcwd()))
    for folder in folders:
        entries += entries_of_kbuild(folder)
    for file, directory, words in entries:
        words = [word for word in words if not GCC_ONLY.match(word)]
        found.setdefault(file, {"directory": directory, "file": file, "arguments": words})
    if not found:
        sys.exit("compdb: make's dry run names no compiler's command")
    with open(output, "w", encoding="utf-8") as file:
        json.dump([found[key] for key in sorted(found)], file, indent=1)
        file.write("\n")
    print(f"compdb: {len(found)} files in {output}")


main()
