#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that the tables of docs/architecture.md on the contract between the portable part and an
architecture agree with the tree.

- Each function that monitor/arch/*.h or arch/neutral/include/arch/*.h declares has a comment, and a row
  that names the file of each architecture that defines it; `-`: this architecture has none.
- Each function of monitor/arch/upcalls.h has a comment, and a row that names the file that defines it; an
  architecture calls it.
- An architecture includes only those headers of the portable part that ALLOWED lists. The portable part
  includes nothing from an architecture's folder.
"""

import os
import re
import subprocess
import sys

DOC = "docs/architecture.md"
UPCALLS = "monitor/arch/upcalls.h"
NEUTRAL = "arch/neutral"
# services and structures; the page says what makes one
ALLOWED = {
    "core/cpu.h", "core/emergency.h", "core/lock.h", "core/log.h", "core/pause.h", "core/pool.h", "core/progress.h",
    "core/checkpoint.h",
    "stage2/pt.h", "stage2/pgtable.h", "stage2/idmap.h", "stage2/hide.h",
    "net/pci_filter.h", "net/pci_guest.h", "guest/ram.h", "guest/mem.h", "guest/module.h",
    "boot/boot.h", "boot/irqs.h", "boot/range.h", "net/pci.h", "stage2/redirect.h", "guest/unwind.h",
}
MISSING_ALLOWED = {"fake"}  # its machine does not start, and has no firmware

broken = []


def say(text):
    broken.append(text)


def read(path):
    with open(path) as file:
        return file.read()


def files(*where):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *where],
                         stdout=subprocess.PIPE, check=True).stdout.decode().split()
    return sorted(path for path in set(out) if os.path.exists(path))


def blank(text, pattern):
    """What matches becomes spaces: offsets and lines stay."""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL | re.MULTILINE)


def code_of(path):
    """Without comments and what only the preprocessor sees."""
    text = blank(read(path), r"/\*.*?\*/|//[^\n]*")
    return blank(text, r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*")


def declared(path):
    """The functions that a header declares, and whether a comment is above each."""
    text = code_of(path)
    while re.search(r"\{[^{}]*\}", text):  # bodies of types
        text = blank(text, r"\{[^{}]*\}")
    original = read(path).split("\n")
    found = {}
    for m in re.finditer(r"^(?!typedef)[a-zA-Z_][\w \t*]*?(\w+)\([^;]*?\)[^;]*;", text, re.MULTILINE):
        line = text.count("\n", 0, m.start())
        while line and original[line - 1].startswith("#define"):
            line -= 1
        above = original[line - 1].rstrip() if line else ""
        found[m[1]] = above.endswith("*/") or above.endswith(");")
    return found


def defines(path, name):
    text = code_of(path)
    if path.endswith(".S"):
        return re.search(rf"^{name}:", text, re.MULTILINE)
    return re.search(rf"^[a-zA-Z_][\w \t*]*?\b{name}\([^;{{]*\)\s*\{{", text, re.MULTILINE)


def calls(path, name):
    return re.search(rf"(?<!\w){name}\(", code_of(path))


def tables():
    """The tables of the page whose first column is `Function` or `Upcall`: (header, {name: cells})."""
    found = {}
    header = None
    for line in read(DOC).split("\n"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            header = None
        elif header is None:
            header = cells if cells[0] in ("Function", "Upcall") else []
            if header:
                found[cells[0]] = (cells, {})
        elif header and not set(line) <= set("|- "):
            name = cells[0].strip("`")
            if name in found[header[0]][1]:
                say(f"{DOC}: two rows for {name}")
            found[header[0]][1][name] = [cell.strip("`") for cell in cells[1:]]
    for name in ("Function", "Upcall"):
        if name not in found:
            sys.exit(f"lint: {DOC}: there is no table whose first column is {name}")
    return found


def compare(rows, functions, what):
    """Functions and rows are the same. Returns those that have a row."""
    for name, (path, comment) in functions.items():
        if name not in rows:
            say(f"{path}: {name}() has no row in {DOC}")
        if not comment:
            say(f"{path}: {name}() has no comment")
    for name in rows:
        if name not in functions:
            say(f"{DOC}: {name}() is no {what}")
    return [name for name in functions if name in rows]


def check_place(name, place, candidates, missing_allowed):
    """The file `place` of the candidates defines the function, and no other."""
    where = [path for path in candidates if defines(path, name)]
    if place is None and not where and missing_allowed:
        return
    if where != [place]:
        say(f"{DOC}: {name}() is defined in {', '.join(where) or 'no file'}, the table says {place or '-'}")


def check_contract(table):
    header, rows = table
    names = sorted({path.split("/")[1] for path in files("arch/*.c")})
    if sorted(header[2:]) != names:
        say(f"{DOC}: the columns are {header[2:]}, the architectures {names}")
        return
    functions = {}
    for path in files("monitor/arch/*.h", f"{NEUTRAL}/include/arch/*.h"):
        if path != UPCALLS:
            functions.update({name: (path, comment) for name, comment in declared(path).items()})
    sources = {arch: [path for path in files(f"arch/{arch}") if path.endswith((".c", ".h", ".S"))]
               for arch in names}
    for name in compare(rows, functions, "function of the contract"):
        if rows[name][0] != functions[name][0]:
            say(f"{DOC}: {name}() is declared in {functions[name][0]}, the table says {rows[name][0]}")
        for arch, cell in zip(header[2:], rows[name][1:]):
            place = None if cell == "-" else f"arch/{arch}/{cell}"
            check_place(name, place, sources[arch], arch in MISSING_ALLOWED)
    for arch in names:
        for path in files(f"arch/{arch}/include/arch/*.h"):
            if not os.path.exists(path.replace(f"arch/{arch}", NEUTRAL, 1)):
                say(f"{path}: {NEUTRAL}/ has no header of this name, so the contract does not know it")


def check_upcalls(table):
    rows = table[1]
    functions = {name: (UPCALLS, comment) for name, comment in declared(UPCALLS).items()}
    portable = [path for path in files("monitor") if path.endswith(".c")]
    callers = [path for path in files("arch") if path.endswith((".c", ".S"))]
    for name in compare(rows, functions, "upcall"):
        check_place(name, rows[name][0], portable, False)
        if not any(calls(path, name) for path in callers):
            say(f"{UPCALLS}: no architecture calls {name}()")


def check_includes():
    used = set()
    for path in files("arch"):
        if not path.endswith((".c", ".h", ".S")):
            continue
        for name in re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', read(path), re.MULTILINE):
            if name.startswith(("lib/", "arch/")) or not os.path.exists(f"monitor/{name}"):
                continue
            used.add(name)
            if name not in ALLOWED:
                say(f"{path} includes {name}: an architecture calls the rest of the portable part by "
                    "arch/upcalls.h")
    for name in sorted(ALLOWED):
        if f"`{name}`" not in read(DOC):
            say(f"{DOC} does not name {name}, which mk/lint-contract.py allows")
        if name not in used:
            say(f"mk/lint-contract.py allows {name}, which no architecture includes")


def check_portable_includes():
    for path in files("monitor"):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', read(path), re.MULTILINE):
            for place in os.path.dirname(path), "monitor":
                full = os.path.normpath(os.path.join(place, name))
                if full.startswith("arch/") and os.path.exists(full):
                    say(f"{path} includes {name}, which is an architecture's own")
                    break


def main():
    found = tables()
    check_contract(found["Function"])
    check_upcalls(found["Upcall"])
    check_includes()
    check_portable_includes()
    for line in broken:
        print(f"lint: {line}", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
