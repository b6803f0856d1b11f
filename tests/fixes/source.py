# SPDX-License-Identifier: BSD-2-Clause
"""A livepatch source out of a file of the kernel's and a short description (fixes.toml): the fixed
functions, what they need of their file, and the tables that a patch has.

Kernel style is assumed: a function's body begins with `{` and ends with `}` in the first column.
Types come from the source of the kernel that runs, since its data has their layout."""

import os
import re
from dataclasses import dataclass

ATTRIBUTES = r"__printf|__attribute__|__acquires|__releases|__must_hold|__aligned|__section|__always_unused"
STRIPPED = re.compile(r"\b(static|__read_mostly|__ro_after_init|__initdata|__refdata|__used|"
                      r"__maybe_unused|__cacheline_aligned(_in_smp)?|____cacheline_aligned(_in_smp)?)\b\s*")
# what a macro that defines a variable is declared as
DEFINERS = {
    "DEFINE_MUTEX": "struct mutex {0}",
    "DEFINE_SPINLOCK": "spinlock_t {0}",
    "DEFINE_RAW_SPINLOCK": "raw_spinlock_t {0}",
    "DEFINE_RWLOCK": "rwlock_t {0}",
    "DEFINE_SEQLOCK": "seqlock_t {0}",
    "DECLARE_RWSEM": "struct rw_semaphore {0}",
    "LIST_HEAD": "struct list_head {0}",
    "HLIST_HEAD": "struct hlist_head {0}",
    "DECLARE_WAIT_QUEUE_HEAD": "wait_queue_head_t {0}",
    "DEFINE_STATIC_KEY_FALSE": "struct static_key_false {0}",
    "DEFINE_STATIC_KEY_TRUE": "struct static_key_true {0}",
    "DECLARE_WORK": "struct work_struct {0}",
    "DECLARE_DELAYED_WORK": "struct delayed_work {0}",
    "DEFINE_IDR": "struct idr {0}",
}

LICENSE = "// SPDX-License-Identifier: GPL-2.0-only"

HEAD = """#include <linux/module.h>
#include <linux/livepatch.h>

static unsigned long suture_hits[{count}];
module_param_array_named(hits, suture_hits, ulong, NULL, 0444);

"""

TAIL = """
static struct klp_func suture_funcs[] = {{
{funcs}
	{{}},
}};

static struct klp_object suture_objs[] = {{
	{{ {object}.funcs = suture_funcs }},
	{{}},
}};

static struct klp_patch suture_patch = {{ .mod = THIS_MODULE, .objs = suture_objs }};

static int __init suture_patch_init(void)
{{
	return klp_enable_patch(&suture_patch);
}}

static void __exit suture_patch_exit(void)
{{
{exit}}}

module_init(suture_patch_init);
module_exit(suture_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
"""


class SourceError(Exception):
    """The description does not fit the source."""


@dataclass
class Item:
    """A piece of a C file at its top level: cpp, type, proto, function, variable or other."""

    kind: str
    name: str
    text: str

    @property
    def static(self):
        return re.match(r"(static|DEFINE_|LIST_HEAD|HLIST_HEAD)", self.text) is not None

    @property
    def header(self):
        """A function's declaration, without its body."""
        return self.text[:self.text.index("{")].rstrip()


def without_comments(text):
    """Comments and nothing else become blanks; lines keep their ends."""
    def blank(match):
        found = match[0]
        return found if found[0] in "\"'" else re.sub(r"[^\n]+", " ", found)

    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', blank, text,
                  flags=re.S)


def without_directives(text):
    return re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*\n?", "", text, flags=re.M)


