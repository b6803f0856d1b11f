#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The include graph of monitor/, arch/, ctl/ and guest-agent/: prints each circle that is not allowed.

A module is a .c and the .h of its name. In monitor/ no module and no folder may be in a circle,
elsewhere no folder may. ALLOWED lists the exceptions, with their reasons. core/ and lib/ include
nothing above them.

    mk/lint-includes.py           check; exit status 1 if a rule is broken
    mk/lint-includes.py --show    which folder includes which, and how often
"""

import collections
import os
import re
import subprocess
import sys

ROOTS = ["monitor", "arch", "ctl", "guest-agent", "include"]
# where "..." and <...> are looked for, besides the file's own folder; ARCH stands for the file's own
PATHS = ["monitor", "include", "arch/ARCH/include", "guest-agent", "guest-agent/include", ""]
# a folder, and what of the monitor it may include
LOWEST = {
    "monitor/lib": {"monitor/lib"},
    "monitor/arch": {"monitor/lib"},
    "monitor/core": {"monitor/lib", "monitor/arch", "monitor/core"},
}
ALLOWED = {
    # circle: reason
    frozenset({"arch/x86/host", "arch/x86/hv"}):
        "host.h has the CPU's structure, which holds hv.h's",
    frozenset({"ctl/ctl", "ctl/cves", "ctl/params"}):
        "ctl.h includes the headers of what its options have",
}


def sources():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *ROOTS],
                         stdout=subprocess.PIPE, check=True).stdout.decode().split()
    return [path for path in out if re.search(r"\.[chS]$", path) and os.path.exists(path)]


def includes(path, known):
    """The files of the tree that it includes."""
    found = re.match(r"arch/(\w+)/", path)
    # portable code is compiled with the headers of any architecture
    arch = found[1] if found else "x86"
    with open(path) as file:
        for name in re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', file.read(), re.MULTILINE):
            places = [os.path.dirname(path), f"arch/{arch}", *PATHS]
            for place in places:
                full = os.path.normpath(os.path.join(place.replace("ARCH", arch), name))
                if full in known:
                    yield full
                    break


def graph_of(pairs):
    graph = collections.defaultdict(set)
    for a, b in pairs:
        if a != b:
            graph[a].add(b)
    return graph


def circles(graph):
    """Strongly connected components of more than one node (Tarjan, SIAM J. Comput. 1, 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(frozenset(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return [circle for circle in found if len(circle) > 1]


def a_way_round(circle, graph):
    """One way through the circle and back, for people."""
    node, way = min(circle), []
    while node not in way:
        way.append(node)
        node = min(graph[node] & circle)
    return " -> ".join([*way[way.index(node):], node])


def main():
    known = set(sources())
    edges = [(path, other) for path in sorted(known) for other in includes(path, known)]
    modules = graph_of((os.path.splitext(a)[0], os.path.splitext(b)[0]) for a, b in edges)
    folders = graph_of((os.path.dirname(a), os.path.dirname(b)) for a, b in edges)
    if sys.argv[1:] == ["--show"]:
        counts = collections.Counter((os.path.dirname(a), os.path.dirname(b)) for a, b in edges)
        for (a, b), count in sorted(counts.items()):
            if a != b:
                print(f"{a} -> {b} ({count})")
        return 0

    broken = []
    for graph, what in (modules, "files"), (folders, "folders"):
        for circle in circles(graph):
            if circle not in ALLOWED:
                broken.append(f"a circle of {what}: {a_way_round(circle, graph)}")
    for a, b in edges:
        allowed = LOWEST.get(os.path.dirname(a))
        if allowed and b.startswith("monitor/") and os.path.dirname(b) not in allowed:
            broken.append(f"{a} includes {b}, which is above it")
    for line in broken:
        print(f"lint: {line}", file=sys.stderr)
    stale = [circle for circle in ALLOWED if circle not in circles(modules) + circles(folders)]
    for circle in stale:
        print(f"lint: mk/lint-includes.py allows a circle that is not there: {', '.join(sorted(circle))}",
              file=sys.stderr)
    return bool(broken or stale)


if __name__ == "__main__":
    sys.exit(main())
