#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints each static function of monitor/ whose name is a single word: in a backtrace or a search
`drop` or `find` does not name its object. A name also has a noun or a prefix, and so an underscore.
Prints as well each function that the guide to the engine names and that is not in the file that the
guide gives."""

import os
import re
import subprocess
import sys

# Names that may stay, each with its reason: none so far.
EXCEPTIONS = frozenset()
GUIDE = "monitor/patch/engine/engine.h"

FUNCTION = re.compile(r"^static\b[^;={}()]*?\b([A-Za-z]\w*)\((?!\()", re.MULTILINE)
ATTRIBUTES = re.compile(r"__attribute__\s*\(\(.*?\)\)|\b__printf_like\([^)]*\)")


def one_word(text):
    """(line, name) of each such function in the source text."""
    text = ATTRIBUTES.sub("", text)
    for found in FUNCTION.finditer(text):
        if "_" not in found[1] and found[1] not in EXCEPTIONS:
            yield text.count("\n", 0, found.start()) + 1, found[1]


def not_there(guide, folder):
    """What its first comment names as `file.c: function(), ...` and the file does not define."""
    comment = re.sub(r"\n \*", "", guide[:guide.index("#ifndef")])
    for found in re.finditer(r"(\w+\.c):((?:\s+\w+\(\),?)+)", comment):
        with open(os.path.join(folder, found[1]), encoding="utf-8") as f:
            text = f.read()
        for name in re.findall(r"\w+", found[2]):
            if not re.search(rf"^[a-z][\w *]*\b{name}\([^;]*?\)\n{{", text, re.MULTILINE):
                yield f"{found[1]}: {name}()"


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
                            "monitor/*.[ch]"], stdout=subprocess.PIPE, check=True, text=True).stdout
    bad = 0
    for path in files.split():
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except FileNotFoundError:  # deleted, and not committed yet
            continue
        for line, name in one_word(text):
            print(f"{path}:{line}: static {name}(): a name of one word", file=sys.stderr)
            bad += 1
    with open(GUIDE, encoding="utf-8") as f:
        guide = f.read()
    for missing in not_there(guide, os.path.dirname(GUIDE)):
        print(f"{GUIDE}: {missing}: there is no such function", file=sys.stderr)
        bad += 1
    return bool(bad)


sys.exit(main())
