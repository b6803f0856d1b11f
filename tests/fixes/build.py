#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The commands by which mk/fixes.mk uses fixes.toml:
  build.py guest                 the kernel that lacks the fixes
  build.py version running|fixed the version of Debian's source package
  build.py paths running|fixed   what is unpacked of it
  build.py bundles DIR GUEST     the bundle of each fix, DIR/NAME.sut
  build.py diffs DIR GUEST [short]  those of diffs.toml, in the same way"""

import contextlib
import difflib
import fnmatch
import os
import re
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor

import source

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SUTURE = os.path.join(TOP, "build", "ctl", "suture")
FIXED = os.path.join(TOP, "build", "linux-fixed", "tree")
RUNNING = os.path.join(TOP, "build", "linux-running", "tree")
INCLUDE = os.path.join(TOP, "guest-agent", "include")


def read_table():
    with open(os.path.join(HERE, "fixes.toml"), "rb") as f:
        return tomllib.load(f)


def read_diffs(short=False, kind="diff"):
    with open(os.path.join(HERE, "diffs.toml"), "rb") as f:
        return [diff for diff in tomllib.load(f)[kind] if diff.get("short") or not short]


def paths(table, which):
    files = {fix["file"] for fix in table["fix"]}
    refused = read_diffs(kind="refused")
    more = {name for diff in read_diffs() + refused for name in diff.get("files", ())} | \
        {diff["file"] for diff in refused if "file" in diff and which == "running"}
    # private headers are those of the kernel that runs; each pattern must match something
    folders = {os.path.dirname(name) if name.startswith("drivers/") else name.split("/")[0]
               for name in files}
    headers = {f"{folder}/*.h" for folder in folders} if which == "running" else set()
    # tar finds a file only once
    more = {name for name in more if not any(fnmatch.fnmatch(name, header) for header in headers)}
    return sorted(files | more | headers)


def inputs(guest, place):
    """What a bundle depends on."""
    yield os.path.join(guest, "release")
    yield SUTURE
    for top in INCLUDE, place:
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names)


def stale(fix, folder, guest):
    """Whether the bundle is older than what it depends on. Writes the source, if it is another one."""
    place, bundle = place_of(fix, folder), bundle_of(fix, folder)
    source.write_source(fix, FIXED, RUNNING, place)
    return not os.path.exists(bundle) or \
        os.path.getmtime(bundle) < max(map(os.path.getmtime, inputs(guest, place)))


def place_of(fix, folder):
    return os.path.join(folder, "src", fix["name"])


def bundle_of(fix, folder):
    return os.path.join(folder, fix["name"] + ".sut")


def build(fix, folder, guest):
    """Returns what went wrong, or nothing."""
    place, bundle = place_of(fix, folder), bundle_of(fix, folder)
    done = subprocess.run([SUTURE, "build", place, "--kernel", os.path.join(guest, "kbuild"),
                           "--vmlinuz", os.path.join(guest, "vmlinuz"), "-o", bundle],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    return f"{fix['name']}:\n{done.stdout.decode(errors='replace')}" if done.returncode else ""


def bundles(table, folder, guest):
    folder, guest = os.path.abspath(folder), os.path.abspath(guest)
    todo = [fix for fix in table["fix"] if stale(fix, folder, guest)]
    start = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(lambda fix: build(fix, folder, guest), todo) if text]
    print("\n".join(wrong), file=sys.stderr, end="")
    print(f"fixes: {len(todo) - len(wrong)} of {len(table['fix'])} bundles built in "
          f"{time.monotonic() - start:.0f} s, {len(wrong)} failed")
    return 1 if wrong else 0


def file_diff(name, pattern):
    """The differences of a file; with a pattern, the hunks that it is found in."""
    text = subprocess.run(["diff", "-U1" if pattern else "-u", f"--label=a/{name}", f"--label=b/{name}",
                           os.path.join(RUNNING, name), os.path.join(FIXED, name)],
                          stdout=subprocess.PIPE, timeout=60, check=False).stdout.decode()
    head, *hunks = re.split(r"^(?=@@ )", text, flags=re.M)
    return head + "".join(hunk for hunk in hunks if not pattern or re.search(pattern, hunk))


def write(path, text):
    """Unless it is there already."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as f:
        if f.read() == text.encode():
            return
    with open(path, "wb") as f:
        f.write(text.encode())


def write_diff(diff, path):
    """The differences of its files."""
    write(path, "".join(file_diff(name, diff.get("hunks", {}).get(name)) for name in diff["files"]))


