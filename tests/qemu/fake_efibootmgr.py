#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""efibootmgr over a file (FIRMWARE: JSON) instead of the firmware's variables: what suture-install uses of it,
with the output of version 17."""

import getopt
import json
import os
import sys

path = os.environ["FIRMWARE"]
with open(path) as f:
    firmware = json.load(f)
options = dict(getopt.getopt(sys.argv[1:], "qvCBb:d:p:L:l:o:n:")[0])
entries, order = firmware["entries"], firmware["order"]
if "-C" in options:
    number = next(n for n in (f"{i:04X}" for i in range(256)) if n not in entries)
    entries[number] = [options["-L"], options["-l"], f"{options['-d']}:{options['-p']}"]
elif "-B" in options:
    del entries[options["-b"]]
    order[:] = [n for n in order if n != options["-b"]]
elif "-o" in options:
    order[:] = options["-o"].split(",")
    assert all(n in entries for n in order), order
elif "-n" in options:
    assert options["-n"] in entries
    firmware["next"] = options["-n"]
with open(path, "w") as f:
    json.dump(firmware, f)
if "-q" not in options:
    print(f"BootCurrent: {firmware['current']}\nTimeout: 0 seconds\nBootOrder: {','.join(order)}")
    for number, (label, loader, _) in sorted(entries.items()):
        print(f"Boot{number}* {label}" + (f"\tHD(1,GPT,0c5e)/File({loader})" if "-v" in options else ""))