def classify(text):
    """The Item of a declaration or definition."""
    flat = " ".join(without_directives(text).split("\n"))
    before = re.split(r"[={;]", flat, maxsplit=1)[0]
    definer = re.match(r"(?:static\s+)?([A-Z][A-Z_]+)\s*\(\s*(\w+)", flat)
    if definer:
        per_cpu = re.match(r"(?:static\s+)?DEFINE_PER_CPU\w*\(.*,\s*(\w+)\)", flat)
        if per_cpu:
            return Item("variable", per_cpu[1], text)
        known = definer[1] in DEFINERS
        return Item("variable" if known else "other", definer[2] if known else "", text)
    if re.fullmatch(r"\s*\w+\s*\(.*\)\s*;?\s*", flat):
        return Item("other", "", text)
    if re.match(r"typedef\b", flat):
        return Item("type", "", text)
    named = re.match(r"(?:struct|union|enum)\s+(\w+)?\s*(?:{.*})?\s*;\s*$", flat)
    if named or re.match(r"(?:struct|union|enum)\s*(\w+)?\s*{.*}[^=]*;\s*$", flat):
        return Item("type", named[1] if named and named[1] else "", text)
    called = [name for name in re.findall(r"(\w+)\s*\(", before)
              if not re.fullmatch(ATTRIBUTES, name)]
    pointer = re.match(r"[^(]*\(\s*\*\s*(\w+)", before)
    if called and not pointer:
        if "{" in flat and "=" not in flat[:flat.index("{")]:
            return Item("function", called[0], text)
        return Item("proto", called[0], text)
    if pointer:
        return Item("variable", pointer[1], text)
    name = re.search(r"(\w+)\s*(?:\[[^=]*\])*\s*$", STRIPPED.sub("", before).rstrip())
    return Item("variable", name[1] if name else "", text)


def balanced(text):
    code = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', "", text)
    return all(code.count(a) == code.count(b) for a, b in ("()", "{}"))


def split(text):
    """The Items of a C file, in their order."""
    lines = without_comments(text).split("\n")
    items, n = [], 0
    while n < len(lines):
        start = n
        if not lines[n].strip():
            n += 1
            continue
        if lines[n].startswith("#"):
            while lines[n].rstrip().endswith("\\"):
                n += 1
            n += 1
            found = "\n".join(lines[start:n])
            name = re.match(r"#\s*define\s+(\w+)", found)
            items.append(Item("cpp", name[1] if name else "", found))
            continue
        while n < len(lines):
            if lines[n].rstrip() == "{" and n > start:
                while not lines[n].startswith("}"):
                    n += 1
                break
            piece = without_directives("\n".join(lines[start:n + 1]))
            if piece.rstrip().endswith((";", "}")) and balanced(piece):
                break
            following = lines[n + 1].strip() if n + 1 < len(lines) else ""
            if re.fullmatch(r"\w+\(.*\)", piece.strip(), re.S) and balanced(piece) and \
                    following != "{":
                break
            n += 1
        n += 1
        items.append(classify("\n".join(lines[start:n])))
    return items


def words(text):
    return set(re.findall(r"\b[A-Za-z_]\w*\b", text))


def declare(item, place):
    """An extern declaration of a variable; place is a SUTURE_SYMBOL() or nothing."""
    per_cpu = re.match(r"(?:static\s+)?DEFINE_PER_CPU(\w*)(\(.*\))", item.text, re.S)
    if per_cpu:
        return f"DECLARE_PER_CPU{per_cpu[1]}{per_cpu[2]};"
    definer = re.match(r"(?:static\s+)?([A-Z][A-Z_]+)\s*\(", item.text)
    if definer:
        text = DEFINERS[definer[1]].format(item.name)
    else:
        text = STRIPPED.sub("", re.split(r"[=;]", item.text, maxsplit=1)[0]).rstrip()
    return f"extern {text}{place};"


