# SPDX-License-Identifier: BSD-2-Clause
"""The table of a benchmark's figures."""


class Table:
    """The figures. bar: the most that a figure may be; peer: Linux's livepatch in the same guest."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, bar=None, peer=None, note=""):
        self.rows.append({"name": name, "value": value, "unit": unit, "bar": bar, "peer": peer,
                          "ratio": value / peer if value is not None and peer else None,
                          "holds": None if bar is None else value is not None and value <= bar,
                          "note": note})

    def fail(self, name, error):
        """What could not be measured."""
        self.add(name, None, "", bar=0, note=str(error).split("\n", maxsplit=1)[0])

    def text(self):
        lines = [("figure", "value", "bar", "holds", "Linux's livepatch", "ratio", "")]
        for row in self.rows:
            holds = {None: "", True: "yes", False: "no"}[row["holds"]]
            lines.append((row["name"], figure(row["value"], row["unit"]),
                          figure(row["bar"], row["unit"]) if row["bar"] is not None else "", holds,
                          figure(row["peer"], row["unit"]) if row["peer"] else "",
                          f"{row['ratio']:.2f}" if row["ratio"] else "", row["note"]))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                         for line in lines)


def figure(value, unit):
    if value is None:
        return "-"
    return f"{value:,.0f}{' ' + unit if unit else ''}" if value >= 100 or value == int(value) else \
        f"{value:.3g}{' ' + unit if unit else ''}"


BEGIN, END = "<!-- written by make bench {} -->\n", "<!-- end -->\n"


def write_section(path, words, text):
    """Put the text between the marks that a document has for `make bench` with these words."""
    begin = BEGIN.format(words)
    with open(path) as f:
        head, rest = f.read().split(begin)
    with open(path, "w") as f:
        f.write(head + begin + f"```\n{text}```\n" + END + rest.split(END, 1)[1])
