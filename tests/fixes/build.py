#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The commands by which mk/fixes.mk uses fixes.toml:
  build.py guest                 the kernel that lacks the fixes
  build.py version running|fixed the version of Debian's source package
  build.py paths running|fixed   what is unpacked of it
  build.py bundles DIR GUEST     the bundle of each fix, DIR/NAME.sut"""

import os
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


def paths(table, which):
    files = {fix["file"] for fix in table["fix"]}
    # private headers are those of the kernel that runs; each pattern must match something
    folders = {os.path.dirname(name) if name.startswith("drivers/") else name.split("/")[0]
               for name in files}
    headers = {f"{folder}/*.h" for folder in folders} if which == "running" else set()
    return sorted(files | headers)


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


def main():
    table = read_table()
    if sys.argv[1] == "guest":
        print(table["guest"])
    elif sys.argv[1] == "version":
        print(table[sys.argv[2]])
    elif sys.argv[1] == "paths":
        print(" ".join(paths(table, sys.argv[2])))
    else:
        try:
            return bundles(table, sys.argv[2], sys.argv[3])
        except source.SourceError as error:
            print(f"fixes: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