class Generator:
    """The source of one patch, from the items of the fixed file and of the running one."""

    def __init__(self, fix, fixed, running):
        self.fix = fix
        self.items = split(fixed)
        self.types = {item.name: item for item in split(running) if item.kind == "type"}
        self.functions = {i.name: i for i in self.items if i.kind == "function"}
        self.variables = {i.name: i for i in self.items if i.kind == "variable"}
        self.macros = {i.name: i for i in self.items if i.kind == "cpp" and i.name}
        self.replaced = [name.split("@")[0] for name in fix["replace"]]
        self.copied = set(fix.get("copy", ()))
        self.outside = set(fix.get("extern", ()))
        self.check()
        self.needed = self.closure()

    def check(self):
        for name in self.replaced:
            if name not in self.functions:
                raise SourceError(f"{self.fix['file']}: no function {name}")
        for name in self.outside | self.copied:
            if name not in self.functions and name not in self.variables:
                raise SourceError(f"{self.fix['file']}: no function or variable {name}")

    def taken(self, name):
        """Whether a function's body goes into the patch."""
        return name in self.replaced or \
            self.functions[name].static and name not in self.outside

    def text(self, item):
        """A function's or variable's own text with the description's edits, all of which must fit."""
        text = item.text
        for edit in self.fix.get("edit", ()):
            if edit["in"] == item.name:
                text, count = re.subn(edit["find"], edit["put"], text, flags=re.M)
                if not count:
                    raise SourceError(f"{item.name}: nothing to edit is like {edit['find']}")
        return text

    def closure(self):
        """Names of functions, variables and macros that the replaced functions need."""
        needed, todo = set(), list(self.replaced)
        while todo:
            name = todo.pop()
            if name in needed:
                continue
            needed.add(name)
            if name in self.functions:
                found = self.text(self.functions[name]) if self.taken(name) else ""
            elif name in self.variables:
                found = self.text(self.variables[name]) if name in self.copied else ""
            else:
                found = self.macros[name].text
            todo += [w for w in words(found)
                     if w in self.functions or w in self.variables or w in self.macros]
        return needed

    def place(self, name):
        found = self.fix.get("symbols", {}).get(name)
        return f" SUTURE_SYMBOL({found[0]}, {found[1]}, {found[2]})" if found else ""

    def emit_function(self, item):
        if not self.taken(item.name):
            header = re.sub(r"\b(static|inline|__always_inline|noinline)\b\s*", "", item.header)
            return f"{header}{self.place(item.name)};"
        text = self.text(item)
        if re.search(r"^\t+static (?!const )", text, re.M):
            raise SourceError(f"{item.name}: has static variables of its own")
        if item.name in self.replaced:
            hit = f"\tsuture_hits[{self.replaced.index(item.name)}]++;\n"
            body = text.index("{\n") + 2
            text = text[:body] + hit + text[body:]
        return text

    def emit(self, item):
        if item.kind == "cpp":
            return None if item.name == "CREATE_TRACE_POINTS" else item.text
        if item.kind == "type":
            return self.types.get(item.name, item).text if item.name else item.text
        if item.kind == "proto":
            known = self.functions.get(item.name)
            keep = known is None or item.name in self.needed and self.taken(item.name)
            return item.text if keep else None
        if item.name not in self.needed:
            return None
        if item.kind == "function":
            return self.emit_function(item)
        if item.name in self.copied:
            return self.text(item)
        return declare(item, self.place(item.name))

    def funcs(self):
        lines = []
        for spec in self.fix["replace"]:
            name, _, position = spec.partition("@")
            place = f", .old_sympos = {position}" if position else ""
            lines.append(f'\t{{ .old_name = "{name}", .new_func = {name}{place} }},')
        return "\n".join(lines)

    def source(self):
        """What precedes the first include (pr_fmt) stays in front of it, the description's own C
        code comes before the first function."""
        body, headed, begun = [], False, False
        for item in self.items:
            text = self.emit(item)
            if text is None:
                continue
            if not headed and text.startswith("#include"):
                body.append(HEAD.format(count=len(self.replaced)))
                headed = True
            if not begun and item.kind == "function" and self.taken(item.name):
                body.append(self.fix.get("prelude", ""))
                begun = True
            body.append(text)
        target = "" if self.fix["object"] == "vmlinux" else f'.name = "{self.fix["object"]}", '
        return "\n\n".join([LICENSE, *body, TAIL.format(funcs=self.funcs(), object=target,
                                                       exit=self.fix.get("exit", ""))])


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def write_if_new(path, text):
    if not os.path.exists(path) or read(*os.path.split(path)) != text:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def write_source(fix, fixed, running, folder):
    """The source folder of a patch: fixed and running are the two versions' trees."""
    os.makedirs(folder, exist_ok=True)
    generator = Generator(fix, read(fixed, fix["file"]), read(running, fix["file"]))
    private = os.path.join(running, os.path.dirname(fix["file"]))
    write_if_new(os.path.join(folder, f"{fix['name']}.c"), generator.source())
    write_if_new(os.path.join(folder, "Kbuild"),
                 f"obj-m := {fix['name']}.o\nccflags-y := -I{private} "
                 "-Wno-declaration-after-statement -Wno-unused-function -Wno-missing-prototypes\n")
