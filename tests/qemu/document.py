# SPDX-License-Identifier: BSD-2-Clause
"""The members of each answer, and the metrics, by docs/api.md. Answers are compared with them;
members that the document has and no answer had are left at the end."""

import json
import os
import re

from machine import TOP

MORE = "..."  # a member of an object whose other members are like those that are shown


def parse(example):
    """An example of the document: `, ...` is left out of lists and marks objects; WORD becomes "@WORD"."""
    example = re.sub(r",\s*\.\.\.\s*\]", "]", example)
    example = re.sub(r",\s*\.\.\.\s*\}", f', "{MORE}": 0}}', example)
    return json.loads(re.sub(r'"[^"]*"|\b[A-Z]{4,}\b', lambda m: m[0] if m[0][0] == '"' else f'"@{m[0]}"',
                             example))


class Document:
    """answers: {route or WORD: example}; conditional: members that only some machines have."""

    def __init__(self):
        with open(os.path.join(TOP, "docs", "api.md"), encoding="utf-8") as f:
            self.text = f.read()
        self.answers, self.conditional = {}, set()
        self.seen, self.problems = set(), []
        self.read_examples()

    def read_examples(self):
        for section in re.split(r"^### ", self.text, flags=re.M)[1:]:
            section = re.split(r"^## ", section, flags=re.M)[0]
            route = re.match(r"`GET (/v1/\S+)`", section)
            before = ""
            for block in re.split(r"\n\n+", section):
                if block.startswith("    "):
                    word = re.search(r"\b([A-Z]{4,}):?$|\b(?:is a|itself) ([A-Z]{4,}):$", before)
                    word = word and (word[1] or word[2])
                    name = word or route[1]
                    assert name not in self.answers, f"{name} is shown twice"
                    self.answers[name] = parse(block)
                before = block
            if route:
                self.conditional |= {f"{route[1]}.{member}" for member in
                                     re.findall(r"^- `([\w.\[\]]+)`, only ", section, re.M)}

    def compare(self, example, value, path):
        if isinstance(example, str) and example.startswith("@"):
            path = example[1:]
            example = self.answers[path]
        self.seen.add(path)
        if value is None:
            return
        if isinstance(example, dict) and isinstance(value, dict):
            for key, member in value.items():
                if key in example:
                    self.compare(example[key], member, f"{path}.{key}")
                elif MORE not in example:
                    self.problems.append(f"{path}.{key} is not documented")
        elif isinstance(example, list) and isinstance(value, list):
            for member in value:
                self.compare(example[0], member, f"{path}[]")
        elif example is not None and type(example) is not type(value):
            self.problems.append(f"{path} is documented as {example!r} and is {value!r}")

    def answer(self, route, value, name=None):
        """Compare an answer with what is shown for its route, or for a WORD."""
        self.compare(self.answers[name or route], value, name or route)

    def members(self):
        """The path of every documented member."""
        def walk(example, path):
            yield path
            if isinstance(example, dict):
                for key in example.keys() - {MORE}:
                    yield from walk(example[key], f"{path}.{key}")
            elif isinstance(example, list):
                yield from walk(example[0], f"{path}[]")

        paths = (path for name, example in self.answers.items() for path in walk(example, name))
        return {path for path in paths if not self.is_reference(path)}

    def is_reference(self, path):
        """Is a WORD shown there? Then its members go by its own name."""
        route = max((name for name in self.answers if path == name or path.startswith((name + ".", name + "["))),
                    key=len)
        example = self.answers[route]
        for key in re.findall(r"\.(\w+)|(\[\])", path[len(route):]):
            example = example[key[0]] if key[0] else example[0]
        return isinstance(example, str) and example.startswith("@")

    def never_seen(self):
        return self.members() - self.seen - self.conditional

    def metrics(self):
        """{metric: {label: its values, or an empty set if they are not listed}}"""
        section = self.text.split("### `GET /metrics`")[1].split("\n## ")[0]
        found = {}
        for row in re.findall(r"^\| (`suture_.*)$", section, re.M):
            names, labels = re.split(r"\s*\|\s*", row)[:2]
            labels = {label: set(re.findall(r"`([^`]+)`", values)) for label, values in
                      re.findall(r"`(\w+)`(?: = ((?:`[^`]+`(?:, )?)+))?", labels)}
            for name in re.findall(r"`(\w+)`", names):
                found[name] = labels
        return found
