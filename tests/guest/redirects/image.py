#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
For the program `redirects`: what the module `sites` tells it in a guest, from an arm64 Image that
nobody has booted. Functions are those that kallsyms names in .text, sites are found by what the
compiler makes, static keys in __jump_table, which is looked for.
    image.py IMAGE RECORDS TEXT
"""
import re
import struct
import sys
from bisect import bisect_right

BASE = 0xffff800080000000
HEAD = 0x10000  # of .head.text, in front of .text (Linux: SEGMENT_ALIGN)
NOP, BTI_C = 0xd503201f, 0xd503245f
NONE = 0xffffffff
ENTRY_WINDOW, KEY_WINDOW, MAX_SITES = 24, 16, 24  # guest-agent/sites.c, suture/abi_declare.h
KEY = 1


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


# ---- kallsyms (Linux: scripts/kallsyms.c) ----

def token_table(data):
    """256 strings, and behind them their offsets: (where it begins, where the offsets end, strings)."""
    digits = re.escape(b"\0".join(b"%d" % i for i in range(10)) + b"\0")
    for match in re.finditer(digits, data):
        for start in range((match.start() - 700) & ~7, match.start() - 40, 8):
            tokens, at = [], start
            for _ in range(256):
                end = data.index(b"\0", at)
                tokens.append(data[at:end])
                at = end + 1
            offsets, offset = [], 0
            for token in tokens:
                offsets.append(offset & 0xffff)
                offset += len(token) + 1
            index = data.find(struct.pack("<256H", *offsets), at, at + 600)
            if index >= 0 and sum(map(bool, tokens)) > 200:
                return start, index + 512, tokens
    sys.exit("no kallsyms: token table")


def rises(data, at, count):
    """Are there so many offsets of symbols, in order?"""
    last = -1
    if at < 0 or at + 4 * count > len(data):
        return False
    for offset in struct.iter_unpack("<I", data[at:at + 4 * count]):
        if offset[0] < last or offset[0] > 1 << 28:
            return False
        last = offset[0]
    return True


def read_names(data, at, count, tokens):
    """The names from there, or None: what must follow, where each 256th begins, does not."""
    names, start, markers = [], at, []
    for i in range(count):
        if i % 256 == 0:
            markers.append(at - start)
        length = data[at]
        at += 1
        if length & 0x80:
            length = length & 0x7f | data[at] << 7
            at += 1
        names.append(b"".join(tokens[c] for c in data[at:at + length]))
        at += length
    behind = (at + 7) & ~7
    return names if data.startswith(struct.pack("<%dI" % len(markers), *markers), behind) else None


def kallsyms(data):
    """(offset in the image, type, name), in the order of addresses."""
    table, behind, tokens = token_table(data)
    for at in range(max(0, table - (4 << 20)) & ~7, table, 8):
        count = u32(data, at)
        if not 10000 < count < 1000000 or u32(data, at + 4):
            continue
        for offsets_at in (behind + 7) & ~7, (at - 8 - 4 * count) & ~7:  # from 6.4 on; before
            names = rises(data, offsets_at, count) and read_names(data, at + 8, count, tokens)
            if names:
                offsets = struct.unpack_from("<%dI" % count, data, offsets_at)
                # they count from the first symbol that kallsyms has: _stext, or the image's
                first = [n[1:] for o, n in zip(offsets, names) if not o]
                shift = HEAD if b"_stext" in first else 0
                return [(o + shift, chr(n[0]), n[1:].decode()) for o, n in zip(offsets, names)]
    sys.exit("no kallsyms: names")


# ---- static keys ----

def key_at(data, at, low, high):
    """(code, target) if a struct jump_entry is there, for code in [low, high)."""
    code, target, key = struct.unpack_from("<iiq", data, at)
    code, target = at + code, at + 4 + target
    if not (low <= code < high and low <= target < high and not (code | target) % 4):
        return None
    if not 0 <= at + 8 + (key & ~3) < 1 << 28:
        return None
    insn = u32(data, code)
    if insn >> 26 == 5:
        words = insn & 0x3ffffff
        branch = code + 4 * (words - (1 << 26 if words >> 25 else 0))
        return (code, target) if branch == target else None
    return (code, target) if insn == NOP else None


def static_keys(data, low, high):
    """The longest run of entries is the table; code in .init.text and the like breaks no run."""
    best, at = [], high & ~7
    while at + 16 <= len(data):
        run, end = [], at
        while end + 16 <= len(data) and (key := key_at(data, end, 0, len(data))):
            run.append(key)
            end += 16
        if len(run) > len(best):
            best = run
        at = max(end, at + 8)
    return {code: target for code, target in best if low <= code < high}


# ---- records ----

class Image:
    def __init__(self, data):
        self.data = data
        symbols = kallsyms(data)
        where = self.symbols = {name: offset for offset, _, name in symbols}
        self.low, self.high = where["_stext"], where["_etext"]
        starts = sorted({o for o, _, _ in symbols if self.low <= o <= self.high})
        self.end = dict(zip(starts, starts[1:]))
        self.starts = starts
        self.functions = {}
        for offset, kind, name in symbols:
            if kind in "tTwW" and self.low <= offset < self.high:
                self.functions.setdefault(offset, name)
        self.keys = static_keys(data, self.low, self.high)

    def veneers(self):
        """Of erratum 843419: {where an instruction is: the function that it was taken from}."""
        found = {}
        for at, name in self.functions.items():
            if name.startswith("e843419@"):
                words = u32(self.data, at + 4) & 0x3ffffff
                back = at + 4 + 4 * (words - (1 << 26 if words >> 25 else 0))
                found[at] = self.functions[self.starts[bisect_right(self.starts, back) - 1]]
        return found

    def site(self, func):
        at = func + 4 if u32(self.data, func) == BTI_C else func
        pair = u32(self.data, at) == NOP and u32(self.data, at + 4) == NOP
        return at + 4 - func if pair else NONE

    def room(self, at):
        i = bisect_right(self.starts, at)
        return self.starts[i] - at if i < len(self.starts) else 0

    def sites(self, func, size):
        """As guest-agent/sites.c finds them."""
        found, windows = {}, [(func, min(func + ENTRY_WINDOW, func + size), func + size)]
        for start, end, limit in windows:
            for at in range(start, end, 4):
                if at not in self.keys or at in found:
                    continue
                target = self.keys[at]
                room = self.room(target)
                found[at] = (at - func, target - func, min(room, 0xffff))
                windows.append((at + 4, min(at + 4 + KEY_WINDOW, limit), limit))
                windows.append((target, min(target + KEY_WINDOW, target + room), target + room))
        return list(found.values())

    def record(self, func, name):
        size = self.end.get(func, func) - func
        sites = self.sites(func, size)
        packed = b"".join(struct.pack("<iiHBB", o, t, room, 4, KEY)
                          for o, t, room in sites[:MAX_SITES])
        return struct.pack("<QQIIII", BASE + func, size, self.site(func), len(sites), 0, 0) + \
            packed.ljust(12 * MAX_SITES, b"\0") + name.encode()[:63].ljust(64, b"\0")


def main():
    image, records, text = sys.argv[1:]
    with open(image, "rb") as file:
        data = file.read()
    i = Image(data)
    with open(records, "wb") as file:
        for func, name in i.functions.items():
            file.write(i.record(func, name))
    with open(text, "wb") as file:
        file.write(struct.pack("<Q", BASE) + data[:i.high])
    sites = sum(i.site(func) != NONE for func in i.functions)
    print(f"image_functions {len(i.functions)}\nimage_sites {sites}\nimage_keys {len(i.keys)}")


if __name__ == "__main__":
    main()
