#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that the table of docs/vmx.md has each field of the VMCS that the monitor writes, and no other.
Its first column names them as arch/x86/vmx/vmcs.h does, in backquotes and without VMCS_."""

import glob
import re
import sys

DOC = "docs/vmx.md"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def written(text):
    """The fields in the first argument of each vmcs_write(), and in the arrays that it reads."""
    names = set()
    for argument in re.findall(r"\bvmcs_write\(((?:[^(),]|\([^()]*\))*),", text):
        array = re.fullmatch(r"(\w+)\[\w+\]", argument)
        if array:
            argument = re.search(rf"\b{array[1]}\[\] = {{([^}}]*)}}", text)[1]
        names.update(re.findall(r"\bVMCS_(\w+)", argument))
    return names | set(re.findall(r"mov\s+\$VMCS_(\w+)", text))


def main():
    code = set().union(*(written(read(path)) for path in glob.glob("arch/x86/vmx/*.[cS]"))) - {"SEGMENT"}
    table = re.search(r"^\| Field \|.*?\n\n", read(DOC), re.MULTILINE | re.DOTALL)[0]
    named = {name for row in table.split("\n| ")[1:] for name in re.findall(r"`([A-Z0-9_]+)`", row.split("|")[0])}
    for name in sorted(code - named):
        print(f"lint: {DOC}: no row names {name}, which the monitor writes", file=sys.stderr)
    for name in sorted(named - code):
        print(f"lint: {DOC}: {name}: the monitor does not write it", file=sys.stderr)
    return code != named


sys.exit(main())