def suture_build(table, diff, patch, bundle, guest):
    """(exit code, what it printed)"""
    callbacks = ["--callbacks", callbacks_of(patch)] if "callbacks" in diff else []
    source_deb = os.path.join(TOP, "build", "debs", f"linux-source-6.1_{table['running']}_all.deb")
    done = subprocess.run([SUTURE, "build", "--diff", patch, "--source", source_deb,
                           "--kernel", os.path.join(guest, "kbuild"),
                           "--vmlinuz", os.path.join(guest, "vmlinuz"),
                           "--modules", os.path.join(guest, "modules", ""), "-o", bundle, *callbacks],
                          env=dict(os.environ, XDG_CACHE_HOME=os.path.join(TOP, "build", "cache")),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def callbacks_of(patch):
    return os.path.splitext(patch)[0] + ".c"


def write_callbacks(diff, patch):
    """Returns the files that were written."""
    if "callbacks" not in diff:
        return []
    write(callbacks_of(patch), diff["callbacks"])
    return [callbacks_of(patch)]


def build_diff(table, diff, folder, guest):
    """Returns what went wrong, or nothing."""
    patch, bundle = (os.path.join(folder, f"{diff['name']}.{end}") for end in ("patch", "sut"))
    write_diff(diff, patch)
    callbacks = write_callbacks(diff, patch)
    if os.path.exists(bundle) and os.path.getmtime(bundle) > max(map(os.path.getmtime, (
            patch, SUTURE, os.path.join(guest, "release"), *callbacks))):
        return ""
    start = os.times()
    status, text = suture_build(table, diff, patch, bundle, guest)
    end = os.times()
    seconds = end.children_user + end.children_system - start.children_user - start.children_system
    print(f"{diff['name']}: {seconds:.1f} s of CPU time")
    functions = diff["replaces"] + diff.get("also", []) + diff.get("new", [])
    missing = [one for one in functions if not replaces(text, *one.split(": "))]
    return f"{diff['name']}:\n{text}{' '.join(missing)}" if status or missing else ""


def write_change(diff, path):
    """Returns whether the file has what is to be changed."""
    with open(os.path.join(RUNNING, diff["file"])) as f:
        old = f.read()
    new, count = re.subn(diff["find"], diff["put"], old, count=1)
    with open(path, "w") as f:
        f.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True),
                                          f"a/{diff['file']}", f"b/{diff['file']}"))
    return count


def refuse_diff(table, diff, folder, guest):
    """Returns what went wrong, or nothing."""
    patch, bundle = (os.path.join(folder, f"{diff['name']}.{end}") for end in ("patch", "sut"))
    if "files" in diff:
        write_diff(diff, patch)
    elif not write_change(diff, patch):
        return f"{diff['name']}: not found in {diff['file']}"
    write_callbacks(diff, patch)
    status, text = suture_build(table, diff, patch, bundle, guest)
    if status and not os.path.exists(bundle) and re.search(diff["why"], text):
        return ""
    return f"{diff['name']}: exit code {status}:\n{text}"


def replaces(text, target, name):
    """Whether `suture build` has said that the patch has it."""
    return re.search(rf"^{target}:[^\n]*[ ,]{re.escape(name)}[,; ]", text, re.M)


def diffs(table, folder, guest, short):
    folder, guest = os.path.abspath(folder), os.path.abspath(guest)
    os.makedirs(folder, exist_ok=True)
    todo = read_diffs(short)
    wrong = [text for diff in todo if (text := build_diff(table, diff, folder, guest))]
    todo += (refused := read_diffs(short, "refused"))
    wrong += [text for diff in refused if (text := refuse_diff(table, diff, folder, guest))]
    print("\n".join(wrong), file=sys.stderr)
    print(f"diffs: {len(todo) - len(refused)} bundles, {len(refused)} refusals; {len(wrong)} failed")
    return 1 if wrong else 0


def main():
    table = read_table()
    if sys.argv[1] == "guest":
        print(table["guest"])
    elif sys.argv[1] == "version":
        print(table[sys.argv[2]])
    elif sys.argv[1] == "paths":
        print(" ".join(paths(table, sys.argv[2])))
    elif sys.argv[1] == "diffs":
        return diffs(table, sys.argv[2], sys.argv[3], "short" in sys.argv[4:])
    else:
        try:
            return bundles(table, sys.argv[2], sys.argv[3])
        except source.SourceError as error:
            print(f"fixes: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
