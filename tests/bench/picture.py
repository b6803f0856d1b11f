# SPDX-License-Identifier: BSD-2-Clause
"""The picture of a benchmark's figures: how long the guest is held, and how long an apply takes, by
the number of tasks; both axes are logarithmic."""

import html
import math

WIDTH, HEIGHT, MARGIN, GAP = 420, 300, 60, 30
COLOURS = ("#1f6fb2", "#c2571a", "#3d8b4f", "#7a4fa3", "#777777")


class Axis:
    """A logarithmic scale from the power of ten below the values to the one above."""

    def __init__(self, values, start, length):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.start, self.length = start, length

    def at(self, value):
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * self.length

    def ticks(self):
        return [10 ** power for power in range(self.low, self.high + 1)]


def text(x, y, words, anchor="middle", size=12, colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}">{html.escape(words)}</text>')


def number(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def panel(left, title, unit, series):
    """series: {name: [(tasks, value)]}"""
    series = {name: points for name, points in series.items() if points}
    points = [point for line in series.values() for point in line]
    if not points:
        return [text(left + WIDTH / 2, MARGIN, f"{title}: no figures")]
    x = Axis([p[0] for p in points], left + MARGIN, WIDTH - MARGIN - 10)
    y = Axis([p[1] for p in points], HEIGHT - MARGIN, -(HEIGHT - MARGIN - 40))
    out = [text(left + MARGIN, 22, title, "start", 14)]
    for tick in x.ticks():
        out.append(text(x.at(tick), HEIGHT - MARGIN + 18, number(tick)))
    for tick in y.ticks():
        out.append(f'<line x1="{left + MARGIN}" x2="{left + WIDTH - 10}" y1="{y.at(tick):.1f}" '
                   f'y2="{y.at(tick):.1f}" stroke="#ddd"/>')
        out.append(text(left + MARGIN - 6, y.at(tick) + 4, f"{number(tick)} {unit}", "end"))
    out.append(text(left + MARGIN + (WIDTH - MARGIN) / 2, HEIGHT - MARGIN + 36, "sleeping tasks"))
    for n, (name, line) in enumerate(series.items()):
        colour = COLOURS[n % len(COLOURS)]
        path = " ".join(f"{x.at(tasks):.1f},{y.at(value):.1f}" for tasks, value in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x.at(tasks):.1f}" cy="{y.at(value):.1f}" r="3" fill="{colour}"/>'
                for tasks, value in line]
        out.append(text(left + MARGIN, HEIGHT + 16 * n, name, "start", colour=colour))
    return out


def pauses(machines):
    return {f"{m['cpus']} CPUs, {kind}": [(n, ours["pause_us"] / 1000) for n, ours, _ in m[kind]
                                           if ours["pause_us"]]
            for m in machines for kind in ("processes", "threads")}


def applies(machine):
    """With processes: ours, and Linux's own."""
    return {"Suture": [(n, ours["apply_ms"]) for n, ours, _ in machine["processes"]
                       if ours["apply_ms"]],
            "Linux's livepatch": [(n, peer["apply_ms"]) for n, _, peer in machine["processes"]
                                  if peer.get("apply_ms")]}


def draw(machines, kernel):
    """machines: what bench.py's measure() has returned."""
    width, height = 2 * WIDTH + GAP, HEIGHT + 90
    body = panel(0, "Pause of the guest", "ms", pauses(machines))
    body += panel(WIDTH + GAP, f"Apply, {machines[0]['cpus']} CPUs, processes", "ms",
                  applies(machines[0]))
    body.append(text(width - 10, height - 8, f"QEMU (TCG), {kernel}", "end", 11, "#777"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(body) +
            "\n</svg>\n")
