#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Which test runs on which machine, and why it does not run on another: the table in
docs/testing.md.

A test about one kind of machine alone has its name as a mark, with the reason: @pytest.mark.x86("why");
one that needs QEMU @pytest.mark.qemu("what for"). What `make check` leaves out for time, and what is
known to pass in Bochs, is in mk/check.mk (make test-lists).

    mk/lint-tests.py            check; exit status 1 if a mark has no reason, or the table is stale
    mk/lint-tests.py --write    write the table (make docs-tests)
"""

import ast
import glob
import os
import subprocess
import sys

# {column: its machines' kinds (tests/qemu/platforms.py)}
MACHINES = {"AMD": {"x86", "svm"}, "Intel": {"x86", "vmx"}, "arm64": {"arm64"}}
KINDS = set().union(*MACHINES.values())
WITHOUT_QEMU = {"Intel"}
# where not all tests were tried: those that the lists have not
SOME_TRIED = {"Intel"}
DOCUMENT = "docs/testing.md"
NO_JOBS = {**os.environ, "MAKEFLAGS": ""}  # of a make that may have called this
BEGIN, END = "<!-- tests: begin, written by make docs-tests -->\n", "<!-- tests: end -->\n"


class Test:
    """only: {kind or "qemu": reason}; needs: conditions, in words; listed: {(machine, list): are all cases?}."""

    def __init__(self, file, name, only, needs):
        self.id = f"{file}::{name}"
        self.file, self.name, self.only, self.needs, self.listed = file, name, only, needs, {}

    def runs(self, machine):
        kinds = self.only.keys() - {"qemu"}
        return ((not kinds or bool(kinds & MACHINES[machine]))
                and not ("qemu" in self.only and machine in WITHOUT_QEMU))

    def cell(self, machine):
        if not self.runs(machine):
            return "–"
        checked = self.listed.get((machine, "check"), None if machine in SOME_TRIED else True)
        long = self.listed.get((machine, "long"))
        if checked is None and long is None:
            return ""
        if long is None:
            return "check" if checked else "check, some cases"
        if long and (checked is None or machine not in SOME_TRIED):
            return "long"
        return "some cases long" if checked is None else "check, some cases long"


def text_of(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


class Marks:
    def __init__(self):
        self.named = {}  # of module variables: their mark

    def expand(self, node):
        return self.named.get(node.id, node) if isinstance(node, ast.Name) else node

    def resolve(self, node):
        """(name, call or None) of the mark that the expression is."""
        node = self.expand(node)
        call = node if isinstance(node, ast.Call) else None
        head = call.func if call else node
        name = head.attr if isinstance(head, ast.Attribute) and "mark" in ast.dump(head.value) else None
        return name, call

    def add(self, node, only, needs):
        name, call = self.resolve(node)
        if name in KINDS or name == "qemu":
            only[name] = text_of(call.args[0]) if call and call.args else None
        elif name == "skipif" and call:
            needs += ["not if " + text_of(word.value) for word in call.keywords if word.arg == "reason"]
        elif name == "parametrize":
            marks = [self.resolve(part) for value in call.args for part in ast.walk(self.expand(value))
                     if isinstance(part, ast.Call)]
            needs += [f"some cases only {name}: {text_of(mark.args[0])}" for name, mark in marks
                      if name in KINDS and mark.args]


def read_file(path, errors):
    with open(path) as source:
        tree = ast.parse(source.read(), path)
    marks, everywhere, tests = Marks(), [], []
    names = KINDS | {"qemu"}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
              and text_of(node.args[0])}
    for node in ast.walk(tree):
        if (isinstance(node, ast.Attribute) and node.attr in names and id(node) not in called
                and ast.unparse(node.value) == "pytest.mark"):
            errors.append(f"{path}:{node.lineno}: the mark says not why: pytest.mark.{node.attr}(\"...\")")
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == "pytestmark":
                everywhere += node.value.elts if isinstance(node.value, ast.List) else [node.value]
            else:
                marks.named[node.targets[0].id] = node.value
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            only, needs = {}, []
            for mark in everywhere + node.decorator_list:
                marks.add(mark, only, needs)
            tests.append(Test(os.path.basename(path), node.name, only, needs))
    return tests


def leave_out(tests, errors):
    """The lists of mk/check.mk: `MACHINE check|long TEST` a line, TEST as pytest's --deselect has it."""
    lists = subprocess.run(["make", "-s", "--no-print-directory", "test-lists"], env=NO_JOBS,
                           stdout=subprocess.PIPE, check=True).stdout.decode()
    for line in lists.splitlines():
        machine, which, name = line.split(None, 2)
        plain = name.split("[")[0]
        found = [test for test in tests if test.file == plain or test.id == plain]
        if not found:
            errors.append(f"mk/check.mk: {name} is no test")
        for test in found:
            key = machine, which
            test.listed[key] = test.listed.get(key, False) or plain == name


def where(test):
    reasons = [f"needs QEMU: {why}" if name == "qemu" else f"only {name}: {why}"
               for name, why in test.only.items() if why]
    return "; ".join(reasons + test.needs)


def table(tests):
    lines = ["| Tests | " + " | ".join(MACHINES) + " | why |", "|---|" + "---|" * len(MACHINES) + "---|"]
    for file in sorted({test.file for test in tests}):
        mine = [test for test in tests if test.file == file]
        cells = [[test.cell(name) for test in mine] for name in MACHINES]
        alike = [len(set(column)) == 1 for column in cells]
        if all(alike) and len({where(test) for test in mine}) == 1:
            lines.append(f"| `{file}` | " + " | ".join(column[0] for column in cells) + f" | {where(mine[0])} |")
            continue
        usual = [max(sorted(set(column)), key=column.count) for column in cells]
        lines.append(f"| `{file}` | " + " | ".join(usual) + " | |")
        lines += [f"| – `{test.name}` | " + " | ".join(row) + f" | {where(test)} |"
                  for test, *row in zip(mine, *cells) if row != usual or where(test)]
    return "\n".join([*lines, ""]).replace(" |  |", " | |")


def main():
    errors, tests = [], []
    for path in sorted(glob.glob("tests/qemu/test_*.py")):
        tests += read_file(path, errors)
    leave_out(tests, errors)
    with open(DOCUMENT) as document:
        text = document.read()
    head, rest = text.split(BEGIN)
    was, tail = rest.split(END)
    now = table(tests)
    if sys.argv[1:] == ["--write"]:
        with open(DOCUMENT, "w") as document:
            document.write(head + BEGIN + now + END + tail)
    elif was != now:
        errors.append(f"{DOCUMENT}: the table of tests is stale: make docs-tests")
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
